//! Rules of which the first by rank decide nearly every packet: these stand in a tree of their own, which is asked first,
//! and the others, of which there are many times more, are seldom read. Where ranks do not follow width and there are
//! more rules than the caches hold, that spares most reads of memory.
//!
//! Bound: a split hands its head one rule in [`PART`] and is worth it from [`FAR`] rules on, so that of 2^32 rules five
//! are nested. A lookup that nothing in the heads decides visits one more tree per split. A tree is built anew when it
//! has doubled, when its head has half of it, or when it has fallen to a quarter.

use super::addr::Addr;
use super::arena::Ref;
use super::rule::{INBOUND, OUTBOUND, Rule};
use super::tree::{FAR, SMALL, Tree, store};

/// The head has one rule of so many.
const PART: usize = 8;
/// Points at which it is tried out whether the head decides, and how many it must decide.
const POINTS: usize = 64;
const ENOUGH: usize = 44;

/// Rules in two parts by rank.
#[derive(Clone, Debug)]
pub(super) struct Split {
    /// The rules up to and with `border`.
    pub(super) head: Ref,
    /// The order of the last rule that was put into the head when it was built.
    border: u64,
    /// The others. A packet that the head has a rule for does not come here.
    pub(super) rest: Ref,
    pub(super) total: u32,
    built: u32,
    /// Rules in the head.
    first: u32,
}

/// The place where some rules, which are in order, are to be split; `None`: their head would decide too little.
fn place<A: Addr>(rules: &[Rule<A>]) -> Option<usize> {
    if rules.len() < FAR {
        return None;
    }
    let (head, rest) = rules.split_at_checked(rules.len() / PART)?;
    let last = head.last()?.key;
    // Rules of one policy stay together.
    let n = head.len().saturating_add(rest.iter().take_while(|r| r.key == last).count());
    let step = (rules.len() / POINTS).max(1) | 1;
    let decided = |(n, rule): (usize, &Rule<A>)| {
        let corner = Corner::of(rule, n);
        head.iter().any(|h| corner.is_in(h))
    };
    // No further than it takes to know.
    let mut points = rules.iter().step_by(step).take(POINTS).enumerate();
    let undecided = points.by_ref().filter(|p| !decided(*p)).take(POINTS - ENOUGH + 1).count();
    (undecided <= POINTS - ENOUGH && n < rules.len() / 2).then_some(n)
}

/// A packet at some corner of a rule.
struct Corner<A> {
    l: A,
    r: A,
    lp: u32,
    rp: u32,
    protocol: u8,
    flags: u8,
}

impl<A: Addr> Corner<A> {
    /// The bits of `n` say which end of every field.
    fn of(rule: &Rule<A>, n: usize) -> Self {
        fn end<V: Copy>([first, last]: [V; 2], one: usize) -> V {
            if one & 1 == 0 { first } else { last }
        }
        let (l, r) = (end(rule.l, n), end(rule.r, n >> 1));
        let (lp, rp) = (end(rule.lp, n >> 2), end(rule.rp, n >> 3));
        Self { l, r, lp, rp, protocol: rule.protocol, flags: rule.flags & (INBOUND | OUTBOUND) }
    }

    fn is_in(&self, rule: &Rule<A>) -> bool {
        fn inside<V: Ord>([first, last]: &[V; 2], v: &V) -> bool {
            first <= v && v <= last
        }
        inside(&rule.l, &self.l)
            && inside(&rule.r, &self.r)
            && inside(&rule.lp, &self.lp)
            && inside(&rule.rp, &self.rp)
            && (rule.protocol == 0 || rule.protocol == self.protocol)
            && rule.flags & self.flags != 0
    }
}

impl<A: Addr> Tree<A> {
    pub(super) fn split(&self, at: u32) -> Option<&Split> {
        self.splits.get(at as usize)?.as_ref()
    }

    fn split_mut(&mut self, at: u32) -> Option<&mut Split> {
        self.splits.get_mut(at as usize)?.as_mut()
    }

    /// Rules, which are in order, in two parts; `None` where that would not serve.
    pub(super) fn build_split(&mut self, rules: &[Rule<A>]) -> Option<Ref> {
        let (first, others) = rules.split_at_checked(place(rules)?)?;
        let border = first.last()?.key;
        let head = self.build(first.to_vec(), 0, 0);
        let rest = self.build(others.to_vec(), 1, 0);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let total = count(rules.len());
        let split = Split { head, border, rest, total, built: total, first: count(first.len()) };
        Some(Ref::split(store(&mut self.splits, &mut self.free_splits, split)))
    }

    pub(super) fn insert_into_split(&mut self, at: Ref, i: u32, rule: &Rule<A>) -> Ref {
        let Some(s) = self.split_mut(i) else { return at };
        if s.total > s.built.saturating_mul(2).saturating_add(32) || s.first > s.total / 2 {
            return self.rebuild(at, Some(rule), 0, 0);
        }
        s.total = s.total.saturating_add(1);
        if self.change_part(i, rule, |tree, part, depth| tree.insert_at(part, rule, depth, 0)) {
            self.split_mut(i).into_iter().for_each(|s| s.first = s.first.saturating_add(1));
        }
        at
    }

    pub(super) fn remove_from_split(&mut self, at: Ref, i: u32, rule: &Rule<A>) -> Ref {
        let Some(s) = self.split_mut(i) else { return at };
        s.total = s.total.saturating_sub(1);
        if self.change_part(i, rule, |tree, part, depth| tree.remove_at(part, rule, depth, 0)) {
            self.split_mut(i).into_iter().for_each(|s| s.first = s.first.saturating_sub(1));
        }
        let shrunk = self.split(i).is_some_and(|s| s.total <= SMALL as u32 || s.total < s.built / 4);
        if shrunk { self.rebuild(at, None, 0, 0) } else { at }
    }

    /// Changes the part of a split that a rule is in; true for the head. Only heads, at depth 0, are split again.
    fn change_part(&mut self, i: u32, rule: &Rule<A>, change: impl FnOnce(&mut Self, Ref, u8) -> Ref) -> bool {
        let Some(s) = self.split(i) else { return false };
        let in_head = rule.key <= s.border;
        let new = if in_head { change(self, s.head, 0) } else { change(self, s.rest, 1) };
        if let Some(s) = self.split_mut(i) {
            *(if in_head { &mut s.head } else { &mut s.rest }) = new;
        }
        in_head
    }

    pub(super) fn discard_split(&mut self, i: u32) {
        if let Some(s) = self.splits.get_mut(i as usize).and_then(Option::take) {
            self.free_splits.push(i);
            self.discard(s.head);
            self.discard(s.rest);
        }
    }

    /// No rule below has more.
    pub(super) fn merit_of_split(&self, i: u32) -> u16 {
        self.split(i).map_or(u16::MAX, |s| self.merit(s.head).max(self.merit(s.rest)))
    }
}
