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
use crate::exchange::{Cx, Draft, InFlight, Step, followup_ke, informational, mobility, notify};
use crate::registry::ExchangeType;
use crate::wire::order;
use alloc::boxed::Box;
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
        #[cfg_attr(not(feature = "fault-injection"), expect(unused_mut, reason = "only faults change it"))]
        let mut header = codec::header(&self.core, exchange, message_id, false);
        #[cfg(feature = "fault-injection")]
        cx.out.faults.edit(&mut header, &mut draft);
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
        // The next request of a chain may come when a wider window is full: it waits (RFC 7296 §2.3).
        let next_at = ravelin_sa_db::Instant::NEVER;
        let mut flying = Flying { message_id, datagrams, sent: 0, probed: false, next_at, inflight };
        if self.send.is_open(message_id) {
            self.launch_now(cx, &mut flying);
        }
        self.send.launch(flying);
    }

    fn launch_now(&mut self, cx: &mut Cx<'_>, flying: &mut Flying) {
        let path = self.core.path;
        self.transmit(cx, path, &flying.datagrams);
        flying.sent = 1;
        flying.next_at = cx.now.mono + self.wait(cx, 0);
    }

    /// Sends what waited for the window to move.
    fn send_waiting(&mut self, cx: &mut Cx<'_>) {
        while let Some(mut flying) = self.send.take_waiting() {
            self.launch_now(cx, &mut flying);
            self.send.launch(flying);
        }
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
        self.send_waiting(cx);
        while (self.life.may_start() || self.life == Lifecycle::Replaced) && self.send.has_room() {
            let Some(intent) = self.next_intent() else { return };
            self.start(cx, intent);
        }
    }

    /// The most urgent intent that may start beside what is on the wire.
    fn next_intent(&mut self) -> Option<Intent> {
        // An IKE SA that is being rekeyed starts nothing else (RFC 7296 §2.8), and is rekeyed only when it rests.
        if self.is_rekeying_ike() || self.kin.undecided.is_some() || self.redundant {
            return None;
        }
        if self.life == Lifecycle::Replaced {
            return self.queue.pop_if(|intent| matches!(intent, Intent::DeleteIke(_)));
        }
        let idle = self.send.is_idle() && self.core.unfinished.is_empty();
        let asks = self.awaits_ppk();
        let (awaits_ike, unfinished) = (self.core.awaits_ike(), &self.core);
        let mut rekeys_ike = false;
        self.queue.pop_if(|intent| match intent {
            Intent::RekeyIke => {
                rekeys_ike = true;
                idle && !asks
            }
            // The peer is about to replace the IKE SA, or this Child SA (RFC 9370 §2.2.4); not for long.
            Intent::DeleteChild(id, _) if awaits_ike || unfinished.awaits(*id) => false,
            Intent::RekeyChild(id) if awaits_ike || asks || unfinished.awaits(*id) => false,
            Intent::CreateChild { .. } if awaits_ike || asks => false,
            Intent::UpdateAddresses | Intent::CheckRoute | Intent::AnnounceAddresses if awaits_ike => false,
            // Only one of the two may be on its way, or the peer finds nothing to rekey.
            Intent::DeleteChild(id, _) => {
                !self.send.iter().any(|f| matches!(&f.inflight, InFlight::RekeyChild(x) if x.old == *id))
            }
            Intent::RekeyChild(_) | Intent::CreateChild { .. } | Intent::Liveness { .. } => !rekeys_ike,
            Intent::DeleteIke(_) | Intent::UpdateAddresses | Intent::CheckRoute | Intent::AnnounceAddresses => true,
        })
    }

    fn start(&mut self, cx: &mut Cx<'_>, intent: Intent) {
        let ppk = match &intent {
            Intent::RekeyChild(id) if !self.may_rekey_child(*id) => return,
            Intent::RekeyChild(_) | Intent::RekeyIke | Intent::CreateChild { .. } => match self.ppk_for(cx, &intent) {
                Some(ppk) => ppk,
                None => return,
            },
            _ => None,
        };
        match intent {
            Intent::DeleteIke(reason) => self.delete(cx, reason, informational::delete_ike_request()),
            Intent::DeleteChild(id, reason) => {
                // Whoever wants a Child SA gone wants what took its place gone too.
                let next = self.core.child(id).and_then(|c| c.successor).filter(|_| reason == Reason::Requested);
                if let Some(next) = next {
                    // The peer may not have it yet: nothing is sent on it meanwhile.
                    informational::stop_sending(cx, &mut self.core, next.child);
                    self.queue.push(Intent::DeleteChild(next.child, reason.clone()));
                }
                if let Some(draft) = informational::delete_child_request(cx, &mut self.core, id) {
                    self.request(cx, InFlight::DeleteChild(id, reason), draft);
                }
            }
            Intent::RekeyChild(id) => match RekeyChild::request(cx, &self.core, id, ppk) {
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
            Intent::RekeyIke => match RekeyIke::request(cx, &self.core, ppk) {
                Ok((inflight, draft)) => self.request(cx, inflight, draft),
                Err(reason) => {
                    self.core.schedule.rekey_at = Self::retry_at(cx);
                    cx.out.event(Event::Noted { sa: Some(self.core.id), path: self.core.path, reason });
                }
            },
            Intent::CreateChild { policy, packet } => match CreateChild::request(cx, &self.core, policy, packet, ppk) {
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
        }
    }

    /// Says goodbye: Child SAs stop at once, the IKE SA when the peer answered or does not.
    fn delete(&mut self, cx: &mut Cx<'_>, reason: Reason, draft: Draft) {
        self.life = Lifecycle::Closing;
        self.queue.retain(|_| false);
        followup_ke::forget_all(cx, &mut self.core);
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
                // Anybody may have sent it: the tries go on, and it is reported when they run out (RFC 7296 §2.21.1).
                if self.doubt.as_deref() != Some(&reason) {
                    cx.out.event(Event::Noted { sa: Some(self.core.id), path: self.core.path, reason: reason.clone() });
                    self.doubt = Some(Box::new(reason));
                }
                if let Some(flying) = flying {
                    self.send.launch(flying.back(inflight));
                }
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
    pub(super) probed: bool,
    pub(super) next_at: ravelin_sa_db::Instant,
}

impl Answer {
    /// Puts the request back on the wire.
    fn back(self, inflight: InFlight) -> Flying {
        let Self { message_id, datagrams, sent, probed, next_at } = self;
        Flying { message_id, datagrams, sent, probed, next_at, inflight }
    }
}

impl Flying {
    /// Takes the exchange out.
    pub(super) fn split(self) -> (InFlight, Answer) {
        let Self { message_id, datagrams, sent, probed, next_at, inflight } = self;
        (inflight, Answer { message_id, datagrams, sent, probed, next_at })
    }
}
