//! `ryke` 0.3 doing the same: X25519, PSK, a Child SA, initiator and responder in memory on the same core.

use ravelin_bench_ike::Result;
use ravelin_bench_ike::meter::time;
use ryke::ikev2::ike_auth::{initiator_auth_request, initiator_verify_auth, responder_process_auth};
use ryke::{
    AuthConfig, ChildSa, Entropy, Identification, LocalSecret, Role, SeedEntropy, default_offer, initiator_complete,
    initiator_request, responder_respond,
};
use std::hint::black_box;

const BATCH: usize = 64;

/// Seconds per handshake.
pub fn ryke(seed: u64) -> Result<f64> {
    let psk = b"a secret of the benchmark".to_vec();
    let gateway = AuthConfig::psk(Identification::fqdn("gw.bench"), psk.clone());
    let client = AuthConfig::psk(Identification::fqdn("c1.bench"), psk);
    let mut entropy = SeedEntropy::new(seed);
    let (seconds, result) = time(|| (0..BATCH).try_for_each(|_| handshake(&mut entropy, &client, &gateway)));
    result?;
    Ok(seconds / BATCH as f64)
}

fn handshake(entropy: &mut SeedEntropy, client: &AuthConfig, gateway: &AuthConfig) -> Result<()> {
    let ours = LocalSecret::generate(entropy, 32);
    let request = initiator_request(&ours, &default_offer());
    let theirs = LocalSecret::generate(entropy, 32);
    let (response, there) = responder_respond(&request, &theirs)?;
    let here = initiator_complete(&ours, &request, &response)?;
    let (spi_i, spi_r) = (entropy.next_u64() as u32, entropy.next_u64() as u32);
    let request = initiator_auth_request(&here, client, spi_i, &entropy.next_u64().to_be_bytes())?;
    let iv = entropy.next_u64().to_be_bytes();
    let (response, _, peer_spi) = responder_process_auth(&there, &request, gateway, spi_r, &iv, None)?;
    let (_, child_spi, _) = initiator_verify_auth(&here, &response, client)?;
    black_box(ChildSa::derive(&there.keys.sk_d, &there.ni, &there.nr, Role::Responder, spi_r, peer_spi));
    black_box(ChildSa::derive(&here.keys.sk_d, &here.ni, &here.nr, Role::Initiator, spi_i, child_spi));
    Ok(())
}
