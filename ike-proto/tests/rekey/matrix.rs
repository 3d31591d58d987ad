//! Every pair of things that two sides can do at once, in every order in which their messages can cross, with and
//! without losses. The second side begins at any point of the first side's exchange. After the wire is quiet and every
//! timer has fired, both sides hold the same SAs with the same keys, as many as there should be, and nothing besides.
//!
//! `docs/collisions.md` is written from the run: `RAVELIN_WRITE_DOCS=1` writes it, otherwise a stale one fails here.
//! `RAVELIN_LOSSES=n` sets how many datagrams of one run may be lost (1 unless told), `RAVELIN_PAIR=RekeyIkeRekeyIke`
//! plays one pair only.

use crate::document;
use crate::world::{World, hybrid};
use ravelin_ike_proto::Event;
use ravelin_ike_proto::sa::Lifecycle;
use ravelin_sa_db::{Instant, PolicyId};
use std::collections::BTreeMap;
use std::fmt::Write as _;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Act {
    NewChild,
    RekeyChild,
    DeleteChild,
    RekeyIke,
    DeleteIke,
}

const ACTS: [Act; 5] = [Act::NewChild, Act::RekeyChild, Act::DeleteChild, Act::RekeyIke, Act::DeleteIke];

impl Act {
    fn name(self) -> &'static str {
        match self {
            Self::NewChild => "new Child SA",
            Self::RekeyChild => "rekey Child SA",
            Self::DeleteChild => "delete Child SA",
            Self::RekeyIke => "rekey IKE SA",
            Self::DeleteIke => "delete IKE SA",
        }
    }

    /// Does it on a side; nothing when there is nothing to do it with any more.
    fn start(self, w: &mut World, at: usize) {
        let now = w.now();
        let ike = w.sides[at].endpoint.snapshot(Instant(0)).into_iter().rev();
        let ike = ike.filter(|s| s.state == Lifecycle::Established).map(|s| s.id).next();
        let first = w.sides[at].policy;
        let child = w.planes[at].outbound.values().rev().find(|p| p.policy == first).map(|p| p.child);
        let side = &mut w.sides[at];
        let (db, e) = (&side.db, &mut side.endpoint);
        // What is gone by now cannot be asked for: that is the answer of the API, and part of the matrix.
        let _ = match (self, ike, child) {
            (Self::NewChild, Some(_), _) => {
                let policy = PolicyId(first.0 + 1 + at as u32);
                e.initiate(now, db, side.peer, Some(policy)).map(|_| ())
            }
            (Self::RekeyChild, _, Some(child)) => e.rekey_child(now, db, child),
            (Self::DeleteChild, _, Some(child)) => e.delete_child(now, db, child),
            (Self::RekeyIke, Some(ike), _) => e.rekey(now, db, ike),
            (Self::DeleteIke, Some(ike), _) => e.delete(now, db, ike),
            _ => Ok(()),
        };
        w.collect();
    }
}

/// What is there in the end: IKE SAs, and Child SA pairs of the first policy and of the two others together.
fn expected(a: Act, b: Act) -> (usize, usize) {
    let has = |x| a == x || b == x;
    match () {
        () if has(Act::DeleteIke) => (0, 0),
        () if has(Act::DeleteChild) => (1, 0),
        () => (1, 1),
    }
}

/// Which key exchanges the SAs are made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Keys {
    /// One for IKE SAs, none for Child SAs.
    Plain,
    /// An additional one for both, so that every rekeying takes an IKE_FOLLOWUP_KE (RFC 9370 §2.2.4).
    Additional,
}

/// One run: at every point where there is a choice the script says which; after its end always the first.
fn play(keys: Keys, acts: [Act; 2], seed: u64, losses: usize, script: &[usize]) -> (Vec<(usize, usize)>, World) {
    let mut w = World::quick(seed, |p, t, c, _| {
        c.window = if seed == 3 { 2 } else { 1 };
        if keys == Keys::Additional {
            hybrid(p, t);
        }
    });
    if acts.contains(&Act::DeleteIke) {
        // Who deletes an IKE SA stops at once and is still sent to until its Delete arrives.
        w.busy.clear();
    }
    let (mut taken, mut lost, mut second) = (vec![], 0, false);
    acts[0].start(&mut w, 0);
    let until = w.now + 4_000_000_000;
    loop {
        let flying = w.flight.len();
        let may_lose = if lost < losses { flying } else { 0 };
        let options = flying + may_lose + usize::from(!second);
        if options == 0 {
            if w.tick(until) {
                continue;
            }
            return (taken, w);
        }
        let choice = if options == 1 { 0 } else { script.get(taken.len()).copied().unwrap_or(0) };
        if options > 1 {
            taken.push((choice, options));
        }
        if choice < flying {
            w.deliver(choice);
        } else if choice < flying + may_lose {
            w.flight.remove(choice - flying);
            lost += 1;
        } else {
            second = true;
            acts[1].start(&mut w, 1);
        }
        assert!(taken.len() < 400, "the peers never stop talking");
    }
}

