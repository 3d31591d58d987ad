//! Handshakes per second and core: initiator and responder with a Child SA each on the same core, over memory, beside
//! what the provider's key exchange alone would allow. `cargo run --release --bin handshake`.

use comfy_table::{CellAlignment, Table, presets};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use ravelin::Provider;
use ravelin::crypto::KeId;
use ravelin_bench_ike::{Bench, Result, providers};
use std::time::{Duration, Instant};

const TIME: Duration = Duration::from_secs(3);
const SUITES: [(&str, KeId, &str); 2] = [
    ("X25519 + PSK", KeId::CURVE25519, "aes256gcm16-prfsha256-x25519"),
    ("MODP-2048 + PSK", KeId::MODP_2048, "aes256gcm16-prfsha256-modp2048"),
];

fn main() -> Result<()> {
    if cfg!(debug_assertions) {
        println!("a debug build: use --release, these numbers say nothing");
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["PROVIDER", "SUITE", "SAS", "HANDSHAKES/S", "KEY EXCHANGE ALONE/S"]);
    for (name, crypto) in providers() {
        for (suite, group, proposal) in SUITES {
            let mut bench = Bench::new(&crypto, proposal)?;
            bench.handshake()?;
            let rate = measure(|| bench.handshake().map(drop))?;
            let ceiling = ceiling(&crypto, group)?;
            table.add_row([name.into(), suite.into(), "few".into(), format!("{rate:.0}"), format!("{ceiling:.0}")]);
            if group == KeId::CURVE25519 {
                let before = bench.responder.snapshot(bench.now().mono).len();
                for _ in before..MANY {
                    bench.handshake()?;
                }
                let full = measure(|| bench.handshake().map(drop))?;
                table.add_row([name.into(), suite.into(), format!("{MANY}"), format!("{full:.0}"), String::new()]);
            }
        }
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}");
    Ok(())
}

/// Established SAs of the second measurement.
const MANY: usize = 100_000;

/// Calls per second.
fn measure(mut f: impl FnMut() -> Result<()>) -> Result<f64> {
    let (begin, mut count) = (Instant::now(), 0u32);
    while begin.elapsed() < TIME {
        f()?;
        count = count.saturating_add(1);
    }
    Ok(f64::from(count) / begin.elapsed().as_secs_f64())
}

/// Both key pairs and both shared secrets of one handshake.
fn ceiling(crypto: &Provider, group: KeId) -> Result<f64> {
    let method = crypto.ke(group).ok_or("the provider has no such group")?;
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    measure(|| {
        let (secret, public) = method.initiate(&mut rng)?;
        let (answer, _) = method.respond(&mut rng, &public)?;
        secret.finish(&answer)?;
        Ok(())
    })
}
