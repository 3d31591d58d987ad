//! Transport mode behind NATs (RFC 7296 §2.23.1, RFC 3948 §3.1.2 and §5.2). A packet of transport mode shows the addresses
//! that its IP header has on each host, so each host judges selectors by those: what a peer names for a side that is
//! behind a NAT is replaced by the address of the IKE SA's path, before anything else is done with it. As responder that
//! is the offer, and the answer says what was judged; as initiator it is the answer, since the offer has our own
//! addresses. The addresses that the peer named are those that its packets' checksums were made with: they go to the data
//! plane, and nowhere else.
//!
//! Nothing is replaced but one address on each side, by the addresses of this IKE SA, when it found a NAT and carries ESP
//! in UDP; and what is replaced must then be what packets show. Everything else is judged as it came.
//!
//! Two peers behind one NAT look the same from here. [`Translated`] knows what is taken: a second peer gets what does not
//! overlap, by protocols and ports, and else a refusal. To change what counts as the same: [`Translated::rival`].

use super::{Child, SaCore};
use crate::error::Reason;
use crate::ext::natd::NatState;
use crate::negotiate::selectors::{Side, describe};
use ::core::net::IpAddr;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use ravelin_sa_db::pad::Identity;
use ravelin_sa_db::{AddrRange, ChildId, Encapsulation, Mode, Path, TrafficSelector};

/// Two addresses: ours, the peer's.
pub type Ends = (IpAddr, IpAddr);

/// Selectors by the addresses that this host sees, and those that the peer named.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Translation {
    /// Our side.
    pub local: Side,
    /// The peer's side.
    pub remote: Side,
    /// What stood in its place.
    pub named: Ends,
}

/// The one address of a list, when it has only one.
fn host(list: &[TrafficSelector]) -> Option<IpAddr> {
    let first = list.first()?.addrs.first();
    list.iter().all(|ts| ts.addrs == AddrRange::host(first)).then_some(first)
}

/// The same protocols and ports of another address.
#[must_use]
pub fn with_host(list: &[TrafficSelector], addr: IpAddr) -> Side {
    list.iter().map(|ts| TrafficSelector { addrs: AddrRange::host(addr), ..*ts }).collect()
}

/// The addresses of packets of transport mode: those of the path.
fn ends(core: &SaCore) -> Ends {
    let path = core.child_path();
    (path.local.ip(), path.remote.ip())
}

/// What a peer named, by the addresses `seen` here; `None` where they cannot be told from what it named.
fn translate(nat: NatState, seen: Ends, local: &[TrafficSelector], remote: &[TrafficSelector]) -> Option<Translation> {
    let named = (host(local)?, host(remote)?);
    let put = |behind: bool, seen: IpAddr, named: IpAddr| if behind { seen } else { named };
    let shown = (put(nat.local, seen.0, named.0), put(nat.remote, seen.1, named.1));
    // A side without a NAT has the address of the IKE SA by itself, or it is not about this host.
    (nat.any() && shown == seen).then(|| Translation {
        local: with_host(local, seen.0),
        remote: with_host(remote, seen.1),
        named,
    })
}

/// What the peer named for transport mode, as this host sees it.
#[must_use]
pub fn as_seen(core: &SaCore, local: &[TrafficSelector], remote: &[TrafficSelector]) -> Option<Translation> {
    let carried = core.encapsulation() == Encapsulation::Udp;
    carried.then(|| translate(core.agreed.nat, ends(core), local, remote)).flatten()
}

/// One address on each side, and not those that packets of transport mode have: in UDP they pass a tunnel only.
#[must_use]
pub fn is_foreign(core: &SaCore, local: &[TrafficSelector], remote: &[TrafficSelector]) -> bool {
    core.encapsulation() == Encapsulation::Udp && are_others(ends(core), local, remote)
}

fn are_others(seen: Ends, local: &[TrafficSelector], remote: &[TrafficSelector]) -> bool {
    matches!((host(local), host(remote)), (Some(l), Some(r)) if (l, r) != seen)
}

