//! Child SAs (RFC 7296 §1.3, §2.9, §2.17): the offer, the answer and the installation that IKE_AUTH and
//! CREATE_CHILD_SA have in common. Inbound is installed before the message that lets the peer use it is sent.

use super::sa_init::{SecretHalf, key_pair, offers};
use super::{Child, ChildState, Cx, Draft, Effect, Inbound, SaCore, configure, notify, pairs};
use crate::error::Reason;
use crate::event::{ChildEstablished, Event};
use crate::ext::ppk::mix_root;
use crate::ext::strength;
use crate::keys::{ChildKeyLengths, ChildKeys, child_keys};
use crate::negotiate::{self, Chosen, Narrowed, Offered, selectors};
use crate::registry::NotifyType;
use crate::seal::SealAlg;
use crate::wire::payload::{KeyExchange, Payload, Proposal as WireProposal, SecurityAssociation, TrafficSelectors, Ts};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ravelin_crypto::{EncrId, IntegId, KeId, Secret, SnId};
use ravelin_sa_db::proposal::Proposal;
use ravelin_sa_db::spd::{Policy, Protect, Tfc};
use ravelin_sa_db::{
    AddrRange, Change, ChildId, CipherSuite, Direction, Mode, PacketKey, PolicyId, PortRange, SaParams, Spi,
    TrafficSelector,
};

/// Our offer of a Child SA, on the wire.
#[derive(Debug)]
pub struct ChildOffer {
    policy: Arc<Policy>,
    spi_in: Spi,
    proposals: Offered,
    local_ts: Vec<TrafficSelector>,
    remote_ts: Vec<TrafficSelector>,
    mode: Mode,
    ke: Option<(KeId, SecretHalf)>,
    /// The pair that this one takes the place of (RFC 7296 §1.3.3).
    replaces: Option<ChildId>,
}

/// Why a Child SA was not made, and what the peer hears.
#[derive(Debug)]
pub struct ChildFailure {
    /// For the peer.
    pub notify: NotifyType,
    /// Data of that notify.
    pub data: Vec<u8>,
    /// For the operator.
    pub reason: Reason,
    /// As initiator: the peer believes that the SA is up, or broke the protocol; it cannot be left so.
    pub must_delete: bool,
}

impl ChildFailure {
    pub(crate) fn new(notify: NotifyType, reason: Reason) -> Self {
        Self { notify, data: Vec::new(), reason, must_delete: false }
    }

    pub(super) fn broken(reason: Reason) -> Self {
        Self { notify: NotifyType::INVALID_SYNTAX, data: Vec::new(), reason, must_delete: true }
    }
}

impl ChildOffer {
    /// The policy that it is for.
    #[must_use]
    pub fn policy(&self) -> PolicyId {
        self.policy.id
    }

    /// Our reserved SPI.
    #[must_use]
    pub fn spi_in(&self) -> Spi {
        self.spi_in
    }

    /// The method of our KE payload, if there is one.
    #[must_use]
    pub fn group(&self) -> Option<KeId> {
        self.ke.as_ref().map(|(id, _)| *id)
    }

    /// Takes the private half out, to finish the exchange with.
    pub fn take_secret(&mut self) -> Option<(KeId, SecretHalf)> {
        self.ke.take()
    }

    /// The pair that this one is to take the place of.
    #[must_use]
    pub fn replaces(&self) -> Option<ChildId> {
        self.replaces
    }

    /// What is offered.
    fn proposals(&self) -> &[Proposal] {
        self.proposals.get(configured(&self.policy))
    }

    /// The same offer with a public value of another method, as INVALID_KE_PAYLOAD asks for (RFC 7296 §1.3.1).
    ///
    /// # Errors
    /// When that method was not offered or the provider lacks it.
    pub fn regroup(&mut self, cx: &mut Cx<'_>, group: KeId) -> Result<Draft, Reason> {
        if !self.proposals().iter().any(|p| p.ke.contains(&group)) {
            let detail = alloc::format!("the peer asks for {group}, which was not offered");
            return Err(Reason::BadKeyExchange { detail });
        }
        let (secret, public) = key_pair(cx, group)?;
        self.ke = Some((group, secret));
        Ok(self.draft(Some(KeyExchange::new(group, public))))
    }

