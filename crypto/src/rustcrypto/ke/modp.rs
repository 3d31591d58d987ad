//! MODP groups (RFC 3526; 2 and 5 of RFC 7296 appendix B and RFC 3526, legacy): generator 2, safe primes.
//!
//! Exponents are short, at least twice the upper strength estimate of RFC 3526 §8: the work is then a quarter to a
//! tenth of a full-length exponent, with the same strength in groups of a safe prime. The exponentiation takes the
//! same time for every exponent of that length. Values are padded with zeros on the left to the length of the prime
//! (RFC 7296 §2.14, §3.4); peer values must be above 1 and below p-1 (RFC 6989 §2.1).
//! To add a group: its prime in `modp_primes.rs`, one static here, one line in the provider's list.

use super::modp_primes;
use crate::ke::{KeSecret, KeyExchange};
use crate::{CryptoError, CryptoRng, KeId, Secret};
use alloc::boxed::Box;
use alloc::vec::Vec;
use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};
use zeroize::Zeroizing;

/// One group.
#[derive(Clone, Copy)]
pub(crate) struct Modp {
    id: KeId,
    /// The prime, big endian.
    prime: &'static [u8],
    /// Octets of a private exponent.
    exponent_len: usize,
}

pub(crate) static MODP_1024: Modp = Modp { id: KeId::MODP_1024, prime: &modp_primes::P1024, exponent_len: 32 };
pub(crate) static MODP_1536: Modp = Modp { id: KeId::MODP_1536, prime: &modp_primes::P1536, exponent_len: 32 };
pub(crate) static MODP_2048: Modp = Modp { id: KeId::MODP_2048, prime: &modp_primes::P2048, exponent_len: 40 };
pub(crate) static MODP_3072: Modp = Modp { id: KeId::MODP_3072, prime: &modp_primes::P3072, exponent_len: 56 };
pub(crate) static MODP_4096: Modp = Modp { id: KeId::MODP_4096, prime: &modp_primes::P4096, exponent_len: 64 };
pub(crate) static MODP_6144: Modp = Modp { id: KeId::MODP_6144, prime: &modp_primes::P6144, exponent_len: 72 };
pub(crate) static MODP_8192: Modp = Modp { id: KeId::MODP_8192, prime: &modp_primes::P8192, exponent_len: 80 };

type Exponent = Zeroizing<BoxedUint>;

impl Modp {
    fn bits(&self) -> u32 {
        self.prime.len() as u32 * 8
    }

    fn params(&self) -> BoxedMontyParams {
        let prime = BoxedUint::from_be_slice_truncated(self.prime, self.bits());
        #[allow(clippy::expect_used, reason = "the primes are constants and odd; a test runs every one of them")]
        let odd = Option::from(Odd::new(prime)).expect("an odd constant");
        BoxedMontyParams::new_vartime(odd)
    }

    /// A private exponent; the highest bit is set, so that it is never zero and always of full length.
    fn exponent(&self, rng: &mut dyn CryptoRng) -> Exponent {
        let mut bytes = Zeroizing::new(alloc::vec![0; self.exponent_len]);
        rng.fill_bytes(&mut bytes);
        if let Some(first) = bytes.first_mut() {
            *first |= 0x80;
        }
        Zeroizing::new(BoxedUint::from_be_slice_truncated(&bytes, self.exponent_len as u32 * 8))
    }

    /// base^exponent mod p, in constant time for the exponent, left-padded.
    fn power(&self, params: &BoxedMontyParams, base: BoxedUint, exponent: &BoxedUint) -> Secret {
        let base = BoxedMontyForm::new(base, params);
        let power = Zeroizing::new(base.pow_bounded_exp(exponent, exponent.bits_precision()));
        let value = Zeroizing::new(power.retrieve());
        Secret::new(value.to_be_bytes().into_vec())
    }

    fn public(&self, params: &BoxedMontyParams, exponent: &BoxedUint) -> Vec<u8> {
        let two = BoxedUint::from_be_slice_truncated(&[2], self.bits());
        self.power(params, two, exponent).expose().to_vec()
    }

    /// The peer's value as a number with 1 < y < p-1 (RFC 6989 §2.1).
    fn peer(&self, params: &BoxedMontyParams, peer: &[u8]) -> Result<BoxedUint, CryptoError> {
        if peer.len() != self.prime.len() {
            return Err(CryptoError::Length);
        }
        let y = BoxedUint::from_be_slice_truncated(peer, self.bits());
        let one = BoxedUint::one_with_precision(self.bits());
        let p_minus_1 = params.modulus().as_ref().wrapping_sub(&one);
        if y > one && y < p_minus_1 { Ok(y) } else { Err(CryptoError::PublicValue) }
    }
}

impl KeyExchange for Modp {
    fn id(&self) -> KeId {
        self.id
    }
    fn initiator_len(&self) -> usize {
        self.prime.len()
    }
    fn responder_len(&self) -> usize {
        self.prime.len()
    }
    fn initiate(&self, rng: &mut dyn CryptoRng) -> Result<(Box<dyn KeSecret>, Vec<u8>), CryptoError> {
        let exponent = self.exponent(rng);
        let public = self.public(&self.params(), &exponent);
        Ok((Box::new(Private { group: *self, exponent }), public))
    }
    fn respond(&self, rng: &mut dyn CryptoRng, peer: &[u8]) -> Result<(Vec<u8>, Secret), CryptoError> {
        let params = self.params();
        let peer = self.peer(&params, peer)?;
        let exponent = self.exponent(rng);
        Ok((self.public(&params, &exponent), self.power(&params, peer, &exponent)))
    }
}

struct Private {
    group: Modp,
    exponent: Exponent,
}

impl KeSecret for Private {
    fn id(&self) -> KeId {
        self.group.id
    }
    fn finish(self: Box<Self>, peer: &[u8]) -> Result<Secret, CryptoError> {
        let params = self.group.params();
        let peer = self.group.peer(&params, peer)?;
        Ok(self.group.power(&params, peer, &self.exponent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&Modp; 7] = [&MODP_1024, &MODP_1536, &MODP_2048, &MODP_3072, &MODP_4096, &MODP_6144, &MODP_8192];

    /// 2^((p-1)/2) = 1 holds for a prime with 2 a square, and fails if a single octet of the constant is wrong.
    #[test]
    fn primes_pass_fermat() {
        for group in ALL {
            let params = group.params();
            let mut half = params.modulus().as_ref().clone();
            half = half.shr(1);
            let two = BoxedUint::from_be_slice_truncated(&[2], group.bits());
            let mut one = alloc::vec![0; group.prime.len()];
            *one.last_mut().unwrap() = 1;
            assert_eq!(group.power(&params, two, &half).expose(), one, "{}", group.id);
        }
    }

    /// RFC 3526 §8: at least twice the upper strength estimate; short against the prime all the same.
    #[test]
    fn exponents_are_long_enough() {
        let strength = [(2, 80), (5, 120), (14, 160), (15, 210), (16, 240), (17, 270), (18, 310)];
        for (group, (id, bits)) in ALL.iter().zip(strength) {
            assert_eq!(group.id.0, id);
            assert!(group.exponent_len * 8 >= 2 * bits && group.exponent_len * 2 < group.prime.len(), "{}", group.id);
        }
    }
}
