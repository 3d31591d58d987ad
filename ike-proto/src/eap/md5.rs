//! MD5-Challenge (RFC 3748 §5.4, RFC 1994 §4.1): MD5(identifier | password | challenge). One-sided, makes no key; only
//! where policy names it.

use super::method::{Progress, Turn};
use alloc::string::ToString;
use alloc::vec::Vec;
use md5::{Digest, Md5};
use ravelin_crypto::{CryptoRng, Secret};
use subtle::ConstantTimeEq;

const LEN: u8 = 16;

fn response(identifier: u8, password: &Secret, challenge: &[u8]) -> [u8; 16] {
    Md5::new().chain_update([identifier]).chain_update(password.expose()).chain_update(challenge).finalize().into()
}

/// The value of a challenge or response.
fn value(data: &[u8]) -> Option<&[u8]> {
    let (len, rest) = data.split_first()?;
    rest.get(..usize::from(*len))
}

#[derive(Debug)]
pub(super) struct ServerSide {
    challenge: [u8; 16],
}

impl ServerSide {
    pub(super) fn start(rng: &mut (dyn CryptoRng + Send)) -> (Self, Vec<u8>) {
        let mut challenge = [0; 16];
        rng.fill_bytes(&mut challenge);
        (Self { challenge }, [&[LEN], &challenge[..]].concat())
    }

    pub(super) fn take(&mut self, turn: &Turn<'_>) -> Progress {
        let Some(password) = turn.password else { return Progress::Failed("nobody has this name".to_string()) };
        let Some(came) = value(turn.data).filter(|v| v.len() == usize::from(LEN)) else {
            return Progress::Failed("malformed MD5 response".to_string());
        };
        if response(turn.identifier, password, &self.challenge).ct_eq(came).into() {
            Progress::Done(None)
        } else {
            Progress::Failed("wrong password".to_string())
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct ClientSide {
    answered: bool,
}

impl ClientSide {
    pub(super) fn take(&mut self, turn: &Turn<'_>) -> Progress {
        let (Some(challenge), Some(password)) = (value(turn.data).filter(|v| !v.is_empty()), turn.password) else {
            return Progress::Failed("malformed MD5 challenge".to_string());
        };
        if core::mem::replace(&mut self.answered, true) {
            return Progress::Failed("the server sends a second challenge".to_string());
        }
        Progress::Next([&[LEN], &response(turn.identifier, password, challenge)[..]].concat())
    }

    pub(super) fn answered(&self) -> bool {
        self.answered
    }
}
