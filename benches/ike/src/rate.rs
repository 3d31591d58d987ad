//! Handshakes per second: every provider and suite, over memory and over UDP, beside cryptography alone and `ryke`.

use crate::{ceiling, peers, udp::Wire};
use ravelin_bench_ike::meter::median;
use ravelin_bench_ike::world::World;
use ravelin_bench_ike::{Result, SUITES, providers};
use std::fmt::Write as _;

/// One contender: seconds per handshake, in every round.
#[derive(Default)]
pub struct Row {
    /// For people.
    pub name: String,
    /// Both sides over memory.
    pub memory: Vec<f64>,
    /// Both sides over loopback UDP.
    pub udp: Vec<f64>,
    /// All cryptography of it alone.
    pub crypto: Vec<f64>,
    /// The key exchange of it alone.
    pub exchange: Vec<f64>,
}

/// Per second.
pub fn rate(seconds: &[f64]) -> f64 {
    1.0 / median(seconds.to_vec())
}

/// How many times as fast as `other`, round by round: the middle one. Both took turns, so that the moments in which the
/// machine is slow fall on both.
fn against(row: &Row, other: &Row) -> f64 {
    median(row.memory.iter().zip(&other.memory).map(|(own, other)| other / own).collect())
}

/// Everybody in turns.
pub fn run(rounds: usize) -> Result<Vec<Row>> {
    let contenders: Vec<_> = providers().into_iter().flat_map(|(n, p)| SUITES.map(|s| (n, p.clone(), s))).collect();
    let named = contenders.iter().map(|(n, _, s)| Row { name: format!("{n}: {}", s.name), ..Row::default() });
    let mut rows: Vec<Row> = named.collect();
    let mut ryke = Row { name: "ryke 0.3: X25519 + PSK".into(), ..Row::default() };
    let mut wire = Wire::new()?;
    for round in 0..=rounds {
        for (row, (_, crypto, suite)) in rows.iter_mut().zip(&contenders) {
            let mut world = World::new(crypto, *suite)?;
            // The first handshake of a world grows its tables.
            world.timed()?;
            if round == 0 {
                continue;
            }
            row.memory.push(world.timed()?);
            row.udp.push(wire.timed(&mut world, *suite)?);
            let exchange = ceiling::key_exchange(crypto, *suite)?;
            row.exchange.push(exchange);
            row.crypto.push(exchange + ceiling::the_rest(crypto, *suite)?);
        }
        let seconds = peers::ryke(round as u64)?;
        if round > 0 {
            ryke.memory.push(seconds);
        }
    }
    rows.push(ryke);
    Ok(rows)
}

/// As Markdown.
pub fn table(rows: &[Row], md: &mut String) {
    let _ = writeln!(
        md,
        "| provider and suite | memory | loopback UDP | cryptography alone | share of it | key exchange alone | microseconds beyond cryptography | against `ryke`, round by round |\n|---|---:|---:|---:|---:|---:|---:|---:|"
    );
    let Some(ryke) = rows.last() else { return };
    for r in rows {
        if r.crypto.is_empty() {
            let _ = writeln!(md, "| {} | {:.0} | | | | | | 1 |", r.name, rate(&r.memory));
            continue;
        }
        let (memory, crypto) = (rate(&r.memory), rate(&r.crypto));
        let _ = writeln!(
            md,
            "| {} | {memory:.0} | {:.0} | {crypto:.0} | {:.0} % | {:.0} | {:.1} | {:.2} |",
            r.name,
            rate(&r.udp),
            memory / crypto * 100.0,
            rate(&r.exchange),
            (1.0 / memory - 1.0 / crypto) * 1e6,
            against(r, ryke)
        );
    }
    md.push('\n');
}
