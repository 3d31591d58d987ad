//! The order of the SPD, which RFC 4301 §4.4.1 leaves to the administrator.
//!
//! The rule: policies are judged by rising rank, and among equals in the order in which they were added; the first
//! that matches decides. [`Priority::At`] is the rank itself. [`Priority::Specific`] is 2^31 plus the wideness of the
//! selectors: the number of bits that they leave open in addresses, protocol and ports, summed over both sides
//! (a range of n values leaves ceil(log2 n) bits open; of several selectors on a side the widest counts; IPv4
//! addresses are counted like IPv6 ones, so that 0.0.0.0/0 is as wide as ::/0).
//! So 10.1.1.0/24 goes before 10.0.0.0/8, TCP port 80 before any, and 0.0.0.0/0 comes last.

use super::{Policy, Priority};
use crate::{AddrRange, PortRange, TrafficSelector};

/// Rank of the narrowest policy that is ordered by specificity.
pub const SPECIFIC: u32 = 1 << 31;

/// Bits left open by a range of `n + 1` values.
fn open_bits(n: u128) -> u32 {
    u128::BITS.saturating_sub(n.leading_zeros())
}

fn wideness_of(ts: &TrafficSelector) -> u32 {
    let addrs = match ts.addrs {
        AddrRange::V4(a, b) => open_bits(u128::from(b.to_bits().saturating_sub(a.to_bits()))).saturating_mul(4),
        AddrRange::V6(a, b) => open_bits(b.to_bits().saturating_sub(a.to_bits())),
    };
    let ports = match ts.ports {
        PortRange::Range(a, b) => open_bits(u128::from(b.saturating_sub(a))),
        PortRange::Opaque => 0,
    };
    let protocol = if ts.protocol == 0 { 8 } else { 0 };
    addrs.saturating_add(ports).saturating_add(protocol)
}

/// The wideness of a policy: 0 (one flow) to 304 (everything).
#[must_use]
pub fn wideness(policy: &Policy) -> u32 {
    let side = |list: &[TrafficSelector]| list.iter().map(wideness_of).max().unwrap_or(0);
    side(&policy.local).saturating_add(side(&policy.remote))
}

/// The rank of a policy; lower is judged first.
#[must_use]
pub fn rank(policy: &Policy) -> u32 {
    match policy.priority {
        Priority::At(rank) => rank,
        Priority::Specific => SPECIFIC.saturating_add(wideness(policy)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spd::Action;

    fn policy(local: &str, remote: &str) -> Policy {
        Policy::new("p", [local.parse().unwrap()], [remote.parse().unwrap()], Action::Bypass)
    }

    #[test]
    fn narrower_goes_first() {
        let order = [
            policy("10.0.0.1[tcp/80]", "10.0.0.2[tcp/9]"),
            policy("10.0.0.1[tcp]", "10.0.0.2[tcp/9]"),
            policy("10.1.1.0/24", "10.0.0.2"),
            policy("10.0.0.0/8", "10.0.0.2"),
            policy("10.0.0.0/8", "0.0.0.0/0"),
            policy("0.0.0.0/0", "0.0.0.0/0"),
        ];
        assert!(order.is_sorted_by_key(rank));
        assert_eq!(rank(&policy("0.0.0.0/0", "::/0")), SPECIFIC + 304);
        assert_eq!(wideness(&policy("10.0.0.1[tcp/80]", "10.0.0.2[tcp/9]")), 0);
        let at = |n| Policy { priority: Priority::At(n), ..policy("0.0.0.0/0", "0.0.0.0/0") };
        assert!(rank(&at(5)) < rank(&order[0]) && rank(&at(u32::MAX)) > rank(&order[5]));
    }
}
