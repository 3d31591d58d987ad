//! Random schedules: operator commands and network events in random order while the network is bad; then the network
//! heals, and both nodes must converge: the same SAs on both sides with equal keys, traffic both ways, nothing left over,
//! and at the end, after shutdown, nothing at all: no SA, no timer, and no more memory than a node that has seen nothing.
//!
//! A schedule is made of a seed. One that fails is shrunk by leaving out steps and simplifying its setting, and printed
//! with its seed as Rust that can be pasted into a test. To add a kind of step: a variant of [`Step`], a line in
//! `Schedule::random` and an arm in `one`.

use crate::host::Host;
use crate::net::Link;
use crate::setting::{Setting, Stage};
use crate::sim::Sim;
use crate::time::{millis, minutes, secs};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use ravelin::db::pad::Uniqueness;
use ravelin::{Path, Provider};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// How bad the network is, in per cent and milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Weather {
    /// Lost datagrams.
    pub loss: u8,
    /// Datagrams that come twice.
    pub duplicate: u8,
    /// Datagrams that are overtaken.
    pub reorder: u8,
    /// Evenly added delay, at most.
    pub jitter: u16,
}

/// One thing that happens. `true` means host a, `false` host b. Times are milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Time passes.
    Wait(u64),
    /// A host initiates.
    Initiate(bool),
    /// A host asks for a Child SA for its second policy.
    Second(bool),
    /// A host deletes its IKE SAs.
    Delete(bool),
    /// A host deletes its oldest Child SA.
    DeleteChild(bool),
    /// A host rekeys its IKE SAs.
    Rekey(bool),
    /// A host rekeys its Child SAs.
    RekeyChildren(bool),
    /// A host authenticates anew.
    Reauth(bool),
    /// A host asks whether the other lives.
    Probe(bool),
    /// A host sends a packet, which may start a negotiation.
    Send(bool),
    /// A host starts afresh.
    Restart(bool),
    /// A host sleeps.
    Suspend(bool, u64),
    /// The wall clock of a host steps by so many seconds.
    Clock(bool, i32),
    /// An address of a host comes or goes.
    Address(bool, u8),
    /// The operator moves the IKE SAs of a host to the address that it has last.
    Roam(bool),
    /// The NAT box forgets its mappings.
    Rebind,
    /// The network gets this bad.
    Network(Weather),
    /// Nothing passes from a to b (true) or from b to a (false).
    Cut(bool),
    /// Nothing passes at all.
    Partition,
    /// The network is perfect.
    Perfect,
}

/// A seed, two nodes and what happens.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// For the simulation.
    pub seed: u64,
    /// What the nodes are like.
    pub setting: Setting,
    /// In this order.
    pub steps: Vec<Step>,
}

/// What came of a schedule in which all went well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Played {
    /// Virtual time that passed.
    pub time: Duration,
    /// Datagrams on the wire.
    pub datagrams: u64,
    /// Octets of the heap that the heavier node had more than a fresh one, after all was over.
    pub kept: usize,
}

/// A node that has closed everything may weigh so much more than a fresh one: queues keep some capacity.
const MOST_KEPT: usize = 64 << 10;

