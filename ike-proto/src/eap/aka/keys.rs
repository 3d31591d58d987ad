//! Keys of EAP-AKA (RFC 4187 §7, with the generator of FIPS 186-2) and of EAP-AKA′ (RFC 9048 §3.3, §3.4). The compression
//! of SHA-1 and HMAC are RustCrypto's and the provider's.

use alloc::vec::Vec;
use ravelin_crypto::prf::Prf;
use ravelin_crypto::{PrfId, Provider, Secret};
use sha1::{Digest, Sha1};

/// Octets of AT_MAC.
pub(super) const MAC: usize = 16;

/// What both sides derive.
#[derive(Debug)]
pub(super) struct Keys {
    aut: Secret,
    pub(super) msk: Secret,
    prf: PrfId,
}

/// Start of SHA-1.
const H0: [u32; 5] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];

/// One block of the generator (FIPS 186-2, change notice 1): G by the compression of SHA-1, without its padding.
fn g(xval: &[u8; 20]) -> [u8; 20] {
    let mut block = [0; 64];
    block.iter_mut().zip(xval).for_each(|(to, from)| *to = *from);
    let mut state = H0;
    sha1::block_api::compress(&mut state, &[block]);
    let mut out = [0; 20];
    out.iter_mut().zip(state.iter().flat_map(|w| w.to_be_bytes())).for_each(|(to, from)| *to = from);
    out
}

/// a + b + carry mod 2^160.
fn add(a: &[u8; 20], b: &[u8; 20], carry: u16) -> [u8; 20] {
    let mut out = [0; 20];
    let mut carry = carry;
    for (to, (x, y)) in out.iter_mut().zip(a.iter().zip(b)).rev() {
        let sum = u16::from(*x).saturating_add(u16::from(*y)).saturating_add(carry);
        *to = (sum & 0xFF) as u8;
        carry = sum >> 8;
    }
    out
}

fn generate(seed: [u8; 20], len: usize) -> Secret {
    let mut key = seed;
    let mut out = Vec::with_capacity(len.saturating_add(20));
    while out.len() < len {
        let w = g(&key);
        out.extend_from_slice(&w);
        key = add(&key, &w, 1);
    }
    out.truncate(len);
    Secret::new(out)
}

fn part(all: &Secret, from: usize, len: usize) -> Secret {
    Secret::from(all.expose().get(from..from.saturating_add(len)).unwrap_or_default())
}

impl Keys {
    /// EAP-AKA.
    pub(super) fn aka(user: &[u8], ik: &Secret, ck: &Secret) -> Self {
        let mk = Sha1::new().chain_update(user).chain_update(ik.expose()).chain_update(ck.expose()).finalize();
        // K_encr, K_aut, MSK, EMSK.
        let all = generate(mk.into(), 160);
        Self { aut: part(&all, 16, 16), msk: part(&all, 32, 64), prf: PrfId::HMAC_SHA1 }
    }

    /// EAP-AKA′ over a network of this name.
    pub(super) fn prime(
        crypto: &Provider,
        user: &[u8],
        ik: &Secret,
        ck: &Secret,
        autn: &[u8; 16],
        network: &[u8],
    ) -> Option<Self> {
        let prf = crypto.prf(PrfId::HMAC_SHA2_256)?;
        let both = Secret::new([ck.expose(), ik.expose()].concat());
        let len = u16::try_from(network.len()).ok()?.to_be_bytes();
        let sqn = autn.get(..6)?;
        let primes = prf.prf(both.expose(), &[&[0x20], network, &len, sqn, &[0, 6]]);
        let (ck, ik) = primes.expose().split_at_checked(16)?;
        let key = Secret::new([ik, ck].concat());
        let all = expand(prf, &key, &[b"EAP-AKA'", user].concat(), 208);
        // K_encr, K_aut, K_re, MSK, EMSK.
        Some(Self { aut: part(&all, 16, 32), msk: part(&all, 80, 64), prf: PrfId::HMAC_SHA2_256 })
    }

    /// AT_MAC over a whole packet in which its value is zero.
    pub(super) fn mac(&self, crypto: &Provider, packet: &[u8]) -> Option<Secret> {
        let mac = crypto.prf(self.prf)?.prf(self.aut.expose(), &[packet]);
        mac.expose().get(..MAC).map(Secret::from)
    }
}

/// PRF′ (RFC 9048 §3.4.1).
fn expand(prf: &dyn Prf, key: &Secret, seed: &[u8], len: usize) -> Secret {
    let mut out = Secret::default();
    let mut last = Secret::default();
    for n in 1..=u8::MAX {
        last = prf.prf(key.expose(), &[last.expose(), seed, &[n]]);
        out = Secret::new([out.expose(), last.expose()].concat());
        if out.len() >= len {
            break;
        }
    }
    part(&out, 0, len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unhex(text: &str) -> Vec<u8> {
        text.as_bytes().chunks(2).map(|d| u8::from_str_radix(core::str::from_utf8(d).unwrap(), 16).unwrap()).collect()
    }

    /// RFC 9048 appendix C, case 1.
    #[test]
    fn aka_prime_of_the_rfc() {
        let ik = Secret::new(unhex("9744871ad32bf9bbd1dd5ce54e3e2e5a"));
        let ck = Secret::new(unhex("5349fbe098649f948f5d2e973a81c00f"));
        let autn: [u8; 16] = unhex("bb52e91c747ac3ab2a5c23d15ee351d5").try_into().unwrap();
        let crypto = ravelin_crypto::rustcrypto::provider();
        let keys = Keys::prime(&crypto, b"0555444333222111", &ik, &ck, &autn, b"WLAN").unwrap();
        assert_eq!(keys.aut.expose(), unhex("0842ea722ff6835bfa2032499fc3ec23c2f0e388b4f07543ffc677f1696d71ea"));
        assert_eq!(keys.msk.expose()[..16], unhex("67c42d9aa56c1b79e295e3459fc3d187"));
    }

    /// The generator with the example of FIPS 186-2 that RFC 4186 §A.5 and others repeat: XKEY, then x0.
    #[test]
    fn the_generator() {
        let key: [u8; 20] = unhex("bd029bbe7f51960bcf9edb2b61f06f0feb5a38b6").try_into().unwrap();
        let x0 = generate(key, 40);
        assert_eq!(
            x0.expose(),
            unhex("2070b3223dba372fde1c0ffc7b2e3b498b2606143c6c18bacb0f6c55babb13788e20d737a3275116")
        );
    }
}
