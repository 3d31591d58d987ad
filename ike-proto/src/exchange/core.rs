//! The facts of one IKE SA that exchanges read and write: SPIs, keys, what both sides agreed on, its Child SAs.
//! The machinery around it (windows, timers, queue) is in `sa/`. Each feature keeps what it agreed in one field of
//! [`Agreed`].

use super::IkeSuite;
use super::auth::Round;
use super::auth::eap::EapServer;
use super::followup_ke::Unfinished;
use super::mobility::Mobility;
use super::ppk::Ppk;
use super::rare::{Blank, Rare};
use crate::ask::{Answers, Granted};
use crate::config::Config;
use crate::event::Assigned;
use crate::ext::int_auth::IntAuth;
use crate::ext::natd::NatState;
use crate::ext::ppk::PpkUse;
use crate::ids::{IkeSaId, Role};
use crate::keys::SkKeys;
use crate::registry::{ExchangeType, PayloadType};
use crate::seal::DirectionKeys;
use crate::wire::Header;
use crate::wire::notify::Announcement;
use crate::wire::payload::PuzzleSolution;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ravelin_crypto::{AuthHashId, KeId, Secret};
use ravelin_sa_db::pad::{Identity, NatTraversal, Peer};
use ravelin_sa_db::proposal::Proposal;
use ravelin_sa_db::{
    ChildId, Encapsulation, Instant, Lease, Mode, Path, PeerId, PolicyId, Protocol, Spi, TrafficSelector,
};

/// What both sides agreed on, one field per feature.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Agreed {
    /// RFC 7296 §2.23.
    pub nat: NatState,
    /// RFC 7383: both sent IKE_FRAGMENTATION_SUPPORTED.
    pub fragmentation: bool,
    /// What the peer said that matters until it is proved.
    pub said: Rare<Said>,
    /// RFC 4555: both sent MOBIKE_SUPPORTED.
    pub mobike: bool,
    /// RFC 6023: the responder sent CHILDLESS_IKEV2_SUPPORTED.
    pub childless: bool,
    /// RFC 9242: both sent INTERMEDIATE_EXCHANGE_SUPPORTED.
    pub intermediate: bool,
    /// RFC 8784 or RFC 9867.
    pub ppk: PpkUse,
    /// RFC 4806: the peer asked for an OCSP response about our certificate.
    pub ocsp: bool,
    /// As initiator, RFC 4739: the responder sent MULTIPLE_AUTH_SUPPORTED.
    pub multiple_auth: bool,
    /// Downgrade prevention: both sent IKE_SA_INIT_FULL_TRANSCRIPT_AUTH.
    pub transcript: bool,
}

/// What the peer said of signatures and certificates that it takes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Said {
    /// RFC 7427: hash algorithms; empty when it does not speak method 14.
    pub signature_hashes: Vec<AuthHashId>,
    /// RFC 7296 §3.7: SHA-1 hashes of the keys of CAs that it trusts.
    pub authorities: Vec<[u8; 20]>,
    /// RFC 9593: what it can verify; empty when it has not said.
    pub auth_methods: Vec<Announcement>,
}

impl Blank for Said {
    fn blank() -> &'static Self {
        static BLANK: Said = Said { signature_hashes: Vec::new(), authorities: Vec::new(), auth_methods: Vec::new() };
        &BLANK
    }
}

impl Blank for Answers {
    fn blank() -> &'static Self {
        static BLANK: Answers = Answers::NONE;
        &BLANK
    }
}

/// What is still to be done by IKE_INTERMEDIATE before IKE_AUTH may come.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Pending {
    /// Additional key exchanges, in order (RFC 9370).
    pub ke: Vec<KeId>,
    /// Our PPK_ID is to be sent, or the peer's is awaited (RFC 9867).
    pub ppk: bool,
}

impl Pending {
    /// True when IKE_AUTH may come.
    #[must_use]
    pub fn is_done(&self, ppk_required: bool) -> bool {
        self.ke.is_empty() && !(self.ppk && ppk_required)
    }
}

