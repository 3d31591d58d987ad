//! One IKE SA as a machine: facts ([`SaCore`]), life, windows, queue and timers around them.
//! Datagrams come in by `inbound.rs`, time by `timers.rs`, wishes by `pump.rs`; `codec.rs` seals and opens.

pub mod codec;
pub mod collision;
pub(crate) mod folded;
mod followup;
mod inbound;
pub mod lifecycle;
mod parked;
mod paths;
mod pump;
pub mod queue;
mod rekey;
mod timers;
pub mod window;

pub(crate) use folded::Folded;
pub use inbound::Outcome;
pub use lifecycle::Lifecycle;
pub use queue::Intent;
pub use timers::Why;

use crate::error::Reason;
use crate::event::Event;
use crate::exchange::down::Down;
use crate::exchange::rare::{Blank, Rare};
use crate::exchange::sa_init::{self, Refusal, SaInit};
use crate::exchange::{
    Agreed, ChildState, Cx, Effect, InFlight, Inbound, SaCore, Schedule, child_rekey, configure, followup_ke,
    informational,
};
use crate::ids::{IkeSaId, Role};
use crate::keys::SkKeys;
use crate::registry::ExchangeType;
use crate::seal::Reassembly;
use crate::wire::order;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use queue::Queue;
use ravelin_sa_db::pad::Peer;
use ravelin_sa_db::{ChildId, Instant, PacketKey, Path, PeerId, PolicyId};
use window::{Answered, Datagrams, ReceiveWindow, SendWindow};

/// An IKE SA.
#[derive(Debug)]
pub struct IkeSa {
    /// Its facts.
    pub core: SaCore,
    /// Where it stands.
    pub life: Lifecycle,
    pub(crate) send: SendWindow,
    receive: ReceiveWindow,
    /// Fragments of the peer's request, and of its response.
    reassembly: [Option<Box<Reassembly>>; 2],
    pub(crate) queue: Queue,
    /// An attempt that is not done by then is given up.
    open_until: Instant,
    /// Last authenticated octets of the peer, on IKE or ESP.
    last_heard: Instant,
    last_sent: Instant,
    /// Number of this attempt of ours, from 1.
    pub(crate) tries: u32,
    /// An unauthenticated error that came while opening.
    doubt: Option<Box<Reason>>,
    /// Our SET_WINDOW_SIZE was sent (RFC 7296 §2.3).
    announced: bool,
    /// What is to be tried again later.
    later: Rare<Vec<(Instant, Intent)>>,
    /// The peer has said TEMPORARY_FAILURE since then; `NEVER`: it has not.
    stuck_since: Instant,
    /// STATE_NOT_FOUND so often in a row (RFC 9370 §2.2.4).
    lost_chains: u8,
    /// It lost in a simultaneous rekeying and only waits for its Delete; never spoken of to the outside.
    pub(crate) redundant: bool,
    /// A replaced or redundant SA does not wait for the peer's Delete any longer than this.
    linger_until: Instant,
    /// Before and after it, while one SA takes the place of another.
    pub(crate) kin: Rare<Kin>,
    /// An exchange that waits for an answer.
    parked: Rare<Vec<parked::Parked>>,
    /// Questions asked so far.
    tickets: u32,
}

/// SAs before and after one, and what waits for them. Most SAs have none.
#[derive(Debug, Default)]
pub(crate) struct Kin {
    /// The IKE SA that the peer made in place of this one while ours was being made, and ours came to nothing after
    /// the nonces had spoken for it: it takes over as soon as the peer shows that it means it.
    pub(crate) contender: Option<IkeSaId>,
    /// The peer made this SA in place of the one named while our own rekeying of that was on the wire.
    pub(crate) undecided: Option<IkeSaId>,
    /// A request of the peer that must wait until that is decided.
    held: Option<Box<inbound::Held>>,
    /// The old SA that is deleted when this redundant one is.
    pub(crate) outlasted_by: Option<IkeSaId>,
    /// What it wanted when it was replaced, for its heir.
    estate: Option<Queue>,
    /// The SA that goes when this one and its Child SAs are up: reauthentication, make before break.
    pub(crate) replaces: Option<IkeSaId>,
    /// Policies to start from anew once this SA is gone: reauthentication, break before make.
    pub(crate) rebirth: Option<Box<[PolicyId]>>,
}

impl Blank for Kin {
    fn blank() -> &'static Self {
        const {
            &Self {
                contender: None,
                undecided: None,
                held: None,
                outlasted_by: None,
                estate: None,
                replaces: None,
                rebirth: None,
            }
        }
    }
}

/// What a new IKE SA starts from.
#[derive(Debug)]
pub struct Birth {
    /// Local name.
    pub id: IkeSaId,
    /// Our SPI.
    pub spi: u64,
    /// The PAD entry; as responder a candidate by address.
    pub profile: Arc<Peer>,
    /// Where it runs.
    pub path: Path,
}

