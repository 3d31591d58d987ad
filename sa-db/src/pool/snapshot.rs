//! Address pools in a snapshot. Leases are kept as remembered ones: whoever comes back under the same identity gets the
//! same address again.

use super::{Held, Pool, Pools};
use crate::pad::Identity;
use crate::snapshot::SnapshotError;
use alloc::vec::Vec;
use core::net::IpAddr;
use serde::{Deserialize, Serialize};

/// One pool.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PoolSnapshot {
    /// What it gives away.
    pub pool: Pool,
    /// Who holds or held which address, those unused for longest first.
    pub leases: Vec<LeaseSnapshot>,
}

/// An address and the identity it goes with.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LeaseSnapshot {
    /// The address.
    pub addr: IpAddr,
    /// Whose it is or was.
    pub identity: Identity,
}

impl PoolSnapshot {
    pub(crate) fn take(pools: &Pools) -> Vec<Self> {
        let pools = pools.pools.borrow();
        let one = |state: &super::State| {
            let mut held: Vec<(&IpAddr, &Held)> = state.held.iter().collect();
            // Addresses in use count as the youngest.
            held.sort_by_key(|(_, h)| (h.holders > 0, h.since));
            let lease = |(addr, h): (&IpAddr, &Held)| LeaseSnapshot { addr: *addr, identity: h.identity.clone() };
            Self { pool: Pool::clone(&state.pool), leases: held.into_iter().map(lease).collect() }
        };
        pools.values().map(one).collect()
    }

    pub(crate) fn restore(list: &[Self]) -> Result<Pools, SnapshotError> {
        let mut pools = Pools::default();
        for p in list {
            if !pools.add(p.pool.clone()) {
                return Err(SnapshotError::DuplicatePool(p.pool.name.clone()));
            }
            let Some(state) = pools.pools.get_mut().get_mut(&p.pool.name) else { continue };
            for lease in p.leases.iter().filter(|l| p.pool.contains(l.addr)) {
                state.hold(lease.addr, &lease.identity);
                state.let_go(lease.addr);
            }
        }
        Ok(pools)
    }
}