    fn draft(&self, ke: Option<KeyExchange>) -> Draft {
        let mut draft = Draft::with_capacity(8);
        draft.push(Payload::Sa(negotiate::offer(self.proposals(), &self.spi_in.to_be_bytes())));
        draft.extend(ke.map(Payload::Ke));
        draft.push(Payload::TsInitiator(to_wire(&self.local_ts)));
        draft.push(Payload::TsResponder(to_wire(&self.remote_ts)));
        if let Some(protect) = self.policy.protect() {
            mode_notifies(protect, self.mode, &mut draft);
        }
        if carries_fragments(self.mode, &self.local_ts, &self.remote_ts) {
            draft.push(notify(NotifyType::NON_FIRST_FRAGMENTS_ALSO, Vec::new()));
        }
        draft
    }

    /// Frees the reserved SPI of an offer that came to nothing.
    pub fn give_back(&self, cx: &Cx<'_>) {
        cx.db.spis.release(self.spi_in);
    }
}

/// Offers a Child SA for `policy`. With `packet` its own selectors stand first (RFC 7296 §2.9). `with_ke` asks for a
/// key exchange of its own where the policy names one; IKE_AUTH has none.
///
/// # Errors
/// When the policy is gone, not of this peer, or not usable with the provider.
pub fn offer(
    cx: &mut Cx<'_>,
    core: &SaCore,
    policy: PolicyId,
    packet: Option<PacketKey>,
    with_ke: bool,
) -> Result<(ChildOffer, Draft), Reason> {
    if is_full(cx, core) {
        return Err(Reason::Limit { what: "Child SAs per IKE SA" });
    }
    let policy = protecting(cx, policy)?;
    let fixed = !policy.local.is_empty() && !policy.remote.is_empty();
    let (mut local_ts, mut remote_ts) =
        packet.filter(|_| fixed).map_or_else(|| configure::sides(core, &policy), |p| policy.selectors_for(&p));
    if let Some(p) = packet {
        lead_with(&mut local_ts, p.local, p.protocol, p.local_port);
        lead_with(&mut remote_ts, p.remote, p.protocol, p.remote_port);
    }
    let mode = policy.protect().map_or(Mode::Tunnel, |p| p.mode);
    let proposals = offered(cx, core, &policy, with_ke);
    make_offer(cx, policy, proposals, (local_ts, remote_ts), mode, None)
}

/// Offers the same again: selectors and mode that are in use, by the policy as it is now (RFC 7296 §1.3.3, §2.9.2).
///
/// # Errors
/// When the pair or its policy is gone, or the policy is not usable with the provider.
pub fn offer_again(cx: &mut Cx<'_>, core: &SaCore, old: ChildId) -> Result<(ChildOffer, Draft), Reason> {
    let child = core.child(old).ok_or_else(|| configuration("the Child SA is gone"))?;
    let policy = protecting(cx, child.policy)?;
    let proposals = offered(cx, core, &policy, true);
    make_offer(cx, policy, proposals, (child.local_ts.to_vec(), child.remote_ts.to_vec()), child.mode, Some(old))
}

fn protecting(cx: &Cx<'_>, policy: PolicyId) -> Result<Arc<Policy>, Reason> {
    let policy = cx.db.spd.policy(policy).cloned().ok_or_else(|| configuration("the policy is gone"))?;
    if policy.protect().is_none() {
        return Err(configuration("the policy does not protect"));
    }
    Ok(policy)
}

fn make_offer(
    cx: &mut Cx<'_>,
    policy: Arc<Policy>,
    proposals: Offered,
    (local_ts, remote_ts): (Vec<TrafficSelector>, Vec<TrafficSelector>),
    mode: Mode,
    replaces: Option<ChildId>,
) -> Result<(ChildOffer, Draft), Reason> {
    let offered = proposals.get(configured(&policy));
    if offered.is_empty() {
        return Err(configuration("no ESP proposal of the policy is usable with this provider"));
    }
    let group = offered.iter().flat_map(|p| p.ke.iter().copied()).find(|k| *k != KeId::NONE);
    let own = group.map(|g| key_pair(cx, g).map(|(secret, public)| (g, secret, public))).transpose()?;
    let spi_in = cx.db.spis.reserve(cx.rng).ok_or(Reason::Limit { what: "free SPIs" })?;
    let (ke, public) = match own {
        Some((g, secret, public)) => (Some((g, secret)), Some(KeyExchange::new(g, public))),
        None => (None, None),
    };
    let offer = ChildOffer { policy, spi_in, proposals, local_ts, remote_ts, mode, ke, replaces };
    let draft = offer.draft(public);
    Ok((offer, draft))
}

fn configuration(detail: &str) -> Reason {
    Reason::Configuration { detail: detail.to_string() }
}

