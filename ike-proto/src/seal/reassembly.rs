//! Putting fragments of an encrypted message together (RFC 7383 §2.6). Only fragments that were authenticated one by
//! one come here, so that the bound protects against a broken peer, not against the world.

use crate::registry::PayloadType;
use alloc::vec::Vec;
use ravelin_sa_db::Instant;

/// One opened fragment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fragment {
    /// From 1.
    pub number: u16,
    /// How many there are.
    pub total: u16,
    /// Type of the first inner payload; fragment 1 only.
    pub first: PayloadType,
    /// Plaintext without padding.
    pub data: Vec<u8>,
}

/// Upper bound of a reassembled message, in octets. Larger ones are refused.
pub const MAX_MESSAGE: usize = 65_535;
/// Upper bound of the number of fragments.
pub const MAX_FRAGMENTS: u16 = 256;

/// The fragments of one message so far.
#[derive(Clone, Debug)]
pub struct Reassembly {
    message_id: u32,
    first: Option<PayloadType>,
    parts: Vec<Option<Vec<u8>>>,
    missing: usize,
    size: usize,
    /// When the first fragment came; old sets are thrown away by the owner's timer.
    pub started: Instant,
    /// Fingerprint of the datagram that brought fragment 1.
    pub fingerprint: [u8; 8],
}

impl Reassembly {
    /// An empty set for the message with this id.
    #[must_use]
    pub fn new(message_id: u32, started: Instant) -> Self {
        Self { message_id, first: None, parts: Vec::new(), missing: 0, size: 0, started, fingerprint: [0; 8] }
    }

    /// The message that it collects.
    #[must_use]
    pub fn message_id(&self) -> u32 {
        self.message_id
    }

    /// Adds one fragment; gives the whole plaintext and its first payload type once nothing is missing.
    ///
    /// A larger total than before means that the sender split again in smaller pieces: the old set is thrown away
    /// (RFC 7383 §2.6.1). Smaller totals, duplicates and impossible numbers are dropped.
    pub fn add(&mut self, fragment: Fragment) -> Option<(PayloadType, Vec<u8>)> {
        let Fragment { number, total, first, data } = fragment;
        if number == 0 || number > total || total > MAX_FRAGMENTS {
            return None;
        }
        let total = usize::from(total);
        if total > self.parts.len() {
            self.parts = alloc::vec![None; total];
            self.missing = total;
            self.size = 0;
            self.first = None;
        } else if total < self.parts.len() {
            return None;
        }
        let size = self.size.saturating_add(data.len());
        let slot = self.parts.get_mut(usize::from(number).saturating_sub(1))?;
        if slot.is_some() || size > MAX_MESSAGE {
            return None;
        }
        *slot = Some(data);
        self.size = size;
        self.missing = self.missing.saturating_sub(1);
        if number == 1 {
            self.first = Some(first);
        }
        if self.missing > 0 {
            return None;
        }
        let mut whole = Vec::with_capacity(self.size);
        for part in self.parts.drain(..).flatten() {
            whole.extend_from_slice(&part);
        }
        Some((self.first.take()?, whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(number: u16, total: u16) -> Fragment {
        Fragment { number, total, first: PayloadType(u8::from(number == 1)), data: alloc::vec![number as u8; 2] }
    }

    #[test]
    fn any_order_with_duplicates() {
        let mut r = Reassembly::new(1, Instant(0));
        assert_eq!(r.add(piece(3, 3)), None);
        assert_eq!(r.add(piece(1, 3)), None);
        assert_eq!(r.add(piece(1, 3)), None);
        assert_eq!(r.add(piece(2, 3)), Some((PayloadType(1), alloc::vec![1, 1, 2, 2, 3, 3])));
    }

    #[test]
    fn a_larger_total_starts_anew_and_a_smaller_is_dropped() {
        let mut r = Reassembly::new(1, Instant(0));
        assert_eq!(r.add(piece(1, 2)), None);
        assert_eq!(r.add(piece(1, 3)), None);
        assert_eq!(r.add(piece(2, 2)), None);
        assert_eq!(r.add(piece(2, 3)), None);
        assert!(r.add(piece(3, 3)).is_some());
    }

    #[test]
    fn impossible_numbers_are_dropped() {
        let mut r = Reassembly::new(1, Instant(0));
        assert_eq!(r.add(piece(0, 1)), None);
        assert_eq!(r.add(piece(2, 1)), None);
        assert_eq!(r.add(piece(1, MAX_FRAGMENTS + 1)), None);
        assert!(r.parts.is_empty());
    }
}
