//! Starting exchanges of our own: from the queue of intents to requests on the wire.

use super::codec;
use super::parked::Work;
use super::window::Flying;
use super::{IkeSa, Intent, Lifecycle};
use crate::error::Reason;
use crate::event::Event;
use crate::exchange::child_create::CreateChild;
use crate::exchange::child_rekey::RekeyChild;
use crate::exchange::ike_rekey::RekeyIke;
use crate::exchange::{Cx, Draft, InFlight, Step, informational, mobility, notify};
use crate::registry::ExchangeType;
use crate::wire::order;
use alloc::vec::Vec;

impl IkeSa {
    /// Sends a request of ours and keeps it until it is answered.
    pub(super) fn request(&mut self, cx: &mut Cx<'_>, inflight: InFlight, mut draft: Draft) {
        let exchange = inflight.exchange();
        if !exchange.is_unprotected() {
            self.announce_window(cx, &mut draft);
        }
        order::sort(exchange, false, &mut draft);
        // A repeated IKE_SA_INIT keeps message id 0 (RFC 7296 §2.6, §2.7).
        let init = exchange == ExchangeType::IKE_SA_INIT;
        let message_id = if init { 0 } else { self.send.allot() };
        let header = codec::header(&self.core, exchange, message_id, false);
        let encoded = if init {
            codec::clear(&header, &draft).map(|d| alloc::vec![d])
        } else {
            codec::protected(cx, &mut self.core, &header, &draft)
        };
        let Some(datagrams) = encoded else {
            self.close(cx, Reason::Limit { what: "size of a message" });
            return;
        };
        if let InFlight::SaInit(_) = inflight
            && let Some(first) = datagrams.first()
        {
            self.core.opening.message1.clone_from(first);
        }
        let path = self.core.path;
        self.transmit(cx, path, &datagrams);
        let next_at = cx.now.mono + self.wait(cx, 0);
        self.send.launch(Flying { message_id, datagrams, sent: 1, next_at, resend: true, inflight });
    }

    /// Puts an intent into the queue and starts it if there is room.
    pub(crate) fn want(&mut self, cx: &mut Cx<'_>, intent: Intent) {
        self.queue.push(intent);
        self.pump(cx);
    }

    /// Starts what waits, while the window has room.
    pub(crate) fn pump(&mut self, cx: &mut Cx<'_>) {
        if self.life.may_start() {
            self.queue_moves();
        }
        while (self.life.may_start() || self.life == Lifecycle::Replaced) && self.send.has_room() {
            let Some(intent) = self.next_intent() else { return };
            self.start(cx, intent);
        }
    }

    /// The most urgent intent that may start beside what is on the wire.
    fn next_intent(&mut self) -> Option<Intent> {
        // An IKE SA that is being rekeyed starts nothing else (RFC 7296 §2.8), and is rekeyed only when it rests.
        if self.is_rekeying_ike() || self.undecided.is_some() || self.redundant {
            return None;
        }
        if self.life == Lifecycle::Replaced {
            return self.queue.pop_if(|intent| matches!(intent, Intent::DeleteIke(_)));
        }
        let idle = self.send.is_idle();
        let mut rekeys_ike = false;
        self.queue.pop_if(|intent| match intent {
            Intent::RekeyIke => {
                rekeys_ike = true;
                idle
            }
            // Only one of the two may be on its way, or the peer finds nothing to rekey.
            Intent::DeleteChild(id, _) => {
                !self.send.iter().any(|f| matches!(&f.inflight, InFlight::RekeyChild(x) if x.old == *id))
            }
            Intent::RekeyChild(_) | Intent::CreateChild { .. } | Intent::Liveness { .. } => !rekeys_ike,
            Intent::DeleteIke(_) | Intent::UpdateAddresses | Intent::CheckRoute | Intent::AnnounceAddresses => true,
        })
    }

