//! The initiator's half of a Child SA: the offer, and what the answer makes of it (RFC 7296 §1.3.1, §2.9).

use super::install::{Material, Plan, conclude};
use super::proposals::{configured, offered};
use super::selectors::{carries_fragments, from_wire, to_wire};
use super::{ChildFailure, configuration, is_full, mode_notifies, protecting, tfc_allowed};
use crate::error::Reason;
use crate::exchange::nat_transport::{self, Ends};
use crate::exchange::sa_init::{SecretHalf, key_pair};
use crate::exchange::{Cx, Draft, Inbound, SaCore, configure, notify, pairs};
use crate::negotiate::{self, Chosen, Narrowed, Offered, selectors};
use crate::registry::NotifyType;
use crate::wire::payload::{KeyExchange, Payload};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ravelin_crypto::KeId;
use ravelin_sa_db::proposal::Proposal;
use ravelin_sa_db::spd::Policy;
use ravelin_sa_db::{AddrRange, ChildId, Mode, PacketKey, PolicyId, PortRange, Spi, TrafficSelector};

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
    make_offer(cx, core, policy, proposals, (local_ts, remote_ts), mode, None)
}

/// Offers a Child SA for one pair of addresses, as SINGLE_PAIR_REQUIRED asks for (RFC 7296 §2.9).
///
/// # Errors
/// As for [`offer`], and when the policy has no such pair.
pub fn offer_pair(
    cx: &mut Cx<'_>,
    core: &SaCore,
    policy: PolicyId,
    packet: Option<PacketKey>,
) -> Result<(ChildOffer, Draft), Reason> {
    let policy = protecting(cx, policy)?;
    let (local, remote) = configure::sides(core, &policy);
    let sides = pairs::single((&local, &remote), packet).ok_or_else(|| {
        configuration("the peer wants one pair of addresses (RFC 7296 section 2.9); the policy has none")
    })?;
    let mode = policy.protect().map_or(Mode::Tunnel, |p| p.mode);
    let proposals = offered(cx, core, &policy, true);
    make_offer(cx, core, policy, proposals, sides, mode, None)
}

/// Offers the same again: selectors and mode that are in use, by the policy as it is now (RFC 7296 §1.3.3, §2.9.2).
///
/// # Errors
/// When the pair or its policy is gone, or the policy is not usable with the provider.
pub fn offer_again(cx: &mut Cx<'_>, core: &SaCore, old: ChildId) -> Result<(ChildOffer, Draft), Reason> {
    let child = core.child(old).ok_or_else(|| configuration("the Child SA is gone"))?;
    let policy = protecting(cx, child.policy)?;
    let proposals = offered(cx, core, &policy, true);
    let sides = (child.local_ts.to_vec(), child.remote_ts.to_vec());
    make_offer(cx, core, policy, proposals, sides, child.mode, Some(old))
}

fn make_offer(
    cx: &mut Cx<'_>,
    core: &SaCore,
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
    let foreign = mode == Mode::Transport && nat_transport::is_foreign(core, &local_ts, &remote_ts);
    let mode = if foreign { Mode::Tunnel } else { mode };
    let offer = ChildOffer { policy, spi_in, proposals, local_ts, remote_ts, mode, ke, replaces };
    let draft = offer.draft(public);
    Ok((offer, draft))
}

/// Puts the packet's own selector in front.
fn lead_with(list: &mut Vec<TrafficSelector>, addr: ::core::net::IpAddr, protocol: u8, port: Option<u16>) {
    let ports = port.map_or(PortRange::ANY, |p| PortRange::Range(p, p));
    let own = TrafficSelector { addrs: AddrRange::host(addr), protocol, ports };
    if list.first() != Some(&own) {
        list.insert(0, own);
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
    match agree(cx, core, &offer, msg) {
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
pub fn agree(cx: &Cx<'_>, core: &SaCore, offer: &ChildOffer, msg: &Inbound<'_>) -> Result<Plan, ChildFailure> {
    let (chosen, narrowed, mode, named) = check_answer(core, offer, msg)?;
    if let Some(rival) = named.and_then(|_| cx.common.translated.rival(core, &narrowed.local, &narrowed.remote)) {
        return Err(ChildFailure::broken(rival));
    }
    let policy = Arc::clone(&offer.policy);
    let (spi_in, tfc) = (offer.spi_in, tfc_allowed(msg));
    Ok(Plan { policy, spi_in, chosen, narrowed, mode, named, initiator: true, tfc })
}

/// What was chosen, for which selectors, in which mode; in transport mode behind a NAT with what the peer named.
type Answered = (Chosen, Narrowed, Mode, Option<Ends>);

fn check_answer(core: &SaCore, offer: &ChildOffer, msg: &Inbound<'_>) -> Result<Answered, ChildFailure> {
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
    // Asked for transport mode and not granted: the peer made a tunnel SA (RFC 7296 §1.3.1).
    let granted = p.notify(NotifyType::USE_TRANSPORT_MODE).is_some();
    let mode = if offer.mode == Mode::Transport && !granted { Mode::Tunnel } else { offer.mode };
    let (mut local, mut remote) = (from_wire(tsi), from_wire(tsr));
    let mut named = None;
    if mode == Mode::Transport
        && let Some(seen) = nat_transport::as_seen(core, &local, &remote)
    {
        // The peer answers with the addresses that it sees (RFC 7296 §2.23.1).
        (local, remote, named) = (seen.local, seen.remote, Some(seen.named));
    }
    let foreign = mode == Mode::Transport && nat_transport::is_foreign(core, &local, &remote);
    if foreign || !selectors::is_subset(&local, &offer.local_ts) || !selectors::is_subset(&remote, &offer.remote_ts) {
        let ours = selectors::describe(&offer.local_ts, &offer.remote_ts);
        return Err(ChildFailure::broken(Reason::NoSelectors { ours, theirs: selectors::describe(&local, &remote) }));
    }
    let cut = *local != *offer.local_ts || *remote != *offer.remote_ts;
    Ok((chosen, Narrowed { local, remote, cut }, mode, named))
}