impl IkeSa {
    fn new(cx: &Cx<'_>, birth: Birth, role: Role, peer: Option<PeerId>, spi_i: u64, spi_r: u64) -> Self {
        let first_request = match role {
            Role::Initiator => 1,
            Role::Responder => 0,
        };
        let core = SaCore {
            id: birth.id,
            role,
            first_role: role,
            peer,
            profile: birth.profile,
            spi_i,
            spi_r,
            path: birth.path,
            suite: None,
            keys: SkKeys::default(),
            next_keys: None,
            sealed: 0,
            agreed: Agreed::default(),
            pending: Rare::default(),
            int_auth: Rare::default(),
            ppk_used: false,
            opening: Rare::default(),
            answers: Rare::default(),
            granted: None,
            round: None,
            eap: None,
            remote_id: None,
            children: Vec::new(),
            leases: Rare::default(),
            fragment_size: 0,
            mobility: Rare::default(),
            assigned: None,
            created: cx.now.mono,
            established: None,
            authenticated: Instant::NEVER,
            schedule: Schedule::default(),
            heir: None,
            early_deletes: Rare::default(),
            unfinished: Rare::default(),
            fresh_ppk: None,
            without_ppk: false,
        };
        Self::around(cx.now.mono, core, SendWindow::new(first_request), ReceiveWindow::new(0))
    }

    /// The machinery around facts.
    fn around(now: Instant, core: SaCore, send: SendWindow, receive: ReceiveWindow) -> Self {
        let tries = u32::from(core.role == Role::Initiator);
        Self {
            core,
            life: Lifecycle::Opening,
            send,
            receive,
            reassembly: [None, None],
            queue: Queue::default(),
            open_until: Instant::NEVER,
            last_heard: now,
            last_sent: now,
            tries,
            doubt: None,
            announced: false,
            later: Rare::default(),
            stuck_since: Instant::NEVER,
            lost_chains: 0,
            redundant: false,
            linger_until: Instant::NEVER,
            kin: Rare::default(),
            parked: Rare::default(),
            tickets: 0,
        }
    }

    /// Begins an attempt: sends IKE_SA_INIT.
    ///
    /// # Errors
    /// When nothing of the configuration is usable.
    pub fn initiate(
        cx: &mut Cx<'_>,
        birth: Birth,
        peer: PeerId,
        first: Option<(PolicyId, Option<PacketKey>)>,
    ) -> Result<Self, Reason> {
        let spi = birth.spi;
        let mut sa = Self::new(cx, birth, Role::Initiator, Some(peer), spi, 0);
        let (inflight, draft) = SaInit::request(cx, &sa.core, first)?;
        sa.request(cx, inflight, draft);
        Ok(sa)
    }

    /// Answers an IKE_SA_INIT request that passed the gate. `msg` has been checked by the rule table. Without `proved`, a
    /// cookie of ours in it, no answer is larger than its request.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing is kept.
    pub fn respond(cx: &mut Cx<'_>, birth: Birth, msg: &Inbound<'_>, proved: bool) -> Result<Self, Refusal> {
        let (spi_i, spi_r) = (msg.header.initiator_spi.0, birth.spi);
        let mut sa = Self::new(cx, birth, Role::Responder, None, spi_i, spi_r);
        let mut draft = sa_init::respond(cx, &mut sa.core, msg)?;
        order::sort(ExchangeType::IKE_SA_INIT, true, &mut draft);
        sa.open_until = cx.now.mono + cx.config.half_open_lifetime;
        #[cfg_attr(not(feature = "fault-injection"), expect(unused_mut, reason = "only faults change it"))]
        let mut header = codec::header(&sa.core, ExchangeType::IKE_SA_INIT, 0, true);
        #[cfg(feature = "fault-injection")]
        cx.out.faults.edit(&mut header, &mut draft);
        if let Some(bytes) = codec::clear(&header, &draft) {
            if !proved && bytes.len() > msg.raw.len() {
                return Err(Refusal { notify: None, reason: Refusal::amplifies() });
            }
            sa.core.opening.message2.clone_from(&bytes);
            let path = sa.core.path;
            sa.transmit(cx, path, &[bytes]);
            // The octets are in `opening`, and `repeat_init` repeats them from there.
            let fingerprint = codec::fingerprint(msg.raw);
            sa.receive.keep(Answered { message_id: 0, fingerprint, datagrams: Datagrams::default(), sent: 1 });
        }
        Ok(sa)
    }

