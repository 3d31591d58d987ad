//! Datagrams of the peer, from the window to the exchange (RFC 7296 §2.1 to §2.3, §2.5, §2.21).
//!
//! What does not open with the peer's keys is dropped without a trace on the wire. What opens and is broken is
//! answered under protection and ends the SA.

use super::codec::{self, Unsealed};
use super::parked::Work;
use super::window::{Answered, Verdict};
use super::{IkeSa, Intent, Lifecycle, collision};
use crate::error::Reason;
use crate::event::Event;
use crate::exchange::{
    After, Cx, Draft, Effect, InFlight, Inbound, Reply, Step, auth, informational, intermediate, mobility, notify,
};
use crate::registry::{ExchangeType, NotifyType, PayloadType, ProtocolId};
use crate::seal::Reassembly;
use crate::wire::message::decode_payloads;
use crate::wire::notify::{NotifyData, SetWindowSize};
use crate::wire::payload::Payload;
use crate::wire::{Envelope, Header, Payloads, order, rules};
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use ravelin_sa_db::Path;

/// A request of the peer that was found in order.
#[derive(Debug)]
pub(crate) struct Held {
    pub(super) header: Header,
    path: Path,
    fingerprint: [u8; 8],
    payloads: Payloads,
}

/// What became of a datagram, for counters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// A new request was answered, or a response taken.
    Handled,
    /// A fragment was kept.
    Kept,
    /// An answer was repeated.
    Repeated,
    /// Not in a window, or not of an exchange that may come now.
    Unexpected,
    /// It does not open with the keys of this SA.
    NotAuthentic,
}

impl IkeSa {
    /// Takes a protected datagram.
    pub(crate) fn handle_protected(
        &mut self,
        cx: &mut Cx<'_>,
        path: Path,
        envelope: &Envelope,
        datagram: &mut [u8],
    ) -> Outcome {
        let header = envelope.header;
        let id = header.message_id;
        let fingerprint = codec::fingerprint(datagram);
        if header.is_response() {
            let expected = self.send.get(id).is_some_and(|f| f.inflight.exchange() == header.exchange);
            if !expected || header.exchange.is_unprotected() {
                return Outcome::Unexpected;
            }
        } else {
            if self.is_parked(id) {
                return Outcome::Kept;
            }
            match self.receive.judge(id) {
                Verdict::New if self.may_come(header.exchange) => {}
                Verdict::Repeat => return self.repeat(cx, path, envelope, fingerprint, datagram),
                Verdict::New | Verdict::Drop => return Outcome::Unexpected,
            }
        }
        let len = datagram.len();
        let Ok(unsealed) = codec::open(&self.core, envelope, datagram) else { return Outcome::NotAuthentic };
        self.last_heard = cx.now.mono;
        let probed = header.is_response() && self.send.get(id).is_some_and(|f| f.probed);
        self.came_on(cx, path, probed);
        if let Unsealed::Piece(piece) = &unsealed
            && piece.number < piece.total
        {
            codec::heed(&mut self.core, len);
        }
        let (first, plain, fingerprint) = match unsealed {
            Unsealed::Whole(first, plain) => (first, plain, fingerprint),
            Unsealed::Piece(piece) => match self.collect(cx, &header, piece, fingerprint) {
                Some(whole) => whole,
                None => return Outcome::Kept,
            },
        };
        self.core.transcribe(&header, first, &plain);
        if header.is_response() {
            self.take_response(cx, path, header, first, &plain);
        } else {
            self.take_request(cx, path, header, fingerprint, first, &plain);
        }
        self.pump(cx);
        Outcome::Handled
    }

