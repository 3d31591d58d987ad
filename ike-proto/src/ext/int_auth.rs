//! IntAuth (RFC 9242 §3.3.2): the transcript of IKE_INTERMEDIATE exchanges that enters AUTH.
//!
//! IntAuth_x(k) = prf(SK_px(k), IntAuth_x(k-1) | A | P), where A runs from the IKE header through the generic header
//! of SK as if the message were sent whole and its payload were the plaintext, P is the plaintext without padding, and
//! SK_p are the keys in force when exchange k is made.

use crate::ids::Role;
use crate::registry::PayloadType;
use crate::wire::Header;
use crate::wire::message::begin_protected;
use alloc::vec::Vec;
use ravelin_crypto::prf::Prf;

/// The running values of both sides; empty before the first IKE_INTERMEDIATE.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct IntAuth {
    initiator: Vec<u8>,
    responder: Vec<u8>,
    exchanges: u32,
}

impl IntAuth {
    /// Before the first IKE_INTERMEDIATE.
    pub const NONE: Self = Self { initiator: Vec::new(), responder: Vec::new(), exchanges: 0 };

    /// Adds one message, sent by `role`. `first` and `plain` are its inner payloads in clear.
    pub fn add(&mut self, prf: &dyn Prf, sk_p: &[u8], role: Role, header: &Header, first: PayloadType, plain: &[u8]) {
        // A message that could not be encoded was never sent; one that came can always be.
        let Ok(a) = begin_protected(header, &[], first, None, plain.len()) else { return };
        let value = match role {
            Role::Initiator => {
                self.exchanges = self.exchanges.saturating_add(1);
                &mut self.initiator
            }
            Role::Responder => &mut self.responder,
        };
        *value = prf.prf(sk_p, &[value, &a, plain]).expose().to_vec();
    }

    /// What is appended to the signed octets: both values and the message id of the first IKE_AUTH, which follows the
    /// last IKE_INTERMEDIATE; empty when there was none.
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        if self.initiator.is_empty() {
            return Vec::new();
        }
        let auth_message_id = self.exchanges.saturating_add(1);
        [self.initiator.as_slice(), &self.responder, &auth_message_id.to_be_bytes()].concat()
    }
}
