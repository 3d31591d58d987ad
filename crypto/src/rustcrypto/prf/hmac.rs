//! PRF_HMAC_SHA1 (RFC 2104) and PRF_HMAC_SHA2_256/384/512 (RFC 4868): keys of any length, preferred and output length
//! are the hash's.

use crate::prf::Prf;
use crate::{PrfId, Secret};
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
    Hmac<D>: Mac + KeyInit,
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
        #[allow(clippy::expect_used, reason = "RFC 2104: HMAC takes keys of any length, so does the implementation")]
        let mut mac = <Hmac<D> as KeyInit>::new_from_slice(key).expect("any length");
        for part in parts {
            mac.update(part);
        }
        let mut full = mac.finalize().into_bytes();
        let out = Secret::from(full.as_slice());
        full.as_mut_slice().zeroize();
        out
    }
}
