//! The Security Association Database (RFC 4301 §4.4.2): inbound SAs by SPI, then SPI and destination, then SPI,
//! destination and source, longest first (§4.1); outbound SAs by policy, several per policy: old and new while a
//! rekeying is under way, one per resource (RFC 9611), one per set of selectors.
//!
//! `T` is the data plane's own object of one direction of an SA, kept behind `Arc`.

mod entry;
pub mod lifetime;
mod spi_alloc;

pub use entry::{InboundKey, InboundSa, OutboundSa, SadError};
pub use spi_alloc::{Shard, SpiAllocator};

use crate::{ChildId, Direction, PacketKey, PolicyId, Spi};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use hashbrown::HashMap;

/// The SAs of this host, or of one plane of it.
pub struct Sad<T> {
    inbound: HashMap<InboundKey, InboundSa<T>>,
    /// Inbound SAs that are addressed by more than their SPI; while there are none, one probe is enough.
    qualified: usize,
    outbound: HashMap<PolicyId, Vec<OutboundSa<T>>>,
    children: BTreeMap<ChildId, Ends>,
}

#[derive(Clone, Copy, Default)]
struct Ends {
    inbound: Option<InboundKey>,
    outbound: Option<PolicyId>,
}

impl<T> Default for Sad<T> {
    fn default() -> Self {
        Self { inbound: HashMap::new(), qualified: 0, outbound: HashMap::new(), children: BTreeMap::new() }
    }
}

impl<T> Sad<T> {
    /// A SAD without SAs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an inbound SA.
    ///
    /// # Errors
    /// When the SPI is reserved, or the key or the child's inbound side is taken.
    pub fn insert_inbound(&mut self, key: InboundKey, child: ChildId, sa: Arc<T>) -> Result<(), SadError> {
        if key.spi.is_reserved() {
            return Err(SadError::ReservedSpi(key.spi));
        }
        if self.inbound.contains_key(&key) {
            return Err(SadError::DuplicateKey(key));
        }
        let ends = self.children.entry(child).or_default();
        if ends.inbound.is_some() {
            return Err(SadError::DuplicateChild(child, Direction::Inbound));
        }
        ends.inbound = Some(key);
        self.qualified = self.qualified.saturating_add(usize::from(key.dst.is_some()));
        self.inbound.insert(key, InboundSa { key, child, sa });
        Ok(())
    }

    /// Adds an outbound SA. One that is `active` makes the others of its policy with the same resource and the same
    /// selectors inactive.
    ///
    /// # Errors
    /// When the SPI is reserved or the child's outbound side is taken.
    pub fn insert_outbound(&mut self, sa: OutboundSa<T>) -> Result<(), SadError> {
        if sa.spi.is_reserved() {
            return Err(SadError::ReservedSpi(sa.spi));
        }
        let ends = self.children.entry(sa.child).or_default();
        if ends.outbound.is_some() {
            return Err(SadError::DuplicateChild(sa.child, Direction::Outbound));
        }
        ends.outbound = Some(sa.policy);
        let list = self.outbound.entry(sa.policy).or_default();
        if sa.active {
            let rivals = list.iter_mut().filter(|o| o.resource == sa.resource);
            rivals.filter(|o| o.local_ts == sa.local_ts && o.remote_ts == sa.remote_ts).for_each(|o| o.active = false);
        }
        // The newest first: where several cover a packet, it goes to the newest active one.
        list.insert(0, sa);
        Ok(())
    }

    /// The inbound SA for a packet with this SPI, destination and source; the longest match (RFC 4301 §4.1).
    #[must_use]
    pub fn inbound(&self, spi: Spi, dst: IpAddr, src: IpAddr) -> Option<&InboundSa<T>> {
        if self.qualified != 0 {
            let longest = InboundKey { spi, dst: Some(dst), src: Some(src) };
            let longer = InboundKey { spi, dst: Some(dst), src: None };
            if let Some(found) = self.inbound.get(&longest).or_else(|| self.inbound.get(&longer)) {
                return Some(found);
            }
        }
        self.inbound.get(&InboundKey::spi(spi))
    }

