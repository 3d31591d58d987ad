//! Rekeying as the machine does it (RFC 7296 §2.8): which requests cross, who takes over, when to try again.
//! The exchanges are in `exchange/{child_rekey,ike_rekey}.rs`, the decisions in `collision.rs`.

use super::collision::{self, Answer, Asked, Ended, Next};
use super::queue::Queue;
use super::window::{ReceiveWindow, SendWindow};
use super::{IkeSa, Intent, Lifecycle};
use crate::error::Reason;
use crate::event::Event;
use crate::exchange::child_rekey::{self, LINGER, RekeyChild};
use crate::exchange::ike_rekey::{self, RekeyIke};
use crate::exchange::{ChildState, Cx, Effect, Fate, InFlight, Inbound, Reply, SaCore, Step, child_create, notify};
use crate::registry::{NotifyType, ProtocolId};
use crate::wire::notify::RekeySa;
use crate::wire::payload::Payload;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;
use ravelin_sa_db::{ChildId, Instant};

/// A refused or postponed request is tried again after this long, and up to as long again (RFC 7296 §2.25: not at once).
const RETRY: Duration = Duration::from_secs(10);
/// A peer that says TEMPORARY_FAILURE for so long is out of step with us (RFC 7296 §2.25).
const STUCK: Duration = Duration::from_secs(300);

impl IkeSa {
    /// An IKE SA that a rekeying made: established, message ids from zero.
    pub(crate) fn born(now: Instant, core: SaCore, fate: Fate) -> Self {
        let mut sa = Self::around(now, core, SendWindow::new(0), ReceiveWindow::new(0));
        sa.life = Lifecycle::Established;
        match fate {
            Fate::Heir => {}
            Fate::Undecided(old) => sa.undecided = Some(old),
            Fate::Redundant => sa.redundant = true,
        }
        sa
    }

    /// When to try again.
    pub(super) fn retry_at(cx: &mut Cx<'_>) -> Instant {
        cx.due(RETRY.saturating_mul(2), RETRY)
    }

    /// Our request of that kind for a Child SA is on the wire.
    pub(super) fn is_rekeying_child(&self, id: ChildId) -> bool {
        self.send.iter().any(|f| matches!(&f.inflight, InFlight::RekeyChild(x) if x.old == id))
    }

    /// Our request to rekey the IKE SA is on the wire.
    pub(super) fn is_rekeying_ike(&self) -> bool {
        self.send.iter().any(|f| matches!(f.inflight, InFlight::RekeyIke(_)))
    }

    /// True when a rekeying of this Child SA may begin.
    pub(super) fn may_rekey_child(&self, id: ChildId) -> bool {
        let idle = |c: &crate::exchange::Child| c.state == ChildState::Installed && c.successor.is_none();
        self.core.child(id).is_some_and(idle) && !self.is_rekeying_child(id)
    }

    fn doing(&self) -> collision::Ike {
        match self.life {
            Lifecycle::Replaced => collision::Ike::Replaced,
            Lifecycle::Closing | Lifecycle::Closed => collision::Ike::Closing,
            Lifecycle::Opening | Lifecycle::Established if self.is_rekeying_ike() => collision::Ike::Rekeying,
            Lifecycle::Opening | Lifecycle::Established => {
                let busy = self.send.iter().any(|f| f.inflight.concerns_children());
                if busy { collision::Ike::Busy } else { collision::Ike::Idle }
            }
        }
    }

    fn doing_with(&self, child: Option<ChildId>) -> collision::Child {
        let Some(child) = child.and_then(|id| self.core.child(id)) else { return collision::Child::Absent };
        match child.state {
            ChildState::Deleting => collision::Child::Deleting,
            ChildState::Replaced => collision::Child::Replaced,
            ChildState::Installed if child.successor.is_some() => collision::Child::Replaced,
            ChildState::Installed if self.is_rekeying_child(child.id) => collision::Child::Rekeying,
            ChildState::Installed => collision::Child::Idle,
        }
    }

