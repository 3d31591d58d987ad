//! The extensions that begin in IKE_SA_INIT: what we say, what the peer said, what both therefore do, and what a PAD entry
//! requires. One more: a notify in `Beyond` or `extensions`, a field of `Agreed`.

use crate::auth::digital_signature;
use crate::error::Reason;
use crate::exchange::{Agreed, Cx, Draft, Inbound, SaCore, Said, notify};
use crate::ext::ppk::{self, PpkUse};
use crate::ext::{natd, sighash};
use crate::ids::Role;
use crate::registry::NotifyType;
use crate::wire::notify::{Announcement, NotifyData, SupportedAuthMethods};
use crate::wire::payload::Payload;
use alloc::string::ToString;
use alloc::vec::Vec;
use ravelin_sa_db::pad::TranscriptAuth;

/// Extensions that are agreed on by a notify each way and change what AUTH covers or which keys there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Beyond {
    /// RFC 9242.
    pub(super) intermediate: bool,
    /// RFC 8784.
    pub(super) ppk_auth: bool,
    /// RFC 9867.
    pub(super) ppk_intermediate: bool,
    /// Downgrade prevention.
    pub(super) transcript: bool,
}

impl Beyond {
    pub(super) fn of(msg: &Inbound<'_>) -> Self {
        let has = |kind| msg.notify(kind).is_some();
        Self {
            intermediate: has(NotifyType::INTERMEDIATE_EXCHANGE_SUPPORTED),
            ppk_auth: has(NotifyType::USE_PPK),
            ppk_intermediate: has(NotifyType::USE_PPK_INT),
            transcript: has(NotifyType::IKE_SA_INIT_FULL_TRANSCRIPT_AUTH),
        }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            intermediate: self.intermediate && other.intermediate,
            ppk_auth: self.ppk_auth && other.ppk_auth,
            ppk_intermediate: self.ppk_intermediate && other.ppk_intermediate,
            transcript: self.transcript && other.transcript,
        }
    }

    pub(super) fn notifies(self) -> impl Iterator<Item = Payload> {
        [
            (self.intermediate, NotifyType::INTERMEDIATE_EXCHANGE_SUPPORTED),
            (self.ppk_auth, NotifyType::USE_PPK),
            (self.ppk_intermediate, NotifyType::USE_PPK_INT),
            (self.transcript, NotifyType::IKE_SA_INIT_FULL_TRANSCRIPT_AUTH),
        ]
        .into_iter()
        .filter(|(wanted, _)| *wanted)
        .map(|(_, kind)| notify(kind, Vec::new()))
    }
}

/// What we answer as responder: of the two ways to a PPK one; the transcript notify whether it was asked for or not
/// (draft-ietf-ipsecme-ikev2-downgrade-prevention).
pub(super) fn takes(cx: &Cx<'_>, core: &SaCore, msg: &Inbound<'_>) -> Beyond {
    let asked = Beyond::of(msg);
    let have = crate::exchange::ppk::may_know(cx, &core.profile);
    let (auth, intermediate) = ppk::allowed(&core.profile);
    let ppk_intermediate = have && intermediate && asked.ppk_intermediate && asked.intermediate;
    Beyond {
        intermediate: asked.intermediate,
        ppk_auth: have && auth && asked.ppk_auth && !ppk_intermediate,
        ppk_intermediate,
        transcript: core.profile.transcript_auth != TranscriptAuth::Off,
    }
}

/// What policy demands of IKE_SA_INIT. As responder the PAD entry is a candidate; IKE_AUTH checks again.
pub(super) fn check_required(core: &SaCore, agreed: &Agreed, additional: bool) -> Result<(), Reason> {
    let missing = |what: &str| Err(Reason::Downgrade { what: what.to_string() });
    if additional && !agreed.intermediate {
        return missing("INTERMEDIATE_EXCHANGE_SUPPORTED (RFC 9242), which the chosen additional key exchange needs");
    }
    if core.role == Role::Initiator && core.profile.ppk_required && agreed.ppk == PpkUse::None {
        return missing("USE_PPK (RFC 8784) or USE_PPK_INT (RFC 9867)");
    }
    if core.role == Role::Initiator && core.profile.transcript_auth == TranscriptAuth::Require && !agreed.transcript {
        return missing("IKE_SA_INIT_FULL_TRANSCRIPT_AUTH");
    }
    Ok(())
}

/// The notifies that both roles send.
pub(super) fn extensions(cx: &Cx<'_>, core: &SaCore, spi_r: u64, draft: &mut Draft) {
    draft.extend(natd::offer(cx.crypto, core.spi_i, spi_r, core.path, core.forces_encapsulation()));
    if core.profile.fragmentation {
        draft.push(notify(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED, Vec::new()));
    }
    let hashes = digital_signature::HASHES.iter().flat_map(|h| h.0.to_be_bytes()).collect();
    draft.push(notify(NotifyType::SIGNATURE_HASH_ALGORITHMS, hashes));
}

/// Reads the peer's notifies. `spi_r` is the responder's SPI as it stands in that message's hashes.
pub(super) fn agreed(cx: &Cx<'_>, core: &SaCore, msg: &Inbound<'_>, spi_r: u64, own: Beyond) -> Agreed {
    let both = own.and(Beyond::of(msg));
    let (authorities, ocsp) = crate::exchange::auth::requested(msg);
    Agreed {
        nat: natd::judge(cx.crypto, core.spi_i, spi_r, msg.path, msg.payloads.notifies()),
        fragmentation: core.profile.fragmentation && msg.notify(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED).is_some(),
        said: Said {
            signature_hashes: sighash::read(msg.payloads.notifies()),
            authorities,
            auth_methods: auth_methods(msg),
        }
        .into(),
        mobike: false,
        childless: msg.notify(NotifyType::CHILDLESS_IKEV2_SUPPORTED).is_some(),
        intermediate: both.intermediate,
        ppk: match (both.ppk_intermediate && both.intermediate, both.ppk_auth) {
            (true, _) => PpkUse::Intermediate,
            (false, true) => PpkUse::Auth,
            (false, false) => PpkUse::None,
        },
        ocsp,
        multiple_auth: msg.notify(NotifyType::MULTIPLE_AUTH_SUPPORTED).is_some(),
        transcript: both.transcript,
    }
}

/// What the responder can verify (RFC 9593); nothing when it has not said or not well.
fn auth_methods(msg: &Inbound<'_>) -> Vec<Announcement> {
    let said = msg.notify(NotifyType::SUPPORTED_AUTH_METHODS);
    said.and_then(|n| SupportedAuthMethods::parse(&n.data).ok()).map(|s| s.methods).unwrap_or_default()
}
