//! What post-quantum key exchanges cost: the handshake with X25519 alone, with ML-KEM-768 beside it, and with P-256 and
//! ML-KEM-1024; processor time of both sides together, and what goes over the wire (RFC 9370, RFC 9242: the additional
//! exchange rides on an IKE_INTERMEDIATE of its own, in fragments).

use ravelin::crypto::KeId;
use ravelin_bench_ike::meter::median;
use ravelin_bench_ike::world::{Traffic, World};
use ravelin_bench_ike::{Auth, Result, Suite, providers};
use std::fmt::Write as _;

const fn suite(name: &'static str, ike: &'static str, ke: KeId) -> Suite {
    Suite { name, ike, ke, auth: Auth::Psk, batch: 32 }
}

const SUITES: [Suite; 3] = [
    suite("{X25519}", "aes256gcm16-prfsha384-x25519", KeId::CURVE25519),
    suite("{X25519 + ML-KEM-768}", "aes256gcm16-prfsha384-x25519-ke1_mlkem768", KeId::CURVE25519),
    suite("{P-256 + ML-KEM-1024}", "aes256gcm16-prfsha384-ecp256-ke1_mlkem1024", KeId::ECP_256),
];

/// Everybody in turns, `rounds` times, and the table.
pub fn run(rounds: usize, md: &mut String) -> Result<()> {
    let contenders: Vec<_> = providers().into_iter().flat_map(|(n, p)| SUITES.map(|s| (n, p.clone(), s))).collect();
    let mut times: Vec<Vec<f64>> = contenders.iter().map(|_| Vec::new()).collect();
    let mut wires: Vec<Traffic> = Vec::new();
    for (_, crypto, suite) in &contenders {
        wires.push(World::new(crypto, *suite)?.traffic()?);
    }
    for _ in 0..rounds {
        for ((_, crypto, suite), times) in contenders.iter().zip(&mut times) {
            let mut world = World::new(crypto, *suite)?;
            // The first handshake of a world grows its tables.
            world.timed()?;
            times.push(world.timed()?);
        }
    }
    let _ = writeln!(
        md,
        "### Post-quantum handshakes\n\nBoth sides in one thread, with a Child SA; medians of {rounds} interleaved rounds. Octets are UDP payloads, \
         both directions; each datagram has 28 more with IPv4.\n\n\
         | provider and suite | µs per handshake | against {{X25519}} | datagrams | octets | against {{X25519}} |\n|---|---:|---:|---:|---:|---:|"
    );
    let middle: Vec<f64> = times.into_iter().map(median).collect();
    for (n, ((provider, _, suite), wire)) in contenders.iter().zip(&wires).enumerate() {
        let base = n / SUITES.len() * SUITES.len();
        let (Some(time), Some(alone), Some(short)) = (middle.get(n), middle.get(base), wires.get(base)) else {
            continue;
        };
        let _ = writeln!(
            md,
            "| {provider}: {} | {:.0} | {:.2} | {} | {} | {:.2} |",
            suite.name,
            time * 1e6,
            time / alone,
            wire.datagrams,
            wire.octets,
            wire.octets as f64 / short.octets as f64
        );
    }
    md.push('\n');
    Ok(())
}
