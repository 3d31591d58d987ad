//! One entry of the PAD (RFC 4301 §4.4.3): who the peer is, how each side proves itself, what its Child SAs may cover.

use super::{IdPattern, Identity};
use crate::proposal::Proposal;
use crate::{AddrRange, TrafficSelector};
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// How a side proves who it is (RFC 7296 §2.15, §2.16; RFC 7427; RFC 7619).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum AuthMethod {
    /// A pre-shared key, found in [`super::Secrets`] or asked for.
    Psk,
    /// A signature with a certified or raw public key.
    Pubkey,
    /// An EAP method; whoever authenticates clients says which (RFC 7296 §2.16).
    Eap,
    /// No authentication (RFC 7619).
    Null,
}

impl fmt::Display for AuthMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Psk => "psk",
            Self::Pubkey => "pubkey",
            Self::Eap => "eap",
            Self::Null => "null",
        })
    }
}

/// Whether certificates must be shown not to be revoked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Revocation {
    /// Revocation lists are not looked at.
    Off,
    /// A list that is there counts; a certificate without one is good.
    #[default]
    IfPresent,
    /// Every certificate of the path needs a list that is not out of date.
    Required,
}

/// EAP methods (RFC 3748) that an entry may name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum EapMethod {
    /// MSCHAPv2: mutual, with a password; makes a key.
    MsChapV2,
    /// Generic Token Card: the password goes to whoever holds the tunnel's other end. Makes no key.
    Gtc,
    /// MD5-Challenge: the client proves itself, the server does not. Makes no key; refused unless it is named.
    Md5,
    /// TLS (RFC 5216, RFC 9190): mutual, with certificates; makes a key. With feature `tls` of ike-proto.
    Tls,
    /// TTLS (RFC 5281): the server by its certificate, the client inside by what [`Eap::ttls`] says; makes a key. With
    /// feature `tls` of ike-proto.
    Ttls,
    /// AKA (RFC 4187): mutual, with a SIM; makes a key. The numbers come from [`super::AkaSource`].
    Aka,
    /// AKA′ (RFC 9048): as AKA, bound to the name of the access network.
    AkaPrime,
    /// As server: another server speaks EAP, and each packet is asked for.
    Relay,
}

/// What proves the client inside TTLS (RFC 5281 §11).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum TtlsInner {
    /// The password itself.
    Pap,
    /// MSCHAPv2, bound to the tunnel.
    MsChapV2,
    /// EAP, by those methods of the entry that are no tunnels.
    Eap,
}

/// How an entry uses EAP (RFC 7296 §2.16).
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Eap {
    /// As server: offered in this order. As client: accepted.
    pub methods: Vec<EapMethod>,
    /// As client: the user; `None`: the text of our identity. As server: the only user that is let in; `None`: any.
    pub identity: Option<String>,
    /// EAP alone (RFC 5998): the server need not prove itself by other means. Only with mutual methods that make a key.
    pub alone: bool,
    /// As client, with TLS and TTLS: who the certificate of the EAP server must be about; `None`: who the peer is.
    pub server: Option<Identity>,
    /// The access network's name for AKA′ (RFC 9048 §3.1), "WLAN" say; as client empty: any.
    pub network: String,
    /// Inside TTLS: as server allowed, as client the first is done.
    pub ttls: Vec<TtlsInner>,
}

impl Default for Eap {
    fn default() -> Self {
        Self {
            methods: alloc::vec![EapMethod::MsChapV2],
            identity: None,
            alone: false,
            server: None,
            network: String::new(),
            ttls: alloc::vec![TtlsInner::MsChapV2, TtlsInner::Eap],
        }
    }
}

/// Second authentications (RFC 4739): after the first, and with identities of their own, whoever initiates. The first must
/// not be EAP.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Second {
    /// We prove ourselves once more: as whom, and how. As responder not by EAP, which proves initiators.
    pub local: Option<(Identity, AuthMethod)>,
    /// The peer must: as whom, and how it may. A responder not by EAP.
    pub remote: Option<(IdPattern, Vec<AuthMethod>)>,
}

impl Second {
    /// True when either side proves itself twice.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.local.is_some() || self.remote.is_some()
    }
}

/// What to do when the same identities come again (RFC 7296 §2.4, INITIAL_CONTACT).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Uniqueness {
    /// Old IKE SAs go only when the peer says INITIAL_CONTACT.
    #[default]
    InitialContact,
    /// The new IKE SA replaces old ones of the same identities.
    Replace,
    /// The new IKE SA is refused while an old one lives.
    Keep,
    /// Any number of IKE SAs.
    Never,
}

