//! Indexes over the PAD's entries: from an identity or an address to the ranks of the entries that may fit.
//!
//! Costs: an identity is looked up once per label of its name, an address once per prefix length in use; then the
//! sets found are merged in order. DN patterns with wildcards are tried one by one.

use super::{IdKind, IdPattern, Identity, Rank, dn};
use crate::AddrRange;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, btree_set};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

type Ranks = BTreeSet<Rank>;

/// From an identity to entries whose pattern holds it.
#[derive(Clone, Default)]
pub(super) struct IdIndex {
    any: Ranks,
    /// By canonical identity.
    exact: BTreeMap<Identity, Ranks>,
    /// By lower-case suffix, leading dot included.
    below: BTreeMap<String, Ranks>,
    /// By lower-case domain.
    mailbox: BTreeMap<String, Ranks>,
    addrs: Prefixes,
    dns: BTreeMap<Vec<u8>, Ranks>,
}

fn add<K: Ord>(map: &mut BTreeMap<K, Ranks>, key: K, rank: Rank) {
    map.entry(key).or_default().insert(rank);
}

fn cut<K: Ord>(map: &mut BTreeMap<K, Ranks>, key: &K, rank: Rank) {
    if let Some(set) = map.get_mut(key) {
        set.remove(&rank);
        if set.is_empty() {
            map.remove(key);
        }
    }
}

impl IdIndex {
    pub(super) fn insert(&mut self, pattern: &IdPattern, rank: Rank) {
        match pattern {
            IdPattern::Any => {
                self.any.insert(rank);
            }
            IdPattern::Exact(id) => add(&mut self.exact, id.canonical(), rank),
            IdPattern::Below(suffix) => add(&mut self.below, suffix.to_ascii_lowercase(), rank),
            IdPattern::MailboxOf(domain) => add(&mut self.mailbox, domain.to_ascii_lowercase(), rank),
            IdPattern::Addrs(range) => self.addrs.insert(range, rank),
            IdPattern::Dn(der) => add(&mut self.dns, der.clone(), rank),
        }
    }

    pub(super) fn remove(&mut self, pattern: &IdPattern, rank: Rank) {
        match pattern {
            IdPattern::Any => {
                self.any.remove(&rank);
            }
            IdPattern::Exact(id) => cut(&mut self.exact, &id.canonical(), rank),
            IdPattern::Below(suffix) => cut(&mut self.below, &suffix.to_ascii_lowercase(), rank),
            IdPattern::MailboxOf(domain) => cut(&mut self.mailbox, &domain.to_ascii_lowercase(), rank),
            IdPattern::Addrs(range) => self.addrs.remove(range, rank),
            IdPattern::Dn(der) => cut(&mut self.dns, der, rank),
        }
    }

    /// Ranks of the entries whose pattern holds the identity, rising.
    pub(super) fn ranks<'a>(&'a self, given: &Identity) -> Merged<'a> {
        let id = given.to_canonical();
        let mut sets: Vec<&'a Ranks> = Vec::new();
        sets.extend(self.exact.get(&*id));
        match id.kind {
            // Suffixes only of names of legal length: the work per lookup stays bounded whatever a peer sends.
            IdKind::FQDN if id.data.len() <= 255 => {
                let dots = id.data.iter().enumerate().filter(|(at, b)| **b == b'.' && *at > 0).map(|(at, _)| at);
                sets.extend(dots.filter_map(|at| self.below.get(core::str::from_utf8(id.data.get(at..)?).ok()?)));
            }
            IdKind::RFC822_ADDR => {
                let domain = id.data.iter().rposition(|b| *b == b'@').and_then(|at| id.data.get(at.checked_add(1)?..));
                sets.extend(domain.and_then(|d| self.mailbox.get(core::str::from_utf8(d).ok()?)));
            }
            IdKind::DER_ASN1_DN => {
                let fits = |der: &Vec<u8>| dn::matches(der, &given.data);
                sets.extend(self.dns.iter().filter(|(der, _)| fits(der)).map(|(_, set)| set));
            }
            _ => sets.extend(id.as_addr().into_iter().flat_map(|a| self.addrs.sets(a))),
        }
        sets.push(&self.any);
        Merged::new(sets)
    }
}

/// From a remote address to entries that may speak from it.
#[derive(Clone, Default)]
pub(super) struct AddrIndex {
    any: Ranks,
    ranges: Prefixes,
}

impl AddrIndex {
    pub(super) fn insert(&mut self, ranges: &[AddrRange], rank: Rank) {
        if ranges.is_empty() {
            self.any.insert(rank);
        }
        ranges.iter().for_each(|r| self.ranges.insert(r, rank));
    }

