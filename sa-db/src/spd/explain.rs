//! Why a packet meets the policy it meets: the match, why those above it did not match, and which SA would carry it.

use super::{Action, Policy, Scope, Spd};
use crate::sad::{OutboundSa, Sad};
use crate::{ChildId, Direction, PacketKey, TrafficSelector};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// One reason why a policy is not for a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Mismatch {
    /// The policy is for the other direction.
    Direction,
    /// The policy is of another VRF.
    Vrf,
    /// The policy is of another interface id.
    IfId,
    /// The mark does not fit.
    Mark,
    /// The selectors of our side are not known yet.
    NoLocal,
    /// The selectors of the other side are not known yet.
    NoRemote,
    /// Our address is in no selector.
    LocalAddr,
    /// The remote address is in no selector.
    RemoteAddr,
    /// The protocol is in no selector that holds the address.
    Protocol,
    /// Our port is in no selector that holds address and protocol; or ports are bounded and the packet shows none.
    LocalPort,
    /// As [`Mismatch::LocalPort`], for the other side.
    RemotePort,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direction => "it is for the other direction",
            Self::Vrf => "it is of another VRF",
            Self::IfId => "it is of another interface id",
            Self::Mark => "the mark does not fit",
            Self::NoLocal => "its local selectors are not known yet",
            Self::NoRemote => "its remote selectors are not known yet",
            Self::LocalAddr => "the local address is outside",
            Self::RemoteAddr => "the remote address is outside",
            Self::Protocol => "the protocol is another",
            Self::LocalPort => "the local port is outside",
            Self::RemotePort => "the remote port is outside",
        })
    }
}

/// Every reason why `policy` is not for the packet; empty when it is.
#[must_use]
pub fn mismatches(policy: &Policy, direction: Direction, packet: &PacketKey, scope: &Scope) -> Vec<Mismatch> {
    let mut out = Vec::new();
    let mut note = |wrong: bool, m: Mismatch| {
        if wrong && !out.contains(&m) {
            out.push(m);
        }
    };
    note(!policy.directions.covers(direction), Mismatch::Direction);
    note(policy.vrf != scope.vrf, Mismatch::Vrf);
    note(policy.if_id != scope.if_id, Mismatch::IfId);
    note(!policy.mark.matches(scope.mark), Mismatch::Mark);
    let mut side = |list: &[TrafficSelector], addr, port: Option<u16>, unknown, by_addr, by_port| {
        let here: Vec<_> = list.iter().filter(|t| t.addrs.contains(addr)).collect();
        let same: Vec<_> = here.iter().filter(|t| t.protocol == 0 || t.protocol == packet.protocol).collect();
        note(list.is_empty(), unknown);
        note(!list.is_empty() && here.is_empty(), by_addr);
        note(!here.is_empty() && same.is_empty(), Mismatch::Protocol);
        note(!same.is_empty() && !same.iter().any(|t| t.ports.contains(port)), by_port);
    };
    let (m_local, m_remote) = (Mismatch::LocalAddr, Mismatch::RemoteAddr);
    side(&policy.local, packet.local, packet.local_port, Mismatch::NoLocal, m_local, Mismatch::LocalPort);
    side(&policy.remote, packet.remote, packet.remote_port, Mismatch::NoRemote, m_remote, Mismatch::RemotePort);
    out
}

/// Which SA would carry the packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SaAnswer {
    /// The policy does not protect.
    NotNeeded,
    /// This pair.
    Carries(ChildId),
    /// None: the packet calls for a negotiation. With the SAs of the policy that do not do, and why.
    None(Vec<(ChildId, &'static str)>),
}

/// The answer of [`Spd::explain`]; prints as text for an operator.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The packet.
    pub packet: PacketKey,
    /// Which way it goes.
    pub direction: Direction,
    /// The first policy that matches; `None`: the packet is discarded (RFC 4301 §5.1).
    pub policy: Option<Arc<Policy>>,
    /// The policies above it in order, with every reason why each did not match; at most as many as asked for.
    pub above: Vec<(Arc<Policy>, Vec<Mismatch>)>,
    /// How many more there are above.
    pub not_shown: usize,
    /// Which SA would be used; `None` until [`Explanation::with_sas`] was called.
    pub sa: Option<SaAnswer>,
}

impl Spd {
    /// Says why the packet meets the policy it meets. Walks the policies; not for the path of packets. At most `show`
    /// of those above are listed: the ones nearest to the match.
    #[must_use]
    pub fn explain(&self, direction: Direction, packet: &PacketKey, scope: &Scope, show: usize) -> Explanation {
        let policy = self.lookup(direction, packet, scope).cloned();
        let found = policy.as_ref().map(|p| p.id);
        let above: Vec<&Arc<Policy>> = self.iter().take_while(|p| Some(p.id) != found).collect();
        let not_shown = above.len().saturating_sub(show);
        let listed = above.into_iter().skip(not_shown);
        let above = listed.map(|p| (Arc::clone(p), mismatches(p, direction, packet, scope))).collect();
        Explanation { packet: *packet, direction, policy, above, not_shown, sa: None }
    }
}

impl Explanation {
    /// Adds which SA of `sad` would be used for an outbound packet of `resource` (empty: any).
    #[must_use]
    pub fn with_sas<T>(mut self, sad: &Sad<T>, resource: &[u8]) -> Self {
        let Some(policy) = self.policy.as_ref().filter(|p| p.protect().is_some()) else {
            self.sa = Some(SaAnswer::NotNeeded);
            return self;
        };
        let why = |sa: &OutboundSa<T>| match sa {
            sa if !sa.active => "it waits for its turn or for its end",
            sa if !sa.covers(&self.packet) => "its negotiated selectors do not hold the packet",
            _ => "it is of another resource",
        };
        self.sa = Some(match sad.outbound(policy.id, &self.packet, resource) {
            Some(sa) => SaAnswer::Carries(sa.child),
            None => SaAnswer::None(sad.outbound_sas(policy.id).map(|sa| (sa.child, why(sa))).collect()),
        });
        self
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let p = &self.packet;
        let port = |p: Option<u16>| p.map_or_else(|| String::from("no port"), |p| alloc::format!("port {p}"));
        let way = if self.direction == Direction::Outbound { "to" } else { "from" };
        let (lp, rp) = (port(p.local_port), port(p.remote_port));
        writeln!(f, "packet {} ({lp}) {way} {} ({rp}), protocol {}", p.local, p.remote, p.protocol)?;
        if self.not_shown != 0 {
            writeln!(f, "  {} policies before these did not match", self.not_shown)?;
        }
        for (policy, why) in &self.above {
            let why: Vec<String> = why.iter().map(alloc::string::ToString::to_string).collect();
            writeln!(f, "  not \"{}\": {}", policy.name, why.join(", "))?;
        }
        match &self.policy {
            None => writeln!(f, "  no policy matches: discarded (RFC 4301 §5.1)")?,
            Some(policy) => {
                let action = match policy.action {
                    Action::Bypass => "bypass",
                    Action::Discard => "discard",
                    Action::Protect(_) => "protect",
                };
                writeln!(f, "  matches \"{}\": {action}", policy.name)?;
            }
        }
        match &self.sa {
            Some(SaAnswer::Carries(child)) => writeln!(f, "  carried by {child}")?,
            Some(SaAnswer::None(others)) => {
                for (child, why) in others {
                    writeln!(f, "  not by {child}: {why}")?;
                }
                writeln!(f, "  no SA: one must be negotiated")?;
            }
            Some(SaAnswer::NotNeeded) | None => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