    /// The outbound SA for a packet that matched `policy`: active, negotiated for this packet, of this resource if
    /// there is one, else the fallback SA (RFC 9611 §3). `None`: negotiate.
    #[must_use]
    pub fn outbound(&self, policy: PolicyId, packet: &PacketKey, resource: &[u8]) -> Option<&OutboundSa<T>> {
        let list = self.outbound.get(&policy)?;
        let fits = |wanted: &[u8]| list.iter().find(|o| o.active && o.resource == wanted && o.covers(packet));
        fits(resource).or_else(|| if resource.is_empty() { None } else { fits(&[]) })
    }

    /// Sends on `to` what was sent on `from` (rekeying). False when `to` is not there; `from` may be gone already.
    pub fn switch(&mut self, from: ChildId, to: ChildId) -> bool {
        if !self.set_active(to, true) {
            return false;
        }
        self.set_active(from, false);
        true
    }

    /// Has an outbound SA carry traffic or not. False when it is not there.
    pub fn set_active(&mut self, child: ChildId, active: bool) -> bool {
        let policy = self.children.get(&child).and_then(|e| e.outbound);
        let list = policy.and_then(|p| self.outbound.get_mut(&p));
        list.and_then(|l| l.iter_mut().find(|o| o.child == child)).map(|o| o.active = active).is_some()
    }

    /// The inbound side of a pair.
    #[must_use]
    pub fn inbound_of(&self, child: ChildId) -> Option<&InboundSa<T>> {
        self.inbound.get(&self.children.get(&child)?.inbound?)
    }

    /// The outbound side of a pair.
    #[must_use]
    pub fn outbound_of(&self, child: ChildId) -> Option<&OutboundSa<T>> {
        self.outbound.get(&self.children.get(&child)?.outbound?)?.iter().find(|o| o.child == child)
    }

    /// Removes one direction of a pair and returns the plane's object.
    pub fn remove(&mut self, child: ChildId, direction: Direction) -> Option<Arc<T>> {
        let ends = self.children.get_mut(&child)?;
        let removed = match direction {
            Direction::Inbound => {
                let key = ends.inbound.take()?;
                self.qualified = self.qualified.saturating_sub(usize::from(key.dst.is_some()));
                self.inbound.remove(&key).map(|i| i.sa)
            }
            Direction::Outbound => {
                let policy = ends.outbound.take()?;
                let list = self.outbound.get_mut(&policy)?;
                let at = list.iter().position(|o| o.child == child)?;
                let out = list.remove(at);
                if list.is_empty() {
                    self.outbound.remove(&policy);
                }
                Some(out.sa)
            }
        };
        if self.children.get(&child).is_some_and(|e| e.inbound.is_none() && e.outbound.is_none()) {
            self.children.remove(&child);
        }
        removed
    }

    /// All outbound SAs of a policy, newest first.
    pub fn outbound_sas(&self, policy: PolicyId) -> impl Iterator<Item = &OutboundSa<T>> {
        self.outbound.get(&policy).into_iter().flatten()
    }

    /// Every pair by rising id, with the sides it has.
    pub fn children(&self) -> impl Iterator<Item = (ChildId, Option<&InboundSa<T>>, Option<&OutboundSa<T>>)> {
        self.children.keys().map(|c| (*c, self.inbound_of(*c), self.outbound_of(*c)))
    }

    /// Number of inbound SAs.
    #[must_use]
    pub fn inbound_len(&self) -> usize {
        self.inbound.len()
    }
}

impl<T> fmt::Debug for Sad<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sad({} pairs, {} inbound)", self.children.len(), self.inbound.len())
    }
}

#[cfg(test)]
mod tests;