    /// Answers a CREATE_CHILD_SA request.
    pub(super) fn create_child(&mut self, cx: &mut Cx<'_>, msg: &Inbound<'_>) -> Reply {
        let p = &msg.payloads;
        let for_ike = p.sa().is_some_and(|sa| sa.proposals.iter().any(|p| p.protocol == ProtocolId::IKE));
        let names = p.notify(NotifyType::REKEY_SA).and_then(RekeySa::of);
        let asked = match (for_ike, names) {
            (true, _) => Asked::RekeyIke,
            (false, Some(_)) => Asked::RekeyChild,
            (false, None) => Asked::NewChild,
        };
        let old = names.and_then(|n| child_rekey::named(&self.core, n));
        let answer = collision::answer(asked, self.doing(), self.doing_with(old));
        match (answer, asked, old, names) {
            (Answer::Later, ..) => Reply::stay(alloc::vec![notify(NotifyType::TEMPORARY_FAILURE, Vec::new())]),
            (Answer::NotFound, _, _, Some(names)) => Reply::stay(alloc::vec![Payload::Notify(names.not_found())]),
            (_, Asked::RekeyIke, ..) => self.answer_rekey_ike(cx, msg),
            (_, Asked::RekeyChild, Some(old), _) => self.answer_rekey_child(cx, msg, old),
            _ => child_create::respond(cx, &mut self.core, msg),
        }
    }

    fn answer_rekey_child(&mut self, cx: &mut Cx<'_>, msg: &Inbound<'_>, old: ChildId) -> Reply {
        let (reply, made) = child_rekey::respond(cx, &mut self.core, msg, old);
        let Some(rival) = made else { return reply };
        let ours = self.send.iter_mut().find_map(|f| match &mut f.inflight {
            InFlight::RekeyChild(x) if x.old == old => Some(x),
            _ => None,
        });
        match ours {
            // Undecided: should the old one go, the peer's takes over.
            Some(ours) => {
                let successor = crate::exchange::Successor { child: rival.child, switched: false };
                ours.rival = Some(rival);
                if let Some(old) = self.core.child_mut(old) {
                    old.successor = Some(successor);
                }
            }
            None => child_rekey::supersede(cx, &mut self.core, old, rival.child, false),
        }
        reply
    }

    /// Our request to rekey a Child SA was answered.
    pub(super) fn child_rekeyed(&mut self, cx: &mut Cx<'_>, ours: RekeyChild, msg: &Inbound<'_>) -> Step {
        let (old, rival, policy) = (ours.old, ours.rival.clone(), ours.policy());
        let lowest = rival.as_ref().map(|r| r.lowest.as_slice());
        let gone = self.core.child(old).is_none();
        let (next, new, failure) = match ours.finish(cx, &mut self.core, msg) {
            child_rekey::Rekeyed::Again(again, draft) => return Step::Next(InFlight::RekeyChild(again), draft),
            child_rekey::Rekeyed::Made(new, nonce) => {
                self.stuck_since = None;
                (collision::next(Ended::Made, collision::meanwhile(Some(&nonce), lowest, gone)), Some(new), None)
            }
            child_rekey::Rekeyed::Failed(failure) => {
                let meanwhile = collision::meanwhile(None, lowest, gone);
                (collision::next(Ended::by(failure.notify), meanwhile), None, Some(failure))
            }
        };
        let rival = rival.map(|r| r.child);
        match (next, new) {
            (Next::TakeOver | Next::Win | Next::Stay, Some(new)) => self.child_takes_over(cx, old, new, rival),
            (Next::Lose, Some(new)) => {
                if let Some(child) = self.core.child_mut(new) {
                    (child.state, child.rekey_at) = (ChildState::Replaced, Instant::NEVER);
                }
                self.child_follows(cx, old, rival);
                self.queue.push(Intent::DeleteChild(new, Reason::Replaced));
            }
            (Next::Follow, _) => self.child_follows(cx, old, rival),
            (Next::StartAnew, _) => {
                // Ours was rekeyed and deleted again before we knew it, or the peer lost it.
                let early = failure.as_ref().is_some_and(|f| f.reason == Reason::PeerDeleted);
                if early {
                    self.queue.push(Intent::DeleteChild(old, Reason::PeerDeleted));
                } else {
                    crate::exchange::informational::remove_child(cx, &mut self.core, old, Reason::PeerDeleted);
                    self.queue.push(Intent::CreateChild { policy, packet: None });
                }
            }
            (Next::Reauth, _) => {
                self.core.schedule.reauth_at = cx.now.mono;
            }
            (Next::Retry, _) => self.retry_child(cx, old, policy, failure.as_ref().map(|f| &f.reason)),
            _ => {}
        }
        match failure {
            Some(f) if f.must_delete => Step::FailAndTell(f.reason, None),
            Some(f) if f.notify == NotifyType::TEMPORARY_FAILURE && next == Next::Retry => self.postponed(cx),
            _ => Step::Done,
        }
    }

