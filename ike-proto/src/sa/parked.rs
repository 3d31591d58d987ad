//! Exchanges that wait for the answer to an [`Ask`], for a bounded time: one of ours, and as many of the peer's as its
//! window holds. Retransmissions of the peer's request are absorbed meanwhile; no answer in time is a refusal.

use super::inbound::Held;
use super::{IkeSa, Intent};
use crate::ask::{Answer, Ask, Ticket};
use crate::error::ApiError;
use crate::exchange::{Cx, Resume, intermediate};
use alloc::string::ToString;
use ravelin_sa_db::Instant;

/// What goes on when the answer is there.
#[derive(Debug)]
pub(super) enum Work {
    /// An exchange of ours.
    Ours(Resume),
    /// A request of the peer.
    Theirs(Held),
    /// Something that we want to begin, once its PPK is there (RFC 9867 §3.2).
    Wish(Intent),
}

/// A parked exchange.
#[derive(Debug)]
pub(super) struct Parked {
    number: u32,
    ask: Ask,
    until: Instant,
    work: Work,
}

impl IkeSa {
    /// Asks, and keeps what is to be done with the answer.
    pub(super) fn park(&mut self, cx: &mut Cx<'_>, ask: Ask, work: Work) {
        self.tickets = self.tickets.saturating_add(1);
        cx.out.ask(Ticket::new(self.core.id, self.tickets), ask.clone());
        self.parked.push(Parked { number: self.tickets, ask, until: cx.now.mono + cx.config.ask_timeout, work });
    }

    /// When a parked exchange is given up.
    pub(super) fn parked_until(&self) -> Instant {
        self.parked.iter().map(|p| p.until).min().unwrap_or(Instant::NEVER)
    }

    /// True when this request of the peer is the one that is parked.
    pub(super) fn is_parked(&self, message_id: u32) -> bool {
        self.parked.iter().any(|p| matches!(&p.work, Work::Theirs(r) if r.header.message_id == message_id))
    }

    /// Frees what a parked exchange holds.
    pub(super) fn unpark(&mut self, cx: &mut Cx<'_>) {
        for parked in self.parked.take() {
            if let Work::Ours(Resume::Response { auth, .. }) = parked.work {
                auth.give_back(cx);
            }
        }
    }

    /// True while something of ours waits for its PPK.
    pub(super) fn awaits_ppk(&self) -> bool {
        self.parked.iter().any(|p| matches!(p.work, Work::Wish(_)))
    }

    /// What waited for a PPK is wanted again, by whoever takes over.
    pub(super) fn unpark_wishes(&mut self) {
        if !self.awaits_ppk() {
            return;
        }
        for parked in self.parked.extract_if(.., |p| matches!(p.work, Work::Wish(_))) {
            if let Work::Wish(intent) = parked.work {
                self.queue.push(intent);
            }
        }
    }

    /// Nobody answered in time.
    pub(super) fn expire_parked(&mut self, cx: &mut Cx<'_>) {
        while let Some(late) = self.parked.iter().find(|p| p.until <= cx.now.mono).map(|p| p.number) {
            // The ticket is parked and a refusal fits every question.
            let _ = self.answer(cx, late, Answer::Refused("no answer in time".to_string()));
        }
    }

    /// Takes the answer to the question with this number.
    ///
    /// # Errors
    /// [`ApiError::UnknownTicket`] or [`ApiError::WrongAnswer`]; the exchange then stays parked.
    pub(crate) fn answer(&mut self, cx: &mut Cx<'_>, number: u32, answer: Answer) -> Result<(), ApiError> {
        let at = self.parked.iter().position(|p| p.number == number).ok_or(ApiError::UnknownTicket)?;
        if !self.parked.get(at).is_some_and(|p| answer.fits(&p.ask)) {
            return Err(ApiError::WrongAnswer);
        }
        let parked = self.parked.remove(at);
        if let Work::Wish(intent) = parked.work {
            self.ppk_given(cx, intent, answer);
            self.pump(cx);
            return Ok(());
        }
        self.core.answers.give(parked.ask, answer);
        match parked.work {
            Work::Wish(_) => {}
            Work::Theirs(request) => self.answer_request(cx, request),
            Work::Ours(resume) => {
                let step = match resume {
                    Resume::Request(first) => intermediate::next_step(cx, &mut self.core, first),
                    Resume::Response { auth, header, payloads, path } => {
                        let msg = crate::exchange::Inbound { header, payloads, raw: &[], path };
                        auth.response(cx, &mut self.core, &msg)
                    }
                };
                self.settle_life();
                self.follow(cx, step, None);
            }
        }
        self.pump(cx);
        Ok(())
    }
}
