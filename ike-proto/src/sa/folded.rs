//! A half-open IKE SA as responder, folded up: what was said and the seed of the keys, from which everything else comes
//! back when IKE_AUTH does (RFC 7296 §2.6: as little state as possible for initiators that nobody has proved).
//!
//! A new fact of a half-open SA must follow from the two IKE_SA_INIT messages and the PAD entry, or be kept here.

use super::IkeSa;
use super::window::{Answered, Datagrams};
use super::{Birth, Lifecycle, codec};
use crate::exchange::{Cx, Inbound, sa_init};
use crate::ids::{IkeSaId, Role};
use crate::wire::Envelope;
use alloc::boxed::Box;
use alloc::sync::Arc;
use ravelin_crypto::Secret;
use ravelin_sa_db::pad::Peer;
use ravelin_sa_db::{Instant, Path};

/// A folded half-open SA.
#[derive(Debug)]
pub(crate) struct Folded {
    pub(crate) id: IkeSaId,
    /// The candidate by address.
    pub(crate) profile: Arc<Peer>,
    pub(crate) path: Path,
    pub(crate) created: Instant,
    /// SKEYSEED.
    seed: Secret,
    /// Request and answer of IKE_SA_INIT, one after the other.
    messages: Box<[u8]>,
    request_len: u32,
}

impl Folded {
    fn halves(&self) -> (&[u8], &[u8]) {
        let at = usize::try_from(self.request_len).unwrap_or(usize::MAX);
        self.messages.split_at_checked(at).unwrap_or_default()
    }

    /// The request as it came.
    pub(crate) fn request(&self) -> &[u8] {
        self.halves().0
    }

    /// Our answer as it went out.
    pub(crate) fn answer(&self) -> &[u8] {
        self.halves().1
    }

    /// SPIs of initiator and responder.
    pub(crate) fn spis(&self) -> (u64, u64) {
        let spi =
            |at: usize| self.answer().get(at..).and_then(|b| b.first_chunk()).copied().map_or(0, u64::from_be_bytes);
        (spi(0), spi(8))
    }
}

impl IkeSa {
    /// The SA folded up; `None` when it is not half-open as responder, or more than IKE_SA_INIT has happened.
    pub(crate) fn fold(&self) -> Option<Folded> {
        let (core, opening) = (&self.core, &self.core.opening);
        let untouched = self.is_half_open()
            && self.life == Lifecycle::Opening
            && self.receive.expected() == 1
            && self.reassembly.iter().all(Option::is_none)
            && self.parked.is_empty()
            && self.send.is_idle()
            && core.eap.is_none()
            && core.next_keys.is_none();
        if !untouched {
            return None;
        }
        Some(Folded {
            id: core.id,
            profile: Arc::clone(&core.profile),
            path: core.path,
            created: core.created,
            seed: opening.seed.clone()?,
            messages: [opening.message1.as_slice(), &opening.message2].concat().into_boxed_slice(),
            request_len: u32::try_from(opening.message1.len()).ok()?,
        })
    }

    /// Unfolds an SA; `None` when the configuration does not give the same any more.
    pub(crate) fn unfold(cx: &mut Cx<'_>, folded: &Folded) -> Option<Self> {
        let (spi_i, spi_r) = folded.spis();
        let Folded { id, path, created, .. } = *folded;
        let birth = Birth { id, spi: spi_r, profile: Arc::clone(&folded.profile), path };
        let mut sa = Self::new(cx, birth, Role::Responder, None, spi_i, spi_r);
        let read = |raw| -> Option<Inbound<'_>> {
            let Envelope { header, clear, .. } = Envelope::parse(raw).ok()?;
            Some(Inbound { header, payloads: clear, raw, path })
        };
        let (request, answer) = (read(folded.request())?, read(folded.answer())?);
        sa_init::resume(cx, &mut sa.core, &request, &answer, folded.seed.clone()).ok()?;
        sa.core.created = created;
        sa.open_until = created + cx.config.half_open_lifetime;
        (sa.last_heard, sa.last_sent) = (created, created);
        let fingerprint = codec::fingerprint(folded.request());
        sa.receive.keep(Answered { message_id: 0, fingerprint, datagrams: Datagrams::default(), sent: 1 });
        Some(sa)
    }
}
