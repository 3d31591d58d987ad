//! Every operation of every kind of processors against the same in words, in code compiled for the processor and outside of
//! it. Where the processor lacks what it takes a line says that there was nothing to try.

use super::{Avx2, Avx512, Eight, Short, Wide};
use proptest::prelude::*;

extern crate std;

/// Does this with every proof there is; a line for those that there are not.
macro_rules! with_each {
    (|$wide:ident| $check:expr) => {
        match Avx512::detect() {
            Some($wide) => $check,
            None => std::println!("no AVX-512 here: nothing tried"),
        }
        match Avx2::detect() {
            Some($wide) => $check,
            None => std::println!("no AVX2 here: nothing tried"),
        }
    };
}

/// Values near each other, near the ends, and any.
fn numbers<T: Copy + core::fmt::Debug + 'static, const N: usize>(of: fn(u64) -> T) -> impl Strategy<Value = [T; N]> {
    let one = prop_oneof![
        0u64..4,
        (0u64..4).prop_map(|n| !n),
        (0u64..4).prop_map(|n| (1u64 << 63).wrapping_add(n).wrapping_sub(2)),
        any::<u64>()
    ];
    proptest::collection::vec(one, N).prop_map(move |all| core::array::from_fn(|n| of(all[n])))
}

fn whole(n: u64) -> u64 {
    n
}
fn half(n: u64) -> u32 {
    (n ^ (n >> 32)) as u32
}
fn quarter(n: u64) -> u16 {
    (n ^ (n >> 48)) as u16
}

#[test]
fn the_proofs_say_what_the_processor_says() {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    let (avx2, avx512) = {
        use std::arch::is_x86_feature_detected as has;
        let both = has!("popcnt") && has!("bmi1") && has!("bmi2");
        let avx512 = has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl");
        (both && has!("avx2"), both && avx512)
    };
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let (avx2, avx512) = (false, false);
    assert_eq!((Avx2::detect().is_some(), Avx512::detect().is_some()), (avx2, avx512));
}

