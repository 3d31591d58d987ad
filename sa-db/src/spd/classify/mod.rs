//! The classifier: from a packet to the first policy that matches, whatever the selectors are made of.
//!
//! Policies become boxes: one per pair of a local and a remote selector (`rule.rs`). Boxes of one address family live
//! in a tree (`tree.rs`). A *table* hashes some bits of some fields, chosen by a cost model so that they separate the
//! rules (`choose.rs`); a rule that spans a border is in both buckets (at most 16), a rule too wide for these bits is
//! in what follows the table. A bucket is a list, or a tree again. Rules that no bits separate stand behind *bit
//! vectors* (`vectors.rs`). Nothing is decided by prefix lengths: ranges of addresses and of ports are fields like
//! others.
//!
//! The tables that stand after each other are asked first how good their buckets can be (two octets for a sixteenth of a
//! cache line of buckets, `table.rs`), all of them, so that no branch waits for an answer; then the buckets and what is
//! behind the tables are looked into, the best first, until none can beat what was found. So where wide rules of high
//! rank hide narrow ones, these are never read. Where what is behind the tables has rules that go before nearly all
//! others, it is looked into before the buckets; a first table that has nearly all rules is not asked but looked into.
//! Very many rules of which the first by rank decide most packets are split by rank, and the head is asked first
//! (`split.rs`).
//!
//! Where the processor has AVX-512 or AVX2, which is seen when a tree is made, eight tables or eight packets are hashed at once,
//! sixteen borders compared, 512 rules intersected (`lanes.rs`, `front.rs`, crate `ravelin-wide`). What is found is the same.
//!
//! **Bounds.** A lookup visits at most 24 tables after each other (one probe each; from the ninth on only where they
//! spare groups of vectors) and 6 below each other; a list has at most 32 rules; m rules that nothing separates cost at
//! most ceil(m / 512) + 3 groups of at most 2 binary searches over at most 2,049 borders (with AVX-512 or AVX2 6
//! comparisons of 16), 3 reads of counts, and 4 blocks of 4 words from 5 rows (2 of 8). Splits are nested at most 5 deep and add a tree each. Subtrees that cannot beat the best match
//! so far are not entered.
//! Memory: 40 octets (IPv4) or 104 (IPv6) per copy of a rule, lists rounded up to powers of two, and 12 octets per
//! place of a table at least a quarter full, with every eight of them four places of rules (`near.rs`); vectors: (2n + 1) * n / 8 octets per field for a group of n, the
//! second n rounded up to a multiple of 512 (to 256 below that), 33 kB more for a field of ports with 32 borders.
//! An insertion or removal touches one path; a subtree is built anew when it has doubled or fallen to a quarter,
//! which costs constant time per update on average.
//!
//! Interface id and VRF choose the tree; direction is a bit of the rule; marks are asked of the policy.

mod addr;
mod arena;
mod ask;
mod borders;
mod build;
mod burst;
mod choose;
mod found;
mod front;
mod lanes;
mod look;
mod near;
mod rows;
mod rule;
mod split;
mod table;
mod tree;
mod turns;
mod update;
mod vectors;

use super::{Action, Policy, Scope};
use crate::{AddrRange, Direction, PacketKey};
use addr::Addr;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use arena::Ref;
pub(super) use burst::BURST;
use burst::{LONG, LONGEST};
use core::net::IpAddr;
use hashbrown::HashMap;
pub use lanes::Instructions;
use lanes::{By, Lanes, Plain, Processor};
use rule::{INBOUND, MARKED, OUTBOUND, Rule, flag};
use tree::{Best, Tree};

/// The trees of one interface id and VRF.
#[derive(Clone, Copy)]
struct Roots {
    v4: Ref,
    /// Local and remote IPv6; IPv4 and IPv6; IPv6 and IPv4.
    v6: [Ref; 3],
}

const NO_ROOTS: Roots = Roots { v4: Ref::NONE, v6: [Ref::NONE; 3] };

