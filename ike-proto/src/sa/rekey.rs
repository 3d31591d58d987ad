//! Rekeying as the machine does it (RFC 7296 §2.8): which requests cross, who takes over, when to try again.
//! The exchanges are in `exchange/{child_rekey,ike_rekey}.rs`, the decisions in `collision.rs`.

use super::collision::{self, Answer, Asked, Ended, Next};
use super::queue::Queue;
use super::window::{ReceiveWindow, SendWindow};
use super::{IkeSa, Intent, Kin, Lifecycle};
use crate::error::Reason;
use crate::event::Event;
use crate::exchange::child_rekey::{self, LINGER, RekeyChild};
use crate::exchange::ike_rekey::{self, RekeyIke};
use crate::exchange::{
    ChildState, Cx, Effect, Fate, InFlight, Inbound, Reply, SaCore, Step, child_create, followup_ke, notify,
};
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
            Fate::Undecided(old) => sa.kin.undecided = Some(old),
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
        let ours = self.send.iter().find_map(|f| if let InFlight::RekeyIke(x) = &f.inflight { Some(x) } else { None });
        match (self.life, ours) {
            (Lifecycle::Replaced, _) => collision::Ike::Replaced,
            (Lifecycle::Closing | Lifecycle::Closed, _) => collision::Ike::Closing,
            (_, Some(ours)) if ours.follows() => collision::Ike::Following,
            (_, Some(_)) => collision::Ike::Rekeying,
            _ if self.core.awaits_ike() => collision::Ike::Awaiting,
            _ if self.concerns_children() => collision::Ike::Busy,
            _ => collision::Ike::Idle,
        }
    }

    /// A Child SA is being made, replaced or deleted, by us or by the peer.
    fn concerns_children(&self) -> bool {
        !self.core.unfinished.is_empty() || self.send.iter().any(|f| f.inflight.concerns_children())
    }

    fn doing_with(&self, child: Option<ChildId>) -> collision::Child {
        let Some(child) = child.and_then(|id| self.core.child(id)) else { return collision::Child::Absent };
        let ours = self.send.iter().find_map(|f| match &f.inflight {
            InFlight::RekeyChild(x) if x.old == child.id => Some(x.follows()),
            _ => None,
        });
        match (child.state, ours) {
            (ChildState::Deleting, _) => collision::Child::Deleting,
            (ChildState::Replaced, _) => collision::Child::Replaced,
            (ChildState::Installed, _) if child.successor.is_some() => collision::Child::Replaced,
            (ChildState::Installed, Some(true)) => collision::Child::Following,
            (ChildState::Installed, Some(false)) => collision::Child::Rekeying,
            (ChildState::Installed, None) if self.core.awaits(child.id) => collision::Child::Awaiting,
            (ChildState::Installed, None) => collision::Child::Idle,
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
        match (collision::answer(asked, self.doing(), self.doing_with(old)), names) {
            (Answer::Later, _) => return Reply::stay(alloc::vec![notify(NotifyType::TEMPORARY_FAILURE, Vec::new())]),
            (Answer::NotFound, Some(names)) => return Reply::stay(alloc::vec![Payload::Notify(names.not_found())]),
            _ => {}
        }
        let ppk = match self.named_ppk(cx, msg) {
            Ok(ppk) => ppk,
            Err(reply) => return reply,
        };
        match (asked, old) {
            (Asked::RekeyIke, _) => {
                followup_ke::forget_ike(&mut self.core);
                let (reply, made) = ike_rekey::respond(cx, &mut self.core, msg, ppk);
                made.into_iter().for_each(|made| self.peer_rekeyed_ike(cx, made));
                reply
            }
            (Asked::RekeyChild, Some(old)) => {
                followup_ke::forget_child(cx, &mut self.core, old);
                let (reply, made) = child_rekey::respond(cx, &mut self.core, msg, old, ppk);
                made.into_iter().for_each(|made| self.peer_rekeyed_child(cx, old, made));
                reply
            }
            _ => child_create::respond(cx, &mut self.core, msg, ppk),
        }
    }

    /// The peer has made, or begun, a pair in place of `old`.
    pub(super) fn peer_rekeyed_child(&mut self, cx: &mut Cx<'_>, old: ChildId, made: child_rekey::Rival) {
        let ours = self.send.iter_mut().find_map(|f| match &mut f.inflight {
            InFlight::RekeyChild(x) if x.old == old => Some(x),
            _ => None,
        });
        let child = made.child;
        match (ours, child) {
            // Undecided: should the old one go, the peer's takes over.
            (Some(ours), Some(child)) => {
                ours.rival = Some(made);
                if let Some(old) = self.core.child_mut(old) {
                    old.successor = Some(crate::exchange::Successor { child, switched: false });
                }
            }
            (Some(ours), None) => ours.rival = Some(made),
            (None, Some(child)) => child_rekey::supersede(cx, &mut self.core, old, child, false),
            (None, None) => {}
        }
    }

    /// Our request to rekey a Child SA was answered.
    pub(super) fn child_rekeyed(&mut self, cx: &mut Cx<'_>, ours: RekeyChild, msg: &Inbound<'_>) -> Step {
        let (old, policy, decided) = (ours.old, ours.policy(), ours.decided);
        // What the peer began counts as long as it may come to something.
        let rival = ours.rival.clone().filter(|r| r.child.is_some() || self.core.awaits(old));
        let lowest = rival.as_ref().map(|r| r.lowest.as_slice());
        let gone = self.core.child(old).is_none();
        let (next, new, failure) = match ours.finish(cx, &mut self.core, msg) {
            child_rekey::Rekeyed::Again(again, draft) => return Step::Next(InFlight::RekeyChild(again), draft),
            child_rekey::Rekeyed::More(more, draft, _) if decided => {
                return Step::Next(InFlight::RekeyChild(more), draft);
            }
            child_rekey::Rekeyed::More(mut more, draft, nonce) => {
                let next = collision::next(Ended::Begun, collision::meanwhile(Some(&nonce), lowest, gone));
                if next == Next::GoOn {
                    followup_ke::forget_child(cx, &mut self.core, old);
                    (more.decided, more.rival) = (true, rival.filter(|r| r.child.is_some()));
                    return Step::Next(InFlight::RekeyChild(more), draft);
                }
                more.give_back(cx);
                (next, None, None)
            }
            child_rekey::Rekeyed::Made(new, nonce) => {
                (self.stuck_since, self.lost_chains) = (Instant::NEVER, 0);
                (collision::next(Ended::Made, collision::meanwhile(Some(&nonce), lowest, gone)), Some(new), None)
            }
            child_rekey::Rekeyed::Failed(failure) => {
                // A rival that has lost already does not take over.
                let meanwhile = collision::meanwhile(None, lowest.filter(|_| !decided), gone);
                (collision::next(Ended::by(failure.notify), meanwhile), None, Some(failure))
            }
        };
        let rival = rival.and_then(|r| r.child);
        match (next, new) {
            (Next::TakeOver | Next::Win | Next::Stay, Some(new)) => {
                followup_ke::forget_child(cx, &mut self.core, old);
                self.child_takes_over(cx, old, new, rival);
            }
            (Next::Lose, Some(new)) => {
                if let Some(child) = self.core.child_mut(new) {
                    (child.state, child.rekey_at) = (ChildState::Replaced, Instant::NEVER);
                }
                self.child_follows(cx, old, rival);
                self.queue.push(Intent::DeleteChild(new, Reason::Replaced));
            }
            (Next::Follow | Next::Stop, _) => self.child_follows(cx, old, rival),
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
            Some(f) if f.notify == NotifyType::STATE_NOT_FOUND && next == Next::Retry => self.chain_lost(),
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
        match rival.filter(|_| self.core.child(old).is_some()) {
            Some(rival) => child_rekey::supersede(cx, &mut self.core, old, rival, false),
            // It is not there yet. Should it never come, we begin again: the wish waits until that is sure.
            None if self.core.awaits(old) => {
                self.queue.push(Intent::RekeyChild(old));
            }
            None => {}
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
        let busy = |r: &Reason| {
            let Reason::PeerRefused { notify, .. } = r else { return false };
            matches!(*notify, NotifyType::TEMPORARY_FAILURE | NotifyType::STATE_NOT_FOUND)
        };
        if let Some(reason) = why.filter(|r| !busy(r)) {
            cx.out.event(Event::ChildRefused { sa: self.core.id, policy: Some(policy), reason: reason.clone() });
        }
    }

    /// The peer said TEMPORARY_FAILURE. When it has said nothing else for long, the SA is given up.
    pub(super) fn postponed(&mut self, cx: &Cx<'_>) -> Step {
        self.stuck_since = self.stuck_since.min(cx.now.mono);
        if cx.now.mono.since(self.stuck_since) < STUCK {
            return Step::Done;
        }
        let (notify, during) = (NotifyType::TEMPORARY_FAILURE, "CREATE_CHILD_SA");
        Step::FailAndTell(Reason::PeerRefused { notify, authenticated: true, during }, None)
    }

    /// The peer has made, or begun, an IKE SA in place of this one.
    pub(super) fn peer_rekeyed_ike(&mut self, cx: &mut Cx<'_>, (heir, lowest): ike_rekey::Heir) {
        let (old, sa) = (self.core.id, heir.as_ref().map(|h| h.id));
        let ours = self.send.iter_mut().find_map(|f| match &mut f.inflight {
            InFlight::RekeyIke(x) => Some(x),
            _ => None,
        });
        let fate = match ours {
            Some(ours) => {
                ours.rival = Some(ike_rekey::Rival { lowest, sa });
                Fate::Undecided(old)
            }
            None => Fate::Heir,
        };
        let Some(heir) = heir else { return };
        let new = heir.id;
        cx.effects.push(Effect::Born(heir, fate));
        if fate == Fate::Heir {
            self.hand_over(cx, new);
        }
    }

    /// Our request to rekey the IKE SA was answered.
    pub(super) fn ike_rekeyed(&mut self, cx: &mut Cx<'_>, mut ours: Box<RekeyIke>, msg: &Inbound<'_>) -> Step {
        let (decided, conceded) = (ours.decided, ours.conceded);
        // What the peer began counts as long as it may come to something.
        let rival = ours.rival.take().filter(|r| r.sa.is_some() || self.core.awaits_ike());
        let lowest = rival.as_ref().map(|r| r.lowest.as_slice());
        let lost = |nonce: Vec<u8>| if conceded { Vec::new() } else { nonce };
        let (next, new, refusal) = match ours.finish(cx, &self.core, msg) {
            ike_rekey::Rekeyed::Again(mut again, draft) => {
                (again.rival, again.conceded) = (rival, conceded);
                return Step::Next(InFlight::RekeyIke(again), draft);
            }
            ike_rekey::Rekeyed::More(mut more, draft, nonce) => {
                let meanwhile =
                    collision::meanwhile(Some(&lost(nonce)), lowest.filter(|_| !decided || conceded), false);
                let next = collision::next(Ended::Begun, meanwhile);
                if next == Next::GoOn {
                    followup_ke::forget_ike(&mut self.core);
                    (more.decided, more.rival) = (true, rival.filter(|r| r.sa.is_some()));
                    return Step::Next(InFlight::RekeyIke(more), draft);
                }
                (next, None, None)
            }
            ike_rekey::Rekeyed::Made(heir, nonce) => {
                (self.stuck_since, self.lost_chains) = (Instant::NEVER, 0);
                let meanwhile = collision::meanwhile(Some(&lost(nonce)), lowest, false);
                (collision::next(Ended::Made, meanwhile), Some(heir), None)
            }
            ike_rekey::Rekeyed::Refused(notify, reason) => {
                let lowest = lowest.filter(|_| !decided || conceded);
                let meanwhile = collision::meanwhile(None, lowest, self.life != Lifecycle::Established);
                (collision::next(Ended::by(notify), meanwhile), None, Some((notify, reason)))
            }
            ike_rekey::Rekeyed::Broken(reason) => return Step::FailAndTell(reason, Some(NotifyType::INVALID_SYNTAX)),
        };
        self.ike_decided(cx, next, new, rival.and_then(|r| r.sa));
        match refusal {
            Some((NotifyType::TEMPORARY_FAILURE, _)) if next == Next::Retry => self.postponed(cx),
            Some((NotifyType::STATE_NOT_FOUND, _)) if next == Next::Retry => self.chain_lost(),
            Some((_, reason)) if next == Next::Retry => {
                cx.out.event(Event::Noted { sa: Some(self.core.id), path: msg.path, reason });
                Step::Done
            }
            _ => Step::Done,
        }
    }

    fn ike_decided(
        &mut self,
        cx: &mut Cx<'_>,
        next: Next,
        new: Option<Box<SaCore>>,
        rival: Option<crate::ids::IkeSaId>,
    ) {
        match next {
            // Ours came to nothing, and the peer may yet mean its own.
            Next::Retry | Next::StartAnew | Next::Reauth if rival.is_some() => self.kin.contender = rival,
            _ => {}
        }
        let rival = rival.or(self.kin.contender);
        match (next, new) {
            (Next::TakeOver | Next::Stay | Next::Win, Some(heir)) => {
                let id = heir.id;
                cx.effects.push(Effect::Born(heir, Fate::Heir));
                self.hand_over(cx, id);
                match rival {
                    Some(redundant) => cx.effects.push(Effect::Outlast { redundant }),
                    None => cx.effects.push(Effect::Shut(self.core.id, Reason::Replaced)),
                }
            }
            (Next::Lose, Some(heir)) => {
                cx.effects.push(Effect::Born(heir, Fate::Redundant));
                self.ike_follows(cx, rival);
            }
            (Next::Follow | Next::Stop, _) => self.ike_follows(cx, rival),
            (Next::Reauth, _) => self.core.schedule.reauth_at = cx.now.mono,
            (Next::Retry | Next::StartAnew, _) => self.core.schedule.rekey_at = Self::retry_at(cx),
            _ => {}
        }
    }

    /// The peer's IKE SA takes over.
    fn ike_follows(&mut self, cx: &mut Cx<'_>, rival: Option<crate::ids::IkeSaId>) {
        match rival {
            Some(rival) => self.hand_over(cx, rival),
            // It is not there yet. Should it never come, we begin again: the wish waits until that is sure.
            None if self.core.awaits_ike() => {
                self.queue.push(Intent::RekeyIke);
            }
            None => {}
        }
    }

    /// Everything that lives in this SA goes over to `heir`; this one waits for its Delete. Once.
    pub(super) fn hand_over(&mut self, cx: &mut Cx<'_>, heir: crate::ids::IkeSaId) {
        if self.core.heir == Some(heir) {
            return;
        }
        (self.core.heir, self.kin.contender) = (Some(heir), None);
        if self.life == Lifecycle::Established {
            self.life = Lifecycle::Replaced;
        }
        self.linger_until = cx.now.mono + LINGER;
        followup_ke::forget_all(cx, &mut self.core);
        for (_, wish) in self.later.take() {
            self.queue.push(wish);
        }
        self.unpark_wishes();
        self.kin.estate = Some(core::mem::take(&mut self.queue));
        cx.out.event(Event::Rekeyed { old: self.core.id, new: heir });
        let children = core::mem::take(&mut self.core.children);
        let leases = core::mem::take(&mut self.core.leases);
        cx.effects.push(Effect::Inherit { heir, children, leases });
    }

    /// The peer uses the IKE SA that it made while ours was on the wire: it has won.
    pub(crate) fn concede(&mut self, cx: &mut Cx<'_>) {
        let rival = self.send.iter_mut().find_map(|f| match &mut f.inflight {
            InFlight::RekeyIke(x) => x.rival.as_ref().and_then(|r| r.sa).inspect(|_| x.conceded = true),
            _ => None,
        });
        if let Some(rival) = rival.or(self.kin.contender) {
            self.hand_over(cx, rival);
        }
    }

    /// What the old SA had still to do.
    pub(crate) fn take_estate(&mut self) -> Queue {
        self.kin.there_mut().and_then(|kin| kin.estate.take()).unwrap_or_default()
    }

    /// The SA that this one was made in place of is on its way out.
    pub(crate) fn forget_replaced(&mut self) {
        self.kin.replaces = None;
        self.tidy_kin();
    }

    fn tidy_kin(&mut self) {
        let Kin { contender, undecided, held, outlasted_by, estate, replaces, rebirth } = &*self.kin;
        let ids = [contender, undecided, outlasted_by, replaces];
        if ids.iter().all(|id| id.is_none()) && held.is_none() && estate.is_none() && rebirth.is_none() {
            self.kin.clear();
        }
    }

    /// Takes the Child SAs and the wishes of the old SA, and goes on.
    pub(crate) fn inherit(&mut self, cx: &mut Cx<'_>, children: Vec<crate::exchange::Child>, wishes: &Queue) {
        let held = self.kin.there_mut().and_then(|kin| {
            kin.undecided = None;
            kin.held.take()
        });
        self.core.children.extend(children);
        for wish in wishes.iter() {
            // A wish to rekey the old IKE SA is fulfilled; one to have it gone means this one now.
            if *wish != Intent::RekeyIke {
                self.queue.push(wish.clone());
            }
        }
        self.tidy_kin();
        if let Some(held) = held {
            self.answer_request(cx, *held);
        }
        self.pump(cx);
    }

    /// The peer's new SA lost against ours: the peer deletes it, then we delete `old`.
    pub(crate) fn lose(&mut self, now: Instant, old: crate::ids::IkeSaId) {
        self.redundant = true;
        self.kin = Kin { outlasted_by: Some(old), ..self.kin.take() }.into();
        (self.kin.undecided, self.kin.held) = (None, None);
        self.linger_until = now + LINGER;
    }
}