impl Schedule {
    /// A random schedule of about ten minutes.
    #[must_use]
    pub fn random(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed ^ 0x5C4E_D01E);
        let mut below = move |n: u64| rng.next_u64() % n;
        let setting = Setting::random(&mut below);
        let (mut steps, mut time) = (Vec::new(), 0);
        while time < 600_000 {
            steps.push(random_step(&mut below));
            // Often things happen at the same moment, sometimes much later.
            let pause = match below(4) {
                0 => 0,
                1 => below(50),
                2 => below(5_000),
                _ => below(60_000),
            };
            if pause > 0 {
                steps.push(Step::Wait(pause));
                time += pause;
            }
        }
        Self { seed, setting, steps }
    }

    /// Plays it, heals, and demands convergence; `None` when that fails. `loud`: then tells what happened. `heap` says how
    /// many octets are allocated now, in the whole process.
    pub fn play(&self, crypto: &Arc<Provider>, heap: &dyn Fn() -> usize, loud: bool) -> Option<Played> {
        let mut sim = Sim::with_crypto(self.seed, Arc::clone(crypto));
        sim.quiet();
        let stage = self.setting.build(&mut sim);
        let played = catch_unwind(AssertUnwindSafe(|| {
            self.steps.iter().for_each(|step| one(&mut sim, *step, &stage));
            converge(&mut sim, &stage);
            let time = sim.now().since(ravelin::Instant(0));
            let kept = [stage.a, stage.b].map(|host| {
                let (old, fresh) = sim.weigh(host, heap);
                old.saturating_sub(fresh)
            });
            let kept = kept[0].max(kept[1]);
            assert!(kept <= MOST_KEPT, "{kept} octets more than a fresh node");
            Played { time, datagrams: sim.datagrams(), kept }
        }));
        if played.is_err() && loud {
            sim.tell();
        }
        played.ok()
    }

    /// Leaves out steps as long as the schedule still fails, and simplifies the setting.
    #[must_use]
    pub fn shrink(&self, fails: impl Fn(&Self) -> bool) -> Self {
        let mut best = self.clone();
        let mut chunk = best.steps.len() / 2;
        while chunk > 0 {
            let mut at = 0;
            while at < best.steps.len() {
                let mut less = best.clone();
                less.steps.drain(at..(at + chunk).min(less.steps.len()));
                if fails(&less) {
                    best = less;
                } else {
                    at += chunk;
                }
            }
            chunk /= 2;
        }
        for plain in plainer() {
            let mut less = best.clone();
            plain(&mut less.setting);
            if less.setting != best.setting && fails(&less) {
                best = less;
            }
        }
        best
    }

    /// The steps as Rust that can be pasted into a test.
    #[must_use]
    pub fn print(&self) -> String {
        let mut text = format!("Schedule {{ seed: {}, setting: {:?}, steps: vec![\n", self.seed, self.setting);
        for step in &self.steps {
            let _ = writeln!(text, "    {step:?},");
        }
        text + "] }"
    }
}

/// Ways to make a setting more like the default one.
fn plainer() -> [fn(&mut Setting); 11] {
    [
        |s| s.nat = None,
        |s| s.window = 1,
        |s| s.make_before_break = true,
        |s| s.mobike = false,
        |s| s.short = false,
        |s| s.uniqueness = Setting::default().uniqueness,
        |s| s.action = Setting::default().action,
        |s| s.childless = Setting::default().childless,
        |s| s.pfs = false,
        |s| (s.fragment, s.cookies) = (Setting::default().fragment, false),
        |s| s.tries = 1,
    ]
}

fn random_step(below: &mut dyn FnMut(u64) -> u64) -> Step {
    let who = below(2) == 0;
    match below(32) {
        0..=3 => Step::Initiate(who),
        4 => Step::Second(who),
        5 => Step::Delete(who),
        6 => Step::DeleteChild(who),
        7 | 8 => Step::Rekey(who),
        9 | 10 => Step::RekeyChildren(who),
        11 => Step::Reauth(who),
        12..=15 => Step::Send(who),
        16 if below(2) == 0 => Step::Restart(who),
        17 => Step::Suspend(who, below(120_000)),
        18 => Step::Clock(who, i32::try_from(below(20_000)).unwrap_or(0) - 10_000),
        19..=21 => Step::Address(who, u8::try_from(below(2)).unwrap_or(0)),
        22 => Step::Roam(who),
        23 => Step::Rebind,
        24 | 25 => Step::Network(Weather {
            loss: below(60) as u8,
            duplicate: below(40) as u8,
            reorder: below(40) as u8,
            jitter: below(500) as u16,
        }),
        26 => Step::Cut(who),
        27 => Step::Partition,
        28 | 29 => Step::Perfect,
        _ => Step::Probe(who),
    }
}

