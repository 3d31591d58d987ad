//! Eight or sixteen numbers at a time, where the processor can: AVX-512 or AVX2, chosen when the program runs.
//!
//! [`Avx512`] and [`Avx2`] are the proofs that it can, and every operation asks for one of them, [`Wide`]. [`Wide::run`] has a
//! piece of work compiled for such processors, in which the operations become the instructions they are named after; outside
//! they are right as well, but slow. What a lookup of a policy is made of is here and nothing else: hashes of eight tables,
//! the place of a value among thirty-two borders, the first bit of 512.
//!
//! Elsewhere, and under Miri, nobody has a proof ([`Nobody`]), and nothing of this is compiled. To add an operation: its
//! words below, a line of `nobody.rs`, a few of `avx512.rs` and `avx2.rs`, and what they have to agree with in `tests.rs`.
//! To add a kind of processors: a file like `avx2.rs`.
#![no_std]

mod nobody;
pub use nobody::Nobody;

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[macro_use]
mod compiled;
#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx2;
#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx512;
#[cfg(all(target_arch = "x86_64", not(miri)))]
pub use {avx2::Avx2, avx512::Avx512};

/// Nobody has the proof that the processor has AVX-512.
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
pub type Avx512 = Nobody;
/// Nobody has the proof that the processor has AVX2.
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
pub type Avx2 = Nobody;

#[cfg(test)]
mod tests;

/// The proof that this processor can do what is here, and the system keeps its registers.
pub trait Wide: Copy + core::fmt::Debug {
    /// Eight numbers of 64 bits.
    type Eight: Eight<Short = Self::Short>;
    /// Eight numbers of 16 bits.
    type Short: Short;

    /// Does work in code that is compiled for these processors. What it calls is only if it is inlined: closures given to
    /// others seldom are.
    fn run<R>(self, work: impl FnOnce() -> R) -> R;
    /// How many of sixteen numbers are at most `value`.
    #[must_use]
    fn at_most(self, all: &[u32; 16], value: u32) -> u32;
    /// What stands beside the one of eight tags that is this one, in two lists; zeros where none is. Of several the first.
    #[must_use]
    fn pick(self, tags: &[u16; 8], tag: u16, short: &[u16; 8], long: &[u32; 8]) -> (u16, u32);
    /// Which of four numbers are above those beside them, a bit for each; two of them in each half of `others`, the lower
    /// first.
    #[must_use]
    fn above(self, all: &[i32; 4], others: [u64; 2]) -> u8;
    /// [`Wide::above`] for numbers of half the length, four in one.
    #[must_use]
    fn above_short(self, all: &[i16; 4], others: u64) -> u8;
    /// The first bit of 512 that is set in all of five rows; 512 or more without one.
    #[must_use]
    fn first_in_all(self, rows: [&[u64; 8]; 5]) -> u32;
    /// Eight numbers that are side by side in memory.
    #[must_use]
    fn eight(self, all: &[u64; 8]) -> Self::Eight;
    /// The same number eight times.
    #[must_use]
    fn splat(self, one: u64) -> Self::Eight;
    /// As [`Wide::eight`].
    #[must_use]
    fn short(self, all: &[u16; 8]) -> Self::Short;
    /// Eight numbers that are not: what is stored in pieces and read as one has to be waited for.
    #[must_use]
    fn gather_short(self, all: [u16; 8]) -> Self::Short;
    /// As [`Wide::splat`].
    #[must_use]
    fn splat_short(self, one: u16) -> Self::Short;
}

/// Eight numbers of 64 bits. Nobody has them who has no [`Wide`].
pub trait Eight: Copy + core::fmt::Debug {
    /// Eight numbers of 16 bits.
    type Short: Short;

    /// The numbers.
    #[must_use]
    fn array(self) -> [u64; 8];
    /// The lower halves of the numbers.
    #[must_use]
    fn halves(self) -> [u32; 8];
    /// The lower halves of the numbers and of eight others, side by side in registers of as many.
    #[must_use]
    fn halves_with(self, others: Self) -> [u32; 16];
    /// The lowest quarters of the numbers.
    #[must_use]
    fn quarters(self) -> Self::Short;
    /// `self & other`.
    #[must_use]
    fn and(self, other: Self) -> Self;
    /// `self | other`.
    #[must_use]
    fn or(self, other: Self) -> Self;
    /// `self ^ other`.
    #[must_use]
    fn xor(self, other: Self) -> Self;
    /// The product of the lower halves.
    #[must_use]
    fn times(self, other: Self) -> Self;
    /// The lower half of the product.
    #[must_use]
    fn product(self, other: Self) -> Self;
    /// `self + other`, without what is carried out.
    #[must_use]
    fn plus(self, other: Self) -> Self;
    /// `self << N`, of at most 63.
    #[must_use]
    fn left<const N: u32>(self) -> Self;
    /// `self >> N`, of at most 63.
    #[must_use]
    fn right<const N: u32>(self) -> Self;
    /// The product of each two folded: its halves exclusive or each other, and of that the upper half.
    #[must_use]
    fn folded(self, other: Self) -> Self;
}

/// Eight numbers of 16 bits. Nobody has them who has no [`Wide`].
pub trait Short: Copy + core::fmt::Debug {
    /// The numbers.
    #[must_use]
    fn array(self) -> [u16; 8];
    /// The numbers and eight others, side by side in one register.
    #[must_use]
    fn with(self, others: Self) -> [u16; 16];
    /// `self | other`.
    #[must_use]
    fn or(self, other: Self) -> Self;
    /// `!self`.
    #[must_use]
    fn turned(self) -> Self;
    /// Each of `then` where this has the bit of that number, which is 0 to 7, elsewhere 0.
    #[must_use]
    fn where_bit(self, numbers: Self, then: Self) -> Self;
    /// The least, and which it is: the first of several.
    #[must_use]
    fn least(self) -> (u16, usize);
}
