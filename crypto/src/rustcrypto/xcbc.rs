//! AES-XCBC-MAC (RFC 3566 §4), which no crate has: CBC-MAC with three keys derived from one. Used by
//! [`super::integ::aes_xcbc`] and [`super::prf::aes_xcbc`].

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit, consts::U16};
use zeroize::Zeroize;

type Block = Array<u8, U16>;

/// The three derived keys.
pub(super) struct XcbcKey {
    k1: Aes128,
    k2: Block,
    k3: Block,
}

impl Drop for XcbcKey {
    fn drop(&mut self) {
        self.k2.as_mut_slice().zeroize();
        self.k3.as_mut_slice().zeroize();
    }
}

impl XcbcKey {
    /// Step 1: K1, K2, K3 = E(K, 0x01…), E(K, 0x02…), E(K, 0x03…).
    pub(super) fn new(key: &[u8; 16]) -> Self {
        let cipher = Aes128::new(&Array(*key));
        let derive = |octet| {
            let mut block = Array([octet; 16]);
            cipher.encrypt_block(&mut block);
            block
        };
        let mut k1 = derive(1);
        let this = Self { k1: Aes128::new(&k1), k2: derive(2), k3: derive(3) };
        k1.as_mut_slice().zeroize();
        this
    }

    /// The full MAC of 16 octets over the concatenation of `parts`.
    pub(super) fn mac(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut state = Block::default();
        // The octets of the current block are already in `state`; a full one is encrypted only when more follow,
        // since the last block is treated apart (steps 3 and 4).
        let mut filled = 0;
        for octets in parts.iter().flat_map(|part| part.chunks(16)) {
            let mut octets = octets;
            while !octets.is_empty() {
                if filled == 16 {
                    self.k1.encrypt_block(&mut state);
                    filled = 0;
                }
                let (head, rest) = octets.split_at(octets.len().min(16 - filled));
                for (to, from) in state.iter_mut().skip(filled).zip(head) {
                    *to ^= from;
                }
                filled += head.len();
                octets = rest;
            }
        }
        let last = if filled == 16 {
            &self.k2
        } else {
            if let Some(pad) = state.get_mut(filled) {
                *pad ^= 0x80;
            }
            &self.k3
        };
        for (to, from) in state.iter_mut().zip(last) {
            *to ^= from;
        }
        self.k1.encrypt_block(&mut state);
        state.0
    }
}