    pub(super) fn remove(&mut self, ranges: &[AddrRange], rank: Rank) {
        if ranges.is_empty() {
            self.any.remove(&rank);
        }
        ranges.iter().for_each(|r| self.ranges.remove(r, rank));
    }

    pub(super) fn ranks(&self, addr: IpAddr) -> Merged<'_> {
        Merged::new(self.ranges.sets(addr).chain([&self.any]))
    }
}

/// Ranges of addresses cut into prefixes, in a map per prefix length.
#[derive(Clone, Default)]
struct Prefixes {
    /// By length, then by first address.
    by_len: BTreeMap<(bool, u8), BTreeMap<u128, Ranks>>,
}

fn bits(addr: IpAddr) -> (bool, u8, u128) {
    match addr {
        IpAddr::V4(a) => (false, 32, u128::from(a.to_bits())),
        IpAddr::V6(a) => (true, 128, a.to_bits()),
    }
}

/// Cuts a range into the fewest prefixes: (length, first address). At most 62 for IPv4 and 254 for IPv6.
pub(crate) fn prefixes_of(range: &AddrRange) -> Vec<(u8, u128)> {
    let ((_, width, mut first), (_, _, last)) = (bits(range.first()), bits(range.last()));
    let mut out = Vec::new();
    loop {
        // The widest block that starts at `first` and ends at or before `last`.
        let room = last.wrapping_sub(first).wrapping_add(1);
        let by_room = if room == 0 { 128 } else { room.ilog2() };
        let host = first.trailing_zeros().min(by_room).min(u32::from(width));
        out.push((width.saturating_sub(u8::try_from(host).unwrap_or(u8::MAX)), first));
        let block_last = first | 1u128.checked_shl(host).map_or(u128::MAX, |b| b.wrapping_sub(1));
        if block_last >= last {
            return out;
        }
        first = block_last.wrapping_add(1);
    }
}

impl Prefixes {
    fn insert(&mut self, range: &AddrRange, rank: Rank) {
        let (v6, ..) = bits(range.first());
        for (len, first) in prefixes_of(range) {
            add(self.by_len.entry((v6, len)).or_default(), first, rank);
        }
    }

    fn remove(&mut self, range: &AddrRange, rank: Rank) {
        let (v6, ..) = bits(range.first());
        for (len, first) in prefixes_of(range) {
            if let Some(map) = self.by_len.get_mut(&(v6, len)) {
                cut(map, &first, rank);
                if map.is_empty() {
                    self.by_len.remove(&(v6, len));
                }
            }
        }
    }

    fn sets(&self, addr: IpAddr) -> impl Iterator<Item = &Ranks> {
        let (v6, width, value) = bits(addr);
        self.by_len.range((v6, 0)..=(v6, width)).filter_map(move |((_, len), map)| {
            let host = u32::from(width.saturating_sub(*len));
            let mask = u128::MAX.checked_shl(host).unwrap_or(0);
            map.get(&(value & mask))
        })
    }
}

/// Several rising sets as one, without repetition.
pub(super) struct Merged<'a> {
    /// The usual case: there is one set.
    only: core::iter::Copied<btree_set::Iter<'a, Rank>>,
    heads: Vec<core::iter::Peekable<Box<dyn Iterator<Item = Rank> + 'a>>>,
}

impl<'a> Merged<'a> {
    fn new(sets: impl IntoIterator<Item = &'a Ranks>) -> Self {
        let boxed = |set: &'a Ranks| -> Box<dyn Iterator<Item = Rank> + 'a> { Box::new(set.iter().copied()) };
        let mut sets = sets.into_iter().filter(|s| !s.is_empty());
        match (sets.next(), sets.next()) {
            (None, _) => Self { only: NOTHING.iter().copied(), heads: Vec::new() },
            (Some(only), None) => Self { only: only.iter().copied(), heads: Vec::new() },
            (Some(a), Some(b)) => {
                let heads = [a, b].into_iter().chain(sets).map(|s| boxed(s).peekable()).collect();
                Self { only: NOTHING.iter().copied(), heads }
            }
        }
    }
}

static NOTHING: Ranks = Ranks::new();

impl Iterator for Merged<'_> {
    type Item = Rank;

    fn next(&mut self) -> Option<Rank> {
        if self.heads.is_empty() {
            return self.only.next();
        }
        let next = self.heads.iter_mut().filter_map(|h| h.peek().copied()).min()?;
        for h in &mut self.heads {
            h.next_if_eq(&next);
        }
        Some(next)
    }
}
