//! What was agreed on becomes a pair of SAs: keys (RFC 7296 §2.17), inbound first, then outbound.

use super::{ChildFailure, configuration};
use crate::error::Reason;
use crate::event::{ChildEstablished, Event};
use crate::exchange::nat_transport::{self, Ends};
use crate::exchange::{Child, ChildState, Cx, Effect, SaCore, configure};
use crate::ext::ppk::mix_root;
use crate::keys::{ChildKeyLengths, ChildKeys, child_keys};
use crate::negotiate::{Chosen, Narrowed};
use crate::registry::NotifyType;
use crate::seal::SealAlg;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ravelin_crypto::{EncrId, IntegId, KeId, Secret, SnId};
use ravelin_sa_db::spd::Policy;
use ravelin_sa_db::{Change, ChildId, CipherSuite, Direction, Mode, PolicyId, SaParams, Spi, TrafficSelector};

/// Everything that was agreed on for a Child SA; keys come later.
#[derive(Debug)]
pub struct Plan {
    pub(super) policy: Arc<Policy>,
    pub(super) spi_in: Spi,
    pub(super) chosen: Chosen,
    pub(super) narrowed: Narrowed,
    pub(super) mode: Mode,
    /// In transport mode behind a NAT: the addresses that the peer named (RFC 7296 §2.23.1).
    pub(super) named: Option<Ends>,
    /// We initiated the exchange that makes it.
    pub(super) initiator: bool,
    pub(super) tfc: bool,
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
    let sides = match plan.named {
        None => (Arc::clone(&local_ts), Arc::clone(&remote_ts)),
        Some((l, r)) => {
            let (local, remote) = (nat_transport::with_host(&local_ts, l), nat_transport::with_host(&remote_ts, r));
            (cx.common.side(&local), Arc::from(&*remote))
        }
    };
    let (inbound, outbound) = both_directions(core, &plan, id, spi_out, keys, (&sides.0, &sides.1));
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
        suite: cx.common.child_name(&plan.chosen),
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
        stranded: false,
    };
    cx.out.event(Event::ChildEstablished(Arc::new(ChildEstablished {
        sa: core.id,
        child: id,
        policy: child.policy,
        spi_in: child.spi_in,
        spi_out,
        proposal: Arc::clone(&child.suite),
        mode: child.mode,
        local_ts: Arc::clone(&child.local_ts),
        remote_ts: Arc::clone(&child.remote_ts),
    })));
    if plan.named.is_some() {
        cx.common.translated.add(core, &child);
    }
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
