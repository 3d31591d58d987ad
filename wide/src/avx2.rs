//! The operations by AVX2: two registers for eight numbers of 64 bits.

use super::{Eight, Short, Wide};
use core::arch::x86_64::*;

proof! {
    /// The proof that this processor has AVX2, and the system keeps its registers.
    Avx2: "avx2,popcnt,bmi1,bmi2",
    "avx2" "popcnt" "bmi1" "bmi2"
}

/// Eight numbers of 64 bits.
#[derive(Clone, Copy, Debug)]
pub struct Numbers(__m256i, __m256i);

convert! {
    registers: [u64; 8] => [__m256i; 2];
    registers_of_halves: [u32; 16] => [__m256i; 2];
    short_register_of_lanes: [i32; 4] => __m128i;
    word: [i16; 4] => i64;
    numbers: [__m256i; 2] => [u64; 8];
    halves: __m256i => [u32; 8];
    all_halves: [__m256i; 2] => [u32; 16];
}

/// Which of four numbers are 0, a bit for each.
#[target_feature(enable = "avx2")]
#[inline]
fn zeros(all: __m256i) -> u32 {
    let which = _mm256_cmpeq_epi64(all, _mm256_setzero_si256());
    _mm256_movemask_pd(_mm256_castsi256_pd(which)).cast_unsigned()
}

/// The lower halves of eight numbers.
#[target_feature(enable = "avx2")]
#[inline]
fn lower(low: __m256i, high: __m256i) -> __m256i {
    let both = _mm256_shuffle_ps::<0x88>(_mm256_castsi256_ps(low), _mm256_castsi256_ps(high));
    _mm256_permute4x64_epi64::<0xD8>(_mm256_castps_si256(both))
}

/// As [`Eight::folded`].
#[target_feature(enable = "avx2")]
#[inline]
fn fold(a: __m256i, b: __m256i) -> __m256i {
    let up = |all| _mm256_srli_epi64::<32>(all);
    let low_half = |all| _mm256_and_si256(all, _mm256_set1_epi64x(0xFFFF_FFFF));
    let (a_up, b_up) = (up(a), up(b));
    let (low, one) = (_mm256_mul_epu32(a, b), _mm256_mul_epu32(a, b_up));
    let (two, high) = (_mm256_mul_epu32(a_up, b), _mm256_mul_epu32(a_up, b_up));
    let middle = _mm256_add_epi64(_mm256_add_epi64(up(low), low_half(one)), low_half(two));
    let high = _mm256_add_epi64(_mm256_add_epi64(high, up(one)), _mm256_add_epi64(up(two), up(middle)));
    _mm256_xor_si256(low_half(middle), up(high))
}

/// As [`Eight::product`].
#[target_feature(enable = "avx2")]
#[inline]
fn lower_product(a: __m256i, b: __m256i) -> __m256i {
    let cross = _mm256_mullo_epi32(a, _mm256_shuffle_epi32::<0xB1>(b));
    let cross = _mm256_add_epi32(cross, _mm256_srli_epi64::<32>(cross));
    _mm256_add_epi64(_mm256_mul_epu32(a, b), _mm256_slli_epi64::<32>(cross))
}