/// True for a Child SA of transport mode between the addresses of a path: it cannot go along when that path gets others,
/// which are not its selectors.
#[must_use]
pub fn stays_behind(child: &Child, from: &Path, to: &Path) -> bool {
    let ends = |p: &Path| (p.local.ip(), p.remote.ip());
    let between = |ends| !are_others(ends, &child.local_ts, &child.remote_ts);
    let single = host(&child.local_ts).is_some() && host(&child.remote_ts).is_some();
    child.mode == Mode::Transport && single && between(ends(from)) && !between(ends(to))
}

/// Why such a one ends.
#[must_use]
pub fn left_behind() -> Reason {
    let detail = "the path has other addresses now, and those of a Child SA in transport mode are its selectors, which \
                  nobody has judged anew (RFC 7296 section 2.23.1)";
    Reason::Unexpected { detail: detail.to_string() }
}

/// A refusal of what was judged by replaced addresses says so.
#[must_use]
pub fn explained(reason: Reason, seen: Option<&Translation>) -> Reason {
    let (Reason::NoSelectors { ours, theirs }, Some(seen)) = (&reason, seen) else { return reason };
    let shown = describe(&seen.local, &seen.remote);
    let theirs = format!(
        "{theirs}, in transport mode behind a NAT {shown}, which expects a policy in transport mode for these addresses \
         (RFC 7296 section 2.23.1)"
    );
    Reason::NoSelectors { ours: ours.clone(), theirs }
}

/// A Child SA whose peer looks like others behind its NAT.
#[derive(Debug)]
struct Taken {
    identity: Option<Identity>,
    local: Arc<[TrafficSelector]>,
    remote: Arc<[TrafficSelector]>,
}

/// Child SAs in transport mode behind NATs, by the peer's address as it is seen.
#[derive(Default, Debug)]
pub struct Translated {
    taken: BTreeMap<(IpAddr, ChildId), Taken>,
}

impl Translated {
    /// Notes a Child SA.
    pub fn add(&mut self, core: &SaCore, child: &Child) {
        if let Some(addr) = host(&child.remote_ts) {
            let (local, remote) = (Arc::clone(&child.local_ts), Arc::clone(&child.remote_ts));
            self.taken.insert((addr, child.id), Taken { identity: core.remote_id.clone(), local, remote });
        }
    }

    /// Forgets one that is gone.
    pub fn remove(&mut self, child: &Child) {
        if let Some(addr) = host(&child.remote_ts) {
            self.taken.remove(&(addr, child.id));
        }
    }

