//! What the packets of a burst will need of the memory, asked for before they are worked on, level by level, so that the
//! answers overlap: a packet alone would wait for slot, entry, window, selectors and key one after the other. What was
//! asked for one level before is read to know where the next one lies.
//!
//! Not better, with packets of 64 octets worse: to ask for what entries lead to some packets ahead of the one that the
//! cipher works on.

use super::{FlowKey, InSlot, Memory, in_slot};
use crate::packet::{self, IpPacket};
use crate::plane::burst::BURST;
use crate::plane::entry::Outbound;
use crate::plane::lane::open::Held;
use crate::plane::sink::Target;
use arrayvec::ArrayVec;
use ravelin_prefetch as prefetch;
use ravelin_sa_db::Spi;

/// Cache lines of an entry that packets need, wherever it begins in the first one.
const ENTRY: usize = 4;

/// The same of selectors.
const SELECTORS: usize = 3;

impl Memory {
    /// Asks for what these packets need to be opened, each with its SPI and octets.
    pub(in crate::plane) fn warm_in(&self, packets: impl Iterator<Item = (Spi, usize)>) {
        let mut wanted: ArrayVec<(Spi, usize), BURST> = ArrayVec::new();
        for (spi, len) in packets.take(BURST) {
            // What follows its like finds all there.
            if wanted.last().is_none_or(|(last, _)| *last != spi) {
                if let Some(slot) = self.inbound.get(in_slot(spi, self.inbound.len())) {
                    prefetch::read(slot);
                }
                wanted.push((spi, len));
            }
        }
        let mut found: ArrayVec<(&InSlot, usize), BURST> = ArrayVec::new();
        for (spi, len) in wanted {
            if let Some(Some(slot)) = self.inbound.get(self.way_in(spi)) {
                prefetch::lines(&*slot.entry, ENTRY);
                found.push((slot, len));
            }
        }
        for (slot, len) in found {
            let core = slot.entry.core();
            core.sa.transform().warm(len);
            core.sa.window().warm();
            if slot.held == Held::default() {
                prefetch::lines(&slot.entry.facts.selectors, SELECTORS);
            }
        }
    }

    /// The same for packets to be sealed, each by its target and headers.
    pub(in crate::plane) fn warm_out<'p>(&self, packets: impl Iterator<Item = (Target, &'p [u8])>) {
        let mut wanted: ArrayVec<(FlowKey, IpPacket), BURST> = ArrayVec::new();
        for (target, ip) in packets.take(BURST) {
            let Some(ip) = packet::usual(ip) else { continue };
            let key = FlowKey::new(target, &ip);
            if wanted.last().is_none_or(|(last, _)| *last != key) {
                if let Some(slot) = self.flows.get(key.slot(self.flows.len())) {
                    prefetch::read(slot);
                }
                wanted.push((key, ip));
            }
        }
        let mut found: ArrayVec<(&Outbound, usize), BURST> = ArrayVec::new();
        for (key, ip) in &wanted {
            if let Some(Some(flow)) = self.flows.get(self.way_out(key, ip)) {
                prefetch::lines(&*flow.entry, ENTRY);
                found.push((&*flow.entry, ip.len));
            }
        }
        for (entry, len) in found {
            entry.core().sa.transform().warm(len);
        }
    }
}
