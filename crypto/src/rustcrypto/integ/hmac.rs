//! HMAC-SHA1-96 (RFC 2404) and HMAC-SHA2 truncated to half (RFC 4868).
//! The keyed state (both padded blocks hashed) is made once per SA and cloned per packet, on the stack.

use crate::integ::{Integ, IntegKey};
use crate::{CryptoError, IntegId};
use alloc::boxed::Box;
use core::marker::PhantomData;
use hmac::{EagerHash, Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

/// HMAC over the hash `D`, truncated to `icv_len` octets. The key is as long as the hash's output.
pub(crate) struct HmacInteg<D> {
    id: IntegId,
    icv_len: usize,
    types: PhantomData<fn() -> D>,
}

const fn hmac<D>(id: IntegId, icv_len: usize) -> HmacInteg<D> {
    HmacInteg { id, icv_len, types: PhantomData }
}

pub(crate) static HMAC_SHA1_96: HmacInteg<Sha1> = hmac(IntegId::HMAC_SHA1_96, 12);
pub(crate) static HMAC_SHA2_256_128: HmacInteg<Sha256> = hmac(IntegId::HMAC_SHA2_256_128, 16);
pub(crate) static HMAC_SHA2_384_192: HmacInteg<Sha384> = hmac(IntegId::HMAC_SHA2_384_192, 24);
pub(crate) static HMAC_SHA2_512_256: HmacInteg<Sha512> = hmac(IntegId::HMAC_SHA2_512_256, 32);

impl<D: EagerHash + 'static> Integ for HmacInteg<D>
where
    Hmac<D>: Mac + KeyInit + Clone + Send + Sync,
{
    fn id(&self) -> IntegId {
        self.id
    }
    fn key_len(&self) -> usize {
        <Hmac<D> as hmac::digest::OutputSizeUser>::output_size()
    }
    fn icv_len(&self) -> usize {
        self.icv_len
    }
    fn key(&self, key: &[u8]) -> Result<Box<dyn IntegKey>, CryptoError> {
        if key.len() != self.key_len() {
            return Err(CryptoError::Length);
        }
        let state = Hmac::<D>::new_from_slice(key).map_err(|_| CryptoError::Length)?;
        Ok(Box::new(HmacKey { state, icv_len: self.icv_len }))
    }
}

struct HmacKey<D: EagerHash> {
    state: Hmac<D>,
    icv_len: usize,
}

impl<D: EagerHash> HmacKey<D>
where
    Hmac<D>: Mac + Clone,
{
    /// Hands the truncated MAC over `parts` to `use_it`.
    fn mac<R>(&self, parts: &[&[u8]], use_it: impl FnOnce(&[u8]) -> R) -> Result<R, CryptoError> {
        let mut mac = self.state.clone();
        for part in parts {
            mac.update(part);
        }
        let full = mac.finalize().into_bytes();
        full.get(..self.icv_len).map(use_it).ok_or(CryptoError::Internal)
    }
}

impl<D: EagerHash> IntegKey for HmacKey<D>
where
    Hmac<D>: Mac + Clone + Send + Sync,
{
    fn sign(&self, parts: &[&[u8]], icv: &mut [u8]) -> Result<(), CryptoError> {
        if icv.len() != self.icv_len {
            return Err(CryptoError::Length);
        }
        self.mac(parts, |mac| icv.copy_from_slice(mac))
    }
    fn verify(&self, parts: &[&[u8]], icv: &[u8]) -> Result<(), CryptoError> {
        let equal = self.mac(parts, |mac| bool::from(mac.ct_eq(icv)))?;
        if equal { Ok(()) } else { Err(CryptoError::Integrity) }
    }
}
