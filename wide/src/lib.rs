//! Eight or sixteen numbers at a time, where the processor can: AVX-512, chosen when the program runs.
//!
//! [`Wide`] is the proof that it can, and every operation asks for it. [`Wide::run`] has a piece of work compiled for such
//! processors, in which the operations become the instructions they are named after; outside they are right as well, but
//! slow. What a lookup of a policy is made of is here and nothing else: hashes of eight tables, the place of a value among
//! thirty-two borders, the first bit of 512.
//!
//! Elsewhere, and under Miri, nobody has the proof, and nothing of this is compiled. To add an operation: a line of
//! `none.rs`, a few of `avx512.rs`, and what it has to agree with in `tests.rs`.
#![no_std]

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx512;
#[cfg(all(target_arch = "x86_64", not(miri)))]
pub use avx512::{Eight, Short, Wide};

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
mod none;
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
pub use none::{Eight, Short, Wide};

#[cfg(test)]
mod tests;