    /// Another peer has a Child SA for some of these packets: what is sent to one of them would go to the other (RFC 3948
    /// §5.2). The same peer may come again, and rekey.
    #[must_use]
    pub fn rival(&self, core: &SaCore, local: &[TrafficSelector], remote: &[TrafficSelector]) -> Option<Reason> {
        let addr = host(remote)?;
        let meet =
            |a: &[TrafficSelector], b: &[TrafficSelector]| a.iter().any(|x| b.iter().any(|y| x.intersect(y).is_some()));
        let near = self.taken.range((addr, ChildId(0))..=(addr, ChildId(u64::MAX))).map(|(_, taken)| taken);
        let rival =
            near.filter(|t| t.identity != core.remote_id).find(|t| meet(&t.local, local) && meet(&t.remote, remote))?;
        let who = rival.identity.as_ref().map_or_else(|| String::from("another peer"), ToString::to_string);
        let theirs = format!(
            "{}, which {who} behind the same NAT has already: packets to both look the same (RFC 3948 section 5.2)",
            describe(local, remote)
        );
        let ours = String::from("other protocols or ports for each client behind one NAT, or tunnel mode");
        Some(Reason::NoSelectors { ours, theirs })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.taken.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ts(s: &str) -> TrafficSelector {
        s.parse().unwrap()
    }

    fn ip(s: &str) -> IpAddr {
        s.parse().unwrap()
    }

    /// The example of RFC 7296 §2.23.1: IP1 = 10.0.0.5 behind IPN1 = 203.0.113.1, IPN2 = 203.0.113.2 before IP2 = 10.9.9.9.
    const CLIENT: (&str, &str) = ("10.0.0.5", "203.0.113.2");
    const SERVER: (&str, &str) = ("10.9.9.9", "203.0.113.1");

    fn nat(local: bool, remote: bool) -> NatState {
        NatState { supported: true, local, remote }
    }

    fn seen((local, remote): (&str, &str)) -> Ends {
        (ip(local), ip(remote))
    }

    #[test]
    fn both_ends_see_what_the_rfc_says() {
        // The server: TSi = IP1 becomes IPN1, TSr = IPN2 becomes IP2.
        let t = translate(nat(true, true), seen(SERVER), &[ts("203.0.113.2")], &[ts("10.0.0.5")]).unwrap();
        assert_eq!((&t.local[..], &t.remote[..]), (&[ts("10.9.9.9")][..], &[ts("203.0.113.1")][..]));
        assert_eq!(t.named, (ip("203.0.113.2"), ip("10.0.0.5")));
        // Its answer, TSi = IPN1 and TSr = IP2, becomes IP1 and IPN2 at the client.
        let t = translate(nat(true, true), seen(CLIENT), &t.remote, &t.local).unwrap();
        assert_eq!((&t.local[..], &t.remote[..]), (&[ts("10.0.0.5")][..], &[ts("203.0.113.2")][..]));
        assert_eq!(t.named, (ip("203.0.113.1"), ip("10.9.9.9")));
    }

    #[test]
    fn protocols_and_ports_stay() {
        let (local, remote) = ([ts("203.0.113.2[udp/1701]"), ts("203.0.113.2[udp]")], [ts("10.0.0.5[udp/40000]")]);
        let t = translate(nat(true, true), seen(SERVER), &local, &remote).unwrap();
        assert_eq!(&t.local[..], &[ts("10.9.9.9[udp/1701]"), ts("10.9.9.9[udp]")]);
        assert_eq!(&t.remote[..], &[ts("203.0.113.1[udp/40000]")]);
    }

    /// Only what is one address on both sides, only with a NAT, only the side that is behind it.
    #[test]
    fn nothing_else_is_replaced() {
        let (one, other) = ([ts("203.0.113.2")], [ts("10.0.0.5")]);
        for (nat, local, remote) in [
            (nat(false, false), &one[..], &other[..]),
            (nat(false, false), &[ts("10.9.9.9")], &[ts("203.0.113.1")]),
            (nat(true, true), &[ts("203.0.113.0/24")], &other),
            (nat(true, true), &one, &[ts("10.0.0.5"), ts("10.0.0.6")]),
            (nat(true, true), &one, &[ts("10.0.0.5"), ts("fd00::1")]),
            (nat(true, true), &one, &[]),
            // A side without a NAT that is not the address of the IKE SA.
            (nat(true, false), &one, &other),
            (nat(false, true), &one, &other),
        ] {
            assert_eq!(translate(nat, seen(SERVER), local, remote), None, "{nat:?} {local:?} {remote:?}");
        }
        let t = translate(nat(false, true), seen(SERVER), &[ts("10.9.9.9")], &other).unwrap();
        assert_eq!((&t.local[..], &t.remote[..]), (&[ts("10.9.9.9")][..], &[ts("203.0.113.1")][..]));
    }

    #[test]
    fn a_refusal_says_what_was_judged() {
        let t = translate(nat(true, true), seen(SERVER), &[ts("203.0.113.2")], &[ts("10.0.0.5")]);
        let plain = || Reason::NoSelectors { ours: "x".into(), theirs: "10.0.0.5/32".into() };
        let text = explained(plain(), t.as_ref()).to_string();
        for part in ["10.0.0.5/32", "10.9.9.9/32 === 203.0.113.1/32", "2.23.1"] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(explained(plain(), None), plain());
        assert_eq!(explained(Reason::Requested, t.as_ref()), Reason::Requested);
    }
}
