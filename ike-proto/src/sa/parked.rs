//! An exchange that waits for the answer to an [`Ask`]: one per IKE SA, for a bounded time. Retransmissions of the
//! peer's request are absorbed meanwhile; no answer in time is a refusal.

use super::IkeSa;
use super::inbound::Held;
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
        self.parked = Some(Parked { number: self.tickets, ask, until: cx.now.mono + cx.config.ask_timeout, work });
    }

    /// When a parked exchange is given up.
    pub(super) fn parked_until(&self) -> Instant {
        self.parked.as_ref().map_or(Instant::NEVER, |p| p.until)
    }

    /// True when this request of the peer is the one that is parked.
    pub(super) fn is_parked(&self, message_id: u32) -> bool {
        matches!(&self.parked, Some(Parked { work: Work::Theirs(r), .. }) if r.header.message_id == message_id)
    }

    /// Frees what a parked exchange holds.
    pub(super) fn unpark(&mut self, cx: &mut Cx<'_>) {
        if let Some(Parked { work: Work::Ours(Resume::Response { auth, .. }), .. }) = self.parked.take() {
            auth.give_back(cx);
        }
    }

    /// Nobody answered in time.
    pub(super) fn expire_parked(&mut self, cx: &mut Cx<'_>) {
        if self.parked_until() <= cx.now.mono {
            let number = self.tickets;
            // The ticket is the one that is parked and a refusal fits every question.
            let _ = self.answer(cx, number, Answer::Refused("no answer in time".to_string()));
        }
    }

    /// Takes the answer to the question with this number.
    ///
    /// # Errors
    /// [`ApiError::UnknownTicket`] or [`ApiError::WrongAnswer`]; the exchange then stays parked.
    pub(crate) fn answer(&mut self, cx: &mut Cx<'_>, number: u32, answer: Answer) -> Result<(), ApiError> {
        let parked = self.parked.take_if(|p| p.number == number && answer.fits(&p.ask));
        let Some(parked) = parked else {
            let same = self.parked.as_ref().is_some_and(|p| p.number == number);
            return Err(if same { ApiError::WrongAnswer } else { ApiError::UnknownTicket });
        };
        self.core.answers.give(parked.ask, answer);
        match parked.work {
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
