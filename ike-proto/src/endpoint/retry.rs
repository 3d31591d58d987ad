//! What happens after an end (RFC 7296 leaves it to the administrator): attempts that came to nothing are tried again, peers
//! that died or closed a Child SA are called again or waited for with a trap, and policies are started with the endpoint.

use super::Endpoint;
use crate::error::{ApiError, Reason};
use crate::exchange::down::{Cause, Down};
use crate::ids::IkeSaId;
use crate::sa::Intent;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;
use ravelin_sa_db::spd::{CloseAction, StartAction};
use ravelin_sa_db::{Db, Instant, Now, PeerId, PolicyId};

/// Retries per call; the deadline then says "now".
const MAX_RETRIES: usize = 256;

/// Why there is no IKE SA with a peer.
#[derive(Clone, PartialEq, Debug)]
pub struct LastEnd {
    /// When the last one ended, or the last attempt.
    pub at: Instant,
    /// Why.
    pub reason: Reason,
    /// As an attempt of ours: its number, from 1; else 0.
    pub tries: u32,
}

#[derive(Debug)]
struct Retry {
    peer: PeerId,
    policies: Vec<PolicyId>,
    tries: u32,
}

/// Attempts to come, and policies that wait for traffic because an action said so.
#[derive(Debug, Default)]
pub(super) struct Retries {
    waiting: BTreeMap<(Instant, u64), Retry>,
    number: u64,
    trapped: BTreeSet<PolicyId>,
    ended: BTreeMap<PeerId, LastEnd>,
}

impl Retries {
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.waiting.keys().next().map(|(at, _)| *at)
    }

    /// An IKE SA with the peer is up.
    pub(super) fn up(&mut self, peer: PeerId) {
        self.ended.remove(&peer);
    }

    /// Nothing is tried any more.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.trapped.clear();
    }

    fn add(&mut self, at: Instant, retry: Retry) {
        self.number = self.number.saturating_add(1);
        self.waiting.insert((at, self.number), retry);
    }
}

impl Endpoint {
    /// Why the last IKE SA or attempt with a peer ended; `None` when one was established since, or none was tried.
    #[must_use]
    pub fn last_end(&self, peer: PeerId) -> Option<&LastEnd> {
        self.retries.ended.get(&peer)
    }

    /// Begins everything whose policy says so ([`StartAction::Start`]). Peers without an address are left to themselves.
    pub fn start(&mut self, now: Now, db: &Db) {
        let wanted =
            |p: &ravelin_sa_db::Policy| p.protect().filter(|x| x.start == StartAction::Start).map(|x| (x.peer, p.id));
        let all: Vec<(PeerId, PolicyId)> = db.spd.iter().filter_map(|p| wanted(p)).collect();
        for (peer, policy) in all {
            if !self.serves(peer, policy) {
                let _ = self.initiate(now, db, peer, Some(policy));
            }
        }
    }

    /// True when packets of this policy may start a negotiation.
    pub(super) fn may_acquire(&self, db: &Db, policy: PolicyId) -> bool {
        let Some(p) = db.spd.policy(policy) else { return false };
        // For a peer whose address is not leased yet there is nobody to call.
        let known = !p.remote.is_empty();
        known && p.protect().is_some_and(|x| x.start != StartAction::None || self.retries.trapped.contains(&policy))
    }

    fn serves(&self, peer: PeerId, policy: PolicyId) -> bool {
        let has = |id: IkeSaId| {
            self.index
                .get(id)
                .is_some_and(|sa| sa.is_making(policy) || sa.core.children.iter().any(|c| c.policy == policy))
        };
        self.index.of_peer(peer).chain(self.index.opening_to(peer)).any(has)
    }

    /// An IKE SA or attempt ended.
    pub(super) fn went_down(&mut self, now: Now, db: &Db, down: Down) {
        let end = LastEnd { at: now.mono, reason: down.reason.clone(), tries: down.tries };
        self.retries.ended.insert(down.peer, end);
        if self.closing {
            return;
        }
        let Down { peer, tries, ref policies, .. } = down;
        let action = |policy: &PolicyId, dead: bool| {
            let protect = db.spd.policy(*policy).and_then(|p| p.protect());
            protect.map_or(CloseAction::None, |p| if dead { p.dpd } else { p.close })
        };
        let cause = down.cause();
        let again: Vec<PolicyId> = match cause {
            Cause::Wanted => return,
            Cause::Failed => {
                let limit = db.pad.peer(peer).map_or(1, |p| p.keying_tries);
                if limit == 0 || tries < limit {
                    let wait = self.backoff(tries);
                    self.retries
                        .add(now.mono + wait, Retry { peer, policies: down.policies, tries: tries.saturating_add(1) });
                }
                return;
            }
            Cause::Dead | Cause::Closed => {
                let dead = cause == Cause::Dead;
                let trapped = policies.iter().filter(|p| action(p, dead) == CloseAction::Trap);
                self.retries.trapped.extend(trapped);
                policies.iter().filter(|p| action(p, dead) == CloseAction::Start).copied().collect()
            }
        };
        if !again.is_empty() {
            // Not within the call that ended the old one, and not in step with others that lost the same peer.
            let wait = self.jitter(Duration::from_millis(500));
            self.retries.add(now.mono + wait, Retry { peer, policies: again, tries: 1 });
        }
    }

    /// The peer deleted a Child SA of an IKE SA that lives on.
    pub(super) fn closed_by_peer(&mut self, now: Now, db: &Db, id: IkeSaId, policy: PolicyId) {
        match db.spd.policy(policy).and_then(|p| p.protect()).map(|p| p.close) {
            Some(CloseAction::Start) => {
                self.with(now, db, id, |sa, cx| sa.want(cx, Intent::CreateChild { policy, packet: None }));
            }
            Some(CloseAction::Trap) => drop(self.retries.trapped.insert(policy)),
            Some(CloseAction::None) | None => {}
        }
    }

    /// Makes the attempts whose time has come.
    pub(super) fn try_again(&mut self, now: Now, db: &Db) {
        for _ in 0..MAX_RETRIES {
            let Some(entry) = self.retries.waiting.first_entry().filter(|e| e.key().0 <= now.mono) else { return };
            let Retry { peer, policies, tries } = entry.remove();
            let missing: Vec<PolicyId> = policies.iter().copied().filter(|p| !self.serves(peer, *p)).collect();
            let alone = policies.is_empty() && self.newest_of(peer).is_none();
            let mut made: Option<Result<IkeSaId, ApiError>> = alone.then(|| self.initiate(now, db, peer, None));
            for policy in missing {
                // A policy or peer that was removed meanwhile is not missed.
                let result = self.initiate(now, db, peer, Some(policy));
                made = made.filter(Result::is_ok).or(Some(result));
            }
            if let Some(Ok(id)) = made {
                self.with(now, db, id, |sa, _| sa.tries = sa.tries.max(tries));
            }
        }
    }

    /// The wait after attempt number `tries`.
    fn backoff(&mut self, tries: u32) -> Duration {
        let doubled =
            self.config.retry_first.saturating_mul(1u32.checked_shl(tries.saturating_sub(1).min(16)).unwrap_or(1));
        let wait = doubled.min(self.config.retry_cap);
        wait.saturating_add(self.jitter(wait / 8))
    }

    fn jitter(&mut self, up_to: Duration) -> Duration {
        up_to / 1024 * self.rng.next_u32().checked_rem(1025).unwrap_or(0)
    }
}
