//! The rows of bits of a group of rules, one bit per rule in order, and the first bit that is set in one row of each field.
//! First there are those of the protocols, for both directions, without the rules that are not for a direction or were
//! removed; then one with all bits set, which stands for fields that do not count; then those of the fields that do, in
//! the order in which they are made. For `vectors.rs`, which knows the fields.

use alloc::vec::Vec;
use core::hint::select_unpredictable;
use ravelin_wide::Wide;

/// Bits of 256 rules, in half a cache line.
type Block = [u64; 4];

/// Two blocks: of one row, where rows have more than one.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Pair([Block; 2]);

const EMPTY: Block = [0; 4];
const ONES: Block = [u64::MAX; 4];

/// Where a packet's row is in each field: the number of its first pair, of its block where rows have only one.
pub(super) type Places = [u32; 5];

#[inline(always)]
fn and(a: &Block, b: &Block) -> Block {
    let mut all = *a;
    all.iter_mut().zip(b).for_each(|(all, one)| *all &= one);
    all
}

/// The first bit; `None` without one. Which word has it is anybody's guess: no branch on it.
#[inline(always)]
fn first_bit(block: &Block) -> Option<usize> {
    let [a, b, c, d] = *block;
    if (a | b) | (c | d) == 0 {
        return None;
    }
    let (low, high) = (select_unpredictable(a != 0, (a, 0), (b, 64)), select_unpredictable(c != 0, (c, 128), (d, 192)));
    let (word, start) = select_unpredictable(a | b != 0, low, high);
    Some(usize::wrapping_add(start, word.trailing_zeros() as usize))
}

/// Sets or clears the bit of a rule in a row.
pub(super) fn set(row: &mut [Block], bit: usize, on: bool) {
    if let Some(word) = row.get_mut(bit / 256).and_then(|b| b.get_mut(bit / 64 % 4)) {
        let mask = 1u64 << (bit % 64);
        *word = if on { *word | mask } else { *word & !mask };
    }
}

/// Rows that are being made.
pub(super) struct Making {
    all: Vec<Block>,
    /// Of a row: one, or an even number.
    blocks: usize,
    way: usize,
}

impl Making {
    /// For so many rules.
    pub(super) fn new(rules: usize) -> Self {
        let blocks = match rules.div_ceil(256) {
            0 | 1 => 1,
            more => more.next_multiple_of(2),
        };
        Self { all: Vec::new(), blocks, way: 0 }
    }

    /// A row without bits.
    pub(super) fn empty(&self) -> Vec<Block> {
        alloc::vec![EMPTY; self.blocks]
    }

    /// Where the next row will be.
    pub(super) fn next(&self) -> usize {
        if self.blocks > 1 { self.all.len() / 2 } else { self.all.len() }
    }

    pub(super) fn push(&mut self, row: &[Block]) {
        self.all.extend_from_slice(row);
    }

    /// The rows so far, of the protocols, once for each direction with the rules that are for it; and all bits.
    pub(super) fn with_ways(
        mut self,
        inbound: impl Iterator<Item = bool>,
        outbound: impl Iterator<Item = bool>,
    ) -> Self {
        let mut protocols = core::mem::take(&mut self.all);
        if protocols.is_empty() {
            protocols.resize(self.blocks, ONES);
        }
        let mut alive = self.empty();
        inbound.enumerate().for_each(|(n, on)| set(&mut alive, n, on));
        self.all.extend(protocols.iter().zip(alive.iter().cycle()).map(|(a, b)| and(a, b)));
        self.way = self.next();
        outbound.enumerate().for_each(|(n, on)| set(&mut alive, n, on));
        self.all.extend(protocols.iter().zip(alive.iter().cycle()).map(|(a, b)| and(a, b)));
        self.all.resize(self.all.len().saturating_add(self.blocks), ONES);
        self
    }

    /// All have been made.
    pub(super) fn done(self) -> Rows {
        let pair = |two: &[Block]| Pair([two.first().copied().unwrap_or(EMPTY), two.get(1).copied().unwrap_or(EMPTY)]);
        Rows { pairs: self.all.chunks(2).map(pair).collect(), len: self.blocks / 2, way: self.way }
    }
}

/// All rows of a group.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    pairs: Vec<Pair>,
    /// Pairs of a row; 0: a block.
    len: usize,
    /// Of all protocols in one direction, as [`Places`] counts.
    way: usize,
}

