//! Generic Token Card (RFC 3748 §5.6): the server shows a text, the client answers with the password. Makes no key; the
//! password is protected by the IKE SA alone, so the server must be proved before (RFC 7296 §2.16).

use super::method::{Progress, Turn};
use alloc::string::ToString;
use subtle::ConstantTimeEq;

/// What the client's user sees.
pub(super) const PROMPT: &[u8] = b"Password: ";

#[derive(Debug)]
pub(super) struct ServerSide;

impl ServerSide {
    pub(super) fn take(&mut self, turn: &Turn<'_>) -> Progress {
        match turn.password {
            None => Progress::Failed("nobody has this name".to_string()),
            Some(p) if p.is_empty() => Progress::Failed("its password is empty".to_string()),
            Some(p) if bool::from(p.expose().ct_eq(turn.data)) => Progress::Done(None),
            Some(_) => Progress::Failed("wrong password".to_string()),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct ClientSide {
    answered: bool,
}

impl ClientSide {
    pub(super) fn take(&mut self, turn: &Turn<'_>) -> Progress {
        let Some(password) = turn.password.filter(|_| !self.answered) else {
            return Progress::Failed("the server asks for the password twice: it is wrong".to_string());
        };
        self.answered = true;
        Progress::Next(password.expose().to_vec())
    }

    pub(super) fn answered(&self) -> bool {
        self.answered
    }
}
