//! Packets that wait for an SA (RFC 4301 §5.1 leaves it open; users expect the first ping to arrive). Bounded in
//! number, octets and time; the oldest go first.

use crate::config::Hold;
use ravelin_sa_db::{Instant, PolicyId};
use std::collections::{BTreeMap, VecDeque};

#[derive(Debug, Default)]
pub(crate) struct HoldQueue {
    waiting: BTreeMap<PolicyId, VecDeque<(Instant, Vec<u8>)>>,
    bytes: usize,
    pub(crate) dropped: u64,
}

impl HoldQueue {
    /// Keeps a packet until its SA is there.
    pub(crate) fn push(&mut self, limits: Hold, now: Instant, policy: PolicyId, packet: &[u8]) {
        if packet.len() > limits.bytes || limits.packets == 0 {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        let list = self.waiting.entry(policy).or_default();
        while list.len() >= limits.packets {
            let Some((_, old)) = list.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(old.len());
            self.dropped = self.dropped.saturating_add(1);
        }
        if self.bytes.saturating_add(packet.len()) > limits.bytes {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        self.bytes = self.bytes.saturating_add(packet.len());
        list.push_back((now + limits.time, packet.to_vec()));
    }

    /// Takes what waits for a policy, oldest first.
    pub(crate) fn take(&mut self, policy: PolicyId) -> Vec<Vec<u8>> {
        let list = self.waiting.remove(&policy).unwrap_or_default();
        let packets: Vec<Vec<u8>> = list.into_iter().map(|(_, p)| p).collect();
        let bytes: usize = packets.iter().map(Vec::len).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
        packets
    }

    /// Throws away what waited too long.
    pub(crate) fn expire(&mut self, now: Instant) {
        for list in self.waiting.values_mut() {
            while let Some((until, packet)) = list.front() {
                if *until > now {
                    break;
                }
                self.bytes = self.bytes.saturating_sub(packet.len());
                self.dropped = self.dropped.saturating_add(1);
                list.pop_front();
            }
        }
        self.waiting.retain(|_, list| !list.is_empty());
    }

    /// When the next packet is thrown away.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.waiting.values().filter_map(|l| l.front()).map(|(until, _)| *until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn bounded_in_number_octets_and_time() {
        let limits = Hold { packets: 2, bytes: 10, time: Duration::from_secs(1) };
        let (mut q, p) = (HoldQueue::default(), PolicyId(1));
        for n in 0..3u8 {
            q.push(limits, Instant(u64::from(n)), p, &[n; 4]);
        }
        assert_eq!((q.bytes, q.dropped), (8, 1));
        q.push(limits, Instant(5), PolicyId(2), &[9; 4]);
        assert_eq!((q.bytes, q.dropped), (8, 2));
        q.expire(Instant(1_000_001));
        assert_eq!(q.take(p), vec![vec![2u8; 4]]);
        assert_eq!((q.bytes, q.deadline()), (0, None));
    }
}
