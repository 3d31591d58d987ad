//! The exchanges of IKEv2, one room each. An exchange reads and writes the facts of its IKE SA ([`SaCore`]), borrows
//! the world as a [`Cx`], and says what comes next as a [`Step`] or [`Reply`]. Windows, timers and encryption are in
//! `sa/`. To add an exchange: one file here, one variant of [`InFlight`]; the compiler then names every place.

pub mod auth;
pub mod auth_lifetime;
pub mod child;
pub mod child_create;
pub mod child_rekey;
mod common;
pub mod configure;
pub mod core;
pub mod create_ppk;
pub mod down;
pub mod followup_ke;
pub mod ike_rekey;
pub mod informational;
pub mod intermediate;
pub mod mobility;
pub mod nat_transport;
mod pairs;
pub mod ppk;
pub mod rare;
pub mod sa_init;
pub mod suite;

pub use self::core::{Agreed, Child, ChildState, Opening, Pending, SaCore, Said, Schedule, Successor};
pub use common::Common;
pub use suite::IkeSuite;

use self::rare::Rare;

use crate::ask::Ask;
use crate::config::Config;
use crate::error::Reason;
use crate::ids::IkeSaId;
use crate::output::Outbox;
use crate::registry::{ExchangeType, NotifyType};
use crate::wire::payload::{Notify, Payload};
use crate::wire::{Header, IkeSpi, Payloads};
use ::core::net::IpAddr;
use ::core::time::Duration;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use ravelin_crypto::{CryptoRng, Provider};
use ravelin_sa_db::pool::Lease;
use ravelin_sa_db::sad::Shard;
use ravelin_sa_db::{ChildId, Db, Instant, Now, PacketKey, Path, PeerId, PolicyId, Protocol, Spi};

/// The world, lent to whatever runs.
pub struct Cx<'a> {
    /// The time of this call.
    pub now: Now,
    /// What the endpoint was told.
    pub config: &'a Config,
    /// PAD, SPD and SPI space.
    pub db: &'a Db,
    /// The algorithms.
    pub crypto: &'a Provider,
    /// The endpoint's generator.
    pub rng: &'a mut (dyn CryptoRng + Send),
    /// Where outputs go.
    pub out: &'a mut Outbox,
    /// What many SAs have in common.
    pub common: &'a mut Common,
    /// Next local name of a Child SA.
    pub next_child: &'a mut u64,
    /// Next local name of an IKE SA.
    pub next_sa: &'a mut u64,
    /// Our IKE SPIs in use.
    pub ike_spis: &'a BTreeMap<u64, IkeSaId>,
    /// What the endpoint must do after this call.
    pub effects: &'a mut Vec<Effect>,
    /// This host's addresses, the best first; empty when nobody said (RFC 4555 §3.2).
    pub addresses: &'a [IpAddr],
    /// What we say of the signatures that we verify ([`auth::announced`]).
    pub announced: &'a [u8],
    /// What was found out about certificates before.
    #[cfg(feature = "x509")]
    pub known: &'a crate::auth::x509::Known,
    /// Established IKE SAs per peer.
    pub peers_up: &'a BTreeMap<PeerId, BTreeSet<IkeSaId>>,
}

impl Cx<'_> {
    /// `len` random octets.
    pub fn random(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = alloc::vec![0; len];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// True when no IKE SA with this peer is established: INITIAL_CONTACT is true then (RFC 7296 §2.4).
    #[must_use]
    pub fn initial_contact(&self, peer: PeerId) -> bool {
        !self.peers_up.contains_key(&peer)
    }

    /// `after` from now, less a random part of at most `jitter`; never when `after` is zero.
    pub fn due(&mut self, after: Duration, jitter: Duration) -> Instant {
        if after.is_zero() {
            return Instant::NEVER;
        }
        let cut = jitter.min(after) / 1024 * self.rng.next_u32().checked_rem(1025).unwrap_or(0);
        self.now.mono + after.saturating_sub(cut)
    }

    /// A fresh IKE SPI of ours, never 0 and never in use.
    pub fn ike_spi(&mut self) -> u64 {
        loop {
            let spi = ike_spi(self.config.shard, self.rng.next_u64());
            if spi != 0 && !self.ike_spis.contains_key(&spi) {
                return spi;
            }
        }
    }

    /// A fresh local name for an IKE SA.
    pub fn sa_id(&mut self) -> IkeSaId {
        let id = *self.next_sa;
        *self.next_sa = id.saturating_add(1);
        IkeSaId(id)
    }

    /// A fresh local name for a Child SA.
    pub fn child_id(&mut self) -> ChildId {
        let id = *self.next_child;
        *self.next_child = id.saturating_add(1);
        ChildId(id)
    }
}