impl Roots {
    fn is_empty(&self) -> bool {
        self.v4 == Ref::NONE && self.v6.iter().all(|r| *r == Ref::NONE)
    }
}

/// A policy with its place in the order.
#[derive(Clone)]
pub(super) struct Entry {
    /// `u64::MAX`: the slot is free, and what is in it stands for nothing.
    pub key: u64,
    pub policy: Arc<Policy>,
}

/// All policies, found by packet. A plain value: cloning it makes an independent copy.
#[derive(Clone)]
pub(super) struct Classifier {
    v4: Tree<u32>,
    v6: Tree<u128>,
    /// Interface id 0 in VRF 0, which most packets are in.
    plain: Roots,
    scopes: HashMap<(u32, u32), Roots>,
    entries: Vec<Entry>,
    /// What is in free slots.
    nobody: Option<Arc<Policy>>,
    /// Counts changes; equal counts of versions of one database mean equal content.
    generation: u64,
}

impl Default for Classifier {
    fn default() -> Self {
        Self {
            v4: Tree::default(),
            v6: Tree::default(),
            plain: NO_ROOTS,
            scopes: HashMap::new(),
            entries: Vec::new(),
            nobody: None,
            generation: 1,
        }
    }
}

/// Which of the trees a pair of families is in: `None` is the IPv4 one.
fn family(local_v6: bool, remote_v6: bool) -> Option<usize> {
    match (local_v6, remote_v6) {
        (false, false) => None,
        (true, true) => Some(0),
        (false, true) => Some(1),
        (true, false) => Some(2),
    }
}

fn is_v6(range: &AddrRange) -> bool {
    matches!(range, AddrRange::V6(..))
}

impl Classifier {
    /// The policy in a slot.
    #[inline]
    pub(super) fn entry(&self, slot: u32) -> Option<&Entry> {
        self.entries.get(slot as usize).filter(|e| e.key != u64::MAX)
    }

    /// The policy in a slot that a lookup gave. Reads no memory: the caller may not need what the policy says.
    #[inline]
    pub(super) fn policy(&self, slot: u32) -> Option<&Arc<Policy>> {
        self.entries.get(slot as usize).map(|e| &e.policy)
    }

    /// Every policy, in no order.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|e| e.key != u64::MAX)
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    fn roots(&self, vrf: u32, if_id: u32) -> Roots {
        if vrf == 0 && if_id == 0 {
            return self.plain;
        }
        self.scopes.get(&(vrf, if_id)).copied().unwrap_or(NO_ROOTS)
    }

    /// The slot of the first policy for a packet.
    #[inline]
    pub(super) fn lookup(&self, direction: Direction, packet: &PacketKey, scope: &Scope) -> Option<u32> {
        let roots = self.roots(scope.vrf, scope.if_id);
        let agrees = |slot| self.agrees(slot, scope.mark);
        let slot = match (packet.local, packet.remote) {
            (IpAddr::V4(_), IpAddr::V4(_)) => self.v4.find(roots.v4, packet, flag(direction), &agrees),
            (l, r) => {
                let root = family(l.is_ipv6(), r.is_ipv6()).and_then(|f| roots.v6.get(f)).copied();
                self.v6.find(root.unwrap_or(Ref::NONE), packet, flag(direction), &agrees)
            }
        };
        (slot != u32::MAX).then_some(slot)
    }

