//! Integrity algorithms of the portable provider. To add one: a file here, a line in [`super::provider`].

pub(super) mod aes_cmac;
pub(super) mod aes_xcbc;
pub(super) mod hmac;

use crate::integ::{Integ, IntegKey};
use crate::{CryptoError, IntegId};
use ::hmac::digest::{KeyInit, Mac, OutputSizeUser};
use alloc::boxed::Box;
use core::marker::PhantomData;
use subtle::ConstantTimeEq;

/// A MAC of the `digest` crate, truncated to `icv_len` octets, with a key as long as its full output.
/// The keyed state is made once per SA and cloned per packet, on the stack.
pub(crate) struct TruncatedMac<M> {
    id: IntegId,
    icv_len: usize,
    types: PhantomData<fn() -> M>,
}

const fn truncated<M>(id: IntegId, icv_len: usize) -> TruncatedMac<M> {
    TruncatedMac { id, icv_len, types: PhantomData }
}

impl<M: Mac + KeyInit + Clone + Send + Sync + 'static> Integ for TruncatedMac<M> {
    fn id(&self) -> IntegId {
        self.id
    }
    fn key_len(&self) -> usize {
        <M as OutputSizeUser>::output_size()
    }
    fn icv_len(&self) -> usize {
        self.icv_len
    }
    fn key(&self, key: &[u8]) -> Result<Box<dyn IntegKey>, CryptoError> {
        if key.len() != self.key_len() {
            return Err(CryptoError::Length);
        }
        let state = <M as KeyInit>::new_from_slice(key).map_err(|_| CryptoError::Length)?;
        Ok(Box::new(MacKey { state, icv_len: self.icv_len }))
    }
}

struct MacKey<M> {
    state: M,
    icv_len: usize,
}

impl<M: Mac + Clone> MacKey<M> {
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

impl<M: Mac + Clone + Send + Sync> IntegKey for MacKey<M> {
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
