//! The SPD in a snapshot: policies in the order in which they are judged, what several share written once, copies bound
//! to leased addresses beside their originals.

use super::{Action, Directions, Mark, Policy, Priority, Protect, Spd};
use crate::pad::Pad;
use crate::snapshot::SnapshotError;
use crate::{PolicyId, TrafficSelector};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// All policies.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SpdSnapshot {
    /// Ways of protection; policies refer to them by index.
    pub protects: Vec<Protect>,
    /// In the order in which they are judged.
    pub policies: Vec<PolicySnapshot>,
    /// Copies with selectors filled in.
    pub bound: Vec<BoundSnapshot>,
    /// The last id that was given.
    pub last_id: u32,
}

/// One policy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PolicySnapshot {
    /// Its id.
    pub id: PolicyId,
    /// Its name.
    pub name: String,
    /// Its place.
    pub priority: Priority,
    /// Which way.
    pub directions: Directions,
    /// Our side.
    pub local: Vec<TrafficSelector>,
    /// The other side.
    pub remote: Vec<TrafficSelector>,
    /// What to do.
    pub action: ActionSnapshot,
    /// Routing instance.
    pub vrf: u32,
    /// Interface id; 0: none.
    pub if_id: u32,
    /// Packet mark.
    pub mark: Mark,
}

/// What a policy does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ActionSnapshot {
    /// [`Action::Bypass`].
    Bypass,
    /// [`Action::Discard`].
    Discard,
    /// [`Action::Protect`], by index into [`SpdSnapshot::protects`].
    Protect(u32),
}

/// A copy of a policy with its selectors filled in ([`Spd::bind`]).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BoundSnapshot {
    /// The original.
    pub policy: PolicyId,
    /// Our side.
    pub local: Vec<TrafficSelector>,
    /// The other side.
    pub remote: Vec<TrafficSelector>,
    /// How often it was bound.
    pub times: u32,
}

impl SpdSnapshot {
    pub(crate) fn take(spd: &Spd) -> Self {
        let mut protects: Vec<Protect> = Vec::new();
        let mut known: BTreeMap<*const Protect, u32> = BTreeMap::new();
        let mut action = |action: &Action| match action {
            Action::Bypass => ActionSnapshot::Bypass,
            Action::Discard => ActionSnapshot::Discard,
            Action::Protect(p) => ActionSnapshot::Protect(*known.entry(Arc::as_ptr(p)).or_insert_with(|| {
                protects.push(Protect::clone(p));
                u32::try_from(protects.len().saturating_sub(1)).unwrap_or(u32::MAX)
            })),
        };
        let one = |p: &Arc<Policy>| PolicySnapshot {
            id: p.id,
            name: p.name.clone(),
            priority: p.priority,
            directions: p.directions,
            local: p.local.clone(),
            remote: p.remote.clone(),
            action: action(&p.action),
            vrf: p.vrf,
            if_id: p.if_id,
            mark: p.mark,
        };
        let policies = spd.iter().map(one).collect();
        let bound = spd.bound_policies().into_iter().map(|(p, times)| BoundSnapshot {
            policy: p.id,
            local: p.local.clone(),
            remote: p.remote.clone(),
            times,
        });
        Self { protects, policies, bound: bound.collect(), last_id: spd.last_id }
    }

    pub(crate) fn restore(&self, pad: &Pad) -> Result<Spd, SnapshotError> {
        let protects: Vec<Arc<Protect>> = self.protects.iter().cloned().map(Arc::new).collect();
        let mut spd = Spd { last_id: self.last_id, ..Spd::default() };
        let mut ids = BTreeSet::new();
        for p in &self.policies {
            if p.id.0 == 0 || p.id.0 > self.last_id || !ids.insert(p.id) {
                return Err(SnapshotError::Id(alloc::format!("policy \"{}\" ({})", p.name, p.id)));
            }
            let policy = p.restore(&protects)?;
            if let Some(peer) = policy.protect().map(|p| p.peer).filter(|peer| pad.peer(*peer).is_none()) {
                return Err(SnapshotError::NoSuchPeer { policy: p.name.clone(), peer });
            }
            spd.check(&policy, None).map_err(SnapshotError::Spd)?;
            spd.last_sequence = spd.last_sequence.saturating_add(1);
            spd.put(spd.last_sequence, Arc::new(policy));
        }
        for b in &self.bound {
            let Some(original) = spd.policy(b.policy) else {
                return Err(SnapshotError::Spd(super::SpdError::NoSuchPolicy(b.policy)));
            };
            let copy = Policy { local: b.local.clone(), remote: b.remote.clone(), ..Policy::clone(original) };
            spd.bind_times(&Arc::new(copy), b.times.max(1));
        }
        Ok(spd)
    }
}

impl PolicySnapshot {
    fn restore(&self, protects: &[Arc<Protect>]) -> Result<Policy, SnapshotError> {
        let action = match self.action {
            ActionSnapshot::Bypass => Action::Bypass,
            ActionSnapshot::Discard => Action::Discard,
            ActionSnapshot::Protect(index) => {
                let found = usize::try_from(index).ok().and_then(|i| protects.get(i));
                let none = || SnapshotError::NoSuchProtect { policy: self.name.clone(), index };
                Action::Protect(Arc::clone(found.ok_or_else(none)?))
            }
        };
        Ok(Policy {
            id: self.id,
            name: self.name.clone(),
            priority: self.priority,
            directions: self.directions,
            local: self.local.clone(),
            remote: self.remote.clone(),
            action,
            vrf: self.vrf,
            if_id: self.if_id,
            mark: self.mark,
        })
    }
}
