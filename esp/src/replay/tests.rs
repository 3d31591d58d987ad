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
        let (mut at, mut spot) = (start, Spot::default());
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
            // Found again: what lies in the word of the highest number, but for the first word.
            let again = w.begin_again(&mut spot, low).map(|b| (b.number, b.place.map(|(_, seen, new)| (seen, new))));
            let beside = w.begin(low).ok().filter(|b| b.near >= BITS && b.place.is_some());
            prop_assert_eq!(again, beside.map(|b| (b.number, b.place.map(|(_, seen, new)| (seen, new)))), "again {} size {}", n, size);
            // Half of the packets as the lane does it, when the number is the one that is inferred.
            let begun = w.begin_again(&mut spot, low).or_else(|| w.begin(low).ok());
            match begun.filter(|b| b.number == n && r % 2 == 0) {
                Some(begun) => prop_assert_eq!(w.finish(&begun), want, "finish {} size {}", n, size),
                None => prop_assert_eq!(w.commit(n), want, "commit {} size {}", n, size),
            }
            prop_assert_eq!(w.top(), if size == 0 { w.top() } else { m.top });
        }
    }

    /// Many at once are what they are one by one, each with its ICV good or bad, whatever stands twice in a run.
    #[test]
    fn runs_are_the_naive_model(size in sizes(), start in prop_oneof![Just(0u64), Just((1 << 32) - 40), Just((7 << 32) - 3)], steps in walk()) {
        let w = ReplayWindow::new(size, true);
        let mut m = Model { seen: BTreeSet::new(), top: 0, size: u64::from(size) };
        let mut at = start;
        // An SA that was taken over: the numbers' high half is known.
        if start != 0 {
            prop_assert_eq!((w.commit(start), m.accept(start)), (Ok(()), Ok(())));
        }
        let mut run = Vec::new();
        for (kind, r) in steps {
            at = match kind {
                0..=5 => at + 1,
                6 => at + r % 70,
                7..=8 => at.saturating_sub(r % 40).max(start.saturating_sub(200)),
                _ => at,
            };
            // One in eight with a bad ICV.
            run.push((at, r % 8 != 0));
            if r % 5 == 0 {
                let got = accept_run(&w, &run);
                for ((n, good), got) in run.drain(..).zip(got) {
                    let want = if good { m.accept(n) } else { Err(DropReason::Integrity) };
                    // Which of two causes is named follows the order of the checks.
                    prop_assert_eq!(got.is_ok(), want.is_ok(), "{} {} size {}", n, good, size);
                    if good {
                        prop_assert_eq!(got, want, "{} size {}", n, size);
                    }
                }
                prop_assert_eq!(w.top(), if size == 0 { w.top() } else { m.top });
            }
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

/// The same with a place that is kept.
#[test]
fn every_interleaving_of_two_steps_again() {
    let accept = |w: &ReplayWindow<Modelled>, run: [u64; 2]| {
        let mut spot = Spot::default();
        run.map(|n| {
            let low = u32::try_from(n).unwrap();
            let begun = w.begin_again(&mut spot, low).map_or_else(|| w.begin(low), Ok);
            begun.and_then(|begun| w.finish(&begun))
        })
    };
    interleave_those(accept, accept);
}

/// The same for runs, beside another thread with a run, and beside one that goes one by one.
#[test]
fn every_interleaving_of_two_runs() {
    interleave_those(|w, run| both(w, run.map(|n| (n, true))), |w, run| both(w, run.map(|n| (n, true))));
}

/// See there.
#[test]
fn every_interleaving_of_a_run_and_a_single() {
    interleave_those(|w, run| both(w, run.map(|n| (n, true))), |w, run| run.map(|n| w.commit(n)));
}

/// A number whose ICV was bad in one thread's run is the other's to accept, and stays open when there is no other.
#[test]
fn every_interleaving_with_a_bad_icv() {
    for (ours, theirs) in [([5u64, 6], [5u64, 6]), ([5, 6], [7, 40]), ([5, 5], [4, 5])] {
        loom::model(move || {
            let w = loom::sync::Arc::new(ReplayWindow::<Modelled>::with_words(32, false));
            let other = loom::sync::Arc::clone(&w);
            let t = loom::thread::spawn(move || both(&other, theirs.map(|n| (n, true))));
            let [first, second] = ours;
            let mine = both(&w, [(first, false), (second, true)]);
            let their = t.join().unwrap();
            assert!(mine[0].is_err());
            let accepted = |n: u64| {
                let all = theirs.iter().zip(&their).chain([(&second, &mine[1])]);
                all.filter(|(m, r)| **m == n && r.is_ok()).count()
            };
            for n in 1..=40 {
                let open = w.commit(n).is_ok();
                assert!(accepted(n) <= 1 && !(open && accepted(n) == 1), "{n}");
                assert!(open || accepted(n) == 1 || w.top() - n >= 32, "{n} was taken by a bad ICV");
            }
        });
    }
}

fn both<W: Word>(w: &ReplayWindow<W>, run: [(u64, bool); 2]) -> [Result<(), DropReason>; 2] {
    accept_run(w, &run).try_into().unwrap()
}

/// As `plane/run.rs` does it: the numbers, each with whether its ICV is good.
fn accept_run<W: Word>(w: &ReplayWindow<W>, mut run: &[(u64, bool)]) -> Vec<Result<(), DropReason>> {
    #[allow(clippy::cast_possible_truncation, reason = "the low half is meant")]
    let low = |n: u64| n as u32;
    let mut all = Vec::new();
    while let Some(&(n, good)) = run.first() {
        let mut begun = 0;
        if let Some(mut gathered) = w.gather() {
            begun = run.iter().take_while(|(n, _)| gathered.begin(low(*n)) == Some(*n)).count();
            run[..begun].iter().filter(|(_, good)| *good).for_each(|(n, _)| gathered.good(*n));
            let told = gathered.finish(w);
            all.extend(run[..begun].iter().map(|(n, good)| match good {
                true if told => Ok(()),
                true => w.commit(*n),
                false => Err(DropReason::Integrity),
            }));
        }
        if begun == 0 {
            // One of another high half than is inferred has a bad ICV in truth, or is too old; here it is what it is.
            let one = w.check(n).and_then(|()| if good { w.commit(n) } else { Err(DropReason::Integrity) });
            all.push(one);
            begun = 1;
        }
        run = &run[begun..];
    }
    all
}

fn interleave(accept: fn(&ReplayWindow<Modelled>, u64) -> Result<(), DropReason>) {
    interleave_those(move |w, run| run.map(|n| accept(w, n)), move |w, run| run.map(|n| accept(w, n)));
}

fn interleave_those(
    accept: impl Fn(&ReplayWindow<Modelled>, [u64; 2]) -> [Result<(), DropReason>; 2] + Copy + Send + Sync + 'static,
    accept_other: impl Fn(&ReplayWindow<Modelled>, [u64; 2]) -> [Result<(), DropReason>; 2] + Copy + Send + Sync + 'static,
) {
    for (ours, theirs) in [
        ([1u64, 33], [1u64, 2]),
        ([5, 70], [5, 6]),
        ([40, 200], [41, 40]),
        ([40, 41], [42, 41]),
        ([40, 41], [42, 130]),
        ([3, 3], [130, 3]),
        ([7, 8], [8, 7]),
    ] {
        loom::model(move || {
            let w = loom::sync::Arc::new(ReplayWindow::<Modelled>::with_words(32, false));
            let other = loom::sync::Arc::clone(&w);
            let t = loom::thread::spawn(move || accept_other(&other, theirs));
            let mine = accept(&w, ours);
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

/// Between the look at the window and the step that tells it, another thread has moved on: what is too old now is refused.
#[test]
fn a_run_that_the_window_has_left() {
    let w = ReplayWindow::new(32, false);
    w.commit(3).unwrap();
    let mut gathered = w.gather().unwrap();
    assert_eq!(
        [gathered.begin(4), gathered.begin(30), gathered.begin(3), gathered.begin(4)],
        [Some(4), Some(30), None, None]
    );
    gathered.good(4);
    gathered.good(30);
    w.commit(50).unwrap();
    assert!(!gathered.finish(&w));
    assert_eq!((w.commit(4), w.commit(30)), (Err(DropReason::TooOld), Ok(())));
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
