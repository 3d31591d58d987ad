//! Key derivation and sealing against values computed apart from this code (Python's hmac): two sides of ours would agree
//! on a wrong formula.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

use ravelin_crypto::{EncrId, IntegId, PrfId, Provider, Secret};
use ravelin_ike_proto::keys::sk_schedule::{Seeds, skeyseed, skeyseed_additional, skeyseed_rekey};
use ravelin_ike_proto::keys::{ChildKeyLengths, SkKeyLengths, SkKeys, child_keys, prf_plus};
use ravelin_ike_proto::registry::PayloadType;
use ravelin_ike_proto::seal::reassembly::MAX_MESSAGE;
use ravelin_ike_proto::seal::{DirectionKeys, Fragment, Reassembly, SealAlg, body_len, open, seal};
use ravelin_sa_db::Instant;
use ravelin_sa_db::proposal::EncrAlg;

fn crypto() -> Provider {
    ravelin_crypto::rustcrypto::provider()
}

fn hex(b: &[u8]) -> String {
    b.iter().map(|x| format!("{x:02x}")).collect()
}

fn sha(b: &[u8]) -> String {
    hex(&crypto().hash(ravelin_crypto::AuthHashId::SHA2_256).unwrap().hash(&[b]))
}

fn start(s: &[u8]) -> String {
    hex(&s[..8])
}

#[test]
fn keys_of_ike_sas() {
    let crypto = crypto();
    let prf = crypto.prf(PrfId::HMAC_SHA2_256).unwrap();
    let key: Vec<u8> = (0..32).collect();
    let long = prf_plus(prf, &key, &[b"seed", b"more"], 100).unwrap();
    assert_eq!(sha(long.expose()), "466597f884d906de6dc8161e15108c13baa890f2f6aa78b33ae5777d9379420f");
    let (ni, nr, shared) = (vec![b'i'; 32], vec![b'r'; 40], Secret::new((200..232).collect()));
    let seed = skeyseed(prf, &ni, &nr, &shared);
    assert_eq!(hex(seed.expose()), "bfa9542bed35d5d4a4d934a1c0d18732744c8016cdfe7415c7a8473f74ec86da");
    let seeds = Seeds { ni: &ni, nr: &nr, spi_i: 0x0102_0304_0506_0708, spi_r: 0x1112_1314_1516_1718 };
    let k = SkKeys::derive(prf, SkKeyLengths { encr: 20, integ: 32 }, &seed, seeds).unwrap();
    let got = [k.d(), k.ai(), k.ar(), k.ei(), k.er(), k.pi(), k.pr()].map(start);
    let want = [
        "bb1af6c3af91df55",
        "deba486292d4370c",
        "22b7a54d5becf3c2",
        "91697df5b132904c",
        "0f99e7ed736c2564",
        "949b132d06d0e199",
        "fe46bdfdd4272622",
    ];
    assert_eq!(got, want);
    let again = skeyseed_rekey(prf, &key, &shared, &ni, &nr, &[Secret::new(b"second".to_vec())]);
    assert_eq!(hex(again.expose()), "b43541fa322938b2f4fdbd76e0e017c01a14aaedd96334a074df5bc793399698");
    let more = skeyseed_additional(prf, &key, &shared, &ni, &nr);
    assert_eq!(hex(more.expose()), "d7f1dc7f969caca84aa450523d504bb0cd746f69d3f2451815841289a3cd4ea8");
}

#[test]
fn keys_of_child_sas() {
    let crypto = crypto();
    let prf = crypto.prf(PrfId::HMAC_SHA2_256).unwrap();
    let (ni, nr, d) = (vec![b'i'; 32], vec![b'r'; 40], (0..32).collect::<Vec<u8>>());
    let lengths = ChildKeyLengths { encr: 20, integ: 32 };
    let shared = [Secret::new((200..232).collect()), Secret::new(b"second".to_vec())];
    let c = child_keys(prf, &d, &shared, &ni, &nr, lengths).unwrap();
    let got = [&c.encr_i, &c.integ_i, &c.encr_r, &c.integ_r].map(|s| start(s.expose()));
    assert_eq!(got, ["7627276037cc379f", "a91f660e1a3fc51d", "e120fe235aabdf68", "de1ad2fc5f631067"]);
    let c = child_keys(prf, &d, &[], &ni, &nr, lengths).unwrap();
    let all = [&c.encr_i, &c.integ_i, &c.encr_r, &c.integ_r].map(|s| s.expose().to_vec()).concat();
    assert_eq!(sha(&all), "834aedfc57c77083772575fb8d1d337407f9a692028a020b517d91faa11301a9");
}

#[test]
fn a_cbc_body_is_as_short_as_can_be_and_every_bit_of_it_counts() {
    let crypto = crypto();
    let encr = EncrAlg { id: EncrId::AES_CBC, key_bits: Some(128) };
    let alg = SealAlg::resolve(&crypto, encr, IntegId::HMAC_SHA2_256_128).unwrap();
    let keys = DirectionKeys { encr: &[1; 16], integ: &[2; 32] };
    for inner in [0usize, 1, 14, 15, 16, 17, 31, 32] {
        // One octet says how long the padding is: IV 16, blocks of 16, ICV 16.
        assert_eq!(body_len(&alg, inner), 16 + (inner + 1).div_ceil(16) * 16 + 16, "{inner}");
        let mut message = vec![7; 32];
        seal(&alg, keys, &[9; 16], &mut message, &vec![5; inner]).unwrap();
        assert_eq!(message.len(), 32 + body_len(&alg, inner));
        for bit in 0..message.len() * 8 {
            let mut flipped = message.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&alg, keys, &mut flipped, 32).is_err(), "bit {bit}");
        }
        let mut short = message[..message.len() - 1].to_vec();
        assert!(open(&alg, keys, &mut short, 32).is_err());
        assert_eq!(open(&alg, keys, &mut message, 32).unwrap(), vec![5; inner]);
    }
}

#[test]
fn reassembly_keeps_to_its_limits() {
    let piece = |number, total, data: Vec<u8>| Fragment { number, total, first: PayloadType(33), data };
    // More octets than a message may have: the piece that would go beyond is not taken.
    let mut set = Reassembly::new(1, Instant(0));
    assert!(set.add(piece(1, 2, vec![0; MAX_MESSAGE])).is_none());
    assert!(set.add(piece(2, 2, vec![0; 1])).is_none(), "one octet too many");
    // A piece of a coarser cut does not get in between.
    let mut set = Reassembly::new(1, Instant(0));
    assert!(set.add(piece(1, 3, vec![1])).is_none());
    assert!(set.add(piece(2, 2, vec![99])).is_none());
    assert!(set.add(piece(2, 3, vec![2])).is_none());
    assert_eq!(set.add(piece(3, 3, vec![3])), Some((PayloadType(33), vec![1, 2, 3])));
}
