//! Every IKE SA of this host: datagrams and time come in, one ordered queue of outputs goes out (design §5).
//!
//! Network input never makes an error: it makes output, counters or silence. All work per call is bounded.
//! `index.rs` finds SAs, `gate.rs` decides which strangers are let in, `show.rs` tells what there is.

mod api;
#[cfg(feature = "fault-injection")]
mod fault;
mod gate;
mod index;
mod init;
mod retry;
mod roam;
pub mod shard;
pub mod show;
mod succession;

pub use gate::Gate;
pub use retry::LastEnd;
pub use show::{ChildSnapshot, SaSnapshot};

use crate::config::Config;
use crate::error::Reason;
use crate::event::Event;
use crate::exchange::{Common, Cx, Effect};
use crate::ids::IkeSaId;
use crate::output::{Outbox, Output};
use crate::registry::{ExchangeType, NotifyType, ProtocolId};
use crate::sa::{IkeSa, Lifecycle, Outcome, Why, codec};
use crate::wire::message::encode_clear;
use crate::wire::payload::{Notify, Payload};
use crate::wire::{Envelope, Flags, HEADER_LEN, Header, WireError, rules};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use index::Index;
use ravelin_crypto::{CryptoRng, Provider};
use ravelin_sa_db::{Db, Instant, Now, Path, PeerId};
use retry::Retries;

/// When to call [`Endpoint::handle_timeout`] next, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadline {
    /// The moment; not later than this.
    pub at: Instant,
    /// The reason.
    pub why: Why,
}

/// What came in, by what became of it. Only ever grows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Datagrams that are no IKEv2 message.
    pub malformed: u64,
    /// Messages of another major version.
    pub wrong_version: u64,
    /// Messages for an IKE SA that is not here.
    pub unknown_spi: u64,
    /// Messages outside a window or not allowed now.
    pub unexpected: u64,
    /// Messages that did not open.
    pub not_authentic: u64,
    /// Unprotected notifies about an IKE SA, which anybody can send: at most a reason to ask whether the peer lives.
    pub hints: u64,
    /// Messages that were taken.
    pub handled: u64,
    /// Answers that were repeated.
    pub repeated: u64,
    /// IKE_SA_INIT requests answered with a cookie.
    pub cookies_demanded: u64,
    /// IKE_SA_INIT requests with a wrong cookie.
    pub cookies_wrong: u64,
    /// IKE_SA_INIT requests answered with a puzzle (RFC 8019).
    pub puzzles_set: u64,
    /// IKE_SA_INIT requests dropped by a limit.
    pub over_limit: u64,
    /// IKE_SA_INIT requests refused.
    pub refused: u64,
}

/// All IKE SAs of this host, or of this shard of it.
pub struct Endpoint {
    config: Arc<Config>,
    crypto: Arc<Provider>,
    rng: Box<dyn CryptoRng + Send>,
    index: Index,
    gate: Gate,
    out: Outbox,
    next_sa: u64,
    next_child: u64,
    common: Common,
    counters: Counters,
    /// This host's addresses, the best first.
    addresses: Vec<IpAddr>,
    retries: Retries,
    announced: Vec<u8>,
    #[cfg(feature = "x509")]
    known: crate::auth::x509::Known,
    /// No new SAs any more.
    closing: bool,
}

impl Endpoint {
    /// An endpoint without SAs. `rng` must be a cryptographic generator with a secret seed (in tests: a known one).
    #[must_use]
    pub fn new(config: Arc<Config>, crypto: Arc<Provider>, rng: Box<dyn CryptoRng + Send>) -> Self {
        Self {
            announced: crate::exchange::auth::announced(&crypto),
            #[cfg(feature = "x509")]
            known: crate::auth::x509::Known::default(),
            config,
            crypto,
            rng,
            index: Index::default(),
            gate: Gate::default(),
            out: Outbox::default(),
            next_sa: 1,
            next_child: 1,
            common: Common::default(),
            counters: Counters::default(),
            addresses: Vec::new(),
            retries: Retries::default(),
            closing: false,
        }
    }

