//! The operations by AVX-512 with F, BW, DQ and VL.

use super::{Eight, Short, Wide};
use core::arch::x86_64::*;

proof! {
    /// The proof that this processor has AVX-512 with F, BW, DQ and VL, and the system keeps its registers.
    Avx512: "avx512f,avx512bw,avx512dq,avx512vl,popcnt,bmi1,bmi2",
    "avx512f" "avx512bw" "avx512dq" "avx512vl" "popcnt" "bmi1" "bmi2"
}

/// Eight numbers of 64 bits.
#[derive(Clone, Copy, Debug)]
pub struct Numbers(__m512i);

convert! {
    register: [u64; 8] => __m512i;
    register_of_halves: [u32; 16] => __m512i;
    half_register: [u32; 8] => __m256i;
    short_register_of_lanes: [i32; 4] => __m128i;
    word: [i16; 4] => i64;
    numbers: __m512i => [u64; 8];
    halves: __m256i => [u32; 8];
    all_halves: __m512i => [u32; 16];
}

operations! { "avx512f,avx512bw,avx512dq,avx512vl,popcnt,bmi1,bmi2", Wide for Avx512 {
        type Eight = Numbers;
        type Short = Quarters;
        #[inline(always)]
        fn run<R>(self, work: impl FnOnce() -> R) -> R {
            self.run_compiled(work)
        }
    }

    at_most(_wide, all: &[u32; 16], value: u32) -> u32 {
        let which = _mm512_cmple_epu32_mask(register_of_halves(*all), _mm512_set1_epi32(value.cast_signed()));
        which.count_ones()
    }

    pick(_wide, tags: &[u16; 8], tag: u16, short: &[u16; 8], long: &[u32; 8]) -> (u16, u32) {
        let which = _mm_cmpeq_epi16_mask(short_register(*tags), _mm_set1_epi16(tag.cast_signed()));
        let short = _mm256_maskz_compress_epi32(which, _mm256_cvtepu16_epi32(short_register(*short)));
        let long = _mm256_maskz_compress_epi32(which, half_register(*long));
        (_mm256_extract_epi32::<0>(short) as u16, _mm256_extract_epi32::<0>(long).cast_unsigned())
    }

    above(_wide, all: &[i32; 4], others: [u64; 2]) -> u8 {
        let [low, high] = others;
        let others = _mm_set_epi64x(high.cast_signed(), low.cast_signed());
        _mm_cmpgt_epi32_mask(short_register_of_lanes(*all), others)
    }

    above_short(_wide, all: &[i16; 4], others: u64) -> u8 {
        _mm_cmpgt_epi16_mask(_mm_cvtsi64_si128(word(*all)), _mm_cvtsi64_si128(others.cast_signed()))
    }

    first_in_all(_wide, rows: [&[u64; 8]; 5]) -> u32 {
        // Not by `map`, which is a call.
        let [a, b, c, d, e] = rows;
        let (a, b, c, d, e) = (register(*a), register(*b), register(*c), register(*d), register(*e));
        let all = _mm512_and_si512(_mm512_and_si512(a, b), _mm512_and_si512(_mm512_and_si512(c, d), e));
        let which = _mm512_test_epi64_mask(all, all);
        let word = _mm_cvtsi128_si64(_mm512_castsi512_si128(_mm512_maskz_compress_epi64(which, all)));
        which.trailing_zeros().wrapping_mul(64).wrapping_add(word.trailing_zeros())
    }

    eight(_wide, all: &[u64; 8]) -> Numbers {
        Numbers(register(*all))
    }

    splat(_wide, one: u64) -> Numbers {
        Numbers(_mm512_set1_epi64(one.cast_signed()))
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

operations! { "avx512f,avx512bw,avx512dq,avx512vl,popcnt,bmi1,bmi2", Eight for Numbers {
        type Short = Quarters;
    }

    array(all) -> [u64; 8] {
        numbers(all.0)
    }

    halves(all) -> [u32; 8] {
        halves(_mm512_cvtepi64_epi32(all.0))
    }

    halves_with(all, others: Numbers) -> [u32; 16] {
        let low = _mm512_castsi256_si512(_mm512_cvtepi64_epi32(all.0));
        all_halves(_mm512_inserti64x4::<1>(low, _mm512_cvtepi64_epi32(others.0)))
    }

    quarters(all) -> Quarters {
        Quarters(_mm512_cvtepi64_epi16(all.0))
    }

    and(all, other: Numbers) -> Numbers {
        Numbers(_mm512_and_si512(all.0, other.0))
    }

    or(all, other: Numbers) -> Numbers {
        Numbers(_mm512_or_si512(all.0, other.0))
    }

    xor(all, other: Numbers) -> Numbers {
        Numbers(_mm512_xor_si512(all.0, other.0))
    }

    times(all, other: Numbers) -> Numbers {
        Numbers(_mm512_mul_epu32(all.0, other.0))
    }

    product(all, other: Numbers) -> Numbers {
        Numbers(_mm512_mullo_epi64(all.0, other.0))
    }

    plus(all, other: Numbers) -> Numbers {
        Numbers(_mm512_add_epi64(all.0, other.0))
    }

    left<N>(all) -> Numbers {
        Numbers(_mm512_slli_epi64::<N>(all.0))
    }

    right<N>(all) -> Numbers {
        Numbers(_mm512_srli_epi64::<N>(all.0))
    }

    folded(a, b: Numbers) -> Numbers {
        let (a, b) = (a.0, b.0);
        let up = |all| _mm512_srli_epi64::<32>(all);
        let low_half = |all| _mm512_and_si512(all, _mm512_set1_epi64(0xFFFF_FFFF));
        let (a_up, b_up) = (up(a), up(b));
        let (low, one) = (_mm512_mul_epu32(a, b), _mm512_mul_epu32(a, b_up));
        let (two, high) = (_mm512_mul_epu32(a_up, b), _mm512_mul_epu32(a_up, b_up));
        let middle = _mm512_add_epi64(_mm512_add_epi64(up(low), low_half(one)), low_half(two));
        let high = _mm512_add_epi64(_mm512_add_epi64(high, up(one)), _mm512_add_epi64(up(two), up(middle)));
        Numbers(_mm512_xor_si512(low_half(middle), up(high)))
    }
}

quarters! { "avx512f,avx512bw,avx512dq,avx512vl,popcnt,bmi1,bmi2",
    where_bit(all, numbers: Quarters, then: Quarters) -> Quarters {
        let which = _mm_test_epi16_mask(_mm_srlv_epi16(all.0, numbers.0), _mm_set1_epi16(1));
        Quarters(_mm_maskz_mov_epi16(which, then.0))
    }
}