/// Proposals reduced to what the provider has; without key exchanges in IKE_AUTH, whose Child SA has none of its own.
fn usable(cx: &Cx<'_>, proposals: &[Proposal], with_ke: bool) -> Vec<Proposal> {
    let strip = |p: &Proposal| {
        let mut p = p.clone();
        if !with_ke {
            p.ke.clear();
            p.addke = Default::default();
        }
        p.supported_by(cx.crypto)
    };
    proposals.iter().filter_map(strip).collect()
}

/// The proposals of a policy.
fn configured(policy: &Policy) -> &[Proposal] {
    policy.protect().map_or(&[][..], |p| &p.proposals)
}

/// What is offered for a policy.
fn offered(cx: &Cx<'_>, core: &SaCore, policy: &Policy, with_ke: bool) -> Offered {
    let configured = configured(policy);
    let make = || {
        let mut proposals = if with_ke { offers(cx, configured) } else { usable(cx, configured, false) };
        cap(core, &mut proposals);
        proposals
    };
    Offered::of(configured, |p| !p.has_addke() && stands(cx, core, p, with_ke), make)
}

/// What is taken for a policy.
fn accepted(cx: &Cx<'_>, core: &SaCore, proposals: &[Proposal], with_ke: bool) -> Offered {
    let make = || {
        let mut proposals = usable(cx, proposals, with_ke);
        cap(core, &mut proposals);
        proposals
    };
    Offered::of(proposals, |p| stands(cx, core, p, with_ke), make)
}

/// True when [`usable`] and [`cap`] would change nothing.
fn stands(cx: &Cx<'_>, core: &SaCore, p: &Proposal, with_ke: bool) -> bool {
    !core.profile.strength_rule && (with_ke || (p.ke.is_empty() && !p.has_addke())) && p.is_supported_by(cx.crypto)
}

/// Takes out what is stronger than the IKE SA, where the PAD entry wants that.
fn cap(core: &SaCore, proposals: &mut Vec<Proposal>) {
    if let Some(suite) = core.suite.as_ref().filter(|_| core.profile.strength_rule) {
        strength::cap(suite.encr, proposals);
    }
}

/// Puts the packet's own selector in front.
fn lead_with(list: &mut Vec<TrafficSelector>, addr: ::core::net::IpAddr, protocol: u8, port: Option<u16>) {
    let ports = port.map_or(PortRange::ANY, |p| PortRange::Range(p, p));
    let own = TrafficSelector { addrs: AddrRange::host(addr), protocol, ports };
    if list.first() != Some(&own) {
        list.insert(0, own);
    }
}

/// True when non-first fragments, which have no ports, pass the selectors of a tunnel as they are. Then we ask for them
/// and agree to them; on SAs with ports we do neither, and they are not sent (RFC 4301 §7.3).
fn carries_fragments(mode: Mode, local: &[TrafficSelector], remote: &[TrafficSelector]) -> bool {
    let portless = |ts: &TrafficSelector| ts.ports.is_any() || ts.ports == PortRange::Opaque;
    mode == Mode::Tunnel && local.iter().chain(remote).all(portless)
}

fn mode_notifies(protect: &Protect, mode: Mode, draft: &mut Draft) {
    if mode == Mode::Transport {
        draft.push(notify(NotifyType::USE_TRANSPORT_MODE, Vec::new()));
    }
    if protect.tfc == Tfc::None {
        draft.push(notify(NotifyType::ESP_TFC_PADDING_NOT_SUPPORTED, Vec::new()));
    }
}

/// As initiator of IKE_AUTH: checks the answer, derives keys, installs. `ni`, `nr` are those of IKE_SA_INIT.
///
/// # Errors
/// A [`ChildFailure`]; the reserved SPI is free again.
pub fn accept(
    cx: &mut Cx<'_>,
    core: &mut SaCore,
    offer: ChildOffer,
    msg: &Inbound<'_>,
    ni: &[u8],
    nr: &[u8],
) -> Result<ChildId, ChildFailure> {
    match agree(&offer, msg) {
        Ok(plan) => conclude(cx, core, plan, &Material { ni, nr, shared: &[], ppk: None }),
        Err(failure) => {
            offer.give_back(cx);
            Err(failure)
        }
    }
}

/// As initiator: what the answer makes of our offer.
///
/// # Errors
/// A [`ChildFailure`]; the SPI is still reserved.
pub fn agree(offer: &ChildOffer, msg: &Inbound<'_>) -> Result<Plan, ChildFailure> {
    let (chosen, narrowed, mode) = check_answer(offer, msg)?;
    let policy = Arc::clone(&offer.policy);
    let (spi_in, tfc) = (offer.spi_in, tfc_allowed(msg));
    Ok(Plan { policy, spi_in, chosen, narrowed, mode, initiator: true, tfc })
}