    /// As [`Classifier::lookup`] for packets of one scope; `u32::MAX`: none.
    pub(super) fn lookup_burst(
        &self,
        direction: Direction,
        packets: &[PacketKey],
        scope: &Scope,
        mut each: impl FnMut(Option<u32>),
    ) {
        let roots = self.roots(scope.vrf, scope.if_id);
        let agrees = &|slot| self.agrees(slot, scope.mark);
        let v6 = |p: &PacketKey| (p.local.is_ipv6(), p.remote.is_ipv6());
        let mut rest = packets;
        while let Some(first) = rest.first().map(v6) {
            let alike = |p: &PacketKey| v6(p) == first;
            let mut done = match family(first.0, first.1).map(|f| roots.v6.get(f).copied().unwrap_or(Ref::NONE)) {
                None => Together { tree: &self.v4, root: roots.v4, direction, agrees }.burst(rest, alike, &mut each),
                Some(root) => Together { tree: &self.v6, root, direction, agrees }.burst(rest, alike, &mut each),
            };
            if done == 0 {
                let few = rest.iter().take(BURST).take_while(|p| alike(p));
                done = few.map(|p| each(self.lookup(direction, p, scope))).count();
            }
            rest = rest.get(done..).unwrap_or_default();
        }
    }

    /// Asked of the rules that are [`MARKED`].
    #[cold]
    fn agrees(&self, slot: u32, mark: u32) -> bool {
        self.entry(slot).is_some_and(|e| e.policy.mark.matches(mark))
    }

    /// Puts a policy into `slot`.
    pub(super) fn insert(&mut self, slot: u32, key: u64, policy: &Arc<Policy>) {
        let at = slot as usize;
        if self.entries.len() <= at {
            // Slots are handed out one after the other, so this puts no more than one.
            self.entries.resize(at.saturating_add(1), Entry { key: u64::MAX, policy: Arc::clone(policy) });
        }
        if let Some(place) = self.entries.get_mut(at) {
            *place = Entry { key, policy: Arc::clone(policy) };
        }
        self.update(slot, key, policy, true);
    }

    /// Takes the policy out of `slot`.
    pub(super) fn remove(&mut self, slot: u32) -> Option<Entry> {
        let nobody = Arc::clone(self.nobody.get_or_insert_with(|| Arc::new(Policy::new("", [], [], Action::Discard))));
        let place = self.entries.get_mut(slot as usize).filter(|e| e.key != u64::MAX)?;
        let entry = core::mem::replace(place, Entry { key: u64::MAX, policy: nobody });
        self.update(slot, entry.key, &entry.policy, false);
        Some(entry)
    }

    fn update(&mut self, slot: u32, key: u64, policy: &Policy, add: bool) {
        self.generation = self.generation.wrapping_add(1);
        let mut roots = self.roots(policy.vrf, policy.if_id);
        let ways = |d: Direction| if policy.directions.covers(d) { flag(d) } else { 0 };
        let marked = if policy.mark.mask == 0 { 0 } else { MARKED };
        let flags = (ways(Direction::Inbound) & INBOUND) | (ways(Direction::Outbound) & OUTBOUND) | marked;
        for (n, local) in policy.local.iter().enumerate() {
            for (m, remote) in policy.remote.iter().enumerate() {
                // Selectors given twice are one box.
                let seen = |list: &[crate::TrafficSelector], n, ts| list.iter().take(n).any(|t| t == ts);
                if seen(&policy.local, n, local) || seen(&policy.remote, m, remote) {
                    continue;
                }
                match family(is_v6(&local.addrs), is_v6(&remote.addrs)) {
                    None => {
                        let rule = Rule::new(local, remote, key, slot, flags);
                        apply(&mut self.v4, &mut roots.v4, rule, add);
                    }
                    Some(f) => {
                        let rule = Rule::new(local, remote, key, slot, flags);
                        roots.v6.get_mut(f).into_iter().for_each(|root| apply(&mut self.v6, root, rule, add));
                    }
                }
            }
        }
        if policy.vrf == 0 && policy.if_id == 0 {
            self.plain = roots;
        } else if roots.is_empty() {
            self.scopes.remove(&(policy.vrf, policy.if_id));
        } else {
            self.scopes.insert((policy.vrf, policy.if_id), roots);
        }
    }

    /// Puts the rules that came since a group of vectors was built into it, for so many groups of a family at most.
    pub(super) fn settle(&mut self, groups: usize) {
        self.v4.settle(groups);
        self.v6.settle(groups);
    }

