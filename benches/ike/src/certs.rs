//! Certificates of many clients, issued when the benchmark starts: one CA, and certificates that differ in serial number
//! and signature, so that a responder meets each for the first time. Names, key and extensions are those of
//! `ike-proto/tests/certs/node1.der`.

use crate::Result;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use ravelin::Provider;
use ravelin::crypto::sign::SigningKey;
use std::sync::OnceLock;

/// How many: twice what a node remembers.
pub const CLIENTS: usize = 2048;

/// What the clients' CA looks like, and the certificates.
pub struct Issued {
    /// The CA's certificate, with the public key of `node2.p8`; nobody checks the signature of an anchor.
    pub authority: Vec<u8>,
    /// One for each client.
    pub clients: Vec<Vec<u8>>,
}

/// Issues them once; the first caller's provider signs.
///
/// # Errors
/// When a template does not look as expected.
pub fn issued(crypto: &Provider) -> Result<&'static Issued> {
    static ISSUED: OnceLock<Issued> = OnceLock::new();
    if let Some(issued) = ISSUED.get() {
        return Ok(issued);
    }
    let key = crypto.signing_key(include_bytes!("../../../ike-proto/tests/certs/node2.p8"))?;
    let made = Issued {
        authority: authority(include_bytes!("../../../ike-proto/tests/certs/ca.der"), &*key)?,
        clients: (0..CLIENTS).map(|n| client(n as u32, &*key)).collect::<Result<_>>()?,
    };
    Ok(ISSUED.get_or_init(|| made))
}

/// The template with another public key.
fn authority(template: &[u8], key: &dyn SigningKey) -> Result<Vec<u8>> {
    const POINT: [u8; 4] = [3, 0x42, 0, 4];
    let find = |der: &[u8]| der.windows(4).position(|w| w == POINT).map(|at| at + 4).ok_or("no P-256 key");
    let (mut der, spki) = (template.to_vec(), key.public_key());
    let (to, from) = (find(&der)?, find(spki)?);
    der[to..to + 64].copy_from_slice(&spki[from..from + 64]);
    Ok(der)
}

/// The template with another serial number, signed anew.
fn client(number: u32, key: &dyn SigningKey) -> Result<Vec<u8>> {
    let template = include_bytes!("../../../ike-proto/tests/certs/node1.der");
    // Certificate, TBSCertificate, version 3, a serial number of eight octets.
    let [0x30, 0x82, _, _, 0x30, 0x82, high, low, 0xA0, 3, 2, 1, 2, 2, 8, ..] = *template else {
        return Err("node1.der is made otherwise".into());
    };
    let end = 8 + usize::from(u16::from_be_bytes([high, low]));
    let mut tbs = template[4..end].to_vec();
    tbs[15..19].copy_from_slice(&number.to_be_bytes());
    let scheme = *key.schemes().first().ok_or("no scheme")?;
    let signature = key.sign(scheme, &mut ChaCha20Rng::seed_from_u64(u64::from(number)), &[&tbs])?;
    // ecdsa-with-SHA256, as in the template.
    let algorithm = &template[end..end + 12];
    let bits = [&[3, u8::try_from(signature.len() + 1)?, 0], signature.as_slice()].concat();
    let inside = [tbs.as_slice(), algorithm, &bits].concat();
    Ok([&[0x30, 0x82], u16::try_from(inside.len())?.to_be_bytes().as_slice(), &inside].concat())
}
