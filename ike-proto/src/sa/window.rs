//! Message ids and windows (RFC 7296 §2.2, §2.3): what we sent and wait for, what we answered and may have to repeat.
//! The window size is a number: 1 by default, more after SET_WINDOW_SIZE.

use crate::exchange::InFlight;
use alloc::boxed::Box;
use alloc::vec::Vec;
use ravelin_sa_db::Instant;

/// A request of ours on the wire.
#[derive(Debug)]
pub struct Flying {
    /// Its message id.
    pub message_id: u32,
    /// The octets, one datagram each (several when fragmented), without non-ESP marker.
    pub datagrams: Vec<Vec<u8>>,
    /// Transmissions so far.
    pub sent: u32,
    /// It was sent over other pairs of addresses too since the path was chosen (RFC 4555 §3.10).
    pub probed: bool,
    /// When to send again or give up.
    pub next_at: Instant,
    /// What the answer will be given to.
    pub inflight: InFlight,
}

/// Our side of the conversation.
#[derive(Debug)]
pub struct SendWindow {
    next: u32,
    size: u32,
    flying: Vec<Flying>,
}

impl SendWindow {
    /// Starts at message id `next` with a window of one.
    #[must_use]
    pub fn new(next: u32) -> Self {
        Self { next, size: 1, flying: Vec::new() }
    }

    /// The peer's window, from SET_WINDOW_SIZE; never shrinks (RFC 7296 §2.3).
    pub fn widen(&mut self, size: u32) {
        self.size = self.size.max(size.clamp(1, MAX_WINDOW));
    }

    /// True when one more request may be sent.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let oldest = self.flying.iter().map(|f| f.message_id).min().unwrap_or(self.next);
        self.next.wrapping_sub(oldest) < self.size && self.next != u32::MAX
    }

    /// True when a request with this id may be sent: the window reaches so far.
    #[must_use]
    pub fn is_open(&self, message_id: u32) -> bool {
        let oldest = self.flying.iter().map(|f| f.message_id).min().unwrap_or(message_id);
        message_id.saturating_sub(oldest) < self.size
    }

    /// Takes a request that waited for the window and may now be sent.
    pub fn take_waiting(&mut self) -> Option<Flying> {
        let at = self.flying.iter().position(|f| f.sent == 0 && self.is_open(f.message_id))?;
        Some(self.flying.swap_remove(at))
    }

    /// True when nothing of ours is on the wire.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.flying.is_empty()
    }

    /// Takes the next message id.
    pub fn allot(&mut self) -> u32 {
        let id = self.next;
        self.next = self.next.saturating_add(1);
        id
    }

    /// Next message id to be used.
    #[must_use]
    pub fn next(&self) -> u32 {
        self.next
    }

    /// Remembers a request that was sent.
    pub fn launch(&mut self, flying: Flying) {
        self.flying.reserve_exact(1);
        self.flying.push(flying);
    }

    /// Takes the request that this response belongs to.
    pub fn land(&mut self, message_id: u32) -> Option<Flying> {
        let at = self.flying.iter().position(|f| f.message_id == message_id)?;
        let flying = self.flying.swap_remove(at);
        self.flying.shrink_to_fit();
        Some(flying)
    }

    /// The request with this id, if it is on the wire.
    #[must_use]
    pub fn get(&self, message_id: u32) -> Option<&Flying> {
        self.flying.iter().find(|f| f.message_id == message_id)
    }

    /// The same, writable.
    pub fn get_mut(&mut self, message_id: u32) -> Option<&mut Flying> {
        self.flying.iter_mut().find(|f| f.message_id == message_id)
    }

    /// All requests on the wire.
    pub fn iter(&self) -> impl Iterator<Item = &Flying> {
        self.flying.iter()
    }

    /// All requests on the wire, writable.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Flying> {
        self.flying.iter_mut()
    }

    /// Forgets all of them.
    pub fn clear(&mut self) -> Vec<Flying> {
        core::mem::take(&mut self.flying)
    }

    /// When the next retransmission is due.
    #[must_use]
    pub fn next_at(&self) -> Instant {
        self.flying.iter().map(|f| f.next_at).min().unwrap_or(Instant::NEVER)
    }
}

/// Largest window that we ever use or grant.
pub const MAX_WINDOW: u32 = 16;

/// A response that may have to be repeated.
#[derive(Debug)]
pub struct Answered {
    /// Message id of the request.
    pub message_id: u32,
    /// Fingerprint of the request, of its first fragment if it came in several: a retransmission has the same
    /// (RFC 7296 §2.1, RFC 7383 §2.6.1).
    pub fingerprint: [u8; 8],
    /// The octets of the response, without non-ESP marker.
    pub datagrams: Datagrams,
    /// Transmissions so far.
    pub sent: u32,
}

