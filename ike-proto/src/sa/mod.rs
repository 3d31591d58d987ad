//! One IKE SA as a machine: facts ([`SaCore`]), life, windows, queue and timers around them.
//! Datagrams come in by `inbound.rs`, time by `timers.rs`, wishes by `pump.rs`; `codec.rs` seals and opens.

pub mod codec;
mod inbound;
pub mod lifecycle;
mod paths;
mod pump;
pub mod queue;
mod timers;
pub mod window;

pub use inbound::Outcome;
pub use lifecycle::Lifecycle;
pub use queue::Intent;
pub use timers::Why;

use crate::error::Reason;
use crate::event::Event;
use crate::exchange::mobility::Mobility;
use crate::exchange::sa_init::{self, Refusal, SaInit};
use crate::exchange::{Agreed, Cx, InFlight, Inbound, Opening, Pending, SaCore, configure, informational};
use crate::ext::int_auth::IntAuth;
use crate::ids::{IkeSaId, Role};
use crate::keys::SkKeys;
use crate::registry::ExchangeType;
use crate::seal::Reassembly;
use crate::wire::order;
use alloc::sync::Arc;
use alloc::vec::Vec;
use queue::Queue;
use ravelin_sa_db::pad::Peer;
use ravelin_sa_db::{Instant, PacketKey, Path, PeerId, PolicyId};
use window::{Answered, ReceiveWindow, SendWindow};

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
    reassembly: [Option<Reassembly>; 2],
    pub(crate) queue: Queue,
    /// An attempt that is not done by then is given up.
    open_until: Instant,
    /// Last authenticated octets of the peer, on IKE or ESP.
    last_heard: Instant,
    last_sent: Instant,
    /// An unauthenticated error that came while opening.
    doubt: Option<Reason>,
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
            pending: Pending::default(),
            int_auth: IntAuth::default(),
            ppk_used: false,
            opening: Opening::default(),
            local_id: None,
            remote_id: None,
            children: Vec::new(),
            leases: Vec::new(),
            mobility: Mobility::default(),
            assigned: None,
            created: cx.now.mono,
            established: None,
        };
        let now = cx.now.mono;
        Self {
            core,
            life: Lifecycle::Opening,
            send: SendWindow::new(first_request),
            receive: ReceiveWindow::new(0),
            reassembly: [None, None],
            queue: Queue::default(),
            open_until: Instant::NEVER,
            last_heard: now,
            last_sent: now,
            doubt: None,
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

    /// Answers an IKE_SA_INIT request that passed the gate. `msg` has been checked by the rule table.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing is kept.
    pub fn respond(cx: &mut Cx<'_>, birth: Birth, msg: &Inbound<'_>) -> Result<Self, Refusal> {
        let (spi_i, spi_r) = (msg.header.initiator_spi.0, birth.spi);
        let mut sa = Self::new(cx, birth, Role::Responder, None, spi_i, spi_r);
        let mut draft = sa_init::respond(cx, &mut sa.core, msg)?;
        order::sort(ExchangeType::IKE_SA_INIT, true, &mut draft);
        sa.open_until = cx.now.mono + cx.config.half_open_lifetime;
        let header = codec::header(&sa.core, ExchangeType::IKE_SA_INIT, 0, true);
        if let Some(bytes) = codec::clear(&header, &draft) {
            sa.core.opening.message2.clone_from(&bytes);
            let answered =
                Answered { message_id: 0, fingerprint: codec::fingerprint(msg.raw), datagrams: alloc::vec![bytes] };
            let path = sa.core.path;
            sa.transmit(cx, path, &answered.datagrams);
            sa.receive.keep(answered);
        }
        Ok(sa)
    }

    /// Ends the SA now, without another message: Child SAs first, then the event.
    pub(crate) fn close(&mut self, cx: &mut Cx<'_>, reason: Reason) {
        if self.life == Lifecycle::Closed {
            return;
        }
        self.life = Lifecycle::Closed;
        for flying in self.send.clear() {
            match flying.inflight {
                InFlight::Auth(a) => a.give_back(cx),
                InFlight::CreateChild(c) => c.give_back(cx),
                InFlight::SaInit(_)
                | InFlight::Intermediate(_)
                | InFlight::DeleteIke(_)
                | InFlight::DeleteChild(..)
                | InFlight::Mobike(_)
                | InFlight::Liveness { .. } => {}
            }
        }
        informational::remove_children(cx, &mut self.core, &Reason::IkeSaGone);
        configure::release(cx, &mut self.core);
        cx.out.event(Event::Closed { sa: self.core.id, peer: self.core.peer, reason });
    }

    /// The data plane saw an authenticated packet of the peer (RFC 7296 §2.4).
    pub(crate) fn heard(&mut self, at: Instant) {
        self.last_heard = self.last_heard.max(at);
    }

    /// True when a Child SA for this policy is there, being made, or waiting to be made.
    #[must_use]
    pub(crate) fn is_making(&self, policy: PolicyId) -> bool {
        let flying = self.send.iter().any(|f| match &f.inflight {
            InFlight::SaInit(x) => x.first_policy() == Some(policy),
            InFlight::Intermediate(x) => x.first_policy() == Some(policy),
            InFlight::Auth(x) => x.policy() == Some(policy),
            InFlight::CreateChild(x) => x.policy() == policy,
            InFlight::DeleteIke(_) | InFlight::DeleteChild(..) | InFlight::Mobike(_) | InFlight::Liveness { .. } => {
                false
            }
        });
        let waiting = self.queue.iter().any(|i| matches!(i, Intent::CreateChild { policy: p, .. } if *p == policy));
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
