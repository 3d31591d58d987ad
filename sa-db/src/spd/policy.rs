//! One entry of the SPD (RFC 4301 §4.4.1.2): which traffic, and what to do with it.

use crate::proposal::Proposal;
use crate::{Direction, Lifetime, Mode, PacketKey, PeerId, PolicyId, Protocol, TrafficSelector};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

/// Which part of the SPD an entry belongs to (RFC 4301 §4.4.1): protected traffic is SPD-S and always both.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Directions {
    /// Outbound and inbound.
    #[default]
    Both,
    /// Inbound only (SPD-I).
    Inbound,
    /// Outbound only (SPD-O).
    Outbound,
}

impl Directions {
    /// True when a packet going this way is meant.
    #[must_use]
    pub const fn covers(self, direction: Direction) -> bool {
        match (self, direction) {
            (Self::Both, _) => true,
            (Self::Inbound, d) => matches!(d, Direction::Inbound),
            (Self::Outbound, d) => matches!(d, Direction::Outbound),
        }
    }
}

/// The place of a policy among the others; see `order.rs` for the rule.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Priority {
    /// By number; lower is judged first. Below 2^31: before every policy ordered by specificity; from there on: after.
    At(u32),
    /// The narrower the selectors, the earlier.
    #[default]
    Specific,
}

/// A packet mark under a mask, as firewalls set it. The default matches every packet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Mark {
    /// What the masked mark must be.
    pub value: u32,
    /// Which bits count; 0: any mark fits.
    pub mask: u32,
}

impl Mark {
    /// True when a packet with this mark is meant.
    #[must_use]
    pub const fn matches(self, mark: u32) -> bool {
        mark & self.mask == self.value & self.mask
    }
}

/// What is known of a packet besides its headers. The default is a host without VRFs, tunnel interfaces and marks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Scope {
    /// Routing instance; policies match only in their own.
    pub vrf: u32,
    /// Interface id of a route-based tunnel the packet was routed into; 0: none. Policies match only their own.
    pub if_id: u32,
    /// Packet mark.
    pub mark: u32,
}

/// What to do with a packet (RFC 4301 §4.4.1).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Action {
    /// Let it pass in the clear.
    Bypass,
    /// Drop it.
    Discard,
    /// Protect it as said. Policies of one kind may share one.
    Protect(Arc<Protect>),
}

impl From<Protect> for Action {
    fn from(protect: Protect) -> Self {
        Self::Protect(Arc::new(protect))
    }
}

/// Populate-from-packet flags (RFC 4301 §4.4.1.2): a new SA takes these from the packet that called for it, not from
/// the policy, so that different packets get different SAs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Pfp {
    /// Local address.
    pub local_addr: bool,
    /// Remote address.
    pub remote_addr: bool,
    /// Upper-layer protocol.
    pub protocol: bool,
    /// Local port, or ICMP type and code.
    pub local_port: bool,
    /// Remote port, or ICMP type and code.
    pub remote_port: bool,
}

impl Pfp {
    /// No flag: SAs cover the whole policy.
    pub const NONE: Self =
        Self { local_addr: false, remote_addr: false, protocol: false, local_port: false, remote_port: false };

    /// True when any flag is set.
    #[must_use]
    pub fn any(self) -> bool {
        self != Self::NONE
    }
}

/// What to do with a policy before there is traffic.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum StartAction {
    /// Answer the peer only; packets that match without an SA are dropped.
    None,
    /// Negotiate when the first packet comes.
    #[default]
    Trap,
    /// Negotiate at once.
    Start,
}

/// What to do when the peer closes the Child SA, or when the peer is found dead.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum CloseAction {
    /// Nothing; the policy stays as its [`StartAction`] left it.
    #[default]
    None,
    /// Negotiate when the next packet comes.
    Trap,
    /// Negotiate at once.
    Start,
}

/// Traffic-flow confidentiality by padding (RFC 4303 §2.7).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Tfc {
    /// None.
    #[default]
    None,
    /// Pad every packet to this many octets.
    To(u16),
    /// Pad every packet to the path MTU.
    Mtu,
}

/// How many octets, packets and how much time a Child SA may serve. Zero: no limit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ChildTimes {
    /// Rekey after this long (RFC 7296 §2.8).
    pub rekey: Duration,
    /// Close when still not rekeyed after this long.
    pub hard: Duration,
    /// Up to this much is subtracted from `rekey`, at random.
    pub jitter: Duration,
}

impl Default for ChildTimes {
    fn default() -> Self {
        let minutes = |m: u64| Duration::from_secs(m * 60);
        Self { rekey: minutes(60), hard: minutes(66), jitter: minutes(6) }
    }
}

