//! The Security Association Database (RFC 4301 §4.4.2): inbound SAs by SPI, then SPI and destination, then SPI,
//! destination and source, longest first (§4.1); outbound SAs by policy, several per policy: old and new while a
//! rekeying is under way, one per resource (RFC 9611), one per set of selectors.
//!
//! `T` is the data plane's own object of one direction of an SA, kept behind `Arc`.

mod entry;
pub mod lifetime;
#[cfg(feature = "std")]
mod publish;
#[cfg(feature = "serde")]
pub(crate) mod snapshot;
mod spi_alloc;
mod spi_table;

pub use entry::{InboundKey, InboundSa, OutboundSa, SadError};
#[cfg(feature = "std")]
pub use publish::{SadOp, SadPublisher};
pub use spi_alloc::{Shard, SpiAllocator};

use crate::{ChildId, Direction, PacketKey, PolicyId, Spi};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use hashbrown::HashMap;
use spi_table::SpiTable;

/// The SAs of this host, or of one plane of it.
pub struct Sad<T> {
    /// Inbound SAs that are addressed by their SPI alone, by place in `inbound`.
    spis: SpiTable,
    inbound: Vec<Option<InboundSa<T>>>,
    free: Vec<u32>,
    /// Inbound SAs that are addressed by more than their SPI.
    qualified: HashMap<InboundKey, InboundSa<T>>,
    outbound: HashMap<PolicyId, Vec<OutboundSa<T>>>,
    children: HashMap<ChildId, Ends>,
}

#[derive(Clone, Copy, Default)]
struct Ends {
    inbound: Option<InboundKey>,
    outbound: Option<PolicyId>,
}

impl<T> Default for Sad<T> {
    fn default() -> Self {
        Self {
            spis: SpiTable::default(),
            inbound: Vec::new(),
            free: Vec::new(),
            qualified: HashMap::new(),
            outbound: HashMap::new(),
            children: HashMap::new(),
        }
    }
}

impl<T> Clone for Sad<T> {
    fn clone(&self) -> Self {
        Self {
            spis: self.spis.clone(),
            inbound: self.inbound.clone(),
            free: self.free.clone(),
            qualified: self.qualified.clone(),
            outbound: self.outbound.clone(),
            children: self.children.clone(),
        }
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
        let alone = key.dst.is_none();
        let taken = if alone { self.spis.find(key.spi.0).is_some() } else { self.qualified.contains_key(&key) };
        if taken {
            return Err(SadError::DuplicateKey(key));
        }
        let ends = self.children.entry(child).or_default();
        if ends.inbound.is_some() {
            return Err(SadError::DuplicateChild(child, Direction::Inbound));
        }
        ends.inbound = Some(key);
        let entry = InboundSa { key, child, sa };
        if !alone {
            self.qualified.insert(key, entry);
            return Ok(());
        }
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.inbound.push(None);
                u32::try_from(self.inbound.len().saturating_sub(1)).unwrap_or(u32::MAX)
            }
        };
        self.inbound.get_mut(place as usize).into_iter().for_each(|p| *p = Some(entry.clone()));
        self.spis.insert(key.spi.0, place);
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
    #[inline]
    pub fn inbound(&self, spi: Spi, dst: IpAddr, src: IpAddr) -> Option<&InboundSa<T>> {
        if !self.qualified.is_empty() {
            let longest = InboundKey { spi, dst: Some(dst), src: Some(src) };
            let longer = InboundKey { spi, dst: Some(dst), src: None };
            if let Some(found) = self.qualified.get(&longest).or_else(|| self.qualified.get(&longer)) {
                return Some(found);
            }
        }
        self.by_spi(spi)
    }

    /// The inbound SA that is addressed by this SPI alone.
    #[must_use]
    #[inline]
    pub fn by_spi(&self, spi: Spi) -> Option<&InboundSa<T>> {
        self.inbound.get(self.spis.find(spi.0)? as usize)?.as_ref()
    }

    /// True when an inbound SA is addressed by this SPI alone.
    #[must_use]
    #[inline]
    pub fn has_spi(&self, spi: Spi) -> bool {
        self.spis.find(spi.0).is_some()
    }

    fn by_key(&self, key: &InboundKey) -> Option<&InboundSa<T>> {
        if key.dst.is_none() { self.by_spi(key.spi) } else { self.qualified.get(key) }
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
        self.by_key(&self.children.get(&child)?.inbound?)
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
                if key.dst.is_some() {
                    self.qualified.remove(&key).map(|i| i.sa)
                } else {
                    let place = self.spis.remove(key.spi.0)?;
                    self.free.push(place);
                    self.inbound.get_mut(place as usize)?.take().map(|i| i.sa)
                }
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
        let mut ids: Vec<ChildId> = self.children.keys().copied().collect();
        ids.sort_unstable();
        ids.into_iter().map(|c| (c, self.inbound_of(c), self.outbound_of(c)))
    }

    /// Number of inbound SAs.
    #[must_use]
    pub fn inbound_len(&self) -> usize {
        self.inbound.len().saturating_sub(self.free.len()).saturating_add(self.qualified.len())
    }

    /// Octets that the lookup by SPI takes.
    #[must_use]
    pub fn lookup_memory(&self) -> usize {
        self.spis.memory().saturating_add(self.inbound.capacity().saturating_mul(size_of::<Option<InboundSa<T>>>()))
    }
}

impl<T> fmt::Debug for Sad<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sad({} pairs, {} inbound)", self.children.len(), self.inbound_len())
    }
}

#[cfg(test)]
mod tests;