/// The datagrams of one message: nearly always one, which then needs no list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Datagrams {
    /// One.
    One(Vec<u8>),
    /// None, or several fragments.
    Many(Box<[Vec<u8>]>),
}

impl Default for Datagrams {
    fn default() -> Self {
        Self::Many(Box::default())
    }
}

impl From<Vec<Vec<u8>>> for Datagrams {
    fn from(mut all: Vec<Vec<u8>>) -> Self {
        match all.pop() {
            Some(one) if all.is_empty() => Self::One(one),
            last => {
                all.extend(last);
                Self::Many(all.into_boxed_slice())
            }
        }
    }
}

impl Datagrams {
    /// All of them, in order.
    #[must_use]
    pub fn all(&self) -> &[Vec<u8>] {
        match self {
            Self::One(one) => core::slice::from_ref(one),
            Self::Many(all) => all,
        }
    }
}

/// What to do with a request by its message id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// New and inside the window.
    New,
    /// Answered before: repeat the answer if it is the same request.
    Repeat,
    /// Too old or too far ahead: drop.
    Drop,
}

/// The peer's side of the conversation.
#[derive(Debug)]
pub struct ReceiveWindow {
    base: u32,
    size: u32,
    answered: Vec<Answered>,
}

impl ReceiveWindow {
    /// Expects message id `next`.
    #[must_use]
    pub fn new(next: u32) -> Self {
        Self { base: next, size: 1, answered: Vec::new() }
    }

    /// Grants a larger window (after our SET_WINDOW_SIZE).
    pub fn widen(&mut self, size: u32) {
        self.size = self.size.max(size.clamp(1, MAX_WINDOW));
    }

    /// Sorts a request by its id.
    #[must_use]
    pub fn judge(&self, message_id: u32) -> Verdict {
        if self.answered.iter().any(|a| a.message_id == message_id) {
            Verdict::Repeat
        } else if message_id >= self.base && message_id.saturating_sub(self.base) < self.size {
            Verdict::New
        } else {
            Verdict::Drop
        }
    }

    /// The lowest id that was not answered yet.
    #[must_use]
    pub fn expected(&self) -> u32 {
        self.base
    }

    /// The kept answer to this request, when its fingerprint is the same.
    #[must_use]
    pub fn answer(&self, message_id: u32, fingerprint: [u8; 8]) -> Option<&[Vec<u8>]> {
        self.answered
            .iter()
            .find(|a| a.message_id == message_id && a.fingerprint == fingerprint)
            .map(|a| a.datagrams.all())
    }

    /// The kept answer to this request, whatever its fingerprint: the caller has opened the request.
    pub fn answered_mut(&mut self, message_id: u32) -> Option<&mut Answered> {
        self.answered.iter_mut().find(|a| a.message_id == message_id)
    }

    /// Keeps an answer; those that left the window are forgotten.
    pub fn keep(&mut self, answered: Answered) {
        let has = |list: &[Answered], id| id == answered.message_id || list.iter().any(|a| a.message_id == id);
        while has(&self.answered, self.base) {
            self.base = self.base.saturating_add(1);
        }
        let (base, size) = (self.base, self.size);
        self.answered.retain(|a| a.message_id.saturating_add(size) >= base);
        self.answered.reserve_exact(1);
        self.answered.push(answered);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(message_id: u32) -> Answered {
        Answered {
            message_id,
            fingerprint: [1; 8],
            datagrams: alloc::vec![alloc::vec![message_id as u8]].into(),
            sent: 1,
        }
    }

    #[test]
    fn window_of_one_keeps_the_last_answer_only() {
        let mut w = ReceiveWindow::new(0);
        assert_eq!(w.judge(0), Verdict::New);
        assert_eq!(w.judge(1), Verdict::Drop);
        w.keep(answered(0));
        assert_eq!((w.judge(0), w.judge(1), w.judge(2)), (Verdict::Repeat, Verdict::New, Verdict::Drop));
        w.keep(answered(1));
        assert_eq!((w.judge(0), w.judge(1), w.judge(2)), (Verdict::Drop, Verdict::Repeat, Verdict::New));
        assert!(w.answer(1, [2; 8]).is_none() && w.answer(1, [1; 8]).is_some());
    }

    #[test]
    fn wider_window_takes_requests_out_of_order() {
        let mut w = ReceiveWindow::new(5);
        w.widen(3);
        w.keep(answered(6));
        assert_eq!(
            (w.judge(5), w.judge(6), w.judge(7), w.judge(8)),
            (Verdict::New, Verdict::Repeat, Verdict::New, Verdict::Drop)
        );
        w.keep(answered(5));
        assert_eq!((w.judge(5), w.judge(9), w.judge(10)), (Verdict::Repeat, Verdict::New, Verdict::Drop));
    }
}
