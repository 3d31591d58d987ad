//! Puzzle Solution payload (RFC 8019 §8.2): four keys of equal length.
use crate::wire::error::{Fault, Place, WireError};
use alloc::vec::Vec;

/// Four PRF keys that solve a puzzle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PuzzleSolution {
    data: Vec<u8>,
}

impl PuzzleSolution {
    /// Four keys, which must have one length of at least one octet.
    #[must_use]
    pub fn new(keys: [&[u8]; 4]) -> Option<Self> {
        let data = keys.concat();
        let [first, ..] = keys;
        (!first.is_empty() && keys.iter().all(|k| k.len() == first.len())).then_some(Self { data })
    }

    /// Reads a body; its length must be a multiple of four. The key size is the PRF's to check.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        if body.is_empty() || !body.len().is_multiple_of(4) {
            let expected = "a multiple of 4, not zero";
            let came = u32::try_from(body.len()).unwrap_or(u32::MAX);
            let fault = Fault::Value { field: "length of the four keys", expected, came };
            return Err(WireError { place: Place::Ps, offset: 0, fault });
        }
        Ok(Self { data: body.to_vec() })
    }

    /// The keys in order; always four.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.data.chunks_exact((self.data.len() / 4).max(1))
    }

    /// Appends the body.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let ps = PuzzleSolution::parse(&[1, 1, 2, 2, 3, 3, 4, 4]).unwrap();
        assert_eq!(ps.keys().collect::<Vec<_>>(), [[1, 1], [2, 2], [3, 3], [4, 4]]);
        assert_eq!(PuzzleSolution::new([&[1, 1], &[2, 2], &[3, 3], &[4, 4]]), Some(ps));
        assert!(PuzzleSolution::new([&[1], &[2], &[3], &[4, 4]]).is_none());
        assert!(PuzzleSolution::parse(&[1, 2, 3]).is_err() && PuzzleSolution::parse(&[]).is_err());
    }
}
