//! The octets that AUTH covers (RFC 7296 §2.15; IntAuth of RFC 9242 §3.3.2 is appended).
//!
//! Initiator: RealMessage1 | Nr | prf(SK_pi, RestOfIDi). Responder: RealMessage2 | Ni | prf(SK_pr, RestOfIDr).
//! Real messages are the octets that went over the wire, never a re-encoding.

use alloc::vec::Vec;
use ravelin_crypto::prf::Prf;

/// What one side signs.
#[derive(Clone, Copy, Debug)]
pub struct SignedOctets<'a> {
    /// The signer's own IKE_SA_INIT message, from the SPIs on.
    pub real_message: &'a [u8],
    /// Downgrade prevention: the other side's IKE_SA_INIT message; AUTH then covers both, with eight zero octets in
    /// front (draft-ietf-ipsecme-ikev2-downgrade-prevention).
    pub other_message: Option<&'a [u8]>,
    /// The other side's nonce.
    pub nonce: &'a [u8],
    /// The signer's SK_p.
    pub sk_p: &'a [u8],
    /// Body of the signer's ID payload: type, reserved octets, data.
    pub rest_of_id: &'a [u8],
    /// IntAuth of RFC 9242; empty without IKE_INTERMEDIATE.
    pub int_auth: &'a [u8],
}

impl SignedOctets<'_> {
    /// The octets in one piece.
    #[must_use]
    pub fn bytes(&self, prf: &dyn Prf) -> Vec<u8> {
        let mut whole = Vec::new();
        self.with_parts(prf, &mut |parts| whole = parts.concat());
        whole
    }

    /// Hands the octets to `then` in parts, once.
    pub fn with_parts(&self, prf: &dyn Prf, then: &mut dyn FnMut(&[&[u8]])) {
        prf.prf_with(self.sk_p, &[self.rest_of_id], &mut |maced_id| match self.other_message {
            None => then(&[self.real_message, self.nonce, maced_id, self.int_auth]),
            Some(other) => then(&[&[0; 8], other, self.real_message, self.nonce, maced_id, self.int_auth]),
        });
    }
}
