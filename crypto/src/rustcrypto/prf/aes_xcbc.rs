//! PRF_AES128_XCBC (RFC 4434): keys of 16 octets; shorter ones are padded with zeros, longer ones become their own
//! XCBC-MAC under an all-zero key (§2). In SKEYSEED the key is half of each nonce (RFC 7296 §2.14).

use crate::prf::Prf;
use crate::rustcrypto::xcbc::XcbcKey;
use crate::{PrfId, Secret};
use zeroize::Zeroizing;

/// RFC 4434.
pub(crate) struct XcbcPrf;

pub(crate) static AES128_XCBC: XcbcPrf = XcbcPrf;

impl Prf for XcbcPrf {
    fn id(&self) -> PrfId {
        PrfId::AES128_XCBC
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
        let mut k = Zeroizing::new([0; 16]);
        if key.len() > k.len() {
            *k = XcbcKey::new(&k).mac(&[key]);
        } else {
            for (to, from) in k.iter_mut().zip(key) {
                *to = *from;
            }
        }
        let out = Zeroizing::new(XcbcKey::new(&k).mac(parts));
        Secret::from(out.as_slice())
    }
}