/// Something that concerns more than one IKE SA, left for the endpoint.
#[derive(Debug)]
pub enum Effect {
    /// A Child SA was installed.
    ChildUp(ChildId),
    /// A Child SA is gone.
    ChildDown(ChildId),
    /// The peer deleted the only Child SA of this policy, which was not being replaced.
    PeerClosed(PolicyId),
    /// This SA is gone.
    Down(Box<down::Down>),
    /// This SA became established; the peer said INITIAL_CONTACT (RFC 7296 §2.4).
    Established {
        /// The peer knows of no other SA with us.
        initial_contact: bool,
    },
    /// A rekeying made a new IKE SA (RFC 7296 §1.3.2).
    Born(Box<SaCore>, Fate),
    /// Child SAs, and all that waits, go over to this IKE SA.
    Inherit {
        /// Who takes over.
        heir: IkeSaId,
        /// The Child SAs.
        children: Vec<Child>,
        /// The inner addresses that the peer holds.
        leases: Rare<Vec<Lease>>,
    },
    /// An IKE SA of the peer's making lost against ours; it deletes it, and only then do we delete the old one.
    Outlast {
        /// The redundant one.
        redundant: IkeSaId,
    },
    /// The peer uses the IKE SA that it made, so it is the one that survives.
    Claim {
        /// The one it takes the place of.
        old: IkeSaId,
    },
    /// An IKE SA is to be deleted.
    Shut(IkeSaId, Reason),
    /// The peer deleted a Child SA by the old IKE SA that lives in the new one already.
    PeerDeleted {
        /// The new IKE SA.
        heir: IkeSaId,
        /// AH or ESP.
        protocol: Protocol,
        /// The peer's inbound SPI.
        spi: Spi,
    },
    /// It is time to authenticate anew (RFC 7296 §2.8.3).
    Reauth,
}

/// What is to become of a new IKE SA.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It takes over.
    Heir,
    /// It waits for the outcome of our own rekeying of the SA named.
    Undecided(IkeSaId),
    /// It lost; its creator, us, deletes it (RFC 7296 §2.8.2).
    Redundant,
}

/// A request of ours, and what its answer will be given to.
#[derive(Debug)]
pub enum InFlight {
    /// IKE_SA_INIT.
    SaInit(Box<sa_init::SaInit>),
    /// IKE_INTERMEDIATE.
    Intermediate(Box<intermediate::Intermediate>),
    /// IKE_AUTH.
    Auth(Box<auth::Auth>),
    /// CREATE_CHILD_SA for a new Child SA.
    CreateChild(Box<child_create::CreateChild>),
    /// CREATE_CHILD_SA that rekeys a Child SA.
    RekeyChild(Box<child_rekey::RekeyChild>),
    /// CREATE_CHILD_SA that rekeys the IKE SA.
    RekeyIke(Box<ike_rekey::RekeyIke>),
    /// INFORMATIONAL that deletes the IKE SA.
    DeleteIke(Reason),
    /// INFORMATIONAL that deletes a Child SA.
    DeleteChild(ChildId, Reason),
    /// INFORMATIONAL about addresses (RFC 4555).
    Mobike(Box<mobility::Ask>),
    /// INFORMATIONAL that asks whether the peer is alive.
    Liveness {
        /// The answer is wanted as an event.
        asked: bool,
    },
}

impl InFlight {
    /// For the operator, when no answer comes.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::SaInit(_) => "the IKE_SA_INIT response",
            Self::Intermediate(_) => "the IKE_INTERMEDIATE response",
            Self::Auth(_) => "the IKE_AUTH response",
            Self::CreateChild(x) if x.follows() => "the IKE_FOLLOWUP_KE response for a new Child SA",
            Self::CreateChild(_) => "the CREATE_CHILD_SA response",
            Self::RekeyChild(x) if x.follows() => "the IKE_FOLLOWUP_KE response in our rekeying of a Child SA",
            Self::RekeyChild(_) => "the answer to our rekeying of a Child SA",
            Self::RekeyIke(x) if x.follows() => "the IKE_FOLLOWUP_KE response in our rekeying of the IKE SA",
            Self::RekeyIke(_) => "the answer to our rekeying of the IKE SA",
            Self::DeleteIke(_) => "the answer to our Delete of the IKE SA",
            Self::DeleteChild(..) => "the answer to our Delete of a Child SA",
            Self::Mobike(_) => "the answer to an address update",
            Self::Liveness { .. } => "the answer to a liveness check",
        }
    }

    /// The exchange it rides on.
    #[must_use]
    pub fn exchange(&self) -> ExchangeType {
        match self {
            Self::SaInit(_) => ExchangeType::IKE_SA_INIT,
            Self::Intermediate(_) => ExchangeType::IKE_INTERMEDIATE,
            Self::Auth(_) => ExchangeType::IKE_AUTH,
            Self::CreateChild(x) if x.follows() => ExchangeType::IKE_FOLLOWUP_KE,
            Self::RekeyChild(x) if x.follows() => ExchangeType::IKE_FOLLOWUP_KE,
            Self::RekeyIke(x) if x.follows() => ExchangeType::IKE_FOLLOWUP_KE,
            Self::CreateChild(_) | Self::RekeyChild(_) | Self::RekeyIke(_) => ExchangeType::CREATE_CHILD_SA,
            Self::DeleteIke(_) | Self::DeleteChild(..) | Self::Mobike(_) | Self::Liveness { .. } => {
                ExchangeType::INFORMATIONAL
            }
        }
    }
}

