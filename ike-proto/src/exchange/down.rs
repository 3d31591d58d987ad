//! What an IKE SA leaves behind when it goes: facts from which the endpoint decides whether to try again
//! (`endpoint/retry.rs`).

use crate::error::{Fault, Reason};
use alloc::vec::Vec;
use ravelin_sa_db::{PeerId, PolicyId};

/// An IKE SA, or an attempt to make one, that ended.
#[derive(Clone, PartialEq, Debug)]
pub struct Down {
    /// With whom.
    pub peer: PeerId,
    /// It was established.
    pub established: bool,
    /// As an attempt of ours: its number, from 1. 0: the peer's attempt.
    pub tries: u32,
    /// Why.
    pub reason: Reason,
    /// Policies that it served or was to serve.
    pub policies: Vec<PolicyId>,
}

/// Which of a policy's actions applies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The peer closed it.
    Closed,
    /// The peer was found dead.
    Dead,
    /// The attempt came to nothing.
    Failed,
    /// Somebody on our side wanted it so.
    Wanted,
}

impl Down {
    /// What to look at.
    #[must_use]
    pub fn cause(&self) -> Cause {
        match (self.established, &self.reason) {
            (true, Reason::PeerDeleted) => Cause::Closed,
            (true, Reason::Silent { .. }) => Cause::Dead,
            (false, reason) if self.tries > 0 && reason.fault() != Fault::Intended => Cause::Failed,
            _ => Cause::Wanted,
        }
    }
}
