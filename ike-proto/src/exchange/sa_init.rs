//! IKE_SA_INIT (RFC 7296 §1.2, §2.6, §2.7, §3.4): proposals, key exchange, nonces; with COOKIE and INVALID_KE_PAYLOAD
//! retries, NAT detection (§2.23) and the notifies of the extensions that begin here.
//!
//! Nothing in this exchange is authenticated. An error answer never ends an attempt at once (§2.21.1).

use super::rare::Rare;
use super::{Agreed, Cx, Draft, IkeSuite, InFlight, Inbound, Opening, Pending, SaCore, Said, Step, notify};
use crate::auth::digital_signature;
use crate::error::Reason;
use crate::event::Event;
use crate::ext::ppk::{self, PpkUse};
use crate::ext::{natd, puzzle, sighash};
use crate::ids::Role;
use crate::keys::sk_schedule::{Seeds, SkKeys, skeyseed};
use crate::negotiate::{self, Offered};
use crate::registry::{NotifyType, ProtocolId};
use crate::wire::notify::{Announcement, NotifyData, Puzzle, SupportedAuthMethods};
use crate::wire::payload::{
    KeyExchange, Nonce, Payload, Proposal as WireProposal, PuzzleSolution, SecurityAssociation,
};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use ravelin_crypto::ke::KeSecret;
use ravelin_crypto::{KeId, Secret};
use ravelin_sa_db::pad::Childless;
use ravelin_sa_db::pad::TranscriptAuth;
use ravelin_sa_db::proposal::Proposal;
use ravelin_sa_db::{PacketKey, PolicyId};

/// Octets of our nonces: at least half the key size of any PRF (RFC 7296 §2.10).
pub const NONCE_LEN: usize = 32;
/// Octets of the first nonce of all. It is longer so that the request is not smaller than an answer that brings
/// certificate requests and notifies besides: a responder that gives no more than it got need not ask for a cookie.
const FIRST_NONCE_LEN: usize = 96;
/// Room for the payloads of a usual message.
const USUAL: usize = 12;
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

/// A private half whose `Debug` says nothing.
pub struct SecretHalf(pub Box<dyn KeSecret>);

impl ::core::fmt::Debug for SecretHalf {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        write!(f, "SecretHalf({})", self.0.id())
    }
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
                super::intermediate::next_step(cx, core, self.first)
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
        let own = super::ppk::may_have(cx, &core.profile);
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

/// The three payloads that every IKE_SA_INIT message has.
struct Parts<'m> {
    sa: &'m SecurityAssociation,
    ke: &'m KeyExchange,
    nonce: &'m [u8],
}

impl<'m> Parts<'m> {
    fn read(msg: &'m Inbound<'_>) -> Result<Self, Reason> {
        let (sa, ke, nonce) = (msg.payloads.sa(), msg.payloads.ke(), msg.payloads.nonce());
        match (sa, ke, nonce) {
            (Some(sa), Some(ke), Some(nonce)) => Ok(Self { sa, ke, nonce: &nonce.data }),
            _ => Err(Reason::Malformed {
                detail: "IKE_SA_INIT without SA, KE or Nonce payload (RFC 7296 section 1.2)".to_string(),
            }),
        }
    }
}

/// What the responder says to a request that it does not take. Nothing is kept of it.
#[derive(Debug)]
pub struct Refusal {
    /// The notify to answer with; none: silence.
    pub notify: Option<Payload>,
    /// For the operator.
    pub reason: Reason,
}

impl Refusal {
    /// Why an answer that is larger than its request was not sent.
    #[must_use]
    pub fn amplifies() -> Reason {
        Reason::Limit { what: "size of an answer to a source that is not proved" }
    }

    fn new(kind: NotifyType, data: Vec<u8>, reason: Reason) -> Self {
        Self { notify: Some(notify(kind, data)), reason }
    }
}

