//! What a lookup is compiled for: processors at large ([`Plain`]), or those with AVX-512 ([`Wide`]), chosen when the
//! tree is made. Both find the same; the steps that differ are told apart by [`Lanes::wide`], which is known when they
//! are compiled. `tests.rs` asks both.

use ravelin_wide::Wide;

/// One of the two.
pub(super) trait Lanes: Copy {
    /// The proof that the processor has AVX-512, for work that is compiled for it.
    fn wide(self) -> Option<Wide>;

    /// Does work in code compiled for these processors. Functions that are not inlined into it have to do so again.
    fn run<R>(self, work: impl FnOnce() -> R) -> R;
}

/// What every processor can.
#[derive(Clone, Copy)]
pub(super) struct Plain;

impl Lanes for Plain {
    #[inline(always)]
    fn wide(self) -> Option<Wide> {
        None
    }

    #[inline(always)]
    fn run<R>(self, work: impl FnOnce() -> R) -> R {
        work()
    }
}

impl Lanes for Wide {
    #[inline(always)]
    fn wide(self) -> Option<Wide> {
        Some(self)
    }

    #[inline(always)]
    fn run<R>(self, work: impl FnOnce() -> R) -> R {
        Wide::run(self, work)
    }
}