/// How traffic is protected. Make one with [`Protect::new`] and set the fields that differ.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Protect {
    /// With whom.
    pub peer: PeerId,
    /// ESP or AH.
    pub protocol: Protocol,
    /// Tunnel, transport or BEET.
    pub mode: Mode,
    /// Offers for Child SAs, best first; ESN stands in them.
    pub proposals: Vec<Proposal>,
    /// Volume and idle limits.
    pub lifetime: Lifetime,
    /// Time limits.
    pub times: ChildTimes,
    /// Replay window in packets; 0: no replay protection.
    pub replay_window: u32,
    /// What new SAs take from the packet.
    pub pfp: Pfp,
    /// Before there is traffic.
    pub start: StartAction,
    /// When the peer closes the Child SA.
    pub close: CloseAction,
    /// When the peer is found dead.
    pub dpd: CloseAction,
    /// Padding.
    pub tfc: Tfc,
    /// More SAs for the same traffic, one per resource such as a CPU (RFC 9611); 0: none beside the first.
    pub resources: u16,
    /// Copy the DF bit to the outer header; else clear it (RFC 4301 §8.1).
    pub copy_df: bool,
    /// Copy the DSCP to the outer header; else zero (RFC 4301 §5.1.2.1).
    pub copy_dscp: bool,
}

impl Protect {
    /// ESP in tunnel mode with `peer`, default offers, replay window of 128 packets, no volume limits.
    #[must_use]
    pub fn new(peer: PeerId) -> Self {
        Self {
            peer,
            protocol: Protocol::Esp,
            mode: Mode::Tunnel,
            proposals: Proposal::default_esp(),
            lifetime: Lifetime::default(),
            times: ChildTimes::default(),
            replay_window: 128,
            pfp: Pfp::NONE,
            start: StartAction::default(),
            close: CloseAction::default(),
            dpd: CloseAction::default(),
            tfc: Tfc::default(),
            resources: 0,
            copy_df: true,
            copy_dscp: true,
        }
    }
}

/// One entry of the SPD. Make one with [`Policy::new`] and set the fields that differ.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Given by [`super::Spd::add`]; what stands here before is not looked at.
    pub id: PolicyId,
    /// For people and configuration; unique in an SPD.
    pub name: String,
    /// Place among the others.
    pub priority: Priority,
    /// Which way; protect policies are always [`Directions::Both`].
    pub directions: Directions,
    /// Our side; a packet must be inside any one of these. Empty: not known yet (an address to be leased), matches
    /// nothing.
    pub local: Vec<TrafficSelector>,
    /// The other side; as `local`.
    pub remote: Vec<TrafficSelector>,
    /// What to do.
    pub action: Action,
    /// Routing instance.
    pub vrf: u32,
    /// Interface id; 0: none (policy-based).
    pub if_id: u32,
    /// Packet mark.
    pub mark: Mark,
}

impl Policy {
    /// A policy for both directions, ordered by specificity, in the default scope.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        local: impl Into<Vec<TrafficSelector>>,
        remote: impl Into<Vec<TrafficSelector>>,
        action: Action,
    ) -> Self {
        Self {
            id: PolicyId(0),
            name: name.into(),
            priority: Priority::Specific,
            directions: Directions::Both,
            local: local.into(),
            remote: remote.into(),
            action,
            vrf: 0,
            if_id: 0,
            mark: Mark::default(),
        }
    }

    /// The part about protection, if that is the action.
    #[must_use]
    pub fn protect(&self) -> Option<&Protect> {
        match &self.action {
            Action::Protect(p) => Some(p),
            _ => None,
        }
    }

    /// True when the packet is meant: direction, scope and selectors.
    #[must_use]
    pub fn matches(&self, direction: Direction, packet: &PacketKey, scope: &Scope) -> bool {
        self.directions.covers(direction)
            && self.vrf == scope.vrf
            && self.if_id == scope.if_id
            && self.mark.matches(scope.mark)
            && packet.matches_any(&self.local, &self.remote)
    }

    /// The selectors for a new SA that `packet` calls for: those of the policy, narrowed by the populate-from-packet
    /// flags (RFC 4301 §4.4.1.2). Local side, remote side.
    #[must_use]
    pub fn selectors_for(&self, packet: &PacketKey) -> (Vec<TrafficSelector>, Vec<TrafficSelector>) {
        let Some(pfp) = self.protect().map(|p| p.pfp).filter(|p| p.any()) else {
            return (self.local.clone(), self.remote.clone());
        };
        let narrow = |side: &[TrafficSelector], addr, by_addr: bool, port: Option<u16>, by_port: bool| {
            let mut out: Vec<TrafficSelector> = Vec::new();
            // With a value from the packet only the selectors that hold the packet are left.
            for ts in side.iter().filter(|ts| !pfp.any() || ts.matches(addr, packet.protocol, port)) {
                let mut ts = *ts;
                if by_addr {
                    ts.addrs = crate::AddrRange::host(addr);
                }
                if pfp.protocol {
                    ts.protocol = packet.protocol;
                }
                if by_port {
                    ts.ports = port.map_or(crate::PortRange::Opaque, |p| crate::PortRange::Range(p, p));
                }
                if !out.contains(&ts) {
                    out.push(ts);
                }
            }
            out
        };
        (
            narrow(&self.local, packet.local, pfp.local_addr, packet.local_port, pfp.local_port),
            narrow(&self.remote, packet.remote, pfp.remote_addr, packet.remote_port, pfp.remote_port),
        )
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = match &self.action {
            Action::Bypass => "bypass",
            Action::Discard => "discard",
            Action::Protect(_) => "protect",
        };
        write!(f, "{} \"{}\" {action} {:?} <-> {:?}", self.id, self.name, self.local, self.remote)
    }
}