/// Answers a request: negotiates, derives the keys, fills `core`. The caller encodes the draft and stores the octets
/// in `core.opening.message2`.
///
/// # Errors
/// A [`Refusal`]; `core` must then be thrown away.
pub fn respond(cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>) -> Result<Draft, Refusal> {
    let parts = Parts::read(msg)
        .map_err(|reason| Refusal { notify: Some(notify(NotifyType::INVALID_SYNTAX, Vec::new())), reason })?;
    let intermediate = msg.notify(NotifyType::INTERMEDIATE_EXCHANGE_SUPPORTED).is_some();
    let ours = acceptable(cx, &core.profile.proposals, intermediate);
    let ours = ours.get(&core.profile.proposals);
    let mut chosen = match negotiate::choose(ours, parts.sa, Some(parts.ke.method), cx.config.prefer_own) {
        Ok(chosen) => chosen,
        Err(reason) => {
            // The operator is told when a notify is all that is missing.
            let with = acceptable(cx, &core.profile.proposals, true);
            let with = with.get(&core.profile.proposals);
            let only = !intermediate && negotiate::choose(with, parts.sa, Some(parts.ke.method), false).is_ok();
            let what = "INTERMEDIATE_EXCHANGE_SUPPORTED (RFC 9242), which the additional key exchange needs";
            let reason = if only { Reason::Downgrade { what: what.to_string() } } else { reason };
            return Err(Refusal::new(NotifyType::NO_PROPOSAL_CHOSEN, Vec::new(), reason));
        }
    };
    let group = chosen.ke.unwrap_or(KeId::NONE);
    if parts.ke.method != group {
        let reason = Reason::BadKeyExchange { detail: format!("asked for {group} instead of {}", parts.ke.method) };
        return Err(Refusal::new(NotifyType::INVALID_KE_PAYLOAD, group.0.to_be_bytes().to_vec(), reason));
    }
    let refuse = |reason| Refusal::new(NotifyType::INVALID_SYNTAX, Vec::new(), reason);
    let method = cx.crypto.ke(group).ok_or_else(|| refuse(Reason::Crypto(ravelin_crypto::CryptoError::Unsupported)))?;
    let suite = IkeSuite::resolve(cx.crypto, &chosen)
        .ok_or_else(|| refuse(Reason::Crypto(ravelin_crypto::CryptoError::Unsupported)))?;
    let (public, shared) = method
        .respond(cx.rng, &parts.ke.data)
        .map_err(|e| refuse(Reason::BadKeyExchange { detail: format!("{group}: {e}") }))?;
    let nr = cx.random(NONCE_LEN);
    let takes = takes(cx, core, msg);
    core.agreed = agreed(cx, core, msg, 0, takes);
    check_required(core, &core.agreed, !chosen.addke.is_empty()).map_err(refuse)?;
    core.opening =
        Opening { ni: parts.nonce.to_vec(), nr: nr.clone(), message1: msg.raw.to_vec(), ..Opening::default() }.into();
    derive(cx, core, suite, &shared).map_err(refuse)?;
    let mut draft = Draft::with_capacity(USUAL);
    let transforms = ::core::mem::take(&mut chosen.answer.transforms);
    let answer = WireProposal::new(chosen.answer.number, ProtocolId::IKE, Vec::new(), transforms);
    draft.push(Payload::Sa(SecurityAssociation::new(alloc::vec![answer])));
    draft.push(Payload::Ke(KeyExchange::new(group, public)));
    draft.push(Payload::Nonce(Nonce { data: nr }));
    extensions(cx, core, core.spi_r, &mut draft);
    draft.extend(takes.notifies());
    if core.profile.childless != Childless::Never {
        draft.push(notify(NotifyType::CHILDLESS_IKEV2_SUPPORTED, Vec::new()));
    }
    // Who can be met at this address may be asked for two authentications (RFC 4739 §2.1).
    if cx.db.pad.candidates(core.path.remote.ip()).take(64).any(|(_, p)| p.second.remote.is_some()) {
        draft.push(notify(NotifyType::MULTIPLE_AUTH_SUPPORTED, Vec::new()));
    }
    draft.extend(super::auth::certificate_request(cx, &core.profile));
    draft.extend(super::auth::announcements(cx, &core.profile));
    Ok(draft)
}

/// Fills `core` again from what was said: the request, our answer to it, and SKEYSEED.
///
/// # Errors
/// When the configuration does not allow any more what was answered.
pub fn resume(
    cx: &mut Cx<'_>,
    core: &mut SaCore,
    request: &Inbound<'_>,
    answer: &Inbound<'_>,
    seed: Secret,
) -> Result<(), Reason> {
    let (asked, said) = (Parts::read(request)?, Parts::read(answer)?);
    let intermediate = request.notify(NotifyType::INTERMEDIATE_EXCHANGE_SUPPORTED).is_some();
    let ours = acceptable(cx, &core.profile.proposals, intermediate);
    // The answer has one transform of each type: what was chosen.
    let ours = ours.get(&core.profile.proposals);
    let chosen = negotiate::choose(ours, said.sa, Some(said.ke.method), cx.config.prefer_own)?;
    let suite =
        IkeSuite::resolve(cx.crypto, &chosen).ok_or(Reason::Crypto(ravelin_crypto::CryptoError::Unsupported))?;
    core.agreed = agreed(cx, core, request, 0, Beyond::of(answer));
    core.opening = Opening {
        ni: asked.nonce.to_vec(),
        nr: said.nonce.to_vec(),
        message1: request.raw.to_vec(),
        message2: answer.raw.to_vec(),
        ..Opening::default()
    }
    .into();
    derive_from(cx, core, suite, seed)
}

/// [`offers`], as they are taken along.
fn offered(cx: &Cx<'_>, proposals: &[Proposal]) -> Offered {
    Offered::of(proposals, |p| !p.has_addke() && p.is_supported_by(cx.crypto), || offers(cx, proposals))
}