    /// Requests that may come in this part of life.
    fn may_come(&self, exchange: ExchangeType) -> bool {
        match self.life {
            Lifecycle::Opening => {
                let intermediate = exchange == ExchangeType::IKE_INTERMEDIATE && self.core.agreed.intermediate;
                self.is_half_open() && (exchange == ExchangeType::IKE_AUTH || intermediate)
            }
            Lifecycle::Established | Lifecycle::Replaced | Lifecycle::Closing => {
                let ours = [ExchangeType::CREATE_CHILD_SA, ExchangeType::IKE_FOLLOWUP_KE, ExchangeType::INFORMATIONAL];
                ours.contains(&exchange)
            }
            Lifecycle::Closed => false,
        }
    }

    /// A request that was answered before. Of a fragmented one only the first fragment brings the answer again
    /// (RFC 7383 §2.6.1).
    fn repeat(
        &mut self,
        cx: &mut Cx<'_>,
        path: Path,
        envelope: &Envelope,
        fingerprint: [u8; 8],
        datagram: &mut [u8],
    ) -> Outcome {
        let id = envelope.header.message_id;
        let fragment = envelope.protected.as_ref().and_then(|p| p.fragment);
        if fragment.is_some_and(|f| f.number != 1) {
            return Outcome::Unexpected;
        }
        // A request that was split anew looks different; that it is the peer's own shows when it opens.
        let same = self.receive.answer(id, fingerprint).is_some();
        if !same && (fragment.is_none() || codec::open(&self.core, envelope, datagram).is_err()) {
            return Outcome::Unexpected;
        }
        let Some(answered) = self.receive.answered_mut(id) else { return Outcome::Unexpected };
        let sent = answered.sent;
        answered.sent = sent.saturating_add(1);
        if let Some(smaller) = codec::smaller(cx, &mut self.core, sent, answered.datagrams.all()) {
            answered.datagrams = smaller.into();
        }
        let datagrams = answered.datagrams.clone();
        self.transmit(cx, path, datagrams.all());
        Outcome::Repeated
    }

    fn collect(
        &mut self,
        cx: &Cx<'_>,
        header: &Header,
        piece: crate::seal::Fragment,
        fingerprint: [u8; 8],
    ) -> Option<(PayloadType, Vec<u8>, [u8; 8])> {
        if !self.core.agreed.fragmentation {
            return None;
        }
        let slot = self.reassembly.get_mut(usize::from(header.is_response()))?;
        let set = match slot {
            Some(set) if set.message_id() == header.message_id => set,
            _ => slot.insert(Box::new(Reassembly::new(header.message_id, cx.now.mono))),
        };
        if piece.number == 1 {
            // The fragment whose repetition asks for the answer again.
            set.fingerprint = fingerprint;
        }
        let (first, whole) = set.add(piece)?;
        let fingerprint = set.fingerprint;
        *slot = None;
        Some((first, whole, fingerprint))
    }

    fn take_request(
        &mut self,
        cx: &mut Cx<'_>,
        path: Path,
        header: Header,
        fingerprint: [u8; 8],
        first: PayloadType,
        plain: &[u8],
    ) {
        let request = match judge(&header, first, plain) {
            Ok(payloads) => Held { header, path, fingerprint, payloads },
            Err(refusal) => return self.reply(cx, path, header, fingerprint, refusal),
        };
        let deletes = request.payloads.deletes().any(|d| d.protocol == ProtocolId::IKE);
        if let Some(old) = self.kin.undecided.filter(|_| !deletes) {
            // The peer takes this SA for the one that lives on; the Child SAs are not here yet.
            self.kin.held = Some(Box::new(request));
            cx.effects.push(Effect::Claim { old });
            return;
        }
        self.answer_request(cx, request);
    }

    /// Answers a request that was found in order; again from the start when the answer to a question has come.
    pub(super) fn answer_request(&mut self, cx: &mut Cx<'_>, request: Held) {
        let Held { header, path, fingerprint, payloads } = request;
        let msg = Inbound { header, payloads, raw: &[], path };
        self.read_window(&msg);
        let reply = self.dispatch(cx, &msg);
        if let After::Wait(ask) = reply.after {
            let request = Held { header, path, fingerprint, payloads: msg.payloads };
            return self.park(cx, *ask, Work::Theirs(request));
        }
        self.reply(cx, path, header, fingerprint, reply);
    }

