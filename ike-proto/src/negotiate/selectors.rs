//! Traffic selector narrowing (RFC 7296 §2.9): the responder takes a subset of what was offered, the initiator checks
//! that it is one.

use alloc::string::String;
use core::fmt::Write as _;
use ravelin_sa_db::TrafficSelector;
use smallvec::SmallVec;

/// Most selectors per side that we answer with.
pub const MAX_SELECTORS: usize = 32;

/// Selectors of one side while they are negotiated: two are the rule (a packet's own, and the policy's).
pub type Side = SmallVec<[TrafficSelector; 2]>;

/// What is left of an offer after narrowing to a policy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Narrowed {
    /// Our side.
    pub local: Side,
    /// The peer's side.
    pub remote: Side,
    /// Something of the offer was cut off.
    pub cut: bool,
}

/// Narrows what the peer offered (`local`, `remote` as seen from us) to a policy. `None` when a side becomes empty.
#[must_use]
pub fn narrow(
    policy_local: &[TrafficSelector],
    policy_remote: &[TrafficSelector],
    local: &[TrafficSelector],
    remote: &[TrafficSelector],
) -> Option<Narrowed> {
    let l = meet(policy_local, local);
    let r = meet(policy_remote, remote);
    if l.is_empty() || r.is_empty() {
        return None;
    }
    let whole = |offered: &[TrafficSelector], kept: &[TrafficSelector]| offered.iter().all(|o| kept.contains(o));
    let cut = !whole(local, &l) || !whole(remote, &r);
    Some(Narrowed { local: l, remote: r, cut })
}

/// Every non-empty intersection, in order of the offer, without those that lie inside another.
fn meet(policy: &[TrafficSelector], offered: &[TrafficSelector]) -> Side {
    let mut out = Side::new();
    for o in offered {
        for p in policy {
            let Some(both) = o.intersect(p) else { continue };
            if out.iter().any(|have| have.contains(&both)) {
                continue;
            }
            out.retain(|have| !both.contains(have));
            if out.len() < MAX_SELECTORS {
                out.push(both);
            }
        }
    }
    out
}

/// True when every selector of `answer` lies inside one of `offered` (what an initiator must check).
#[must_use]
pub fn is_subset(answer: &[TrafficSelector], offered: &[TrafficSelector]) -> bool {
    !answer.is_empty() && answer.iter().all(|a| offered.iter().any(|o| o.contains(a)))
}

/// "10.0.0.0/8, 192.0.2.1/32 === 10.1.0.0/16" for people.
#[must_use]
pub fn describe(local: &[TrafficSelector], remote: &[TrafficSelector]) -> String {
    let mut text = String::new();
    list(&mut text, local);
    text.push_str(" === ");
    list(&mut text, remote);
    text
}

fn list(text: &mut String, selectors: &[TrafficSelector]) {
    for (n, ts) in selectors.iter().enumerate() {
        if n > 0 {
            text.push_str(", ");
        }
        let _ = write!(text, "{ts}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ravelin_sa_db::{AddrRange, PortRange};

    fn ts(s: &str, len: u8) -> TrafficSelector {
        TrafficSelector::any(AddrRange::prefix(s.parse().unwrap(), len).unwrap())
    }

    #[test]
    fn the_answer_is_the_common_part() {
        let n =
            narrow(&[ts("10.1.0.0", 16)], &[ts("0.0.0.0", 0)], &[ts("10.0.0.0", 8)], &[ts("10.2.0.0", 16)]).unwrap();
        assert_eq!(
            (n.local.as_slice(), n.remote.as_slice(), n.cut),
            (&[ts("10.1.0.0", 16)][..], &[ts("10.2.0.0", 16)][..], true)
        );
        let same =
            narrow(&[ts("10.1.0.0", 16)], &[ts("10.2.0.0", 16)], &[ts("10.1.0.0", 16)], &[ts("10.2.0.0", 16)]).unwrap();
        assert!(!same.cut);
    }

    #[test]
    fn no_common_part_is_none() {
        assert_eq!(
            narrow(&[ts("10.1.0.0", 16)], &[ts("10.2.0.0", 16)], &[ts("10.1.0.0", 16)], &[ts("10.3.0.0", 16)]),
            None
        );
        assert_eq!(narrow(&[ts("10.1.0.0", 16)], &[ts("::", 0)], &[ts("10.1.0.0", 16)], &[ts("10.3.0.0", 16)]), None);
    }

    #[test]
    fn a_packet_selector_inside_a_wide_one_is_absorbed() {
        let mut packet = ts("10.1.0.5", 32);
        packet.protocol = 6;
        packet.ports = PortRange::Range(80, 80);
        let n =
            narrow(&[ts("10.1.0.0", 16)], &[ts("10.2.0.0", 16)], &[packet, ts("10.1.0.0", 16)], &[ts("10.2.0.0", 16)])
                .unwrap();
        assert_eq!(*n.local, [ts("10.1.0.0", 16)]);
    }

    #[test]
    fn an_answer_has_a_bounded_number_of_selectors() {
        let many: Side = (0..100).map(|n| ts(&alloc::format!("10.{n}.0.0"), 24)).collect();
        let n = narrow(&[ts("0.0.0.0", 0)], &[ts("0.0.0.0", 0)], &many, &many[..1]).unwrap();
        assert_eq!((n.local.len(), n.cut), (MAX_SELECTORS, true));
    }

    #[test]
    fn subset() {
        assert!(is_subset(&[ts("10.1.2.0", 24)], &[ts("10.1.0.0", 16)]));
        assert!(!is_subset(&[ts("10.0.0.0", 8)], &[ts("10.1.0.0", 16)]));
        assert!(!is_subset(&[], &[ts("10.1.0.0", 16)]));
    }
}
