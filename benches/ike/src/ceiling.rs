//! What the provider's cryptography alone would allow: the key exchange of a handshake, and everything in it, with the
//! same algorithms, lengths and numbers of calls, but without messages or state.

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use ravelin::Provider;
use ravelin::crypto::{AuthHashId, EncrId, PrfId};
use ravelin_bench_ike::meter::time;
use ravelin_bench_ike::{Auth, Result, Suite};
use std::hint::black_box;

/// Seconds per handshake for the key exchange: two key pairs, two shared secrets.
pub fn key_exchange(crypto: &Provider, suite: Suite) -> Result<f64> {
    let method = crypto.ke(suite.ke).ok_or("the provider has no such group")?;
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let one = |rng: &mut ChaCha20Rng| -> Result<()> {
        let (secret, public) = method.initiate(rng)?;
        let (answer, _) = method.respond(rng, &public)?;
        black_box(secret.finish(&answer)?);
        Ok(())
    };
    let (seconds, result) = time(|| (0..suite.batch).try_for_each(|_| one(&mut rng)));
    result?;
    Ok(seconds / suite.batch as f64)
}

/// Seconds per handshake for all that is not the key exchange: NAT detection hashes, key derivation, AUTH, two
/// protected messages, the keys of two Child SA pairs.
pub fn the_rest(crypto: &Provider, suite: Suite) -> Result<f64> {
    let prf = crypto.prf(PrfId::HMAC_SHA2_256).ok_or("no PRF")?;
    let aead = crypto.aead(EncrId::AES_GCM_16, Some(256)).ok_or("no AEAD")?;
    let sha1 = crypto.hash(AuthHashId::SHA1).ok_or("no SHA-1")?;
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let keys = if suite.auth.has_certificates() { Some(Signing::new(crypto)?) } else { None };
    let checks = if suite.auth == Auth::Certificates { 3 } else { 2 };
    let mut one = || -> Result<()> {
        for _ in 0..8 {
            black_box(sha1.hash(&[&[1; 22]]));
        }
        for _ in 0..2 {
            let seed = prf.prf(&[2; 64], &[&[3; 32]]);
            let (mut keys_of_ike, mut keys_of_child) = ([0; 168], [0; 72]);
            prf.expand(seed.expose(), &[&[4; 80]], black_box(&mut keys_of_ike))?;
            prf.expand(&[5; 32], &[&[4; 64]], black_box(&mut keys_of_child))?;
            for _ in 0..2 {
                black_box(prf.prf(&[6; 32], &[&[7; 20]]));
                if keys.is_none() {
                    let pad = prf.prf(&[8; 25], &[&[9; 17]]);
                    black_box(prf.prf(pad.expose(), &[&[10; 640]]));
                }
            }
            for _ in 0..2 {
                black_box(aead.key(&[11; 32])?);
            }
            let (mut data, mut tag) = ([0; 240], [0; 16]);
            aead.key(&[12; 32])?.seal(&[13; 12], &[14; 32], &mut data, &mut tag)?;
            aead.key(&[12; 32])?.open(&[13; 12], &[14; 32], &mut data, &tag)?;
        }
        if let Some(keys) = &keys {
            keys.use_all(crypto, &mut rng, checks)?;
        }
        Ok(())
    };
    let (seconds, result) = time(|| (0..suite.batch).try_for_each(|_| one()));
    result?;
    Ok(seconds / suite.batch as f64)
}

/// Signatures of a handshake with certificates: two are made, two checked, and that of the initiator's certificate is
/// checked unless the responder has met it. Those of the gateway's and of its CA are known from the handshake before.
struct Signing {
    key: Box<dyn ravelin::crypto::sign::SigningKey>,
    signature: Vec<u8>,
}

impl Signing {
    fn new(crypto: &Provider) -> Result<Self> {
        let key = crypto.signing_key(include_bytes!("../../../ike-proto/tests/certs/node1.p8"))?;
        let scheme = *key.schemes().first().ok_or("no scheme")?;
        let signature = key.sign(scheme, &mut ChaCha20Rng::seed_from_u64(2), &[&[1; 640]])?;
        Ok(Self { key, signature })
    }

    fn use_all(&self, crypto: &Provider, rng: &mut ChaCha20Rng, checks: usize) -> Result<()> {
        let scheme = *self.key.schemes().first().ok_or("no scheme")?;
        for _ in 0..2 {
            black_box(self.key.sign(scheme, rng, &[&[1; 640]])?);
        }
        for _ in 0..checks {
            crypto.verify(scheme, self.key.public_key(), &[&[1; 640]], &self.signature)?;
        }
        Ok(())
    }
}
