//! Structures to measure against: a walk, a tuple-space search, a hash with thresholds, a decision tree, and a trie of
//! a crate where it can express the set. All answer with the first policy that matches.

use ravelin_sa_db::spd::{Policy, order};
use ravelin_sa_db::{AddrRange, PacketKey, PortRange, TrafficSelector};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

#[derive(Clone, Copy)]
pub(crate) struct Rule {
    local: TrafficSelector,
    remote: TrafficSelector,
    /// Lower goes first.
    pub(crate) order: u64,
}

impl Rule {
    fn matches(&self, p: &PacketKey) -> bool {
        p.matches(&self.local, &self.remote)
    }
}

pub(crate) fn rules(policies: &[Policy]) -> Vec<Rule> {
    let of = |(n, p): (usize, &Policy)| Rule {
        local: p.local[0],
        remote: p.remote[0],
        order: (u64::from(order::rank(p)) << 32) | n as u64,
    };
    let mut all: Vec<Rule> = policies.iter().enumerate().map(of).collect();
    all.sort_by_key(|r| r.order);
    all
}

fn v4(addr: IpAddr) -> u32 {
    match addr {
        IpAddr::V4(a) => a.to_bits(),
        IpAddr::V6(_) => 0,
    }
}

fn ends(r: &AddrRange) -> (u32, u32) {
    (v4(r.first()), v4(r.last()))
}

/// Every policy in order, as strongSwan's userspace store.
pub(crate) struct Linear(pub(crate) Vec<Rule>);

impl Linear {
    pub(crate) fn find(&self, p: &PacketKey) -> Option<u64> {
        self.0.iter().find(|r| r.matches(p)).map(|r| r.order)
    }
}

/// The longest prefix that holds a range: length, bits.
fn cover(r: &AddrRange) -> (u8, u32) {
    let (a, b) = ends(r);
    let len = (a ^ b).leading_zeros() as u8;
    (len, mask(a, len))
}

fn mask(a: u32, len: u8) -> u32 {
    if len == 0 { 0 } else { a & (u32::MAX << (32 - len)) }
}

type Tuple = HashMap<(u32, u32), Vec<Rule>>;

/// Tuple-space search: a hash per pair of prefix lengths (ranges by the prefix that covers them), visited in the order
/// of the best policy in each.
pub(crate) struct TupleSpace(Vec<((u8, u8), u64, Tuple)>);

impl TupleSpace {
    pub(crate) fn new(rules: &[Rule]) -> Self {
        let mut map: HashMap<(u8, u8), (u64, Tuple)> = HashMap::new();
        for r in rules {
            let ((ll, l), (rl, rr)) = (cover(&r.local.addrs), cover(&r.remote.addrs));
            let t = map.entry((ll, rl)).or_insert((r.order, HashMap::new()));
            t.1.entry((l, rr)).or_default().push(*r);
        }
        let mut all: Vec<_> = map.into_iter().map(|(lens, (best, t))| (lens, best, t)).collect();
        all.sort_by_key(|t| t.1);
        Self(all)
    }
    pub(crate) fn tuples(&self) -> usize {
        self.0.len()
    }
    pub(crate) fn find(&self, p: &PacketKey) -> Option<u64> {
        let (l, r, mut best) = (v4(p.local), v4(p.remote), u64::MAX);
        for ((ll, rl), first, tuple) in &self.0 {
            if *first >= best {
                break;
            }
            if let Some(list) = tuple.get(&(mask(l, *ll), mask(r, *rl))) {
                let found = list.iter().take_while(|r| r.order < best).find(|r| r.matches(p));
                best = found.map_or(best, |r| r.order);
            }
        }
        (best != u64::MAX).then_some(best)
    }
}

/// A hash for policies with both prefixes at least as long as a threshold, a list for the others: Linux before its
/// inexact tree (`xfrm_policy hthresh`), and 6WIND's.
pub(crate) struct Thresholds {
    len: u8,
    hash: Tuple,
    list: Vec<Rule>,
}

impl Thresholds {
    pub(crate) fn new(rules: &[Rule], len: u8) -> Self {
        let (mut hash, mut list): (Tuple, Vec<Rule>) = (HashMap::new(), Vec::new());
        for r in rules {
            let ((ll, l), (rl, rr)) = (cover(&r.local.addrs), cover(&r.remote.addrs));
            if ll >= len && rl >= len {
                hash.entry((mask(l, len), mask(rr, len))).or_default().push(*r);
            } else {
                list.push(*r);
            }
        }
        Self { len, hash, list }
    }
    pub(crate) fn find(&self, p: &PacketKey) -> Option<u64> {
        let key = (mask(v4(p.local), self.len), mask(v4(p.remote), self.len));
        let hashed = self.hash.get(&key).and_then(|l| l.iter().find(|r| r.matches(p))).map(|r| r.order);
        let bound = hashed.unwrap_or(u64::MAX);
        let listed = self.list.iter().take_while(|r| r.order < bound).find(|r| r.matches(p)).map(|r| r.order);
        listed.or(hashed)
    }
}

/// A decision tree after HyperSplit: at each node the field and border that leave the fewer rules on the fuller side;
/// a rule over a border is on both sides, and what is hidden by a rule that fills the node's box is left out.
pub(crate) struct Split {
    nodes: Vec<Node>,
    rules: Vec<Rule>,
}