    fn child_takes_over(&mut self, cx: &mut Cx<'_>, old: ChildId, new: ChildId, rival: Option<ChildId>) {
        if self.core.child(old).is_some() {
            child_rekey::supersede(cx, &mut self.core, old, new, true);
            self.queue.push(Intent::DeleteChild(old, Reason::Replaced));
        }
        if let Some(rival) = rival {
            child_rekey::stand_down(cx, &mut self.core, rival, new, true);
        }
    }

    /// The peer's pair takes the place of `old`; the peer deletes `old`.
    fn child_follows(&mut self, cx: &mut Cx<'_>, old: ChildId, rival: Option<ChildId>) {
        if let Some(rival) = rival.filter(|_| self.core.child(old).is_some()) {
            child_rekey::supersede(cx, &mut self.core, old, rival, false);
        }
    }

    /// A rekeying came to nothing: once more, later.
    pub(super) fn retry_child(
        &mut self,
        cx: &mut Cx<'_>,
        old: ChildId,
        policy: ravelin_sa_db::PolicyId,
        why: Option<&Reason>,
    ) {
        let at = Self::retry_at(cx);
        if let Some(child) = self.core.child_mut(old) {
            child.rekey_at = at;
        }
        let busy = |r: &Reason| matches!(r, Reason::PeerRefused { notify: NotifyType::TEMPORARY_FAILURE, .. });
        if let Some(reason) = why.filter(|r| !busy(r)) {
            cx.out.event(Event::ChildRefused { sa: self.core.id, policy: Some(policy), reason: reason.clone() });
        }
    }

    /// The peer said TEMPORARY_FAILURE. When it has said nothing else for long, the SA is given up.
    pub(super) fn postponed(&mut self, cx: &Cx<'_>) -> Step {
        let since = *self.stuck_since.get_or_insert(cx.now.mono);
        if cx.now.mono.since(since) < STUCK {
            return Step::Done;
        }
        let (notify, during) = (NotifyType::TEMPORARY_FAILURE, "CREATE_CHILD_SA");
        Step::FailAndTell(Reason::PeerRefused { notify, authenticated: true, during }, None)
    }

    fn answer_rekey_ike(&mut self, cx: &mut Cx<'_>, msg: &Inbound<'_>) -> Reply {
        let (reply, made) = ike_rekey::respond(cx, &self.core, msg);
        let Some((heir, lowest)) = made else { return reply };
        let (old, new) = (self.core.id, heir.id);
        let ours = self.send.iter_mut().find_map(|f| match &mut f.inflight {
            InFlight::RekeyIke(x) => Some(x),
            _ => None,
        });
        match ours {
            Some(ours) => {
                ours.rival = Some(ike_rekey::Rival { lowest, sa: new });
                cx.effects.push(Effect::Born(heir, Fate::Undecided(old)));
            }
            None => {
                cx.effects.push(Effect::Born(heir, Fate::Heir));
                self.hand_over(cx, new);
            }
        }
        reply
    }

