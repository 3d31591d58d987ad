//! IKE_FOLLOWUP_KE as the machine does it (RFC 9370 §2.2.4): what is made when the peer's chain is done, when what it let
//! lie is forgotten, and PPKs that must be fetched before a CREATE_CHILD_SA of ours (RFC 9867 §3.2).
//! The exchange is in `exchange/followup_ke.rs`, the decisions in `collision.rs`.

use super::parked::Work;
use super::{IkeSa, Intent};
use crate::ask::{Answer, Halt};
use crate::error::Reason;
use crate::event::Event;
use crate::exchange::child::{self, ChildFailure, Material};
use crate::exchange::followup_ke::{self, MAX_LOST, Unfinished, What};
use crate::exchange::ppk::Ppk;
use crate::exchange::{After, Cx, Draft, Inbound, Reply, Step, child_create, child_rekey, create_ppk, ike_rekey};
use crate::registry::NotifyType;
use alloc::boxed::Box;
use alloc::sync::Arc;

impl IkeSa {
    /// Answers an IKE_FOLLOWUP_KE request.
    pub(super) fn follow_up(&mut self, cx: &mut Cx<'_>, msg: &Inbound<'_>) -> Reply {
        match followup_ke::respond(cx, &mut self.core, msg) {
            Ok((draft, None)) => Reply::stay(draft),
            Ok((draft, Some(done))) => match self.complete(cx, *done) {
                Ok(()) => Reply::stay(draft),
                Err(failure) => child_create::refuse(cx, &self.core, failure),
            },
            Err(reply) => reply,
        }
    }

    /// All key exchanges of the peer's chain are done.
    fn complete(&mut self, cx: &mut Cx<'_>, done: Unfinished) -> Result<(), ChildFailure> {
        let lowest = done.lowest();
        let Unfinished { nonces: (ni, nr), shared, ppk, what, .. } = done;
        let material = Material { ni: &ni, nr: &nr, shared: &shared, ppk: ppk.as_deref() };
        match what {
            What::Child(plan, old) => {
                let new = child::conclude(cx, &mut self.core, *plan, &material)?;
                if let Some(old) = old {
                    self.peer_rekeyed_child(cx, old, child_rekey::Rival { lowest, child: Some(new) });
                }
            }
            What::Ike(new) => {
                let heir = ike_rekey::heir(cx, &self.core, *new, &material);
                let heir = heir.map_err(|reason| ChildFailure::new(NotifyType::INVALID_SYNTAX, reason))?;
                self.peer_rekeyed_ike(cx, (Some(Box::new(heir)), lowest));
            }
        }
        Ok(())
    }

    /// The peer forgot what we had begun. After some times in a row the IKE SA is given up.
    pub(super) fn chain_lost(&mut self) -> Step {
        self.lost_chains = self.lost_chains.saturating_add(1);
        if self.lost_chains < MAX_LOST {
            return Step::Done;
        }
        let (notify, during) = (NotifyType::STATE_NOT_FOUND, "IKE_FOLLOWUP_KE");
        Step::FailAndTell(Reason::PeerRefused { notify, authenticated: true, during }, None)
    }

    /// The PPK for an exchange of ours. `None`: it waits for an answer, or cannot begin.
    pub(super) fn ppk_for(&mut self, cx: &mut Cx<'_>, intent: &Intent) -> Option<Option<Ppk>> {
        match create_ppk::own(cx, &mut self.core) {
            Ok(ppk) => Some(ppk),
            Err(Halt::Ask(ask)) => {
                self.park(cx, *ask, Work::Wish(intent.clone()));
                None
            }
            Err(Halt::Refuse(reason)) => {
                self.postpone(cx, intent, reason);
                None
            }
        }
    }

    /// Tries again later what could not begin.
    fn postpone(&mut self, cx: &mut Cx<'_>, intent: &Intent, reason: Reason) {
        match intent {
            Intent::RekeyChild(id) => {
                if let Some(policy) = self.core.child(*id).map(|c| c.policy) {
                    self.retry_child(cx, *id, policy, Some(&reason));
                }
            }
            Intent::RekeyIke => {
                self.core.schedule.rekey_at = Self::retry_at(cx);
                cx.out.event(Event::Noted { sa: Some(self.core.id), path: self.core.path, reason });
            }
            Intent::CreateChild { policy, .. } => {
                cx.out.event(Event::ChildRefused { sa: self.core.id, policy: Some(*policy), reason });
            }
            _ => {}
        }
    }

    /// A key-distribution system has answered.
    pub(super) fn ppk_given(&mut self, cx: &mut Cx<'_>, intent: Intent, answer: Answer) {
        match answer {
            Answer::Ppk { id, secret } => self.core.fresh_ppk = Some(Box::new(Ppk { id, secret: Arc::new(secret) })),
            Answer::Secret(secret) => {
                let id = self.core.profile.ppk.clone().unwrap_or_default();
                self.core.fresh_ppk = Some(Box::new(Ppk { id, secret: Arc::new(secret) }));
            }
            Answer::Refused(why) if self.core.profile.ppk_required => {
                return self.postpone(cx, &intent, Reason::Unanswered { why });
            }
            // Without one, then: the keys that are mixed in stay so.
            _ => self.core.without_ppk = true,
        }
        self.queue.push(intent);
    }

    /// The PPK that a CREATE_CHILD_SA request names; or what is answered at once.
    pub(super) fn named_ppk(&mut self, cx: &mut Cx<'_>, msg: &Inbound<'_>) -> Result<Option<Ppk>, Reply> {
        match create_ppk::named(cx, &self.core, msg) {
            Ok(ppk) => {
                self.core.answers.clear();
                Ok(ppk)
            }
            Err(Halt::Ask(ask)) => Err(Reply { draft: Draft::new(), after: After::Wait(ask) }),
            Err(Halt::Refuse(reason)) => {
                self.core.answers.clear();
                let failure = ChildFailure::new(NotifyType::NO_PROPOSAL_CHOSEN, reason);
                Err(child_create::refuse(cx, &self.core, failure))
            }
        }
    }
}