/// IKE SAs without a first Child SA (RFC 6023).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Childless {
    /// Refused, and never asked for.
    Never,
    /// Taken from the peer; asked for only when the embedding program wants an IKE SA alone.
    #[default]
    Allow,
    /// As initiator, always when the peer can: Child SAs follow by CREATE_CHILD_SA, with a key exchange of their own.
    Prefer,
}

/// How a peer is met on the UDP level (RFC 7296 §2.23).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum NatTraversal {
    /// UDP encapsulation where a NAT is found.
    #[default]
    Auto,
    /// UDP encapsulation always (the NAT detection hashes are made to fail).
    Force,
    /// Never; bare ESP even through a NAT.
    Never,
    /// As `Never`, and with MOBIKE the peer refuses paths with a NAT on them (RFC 4555 §3.9, NO_NATS_ALLOWED).
    Forbid,
}

/// How a post-quantum PSK is mixed in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum PpkMethod {
    /// RFC 9867 where the peer has it, else RFC 8784.
    #[default]
    Either,
    /// RFC 8784 only: in IKE_AUTH.
    Auth,
    /// RFC 9867 only: in IKE_INTERMEDIATE.
    Intermediate,
}

/// Where the PPKs that we begin with come from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum PpkSource {
    /// The PAD: the one PPK that [`Peer::ppk`] names.
    #[default]
    Configured,
    /// A key-distribution system: whoever drives the endpoint is asked for the next one before each use.
    Asked,
}

/// Whether AUTH covers both IKE_SA_INIT messages in full (draft-ietf-ipsecme-ikev2-downgrade-prevention).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum TranscriptAuth {
    /// Never.
    Off,
    /// When the peer has it too.
    #[default]
    Offer,
    /// Refuse peers that have it not.
    Require,
}

/// Times of the IKE SA. Zero: never.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct IkeTimes {
    /// Rekey the IKE SA after this long (RFC 7296 §2.8).
    pub rekey: Duration,
    /// Authenticate anew after this long (RFC 7296 §2.8.3).
    pub reauth: Duration,
    /// Up to this much is subtracted from `rekey` and `reauth`, at random.
    pub jitter: Duration,
    /// Close the IKE SA when it was not rekeyed this long after `rekey`.
    pub over: Duration,
    /// Ask whether the peer lives when nothing was heard for this long (RFC 7296 §2.4).
    pub dpd: Duration,
    /// NAT keepalives when nothing was sent for this long behind a NAT (RFC 3948 §4).
    pub keepalive: Duration,
}

impl Default for IkeTimes {
    fn default() -> Self {
        let minutes = |m: u64| Duration::from_secs(m * 60);
        Self {
            rekey: minutes(240),
            reauth: Duration::ZERO,
            jitter: minutes(24),
            over: minutes(24),
            dpd: Duration::from_secs(60),
            keepalive: Duration::from_secs(20),
        }
    }
}

