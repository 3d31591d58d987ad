//! The initiator's half of IKE_SA_INIT: the request, its repetition with a cookie, a puzzle's solution or another group,
//! and the response (RFC 7296 §1.2, §2.6, §2.7; RFC 8019).

use super::extensions::{Beyond, agreed, check_required, extensions};
use super::proposals::offered;
use super::{Parts, SecretHalf, USUAL, derive, key_pair};
use crate::error::Reason;
use crate::event::Event;
use crate::exchange::{Cx, Draft, IkeSuite, InFlight, Inbound, Opening, SaCore, Step, notify};
use crate::ext::{ppk, puzzle};
use crate::negotiate::{self, Offered};
use crate::registry::NotifyType;
use crate::wire::notify::Puzzle;
use crate::wire::payload::{KeyExchange, Nonce, Payload, PuzzleSolution};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use ravelin_crypto::KeId;
use ravelin_sa_db::pad::TranscriptAuth;
use ravelin_sa_db::proposal::Proposal;
use ravelin_sa_db::{PacketKey, PolicyId};

/// Octets of the first nonce of all. It is longer so that the request is not smaller than an answer that brings
/// certificate requests and notifies besides: a responder that gives no more than it got need not ask for a cookie.
const FIRST_NONCE_LEN: usize = 96;
/// Retries with a cookie or another group before the attempt is given up.
const MAX_RETRIES: u8 = 8;

/// Our IKE_SA_INIT request on the wire.
#[derive(Debug)]
pub struct SaInit {
    /// What was offered of the PAD entry's proposals.
    offered: Offered,
    /// The group whose public value was sent.
    group: KeId,
    /// Its private half, until it was used.
    secret: Option<SecretHalf>,
    /// Public value.
    public: Vec<u8>,
    /// Our nonce.
    ni: Vec<u8>,
    /// Cookie to be repeated.
    cookie: Option<Vec<u8>>,
    /// Solution of the puzzle that came with it.
    solution: Option<PuzzleSolution>,
    /// Retries so far.
    retries: u8,
    /// The private half is not the one of the public value that was sent last.
    spent: bool,
    /// The Child SA that this attempt is for.
    first: Option<(PolicyId, Option<PacketKey>)>,
}

impl SaInit {
    /// Begins an attempt.
    ///
    /// # Errors
    /// When no configured proposal is usable with the provider.
    pub fn request(
        cx: &mut Cx<'_>,
        core: &SaCore,
        first: Option<(PolicyId, Option<PacketKey>)>,
    ) -> Result<(InFlight, Draft), Reason> {
        let configured = &core.profile.proposals;
        let offered = offered(cx, configured);
        let mut groups = offered.get(configured).iter().flat_map(|p| p.ke.iter().copied());
        let group = groups.find(|k| *k != KeId::NONE);
        let group = group.ok_or_else(|| Reason::Configuration {
            detail: "no IKE proposal is usable with this provider".to_string(),
        })?;
        let (secret, public) = key_pair(cx, group)?;
        let ni = cx.random(FIRST_NONCE_LEN);
        let init = Self {
            offered,
            group,
            secret: Some(secret),
            public,
            ni,
            cookie: None,
            solution: None,
            retries: 0,
            spent: false,
            first,
        };
        let draft = init.draft(cx, core);
        Ok((InFlight::SaInit(Box::new(init)), draft))
    }

    /// The policy of the Child SA that this attempt is for.
    #[must_use]
    pub fn first_policy(&self) -> Option<PolicyId> {
        self.first.as_ref().map(|(policy, _)| *policy)
    }

    fn offered<'a>(&'a self, core: &'a SaCore) -> &'a [Proposal] {
        self.offered.get(&core.profile.proposals)
    }

    fn draft(&self, cx: &Cx<'_>, core: &SaCore) -> Draft {
        let mut draft = Draft::with_capacity(USUAL);
        draft.extend(self.cookie.as_ref().map(|c| notify(NotifyType::COOKIE, c.clone())));
        draft.extend(self.solution.clone().map(Payload::PuzzleSolution));
        draft.push(Payload::Sa(negotiate::offer(self.offered(core), &[])));
        draft.push(Payload::Ke(KeyExchange::new(self.group, self.public.clone())));
        draft.push(Payload::Nonce(Nonce { data: self.ni.clone() }));
        extensions(cx, core, 0, &mut draft);
        let wants = self.wants(cx, core);
        draft.extend(wants.notifies());
        draft
    }

    /// Takes what may be the answer. `sent` is our request as it went over the wire.
    pub fn response(mut self: Box<Self>, cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>, sent: &[u8]) -> Step {
        if let Some(cookie) = msg.notify(NotifyType::COOKIE) {
            let data = cookie.data.clone();
            let puzzle = msg.payloads.notify_data::<Puzzle>().ok().flatten().filter(|p| p.cookie == data);
            return self.with_cookie(cx, core, data, puzzle);
        }
        if let Some(wanted) = msg.notify(NotifyType::INVALID_KE_PAYLOAD) {
            let group = wanted.data.as_slice().try_into().map(u16::from_be_bytes).map(KeId);
            return self.with_group(cx, core, group.ok());
        }
        if let Some(error) = msg.payloads.error() {
            let notify = error.kind;
            return Step::Doubt(
                InFlight::SaInit(self),
                Reason::PeerRefused { notify, authenticated: false, during: "IKE_SA_INIT" },
            );
        }
        match self.accept(cx, core, msg, sent) {
            Ok(()) => {
                core.float_if_due(cx);
                crate::exchange::intermediate::next_step(cx, core, self.first)
            }
            Err(reason) if self.spent && self.retries < MAX_RETRIES => {
                // Our private half is used up: whoever answers next must answer the new public value.
                (self.spent, self.retries) = (false, self.retries.saturating_add(1));
                cx.out.event(Event::Noted { sa: Some(core.id), path: msg.path, reason });
                let draft = self.draft(cx, core);
                Step::Next(InFlight::SaInit(self), draft)
            }
            Err(reason) => Step::Doubt(InFlight::SaInit(self), reason),
        }
    }