/// Derives the keys and installs both directions.
///
/// # Errors
/// A [`ChildFailure`]; the reserved SPI is free again.
pub fn conclude(
    cx: &mut Cx<'_>,
    core: &mut SaCore,
    plan: Plan,
    material: &Material<'_>,
) -> Result<ChildId, ChildFailure> {
    let spi_in = plan.spi_in;
    let result = install(cx, core, plan, material);
    if result.is_err() {
        cx.db.spis.release(spi_in);
    }
    result
}

fn tfc_allowed(msg: &Inbound<'_>) -> bool {
    msg.notify(NotifyType::ESP_TFC_PADDING_NOT_SUPPORTED).is_none()
}

fn check_answer(offer: &ChildOffer, msg: &Inbound<'_>) -> Result<(Chosen, Narrowed, Mode), ChildFailure> {
    let p = &msg.payloads;
    let (Some(sa), Some(tsi), Some(tsr)) = (p.sa(), p.ts_initiator(), p.ts_responder()) else {
        let notify = p.error().map_or(NotifyType::NO_PROPOSAL_CHOSEN, |n| n.kind);
        return Err(ChildFailure::new(
            notify,
            Reason::PeerRefused { notify, authenticated: true, during: "the negotiation of a Child SA" },
        ));
    };
    let chosen = negotiate::verify_answer(offer.proposals(), sa).map_err(ChildFailure::broken)?;
    if chosen.ke.is_none() && !chosen.addke.is_empty() {
        let detail = "additional key exchanges without a first one (RFC 9370 section 2.2.4)".to_string();
        return Err(ChildFailure::broken(Reason::BadKeyExchange { detail }));
    }
    let (local, remote) = (from_wire(tsi), from_wire(tsr));
    if !selectors::is_subset(&local, &offer.local_ts) || !selectors::is_subset(&remote, &offer.remote_ts) {
        let ours = selectors::describe(&offer.local_ts, &offer.remote_ts);
        return Err(ChildFailure::broken(Reason::NoSelectors { ours, theirs: selectors::describe(&local, &remote) }));
    }
    // Asked for transport mode and not granted: the peer made a tunnel SA (RFC 7296 §1.3.1).
    let granted = p.notify(NotifyType::USE_TRANSPORT_MODE).is_some();
    let mode = if offer.mode == Mode::Transport && !granted { Mode::Tunnel } else { offer.mode };
    let cut = local != offer.local_ts || remote != offer.remote_ts;
    Ok((chosen, Narrowed { local, remote, cut }, mode))
}

/// As responder of IKE_AUTH: finds a policy, narrows, chooses, derives keys, installs, and gives the payloads of the
/// answer.
///
/// # Errors
/// A [`ChildFailure`] with the notify for the peer.
pub fn answer(
    cx: &mut Cx<'_>,
    core: &mut SaCore,
    msg: &Inbound<'_>,
    ni: &[u8],
    nr: &[u8],
) -> Result<Draft, ChildFailure> {
    let Prepared { draft, plan, shared } = prepare(cx, core, msg, None, false)?;
    conclude(cx, core, plan, &Material { ni, nr, shared: &shared, ppk: None })?;
    Ok(draft)
}

/// True when the IKE SA has as many Child SAs as it may; those that are replaced already do not count.
#[must_use]
pub fn is_full(cx: &Cx<'_>, core: &SaCore) -> bool {
    let limit = cx.config.max_children.min(core.profile.max_children);
    let there = core.children.iter().filter(|c| c.state == ChildState::Installed && c.successor.is_none()).count();
    there.saturating_add(core.unfinished.len()) >= usize::from(limit)
}

/// What a responder has agreed to, before there are keys.
#[derive(Debug)]
pub struct Prepared {
    /// SA, KE, TS and notify payloads of the answer.
    pub draft: Draft,
    /// What is to be installed.
    pub plan: Plan,
    /// The secret of the key exchange, when there is one.
    pub shared: Vec<Secret>,
}