    fn reply(&mut self, cx: &mut Cx<'_>, path: Path, header: Header, fingerprint: [u8; 8], mut reply: Reply) {
        self.announce_window(cx, &mut reply.draft);
        order::sort(header.exchange, true, &mut reply.draft);
        #[cfg_attr(not(feature = "fault-injection"), expect(unused_mut, reason = "only faults change it"))]
        let mut answer = codec::header(&self.core, header.exchange, header.message_id, true);
        #[cfg(feature = "fault-injection")]
        cx.out.faults.edit(&mut answer, &mut reply.draft);
        let Some(datagrams) = codec::protected(cx, &mut self.core, &answer, &reply.draft) else {
            self.close(cx, Reason::Limit { what: "size of a message" });
            return;
        };
        self.transmit(cx, path, &datagrams);
        self.receive.keep(Answered {
            message_id: header.message_id,
            fingerprint,
            datagrams: datagrams.into(),
            sent: 1,
        });
        if let Some(keys) = self.core.next_keys.take() {
            self.core.keys = *keys;
            crate::exchange::auth::export_handshake_keys(cx, &self.core);
        }
        self.settle_life();
        if let After::Close(reason) = reply.after {
            self.close(cx, reason);
        }
    }

    /// An exchange may have proved both sides.
    pub(super) fn settle_life(&mut self) {
        if self.life == Lifecycle::Opening && self.core.established.is_some() {
            self.life = Lifecycle::Established;
        }
    }

    /// SET_WINDOW_SIZE rides on the first protected message of ours, once per IKE SA (RFC 7296 §2.3).
    pub(super) fn announce_window(&mut self, cx: &Cx<'_>, draft: &mut Draft) {
        if cx.config.window > 1 && !self.announced {
            self.announced = true;
            self.receive.widen(cx.config.window);
            draft.push(Payload::Notify(SetWindowSize { size: cx.config.window }.to_notify()));
        }
    }

    fn read_window(&mut self, msg: &Inbound<'_>) {
        if let Some(Ok(w)) = msg.notify(NotifyType::SET_WINDOW_SIZE).map(|n| SetWindowSize::parse(&n.data)) {
            self.send.widen(w.size);
        }
    }

    fn dispatch(&mut self, cx: &mut Cx<'_>, msg: &Inbound<'_>) -> Reply {
        match msg.header.exchange {
            ExchangeType::IKE_INTERMEDIATE => intermediate::respond(cx, &mut self.core, msg),
            ExchangeType::IKE_AUTH => auth::respond(cx, &mut self.core, msg),
            ExchangeType::CREATE_CHILD_SA => self.create_child(cx, msg),
            ExchangeType::IKE_FOLLOWUP_KE => self.follow_up(cx, msg),
            _ => informational::respond(cx, &mut self.core, msg, collision::names_ours),
        }
    }

    fn take_response(&mut self, cx: &mut Cx<'_>, path: Path, header: Header, first: PayloadType, plain: &[u8]) {
        let Some(flying) = self.send.land(header.message_id) else { return };
        let (inflight, answer) = flying.split();
        let payloads = match judge(&header, first, plain) {
            Ok(payloads) => payloads,
            Err(Reply { after: After::Close(reason), .. }) => {
                inflight.give_back(cx);
                self.follow(cx, Step::FailAndTell(reason, Some(NotifyType::INVALID_SYNTAX)), Some(answer));
                return;
            }
            Err(_) => Payloads::default(),
        };
        let msg = Inbound { header, payloads, raw: &[], path };
        self.read_window(&msg);
        let step = self.answered(cx, inflight, &msg);
        if !self.send.iter().any(|f| f.inflight.concerns_children()) {
            self.core.early_deletes.clear();
        }
        self.settle_life();
        self.follow(cx, step, Some(answer));
    }

