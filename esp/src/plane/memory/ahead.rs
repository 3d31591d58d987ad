//! What the packets of a burst will need of the memory, asked for before they are worked on, level by level, so that the
//! answers overlap: a packet alone would wait for slot, entry, window, selectors and key one after the other. Slots and
//! entries are asked for at once, for all packets; what entries lead to, the most of it, a few packets ahead of the one
//! that the cipher works on, so that memory and cipher are busy at the same time. Nothing is read that was not asked for
//! before. The entries a few packets ahead as well: worse, for packets to be sealed by a third.

use super::{FlowKey, Memory, in_slot};
use crate::packet::{self, Alike};
use crate::plane::burst::BURST;
use crate::plane::sink::Target;
use arrayvec::ArrayVec;
use ravelin_prefetch as prefetch;
use ravelin_sa_db::Spi;

/// Cache lines of an entry that packets need, wherever it begins in the first one.
const ENTRY: usize = 4;

/// The same of selectors.
const SELECTORS: usize = 3;

/// So many packets ahead. With all of a burst at once, more is asked for than can be under way.
const STEP: usize = 4;

/// Packets of a burst whose entries were asked for.
#[derive(Default)]
pub(in crate::plane) struct Ahead {
    packets: ArrayVec<Next, BURST>,
    done: usize,
}

struct Next {
    /// Where it is in the burst.
    packet: usize,
    /// Its slot.
    at: usize,
    /// Its octets.
    len: usize,
}

impl Ahead {
    /// The next one that has to be asked for before the packet `at` is worked on.
    #[inline(always)]
    fn take(&mut self, at: usize) -> Option<&Next> {
        let next = self.packets.get(self.done)?;
        let due = next.packet < at.saturating_add(STEP);
        self.done = self.done.wrapping_add(usize::from(due));
        due.then_some(next)
    }
}

impl Memory {
    /// Asks for slots and entries of packets to be opened, each with its SPI and octets; [`Memory::warm_next_in`] is to ask
    /// for the rest.
    pub(in crate::plane) fn warm_in(&self, packets: impl Iterator<Item = Option<(Spi, usize)>>, ahead: &mut Ahead) {
        let mut wanted: ArrayVec<(Spi, Next), BURST> = ArrayVec::new();
        for (packet, job) in packets.take(BURST).enumerate() {
            let Some((spi, len)) = job else { continue };
            // What follows its like finds all there.
            if wanted.last().is_none_or(|(last, _)| *last != spi) {
                let at = in_slot(spi, self.inbound.len());
                if let Some(slot) = self.inbound.get(at) {
                    prefetch::read(slot);
                }
                wanted.push((spi, Next { packet, at, len }));
            }
        }
        for (spi, Next { packet, at, len }) in wanted {
            let at = match self.inbound.get(at) {
                Some(Some(slot)) if slot.spi == spi => Some(at),
                _ => self.other_place_in(at, spi),
            };
            if let Some(at) = at
                && let Some(Some(slot)) = self.inbound.get(at)
            {
                prefetch::lines(&*slot.entry, ENTRY);
                ahead.packets.push(Next { packet, at, len });
            }
        }
    }

    /// Asks for what entries lead to, before the packet `at` of the burst is worked on.
    #[inline(always)]
    pub(in crate::plane) fn warm_next_in(&self, ahead: &mut Ahead, at: usize) {
        while let Some(next) = ahead.take(at) {
            let Some(Some(slot)) = self.inbound.get(next.at) else { continue };
            let core = slot.entry.core();
            core.sa.transform().warm(next.len);
            core.sa.window().warm();
            if slot.held == Alike::default() {
                prefetch::lines(&slot.entry.facts.selectors, SELECTORS);
            }
        }
    }

    /// [`Memory::warm_in`] for packets to be sealed, each by its target and headers.
    pub(in crate::plane) fn warm_out<'p>(&self, packets: impl Iterator<Item = (Target, &'p [u8])>, ahead: &mut Ahead) {
        let mut wanted: ArrayVec<(FlowKey, Next), BURST> = ArrayVec::new();
        for (packet, (target, ip)) in packets.take(BURST).enumerate() {
            let Some(ip) = packet::usual(ip) else { continue };
            let key = FlowKey::new(target, &ip);
            if wanted.last().is_none_or(|(last, _)| *last != key) {
                let at = key.slot(self.flows.len());
                if let Some(slot) = self.flows.get(at) {
                    prefetch::read(slot);
                }
                wanted.push((key, Next { packet, at, len: ip.len }));
            }
        }
        for (key, Next { packet, at, len }) in wanted {
            // Of IPv6 it may be another flow's, which is asked for in vain then.
            let at = match self.flow_at(at) {
                Some(flow) if flow.key == key => Some(at),
                _ => self.other_place_out(at, key.addresses, key.ports, key.target),
            };
            if let Some(at) = at
                && let Some(flow) = self.flow_at(at)
            {
                prefetch::lines(&*flow.entry, ENTRY);
                ahead.packets.push(Next { packet, at, len });
            }
        }
    }

    /// [`Memory::warm_next_in`] for packets to be sealed.
    #[inline(always)]
    pub(in crate::plane) fn warm_next_out(&self, ahead: &mut Ahead, at: usize) {
        while let Some(next) = ahead.take(at) {
            let Some(Some(flow)) = self.flows.get(next.at) else { continue };
            flow.entry.core().sa.transform().warm(next.len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_packet_is_asked_for_once_and_a_few_ahead() {
        let mut ahead = Ahead::default();
        // Packets 2 and 3 are of the SA of packet 1, or of none.
        for packet in [0, 1, 4, 5, 6, 20] {
            ahead.packets.push(Next { packet, at: packet, len: 64 });
        }
        let mut asked = |at| core::iter::from_fn(|| ahead.take(at).map(|n| n.packet)).last();
        assert_eq!([asked(0), asked(0), asked(1), asked(2)], [Some(1), None, Some(4), Some(5)]);
        assert_eq!([asked(10), asked(16), asked(17)], [Some(6), None, Some(20)]);
        assert_eq!([asked(BURST), asked(usize::MAX)], [None, None]);
        assert!(Ahead::default().take(usize::MAX).is_none());
    }
}
