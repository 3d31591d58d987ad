//! Brainpool groups 28 and 29 (RFC 6954): encoded as the ECP groups are. Feature `extra-curves`. No kept crate has the
//! 512-bit curve.

use super::ecp::{Ecp, ecp};
use crate::KeId;

pub(crate) static BRAINPOOL_P256R1: Ecp<bp256::BrainpoolP256r1> = ecp(KeId::BRAINPOOL_P256R1);
pub(crate) static BRAINPOOL_P384R1: Ecp<bp384::BrainpoolP384r1> = ecp(KeId::BRAINPOOL_P384R1);
