//! Behind valid keys: the fuzzer writes plaintext, the harness seals it as SK or SKF under each kind of cipher, and what
//! opens must be what went in; a flipped bit anywhere must not open.

use super::message;
use arbitrary::{Arbitrary, Unstructured};
use ravelin::crypto::{EncrId, IntegId, Provider, Secret};
use ravelin::db::Instant;
use ravelin::db::proposal::EncrAlg;
use ravelin::ike::registry::{ExchangeType, PayloadType};
use ravelin::ike::seal::reassembly::{MAX_FRAGMENTS, MAX_MESSAGE};
use ravelin::ike::seal::{DirectionKeys, Fragment, Reassembly, SealAlg, body_len, open, seal};
use ravelin::ike::wire::message::{begin_protected, decode_payloads};
use ravelin::ike::wire::payload::Fragment as Piece;
use ravelin::ike::wire::{Envelope, Flags, Header, IkeSpi};
use std::collections::BTreeMap;
use std::sync::OnceLock;

const SUITES: &[(EncrId, Option<u16>, IntegId)] = &[
    (EncrId::AES_GCM_16, Some(128), IntegId::NONE),
    (EncrId::AES_CBC, Some(256), IntegId::HMAC_SHA2_256_128),
    (EncrId::CHACHA20_POLY1305, None, IntegId::NONE),
    (EncrId::AES_CTR, Some(128), IntegId::HMAC_SHA1_96),
    (EncrId::AES_CCM_8, Some(128), IntegId::NONE),
];

/// The provider of all targets.
pub(crate) fn provider() -> &'static Provider {
    static PROVIDER: OnceLock<Provider> = OnceLock::new();
    PROVIDER.get_or_init(ravelin::crypto::rustcrypto::provider)
}

#[derive(Arbitrary, Debug)]
struct Sealed<'a> {
    suite: u8,
    exchange: u8,
    flags: u8,
    message_id: u32,
    first: u8,
    flip: Option<u16>,
    plain: &'a [u8],
}

struct Keys {
    alg: SealAlg,
    encr: Secret,
    integ: Secret,
}

impl Keys {
    fn new(suite: u8) -> Self {
        let (id, bits, integ) = SUITES[usize::from(suite) % SUITES.len()];
        let alg = SealAlg::resolve(provider(), EncrAlg { id, key_bits: bits }, integ).expect("a suite of the provider");
        Self { alg, encr: Secret::new(vec![0x5e; alg.encr_len()]), integ: Secret::new(vec![0xa1; alg.integ_len()]) }
    }

    fn direction(&self) -> DirectionKeys<'_> {
        DirectionKeys { encr: self.encr.expose(), integ: self.integ.expose() }
    }

    fn seal(&self, header: &Header, first: PayloadType, piece: Option<Piece>, plain: &[u8]) -> Option<Vec<u8>> {
        let len = body_len(&self.alg, plain.len());
        let mut datagram = begin_protected(header, &[], first, piece, len).ok()?;
        let iv: Vec<u8> = (0..self.alg.iv_len()).map(|i| i as u8).collect();
        seal(&self.alg, self.direction(), &iv, &mut datagram, plain).expect("keys and IV fit");
        Some(datagram)
    }
}

fn header(exchange: u8, flags: u8, message_id: u32) -> Header {
    Header::new(IkeSpi(1), IkeSpi(2), ExchangeType(exchange), Flags(flags), message_id)
}

/// One SK payload.
pub(crate) fn sk(data: &[u8]) {
    let Ok(input) = Sealed::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let keys = Keys::new(input.suite);
    let header = header(input.exchange, input.flags, input.message_id);
    let Some(mut datagram) = keys.seal(&header, PayloadType(input.first), None, input.plain) else { return };
    message::datagram(&datagram);
    let envelope = Envelope::parse(&datagram).expect("our own datagram");
    let part = envelope.protected.clone().expect("it is protected");
    if let Some(flip) = input.flip {
        // The fingerprint of a message is all of it: header, SK header, IV, ciphertext, check value.
        let bit = usize::from(flip) % (datagram.len() * 8);
        datagram[bit / 8] ^= 1 << (bit % 8);
        assert!(open(&keys.alg, keys.direction(), &mut datagram, part.body.start).is_err(), "bit {bit} is not covered");
        return;
    }
    let plain = open(&keys.alg, keys.direction(), &mut datagram, part.body.start).expect("it opens");
    assert_eq!(plain, input.plain);
    assert_eq!(part.first, PayloadType(input.first));
    if let Ok(payloads) = decode_payloads(part.first, plain) {
        for payload in payloads.iter() {
            let mut one = vec![payload.kind().0];
            let _ = payload.emit(&mut one);
            message::payload(&one);
        }
    }
}

#[derive(Arbitrary, Debug)]
struct Part {
    number: u16,
    total: u16,
    len: u8,
    first: u8,
}

/// A row of SKF payloads: what comes out of reassembly is the parts in order, or nothing; memory stays bounded.
pub(crate) fn skf(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok(suite) = u8::arbitrary(&mut u) else { return };
    let Ok(parts) = Vec::<Part>::arbitrary_take_rest(u) else { return };
    let keys = Keys::new(suite);
    let header = header(ExchangeType::IKE_AUTH.0, Flags::INITIATOR, 1);
    let mut set = Reassembly::new(1, Instant(0));
    // The model: parts of the largest total so far, first come, first kept.
    let (mut total, mut have) = (0u16, BTreeMap::<u16, (u8, Vec<u8>)>::new());
    for (i, part) in parts.iter().enumerate().take(64) {
        let plain = vec![i as u8; usize::from(part.len)];
        let small = |n: u16| if n > 300 { n } else { n % 6 };
        let piece = Piece { number: small(part.number), total: small(part.total) };
        let datagram = keys.seal(&header, PayloadType(part.first), Some(piece), &plain);
        let mut datagram = datagram.expect("it fits");
        let Ok(envelope) = Envelope::parse(&datagram) else {
            assert!(piece.number == 0 || piece.number > piece.total, "{piece:?} was refused");
            continue;
        };
        let at = envelope.protected.expect("it is protected");
        let opened = open(&keys.alg, keys.direction(), &mut datagram, at.body.start).expect("it opens").to_vec();
        let out = set.add(Fragment { number: piece.number, total: piece.total, first: at.first, data: opened });
        let legal = piece.number > 0 && piece.number <= piece.total && piece.total <= MAX_FRAGMENTS;
        if legal && piece.total > total {
            total = piece.total;
            have.clear();
        }
        if legal && piece.total == total {
            have.entry(piece.number).or_insert((part.first, plain));
        }
        let complete = legal && total > 0 && have.len() == usize::from(total);
        assert_eq!(out.is_some(), complete, "after {piece:?}");
        if let Some((first, whole)) = out {
            let expected: Vec<u8> = have.values().flat_map(|(_, d)| d.clone()).collect();
            assert_eq!(whole, expected);
            assert_eq!(have.get(&1).map(|(f, _)| *f), Some(first.0));
            assert!(whole.len() <= MAX_MESSAGE);
            return;
        }
    }
}