    fn start(&mut self, cx: &mut Cx<'_>, intent: Intent) {
        match intent {
            Intent::DeleteIke(reason) => self.delete(cx, reason, informational::delete_ike_request()),
            Intent::DeleteChild(id, reason) => {
                // Whoever wants a Child SA gone wants what took its place gone too.
                let next = self.core.child(id).and_then(|c| c.successor).filter(|_| reason == Reason::Requested);
                if let Some(next) = next {
                    self.queue.push(Intent::DeleteChild(next.child, reason.clone()));
                }
                if let Some(draft) = informational::delete_child_request(cx, &mut self.core, id) {
                    self.request(cx, InFlight::DeleteChild(id, reason), draft);
                }
            }
            Intent::RekeyChild(id) if self.may_rekey_child(id) => match RekeyChild::request(cx, &self.core, id) {
                Ok((inflight, draft)) => {
                    if let Some(child) = self.core.child_mut(id) {
                        child.rekey_at = ravelin_sa_db::Instant::NEVER;
                    }
                    self.request(cx, inflight, draft);
                }
                Err(reason) => {
                    if let Some(policy) = self.core.child(id).map(|c| c.policy) {
                        self.retry_child(cx, id, policy, Some(&reason));
                    }
                }
            },
            Intent::RekeyIke => match RekeyIke::request(cx, &self.core) {
                Ok((inflight, draft)) => self.request(cx, inflight, draft),
                Err(reason) => {
                    self.core.schedule.rekey_at = Self::retry_at(cx);
                    cx.out.event(Event::Noted { sa: Some(self.core.id), path: self.core.path, reason });
                }
            },
            Intent::CreateChild { policy, packet } => match CreateChild::request(cx, &self.core, policy, packet) {
                Ok((inflight, draft)) => self.request(cx, inflight, draft),
                Err(reason) => cx.out.event(Event::ChildRefused { sa: self.core.id, policy: Some(policy), reason }),
            },
            Intent::Liveness { asked } => {
                let draft = mobility::liveness(cx, &self.core);
                self.request(cx, InFlight::Liveness { asked }, draft);
            }
            Intent::UpdateAddresses => self.ask_about_paths(cx, mobility::update),
            Intent::CheckRoute => self.ask_about_paths(cx, mobility::check_route),
            Intent::AnnounceAddresses => self.ask_about_paths(cx, mobility::announce),
            Intent::RekeyChild(_) => {}
        }
    }

    /// Says goodbye: Child SAs stop at once, the IKE SA when the peer answered or does not.
    fn delete(&mut self, cx: &mut Cx<'_>, reason: Reason, draft: Draft) {
        self.life = Lifecycle::Closing;
        self.queue.retain(|_| false);
        informational::remove_children(cx, &mut self.core, &reason);
        self.request(cx, InFlight::DeleteIke(reason), draft);
    }

    /// The operator wants the SA gone; an attempt that is not established ends at once.
    pub(crate) fn shut(&mut self, cx: &mut Cx<'_>, reason: Reason) {
        match self.life {
            Lifecycle::Opening => self.close(cx, reason),
            Lifecycle::Established | Lifecycle::Replaced => {
                // The Delete does not wait for answers that may never come: the window has one place for it.
                if self.send.has_room() && !self.is_rekeying_ike() {
                    self.delete(cx, reason, informational::delete_ike_request())
                } else {
                    self.want(cx, Intent::DeleteIke(reason))
                }
            }
            Lifecycle::Closing | Lifecycle::Closed => {}
        }
    }

    /// Does what the end of an exchange asks for. `flying` is the request that was answered, its exchange taken out.
    pub(super) fn follow(&mut self, cx: &mut Cx<'_>, step: Step, flying: Option<Answer>) {
        match step {
            Step::Done => {}
            Step::Next(inflight, draft) => self.request(cx, inflight, draft),
            Step::Wait(resume, ask) => self.park(cx, *ask, Work::Ours(resume)),
            Step::Ignore(inflight) => {
                if let Some(flying) = flying {
                    self.send.launch(flying.back(inflight));
                }
            }
            Step::Doubt(inflight, reason) => {
                cx.out.event(Event::Noted { sa: Some(self.core.id), path: self.core.path, reason: reason.clone() });
                self.doubt = Some(reason);
                let Some(mut flying) = flying else { return };
                let grace = cx.now.mono + cx.config.error_grace;
                flying.resend = false;
                flying.next_at = if flying.sent == 0 { grace } else { flying.next_at.min(grace) };
                self.send.launch(flying.back(inflight));
            }
            Step::Fail(reason) => self.close(cx, reason),
            Step::FailAndTell(reason, kind) => {
                let draft = kind.map_or_else(informational::delete_ike_request, |k| alloc::vec![notify(k, Vec::new())]);
                self.delete(cx, reason, draft);
            }
        }
    }
}

/// A request that was on the wire, without what its answer goes to.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) message_id: u32,
    pub(super) datagrams: Vec<Vec<u8>>,
    pub(super) sent: u32,
    pub(super) next_at: ravelin_sa_db::Instant,
    pub(super) resend: bool,
}

impl Answer {
    /// Puts the request back on the wire.
    fn back(self, inflight: InFlight) -> Flying {
        let Self { message_id, datagrams, sent, next_at, resend } = self;
        Flying { message_id, datagrams, sent, next_at, resend, inflight }
    }
}

impl Flying {
    /// Takes the exchange out.
    pub(super) fn split(self) -> (InFlight, Answer) {
        let Self { message_id, datagrams, sent, next_at, resend, inflight } = self;
        (inflight, Answer { message_id, datagrams, sent, next_at, resend })
    }
}