/// One entry of the PAD. Make one with [`Peer::new`] and set the fields that differ.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Peer {
    /// For people and configuration; unique in a PAD.
    pub name: String,
    /// IDi or IDr that we send.
    pub local_id: Identity,
    /// Identities that the other side may have.
    pub remote_id: IdPattern,
    /// Our address; `None`: any of this host.
    pub local: Option<IpAddr>,
    /// Where to initiate; `None`: we only answer.
    pub remote: Option<SocketAddr>,
    /// Addresses the peer may speak from; empty: any. Judged as the packet came, so behind NATs.
    pub remote_addrs: Vec<AddrRange>,
    /// How we prove ourselves.
    pub local_auth: AuthMethod,
    /// How the peer may prove itself; any one of these.
    pub remote_auth: Vec<AuthMethod>,
    /// Our certificate and private key, by a name that the authority knows; `None`: its choice.
    pub credential: Option<String>,
    /// Trust anchors for the peer, by names that the authority knows; empty: all it has.
    pub anchors: Vec<String>,
    /// Revocation of the peer's certificates.
    pub revocation: Revocation,
    /// Public keys (DER SubjectPublicKeyInfo) that the peer may prove itself with without a certificate (RFC 7670).
    #[cfg_attr(feature = "serde", serde(with = "crate::snapshot::hex_list"))]
    pub raw_keys: Vec<Vec<u8>>,
    /// Take signatures with SHA-1 (method 1 of old peers).
    pub legacy_signatures: bool,
    /// No Child SA encrypts with a longer key than its IKE SA.
    pub strength_rule: bool,
    /// Second authentications (RFC 4739).
    pub second: Second,
    /// EAP, where `local_auth` or `remote_auth` name it.
    pub eap: Eap,
    /// Address pools for CFG_REQUEST, by name; empty: none (RFC 7296 §3.15).
    pub pools: Vec<String>,
    /// Ask the peer for inner addresses of these families (CFG_REQUEST).
    pub request_v4: bool,
    /// As `request_v4`, for IPv6.
    pub request_v6: bool,
    /// Offers for the IKE SA, best first.
    pub proposals: Vec<Proposal>,
    /// Traffic that the peer may claim on its side of Child SAs (RFC 4301 §4.4.3.4); empty: what the policies say.
    pub child_constraints: Vec<TrafficSelector>,
    /// A post-quantum PSK (RFC 8784): its PPK_ID.
    #[cfg_attr(feature = "serde", serde(with = "crate::snapshot::hex_option"))]
    pub ppk: Option<Vec<u8>>,
    /// Which way it is mixed in.
    pub ppk_method: PpkMethod,
    /// Refuse the peer without a post-quantum PSK.
    pub ppk_required: bool,
    /// Where ours comes from.
    pub ppk_source: PpkSource,
    /// Mix one into every CREATE_CHILD_SA of ours too, where RFC 9867 was agreed on.
    pub ppk_rekey: bool,
    /// AUTH over the whole of IKE_SA_INIT, against downgrades.
    pub transcript_auth: TranscriptAuth,
    /// What to do when the same identities come again.
    pub uniqueness: Uniqueness,
    /// UDP encapsulation.
    pub nat_traversal: NatTraversal,
    /// IKE fragments (RFC 7383) are offered.
    pub fragmentation: bool,
    /// MOBIKE (RFC 4555) is offered.
    pub mobike: bool,
    /// An IKE SA without Child SA may be set up (RFC 6023).
    pub childless: Childless,
    /// Child SAs on one IKE SA with the peer, replaced ones aside; at most what the endpoint's own limit says.
    pub max_children: u16,
    /// Attempts to bring an IKE SA up, the first included, before it is given up; 0: for ever.
    pub keying_tries: u32,
    /// Times of the IKE SA.
    pub times: IkeTimes,
}

impl Peer {
    /// An entry with pre-shared keys both ways, the default offers, and no bounds on addresses or Child SAs.
    #[must_use]
    pub fn new(name: impl Into<String>, local_id: Identity, remote_id: impl Into<IdPattern>) -> Self {
        Self {
            name: name.into(),
            local_id,
            remote_id: remote_id.into(),
            local: None,
            remote: None,
            remote_addrs: Vec::new(),
            local_auth: AuthMethod::Psk,
            remote_auth: alloc::vec![AuthMethod::Psk],
            credential: None,
            anchors: Vec::new(),
            revocation: Revocation::default(),
            raw_keys: Vec::new(),
            legacy_signatures: false,
            strength_rule: false,
            second: Second::default(),
            eap: Eap::default(),
            pools: Vec::new(),
            request_v4: false,
            request_v6: false,
            proposals: Proposal::default_ike(),
            child_constraints: Vec::new(),
            ppk: None,
            ppk_method: PpkMethod::default(),
            transcript_auth: TranscriptAuth::default(),
            ppk_required: false,
            ppk_source: PpkSource::default(),
            ppk_rekey: false,
            uniqueness: Uniqueness::default(),
            nat_traversal: NatTraversal::default(),
            fragmentation: true,
            mobike: true,
            childless: Childless::default(),
            max_children: u16::MAX,
            keying_tries: 1,
            times: IkeTimes::default(),
        }
    }

    /// True when the peer may speak from `addr`.
    #[must_use]
    pub fn may_speak_from(&self, addr: IpAddr) -> bool {
        self.remote_addrs.is_empty() || self.remote_addrs.iter().any(|r| r.contains(addr))
    }

    /// The part of `claimed` (the peer's side of a Child SA) that this entry allows (RFC 4301 §4.4.3.4).
    #[must_use]
    pub fn constrain<'a>(&self, claimed: &'a [TrafficSelector]) -> Cow<'a, [TrafficSelector]> {
        if self.child_constraints.is_empty() {
            return Cow::Borrowed(claimed);
        }
        claimed.iter().flat_map(|c| self.child_constraints.iter().filter_map(|a| a.intersect(c))).collect()
    }
}