    /// What we ask for beyond RFC 7296.
    fn wants(&self, cx: &Cx<'_>, core: &SaCore) -> Beyond {
        let own = crate::exchange::ppk::may_have(cx, &core.profile);
        let (auth, intermediate) = ppk::allowed(&core.profile);
        let additional = self.offered(core).iter().any(Proposal::has_addke);
        Beyond {
            intermediate: additional || (own && intermediate),
            ppk_auth: own && auth,
            ppk_intermediate: own && intermediate,
            transcript: core.profile.transcript_auth != TranscriptAuth::Off,
        }
    }

    fn with_cookie(
        mut self: Box<Self>,
        cx: &mut Cx<'_>,
        core: &SaCore,
        cookie: Vec<u8>,
        puzzle: Option<Puzzle>,
    ) -> Step {
        if cookie.is_empty()
            || cookie.len() > 64
            || self.retries >= MAX_RETRIES
            || self.cookie.as_ref() == Some(&cookie)
        {
            return Step::Ignore(InFlight::SaInit(self));
        }
        self.retries = self.retries.saturating_add(1);
        (self.cookie, self.spent) = (Some(cookie), false);
        // Without a solution the cookie alone may still be let in (RFC 8019 §7.1.2).
        self.solution = puzzle.and_then(|p| puzzle::solve(cx.crypto, &p));
        let draft = self.draft(cx, core);
        Step::Next(InFlight::SaInit(self), draft)
    }

    fn with_group(mut self: Box<Self>, cx: &mut Cx<'_>, core: &SaCore, group: Option<KeId>) -> Step {
        let offered = |g: &KeId| self.offered(core).iter().any(|p| p.ke.contains(g));
        let Some(group) = group.filter(offered).filter(|g| *g != self.group && self.retries < MAX_RETRIES) else {
            let reason = Reason::PeerRefused {
                notify: NotifyType::INVALID_KE_PAYLOAD,
                authenticated: false,
                during: "IKE_SA_INIT",
            };
            return Step::Doubt(InFlight::SaInit(self), reason);
        };
        match key_pair(cx, group) {
            Ok((secret, public)) => {
                self.retries = self.retries.saturating_add(1);
                (self.group, self.secret, self.public, self.spent) = (group, Some(secret), public, false);
                let draft = self.draft(cx, core);
                Step::Next(InFlight::SaInit(self), draft)
            }
            Err(reason) => Step::Fail(reason),
        }
    }

    /// Checks the answer and derives the keys. On an error nothing of `core` has changed, and the private half is
    /// still there for a better answer unless the peer's public value itself was bad.
    fn accept(&mut self, cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>, sent: &[u8]) -> Result<(), Reason> {
        let parts = Parts::read(msg)?;
        let spi_r = msg.header.responder_spi.0;
        if spi_r == 0 {
            return Err(Reason::Malformed {
                detail: "IKE_SA_INIT response with responder SPI 0 (RFC 7296 section 3.1)".to_string(),
            });
        }
        let chosen = negotiate::verify_answer(self.offered(core), parts.sa)?;
        let suite =
            IkeSuite::resolve(cx.crypto, &chosen).ok_or(Reason::Crypto(ravelin_crypto::CryptoError::Unsupported))?;
        if chosen.ke != Some(self.group) || parts.ke.method != self.group {
            let detail =
                format!("expected method {}, the peer chose {:?} and sent {}", self.group, chosen.ke, parts.ke.method);
            return Err(Reason::BadKeyExchange { detail });
        }
        let agreed = agreed(cx, core, msg, spi_r, self.wants(cx, core));
        check_required(core, &agreed, !chosen.addke.is_empty())?;
        // The private half can be used once, so that all other checks come first.
        let used = || Reason::BadKeyExchange { detail: "a first answer had a bad public value".to_string() };
        let secret = self.secret.take().ok_or_else(used)?;
        let shared = match secret.0.finish(&parts.ke.data) {
            Ok(shared) => shared,
            Err(e) => {
                // A fresh pair stands in for the one that was used up.
                let (fresh, public) = key_pair(cx, self.group)?;
                (self.secret, self.public, self.spent) = (Some(fresh), public, true);
                return Err(Reason::BadKeyExchange { detail: format!("{}: {e}", self.group) });
            }
        };
        core.agreed = agreed;
        let puzzle = msg.payloads.notify_data::<Puzzle>().ok().flatten();
        let solution = puzzle.and_then(|p| puzzle::solve(cx.crypto, &puzzle::of_ike_auth(p, parts.nonce, spi_r)));
        core.opening = Opening {
            ni: self.ni.clone(),
            nr: parts.nonce.to_vec(),
            message1: sent.to_vec(),
            message2: msg.raw.to_vec(),
            solution: solution.map(|s| (s, None)),
            ..Opening::default()
        }
        .into();
        core.spi_r = spi_r;
        derive(cx, core, suite, &shared)
    }
}

impl SaCore {
    /// Moves to port 4500 when a NAT was found, is pretended, or MOBIKE may be used (RFC 4555 §3.3).
    fn float_if_due(&mut self, cx: &Cx<'_>) {
        if self.agreed.nat.any() || self.forces_encapsulation() || (self.profile.mobike && self.agreed.nat.supported) {
            self.float(cx.config);
        }
    }
}