/// Our offer: what the provider has. A proposal with optional additional key exchanges stands twice, with them and
/// without, since peers before RFC 9370 refuse transform types that they do not know.
pub(super) fn offers(cx: &Cx<'_>, proposals: &[Proposal]) -> Vec<Proposal> {
    let mut out = Vec::new();
    for p in proposals.iter().filter_map(|p| p.supported_by(cx.crypto)) {
        let plain = p.without_addke();
        if p.has_addke() {
            let mut with = p;
            with.addke.iter_mut().for_each(|list| list.retain(|k| *k != KeId::NONE));
            out.push(with);
        }
        out.extend(plain);
    }
    out
}

/// What we take as responder; without IKE_INTERMEDIATE there are no additional key exchanges.
fn acceptable(cx: &Cx<'_>, proposals: &[Proposal], intermediate: bool) -> Offered {
    let keep = |p: &Proposal| {
        if intermediate { p.supported_by(cx.crypto) } else { p.without_addke()?.supported_by(cx.crypto) }
    };
    let whole = |p: &Proposal| (intermediate || !p.has_addke()) && p.is_supported_by(cx.crypto);
    Offered::of(proposals, whole, || proposals.iter().filter_map(keep).collect())
}

/// A fresh key pair of a method.
pub(crate) fn key_pair(cx: &mut Cx<'_>, group: KeId) -> Result<(SecretHalf, Vec<u8>), Reason> {
    let method = cx.crypto.ke(group).ok_or(Reason::Crypto(ravelin_crypto::CryptoError::Unsupported))?;
    let (secret, public) = method.initiate(cx.rng)?;
    Ok((SecretHalf(secret), public))
}

/// Extensions that are agreed on by a notify each way and change what AUTH covers or which keys there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Beyond {
    /// RFC 9242.
    intermediate: bool,
    /// RFC 8784.
    ppk_auth: bool,
    /// RFC 9867.
    ppk_intermediate: bool,
    /// Downgrade prevention.
    transcript: bool,
}

impl Beyond {
    fn of(msg: &Inbound<'_>) -> Self {
        let has = |kind| msg.notify(kind).is_some();
        Self {
            intermediate: has(NotifyType::INTERMEDIATE_EXCHANGE_SUPPORTED),
            ppk_auth: has(NotifyType::USE_PPK),
            ppk_intermediate: has(NotifyType::USE_PPK_INT),
            transcript: has(NotifyType::IKE_SA_INIT_FULL_TRANSCRIPT_AUTH),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            intermediate: self.intermediate && other.intermediate,
            ppk_auth: self.ppk_auth && other.ppk_auth,
            ppk_intermediate: self.ppk_intermediate && other.ppk_intermediate,
            transcript: self.transcript && other.transcript,
        }
    }

    fn notifies(self) -> impl Iterator<Item = Payload> {
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
fn takes(cx: &Cx<'_>, core: &SaCore, msg: &Inbound<'_>) -> Beyond {
    let asked = Beyond::of(msg);
    let have = super::ppk::may_know(cx, &core.profile);
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
fn check_required(core: &SaCore, agreed: &Agreed, additional: bool) -> Result<(), Reason> {
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
fn extensions(cx: &Cx<'_>, core: &SaCore, spi_r: u64, draft: &mut Draft) {
    draft.extend(natd::offer(cx.crypto, core.spi_i, spi_r, core.path, core.forces_encapsulation()));
    if core.profile.fragmentation {
        draft.push(notify(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED, Vec::new()));
    }
    let hashes = digital_signature::HASHES.iter().flat_map(|h| h.0.to_be_bytes()).collect();
    draft.push(notify(NotifyType::SIGNATURE_HASH_ALGORITHMS, hashes));
}

/// Reads the peer's notifies. `spi_r` is the responder's SPI as it stands in that message's hashes.
fn agreed(cx: &Cx<'_>, core: &SaCore, msg: &Inbound<'_>, spi_r: u64, own: Beyond) -> Agreed {
    let both = own.and(Beyond::of(msg));
    let (authorities, ocsp) = super::auth::requested(msg);
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

/// Derives SK_* of the initial IKE SA.
fn derive(cx: &mut Cx<'_>, core: &mut SaCore, suite: IkeSuite, shared: &Secret) -> Result<(), Reason> {
    let seed = skeyseed(suite.prf, &core.opening.ni, &core.opening.nr, shared);
    derive_from(cx, core, suite, seed)?;
    super::auth::export_handshake_keys(cx, core);
    Ok(())
}

fn derive_from(cx: &mut Cx<'_>, core: &mut SaCore, suite: IkeSuite, seed: Secret) -> Result<(), Reason> {
    let (ni, nr) = (&core.opening.ni, &core.opening.nr);
    core.keys =
        SkKeys::derive(suite.prf, suite.key_lengths(), &seed, Seeds { ni, nr, spi_i: core.spi_i, spi_r: core.spi_r })?;
    let pending = Pending { ke: suite.addke.clone(), ppk: core.agreed.ppk == PpkUse::Intermediate };
    core.pending = if pending == Pending::default() { Rare::default() } else { pending.into() };
    core.suite = Some(cx.common.suite(suite));
    if core.role == Role::Responder {
        core.opening.seed = Some(seed);
    }
    Ok(())
}