fn one(sim: &mut Sim, step: Step, stage: &Stage) {
    let (a, b) = (stage.a, stage.b);
    let pick = |who: bool| if who { (a, b) } else { (b, a) };
    match step {
        Step::Wait(time) => sim.run_for(millis(time)),
        Step::Initiate(who) => initiate(sim, pick(who)),
        Step::Second(who) => {
            let (from, to) = pick(who);
            let (peer, policy) = (sim.connection(from, to).0, stage.second[usize::from(!who)]);
            let text = format!("{} wants its second Child SA", sim.name(from));
            sim.say(text);
            let _ = sim.with_node(from, |node, now| node.initiate(now, peer, Some(policy)));
        }
        Step::Delete(who) => sim.delete(pick(who).0, pick(who).1),
        Step::DeleteChild(who) => {
            let host = pick(who).0;
            if let Some(child) = sim.children(host).first().map(|c| c.id) {
                let text = format!("{} deletes {child}", sim.name(host));
                sim.say(text);
                let _ = sim.with_node(host, |node, now| node.delete_child(now, child));
            }
        }
        Step::Rekey(who) => sim.rekey(pick(who).0, pick(who).1),
        Step::RekeyChildren(who) => sim.rekey_children(pick(who).0),
        Step::Reauth(who) => sim.reauth(pick(who).0, pick(who).1),
        Step::Probe(who) => sim.probe(pick(who).0, pick(who).1),
        Step::Send(who) => {
            let (from, to) = pick(who);
            let (src, dst) = sim.inner_pair(from, to);
            let text = format!("{} sends a packet", sim.name(from));
            sim.say(text);
            sim.send_echo(from, src, dst, 64);
        }
        Step::Restart(who) => {
            sim.restart(pick(who).0);
            stage.tell_addresses(sim, pick(who).0);
        }
        Step::Suspend(who, time) => sim.suspend(pick(who).0, millis(time)),
        Step::Clock(who, seconds) => sim.step_wall_clock(pick(who).0, i64::from(seconds)),
        Step::Address(who, which) => stage.address(sim, who, usize::from(which)),
        Step::Roam(who) => roam(sim, pick(who)),
        Step::Rebind => {
            if let Some(nat) = sim.nat_of(a) {
                sim.rebind(nat);
            }
        }
        Step::Network(w) => {
            sim.perfect_network();
            let link = Link::default().loss(w.loss).duplicate(w.duplicate).reorder(w.reorder);
            sim.network(|_| link.jitter(millis(u64::from(w.jitter))));
        }
        Step::Cut(who) => sim.link_one_way(pick(who).0, pick(who).1, |l| Link { cut: true, ..l }),
        Step::Partition => sim.partition(a, b),
        Step::Perfect => sim.perfect_network(),
    }
}

/// Whoever knows no address of the other cannot.
fn initiate(sim: &mut Sim, (from, to): (Host, Host)) {
    let (peer, policy) = sim.connection(from, to);
    let text = format!("{} initiates to {}", sim.name(from), sim.name(to));
    sim.say(text);
    let _ = sim.with_node(from, |node, now| node.initiate(now, peer, Some(policy)));
}

fn roam(sim: &mut Sim, (from, to): (Host, Host)) {
    let Some(last) = sim.addresses(from).last().copied() else { return };
    let text = format!("{} roams to {last}", sim.name(from));
    sim.say(text);
    for sa in sim.established(from) {
        let path = Path { local: SocketAddr::new(last, 0), remote: sa.path.remote };
        // The responder of an IKE SA, and everybody without MOBIKE, is refused.
        let _ = sim.with_node(from, |node, now| node.roam(now, sa.id, path));
    }
    let _ = to;
}

/// A ping gets through. Reauthentication that breaks before it makes may swallow the first ones, as it is meant to.
fn reach(sim: &mut Sim, stage: &Stage, from: Host, to: Host) {
    let spare = if stage.setting.make_before_break { 0 } else { 3 };
    for _ in 0..spare {
        if sim.ping(from, to).is_some() {
            return;
        }
        sim.run_for(secs(20));
    }
    sim.expect_ping(from, to);
}

/// After all storms: what two sane nodes must come to.
fn converge(sim: &mut Sim, stage: &Stage) {
    let (a, b) = (stage.a, stage.b);
    sim.perfect_network();
    stage.home(sim);
    // Sleepers wake, attempts end, and liveness checks find what one side has lost (60 s and 165 s, twice over).
    sim.run_for(minutes(9));
    sim.settle(a, b);
    reach(sim, stage, a, b);
    reach(sim, stage, b, a);
    sim.settle(a, b);
    if matches!(stage.setting.uniqueness, Uniqueness::Replace | Uniqueness::Keep) {
        for host in [a, b] {
            let count = sim.established(host).len();
            assert!(count <= 1, "{} has {count} IKE SAs with one identity", sim.name(host));
        }
    }
    sim.shutdown(a);
    sim.run_for(secs(5));
    sim.shutdown(b);
    sim.run_for(secs(5));
    sim.assert_down(a);
    sim.assert_down(b);
}