    /// What the endpoint was told.
    #[must_use]
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Takes an IKE message (without non-ESP marker) that came on `path`. It may be decrypted in place.
    pub fn handle_datagram(&mut self, now: Now, db: &Db, path: Path, bytes: &mut [u8]) {
        #[cfg(feature = "fault-injection")]
        self.out.faults.tick(now.mono);
        let envelope = match Envelope::parse(bytes) {
            Ok(envelope) => envelope,
            Err(error) => return self.malformed(now, path, bytes, error),
        };
        let header = envelope.header;
        if header.exchange.is_unprotected() {
            self.handle_init(now, db, path, envelope, bytes);
            return;
        }
        let local = if header.flags.initiator() { header.responder_spi } else { header.initiator_spi };
        let known = self.index.by_spi(local.0);
        let unfolded = known.is_some_and(|id| self.unfold(now, db, id));
        let Some(id) = known.filter(|id| self.fits(*id, &header)) else {
            self.stray(now, path, &header);
            return;
        };
        let sealed = envelope.protected.is_some();
        if rules::check_clear(header.exchange, header.is_response(), sealed, &envelope.clear).is_err() {
            self.counters.malformed = self.counters.malformed.saturating_add(1);
            return;
        }
        if !sealed {
            self.counters.hints = self.counters.hints.saturating_add(1);
            self.with(now, db, id, |sa, cx| sa.hint(cx));
            return;
        }
        let outcome = self.with(now, db, id, |sa, cx| sa.handle_protected(cx, path, &envelope, bytes));
        if unfolded && outcome != Some(Outcome::Handled) {
            self.index.fold(id, &self.config);
        }
        self.count(outcome);
    }

    fn count(&mut self, outcome: Option<Outcome>) {
        let counter = match outcome {
            Some(Outcome::Handled | Outcome::Kept) => &mut self.counters.handled,
            Some(Outcome::Repeated) => &mut self.counters.repeated,
            Some(Outcome::NotAuthentic) => &mut self.counters.not_authentic,
            Some(Outcome::Unexpected) | None => &mut self.counters.unexpected,
        };
        *counter = counter.saturating_add(1);
    }

    /// Both SPIs and the initiator flag must be those of the SA.
    fn fits(&self, id: IkeSaId, header: &Header) -> bool {
        self.index.get(id).is_some_and(|sa| {
            let core = &sa.core;
            let from_initiator = core.role == crate::ids::Role::Responder;
            header.flags.initiator() == from_initiator
                && header.initiator_spi.0 == core.spi_i
                && header.responder_spi.0 == core.spi_r
        })
    }

    /// A datagram that is no message of version 2. A higher version is told so (RFC 7296 §2.5), the rest is dropped.
    fn malformed(&mut self, now: Now, path: Path, bytes: &[u8], _error: WireError) {
        let header =
            Header::parse(bytes).ok().filter(|h| h.major() > 2 && !h.is_response() && bytes.len() >= ANSWER_OUTSIDE);
        let Some(header) = header else {
            self.counters.malformed = self.counters.malformed.saturating_add(1);
            return;
        };
        self.counters.wrong_version = self.counters.wrong_version.saturating_add(1);
        self.answer_outside(now, path, &header, NotifyType::INVALID_MAJOR_VERSION);
    }

    /// A protected message for an SA that is not here (RFC 7296 §2.21.4). Requests only, rate limited.
    fn stray(&mut self, now: Now, path: Path, header: &Header) {
        self.counters.unknown_spi = self.counters.unknown_spi.saturating_add(1);
        let room = usize::try_from(header.length).is_ok_and(|len| len >= ANSWER_OUTSIDE);
        if room && !header.is_response() && !header.responder_spi.is_zero() {
            self.answer_outside(now, path, header, NotifyType::INVALID_IKE_SPI);
        }
    }

