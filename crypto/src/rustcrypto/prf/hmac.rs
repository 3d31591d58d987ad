//! PRF_HMAC_SHA1 (RFC 2104) and PRF_HMAC_SHA2_256/384/512 (RFC 4868): keys of any length, preferred and output length
//! are the hash's.

use crate::prf::{Prf, SEED_PARTS};
use crate::{CryptoError, PrfId, Secret};
use core::marker::PhantomData;
use hmac::digest::OutputSizeUser;
use hmac::{EagerHash, Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use zeroize::Zeroize;

/// HMAC over the hash `D` as a PRF.
pub(crate) struct HmacPrf<D> {
    id: PrfId,
    types: PhantomData<fn() -> D>,
}

const fn hmac<D>(id: PrfId) -> HmacPrf<D> {
    HmacPrf { id, types: PhantomData }
}

pub(crate) static HMAC_SHA1: HmacPrf<Sha1> = hmac(PrfId::HMAC_SHA1);
pub(crate) static HMAC_SHA2_256: HmacPrf<Sha256> = hmac(PrfId::HMAC_SHA2_256);
pub(crate) static HMAC_SHA2_384: HmacPrf<Sha384> = hmac(PrfId::HMAC_SHA2_384);
pub(crate) static HMAC_SHA2_512: HmacPrf<Sha512> = hmac(PrfId::HMAC_SHA2_512);

impl<D: EagerHash> Prf for HmacPrf<D>
where
    Hmac<D>: Mac + KeyInit + Clone,
{
    fn id(&self) -> PrfId {
        self.id
    }
    fn key_len(&self) -> usize {
        self.output_len()
    }
    fn output_len(&self) -> usize {
        <Hmac<D> as OutputSizeUser>::output_size()
    }
    fn prf(&self, key: &[u8], parts: &[&[u8]]) -> Secret {
        let mut out = Secret::default();
        self.prf_with(key, parts, &mut |full| out = Secret::from(full));
        out
    }
    fn prf_with(&self, key: &[u8], parts: &[&[u8]], then: &mut dyn FnMut(&[u8])) {
        let mut mac = keyed::<D>(key);
        for part in parts {
            mac.update(part);
        }
        let mut full = mac.finalize().into_bytes();
        then(full.as_slice());
        full.as_mut_slice().zeroize();
    }

    fn expand(&self, key: &[u8], seed: &[&[u8]], out: &mut [u8]) -> Result<(), CryptoError> {
        if seed.len() > SEED_PARTS {
            return Err(CryptoError::Length);
        }
        let keyed = keyed::<D>(key);
        let (mut rest, mut last): (&mut [u8], &[u8]) = (out, &[]);
        let mut counter: u8 = 0;
        while !rest.is_empty() {
            counter = counter.checked_add(1).ok_or(CryptoError::Length)?;
            let mut mac = keyed.clone();
            mac.update(last);
            for part in seed {
                mac.update(part);
            }
            mac.update(&[counter]);
            let mut block = mac.finalize().into_bytes();
            let len = self.output_len().min(rest.len());
            let (now, after) = rest.split_at_mut_checked(len).ok_or(CryptoError::Length)?;
            for (to, from) in now.iter_mut().zip(&block) {
                *to = *from;
            }
            block.as_mut_slice().zeroize();
            (last, rest) = (now, after);
        }
        Ok(())
    }
}

#[allow(clippy::expect_used, reason = "RFC 2104: HMAC takes keys of any length, so does the implementation")]
fn keyed<D: EagerHash>(key: &[u8]) -> Hmac<D>
where
    Hmac<D>: KeyInit,
{
    <Hmac<D> as KeyInit>::new_from_slice(key).expect("any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// prf+ with one key schedule gives what the definition gives, for whole and cut blocks, up to 255 of them.
    #[test]
    fn expand_is_prf_plus_by_definition() {
        let seed: [&[u8]; 3] = [b"nonces", b"", b"spis"];
        for len in [0, 1, 32, 33, 168, 255 * 32] {
            let (mut got, mut want, mut last) = (alloc::vec![0; len], alloc::vec::Vec::new(), Secret::default());
            HMAC_SHA2_256.expand(b"key", &seed, &mut got).unwrap();
            for n in 1u8..=255 {
                last = HMAC_SHA2_256.prf(b"key", &[last.expose(), b"nonces", b"spis", &[n]]);
                want.extend_from_slice(last.expose());
            }
            assert_eq!(got, want[..len]);
        }
        assert_eq!(HMAC_SHA2_256.expand(b"key", &seed, &mut [0; 255 * 32 + 1]), Err(CryptoError::Length));
        assert_eq!(HMAC_SHA2_256.expand(b"key", &[&[][..]; 8], &mut [0; 1]), Err(CryptoError::Length));
    }
}