impl Rows {
    /// How far it is from a row to the next one.
    #[inline(always)]
    pub(super) fn step(&self) -> usize {
        self.len.max(1)
    }

    /// Where the rows of the protocols are for a direction.
    #[inline(always)]
    pub(super) fn way(&self, inbound: bool) -> usize {
        if inbound { 0 } else { self.way }
    }

    /// Where the row of all bits is.
    #[inline(always)]
    pub(super) fn everything(&self) -> usize {
        self.way.wrapping_mul(2)
    }

    /// The first bit that is set in these rows, without a branch on where that is; none is given as more than there are.
    /// `None` where rows are of another length.
    #[inline(always)]
    pub(super) fn first_bit(&self, wide: impl Wide, at: &Places) -> Option<u32> {
        match self.len {
            1 => {
                let first = wide.first_in_all(self.pairs_at(at, 0)?);
                Some(select_unpredictable(first < 512, first, u32::MAX))
            }
            2 => {
                let first = wide.first_in_all(self.pairs_at(at, 0)?);
                let second = wide.first_in_all(self.pairs_at(at, 1)?);
                let second = select_unpredictable(second < 512, second.wrapping_add(512), u32::MAX);
                Some(select_unpredictable(first < 512, first, second))
            }
            _ => None,
        }
    }

    /// A pair of each row.
    #[inline(always)]
    fn pairs_at(&self, at: &Places, n: usize) -> Option<[&[u64; 8]; 5]> {
        let [a, b, c, d, e] = *at;
        Some([self.pair(a, n)?, self.pair(b, n)?, self.pair(c, n)?, self.pair(d, n)?, self.pair(e, n)?])
    }

    #[inline(always)]
    fn pair(&self, row: u32, n: usize) -> Option<&[u64; 8]> {
        self.pairs.get((row as usize).wrapping_add(n))?.0.as_flattened().first_chunk()
    }

    /// What is asked of the bits that are set in these rows, in order, until something answers.
    #[inline(always)]
    pub(super) fn first<T>(&self, at: &Places, ask: impl Fn(usize) -> Option<T>) -> Option<T> {
        if self.len == 0 {
            let block = |row: u32| self.pairs.get(row as usize / 2)?.0.get(row as usize % 2);
            return first_of(at, 0, block, &ask);
        }
        for n in 0..self.len {
            for half in 0..2 {
                let block = |row: u32| self.pairs.get((row as usize).wrapping_add(n))?.0.get(half);
                let answer = first_of(at, n.wrapping_mul(512).wrapping_add(half * 256), block, &ask);
                if answer.is_some() {
                    return answer;
                }
            }
        }
        None
    }

    /// Where it is said which rules are there: of which pair, and which block of it.
    fn there(&self, bit: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let len = self.len;
        (0..self.everything()).step_by(self.step()).map(move |row| match len {
            0 => (row / 2, row % 2),
            _ => (row.saturating_add(bit / 512), bit / 256 % 2),
        })
    }

    /// Takes out a rule.
    pub(super) fn remove(&mut self, bit: usize) {
        for (pair, half) in self.there(bit) {
            let block = self.pairs.get_mut(pair).and_then(|pair| pair.0.get_mut(half));
            block.into_iter().for_each(|block| set(core::slice::from_mut(block), bit % 256, false));
        }
    }

    /// Whether a rule was not taken out.
    pub(super) fn is_alive(&self, bit: usize) -> bool {
        let word = |(pair, half): (usize, usize)| self.pairs.get(pair)?.0.get(half)?.get(bit / 64 % 4).copied();
        self.there(bit).filter_map(word).any(|word| word & (1 << (bit % 64)) != 0)
    }

    /// Octets in use.
    pub(super) fn memory(&self) -> usize {
        self.pairs.capacity().saturating_mul(size_of::<Pair>())
    }
}

/// What is asked of the bits that are set in some blocks, of rules from `start` on, until something answers.
#[inline(always)]
fn first_of<'a, T>(
    at: &Places,
    start: usize,
    block: impl Fn(u32) -> Option<&'a Block>,
    ask: &impl Fn(usize) -> Option<T>,
) -> Option<T> {
    let [first, more @ ..] = at;
    let mut all = *block(*first)?;
    for row in more {
        all = and(&all, block(*row)?);
    }
    while let Some(bit) = first_bit(&all) {
        let answer = ask(start.wrapping_add(bit));
        if answer.is_some() {
            return answer;
        }
        set(core::slice::from_mut(&mut all), bit, false);
    }
    None
}
