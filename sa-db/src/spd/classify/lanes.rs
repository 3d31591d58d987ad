//! What a lookup is compiled for: processors at large ([`Plain`]), those with AVX2 or with AVX-512 ([`Wide`]), chosen when the
//! tree is made ([`Processor`]). All find the same; the steps that differ are told apart by [`Lanes::wide`], which is known
//! when they are compiled. `tests.rs` asks all that this machine has. Another kind of processors goes into `ravelin-wide` and,
//! by its name, here.

use ravelin_wide::{Avx2, Avx512, Nobody, Wide};

/// One of them.
pub(super) trait Lanes: Copy {
    type Wide: Wide;

    /// The proof that the processor has more than all have, for work that is compiled for it.
    fn wide(self) -> Option<Self::Wide>;

    /// Does work in code compiled for these processors. Functions that are not inlined into it have to do so again.
    fn run<R>(self, work: impl FnOnce() -> R) -> R;
}

/// What every processor can.
#[derive(Clone, Copy)]
pub(super) struct Plain;

impl Lanes for Plain {
    type Wide = Nobody;

    #[inline(always)]
    fn wide(self) -> Option<Nobody> {
        None
    }

    #[inline(always)]
    fn run<R>(self, work: impl FnOnce() -> R) -> R {
        work()
    }
}

/// What some can.
#[derive(Clone, Copy)]
pub(super) struct By<W>(pub(super) W);

impl<W: Wide> Lanes for By<W> {
    type Wide = W;

    #[inline(always)]
    fn wide(self) -> Option<W> {
        Some(self.0)
    }

    #[inline(always)]
    fn run<R>(self, work: impl FnOnce() -> R) -> R {
        self.0.run(work)
    }
}

/// Instructions that policy lookups can use, in the order in which they are preferred: the last that the processor has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Instructions {
    /// What every processor of the target has.
    Any,
    /// AVX2 with POPCNT, BMI1 and BMI2.
    Avx2,
    /// AVX-512 with F, BW, DQ and VL, POPCNT, BMI1 and BMI2.
    Avx512,
}

/// What this processor has, with the proof.
#[derive(Clone, Copy, Debug)]
pub(super) enum Processor {
    Any,
    Avx2(Avx2),
    Avx512(Avx512),
}

impl Processor {
    /// The best that this one has.
    #[inline]
    pub(super) fn detect() -> Self {
        Self::with_at_most(Instructions::Avx512)
    }

    /// The best that this one has of these and those before them.
    pub(super) fn with_at_most(most: Instructions) -> Self {
        let avx512 = || Avx512::detect().filter(|_| most >= Instructions::Avx512).map(Self::Avx512);
        let avx2 = || Avx2::detect().filter(|_| most >= Instructions::Avx2).map(Self::Avx2);
        avx512().or_else(avx2).unwrap_or(Self::Any)
    }

    /// Without the proof.
    pub(super) fn instructions(self) -> Instructions {
        match self {
            Self::Any => Instructions::Any,
            Self::Avx2(_) => Instructions::Avx2,
            Self::Avx512(_) => Instructions::Avx512,
        }
    }
}
