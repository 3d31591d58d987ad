//! AES-XCBC-MAC-96 (RFC 3566): key of 16 octets, ICV of 12.

use crate::integ::{Integ, IntegKey};
use crate::rustcrypto::xcbc::XcbcKey;
use crate::{CryptoError, IntegId};
use alloc::boxed::Box;
use subtle::ConstantTimeEq;

/// RFC 3566.
pub(crate) struct AesXcbc;

pub(crate) static AES_XCBC_96: AesXcbc = AesXcbc;

const ICV_LEN: usize = 12;

impl Integ for AesXcbc {
    fn id(&self) -> IntegId {
        IntegId::AES_XCBC_96
    }
    fn key_len(&self) -> usize {
        16
    }
    fn icv_len(&self) -> usize {
        ICV_LEN
    }
    fn key(&self, key: &[u8]) -> Result<Box<dyn IntegKey>, CryptoError> {
        Ok(Box::new(XcbcKey::new(key.try_into().map_err(|_| CryptoError::Length)?)))
    }
}

impl IntegKey for XcbcKey {
    fn sign(&self, parts: &[&[u8]], icv: &mut [u8]) -> Result<(), CryptoError> {
        if icv.len() != ICV_LEN {
            return Err(CryptoError::Length);
        }
        for (to, from) in icv.iter_mut().zip(self.mac(parts)) {
            *to = from;
        }
        Ok(())
    }
    fn verify(&self, parts: &[&[u8]], icv: &[u8]) -> Result<(), CryptoError> {
        let mut own = [0; ICV_LEN];
        self.sign(parts, &mut own)?;
        if bool::from(own.as_slice().ct_eq(icv)) { Ok(()) } else { Err(CryptoError::Integrity) }
    }
}