proptest! {
    #[test]
    fn comparisons(all in numbers::<u32, 16>(half), value in numbers::<u32, 1>(half)) {
        with_each!(|wide| {
            let walk = all.iter().filter(|n| **n <= value[0]).count() as u32;
            prop_assert_eq!(wide.at_most(&all, value[0]), walk);
            prop_assert_eq!(wide.run(#[inline(always)] || wide.at_most(&all, value[0])), walk);
            for n in all {
                prop_assert_eq!(wide.at_most(&all, n), all.iter().filter(|m| **m <= n).count() as u32);
            }
        });
    }

    #[test]
    fn what_stands_beside_a_tag(tags in numbers::<u16, 8>(quarter), short in numbers::<u16, 8>(quarter), long in numbers::<u32, 8>(half), other: u16) {
        with_each!(|wide| {
            for tag in tags.into_iter().chain([other]) {
                let walk = tags.iter().position(|t| *t == tag).map_or((0, 0), |n| (short[n], long[n]));
                prop_assert_eq!(wide.pick(&tags, tag, &short, &long), walk);
                prop_assert_eq!(wide.run(#[inline(always)] || wide.pick(&tags, tag, &short, &long)), walk);
            }
        });
    }

    #[test]
    fn which_are_above(all in numbers::<u32, 4>(half), others in numbers::<u32, 4>(half), short in numbers::<u16, 4>(quarter), beside in numbers::<u16, 4>(quarter)) {
        with_each!(|wide| {
            let (all, ranges) = (all.map(u32::cast_signed), short.map(u16::cast_signed));
            let two = |low: u32, high: u32| u64::from(low) | (u64::from(high) << 32);
            let words = [two(others[0], others[1]), two(others[2], others[3])];
            let walk = (0..4).fold(0u8, |bits, n| bits | (u8::from(all[n] > others[n].cast_signed()) << n));
            prop_assert_eq!(wide.above(&all, words), walk);
            let word = beside.iter().rev().fold(0u64, |word, n| (word << 16) | u64::from(*n));
            let walk = (0..4).fold(0u8, |bits, n| bits | (u8::from(ranges[n] > beside[n].cast_signed()) << n));
            prop_assert_eq!(wide.above_short(&ranges, word), walk);
        });
    }

    #[test]
    fn the_first_bit_of_five_rows(bits in proptest::collection::vec(0usize..512, 0..4), noise in proptest::collection::vec((0usize..5, 0usize..512), 0..900)) {
        with_each!(|wide| {
            let mut rows = [[0u64; 8]; 5];
            let all = bits.iter().flat_map(|bit| (0..5).map(move |row| (row, *bit)));
            all.chain(noise.iter().copied()).for_each(|(row, bit)| rows[row][bit / 64] |= 1 << (bit % 64));
            let walk = (0..512).find(|bit| rows.iter().all(|row| row[bit / 64] & (1 << (bit % 64)) != 0));
            let rows = [&rows[0], &rows[1], &rows[2], &rows[3], &rows[4]];
            let found = wide.first_in_all(rows);
            prop_assert_eq!(wide.run(#[inline(always)] || wide.first_in_all(rows)), found);
            match walk {
                Some(bit) => prop_assert_eq!(found, bit as u32),
                None => prop_assert!(found >= 512, "{}", found),
            }
        });
    }

    #[test]
    fn sums_and_products(a in numbers::<u64, 8>(whole), b in numbers::<u64, 8>(whole)) {
        with_each!(|wide| {
            let (x, y) = (wide.eight(&a), wide.eight(&b));
            let each = |f: fn(u64, u64) -> u64| -> [u64; 8] { core::array::from_fn(|n| f(a[n], b[n])) };
            prop_assert_eq!(x.array(), a);
            prop_assert_eq!(y.array(), b);
            prop_assert_eq!(wide.splat(a[0]).array(), [a[0]; 8]);
            prop_assert_eq!(x.and(y).array(), each(|a, b| a & b));
            prop_assert_eq!(x.or(y).array(), each(|a, b| a | b));
            prop_assert_eq!(x.xor(y).array(), each(|a, b| a ^ b));
            prop_assert_eq!(x.times(y).array(), each(|a, b| u64::from(a as u32).wrapping_mul(u64::from(b as u32))));
            prop_assert_eq!(x.product(y).array(), each(u64::wrapping_mul));
            prop_assert_eq!(x.plus(y).array(), each(u64::wrapping_add));
            prop_assert_eq!(x.left::<4>().array(), each(|a, _| a << 4));
            prop_assert_eq!(x.right::<28>().array(), each(|a, _| a >> 28));
            let fold = |a: u64, b: u64| {
                let product = u128::from(a).wrapping_mul(u128::from(b));
                ((product as u64) ^ ((product >> 64) as u64)) >> 32
            };
            prop_assert_eq!(x.folded(y).array(), each(fold));
            prop_assert_eq!(wide.run(#[inline(always)] || x.folded(y).array()), each(fold));
            prop_assert_eq!(x.halves(), a.map(|n| n as u32));
            let both: [u32; 16] = core::array::from_fn(|n| if n < 8 { a[n] as u32 } else { b[n % 8] as u32 });
            prop_assert_eq!(x.halves_with(y), both);
            prop_assert_eq!(x.quarters().array(), a.map(|n| n as u16));
        });
    }

    #[test]
    fn short_numbers(a in numbers::<u16, 8>(quarter), b in numbers::<u16, 8>(quarter), bits in proptest::collection::vec(0u16..8, 8)) {
        with_each!(|wide| {
            let (x, y) = (wide.short(&a), wide.gather_short(b));
            let bits: [u16; 8] = core::array::from_fn(|n| bits[n]);
            prop_assert_eq!(x.array(), a);
            prop_assert_eq!(y.array(), b);
            prop_assert_eq!(wide.splat_short(a[0]).array(), [a[0]; 8]);
            let both: [u16; 16] = core::array::from_fn(|n| if n < 8 { a[n] } else { b[n % 8] });
            prop_assert_eq!(x.with(y), both);
            prop_assert_eq!(x.or(y).array(), core::array::from_fn(|n| a[n] | b[n]));
            prop_assert_eq!(x.turned().array(), a.map(|n| !n));
            let there: [u16; 8] = core::array::from_fn(|n| if a[n] & (1 << bits[n]) != 0 { b[n] } else { 0 });
            prop_assert_eq!(x.where_bit(wide.short(&bits), y).array(), there);
            let least = a.iter().copied().min().unwrap_or(0);
            prop_assert_eq!(x.least(), (least, a.iter().position(|n| *n == least).unwrap_or(0)));
        });
    }
}