enum Node {
    Cut { field: u8, last_low: u32, low: u32, high: u32 },
    Leaf(Vec<u32>),
}

type Cube = [(u32, u32); 5];

fn cube(r: &Rule) -> Cube {
    let ports = |p: PortRange| match p {
        PortRange::Range(0, u16::MAX) => (0, 65_536),
        PortRange::Range(a, b) => (u32::from(a), u32::from(b)),
        PortRange::Opaque => (65_536, 65_536),
    };
    let protocol = u32::from(r.local.protocol);
    let protocol = if protocol == 0 { (0, 255) } else { (protocol, protocol) };
    [ends(&r.local.addrs), ends(&r.remote.addrs), ports(r.local.ports), ports(r.remote.ports), protocol]
}

impl Split {
    /// `None` when it needs more than `limit` places for rules: wide rules are copied to both sides of every cut.
    pub(crate) fn new(rules: &[Rule], limit: usize) -> Option<Self> {
        let cubes: Vec<Cube> = rules.iter().map(cube).collect();
        let mut tree = Self { nodes: Vec::new(), rules: rules.to_vec() };
        let whole = [(0, u32::MAX), (0, u32::MAX), (0, 65_536), (0, 65_536), (0, 255)];
        let mut budget = limit;
        tree.build((0..rules.len() as u32).collect(), whole, &cubes, &mut budget)?;
        Some(tree)
    }

    fn build(&mut self, list: Vec<u32>, space: Cube, cubes: &[Cube], budget: &mut usize) -> Option<u32> {
        let at = self.nodes.len() as u32;
        *budget = budget.checked_sub(list.len().min(8))?;
        self.nodes.push(Node::Leaf(Vec::new()));
        let best = (list.len() > 8).then(|| Self::cut(&list, &space, cubes)).flatten();
        let Some((field, last_low)) = best else {
            *budget = budget.checked_sub(list.len())?;
            self.nodes[at as usize] = Node::Leaf(list);
            return Some(at);
        };
        let mut child = |tree: &mut Self, range: (u32, u32)| {
            let mut part = space;
            part[field] = range;
            let mut inside = Vec::new();
            for n in &list {
                let c = &cubes[*n as usize];
                if c[field].0 <= range.1 && range.0 <= c[field].1 {
                    inside.push(*n);
                    if c.iter().zip(&part).all(|(c, p)| c.0 <= p.0 && p.1 <= c.1) {
                        break;
                    }
                }
            }
            tree.build(inside, part, cubes, budget)
        };
        let low = child(self, (space[field].0, last_low))?;
        let high = child(self, (last_low + 1, space[field].1))?;
        self.nodes[at as usize] = Node::Cut { field: field as u8, last_low, low, high };
        Some(at)
    }

    fn cut(list: &[u32], space: &Cube, cubes: &[Cube]) -> Option<(usize, u32)> {
        let mut best: Option<(usize, usize, u32)> = None;
        for field in 0..5 {
            let step = list.len().div_ceil(512);
            let mut lasts: Vec<u32> = list
                .iter()
                .step_by(step)
                .flat_map(|n| [cubes[*n as usize][field].1, cubes[*n as usize][field].0.wrapping_sub(1)])
                .filter(|l| space[field].0 <= *l && *l < space[field].1)
                .collect();
            lasts.sort_unstable();
            lasts.dedup();
            let Some(middle) = lasts.get(lasts.len() / 2).copied() else { continue };
            let low = list.iter().filter(|n| cubes[**n as usize][field].0 <= middle).count();
            let high = list.iter().filter(|n| cubes[**n as usize][field].1 > middle).count();
            if low.max(high) < list.len() && best.is_none_or(|b| low.max(high) + (low + high) / 4 < b.0) {
                best = Some((low.max(high) + (low + high) / 4, field, middle));
            }
        }
        best.map(|b| (b.1, b.2))
    }

    pub(crate) fn find(&self, p: &PacketKey) -> Option<u64> {
        let port = |p: Option<u16>| p.map_or(65_536, u32::from);
        let point = [v4(p.local), v4(p.remote), port(p.local_port), port(p.remote_port), u32::from(p.protocol)];
        let mut at = 0u32;
        loop {
            match &self.nodes[at as usize] {
                Node::Cut { field, last_low, low, high } => {
                    at = if point[*field as usize] <= *last_low { *low } else { *high };
                }
                Node::Leaf(list) => {
                    let found = list.iter().map(|n| &self.rules[*n as usize]).find(|r| r.matches(p));
                    return found.map(|r| r.order);
                }
            }
        }
    }
}

/// A trie over the remote prefix (crate `prefix-trie`), for sets where that alone decides.
pub(crate) struct Trie(prefix_trie::PrefixMap<ipnet::Ipv4Net, Arc<Rule>>);

impl Trie {
    pub(crate) fn new(rules: &[Rule]) -> Self {
        let mut map = prefix_trie::PrefixMap::new();
        for r in rules {
            let (len, bits) = cover(&r.remote.addrs);
            map.insert(ipnet::Ipv4Net::new(bits.into(), len).unwrap(), Arc::new(*r));
        }
        Self(map)
    }
    pub(crate) fn find(&self, p: &PacketKey) -> Option<u64> {
        let host = ipnet::Ipv4Net::new(v4(p.remote).into(), 32).unwrap();
        self.0.get_lpm(&host).filter(|(_, r)| r.matches(p)).map(|(_, r)| r.order)
    }
}
