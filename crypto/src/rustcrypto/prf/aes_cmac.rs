//! PRF_AES128_CMAC (RFC 4615): keys of 16 octets; any other length becomes its own CMAC under an all-zero key (§3).
//! In SKEYSEED the key is half of each nonce (RFC 7296 §2.14).

use crate::prf::Prf;
use crate::{PrfId, Secret};
use aes::Aes128;
use cmac::{Cmac, KeyInit, Mac};
use zeroize::Zeroizing;

/// RFC 4615.
pub(crate) struct CmacPrf;

pub(crate) static AES128_CMAC: CmacPrf = CmacPrf;

impl Prf for CmacPrf {
    fn id(&self) -> PrfId {
        PrfId::AES128_CMAC
    }
    fn key_len(&self) -> usize {
        16
    }
    fn output_len(&self) -> usize {
        16
    }
    fn fixed_key(&self) -> bool {
        true
    }
    fn prf(&self, key: &[u8], parts: &[&[u8]]) -> Secret {
        let key: Zeroizing<[u8; 16]> = match key.try_into() {
            Ok(key) => Zeroizing::new(key),
            Err(_) => mac(&[0; 16], &[key]),
        };
        Secret::from(mac(&key, parts).as_slice())
    }
}

fn mac(key: &[u8; 16], parts: &[&[u8]]) -> Zeroizing<[u8; 16]> {
    let mut mac = Cmac::<Aes128>::new(&(*key).into());
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}
