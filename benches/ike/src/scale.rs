//! One responder with more and more IKE SAs, each with a Child SA pair in the inline plane: memory, handshakes that
//! come on top, timers; and half-open SAs.

use ravelin::Provider;
use ravelin::ike::sa::Why;
use ravelin_bench_ike::meter::{blocks, counting, heap, median, resident, time};
use ravelin_bench_ike::world::World;
use ravelin_bench_ike::{Result, SUITES};
use std::hint::black_box;
use std::sync::Arc;

/// What was measured at one number of SAs.
pub struct Row {
    /// IKE SAs, each with a Child SA pair.
    pub sas: usize,
    /// Octets of heap per SA.
    pub heap: u64,
    /// Octets of resident memory per SA.
    pub resident: u64,
    /// Handshakes per second on top of them.
    pub rate: f64,
    /// The same with an empty responder, in turns.
    pub empty: f64,
    /// Microseconds per timer event: a liveness check falls due, is sealed and sent.
    pub timer: f64,
    /// Nanoseconds of `deadline()` while nothing is due.
    pub deadline: f64,
    /// Microseconds of `handle_timeout()` while nothing is due.
    pub idle: f64,
}

/// Measures at each of `counts`, which must rise.
pub fn run(crypto: &Arc<Provider>, counts: &[usize], rounds: usize) -> Result<Vec<Row>> {
    let suite = SUITES[0];
    let mut world = World::new(crypto, suite)?;
    world.timed()?;
    while world.responder.poll_output().is_some() {}
    let (before, before_resident) = (heap(), resident());
    let (mut have, mut rows) = (0, Vec::new());
    for &count in counts {
        while have < count {
            let mut initiator = world.initiator()?;
            world.handshakes(&mut initiator)?;
            have += suite.batch;
        }
        while world.responder.poll_output().is_some() {}
        let n = have as u64;
        let (heap, resident) = ((heap() - before) / n, (resident().saturating_sub(before_resident)) / n);
        let deadline = nanos(10_000, || {
            black_box(world.responder.deadline());
        });
        let now = world.now();
        let idle = nanos(1_000, || world.responder.handle_timeout(now)) / 1e3;
        let (mut full, mut empty) = (Vec::new(), Vec::new());
        let mut other = World::new(crypto, suite)?;
        for _ in 0..rounds {
            full.push(world.timed()?);
            empty.push(other.timed()?);
            have += suite.batch;
        }
        while world.responder.poll_output().is_some() {}
        let timer = timers(&mut world)?;
        rows.push(Row {
            sas: count,
            heap,
            resident,
            rate: 1.0 / median(full),
            empty: 1.0 / median(empty),
            timer,
            deadline,
            idle,
        });
    }
    Ok(rows)
}

/// Which blocks an SA is made of: size in octets and how many, for whoever looks for memory. `half` for half-open ones.
pub fn blocks_per_sa(crypto: &Arc<Provider>, half: bool) -> Result<Vec<(usize, f64)>> {
    counting(true);
    let mut world = World::new(crypto, SUITES[0])?;
    let mut run = |n: usize| -> Result<Vec<u64>> {
        for _ in 0..n {
            if half {
                world.half_open()?;
            } else {
                world.timed()?;
                while world.responder.poll_output().is_some() {}
            }
        }
        Ok(blocks())
    };
    run(1)?;
    let (before, after) = (run(19)?, run(80)?);
    let per = |(a, b): (&u64, &u64)| b.wrapping_sub(*a) as i64 as f64 / (80 * SUITES[0].batch) as f64;
    let all = before.iter().zip(&after).map(per).enumerate();
    Ok(all.filter(|(_, n)| *n > 0.01).collect())
}

/// Nanoseconds per call.
fn nanos(times: u32, mut f: impl FnMut()) -> f64 {
    time(|| (0..times).for_each(|_| f())).0 * 1e9 / f64::from(times)
}

/// Microseconds per liveness check that falls due. Afterwards all peers are silent; they are heard again by nobody, and
/// the clock goes on before the first retransmission is due.
fn timers(world: &mut World) -> Result<f64> {
    world.pass(61_000_000);
    let (mut sent, now) = (0u32, world.now());
    let (seconds, ()) = time(|| {
        while world.responder.deadline().is_some_and(|d| d.at <= now.mono && d.why != Why::Output) {
            world.responder.handle_timeout(now);
            while world.responder.poll_output().is_some() {
                sent += 1;
            }
        }
    });
    if sent == 0 {
        return Err("no timer fell due".into());
    }
    Ok(seconds * 1e6 / f64::from(sent))
}

/// Octets of heap per half-open SA, and per initiator while cookies are demanded.
pub fn half_open(crypto: &Arc<Provider>, count: usize) -> Result<(u64, u64)> {
    let mut world = World::new(crypto, SUITES[0])?;
    let per = |world: &mut World, count: usize| -> Result<u64> {
        world.half_open()?;
        let before = heap();
        let batches = count.div_ceil(SUITES[0].batch);
        for _ in 0..batches {
            world.half_open()?;
        }
        Ok(heap().saturating_sub(before) / (batches * SUITES[0].batch) as u64)
    };
    let open = per(&mut world, count)?;
    world.demand_cookies()?;
    // Ten times as many: what the process keeps once for all counts for nothing then, what is kept for each would show.
    Ok((open, per(&mut world, count.saturating_mul(10))?))
}
