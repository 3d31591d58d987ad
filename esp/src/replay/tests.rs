//! The window against a naive model, and RFC 4303 appendix A at the 2^32 edge.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::vec::Vec;

/// The naive model: every accepted number is remembered.
struct Model {
    seen: BTreeSet<u64>,
    top: u64,
    size: u64,
}

impl Model {
    fn accept(&mut self, n: u64) -> Result<(), DropReason> {
        if self.size == 0 {
            return Ok(());
        }
        if n == 0 || (n <= self.top && self.top - n >= self.size) {
            return Err(DropReason::TooOld);
        }
        if !self.seen.insert(n) {
            return Err(DropReason::Replay);
        }
        self.top = self.top.max(n);
        Ok(())
    }
}

fn sizes() -> impl Strategy<Value = u32> {
    prop_oneof![0u32..=4096, Just(1), Just(31), Just(32), Just(33), Just(64), (13u32..=20).prop_map(|s| 1 << s)]
}

/// Steps that wander, jump and go back, also across 2^32.
fn walk() -> impl Strategy<Value = Vec<(u8, u64)>> {
    prop::collection::vec((0u8..10, any::<u64>()), 1..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn window_is_the_naive_model(size in sizes(), start in prop_oneof![Just(0u64), Just((1 << 32) - 40), Just((7 << 32) - 3), any::<u32>().prop_map(u64::from)], steps in walk()) {
        let w = ReplayWindow::new(size, true);
        let mut m = Model { seen: BTreeSet::new(), top: 0, size: u64::from(size) };
        let mut at = start;
        for (kind, r) in steps {
            let n = match kind {
                0..=3 => { at += 1; at }
                4 => { at += r % (2 * u64::from(size) + 3); at }
                5 => { at += r % (1 << 34); at }
                6..=7 => at.saturating_sub(r % (u64::from(size) + 3)),
                8 => at.saturating_sub(r % (4 * u64::from(size) + 100)),
                _ => at,
            };
            let want = m.accept(n);
            #[allow(clippy::cast_possible_truncation, reason = "the low half is meant")]
            let low = n as u32;
            prop_assert_eq!(w.begin(low).map(|b| b.number), w.infer(low).and_then(|n| w.check(n).map(|()| n)), "begin {} size {}", n, size);
            if size != 0 {
                prop_assert_eq!(w.check(n), want, "check {} size {}", n, size);
            }
            // Half of the packets as the lane does it, when the number is the one that is inferred.
            match w.begin(low).ok().filter(|b| b.number == n && r % 2 == 0) {
                Some(begun) => prop_assert_eq!(w.finish(&begun), want, "finish {} size {}", n, size),
                None => prop_assert_eq!(w.commit(n), want, "commit {} size {}", n, size),
            }
            prop_assert_eq!(w.top(), if size == 0 { w.top() } else { m.top });
        }
    }

    /// The inferred number is the only one with these low bits in [top - W + 1, top - W + 2^32].
    #[test]
    fn inference_is_appendix_a(top in prop_oneof![any::<u64>().prop_map(|t| t >> 1), 0u64..10_000, (1u64 << 32) - 5000..(1 << 32) + 5000], window in 1u32..=1 << 20, low in any::<u32>()) {
        let bottom = i128::from(top) - i128::from(window) + 1;
        let mut want = (bottom & !0xffff_ffff) | i128::from(low);
        if want < bottom { want += 1 << 32; }
        prop_assert!(want >= bottom && want < bottom + (1 << 32));
        prop_assert_eq!(infer(top, window, low).ok().map(i128::from), (want >= 0).then_some(want));
    }
}

#[test]
fn edge_of_2_32_with_esn() {
    let w = ReplayWindow::new(64, true);
    w.commit(0xffff_fff0).unwrap();
    assert_eq!(w.infer(0xffff_fff5), Ok(0xffff_fff5));
    assert_eq!(w.infer(3), Ok(0x1_0000_0003));
    w.commit(0x1_0000_0003).unwrap();
    assert_eq!(w.infer(0xffff_fff5), Ok(0xffff_fff5));
    assert_eq!(w.check(0xffff_fff0), Err(DropReason::Replay));
    w.commit(0xffff_fff5).unwrap();
    assert_eq!(w.commit(0xffff_fff5), Err(DropReason::Replay));
}

#[test]
fn without_window_the_high_half_still_follows() {
    let w = ReplayWindow::new(0, true);
    for n in [1u64, 0xffff_ff00, 0x1_0000_0001, 0xffff_ffff, 0x1_0000_0002] {
        #[allow(clippy::cast_possible_truncation, reason = "the low half is meant")]
        let low = n as u32;
        // From 1 to 2^32 - 256 is a jump of more than half the space, which no guess can follow.
        if n != 0xffff_ff00 {
            assert_eq!(w.infer(low), Ok(n));
        }
        w.commit(n).unwrap();
    }
}

#[test]
fn sizes_that_can_be_had() {
    assert!(
        ReplayWindow::size_is_valid(0) && ReplayWindow::size_is_valid(4095) && ReplayWindow::size_is_valid(1 << 20)
    );
    assert!(!ReplayWindow::size_is_valid(4097) && !ReplayWindow::size_is_valid(1 << 21));
}

struct Modelled(loom::sync::atomic::AtomicU64);

impl Word for Modelled {
    fn make(value: u64) -> Self {
        Self(loom::sync::atomic::AtomicU64::new(value))
    }
    fn read(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
    fn swap(&self, old: u64, new: u64) -> Result<(), u64> {
        self.0.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).map(|_| ())
    }
    fn raise(&self, value: u64) {
        self.0.fetch_max(value, Ordering::AcqRel);
    }
}

/// Every interleaving of two threads (loom): a number both have is accepted once; one that only one has is accepted
/// unless the other has moved the window past it; what was accepted stays accepted.
#[test]
fn every_interleaving_of_two_threads() {
    interleave(|w, n| w.commit(n));
}

/// The same in the lane's two steps, with time for the other thread between them.
#[test]
fn every_interleaving_of_two_steps() {
    interleave(|w, n| w.begin(u32::try_from(n).unwrap()).and_then(|begun| w.finish(&begun)));
}

fn interleave(accept: fn(&ReplayWindow<Modelled>, u64) -> Result<(), DropReason>) {
    for (ours, theirs) in [([1u64, 33], [1u64, 2]), ([5, 70], [5, 6]), ([40, 200], [41, 40]), ([3, 3], [130, 3])] {
        loom::model(move || {
            let w = loom::sync::Arc::new(ReplayWindow::<Modelled>::with_words(32, false));
            let other = loom::sync::Arc::clone(&w);
            let t = loom::thread::spawn(move || theirs.map(|n| accept(&other, n)));
            let mine = ours.map(|n| accept(&w, n));
            let their = t.join().unwrap();
            let all: Vec<_> = ours.into_iter().zip(mine).chain(theirs.into_iter().zip(their)).collect();
            let top = all.iter().filter(|(_, r)| r.is_ok()).map(|(n, _)| *n).max().unwrap();
            assert_eq!(w.top(), top);
            for (n, r) in &all {
                let accepted = all.iter().filter(|(m, r)| m == n && r.is_ok()).count();
                assert!(accepted <= 1, "{n} twice");
                match r {
                    Ok(()) => assert!(w.commit(*n).is_err()),
                    Err(DropReason::Replay) => assert_eq!(accepted, 1, "{n} is no replay"),
                    Err(_) => assert!(top - n >= 32, "{n} was inside the window"),
                }
            }
        });
    }
}

/// Four threads offer the same numbers in different orders: each is accepted exactly once or was too old.
#[test]
fn exact_under_threads() {
    for size in [32u32, 64, 1024, 4096] {
        let w = ReplayWindow::new(size, true);
        let total = 40_000u64;
        let counts: Vec<_> = (0..=total).map(|_| AtomicU64::new(0)).collect();
        let refused_in_window = AtomicU64::new(0);
        std::thread::scope(|t| {
            for k in 0..4u64 {
                let (w, counts, refused) = (&w, &counts, &refused_in_window);
                t.spawn(move || {
                    for i in 1..=total {
                        // The same numbers, locally shuffled in another way by each thread.
                        let n = (((i - 1) ^ (k * 5)) % total) + 1;
                        match w.commit(n) {
                            Ok(()) => {
                                counts[n as usize].fetch_add(1, Ordering::Relaxed);
                            }
                            // Whoever made it too old has set its bit already and raises `top` next.
                            Err(DropReason::TooOld) => {
                                let raised = (0..1_000_000).any(|_| {
                                    std::thread::yield_now();
                                    w.top() >= n + u64::from(size)
                                });
                                refused.fetch_add(u64::from(!raised), Ordering::Relaxed);
                            }
                            Err(_) => {}
                        }
                    }
                });
            }
        });
        assert_eq!(refused_in_window.load(Ordering::Relaxed), 0);
        assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) <= 1), "accepted twice, size {size}");
        if size == 4096 {
            let got: u64 = counts.iter().map(|c| c.load(Ordering::Relaxed)).sum();
            assert!(got > total / 2);
        }
    }
}

/// RFC 4303 appendix A2.2, at the octet: with T = 1000 and a window of 64, 937 is the oldest number inside; what is below it
/// can only be of the next subspace. And with a window that spans two subspaces.
#[test]
fn the_lower_edge_of_the_window_decides_the_high_half() {
    let infer = |top: u64, low: u32| infer(top, 64, low).unwrap();
    let (t, next) = ((5 << 32) | 1000, 6 << 32);
    assert_eq!([infer(t, 937), infer(t, 936), infer(t, 1000), infer(t, 1001)], [t - 63, next | 936, t, t + 1]);
    let low = (5 << 32) | 10;
    assert_eq!([infer(low, 0xFFFF_FFCB), infer(low, 0xFFFF_FFCA)], [low - 63, (5 << 32) | 0xFFFF_FFCA]);
}
