//! A cache of lookups that one core keeps for itself: flows that were seen lately skip the classifier.
//!
//! Two places per set, the older one gives way. An entry counts only for the generation of the SPD it was made in, so
//! a change of policy empties the cache at once. Only packets between IPv4 addresses are cached; others go through.

use super::classify::Classifier;
use super::{Policy, Scope};
use crate::{Direction, PacketKey};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

#[derive(Clone, Copy, Debug)]
struct Flow {
    /// Addresses, ports, protocol and which ports are there.
    key: [u64; 2],
    generation: u64,
    /// `u32::MAX`: no policy.
    slot: u32,
}

const EMPTY: Flow = Flow { key: [0; 2], generation: 0, slot: 0 };

/// A cache for packets of one direction and scope.
#[derive(Clone, Debug)]
pub struct FlowCache {
    direction: Direction,
    scope: Scope,
    sets: Vec<[Flow; 2]>,
    hits: u64,
    misses: u64,
}

fn key(packet: &PacketKey) -> Option<[u64; 2]> {
    let (IpAddr::V4(l), IpAddr::V4(r)) = (packet.local, packet.remote) else { return None };
    let there = (u64::from(packet.local_port.is_some()) << 40) | (u64::from(packet.remote_port.is_some()) << 41);
    let ports = u64::from(packet.local_port.unwrap_or(0)) | (u64::from(packet.remote_port.unwrap_or(0)) << 16);
    let addrs = u64::from(l.to_bits()) | (u64::from(r.to_bits()) << 32);
    Some([addrs, ports | (u64::from(packet.protocol) << 32) | there])
}

impl FlowCache {
    /// A cache for about `flows` flows; 256 to 512 octets for each, of which 64 are ever touched, so that hardly any
    /// three of them get into each other's way.
    #[must_use]
    pub fn new(direction: Direction, scope: Scope, flows: usize) -> Self {
        let sets = flows.saturating_mul(4).max(16).next_power_of_two();
        Self { direction, scope, sets: alloc::vec![[EMPTY; 2]; sets], hits: 0, misses: 0 }
    }

    /// Lookups answered by the cache and by the classifier.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.hits, self.misses)
    }

    #[inline]
    pub(super) fn lookup<'a>(&mut self, classifier: &'a Classifier, packet: &PacketKey) -> Option<&'a Arc<Policy>> {
        let generation = classifier.generation();
        let Some(key) = key(packet) else {
            self.misses = self.misses.wrapping_add(1);
            let slot = classifier.lookup(self.direction, packet, &self.scope)?;
            return classifier.policy(slot);
        };
        let product = u128::from(key[0] ^ 0x9E37_79B9_7F4A_7C15) * u128::from(key[1] ^ 0xD1B5_4A32_D192_ED03);
        let hash = (product as u64) ^ ((product >> 64) as u64);
        let mask = self.sets.len().wrapping_sub(1);
        let set = self.sets.get_mut(hash as usize & mask)?;
        let slot = match set {
            [first, _] if first.key == key && first.generation == generation => {
                self.hits = self.hits.wrapping_add(1);
                first.slot
            }
            [_, second] if second.key == key && second.generation == generation => {
                self.hits = self.hits.wrapping_add(1);
                second.slot
            }
            [first, second] => {
                self.misses = self.misses.wrapping_add(1);
                let slot = classifier.lookup(self.direction, packet, &self.scope).unwrap_or(u32::MAX);
                *second = *first;
                *first = Flow { key, generation, slot };
                slot
            }
        };
        classifier.policy(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spd::{Action, Spd};

    #[test]
    fn a_change_of_policy_empties_the_cache() {
        let mut spd = Spd::new();
        let ts = |s: &str| s.parse::<crate::TrafficSelector>().unwrap();
        let wide = spd.add(Policy::new("wide", [ts("10.0.0.0/8")], [ts("0.0.0.0/0")], Action::Bypass)).unwrap();
        let mut cache = FlowCache::new(Direction::Outbound, Scope::default(), 64);
        let packet = |n: u8, port| PacketKey {
            local: [10, 0, 0, n].into(),
            remote: [192, 0, 2, 1].into(),
            protocol: 17,
            local_port: port,
            remote_port: Some(9),
        };
        let find = |spd: &Spd, cache: &mut FlowCache, n, port| spd.lookup_cached(cache, &packet(n, port)).map(|p| p.id);
        for _ in 0..2 {
            assert_eq!(find(&spd, &mut cache, 1, Some(0)), Some(wide));
        }
        assert_eq!(cache.counts(), (1, 1));
        let narrow = spd.add(Policy::new("n", [ts("10.0.0.1[udp/0]")], [ts("0.0.0.0/0")], Action::Discard)).unwrap();
        assert_eq!(find(&spd, &mut cache, 1, Some(0)), Some(narrow));
        // Port 0 and no port are not the same.
        assert_eq!(find(&spd, &mut cache, 1, None), Some(wide));
        spd.remove(narrow);
        spd.remove(wide);
        assert_eq!(find(&spd, &mut cache, 1, Some(0)), None);
        for n in 0..200 {
            assert_eq!(find(&spd, &mut cache, n, Some(1)), None);
        }
    }
}
