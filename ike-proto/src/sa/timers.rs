//! Time: retransmission, giving up, liveness checks, NAT keepalives (RFC 7296 §2.1, §2.4; RFC 3948 §4).
//! Every timer is a moment computed from the facts, so that a clock that jumps makes no timer fire twice.

use super::codec;
use super::{IkeSa, Intent, Lifecycle};
use crate::error::Reason;
use crate::exchange::{ChildState, Cx, Effect, InFlight, followup_ke, nat_transport};
use core::time::Duration;
use ravelin_crypto::CryptoRng;
use ravelin_sa_db::Instant;

/// Why a deadline exists.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Why {
    /// Output waits to be taken.
    Output,
    /// A request of ours is to be sent again or given up.
    Retransmit,
    /// A half-open SA is to be given up, or one whose IKE_FOLLOWUP_KE does not come.
    HalfOpen,
    /// The peer was silent: ask whether it lives.
    Liveness,
    /// A NAT mapping is to be kept alive.
    Keepalive,
    /// The answer to a question is overdue.
    Answer,
    /// Fragments of a message are to be thrown away.
    Reassembly,
    /// An SA is to be rekeyed or reauthenticated.
    Rekey,
    /// A hard lifetime ends.
    Expire,
    /// An IKE SA is to be tried again.
    Retry,
    /// Nothing is waited for.
    Nothing,
}

/// A hint that the peer is gone starts a question only after it was silent for so long.
const HINT_AFTER: Duration = Duration::from_secs(2);

/// How long fragments of one message are kept.
const REASSEMBLY_TIME: Duration = Duration::from_secs(30);

impl IkeSa {
    /// The wait after transmission number `sent` (0: the first), jitter included.
    pub(super) fn wait(&self, cx: &mut Cx<'_>, sent: u32) -> Duration {
        let r = cx.config.retransmit;
        let wait = r.wait(sent);
        let percent = r.jitter_percent.min(100);
        if percent == 0 {
            return wait;
        }
        let cut = below(cx.rng, percent.saturating_add(1));
        wait.saturating_mul(100u32.saturating_sub(cut)) / 100
    }

    /// The next moment at which `handle_timeout` has something to do, and why.
    #[must_use]
    pub fn deadline(&self, config: &crate::config::Config) -> (Instant, Why) {
        let _ = config;
        let half_open = if self.life == Lifecycle::Opening { self.open_until } else { Instant::NEVER };
        let reassembly =
            self.reassembly.iter().flatten().map(|r| r.started + REASSEMBLY_TIME).min().unwrap_or(Instant::NEVER);
        let all = [
            (self.send.next_at(), Why::Retransmit),
            (half_open, Why::HalfOpen),
            (self.liveness_at(), Why::Liveness),
            (self.keepalive_at(), Why::Keepalive),
            (reassembly, Why::Reassembly),
            (self.renewal_at(), Why::Rekey),
            (self.end_at(), Why::Expire),
            (self.parked_until(), Why::Answer),
            (self.core.unfinished_until(), Why::HalfOpen),
        ];
        all.into_iter().min().filter(|(at, _)| *at != Instant::NEVER).unwrap_or((Instant::NEVER, Why::Nothing))
    }

    /// When something is to be rekeyed, reauthenticated or tried again.
    fn renewal_at(&self) -> Instant {
        if self.life != Lifecycle::Established || self.redundant || self.kin.undecided.is_some() {
            return Instant::NEVER;
        }
        let children = self.core.children.iter().map(|c| c.rekey_at);
        let later = self.later.iter().map(|(at, _)| *at);
        let own = [self.core.schedule.rekey_at, self.core.schedule.reauth_at];
        children.chain(later).chain(own).min().unwrap_or(Instant::NEVER)
    }

    /// When a hard lifetime ends, or the wait for the peer's Delete of a replaced SA.
    fn end_at(&self) -> Instant {
        match self.life {
            Lifecycle::Established if self.redundant => self.linger_until,
            Lifecycle::Established => {
                let children = self.core.children.iter().map(|c| c.expire_at);
                children.chain([self.core.schedule.over_at]).min().unwrap_or(Instant::NEVER)
            }
            Lifecycle::Replaced => self.linger_until,
            Lifecycle::Opening | Lifecycle::Closing | Lifecycle::Closed => Instant::NEVER,
        }
    }

    fn renew(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        if self.renewal_at() > now {
            return;
        }
        for child in self.core.children.iter_mut().filter(|c| c.rekey_at <= now) {
            child.rekey_at = Instant::NEVER;
            self.queue.push(Intent::RekeyChild(child.id));
        }
        let due = |(at, _): &(Instant, Intent)| *at <= now;
        if self.later.iter().any(due) {
            for (_, intent) in self.later.extract_if(.., |x| due(x)) {
                self.queue.push(intent);
            }
            self.later.tidy();
        }
        if self.core.schedule.rekey_at <= now {
            self.core.schedule.rekey_at = Instant::NEVER;
            self.queue.push(Intent::RekeyIke);
        }
        if self.core.schedule.reauth_at <= now {
            self.core.schedule.reauth_at = Instant::NEVER;
            cx.effects.push(Effect::Reauth);
        }
    }

