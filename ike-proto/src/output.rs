//! What an endpoint wants from the world, in one ordered queue: "install inbound" always comes out before the message
//! that lets the peer use it. The driver drains it after every call.

use crate::ask::{Ask, Ticket};
use crate::event::Event;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use ravelin_sa_db::{Change, Path};

/// A datagram to send, non-ESP marker included where the port asks for it (RFC 3948 §2.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transmit {
    /// From and to.
    pub path: Path,
    /// UDP payload.
    pub bytes: Vec<u8>,
}

/// One thing that the endpoint wants done or known.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Output {
    /// A step for the data plane.
    Change(Change),
    /// A datagram for the network.
    Transmit(Transmit),
    /// A question; answered by `Endpoint::handle_answer`.
    Ask(Ticket, Ask),
    /// Something happened that an operator or program may want to know.
    Event(Event),
}

/// The ordered queue.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: VecDeque<Output>,
    /// What goes wrong on purpose.
    #[cfg(feature = "fault-injection")]
    pub faults: crate::fault::Faults,
}

impl Outbox {
    /// Appends a datagram.
    pub fn transmit(&mut self, path: Path, bytes: Vec<u8>) {
        #[cfg(feature = "fault-injection")]
        for (path, bytes) in self.faults.datagram(path, bytes) {
            self.queue.push_back(Output::Transmit(Transmit { path, bytes }));
        }
        #[cfg(not(feature = "fault-injection"))]
        self.queue.push_back(Output::Transmit(Transmit { path, bytes }));
    }

    /// Appends a datagram that was delayed: no rule is asked again.
    #[cfg(feature = "fault-injection")]
    pub(crate) fn push_delayed(&mut self, path: Path, bytes: Vec<u8>) {
        self.queue.push_back(Output::Transmit(Transmit { path, bytes }));
    }

    /// Appends a step for the data plane.
    pub fn change(&mut self, change: Change) {
        self.queue.push_back(Output::Change(change));
    }

    /// Appends an event.
    pub fn event(&mut self, event: Event) {
        self.queue.push_back(Output::Event(event));
    }

    /// Appends a question.
    pub fn ask(&mut self, ticket: Ticket, ask: Ask) {
        self.queue.push_back(Output::Ask(ticket, ask));
    }

    /// Takes the oldest output.
    pub fn pop(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }

    /// True when nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Number of waiting outputs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }
}
