//! Nobody has the proof: every operation, and that no value of this type exists.

use super::{Eight, Short, Wide};
use core::convert::Infallible;

/// The proof that a processor can what none can, and the numbers that nobody has. Of a kind of processors that this code is
/// not compiled for, and in place of a [`Wide`] where work is for any processor.
#[derive(Clone, Copy, Debug)]
pub struct Nobody(Infallible);

impl Nobody {
    /// `None`.
    #[must_use]
    pub fn detect() -> Option<Self> {
        None
    }
}

macro_rules! nobody {
    ($($name:ident $(<$n:ident>)? ($($arg:ident: $type:ty),*) -> $to:ty;)*) => {
        $(fn $name $(<const $n: u32>)? (self $(, $arg: $type)*) -> $to {
            $(let _ = $arg;)*
            match self.0 {}
        })*
    };
}

impl Wide for Nobody {
    type Eight = Self;
    type Short = Self;
    fn run<R>(self, work: impl FnOnce() -> R) -> R {
        let _ = work;
        match self.0 {}
    }
    nobody! {
        at_most(all: &[u32; 16], value: u32) -> u32;
        pick(tags: &[u16; 8], tag: u16, short: &[u16; 8], long: &[u32; 8]) -> (u16, u32);
        above(all: &[i32; 4], others: [u64; 2]) -> u8;
        above_short(all: &[i16; 4], others: u64) -> u8;
        first_in_all(rows: [&[u64; 8]; 5]) -> u32;
        eight(all: &[u64; 8]) -> Self;
        splat(one: u64) -> Self;
        short(all: &[u16; 8]) -> Self;
        gather_short(all: [u16; 8]) -> Self;
        splat_short(one: u16) -> Self;
    }
}

impl Eight for Nobody {
    type Short = Self;
    nobody! {
        array() -> [u64; 8];
        halves() -> [u32; 8];
        halves_with(others: Self) -> [u32; 16];
        quarters() -> Self;
        and(other: Self) -> Self;
        or(other: Self) -> Self;
        xor(other: Self) -> Self;
        times(other: Self) -> Self;
        product(other: Self) -> Self;
        plus(other: Self) -> Self;
        left<N>() -> Self;
        right<N>() -> Self;
        folded(other: Self) -> Self;
    }
}

impl Short for Nobody {
    nobody! {
        array() -> [u16; 8];
        with(others: Self) -> [u16; 16];
        or(other: Self) -> Self;
        turned() -> Self;
        where_bit(numbers: Self, then: Self) -> Self;
        least() -> (u16, usize);
    }
}