    /// Lookups by these instructions or what the processor has of those before.
    pub(super) fn limit_to(&mut self, most: Instructions) {
        let processor = Processor::with_at_most(most);
        (self.v4.processor, self.v6.processor) = (processor, processor);
    }

    /// What lookups use.
    pub(super) fn instructions(&self) -> Instructions {
        self.v4.processor.instructions()
    }

    /// Octets used for lookup, without the policies themselves.
    pub(super) fn memory(&self) -> usize {
        let entries = self.entries.capacity().saturating_mul(size_of::<Entry>());
        let scopes = self.scopes.capacity().saturating_mul(size_of::<((u32, u32), Roots)>());
        self.v4.memory().saturating_add(self.v6.memory()).saturating_add(entries).saturating_add(scopes)
    }

    /// For people: the shape of the trees of the default scope.
    pub(super) fn describe(&self) -> String {
        let mut out = String::new();
        self.v4.describe(self.plain.v4, &mut out);
        self.plain.v6.iter().for_each(|root| self.v6.describe(*root, &mut out));
        out
    }
}

/// Lookups of packets of one pair of families, those at the front that go together.
struct Together<'a, A: Addr, F> {
    tree: &'a Tree<A>,
    root: Ref,
    direction: Direction,
    agrees: &'a F,
}

impl<A: Addr, F: Fn(u32) -> bool> Together<'_, A, F> {
    /// As [`Classifier::lookup_burst`] for as many packets at the front as are alike, and how many that are; none if they are
    /// too few.
    #[inline]
    fn burst(
        &self,
        packets: &[PacketKey],
        alike: impl Fn(&PacketKey) -> bool,
        each: &mut impl FnMut(Option<u32>),
    ) -> usize {
        match self.tree.processor_from(self.root) {
            Processor::Avx512(wide) => self.long_burst(By(wide), packets, alike, each),
            Processor::Avx2(wide) => self.long_burst(By(wide), packets, alike, each),
            Processor::Any => self.short_burst(Plain, packets, alike, each),
        }
    }

    /// As many as the processor gains by. Each size is looked at right before its lookups: so packets that come from far are
    /// waited for meanwhile.
    #[inline]
    fn long_burst(
        &self,
        lanes: impl Lanes,
        packets: &[PacketKey],
        alike: impl Fn(&PacketKey) -> bool,
        each: &mut impl FnMut(Option<u32>),
    ) -> usize {
        if self.tree.is_far()
            && let Some(some) = packets.first_chunk::<LONGEST>()
            && some.iter().all(&alike)
        {
            return self.find(lanes, some, each);
        }
        if let Some(some) = packets.first_chunk::<LONG>()
            && some.iter().all(&alike)
        {
            return self.find(lanes, some, each);
        }
        self.short_burst(lanes, packets, alike, each)
    }

    /// [`BURST`].
    #[inline]
    fn short_burst(
        &self,
        lanes: impl Lanes,
        packets: &[PacketKey],
        alike: impl Fn(&PacketKey) -> bool,
        each: &mut impl FnMut(Option<u32>),
    ) -> usize {
        match packets.first_chunk::<BURST>().filter(|some| some.iter().all(alike)) {
            Some(some) => self.find(lanes, some, each),
            None => 0,
        }
    }

    #[inline(never)]
    fn find<const N: usize>(
        &self,
        lanes: impl Lanes,
        packets: &[PacketKey; N],
        each: &mut impl FnMut(Option<u32>),
    ) -> usize {
        let mut best = [Best::NONE; N];
        self.tree.find_burst(lanes, self.root, packets, flag(self.direction), &mut best, self.agrees);
        best.iter().for_each(|b| each((b.slot != u32::MAX).then_some(b.slot)));
        N
    }
}

fn apply<A: Addr>(tree: &mut Tree<A>, root: &mut Ref, rule: Option<Rule<A>>, add: bool) {
    if let Some(rule) = rule {
        *root = if add { tree.insert(*root, &rule) } else { tree.remove(*root, &rule) };
    }
}

#[cfg(test)]
mod tests;