/// Nonces and IKE_SA_INIT messages, kept until AUTH is made and checked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Opening {
    /// Initiator's nonce.
    pub ni: Vec<u8>,
    /// Responder's nonce.
    pub nr: Vec<u8>,
    /// IKE_SA_INIT request as it went over the wire.
    pub message1: Vec<u8>,
    /// IKE_SA_INIT response as it went over the wire.
    pub message2: Vec<u8>,
    /// Proposals that the peer offered (responder only), to check against the PAD entry that it turns out to be.
    pub offered: Vec<Proposal>,
    /// SKEYSEED (responder only), from which a half-open SA that was folded up gets its keys back.
    pub seed: Option<Secret>,
    /// As initiator: the solution of a puzzle that came with the answer, for the first IKE_AUTH request, and that
    /// request's message id once it was sent (RFC 8019 §7.2).
    pub solution: Option<(PuzzleSolution, Option<u32>)>,
}

/// Where a Child SA stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChildState {
    /// Carries traffic.
    Installed,
    /// A rekeyed successor is up; its Delete is due or on the wire.
    Replaced,
    /// Our Delete is on the wire.
    Deleting,
}

/// A Child SA pair, as IKE sees it.
#[derive(Clone, PartialEq, Debug)]
pub struct Child {
    /// Local name.
    pub id: ChildId,
    /// The policy it serves.
    pub policy: PolicyId,
    /// ESP or AH.
    pub protocol: Protocol,
    /// Ours; the peer sends to it.
    pub spi_in: Spi,
    /// The peer's; we send to it.
    pub spi_out: Spi,
    /// The chosen proposal in words.
    pub suite: Arc<str>,
    /// Tunnel, transport, BEET.
    pub mode: Mode,
    /// How it is carried now.
    pub encapsulation: Encapsulation,
    /// Our side.
    pub local_ts: Arc<[TrafficSelector]>,
    /// The peer's side.
    pub remote_ts: Arc<[TrafficSelector]>,
    /// State.
    pub state: ChildState,
    /// The data plane has its outbound half.
    pub sends: bool,
    /// When it was installed.
    pub since: Instant,
    /// When to rekey it; `NEVER` once that has begun.
    pub rekey_at: Instant,
    /// When to give it up; for a replaced one: when to stop waiting for the peer's Delete.
    pub expire_at: Instant,
    /// The pair that takes its place.
    pub successor: Option<Successor>,
    /// In transport mode: the path has other addresses now, and it ends.
    pub stranded: bool,
}

/// What takes the place of a Child SA (RFC 7296 §1.3.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Successor {
    /// The pair.
    pub child: ChildId,
    /// We send on it. As responder not before the initiator does, or deletes the old one (§2.8).
    pub switched: bool,
}

/// When an IKE SA is to be renewed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// Rekey (RFC 7296 §2.8).
    pub rekey_at: Instant,
    /// Authenticate anew (RFC 7296 §2.8.3).
    pub reauth_at: Instant,
    /// Not renewed by then: it ends.
    pub over_at: Instant,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { rekey_at: Instant::NEVER, reauth_at: Instant::NEVER, over_at: Instant::NEVER }
    }
}

