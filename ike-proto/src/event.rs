//! What an endpoint tells its owner. Events are past participles; every refusal carries a [`Reason`] with words an
//! operator can act on. To add an event: one variant here and one `code` in the root crate.

use crate::error::Reason;
use crate::ids::{IkeSaId, Role};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use ravelin_crypto::Secret;
use ravelin_sa_db::pad::Identity;
use ravelin_sa_db::{AddrRange, ChildId, Mode, Path, PeerId, PolicyId, SaParams, Spi, TrafficSelector};

/// Something that happened.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// An IKE SA is authenticated both ways.
    Established(Arc<Established>),
    /// A Child SA pair is installed.
    ChildEstablished(Arc<ChildEstablished>),
    /// A Child SA is gone (both directions).
    ChildClosed {
        /// Its IKE SA.
        sa: IkeSaId,
        /// The pair.
        child: ChildId,
        /// Why.
        reason: Reason,
    },
    /// A Child SA could not be made; the IKE SA lives on (RFC 7296 §1.2).
    ChildRefused {
        /// Its IKE SA.
        sa: IkeSaId,
        /// The policy, when it is known.
        policy: Option<PolicyId>,
        /// Why.
        reason: Reason,
    },
    /// An IKE SA was replaced by a rekeyed one; Child SAs live on in it.
    Rekeyed {
        /// The old one, soon closed.
        old: IkeSaId,
        /// The new one.
        new: IkeSaId,
    },
    /// A Child SA was replaced by a rekeyed one.
    ChildRekeyed {
        /// Its IKE SA.
        sa: IkeSaId,
        /// The old pair, soon closed.
        old: ChildId,
        /// The new pair.
        new: ChildId,
    },
    /// The addresses of an IKE SA and its Child SAs changed (RFC 4555, RFC 7296 §2.23).
    Moved {
        /// The SA.
        sa: IkeSaId,
        /// From here on.
        path: Path,
    },
    /// The peer told us our inner addresses and more (RFC 7296 §2.19); before its first Child SA.
    Assigned {
        /// The SA.
        sa: IkeSaId,
        /// Addresses, DNS servers, networks.
        assigned: Arc<Assigned>,
    },
    /// The peer was given inner addresses; they are free again when the IKE SA and its successors are gone.
    Leased {
        /// The SA.
        sa: IkeSaId,
        /// The addresses.
        addrs: Vec<IpAddr>,
    },
    /// The peer suggests settings by CFG_SET (RFC 7296 §3.15); none of them is taken.
    Suggested {
        /// The SA.
        sa: IkeSaId,
        /// What it suggests.
        assigned: Arc<Assigned>,
    },
    /// The peer answered a liveness check (RFC 7296 §2.4) that the embedding program asked for.
    Alive {
        /// The SA.
        sa: IkeSaId,
    },
    /// An attempt or SA ended; the id never appears again.
    Closed {
        /// The SA.
        sa: IkeSaId,
        /// Its PAD entry, when it was known.
        peer: Option<PeerId>,
        /// Why.
        reason: Reason,
    },
    /// Something of note that ended nothing: an unauthenticated error notify, a refused request.
    Noted {
        /// The SA, when there is one.
        sa: Option<IkeSaId>,
        /// From where.
        path: Path,
        /// What.
        reason: Reason,
    },
    /// Keys of an IKE SA, only when the configuration asks for key export (debugging with Wireshark).
    IkeKeys(Arc<IkeKeyLog>),
    /// Keys of an IKE SA that is not authenticated yet, only when the configuration asks for key export: each time they
    /// change (IKE_SA_INIT, IKE_INTERMEDIATE), before a message is sent under them. Test harnesses rewrite IKE_AUTH
    /// with them. [`Event::IkeKeys`] follows when the SA is established.
    HandshakeKeys(Arc<IkeKeyLog>),
    /// Keys of a Child SA pair, only when the configuration asks for key export.
    ChildKeys {
        /// Inbound half.
        inbound: Arc<SaParams>,
        /// Outbound half.
        outbound: Arc<SaParams>,
    },
}

/// An authenticated IKE SA.
#[derive(Clone, PartialEq, Debug)]
pub struct Established {
    /// The SA.
    pub sa: IkeSaId,
    /// Its PAD entry.
    pub peer: PeerId,
    /// Our role.
    pub role: Role,
    /// Where it runs now.
    pub path: Path,
    /// Who we are.
    pub local_id: Identity,
    /// Who the peer proved to be.
    pub remote_id: Identity,
    /// SPIs, initiator's and responder's.
    pub spis: (u64, u64),
    /// The chosen proposal, in words.
    pub proposal: Arc<str>,
    /// A NAT stands before us, before the peer.
    pub nat: (bool, bool),
}

/// An installed Child SA pair.
#[derive(Clone, PartialEq, Debug)]
pub struct ChildEstablished {
    /// Its IKE SA.
    pub sa: IkeSaId,
    /// The pair.
    pub child: ChildId,
    /// The policy that it serves.
    pub policy: PolicyId,
    /// Our inbound SPI.
    pub spi_in: Spi,
    /// The peer's inbound SPI.
    pub spi_out: Spi,
    /// The chosen proposal, in words.
    pub proposal: Arc<str>,
    /// Tunnel, transport, BEET.
    pub mode: Mode,
    /// Our side.
    pub local_ts: Arc<[TrafficSelector]>,
    /// The peer's side.
    pub remote_ts: Arc<[TrafficSelector]>,
}

/// What a peer told us (CFG_REPLY or CFG_SET).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Assigned {
    /// Our inner addresses, with prefix lengths in bits.
    pub addrs: Vec<(IpAddr, u8)>,
    /// INTERNAL_IP4_NETMASK.
    pub netmask: Option<Ipv4Addr>,
    /// DNS servers.
    pub dns: Vec<IpAddr>,
    /// NetBIOS name servers.
    pub nbns: Vec<Ipv4Addr>,
    /// DHCP servers.
    pub dhcp: Vec<IpAddr>,
    /// Networks behind the peer.
    pub subnets: Vec<AddrRange>,
    /// Domains to ask the peer's DNS servers for (RFC 8598); empty: all.
    pub domains: Vec<String>,
    /// INTERNAL_DNSSEC_TA values, each after the index of its domain in `domains`. Only with a domain (RFC 8598 §4.2).
    pub trust_anchors: Vec<(usize, Vec<u8>)>,
    /// The peer's software, in its own words.
    pub application_version: Option<String>,
    /// Every other attribute as it came: type and value.
    pub other: Vec<(u16, Vec<u8>)>,
}

/// What Wireshark needs to read an IKE SA.
#[derive(Clone, PartialEq, Debug)]
pub struct IkeKeyLog {
    /// The SA.
    pub sa: IkeSaId,
    /// SPIs, initiator's and responder's.
    pub spis: (u64, u64),
    /// Encryption transform and key bits.
    pub encr: ravelin_sa_db::proposal::EncrAlg,
    /// Integrity transform.
    pub integ: ravelin_crypto::IntegId,
    /// SK_ei, salt included.
    pub sk_ei: Secret,
    /// SK_er, salt included.
    pub sk_er: Secret,
    /// SK_ai.
    pub sk_ai: Secret,
    /// SK_ar.
    pub sk_ar: Secret,
}