/// As responder: finds a policy (that of `old`, when the new pair is to take its place, RFC 7296 §1.3.3), narrows and
/// chooses. `with_ke`: CREATE_CHILD_SA, which may have key exchanges of its own.
///
/// # Errors
/// A [`ChildFailure`] with the notify for the peer.
pub fn prepare(
    cx: &mut Cx<'_>,
    core: &SaCore,
    msg: &Inbound<'_>,
    old: Option<ChildId>,
    with_ke: bool,
) -> Result<Prepared, ChildFailure> {
    if old.is_none() && is_full(cx, core) {
        return Err(ChildFailure::new(NotifyType::NO_ADDITIONAL_SAS, Reason::Limit { what: "Child SAs per IKE SA" }));
    }
    let p = &msg.payloads;
    let (Some(sa), Some(tsi), Some(tsr)) = (p.sa(), p.ts_initiator(), p.ts_responder()) else {
        let detail = "Child SA request without SA, TSi or TSr payload (RFC 7296 section 1.3.1)".to_string();
        return Err(ChildFailure::new(NotifyType::INVALID_SYNTAX, Reason::Malformed { detail }));
    };
    let (local, remote) = (from_wire(tsr), core.profile.constrain(&from_wire(tsi)));
    let (policy, narrowed) = match old.and_then(|old| same_policy(cx, core, old, &local, &remote)) {
        Some(found) => found,
        None => {
            let (policy, narrowed) = find_policy(cx, core, &local, &remote)?;
            let narrowed = pairs::by_packet(core, &policy, narrowed, (&local, &remote))?;
            (policy, narrowed)
        }
    };
    let more = pairs::more_possible(cx.db, core, &policy, &narrowed, (&local, &remote));
    let protect = policy
        .protect()
        .ok_or_else(|| ChildFailure::new(NotifyType::TS_UNACCEPTABLE, configuration("the policy does not protect")))?;
    let ours = accepted(cx, core, &protect.proposals, with_ke);
    let group = p.ke().map(|k| k.method);
    let mut chosen = negotiate::choose(ours.get(&protect.proposals), sa, group, cx.config.prefer_own)
        .map_err(|r| ChildFailure::new(NotifyType::NO_PROPOSAL_CHOSEN, r))?;
    let (public, shared) = respond_ke(cx, &chosen, p.ke(), with_ke)?;
    let wants_transport = p.notify(NotifyType::USE_TRANSPORT_MODE).is_some();
    let mode = match protect.mode {
        Mode::Transport if !wants_transport => Mode::Tunnel,
        mode => mode,
    };
    let spi_in = cx
        .db
        .spis
        .reserve(cx.rng)
        .ok_or_else(|| ChildFailure::new(NotifyType::NO_ADDITIONAL_SAS, Reason::Limit { what: "free SPIs" }))?;
    let spi = spi_in.to_be_bytes().to_vec();
    let (number, protocol, transforms) =
        (chosen.answer.number, chosen.answer.protocol, ::core::mem::take(&mut chosen.answer.transforms));
    let answer = WireProposal::new(number, protocol, spi, transforms);
    let mut draft = Draft::with_capacity(8);
    draft.push(Payload::Sa(SecurityAssociation::new(alloc::vec![answer])));
    draft.extend(public);
    draft.push(Payload::TsInitiator(to_wire(&narrowed.remote)));
    draft.push(Payload::TsResponder(to_wire(&narrowed.local)));
    mode_notifies(protect, mode, &mut draft);
    if more {
        draft.push(notify(NotifyType::ADDITIONAL_TS_POSSIBLE, Vec::new()));
    }
    if p.notify(NotifyType::NON_FIRST_FRAGMENTS_ALSO).is_some()
        && carries_fragments(mode, &narrowed.local, &narrowed.remote)
    {
        draft.push(notify(NotifyType::NON_FIRST_FRAGMENTS_ALSO, Vec::new()));
    }
    let plan =
        Plan { policy: Arc::clone(&policy), spi_in, chosen, narrowed, mode, initiator: false, tfc: tfc_allowed(msg) };
    Ok(Prepared { draft, plan, shared })
}

/// The responder's half of a key exchange of the Child SA's own (RFC 7296 §1.3.1).
fn respond_ke(
    cx: &mut Cx<'_>,
    chosen: &Chosen,
    ke: Option<&KeyExchange>,
    with_ke: bool,
) -> Result<(Option<Payload>, Vec<Secret>), ChildFailure> {
    let Some(group) = chosen.ke.filter(|_| with_ke) else {
        if with_ke && !chosen.addke.is_empty() {
            let detail = "additional key exchanges without a first one (RFC 9370 section 2.2.4)".to_string();
            return Err(ChildFailure::new(NotifyType::NO_PROPOSAL_CHOSEN, Reason::BadKeyExchange { detail }));
        }
        return Ok((None, Vec::new()));
    };
    let wrong = |reason| ChildFailure {
        notify: NotifyType::INVALID_KE_PAYLOAD,
        data: group.0.to_be_bytes().to_vec(),
        reason,
        must_delete: false,
    };
    let Some(ke) = ke.filter(|k| k.method == group) else {
        return Err(wrong(Reason::BadKeyExchange { detail: alloc::format!("asked for {group}") }));
    };
    let unsupported =
        ChildFailure::new(NotifyType::NO_PROPOSAL_CHOSEN, Reason::Crypto(ravelin_crypto::CryptoError::Unsupported));
    let method = cx.crypto.ke(group).ok_or(unsupported)?;
    let bad = |e| {
        ChildFailure::new(NotifyType::INVALID_SYNTAX, Reason::BadKeyExchange { detail: alloc::format!("{group}: {e}") })
    };
    let (public, shared) = method.respond(cx.rng, &ke.data).map_err(bad)?;
    Ok((Some(Payload::Ke(KeyExchange::new(group, public))), alloc::vec![shared]))
}

