//! The operations by AVX-512.
//!
//! Every operation is compiled for such processors, where its instructions are safe to use; what is not safe is to call it
//! from code that is compiled for any. That is done in one place, the macro `operations`, by the proof that each of them
//! is a method of. No operation takes or makes a pointer. Seen under AddressSanitizer:
//! `RUSTFLAGS=-Zsanitizer=address cargo +nightly test -p ravelin-wide -p ravelin-sa-db --lib --target x86_64-unknown-linux-gnu`.

use core::arch::x86_64::*;
use core::mem::transmute;

cpufeatures::new!(has, "avx512f", "avx512bw", "avx512dq", "avx512vl", "popcnt", "bmi1", "bmi2");

/// The proof that this processor has AVX-512 with F, BW, DQ and VL, and the system keeps its registers.
#[derive(Clone, Copy, Debug)]
pub struct Wide(());

/// Eight numbers of 64 bits. Nobody has them who has no [`Wide`].
#[derive(Clone, Copy, Debug)]
pub struct Eight(__m512i);

/// Eight numbers of 16 bits. Nobody has them who has no [`Wide`].
#[derive(Clone, Copy, Debug)]
pub struct Short(__m128i);

/// `work`, compiled for these processors.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,popcnt,bmi1,bmi2")]
fn compiled_for_it<R>(work: impl FnOnce() -> R) -> R {
    work()
}

impl Wide {
    /// The proof, where the processor and the system give it. Asks the processor once in the life of a program.
    #[must_use]
    #[inline]
    pub fn detect() -> Option<Self> {
        has::get().then_some(Self(()))
    }

    /// Does work in code that is compiled for these processors. What it calls is only if it is inlined: closures given to
    /// others seldom are.
    #[inline(always)]
    pub fn run<R>(self, work: impl FnOnce() -> R) -> R {
        // SAFETY: the processor has all that the function is compiled for: a `Wide` is made by `detect` alone.
        unsafe { compiled_for_it(work) }
    }
}