    fn answer_outside(&mut self, now: Now, path: Path, header: &Header, kind: NotifyType) {
        if !self.gate.may_answer_stray(now.mono, self.config.stray_answers_per_second) {
            return;
        }
        let flags = Flags::new(!header.flags.initiator(), true);
        let exchange = if header.exchange.name().is_some() { header.exchange } else { ExchangeType::INFORMATIONAL };
        let answer = Header::new(header.initiator_spi, header.responder_spi, exchange, flags, header.message_id);
        let notify = Payload::Notify(Notify { protocol: ProtocolId::NONE, spi: Vec::new(), kind, data: Vec::new() });
        if let Ok(bytes) = encode_clear(&answer, &[notify]) {
            self.out.transmit(path, codec::with_marker(&self.config, path, &bytes));
        }
    }

    /// Does everything whose time has come. At most `MAX_TIMERS` SAs are served per call; the deadline then says "now".
    pub fn handle_timeout(&mut self, now: Now, db: &Db) {
        #[cfg(feature = "fault-injection")]
        self.send_delayed(now.mono);
        for _ in 0..MAX_TIMERS {
            let Some(id) = self.index.due(now.mono) else { break };
            if let Some(folded) = self.index.take_folded(id, &self.config) {
                self.gate.left(Some(folded.path.remote.ip()));
                self.out.event(Event::Closed { sa: id, peer: None, reason: Reason::HalfOpenExpired });
                continue;
            }
            self.with(now, db, id, |sa, cx| sa.handle_timeout(cx));
        }
        self.try_again(now, db);
    }

