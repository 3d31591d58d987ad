//! 3DES in CBC mode (RFC 2451), legacy: key of 24 octets in three parts, block and IV of 8. RFC 8221 advises against it:
//! 64-bit blocks collide after some gigabytes of one key.

use super::aes_cbc::{Cbc, cbc};
use crate::EncrId;
use des::TdesEde3;

pub(crate) static TRIPLE_DES: Cbc<TdesEde3> = cbc(EncrId::TRIPLE_DES);