operations! { "avx2,popcnt,bmi1,bmi2", Wide for Avx2 {
        type Eight = Numbers;
        type Short = Quarters;
        #[inline(always)]
        fn run<R>(self, work: impl FnOnce() -> R) -> R {
            self.run_compiled(work)
        }
    }

    at_most(_wide, all: &[u32; 16], value: u32) -> u32 {
        let [a, b] = registers_of_halves(*all);
        let v = _mm256_set1_epi32(value.cast_signed());
        let le = |x| _mm256_cmpeq_epi32(_mm256_max_epu32(x, v), v);
        let both = _mm256_packs_epi32(le(a), le(b));
        _mm256_movemask_epi8(both).cast_unsigned().count_ones() / 2
    }

    pick(_wide, tags: &[u16; 8], tag: u16, short: &[u16; 8], long: &[u32; 8]) -> (u16, u32) {
        let which = _mm_cmpeq_epi16(short_register(*tags), _mm_set1_epi16(tag.cast_signed()));
        let which = _mm_movemask_epi8(which).cast_unsigned();
        // The first, of none any: no branch on whether there is one.
        let n = (which.trailing_zeros() / 2) as usize % 8;
        let there = u32::from(which != 0).wrapping_neg();
        let (short, long) = (short.get(n).copied().unwrap_or(0), long.get(n).copied().unwrap_or(0));
        (short & there as u16, long & there)
    }

    above(_wide, all: &[i32; 4], others: [u64; 2]) -> u8 {
        let [low, high] = others;
        let others = _mm_set_epi64x(high.cast_signed(), low.cast_signed());
        let more = _mm_cmpgt_epi32(short_register_of_lanes(*all), others);
        _mm_movemask_ps(_mm_castsi128_ps(more)) as u8
    }

    above_short(_wide, all: &[i16; 4], others: u64) -> u8 {
        let more = _mm_cmpgt_epi16(_mm_cvtsi64_si128(word(*all)), _mm_cvtsi64_si128(others.cast_signed()));
        _mm_movemask_epi8(_mm_packs_epi16(more, more)) as u8 & 15
    }

    first_in_all(_wide, rows: [&[u64; 8]; 5]) -> u32 {
        let [a, b, c, d, e] = rows;
        let ([a, f], [b, g], [c, h]) = (registers(*a), registers(*b), registers(*c));
        let ([d, i], [e, j]) = (registers(*d), registers(*e));
        let all = |a, b, c, d, e| _mm256_and_si256(_mm256_and_si256(a, b), _mm256_and_si256(_mm256_and_si256(c, d), e));
        let (low, high) = (all(a, b, c, d, e), all(f, g, h, i, j));
        let which = !(zeros(low) | (zeros(high) << 4)) & 255;
        let n = which.trailing_zeros();
        let word = numbers([low, high]).get(n as usize % 8).copied().unwrap_or(0);
        n.wrapping_mul(64).wrapping_add(word.trailing_zeros())
    }

    eight(_wide, all: &[u64; 8]) -> Numbers {
        let [low, high] = registers(*all);
        Numbers(low, high)
    }

    splat(_wide, one: u64) -> Numbers {
        let one = _mm256_set1_epi64x(one.cast_signed());
        Numbers(one, one)
    }

    short(_wide, all: &[u16; 8]) -> Quarters {
        Quarters(short_register(*all))
    }

    gather_short(_wide, all: [u16; 8]) -> Quarters {
        Quarters::gathered(all)
    }

    splat_short(_wide, one: u16) -> Quarters {
        Quarters(_mm_set1_epi16(one.cast_signed()))
    }
}

operations! { "avx2,popcnt,bmi1,bmi2", Eight for Numbers {
        type Short = Quarters;
    }

    array(all) -> [u64; 8] {
        numbers([all.0, all.1])
    }

    halves(all) -> [u32; 8] {
        halves(lower(all.0, all.1))
    }

    halves_with(all, others: Numbers) -> [u32; 16] {
        all_halves([lower(all.0, all.1), lower(others.0, others.1)])
    }

    quarters(all) -> Quarters {
        let low = _mm256_and_si256(lower(all.0, all.1), _mm256_set1_epi32(0xFFFF));
        Quarters(_mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256::<1>(low)))
    }

    and(all, other: Numbers) -> Numbers {
        Numbers(_mm256_and_si256(all.0, other.0), _mm256_and_si256(all.1, other.1))
    }

    or(all, other: Numbers) -> Numbers {
        Numbers(_mm256_or_si256(all.0, other.0), _mm256_or_si256(all.1, other.1))
    }

    xor(all, other: Numbers) -> Numbers {
        Numbers(_mm256_xor_si256(all.0, other.0), _mm256_xor_si256(all.1, other.1))
    }

    times(all, other: Numbers) -> Numbers {
        Numbers(_mm256_mul_epu32(all.0, other.0), _mm256_mul_epu32(all.1, other.1))
    }

    product(all, other: Numbers) -> Numbers {
        Numbers(lower_product(all.0, other.0), lower_product(all.1, other.1))
    }

    plus(all, other: Numbers) -> Numbers {
        Numbers(_mm256_add_epi64(all.0, other.0), _mm256_add_epi64(all.1, other.1))
    }

    left<N>(all) -> Numbers {
        let n = _mm_cvtsi32_si128(N.cast_signed());
        Numbers(_mm256_sll_epi64(all.0, n), _mm256_sll_epi64(all.1, n))
    }

    right<N>(all) -> Numbers {
        let n = _mm_cvtsi32_si128(N.cast_signed());
        Numbers(_mm256_srl_epi64(all.0, n), _mm256_srl_epi64(all.1, n))
    }

    folded(a, b: Numbers) -> Numbers {
        Numbers(fold(a.0, b.0), fold(a.1, b.1))
    }
}

quarters! { "avx2,popcnt,bmi1,bmi2",
    where_bit(all, numbers: Quarters, then: Quarters) -> Quarters {
        let bits = _mm_set_epi8(0, 0, 0, 0, 0, 0, 0, 0, -128, 64, 32, 16, 8, 4, 2, 1);
        let bit = _mm_shuffle_epi8(bits, _mm_or_si128(numbers.0, _mm_set1_epi16(-0x8000)));
        let which = _mm_cmpeq_epi16(_mm_and_si128(all.0, bit), bit);
        Quarters(_mm_and_si128(which, then.0))
    }
}