/// Every script there is, one after another, depth first.
fn explore(keys: Keys, acts: [Act; 2], seed: u64, losses: usize, mut see: impl FnMut(&World)) -> usize {
    let (mut script, mut runs) = (vec![], 0);
    loop {
        let said = std::panic::catch_unwind(|| play(keys, acts, seed, losses, &script));
        let Ok((mut taken, w)) = said else {
            panic!("{keys:?} {acts:?} seed {seed} losses {losses} script {script:?}")
        };
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(acts, &w)));
        assert!(checked.is_ok(), "{keys:?} {acts:?} seed {seed} losses {losses} script {script:?}");
        runs += 1;
        see(&w);
        while taken.last().is_some_and(|(choice, options)| choice + 1 == *options) {
            taken.pop();
        }
        let Some(last) = taken.last_mut() else { return runs };
        last.0 += 1;
        script = taken.iter().map(|(choice, _)| *choice).collect();
    }
}

fn check(acts: [Act; 2], w: &World) {
    assert_eq!(w.deadline(), None, "a timer is left");
    w.assert_equal();
    let (ikes, children) = expected(acts[0], acts[1]);
    let [a, b] = [0, 1].map(|at| w.sides[at].endpoint.len());
    let first = w.sides[0].policy;
    // Who deletes an IKE SA may do so before the other side had begun.
    assert_eq!((a, b, w.count(first)), (ikes, ikes, children));
    let wanted = usize::from(ikes == 1) * acts.iter().filter(|a| **a == Act::NewChild).count();
    assert_eq!(w.planes[0].inbound.len() - w.count(first), wanted, "new Child SAs");
}

/// What happened, in a word, for the document.
fn story(w: &World) -> &'static str {
    let refused = |at| w.event(at, |e| matches!(e, Event::ChildRefused { .. }));
    let rekeyed = |at| w.event(at, |e| matches!(e, Event::ChildRekeyed { .. } | Event::Rekeyed { .. }));
    if refused(0) + refused(1) > 0 {
        return "refused";
    }
    match rekeyed(0).max(rekeyed(1)) {
        0 => "nothing rekeyed",
        1 => "rekeyed once",
        2 => "rekeyed twice",
        _ => "rekeyed more often",
    }
}

/// Orders of one pair, over all seeds: without losses, and with as many as the environment says, 1 unless told.
fn orders(keys: Keys, acts: [Act; 2], losses: usize) -> (usize, BTreeMap<&'static str, usize>) {
    let mut stories: BTreeMap<&str, usize> = BTreeMap::new();
    let one = |seed| explore(keys, acts, seed, losses, |w| *stories.entry(story(w)).or_default() += 1);
    ((1..=3).map(one).sum(), stories)
}

/// Plays every pair; the rows of the document, and how many runs there were without losses and with.
fn play_all(keys: Keys, losses: usize, only: Option<&str>) -> (String, usize, usize) {
    let (mut total, mut lossy) = (0, 0);
    let mut rows = String::new();
    for a in ACTS {
        for b in ACTS {
            if only.is_some_and(|o| *o != *format!("{a:?}{b:?}")) {
                continue;
            }
            let (runs, stories) = orders(keys, [a, b], 0);
            let (more, _) = if losses > 0 { orders(keys, [a, b], losses) } else { (0, BTreeMap::new()) };
            total += runs;
            lossy += more;
            println!("{keys:?} {a:?} {b:?} {runs} {more} {stories:?}");
            let (ikes, children) = expected(a, b);
            let new = ikes * [a, b].iter().filter(|x| **x == Act::NewChild).count();
            let seen: Vec<_> = stories.iter().map(|(k, n)| format!("{k}: {n}")).collect();
            let (a, b, seen) = (a.name(), b.name(), seen.join(", "));
            let with_losses = if keys == Keys::Plain { format!(" {more} |") } else { String::new() };
            let _ = writeln!(rows, "| {a} | {b} | {runs} |{with_losses} {seen} | {ikes} | {} |", children + new);
        }
    }
    println!("{keys:?}: {total} runs without losses, {lossy} with");
    (rows, total, lossy)
}

#[test]
fn every_pair_in_every_order() {
    let losses = std::env::var("RAVELIN_LOSSES").ok().and_then(|v| v.parse().ok()).unwrap_or(1);
    let only = std::env::var("RAVELIN_PAIR").ok();
    let (rows, total, lossy) = play_all(Keys::Plain, losses, only.as_deref());
    if only.is_none() && losses == 1 {
        document::check("matrix", &document::matrix(&rows, total, lossy));
    }
}

/// The same where every rekeying is a chain of exchanges; with losses only when `RAVELIN_FULL` says so.
#[test]
fn every_pair_in_every_order_with_additional_key_exchanges() {
    let full = std::env::var_os("RAVELIN_FULL").is_some();
    let losses = std::env::var("RAVELIN_LOSSES").ok().and_then(|v| v.parse().ok()).unwrap_or(usize::from(full));
    let only = std::env::var("RAVELIN_PAIR").ok();
    let (rows, total, _) = play_all(Keys::Additional, losses, only.as_deref());
    if only.is_none() {
        document::check("chains", &document::chains(&rows, total));
    }
}