/// The policy that a pair serves, when it still serves what is asked for in its place.
fn same_policy(
    cx: &Cx<'_>,
    core: &SaCore,
    old: ChildId,
    local: &[TrafficSelector],
    remote: &[TrafficSelector],
) -> Option<(Arc<Policy>, Narrowed)> {
    let policy = protecting(cx, core.child(old)?.policy).ok()?;
    let allowed = core.profile.constrain(remote);
    let narrowed = negotiate::narrow(&policy.local, &policy.remote, local, &allowed)?;
    Some((policy, narrowed))
}

/// The policy of this peer that serves what was asked for: one that takes all of it, else the first that takes a part.
fn find_policy(
    cx: &Cx<'_>,
    core: &SaCore,
    local: &[TrafficSelector],
    remote: &[TrafficSelector],
) -> Result<(Arc<Policy>, Narrowed), ChildFailure> {
    let peer = core.peer.ok_or_else(|| ChildFailure::new(NotifyType::TS_UNACCEPTABLE, configuration("no peer")))?;
    let mut part: Option<(Arc<Policy>, Narrowed)> = None;
    for policy in cx.db.spd.policies_of(peer) {
        if policy.protect().is_none() {
            continue;
        }
        let (ours, theirs) = configure::sides(core, policy);
        match negotiate::narrow(&ours, &theirs, local, remote) {
            Some(n) if !n.cut => return Ok((Arc::clone(policy), n)),
            Some(n) if part.is_none() => part = Some((Arc::clone(policy), n)),
            _ => {}
        }
    }
    part.ok_or_else(|| {
        let ours = cx
            .db
            .spd
            .policies_of(peer)
            .take(8)
            .map(|p| configure::sides(core, p))
            .map(|(l, r)| selectors::describe(&l, &r))
            .collect::<Vec<_>>()
            .join("; ");
        let theirs = selectors::describe(local, remote);
        ChildFailure::new(NotifyType::TS_UNACCEPTABLE, Reason::NoSelectors { ours, theirs })
    })
}

/// Everything that was agreed on for a Child SA; keys come later.
#[derive(Debug)]
pub struct Plan {
    policy: Arc<Policy>,
    spi_in: Spi,
    chosen: Chosen,
    narrowed: Narrowed,
    mode: Mode,
    /// We initiated the exchange that makes it.
    initiator: bool,
    tfc: bool,
}

impl Plan {
    /// The policy that it is for.
    #[must_use]
    pub fn policy(&self) -> PolicyId {
        self.policy.id
    }

    /// Additional key exchanges that are due before there are keys (RFC 9370).
    #[must_use]
    pub fn additional(&self) -> Vec<KeId> {
        self.chosen.addke.iter().map(|(_, ke)| *ke).collect()
    }

    /// Frees the SPI that is reserved for it.
    pub fn give_back(&self, cx: &Cx<'_>) {
        cx.db.spis.release(self.spi_in);
    }
}

/// What the keys of a Child SA are made from, besides SK_d.
#[derive(Clone, Copy, Debug)]
pub struct Material<'m> {
    /// Initiator's nonce.
    pub ni: &'m [u8],
    /// Responder's nonce.
    pub nr: &'m [u8],
    /// Secrets of its own key exchanges, in order; none without.
    pub shared: &'m [Secret],
    /// Mixed into SK_d (RFC 9867 §3.2).
    pub ppk: Option<&'m Secret>,
}