    fn end(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        if self.end_at() > now {
            return;
        }
        match self.life {
            // The peer has forgotten it long ago (RFC 7296 §2.8.2).
            Lifecycle::Established if self.redundant => self.close(cx, Reason::Replaced),
            Lifecycle::Replaced => {
                self.linger_until = Instant::NEVER;
                self.shut(cx, Reason::Replaced);
            }
            _ if self.core.schedule.over_at <= now => {
                self.core.schedule.over_at = Instant::NEVER;
                self.shut(cx, Reason::LifetimeExpired);
            }
            _ => {
                for child in self.core.children.iter_mut().filter(|c| c.expire_at <= now) {
                    child.expire_at = Instant::NEVER;
                    let reason = match child.state {
                        ChildState::Replaced => Reason::Replaced,
                        _ if child.stranded => nat_transport::left_behind(),
                        _ => Reason::LifetimeExpired,
                    };
                    self.queue.push(Intent::DeleteChild(child.id, reason));
                }
            }
        }
    }

    fn liveness_at(&self) -> Instant {
        let delay = self.core.profile.times.dpd;
        let due =
            self.life == Lifecycle::Established && !delay.is_zero() && self.send.is_idle() && self.queue.is_empty();
        if due { self.last_heard + delay } else { Instant::NEVER }
    }

    /// Somebody says that the peer has lost this SA: worth a question, if the peer was silent for a while, and nothing
    /// more (RFC 7296 §2.4, §2.21.4).
    pub(crate) fn hint(&mut self, cx: &mut Cx<'_>) {
        let quiet = cx.now.mono.since(self.last_heard) >= HINT_AFTER;
        if self.life == Lifecycle::Established && self.send.is_idle() && quiet {
            self.want(cx, Intent::Liveness { asked: false });
        }
    }

    fn keepalive_at(&self) -> Instant {
        let delay = self.core.profile.times.keepalive;
        let due = self.life == Lifecycle::Established && self.core.agreed.nat.local && !delay.is_zero();
        if due { self.last_sent + delay } else { Instant::NEVER }
    }

    /// Does everything that is due.
    pub(crate) fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        if self.life == Lifecycle::Opening && self.open_until <= now {
            self.close(cx, Reason::HalfOpenExpired);
            return;
        }
        for set in &mut self.reassembly {
            if set.as_ref().is_some_and(|r| r.started + REASSEMBLY_TIME <= now) {
                *set = None;
            }
        }
        self.expire_parked(cx);
        followup_ke::expire(cx, &mut self.core);
        self.retransmit(cx);
        if self.life == Lifecycle::Closed {
            return;
        }
        if self.keepalive_at() <= now {
            // One octet 0xFF, never marked, never answered (RFC 3948 §2.3).
            cx.out.transmit(self.core.path, alloc::vec![0xFF]);
            self.last_sent = now;
        }
        self.renew(cx);
        self.end(cx);
        if self.liveness_at() <= now {
            self.want(cx, Intent::Liveness { asked: false });
        }
        self.pump(cx);
    }

    fn retransmit(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        let due: alloc::vec::Vec<u32> = self.send.iter().filter(|f| f.next_at <= now).map(|f| f.message_id).collect();
        for message_id in due {
            let Some(flying) = self.send.get(message_id) else { continue };
            let sent = flying.sent;
            let tries = cx.config.retransmit.tries;
            if sent > tries && !self.gets_more_time(cx, flying) {
                self.give_up(cx, message_id);
                return;
            }
            let mut datagrams = flying.datagrams.clone();
            if let Some(smaller) = codec::smaller(cx, &mut self.core, sent, &datagrams) {
                datagrams = smaller;
            }
            let path = self.core.path;
            self.transmit(cx, path, &datagrams);
            let probed = self.probe_paths(cx, sent, &datagrams);
            let wait = self.wait(cx, sent.checked_rem(tries.saturating_add(1)).unwrap_or(sent));
            if let Some(flying) = self.send.get_mut(message_id) {
                flying.sent = sent.saturating_add(1);
                flying.probed |= probed;
                flying.datagrams = datagrams;
                flying.next_at = now + wait;
            }
        }
    }

    /// True when all tries are used up and yet the peer was heard since the last one: it slept or was cut off, and is
    /// not dead. The schedule starts over, once.
    fn gets_more_time(&self, cx: &Cx<'_>, flying: &super::window::Flying) -> bool {
        let tries = cx.config.retransmit.tries;
        let last_sent = flying.next_at - cx.config.retransmit.wait(flying.sent.saturating_sub(1).min(tries));
        self.life == Lifecycle::Established
            && self.last_heard > last_sent
            && flying.sent <= tries.saturating_mul(2).saturating_add(1)
    }

    /// No answer came: the peer is taken for dead (RFC 7296 §2.4).
    fn give_up(&mut self, cx: &mut Cx<'_>, message_id: u32) {
        let Some(flying) = self.send.get(message_id) else { return };
        let reason = match (&flying.inflight, self.doubt.take()) {
            (InFlight::DeleteIke(reason), _) => reason.clone(),
            (_, Some(doubt)) => *doubt,
            (inflight, None) => Reason::Silent { tries: flying.sent, waiting_for: inflight.name() },
        };
        self.close(cx, reason);
    }
}

/// A number from 0 to `n` - 1. The bias of the modulus does not matter for jitter.
pub(crate) fn below(rng: &mut (dyn CryptoRng + Send), n: u32) -> u32 {
    rng.next_u32().checked_rem(n).unwrap_or(0)
}