/// Methods whose bodies are compiled for these processors: `self` has another name in them.
macro_rules! operations {
    ($of:ident: $($(#[$doc:meta])* $name:ident $(<$n:ident>)? ($this:ident $(, $arg:ident: $type:ty)*) -> $to:ty $body:block)*) => {
        impl $of {
            $($(#[$doc])*
            #[must_use]
            #[inline(always)]
            pub fn $name $(<const $n: u32>)? (self $(, $arg: $type)*) -> $to {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,popcnt,bmi1,bmi2")]
                #[inline]
                fn operation $(<const $n: u32>)? ($this: $of $(, $arg: $type)*) -> $to $body
                // SAFETY: the processor has all that the function is compiled for: a `Wide` is made by `Wide::detect`
                // alone, an `Eight` or a `Short` by a `Wide` or another one of them.
                unsafe { operation $(::<$n>)? (self $(, $arg)*) }
            })*
        }
    };
}

/// A register and an array of the same length: every value of either is one of the other.
macro_rules! convert {
    ($($name:ident: $from:ty => $to:ty;)*) => {
        $(#[inline(always)]
        fn $name(all: $from) -> $to {
            // SAFETY: both are as long, which the compiler checks, and made of integers, of which every value is one.
            unsafe { transmute::<$from, $to>(all) }
        })*
    };
}

convert! {
    register: [u64; 8] => __m512i;
    register_of_halves: [u32; 16] => __m512i;
    half_register: [u32; 8] => __m256i;
    short_register: [u16; 8] => __m128i;
    short_register_of_lanes: [i32; 4] => __m128i;
    word: [i16; 4] => i64;
    numbers: __m512i => [u64; 8];
    halves: __m256i => [u32; 8];
    all_halves: __m512i => [u32; 16];
    quarters: __m128i => [u16; 8];
    all_quarters: __m256i => [u16; 16];
}

operations! { Wide:
    /// How many of sixteen numbers are at most `value`.
    at_most(_wide, all: &[u32; 16], value: u32) -> u32 {
        let which = _mm512_cmple_epu32_mask(register_of_halves(*all), _mm512_set1_epi32(value.cast_signed()));
        which.count_ones()
    }

    /// What stands beside the one of eight tags that is this one, in two lists; zeros where none is. Of several the first.
    pick(_wide, tags: &[u16; 8], tag: u16, short: &[u16; 8], long: &[u32; 8]) -> (u16, u32) {
        let which = _mm_cmpeq_epi16_mask(short_register(*tags), _mm_set1_epi16(tag.cast_signed()));
        let short = _mm256_maskz_compress_epi32(which, _mm256_cvtepu16_epi32(short_register(*short)));
        let long = _mm256_maskz_compress_epi32(which, half_register(*long));
        (_mm256_extract_epi32::<0>(short) as u16, _mm256_extract_epi32::<0>(long).cast_unsigned())
    }

    /// Which of four numbers are above those beside them, a bit for each; two of them in each half of `others`, the lower
    /// first.
    above(_wide, all: &[i32; 4], others: [u64; 2]) -> u8 {
        let [low, high] = others;
        let others = _mm_set_epi64x(high.cast_signed(), low.cast_signed());
        _mm_cmpgt_epi32_mask(short_register_of_lanes(*all), others)
    }

    /// [`Wide::above`] for numbers of half the length, four in one.
    above_short(_wide, all: &[i16; 4], others: u64) -> u8 {
        _mm_cmpgt_epi16_mask(_mm_cvtsi64_si128(word(*all)), _mm_cvtsi64_si128(others.cast_signed()))
    }

    /// The first bit of 512 that is set in all of five rows; 512 or more without one.
    first_in_all(_wide, rows: [&[u64; 8]; 5]) -> u32 {
        // Not by `map`, which is a call.
        let [a, b, c, d, e] = rows;
        let (a, b, c, d, e) = (register(*a), register(*b), register(*c), register(*d), register(*e));
        let all = _mm512_and_si512(_mm512_and_si512(a, b), _mm512_and_si512(_mm512_and_si512(c, d), e));
        let which = _mm512_test_epi64_mask(all, all);
        let word = _mm_cvtsi128_si64(_mm512_castsi512_si128(_mm512_maskz_compress_epi64(which, all)));
        which.trailing_zeros().wrapping_mul(64).wrapping_add(word.trailing_zeros())
    }

    /// Eight numbers that are side by side in memory.
    eight(_wide, all: &[u64; 8]) -> Eight {
        Eight(register(*all))
    }

    /// Eight numbers that are not: what is stored in pieces and read as one has to be waited for.
    gather(_wide, all: [u64; 8]) -> Eight {
        let [a, b, c, d, e, f, g, h] = all;
        let (a, b, c, d) = (a.cast_signed(), b.cast_signed(), c.cast_signed(), d.cast_signed());
        let (e, f, g, h) = (e.cast_signed(), f.cast_signed(), g.cast_signed(), h.cast_signed());
        Eight(_mm512_set_epi64(h, g, f, e, d, c, b, a))
    }

    /// The same number eight times.
    splat(_wide, one: u64) -> Eight {
        Eight(_mm512_set1_epi64(one.cast_signed()))
    }

    /// As [`Wide::eight`].
    short(_wide, all: &[u16; 8]) -> Short {
        Short(short_register(*all))
    }

    /// As [`Wide::gather`].
    gather_short(_wide, all: [u16; 8]) -> Short {
        let [a, b, c, d, e, f, g, h] = all;
        let (a, b, c, d) = (a.cast_signed(), b.cast_signed(), c.cast_signed(), d.cast_signed());
        let (e, f, g, h) = (e.cast_signed(), f.cast_signed(), g.cast_signed(), h.cast_signed());
        Short(_mm_set_epi16(h, g, f, e, d, c, b, a))
    }

    /// As [`Wide::splat`].
    splat_short(_wide, one: u16) -> Short {
        Short(_mm_set1_epi16(one.cast_signed()))
    }
}

operations! { Eight:
    /// The numbers.
    array(all) -> [u64; 8] {
        numbers(all.0)
    }

    /// The lower halves of the numbers.
    halves(all) -> [u32; 8] {
        halves(_mm512_cvtepi64_epi32(all.0))
    }

    /// The lower halves of the numbers and of eight others, side by side in one register.
    halves_with(all, others: Eight) -> [u32; 16] {
        let low = _mm512_castsi256_si512(_mm512_cvtepi64_epi32(all.0));
        all_halves(_mm512_inserti64x4::<1>(low, _mm512_cvtepi64_epi32(others.0)))
    }

    /// The lowest quarters of the numbers.
    quarters(all) -> Short {
        Short(_mm512_cvtepi64_epi16(all.0))
    }

    /// `self & other`.
    and(all, other: Eight) -> Eight {
        Eight(_mm512_and_si512(all.0, other.0))
    }

    /// `self | other`.
    or(all, other: Eight) -> Eight {
        Eight(_mm512_or_si512(all.0, other.0))
    }

    /// `self ^ other`.
    xor(all, other: Eight) -> Eight {
        Eight(_mm512_xor_si512(all.0, other.0))
    }

    /// The product of the lower halves.
    times(all, other: Eight) -> Eight {
        Eight(_mm512_mul_epu32(all.0, other.0))
    }

    /// The lower half of the product.
    product(all, other: Eight) -> Eight {
        Eight(_mm512_mullo_epi64(all.0, other.0))
    }

    /// `self + other`, without what is carried out.
    plus(all, other: Eight) -> Eight {
        Eight(_mm512_add_epi64(all.0, other.0))
    }

    /// `self << N`.
    left<N>(all) -> Eight {
        Eight(_mm512_slli_epi64::<N>(all.0))
    }

    /// `self >> N`.
    right<N>(all) -> Eight {
        Eight(_mm512_srli_epi64::<N>(all.0))
    }

    /// The product of each two folded: its halves exclusive or each other, and of that the upper half.
    folded(a, b: Eight) -> Eight {
        let (a, b) = (a.0, b.0);
        let up = |all| _mm512_srli_epi64::<32>(all);
        let low_half = |all| _mm512_and_si512(all, _mm512_set1_epi64(0xFFFF_FFFF));
        let (a_up, b_up) = (up(a), up(b));
        let (low, one) = (_mm512_mul_epu32(a, b), _mm512_mul_epu32(a, b_up));
        let (two, high) = (_mm512_mul_epu32(a_up, b), _mm512_mul_epu32(a_up, b_up));
        let middle = _mm512_add_epi64(_mm512_add_epi64(up(low), low_half(one)), low_half(two));
        let high = _mm512_add_epi64(_mm512_add_epi64(high, up(one)), _mm512_add_epi64(up(two), up(middle)));
        Eight(_mm512_xor_si512(low_half(middle), up(high)))
    }
}

operations! { Short:
    /// The numbers.
    array(all) -> [u16; 8] {
        quarters(all.0)
    }

    /// The numbers and eight others, side by side in one register.
    with(all, others: Short) -> [u16; 16] {
        all_quarters(_mm256_set_m128i(others.0, all.0))
    }

    /// `self | other`.
    or(all, other: Short) -> Short {
        Short(_mm_or_si128(all.0, other.0))
    }

    /// `!self`.
    turned(all) -> Short {
        Short(_mm_xor_si128(all.0, _mm_set1_epi16(-1)))
    }

    /// Each of `then` where this has the bit of that number, elsewhere 0.
    where_bit(all, numbers: Short, then: Short) -> Short {
        let which = _mm_test_epi16_mask(_mm_srlv_epi16(all.0, numbers.0), _mm_set1_epi16(1));
        Short(_mm_maskz_mov_epi16(which, then.0))
    }

    /// The least, and which it is: the first of several.
    least(all) -> (u16, usize) {
        let found = _mm_cvtsi128_si32(_mm_minpos_epu16(all.0)).cast_unsigned();
        (found as u16, (found >> 16) as usize)
    }
}