    /// Takes the oldest output; `None` when there is nothing to do until [`Endpoint::deadline`].
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop()
    }

    /// When to call [`Endpoint::handle_timeout`]; "at once" while output waits.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        if !self.out.is_empty() {
            return Some(Deadline { at: Instant(0), why: Why::Output });
        }
        let retry = self.retries.next_at().map(|at| (at, Why::Retry));
        let next = [self.index.next_deadline(), retry].into_iter().flatten().min();
        let own = next.map(|(at, why)| Deadline { at, why });
        #[cfg(feature = "fault-injection")]
        let own = self.with_delayed(own);
        own
    }

    /// What came in so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Unfolds an SA that is folded up; false when it is not.
    fn unfold(&mut self, now: Now, db: &Db, id: IkeSaId) -> bool {
        let Some(folded) = self.index.take_folded(id, &self.config) else { return false };
        match self.newborn(now, db, |cx| IkeSa::unfold(cx, &folded)) {
            Some(sa) => self.index.insert(Box::new(sa), &self.config),
            None => self.gate.left(Some(folded.path.remote.ip())),
        }
        true
    }

    /// Lends the world to one SA and tidies up afterwards: deadlines, indexes, effects.
    fn with<R>(&mut self, now: Now, db: &Db, id: IkeSaId, f: impl FnOnce(&mut IkeSa, &mut Cx<'_>) -> R) -> Option<R> {
        let mut effects = Vec::new();
        let (peers, spis, sa) = self.index.lend(id)?;
        let mut cx = Cx {
            now,
            config: &self.config,
            db,
            crypto: &self.crypto,
            rng: self.rng.as_mut(),
            out: &mut self.out,
            common: &mut self.common,
            next_child: &mut self.next_child,
            next_sa: &mut self.next_sa,
            ike_spis: spis,
            effects: &mut effects,
            addresses: &self.addresses,
            announced: &self.announced,
            #[cfg(feature = "x509")]
            known: &self.known,
            peers_up: peers,
        };
        let result = f(sa, &mut cx);
        self.settle(now, db, id, effects);
        Some(result)
    }

    /// Lends the world to an IKE SA that is being made. What it leaves for others is about SAs that are not there yet.
    fn newborn<R>(&mut self, now: Now, db: &Db, f: impl FnOnce(&mut Cx<'_>) -> R) -> R {
        let mut effects = Vec::new();
        f(&mut Cx {
            now,
            config: &self.config,
            db,
            crypto: &self.crypto,
            rng: self.rng.as_mut(),
            out: &mut self.out,
            common: &mut self.common,
            next_child: &mut self.next_child,
            next_sa: &mut self.next_sa,
            ike_spis: self.index.spis(),
            effects: &mut effects,
            addresses: &self.addresses,
            announced: &self.announced,
            #[cfg(feature = "x509")]
            known: &self.known,
            peers_up: self.index.peers(),
        })
    }

    /// After an SA was touched: its deadline, its place in the indexes, and what concerns others.
    fn settle(&mut self, now: Now, db: &Db, id: IkeSaId, effects: Vec<Effect>) {
        let half_open_from = self.index.half_open_from(id);
        self.index.refresh(id, &self.config);
        if half_open_from.is_some() && self.index.half_open_from(id).is_none() {
            self.gate.left(half_open_from);
        }
        for effect in effects {
            match effect {
                Effect::ChildUp(child) => self.index.child_up(child, id),
                Effect::ChildDown(child) => self.index.child_down(child),
                Effect::PeerClosed(policy) => self.closed_by_peer(now, db, id, policy),
                Effect::Down(down) => self.went_down(now, db, *down),
                Effect::Established { initial_contact } => self.established(now, db, id, initial_contact),
                other => self.succession(now, db, id, other),
            }
        }
        self.reauthenticated(now, db, id);
        if self.index.get(id).is_some_and(|sa| sa.life == Lifecycle::Closed) {
            let Some(gone) = self.index.forget(id) else { return };
            self.after(now, db, *gone);
        }
    }

    /// A new IKE SA is proved: older ones of the same identities may have to go (RFC 7296 §2.4).
    fn established(&mut self, now: Now, db: &Db, id: IkeSaId, initial_contact: bool) {
        use ravelin_sa_db::pad::Uniqueness;
        let Some(peer) = self.index.get(id).and_then(|sa| sa.core.peer) else { return };
        self.index.peer_up(peer, id);
        self.retries.up(peer);
        let Some(uniqueness) = self.index.get(id).map(|sa| sa.core.profile.uniqueness) else { return };
        // Not those that are on their way out already.
        let up = |o: &IkeSaId| self.index.get(*o).is_some_and(|sa| sa.life == Lifecycle::Established);
        let others: Vec<IkeSaId> = match uniqueness {
            Uniqueness::Never => Vec::new(),
            Uniqueness::InitialContact if !initial_contact => Vec::new(),
            _ => self.index.same_identity(id).filter(up).collect(),
        };
        match uniqueness {
            Uniqueness::Never => {}
            // The peer forgot them: nobody is left to hear a Delete.
            Uniqueness::InitialContact | Uniqueness::Replace | Uniqueness::Keep if initial_contact => {
                for o in others {
                    self.with(now, db, o, |sa, cx| sa.close(cx, Reason::Unique));
                }
            }
            Uniqueness::InitialContact => {}
            Uniqueness::Replace => {
                for o in others {
                    self.with(now, db, o, |sa, cx| sa.shut(cx, Reason::Unique));
                }
            }
            Uniqueness::Keep if others.is_empty() => {}
            Uniqueness::Keep => {
                self.with(now, db, id, |sa, cx| sa.shut(cx, Reason::Unique));
            }
        }
    }

    /// The established IKE SA with this peer that was made last.
    fn newest_of(&self, peer: PeerId) -> Option<IkeSaId> {
        self.index
            .of_peer(peer)
            .rev()
            .find(|id| self.index.get(*id).is_some_and(|sa| sa.life == Lifecycle::Established))
    }
}

/// Octets of an answer outside an SA: to nothing smaller, since the source may be a lie.
const ANSWER_OUTSIDE: usize = HEADER_LEN + 8;
/// SAs served by one call of [`Endpoint::handle_timeout`].
const MAX_TIMERS: usize = 1024;

impl core::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Endpoint({} IKE SAs, {} outputs waiting)", self.index.len(), self.out.len())
    }
}