    /// Our request to rekey the IKE SA was answered.
    pub(super) fn ike_rekeyed(&mut self, cx: &mut Cx<'_>, mut ours: Box<RekeyIke>, msg: &Inbound<'_>) -> Step {
        let (rival, conceded) = (ours.rival.take(), ours.conceded);
        let lowest = rival.as_ref().map(|r| r.lowest.as_slice());
        let (next, new, refusal) = match ours.finish(cx, &self.core, msg) {
            ike_rekey::Rekeyed::Again(mut again, draft) => {
                (again.rival, again.conceded) = (rival, conceded);
                return Step::Next(InFlight::RekeyIke(again), draft);
            }
            ike_rekey::Rekeyed::Made(heir, nonce) => {
                self.stuck_since = None;
                let nonce = if conceded { &[] } else { nonce.as_slice() };
                (collision::next(Ended::Made, collision::meanwhile(Some(nonce), lowest, false)), Some(heir), None)
            }
            ike_rekey::Rekeyed::Refused(notify, reason) => {
                let meanwhile = collision::meanwhile(None, lowest, self.life != Lifecycle::Established);
                (collision::next(Ended::by(notify), meanwhile), None, Some((notify, reason)))
            }
            ike_rekey::Rekeyed::Broken(reason) => return Step::FailAndTell(reason, Some(NotifyType::INVALID_SYNTAX)),
        };
        let rival = rival.map(|r| r.sa);
        match (next, new, rival) {
            (Next::TakeOver | Next::Stay, Some(heir), _) => {
                let id = heir.id;
                cx.effects.push(Effect::Born(heir, Fate::Heir));
                self.hand_over(cx, id);
                cx.effects.push(Effect::Shut(self.core.id, Reason::Replaced));
            }
            (Next::Win, Some(heir), Some(rival)) => {
                let id = heir.id;
                cx.effects.push(Effect::Born(heir, Fate::Heir));
                self.hand_over(cx, id);
                cx.effects.push(Effect::Outlast { redundant: rival });
            }
            (Next::Lose, Some(heir), Some(rival)) => {
                cx.effects.push(Effect::Born(heir, Fate::Redundant));
                self.hand_over(cx, rival);
            }
            (Next::Follow, _, Some(rival)) => self.hand_over(cx, rival),
            (Next::Reauth, ..) => self.core.schedule.reauth_at = cx.now.mono,
            (Next::Retry | Next::StartAnew, ..) => self.core.schedule.rekey_at = Self::retry_at(cx),
            _ => {}
        }
        match refusal {
            Some((NotifyType::TEMPORARY_FAILURE, _)) if next == Next::Retry => self.postponed(cx),
            Some((_, reason)) if next == Next::Retry => {
                cx.out.event(Event::Noted { sa: Some(self.core.id), path: msg.path, reason });
                Step::Done
            }
            _ => Step::Done,
        }
    }

    /// Everything that lives in this SA goes over to `heir`; this one waits for its Delete. Once.
    pub(super) fn hand_over(&mut self, cx: &mut Cx<'_>, heir: crate::ids::IkeSaId) {
        if self.core.heir == Some(heir) {
            return;
        }
        self.core.heir = Some(heir);
        if self.life == Lifecycle::Established {
            self.life = Lifecycle::Replaced;
        }
        self.linger_until = cx.now.mono + LINGER;
        for (_, wish) in self.later.drain(..) {
            self.queue.push(wish);
        }
        self.estate = core::mem::take(&mut self.queue);
        cx.out.event(Event::Rekeyed { old: self.core.id, new: heir });
        let children = core::mem::take(&mut self.core.children);
        let leases = core::mem::take(&mut self.core.leases);
        cx.effects.push(Effect::Inherit { heir, children, leases });
    }

    /// The peer uses the IKE SA that it made while ours was on the wire: it has won.
    pub(crate) fn concede(&mut self, cx: &mut Cx<'_>) {
        let rival = self.send.iter_mut().find_map(|f| match &mut f.inflight {
            InFlight::RekeyIke(x) => x.rival.as_ref().map(|r| r.sa).inspect(|_| x.conceded = true),
            _ => None,
        });
        if let Some(rival) = rival {
            self.hand_over(cx, rival);
        }
    }

    /// What the old SA had still to do.
    pub(crate) fn take_estate(&mut self) -> Queue {
        core::mem::take(&mut self.estate)
    }

    /// Takes the Child SAs and the wishes of the old SA, and goes on.
    pub(crate) fn inherit(&mut self, cx: &mut Cx<'_>, children: Vec<crate::exchange::Child>, wishes: &Queue) {
        self.undecided = None;
        self.core.children.extend(children);
        for wish in wishes.iter() {
            // A wish to rekey the old IKE SA is fulfilled; one to have it gone means this one now.
            if *wish != Intent::RekeyIke {
                self.queue.push(wish.clone());
            }
        }
        if let Some(held) = self.held.take() {
            self.answer_request(cx, *held);
        }
        self.pump(cx);
    }

    /// The peer's new SA lost against ours: the peer deletes it, then we delete `old`.
    pub(crate) fn lose(&mut self, now: Instant, old: crate::ids::IkeSaId) {
        (self.undecided, self.redundant, self.outlasted_by) = (None, true, Some(old));
        self.linger_until = now + LINGER;
        self.held = None;
    }
}
