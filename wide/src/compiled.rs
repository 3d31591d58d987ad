//! How operations are compiled for a kind of processors and called from code that is compiled for any.
//!
//! Every operation is compiled for such processors, where its instructions are safe to use; what is not safe is to call it
//! from elsewhere. That is done in one place, the macro `operations`, by the proof that each of them is a method of, and
//! in one more by `proof`. No operation takes or makes a pointer. Seen under AddressSanitizer:
//! `RUSTFLAGS=-Zsanitizer=address cargo +nightly test -p ravelin-wide -p ravelin-sa-db --lib --target x86_64-unknown-linux-gnu`.

/// A proof, by what the processor has to have: names for `cpufeatures`, and the same in one word for the compiler.
macro_rules! proof {
    ($(#[$doc:meta])* $name:ident: $features:literal, $($feature:tt)*) => {
        cpufeatures::new!(has, $($feature),*);

        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name(());

        impl $name {
            /// The proof, where the processor and the system give it. Asks the processor once in the life of a program.
            #[must_use]
            #[inline]
            pub fn detect() -> Option<Self> {
                has::get().then_some(Self(()))
            }
        }

        /// `work`, compiled for these processors.
        #[target_feature(enable = $features)]
        fn compiled_for_it<R>(work: impl FnOnce() -> R) -> R {
            work()
        }

        impl $name {
            #[inline(always)]
            fn run_compiled<R>(self, work: impl FnOnce() -> R) -> R {
                // SAFETY: the processor has all that the function is compiled for: a proof is made by `detect` alone.
                unsafe { compiled_for_it(work) }
            }
        }
    };
}

/// Methods of a trait whose bodies are compiled for these processors: `self` has another name in them. What is in the braces
/// before them is part of the trait as well.
macro_rules! operations {
    ($features:literal, $trait:ident for $of:ident { $($more:tt)* }
        $($name:ident $(<$n:ident>)? ($this:ident $(, $arg:ident: $type:ty)*) -> $to:ty $body:block)*) => {
        impl $trait for $of {
            $($more)*
            $(#[inline(always)]
            fn $name $(<const $n: u32>)? (self $(, $arg: $type)*) -> $to {
                #[target_feature(enable = $features)]
                #[inline]
                fn operation $(<const $n: u32>)? ($this: $of $(, $arg: $type)*) -> $to $body
                // SAFETY: the processor has all that the function is compiled for: a proof is made by `detect` alone, and
                // registers by a proof or by each other.
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
            unsafe { core::mem::transmute::<$from, $to>(all) }
        })*
    };
}

/// Eight numbers of 16 bits, in one register of 128 on all of these processors, and what is done with them by the same
/// instructions; what is given is done by others.
macro_rules! quarters {
    ($features:literal, $($other:tt)*) => {
        /// Eight numbers of 16 bits.
        #[derive(Clone, Copy, Debug)]
        pub struct Quarters(__m128i);

        convert! {
            short_register: [u16; 8] => __m128i;
            quarters: __m128i => [u16; 8];
            all_quarters: __m256i => [u16; 16];
        }

        impl Quarters {
            /// As [`Wide::gather_short`].
            #[target_feature(enable = $features)]
            #[inline]
            fn gathered(all: [u16; 8]) -> Self {
                let [a, b, c, d, e, f, g, h] = all;
                let (a, b, c, d) = (a.cast_signed(), b.cast_signed(), c.cast_signed(), d.cast_signed());
                let (e, f, g, h) = (e.cast_signed(), f.cast_signed(), g.cast_signed(), h.cast_signed());
                Self(_mm_set_epi16(h, g, f, e, d, c, b, a))
            }
        }

        operations! { $features, Short for Quarters {}

            array(all) -> [u16; 8] {
                quarters(all.0)
            }

            with(all, others: Quarters) -> [u16; 16] {
                all_quarters(_mm256_set_m128i(others.0, all.0))
            }

            or(all, other: Quarters) -> Quarters {
                Quarters(_mm_or_si128(all.0, other.0))
            }

            turned(all) -> Quarters {
                Quarters(_mm_xor_si128(all.0, _mm_set1_epi16(-1)))
            }

            least(all) -> (u16, usize) {
                let found = _mm_cvtsi128_si32(_mm_minpos_epu16(all.0)).cast_unsigned();
                (found as u16, (found >> 16) as usize)
            }

            $($other)*
        }
    };
}