    /// Ends the SA now, without another message: Child SAs first, then the event.
    pub(crate) fn close(&mut self, cx: &mut Cx<'_>, reason: Reason) {
        if self.life == Lifecycle::Closed {
            return;
        }
        self.report_down(cx, &reason);
        let closing = self.life == Lifecycle::Closing;
        self.life = Lifecycle::Closed;
        self.unpark(cx);
        for flying in self.send.clear() {
            flying.inflight.give_back(cx);
            let InFlight::RekeyIke(ours) = flying.inflight else { continue };
            // The peer does not know that ours crossed its own: what it made lives on (RFC 7296 §2.8.2).
            match ours.rival.and_then(|r| r.sa) {
                Some(rival) if closing => cx.effects.push(Effect::Shut(rival, reason.clone())),
                Some(rival) => self.hand_over(cx, rival),
                None => {}
            }
        }
        match self.kin.there_mut().and_then(|kin| kin.contender.take()) {
            Some(contender) if closing => cx.effects.push(Effect::Shut(contender, reason.clone())),
            Some(contender) if self.core.heir.is_none() => self.hand_over(cx, contender),
            _ => {}
        }
        followup_ke::forget_all(cx, &mut self.core);
        informational::remove_children(cx, &mut self.core, &Reason::IkeSaGone);
        configure::release(cx, &mut self.core);
        if !self.redundant && self.kin.undecided.is_none() {
            let reason = if self.core.heir.is_some() { Reason::Replaced } else { reason };
            cx.out.event(Event::Closed { sa: self.core.id, peer: self.core.peer, reason });
        }
    }

    /// Tells the endpoint what ends, before it does.
    fn report_down(&self, cx: &mut Cx<'_>, reason: &Reason) {
        // Those that another SA took the place of leave nothing behind.
        let succeeded =
            self.redundant || self.kin.undecided.is_some() || self.core.heir.is_some() || self.kin.rebirth.is_some();
        let leaving = matches!(self.life, Lifecycle::Closing | Lifecycle::Replaced);
        let Some(peer) = self.core.peer.filter(|_| !leaving && !succeeded && self.kin.replaces.is_none()) else {
            return;
        };
        let flying = self.send.iter().filter_map(|f| match &f.inflight {
            InFlight::SaInit(x) => x.first_policy(),
            InFlight::Intermediate(x) => x.first_policy(),
            InFlight::Auth(x) => x.policy(),
            InFlight::CreateChild(x) => Some(x.policy()),
            _ => None,
        });
        let waiting = self
            .queue
            .iter()
            .filter_map(|i| if let Intent::CreateChild { policy, .. } = i { Some(*policy) } else { None });
        let mut policies: Vec<PolicyId> = flying.chain(waiting).collect();
        policies.extend(self.core.children.iter().filter(|c| c.state == ChildState::Installed).map(|c| c.policy));
        policies.sort_unstable();
        policies.dedup();
        let established = self.core.established.is_some();
        let down = Down { peer, established, tries: self.tries, reason: reason.clone(), policies };
        cx.effects.push(Effect::Down(Box::new(down)));
    }

    /// The data plane saw an authenticated packet of the peer (RFC 7296 §2.4).
    pub(crate) fn heard(&mut self, at: Instant) {
        self.last_heard = self.last_heard.max(at);
    }

    /// The data plane saw the peer's traffic on a Child SA.
    pub(crate) fn traffic(&mut self, cx: &mut Cx<'_>, child: ChildId, at: Instant) {
        self.heard(at);
        child_rekey::follow_traffic(cx, &mut self.core, child);
    }

    /// Nothing is on the wire and nothing waits.
    pub(crate) fn is_settled(&self) -> bool {
        self.send.is_idle() && self.queue.is_empty() && self.later.is_empty()
    }

    /// Tries later to authenticate anew.
    pub(crate) fn postpone_reauth(&mut self, cx: &mut Cx<'_>) {
        self.core.schedule.reauth_at = Self::retry_at(cx);
    }

    /// True when a Child SA for this policy is there, being made, or waiting to be made.
    #[must_use]
    pub(crate) fn is_making(&self, policy: PolicyId) -> bool {
        let flying = self.send.iter().any(|f| match &f.inflight {
            InFlight::SaInit(x) => x.first_policy() == Some(policy),
            InFlight::Intermediate(x) => x.first_policy() == Some(policy),
            InFlight::Auth(x) => x.policy() == Some(policy),
            InFlight::CreateChild(x) => x.policy() == policy,
            InFlight::RekeyChild(_)
            | InFlight::RekeyIke(_)
            | InFlight::DeleteIke(_)
            | InFlight::DeleteChild(..)
            | InFlight::Mobike(_)
            | InFlight::Liveness { .. } => false,
        });
        let wants = |i: &Intent| matches!(i, Intent::CreateChild { policy: p, .. } if *p == policy);
        let waiting = self.queue.iter().chain(self.later.iter().map(|(_, i)| i)).any(wants);
        flying || waiting
    }

    /// True while the SA is half-open as responder.
    #[must_use]
    pub fn is_half_open(&self) -> bool {
        self.life == Lifecycle::Opening && self.core.role == Role::Responder
    }

    /// Repeats the IKE_SA_INIT response when the request is the same (RFC 7296 §2.1).
    pub(crate) fn repeat_init(&mut self, cx: &mut Cx<'_>, raw: &[u8]) {
        if self.life == Lifecycle::Opening && self.core.opening.message1 == raw {
            let (path, bytes) = (self.core.path, self.core.opening.message2.clone());
            self.transmit(cx, path, &[bytes]);
        }
    }
}
