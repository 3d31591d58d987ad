//! EAP-MSCHAPv2 (draft-kamath-pppext-eap-mschapv2, RFC 2759): both sides prove that they know the password, and the
//! method makes an MSK. Challenge, response, success request, success response; every other order ends it.

pub mod formulas;

use super::method::{Progress, Turn};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use formulas::{CHALLENGE, RESPONSE};
use ravelin_crypto::{CryptoRng, Secret};
use subtle::ConstantTimeEq;

const OP_CHALLENGE: u8 = 1;
const OP_RESPONSE: u8 = 2;
const OP_SUCCESS: u8 = 3;
const OP_FAILURE: u8 = 4;
/// NT response with its peer challenge, reserved octets and flags.
const VALUE: usize = 49;

/// OpCode, MS-CHAPv2-ID, MS-Length, body.
fn packet(op: u8, id: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len().saturating_add(4)).unwrap_or(u16::MAX).to_be_bytes();
    [&[op, id], &len[..], body].concat()
}

/// Op, id and body of a packet whose length is what it says.
fn parse(data: &[u8]) -> Option<(u8, u8, &[u8])> {
    let ([op, id, hi, lo], body) = data.split_first_chunk()?;
    (usize::from(u16::from_be_bytes([*hi, *lo])) == data.len()).then_some((*op, *id, body))
}

fn failed(why: &str) -> Progress {
    Progress::Failed(why.to_string())
}

/// Server.
#[derive(Debug)]
pub struct ServerSide {
    challenge: [u8; CHALLENGE],
    id: u8,
    /// After a right response: the key that the client's success response confirms.
    msk: Option<Secret>,
}

impl ServerSide {
    pub(super) fn start(id: u8, rng: &mut (dyn CryptoRng + Send)) -> (Self, Vec<u8>) {
        let mut challenge = [0; CHALLENGE];
        rng.fill_bytes(&mut challenge);
        let body = [&[16], &challenge[..], b"ravelin"].concat();
        (Self { challenge, id, msk: None }, packet(OP_CHALLENGE, id, &body))
    }

    pub(super) fn take(&mut self, turn: Turn<'_>) -> Progress {
        if let Some(msk) = self.msk.take() {
            // A success response is its OpCode alone.
            return match turn.data {
                [OP_SUCCESS] => Progress::Done(Some(msk)),
                _ => failed("the client does not confirm our proof"),
            };
        }
        let Some((OP_RESPONSE, id, body)) = parse(turn.data) else { return failed("malformed MSCHAPv2 response") };
        let (Some((49, rest)), true) = (body.split_first().map(|(n, r)| (*n, r)), id == self.id) else {
            return failed("malformed MSCHAPv2 response");
        };
        let Some((value, name)) = rest.split_at_checked(VALUE) else { return failed("malformed MSCHAPv2 response") };
        let (Some(peer), Some(nt)) = (value.get(..CHALLENGE), value.get(24..24 + RESPONSE)) else {
            return failed("malformed MSCHAPv2 response");
        };
        if name != turn.user {
            return failed("the name in the response is not the identity");
        }
        let Some(password) = turn.password else { return failed("nobody has this name") };
        let Some(hash) = formulas::password_hash(password) else { return failed("its password is no UTF-8") };
        let expected = formulas::nt_response(&self.challenge, peer, name, &hash);
        if !bool::from(expected.ct_eq(nt)) {
            return failed("wrong password");
        }
        let proof = formulas::authenticator_response(&hash, nt, peer, &self.challenge, name);
        self.msk = Some(formulas::msk(&hash, nt));
        Progress::Next(packet(OP_SUCCESS, self.id, alloc::format!("S={} M=OK", hex(&proof)).as_bytes()))
    }
}

/// Client.
#[derive(Debug, Default)]
pub enum ClientSide {
    /// Waits for the challenge.
    #[default]
    Start,
    /// Waits for the server's proof; with the MSK that it would confirm.
    Answered {
        /// The proof, in hexadecimal digits.
        proof: String,
        /// The key.
        msk: Secret,
    },
    /// The server is proved.
    Proved(Secret),
    /// Over.
    Failed,
}

impl ClientSide {
    pub(super) fn take(&mut self, turn: Turn<'_>) -> Progress {
        let Some((op, id, body)) = parse(turn.data) else { return failed("malformed MSCHAPv2 request") };
        match (core::mem::replace(self, Self::Failed), op) {
            (Self::Start, OP_CHALLENGE) => self.answer(turn, id, body),
            (Self::Answered { proof, msk }, OP_SUCCESS) => {
                let said = body.strip_prefix(b"S=").and_then(|b| b.get(..40)).unwrap_or_default();
                if bool::from(said.to_ascii_uppercase().ct_eq(proof.as_bytes())) {
                    *self = Self::Proved(msk);
                    return Progress::Next(alloc::vec![OP_SUCCESS]);
                }
                failed("the server does not know the password: its proof is wrong")
            }
            (Self::Answered { .. }, OP_FAILURE) => {
                let said: String = body.iter().take(64).map(|b| char::from(*b)).filter(|c| !c.is_control()).collect();
                Progress::Failed(alloc::format!("the server refuses the password: {said}"))
            }
            _ => failed("the server breaks the order of MSCHAPv2"),
        }
    }

    fn answer(&mut self, turn: Turn<'_>, id: u8, body: &[u8]) -> Progress {
        let challenge = match body.split_first() {
            Some((16, rest)) => rest.get(..CHALLENGE),
            _ => None,
        };
        let Some(challenge) = challenge else { return failed("malformed MSCHAPv2 challenge") };
        let Some(hash) = turn.password.and_then(formulas::password_hash) else {
            return failed("our password is no UTF-8");
        };
        let mut peer = [0; CHALLENGE];
        turn.rng.fill_bytes(&mut peer);
        let nt = formulas::nt_response(challenge, &peer, turn.user, &hash);
        let proof = formulas::authenticator_response(&hash, &nt, &peer, challenge, turn.user);
        *self = Self::Answered { proof: hex(&proof), msk: formulas::msk(&hash, &nt) };
        let body = [&[49], &peer[..], &[0; 8], &nt, &[0], turn.user].concat();
        Progress::Next(packet(OP_RESPONSE, id, &body))
    }

    pub(super) fn outcome(&self) -> Option<Option<Secret>> {
        match self {
            Self::Proved(msk) => Some(Some(msk.clone())),
            _ => None,
        }
    }
}

/// Hexadecimal digits, upper case.
pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|b| alloc::format!("{b:02X}")).collect()
}