/// Derives the keys and hands both directions to the data plane, inbound first.
fn install(cx: &mut Cx<'_>, core: &mut SaCore, plan: Plan, material: &Material<'_>) -> Result<ChildId, ChildFailure> {
    let spi_out = plan.chosen.peer_spi.as_slice().try_into().ok().map(Spi::from_be_bytes);
    let spi_out = spi_out.filter(|s| !s.is_reserved()).ok_or_else(|| {
        ChildFailure::broken(Reason::Malformed {
            detail: "reserved SPI in a proposal (RFC 4303 section 2.1)".to_string(),
        })
    })?;
    if core.children.iter().any(|c| c.spi_out == spi_out) {
        let detail = alloc::format!("the peer uses SPI {spi_out} twice");
        return Err(ChildFailure {
            must_delete: true,
            ..ChildFailure::new(NotifyType::NO_PROPOSAL_CHOSEN, Reason::Unexpected { detail })
        });
    }
    let early = (core.early_deletes.contains(&spi_out) && plan.initiator)
        .then(|| ChildFailure::new(NotifyType::CHILD_SA_NOT_FOUND, Reason::PeerDeleted));
    if let Some(failure) = early {
        // Its Delete overtook the answer that made it: it is gone already on the other side.
        return Err(failure);
    }
    let keys = derive(cx, core, &plan.chosen, material)
        .map_err(|r| ChildFailure { must_delete: true, ..ChildFailure::new(NotifyType::NO_PROPOSAL_CHOSEN, r) })?;
    let id = cx.child_id();
    // Everybody who speaks of this pair shares them; our side is that of all peers of the policy.
    let (local_ts, remote_ts) = (cx.common.side(&plan.narrowed.local), Arc::from(&*plan.narrowed.remote));
    let (inbound, outbound) = both_directions(core, &plan, id, spi_out, keys, (&local_ts, &remote_ts));
    let (inbound, outbound) = (Arc::new(inbound), Arc::new(outbound));
    configure::bind(cx, core, &plan.policy, &plan.narrowed.local, &plan.narrowed.remote);
    cx.out.change(Change::InstallInbound(Arc::clone(&inbound)));
    cx.out.change(Change::InstallOutbound(Arc::clone(&outbound)));
    if cx.config.export_keys {
        cx.out.event(Event::ChildKeys { inbound: Arc::clone(&inbound), outbound });
    }
    let times = plan.policy.protect().map(|p| p.times).unwrap_or_default();
    let child = Child {
        id,
        policy: plan.policy.id,
        protocol: inbound.protocol,
        spi_in: plan.spi_in,
        spi_out,
        suite: cx.common.name(&plan.chosen),
        mode: plan.mode,
        encapsulation: inbound.encapsulation,
        local_ts,
        remote_ts,
        state: ChildState::Installed,
        sends: true,
        since: cx.now.mono,
        rekey_at: cx.due(times.rekey, times.jitter),
        expire_at: cx.due(times.hard, ::core::time::Duration::ZERO),
        successor: None,
    };
    cx.out.event(Event::ChildEstablished(Arc::new(ChildEstablished {
        sa: core.id,
        child: id,
        policy: child.policy,
        spi_in: child.spi_in,
        spi_out,
        proposal: child.suite.to_string(),
        mode: child.mode,
        local_ts: Arc::clone(&child.local_ts),
        remote_ts: Arc::clone(&child.remote_ts),
    })));
    core.children.reserve_exact(1);
    core.children.push(child);
    cx.effects.push(Effect::ChildUp(id));
    Ok(id)
}

fn derive(cx: &Cx<'_>, core: &SaCore, chosen: &Chosen, material: &Material<'_>) -> Result<ChildKeys, Reason> {
    let lengths = key_lengths(cx, chosen).ok_or(Reason::Crypto(ravelin_crypto::CryptoError::Unsupported))?;
    let suite = core.suite.as_ref().ok_or_else(|| configuration("no IKE keys"))?;
    let Material { ni, nr, shared, ppk } = *material;
    let mixed = ppk.map(|ppk| mix_root(suite.prf, ppk, core.keys.d())).transpose()?;
    Ok(child_keys(suite.prf, mixed.as_ref().map_or(core.keys.d(), Secret::expose), shared, ni, nr, lengths)?)
}

/// Key lengths of the negotiated suite; `None` when the provider lacks a part of it.
fn key_lengths(cx: &Cx<'_>, chosen: &Chosen) -> Option<ChildKeyLengths> {
    match chosen.encr {
        Some(encr) if encr.id != EncrId::NULL => {
            let alg = SealAlg::resolve(cx.crypto, encr, chosen.integ)?;
            Some(ChildKeyLengths { encr: alg.encr_len(), integ: alg.integ_len() })
        }
        _ => {
            let integ = if chosen.integ == IntegId::NONE { 0 } else { cx.crypto.integ(chosen.integ)?.key_len() };
            Some(ChildKeyLengths { encr: 0, integ })
        }
    }
}