    fn answered(&mut self, cx: &mut Cx<'_>, inflight: InFlight, msg: &Inbound<'_>) -> Step {
        match inflight {
            InFlight::SaInit(x) => Step::Ignore(InFlight::SaInit(x)),
            InFlight::Intermediate(x) => x.response(cx, &mut self.core, msg),
            InFlight::Auth(x) => x.response(cx, &mut self.core, msg),
            InFlight::CreateChild(x) => {
                let again = Intent::CreateChild { policy: x.policy(), packet: x.packet() };
                let step = x.response(cx, &mut self.core, msg);
                let error = msg.payloads.error().filter(|_| msg.payloads.sa().is_none()).map(|n| n.kind);
                match (step, error) {
                    (Step::Done, Some(NotifyType::TEMPORARY_FAILURE)) => {
                        self.later.push((Self::retry_at(cx), again));
                        self.postponed(cx)
                    }
                    (Step::Done, Some(NotifyType::STATE_NOT_FOUND)) => {
                        self.later.push((Self::retry_at(cx), again));
                        self.chain_lost()
                    }
                    (step, _) => {
                        (self.stuck_since, self.lost_chains) = (ravelin_sa_db::Instant::NEVER, 0);
                        step
                    }
                }
            }
            InFlight::RekeyChild(x) => self.child_rekeyed(cx, *x, msg),
            InFlight::RekeyIke(x) => self.ike_rekeyed(cx, x, msg),
            InFlight::DeleteIke(reason) => Step::Fail(reason),
            InFlight::DeleteChild(id, reason) => {
                // The peer's answer names its half; both go whether it does or not (RFC 7296 §1.4.1).
                informational::remove_child(cx, &mut self.core, id, reason);
                Step::Done
            }
            InFlight::Mobike(ask) => mobility::answered(cx, &mut self.core, *ask, msg),
            InFlight::Liveness { asked } => {
                mobility::watch_mapping(&mut self.core, msg);
                if asked {
                    cx.out.event(Event::Alive { sa: self.core.id });
                }
                Step::Done
            }
        }
    }

    /// Takes an unprotected IKE_SA_INIT response.
    pub(crate) fn handle_init_response(
        &mut self,
        cx: &mut Cx<'_>,
        path: Path,
        envelope: Envelope,
        raw: &[u8],
    ) -> Outcome {
        let expected = self.send.get(0).is_some_and(|f| f.inflight.exchange() == ExchangeType::IKE_SA_INIT);
        if !expected || self.life != Lifecycle::Opening {
            return Outcome::Unexpected;
        }
        let header = envelope.header;
        if rules::check(header.exchange, true, &envelope.clear).is_err()
            || envelope.clear.unsupported_critical().is_some()
        {
            return Outcome::Unexpected;
        }
        let Some(flying) = self.send.land(0) else { return Outcome::Unexpected };
        let (inflight, answer) = flying.split();
        let sent = answer.datagrams.first().cloned().unwrap_or_default();
        let msg = Inbound { header, payloads: envelope.clear, raw, path };
        let step = match inflight {
            InFlight::SaInit(x) => x.response(cx, &mut self.core, &msg, &sent),
            other => Step::Ignore(other),
        };
        self.follow(cx, step, Some(answer));
        Outcome::Handled
    }
}

/// Decodes what was inside and checks it against the rule table; what is broken comes back as the answer to give.
fn judge(header: &Header, first: PayloadType, plain: &[u8]) -> Result<Payloads, Reply> {
    let refuse = |detail| Reply::refuse(NotifyType::INVALID_SYNTAX, Reason::Malformed { detail });
    let payloads = decode_payloads(first, plain).map_err(|e| refuse(e.to_string()))?;
    if let Some(kind) = payloads.unsupported_critical() {
        // The exchange is refused, the SA lives on (RFC 7296 §2.5).
        return Err(Reply::stay(alloc::vec![notify(NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD, alloc::vec![kind.0])]));
    }
    rules::check(header.exchange, header.is_response(), &payloads).map_err(|e| refuse(e.to_string()))?;
    Ok(payloads)
}