/// Facts of one IKE SA.
#[derive(Debug)]
pub struct SaCore {
    /// Local name.
    pub id: IkeSaId,
    /// Our role in the IKE SA (not in an exchange).
    pub role: Role,
    /// Our role in the IKE_SA_INIT that all began with, however often the IKE SA was rekeyed by whom (RFC 4555 §1.1).
    pub first_role: Role,
    /// The PAD entry; as responder known only from IKE_AUTH on.
    pub peer: Option<PeerId>,
    /// The PAD entry itself; as responder a candidate by address until IKE_AUTH.
    pub profile: Arc<Peer>,
    /// Original initiator's SPI.
    pub spi_i: u64,
    /// Original responder's SPI; 0 until it answered.
    pub spi_r: u64,
    /// Where the peer is.
    pub path: Path,
    /// Algorithms; none before IKE_SA_INIT is done.
    pub suite: Option<Arc<IkeSuite>>,
    /// Keys; empty before IKE_SA_INIT is done.
    pub keys: SkKeys,
    /// Keys that come into force once the answer is sealed with the old ones (IKE_INTERMEDIATE).
    pub next_keys: Option<Box<SkKeys>>,
    /// Messages sealed so far: the IV of counter-mode ciphers.
    pub sealed: u64,
    /// What both sides agreed on.
    pub agreed: Agreed,
    /// What IKE_INTERMEDIATE still has to do.
    pub pending: Rare<Pending>,
    /// Transcript of IKE_INTERMEDIATE.
    pub int_auth: Rare<IntAuth>,
    /// A post-quantum PSK is in the keys.
    pub ppk_used: bool,
    /// Kept until authentication is done.
    pub opening: Rare<Opening>,
    /// Answers that the exchange under way has been given.
    pub answers: Rare<Answers>,
    /// What an EAP server granted; inherited by rekeyed SAs.
    pub granted: Option<Box<Granted>>,
    /// As responder: the first authentication of two is done (RFC 4739).
    pub round: Option<Box<Round>>,
    /// As responder: EAP under way.
    pub eap: Option<Box<EapServer>>,
    /// Who the peer proved to be.
    pub remote_id: Option<Identity>,
    /// The Child SAs.
    pub children: Vec<Child>,
    /// Inner addresses that the peer holds. A rekeyed IKE SA takes them over with the Child SAs.
    pub leases: Rare<Vec<Lease>>,
    /// What the peer told us in its CFG_REPLY; inherited likewise.
    pub assigned: Option<Arc<Assigned>>,
    /// Addresses of both sides beyond the path (RFC 4555); inherited likewise.
    pub mobility: Rare<Mobility>,
    /// Size of IP packets with fragments, once the configured one did not get through; 0: as configured.
    pub fragment_size: u16,
    /// When the attempt began.
    pub created: Instant,
    /// When authentication was done; of a rekeyed SA: when it took over.
    pub established: Option<Instant>,
    /// When the peer was authenticated, `NEVER` before; a rekeyed SA keeps it.
    pub authenticated: Instant,
    /// When to renew it.
    pub schedule: Schedule,
    /// The IKE SA that took its place, or will.
    pub heir: Option<IkeSaId>,
    /// The peer's SPIs that it deleted before we knew them; kept while we wait for a CREATE_CHILD_SA response.
    pub early_deletes: Rare<Vec<Spi>>,
    /// As responder of CREATE_CHILD_SA: SAs that wait for the peer's IKE_FOLLOWUP_KE.
    pub unfinished: Rare<Vec<Unfinished>>,
    /// A PPK that a key-distribution system gave us and that no exchange has taken yet.
    pub fresh_ppk: Option<Box<Ppk>>,
    /// It had none for the exchange that comes next.
    pub without_ppk: bool,
}

impl Blank for Opening {
    fn blank() -> &'static Self {
        static BLANK: Opening = Opening {
            ni: Vec::new(),
            nr: Vec::new(),
            message1: Vec::new(),
            message2: Vec::new(),
            offered: Vec::new(),
            seed: None,
            solution: None,
        };
        &BLANK
    }
}

impl Blank for Pending {
    fn blank() -> &'static Self {
        static BLANK: Pending = Pending { ke: Vec::new(), ppk: false };
        &BLANK
    }
}

impl Blank for IntAuth {
    fn blank() -> &'static Self {
        static BLANK: IntAuth = IntAuth::NONE;
        &BLANK
    }
}

impl SaCore {
    /// Authentication is done: everything that only AUTH needed goes.
    pub fn forget_opening(&mut self) {
        self.opening.clear();
        self.int_auth.clear();
        self.pending.tidy();
        self.mobility.tidy();
        self.keys.forget_auth();
        self.agreed.said.clear();
        self.answers.clear();
    }

    /// Who we say that we are; as responder none before the initiator is proved.
    #[must_use]
    pub fn local_id(&self) -> Option<&Identity> {
        let known = self.role == Role::Initiator || self.established.is_some();
        known.then_some(&self.profile.local_id)
    }

    /// Our SPI.
    #[must_use]
    pub fn spi_local(&self) -> u64 {
        match self.role {
            Role::Initiator => self.spi_i,
            Role::Responder => self.spi_r,
        }
    }

    /// The peer's SPI.
    #[must_use]
    pub fn spi_remote(&self) -> u64 {
        match self.role {
            Role::Initiator => self.spi_r,
            Role::Responder => self.spi_i,
        }
    }