/// Both halves as the data plane wants them.
fn both_directions(
    core: &SaCore,
    plan: &Plan,
    id: ravelin_sa_db::ChildId,
    spi_out: Spi,
    keys: ChildKeys,
    (local_ts, remote_ts): (&Arc<[TrafficSelector]>, &Arc<[TrafficSelector]>),
) -> (SaParams, SaParams) {
    let ChildKeys { encr_i, integ_i, encr_r, integ_r } = keys;
    let (out_keys, in_keys) =
        if plan.initiator { ((encr_i, integ_i), (encr_r, integ_r)) } else { ((encr_r, integ_r), (encr_i, integ_i)) };
    let encr = plan.chosen.encr.unwrap_or(ravelin_sa_db::EncrAlg { id: EncrId::NULL, key_bits: None });
    let suite = |(encr_key, integ_key)| CipherSuite {
        encr: encr.id,
        key_bits: encr.key_bits,
        integ: plan.chosen.integ,
        encr_key,
        integ_key,
    };
    let protect = plan.policy.protect();
    let make = |direction, spi, keys| SaParams {
        child: id,
        spi,
        direction,
        protocol: protect.map_or_else(Default::default, |p| p.protocol),
        mode: plan.mode,
        path: core.child_path(),
        encapsulation: core.encapsulation(),
        suite: suite(keys),
        esn: plan.chosen.sn == Some(SnId::PARTIAL_64),
        replay_window: protect.map_or(64, |p| p.replay_window),
        local_ts: Arc::clone(local_ts),
        remote_ts: Arc::clone(remote_ts),
        policy: plan.policy.id,
        lifetime: protect.map_or_else(Default::default, |p| p.lifetime),
        tfc_padding: plan.tfc,
        if_id: plan.policy.if_id,
        mark: plan.policy.mark.value,
        resource: Vec::new(),
    };
    (make(Direction::Inbound, plan.spi_in, in_keys), make(Direction::Outbound, spi_out, out_keys))
}

/// Selectors as a TS payload.
fn to_wire(list: &[TrafficSelector]) -> TrafficSelectors {
    TrafficSelectors::new(list.iter().take(255).map(one_to_wire).collect())
}

fn one_to_wire(ts: &TrafficSelector) -> Ts {
    let protocol = ts.protocol;
    let (start_port, end_port) = match ts.ports {
        PortRange::Range(a, b) => (a, b),
        PortRange::Opaque => (u16::MAX, 0),
    };
    match ts.addrs {
        AddrRange::V4(start, end) => Ts::Ipv4Range { protocol, start_port, end_port, start, end },
        AddrRange::V6(start, end) => Ts::Ipv6Range { protocol, start_port, end_port, start, end },
    }
}

/// A TS payload as selectors; unknown types and impossible ranges are left out, so that they never match.
fn from_wire(ts: &TrafficSelectors) -> Vec<TrafficSelector> {
    ts.selectors.iter().filter_map(one_from_wire).collect()
}

fn one_from_wire(ts: &Ts) -> Option<TrafficSelector> {
    let ports = |a: u16, b: u16| if a == u16::MAX && b == 0 { Some(PortRange::Opaque) } else { PortRange::new(a, b) };
    match ts {
        Ts::Ipv4Range { protocol, start_port, end_port, start, end } => Some(TrafficSelector {
            addrs: AddrRange::new((*start).into(), (*end).into())?,
            protocol: *protocol,
            ports: ports(*start_port, *end_port)?,
        }),
        Ts::Ipv6Range { protocol, start_port, end_port, start, end } => Some(TrafficSelector {
            addrs: AddrRange::new((*start).into(), (*end).into())?,
            protocol: *protocol,
            ports: ports(*start_port, *end_port)?,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4301 §7: a later fragment passes where ports do not matter, and where they are OPAQUE.
    #[test]
    fn fragments_pass_where_there_are_no_ports() {
        let ts = |s: &str| alloc::vec![s.parse::<TrafficSelector>().unwrap()];
        let (any, opaque, web) = (ts("10.0.1.0/24"), ts("10.0.1.0/24[tcp/opaque]"), ts("10.0.2.0/24[tcp/80]"));
        assert!(carries_fragments(Mode::Tunnel, &any, &opaque));
        assert!(!carries_fragments(Mode::Tunnel, &any, &web));
        assert!(!carries_fragments(Mode::Transport, &any, &any));
    }
}