impl InFlight {
    /// Frees what an exchange holds that will never be finished.
    pub fn give_back(&self, cx: &mut Cx<'_>) {
        match self {
            Self::Auth(x) => x.give_back(cx),
            Self::CreateChild(x) => x.give_back(cx),
            Self::RekeyChild(x) => x.give_back(cx),
            Self::SaInit(_)
            | Self::Intermediate(_)
            | Self::RekeyIke(_)
            | Self::DeleteIke(_)
            | Self::DeleteChild(..)
            | Self::Mobike(_)
            | Self::Liveness { .. } => {}
        }
    }

    /// True while it makes, replaces, deletes or moves Child SAs: then the IKE SA is not replaced.
    #[must_use]
    pub fn concerns_children(&self) -> bool {
        match self {
            Self::CreateChild(_) | Self::RekeyChild(_) | Self::DeleteChild(..) | Self::Mobike(_) => true,
            Self::SaInit(_)
            | Self::Intermediate(_)
            | Self::Auth(_)
            | Self::RekeyIke(_)
            | Self::DeleteIke(_)
            | Self::Liveness { .. } => false,
        }
    }
}

/// The payloads of a message of ours, in any order; they are sorted when it is encoded.
pub type Draft = Vec<Payload>;

/// A message of the peer, decoded and checked by the rule table; for protected ones also decrypted.
#[derive(Clone, Debug)]
pub struct Inbound<'a> {
    /// Its header.
    pub header: Header,
    /// Its payloads, inner ones included.
    pub payloads: Payloads,
    /// Its octets from the SPIs on (unprotected messages only).
    pub raw: &'a [u8],
    /// Where it came on.
    pub path: Path,
}

impl Inbound<'_> {
    /// The first notify of this kind.
    #[must_use]
    pub fn notify(&self, kind: NotifyType) -> Option<&Notify> {
        self.payloads.notify(kind)
    }
}

/// A notify without SPI.
#[must_use]
pub fn notify(kind: NotifyType, data: Vec<u8>) -> Payload {
    Payload::Notify(Notify::new(kind, data))
}

/// Where an exchange of ours goes on when a question has been answered.
#[derive(Debug)]
pub enum Resume {
    /// Before its IKE_AUTH request, or an IKE_INTERMEDIATE one.
    Request(Option<(PolicyId, Option<PacketKey>)>),
    /// At a response of the peer.
    Response {
        /// What it answers.
        auth: Box<auth::Auth>,
        /// Its header.
        header: Header,
        /// Its payloads.
        payloads: Payloads,
        /// Where it came on.
        path: Path,
    },
}

/// What a response leads to.
#[derive(Debug)]
pub enum Step {
    /// The exchange is over.
    Done,
    /// The next request of the same conversation.
    Next(InFlight, Draft),
    /// Somebody must answer a question first.
    Wait(Resume, Box<Ask>),
    /// Not the answer that was waited for; go on waiting.
    Ignore(InFlight),
    /// An unauthenticated error, or an answer that cannot be taken: go on as if it had not come, and remember it.
    Doubt(InFlight, Reason),
    /// The IKE SA ends; nothing more is sent.
    Fail(Reason),
    /// The IKE SA ends; the peer is told by an INFORMATIONAL with this notify, or by a Delete (RFC 7296 §2.21.2).
    FailAndTell(Reason, Option<NotifyType>),
}

/// What a request is answered with.
#[derive(Debug)]
pub struct Reply {
    /// The payloads of the response.
    pub draft: Draft,
    /// What happens to the IKE SA then.
    pub after: After,
}

/// What happens to an IKE SA after its response is sent.
#[derive(Clone, PartialEq, Debug)]
pub enum After {
    /// It lives on.
    Stay,
    /// It ends.
    Close(Reason),
    /// No response yet: somebody must answer a question first. The request is then run again.
    Wait(Box<Ask>),
}

impl Reply {
    /// An answer after which the SA lives on.
    #[must_use]
    pub fn stay(draft: Draft) -> Self {
        Self { draft, after: After::Stay }
    }

    /// An error notify, and the end of the SA.
    #[must_use]
    pub fn refuse(kind: NotifyType, reason: Reason) -> Self {
        Self { draft: alloc::vec![notify(kind, Vec::new())], after: After::Close(reason) }
    }
}

/// Both SPIs of an IKE SA as they stand in headers.
#[must_use]
pub fn header_spis(core: &SaCore) -> (IkeSpi, IkeSpi) {
    (IkeSpi(core.spi_i), IkeSpi(core.spi_r))
}

/// An SPI drawn at random, put into the part of the SPI space that belongs to this endpoint.
#[must_use]
pub fn ike_spi(shard: Option<Shard>, drawn: u64) -> u64 {
    let Some(shard) = shard else { return drawn };
    let low = 64u32.saturating_sub(u32::from(shard.bits.min(8)));
    let mask = 1u64.checked_shl(low).map_or(u64::MAX, |b| b.wrapping_sub(1));
    (drawn & mask) | u64::from(shard.value).checked_shl(low).unwrap_or(0)
}