    /// Keys of what `role` sends.
    fn keys_of(&self, role: Role) -> DirectionKeys<'_> {
        match role {
            Role::Initiator => DirectionKeys { encr: self.keys.ei(), integ: self.keys.ai() },
            Role::Responder => DirectionKeys { encr: self.keys.er(), integ: self.keys.ar() },
        }
    }

    /// Keys for sealing.
    #[must_use]
    pub fn keys_out(&self) -> DirectionKeys<'_> {
        self.keys_of(self.role)
    }

    /// Keys for opening.
    #[must_use]
    pub fn keys_in(&self) -> DirectionKeys<'_> {
        self.keys_of(match self.role {
            Role::Initiator => Role::Responder,
            Role::Responder => Role::Initiator,
        })
    }

    /// Adds an IKE_INTERMEDIATE message of either side to the transcript (RFC 9242 §3.3.2).
    pub fn transcribe(&mut self, header: &Header, first: PayloadType, plain: &[u8]) {
        if header.exchange != ExchangeType::IKE_INTERMEDIATE {
            return;
        }
        let Some(suite) = &self.suite else { return };
        let (role, sk_p) = match header.flags.initiator() {
            true => (Role::Initiator, self.keys.pi()),
            false => (Role::Responder, self.keys.pr()),
        };
        self.int_auth.add(suite.prf, sk_p, role, header, first, plain);
    }

    /// Takes over inner addresses that the peer holds.
    pub fn take_leases(&mut self, mut leases: Rare<Vec<Lease>>) {
        if self.leases.is_empty() {
            self.leases = leases;
        } else {
            self.leases.append(&mut leases);
        }
    }

    /// The Child SA with this local name.
    #[must_use]
    pub fn child(&self, id: ChildId) -> Option<&Child> {
        self.children.iter().find(|c| c.id == id)
    }

    /// The same, writable.
    pub fn child_mut(&mut self, id: ChildId) -> Option<&mut Child> {
        self.children.iter_mut().find(|c| c.id == id)
    }

    /// Authentication is done: when to renew the SA (RFC 7296 §2.8).
    pub fn start_schedule(&mut self, cx: &mut super::Cx<'_>) {
        let times = self.profile.times;
        self.authenticated = cx.now.mono;
        let reauth_at = match self.first_role {
            // The initiator of the SA authenticates anew; the responder tells it when (RFC 4478) and waits.
            Role::Initiator => cx.due(times.reauth, times.jitter),
            Role::Responder => Instant::NEVER,
        };
        self.schedule = Schedule {
            rekey_at: cx.due(times.rekey, times.jitter),
            reauth_at,
            over_at: self.over_after_rekey(cx.now.mono),
        };
    }

    /// When an SA that takes over at `now` ends if nobody renews it.
    #[must_use]
    pub fn over_after_rekey(&self, now: Instant) -> Instant {
        let times = self.profile.times;
        let end = |from: Instant, after: ::core::time::Duration| {
            if after.is_zero() || times.over.is_zero() { Instant::NEVER } else { from + after + times.over }
        };
        let authenticated = self.authenticated.min(now);
        let granted = self.granted.as_ref().and_then(|g| g.lifetime).map_or(Instant::NEVER, |l| authenticated + l);
        end(now, times.rekey).min(end(authenticated, times.reauth)).min(granted)
    }

    /// Remembers an SPI of the peer's that it deleted and that we do not know (yet).
    pub fn note_early_delete(&mut self, spi: Spi) {
        if self.early_deletes.len() < 16 && !self.early_deletes.contains(&spi) {
            self.early_deletes.push(spi);
        }
    }

    /// How Child SAs are carried now: in UDP when a NAT is there or the PAD entry forces it (RFC 7296 §2.23).
    #[must_use]
    pub fn encapsulation(&self) -> Encapsulation {
        match self.profile.nat_traversal {
            NatTraversal::Force => Encapsulation::Udp,
            NatTraversal::Auto if self.agreed.nat.any() => Encapsulation::Udp,
            NatTraversal::Auto | NatTraversal::Never | NatTraversal::Forbid => Encapsulation::None,
        }
    }

    /// True when our NAT detection hashes are made to fail.
    #[must_use]
    pub fn forces_encapsulation(&self) -> bool {
        self.profile.nat_traversal == NatTraversal::Force
    }

    /// The outer path of Child SAs.
    #[must_use]
    pub fn child_path(&self) -> Path {
        let path = self.mobility.esp_path.unwrap_or(self.path);
        match self.encapsulation() {
            Encapsulation::None => path.with_ports(0, 0),
            Encapsulation::Udp | Encapsulation::Tcp => path,
        }
    }

    /// Moves to the NAT traversal ports (RFC 7296 §2.23).
    pub fn float(&mut self, config: &Config) {
        self.path = self.path.with_ports(config.ports.nat_t, config.ports.remote_nat_t);
    }
}
