//! Nobody has the proof here: the names of `avx512.rs`, and that no value of these types exists.

use core::convert::Infallible;

/// The proof that this processor has AVX-512, which nobody has here.
#[derive(Clone, Copy, Debug)]
pub struct Wide(Infallible);

/// Eight numbers of 64 bits.
#[derive(Clone, Copy, Debug)]
pub struct Eight(Infallible);

/// Eight numbers of 16 bits.
#[derive(Clone, Copy, Debug)]
pub struct Short(Infallible);

macro_rules! nobody {
    ($of:ident: $($(#[$doc:meta])* $name:ident $(<$n:ident>)? ($($arg:ident: $type:ty),*) -> $to:ty;)*) => {
        impl $of {
            $($(#[$doc])*
            #[must_use]
            pub fn $name $(<const $n: u32>)? (self $(, $arg: $type)*) -> $to {
                $(let _ = $arg;)*
                match self.0 {}
            })*
        }
    };
}

impl Wide {
    /// `None`.
    #[must_use]
    pub fn detect() -> Option<Self> {
        None
    }

    /// Does work in code that is compiled for these processors.
    pub fn run<R>(self, work: impl FnOnce() -> R) -> R {
        let _ = work;
        match self.0 {}
    }
}

nobody! { Wide:
    /// How many of sixteen numbers are at most `value`.
    at_most(all: &[u32; 16], value: u32) -> u32;
    /// What stands beside the one of eight tags that is this one, in two lists; zeros where none is. Of several the first.
    pick(tags: &[u16; 8], tag: u16, short: &[u16; 8], long: &[u32; 8]) -> (u16, u32);
    /// Which of four numbers are above those beside them, a bit for each; two of them in each half of `others`.
    above(all: &[i32; 4], others: [u64; 2]) -> u8;
    /// [`Wide::above`] for numbers of half the length, four in one.
    above_short(all: &[i16; 4], others: u64) -> u8;
    /// The first bit of 512 that is set in all of five rows; 512 or more without one.
    first_in_all(rows: [&[u64; 8]; 5]) -> u32;
    /// Eight numbers that are side by side in memory.
    eight(all: &[u64; 8]) -> Eight;
    /// Eight numbers that are not.
    gather(all: [u64; 8]) -> Eight;
    /// The same number eight times.
    splat(one: u64) -> Eight;
    /// As [`Wide::eight`].
    short(all: &[u16; 8]) -> Short;
    /// As [`Wide::gather`].
    gather_short(all: [u16; 8]) -> Short;
    /// As [`Wide::splat`].
    splat_short(one: u16) -> Short;
}

nobody! { Eight:
    /// The numbers.
    array() -> [u64; 8];
    /// The lower halves of the numbers.
    halves() -> [u32; 8];
    /// The lower halves of the numbers and of eight others.
    halves_with(others: Eight) -> [u32; 16];
    /// The lowest quarters of the numbers.
    quarters() -> Short;
    /// `self & other`.
    and(other: Eight) -> Eight;
    /// `self | other`.
    or(other: Eight) -> Eight;
    /// `self ^ other`.
    xor(other: Eight) -> Eight;
    /// The product of the lower halves.
    times(other: Eight) -> Eight;
    /// The lower half of the product.
    product(other: Eight) -> Eight;
    /// `self + other`, without what is carried out.
    plus(other: Eight) -> Eight;
    /// `self << N`.
    left<N>() -> Eight;
    /// `self >> N`.
    right<N>() -> Eight;
    /// The product of each two folded: its halves exclusive or each other, and of that the upper half.
    folded(other: Eight) -> Eight;
}

nobody! { Short:
    /// The numbers.
    array() -> [u16; 8];
    /// The numbers and eight others.
    with(others: Short) -> [u16; 16];
    /// `self | other`.
    or(other: Short) -> Short;
    /// `!self`.
    turned() -> Short;
    /// Each of `then` where this has the bit of that number, elsewhere 0.
    where_bit(numbers: Short, then: Short) -> Short;
    /// The least, and which it is: the first of several.
    least() -> (u16, usize);
}
