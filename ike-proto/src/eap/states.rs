//! Every message of every method in every state, out of order, repeated, cut, with lengths that lie (issue 4): against the
//! server and against the client there is no panic, no success and no key.
//!
//! A state is what `steps` honest packets lead to. What comes then is everything that was ever said in honest and in
//! lying conversations of all methods, whole, shortened and damaged, and the bare codes. By default few of these
//! are tried against the methods over TLS, whose states are dear; with RAVELIN_FULL all of them.

use super::*;
use crate::registry::{EapCode, EapType};
use crate::wire::payload::Eap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use ravelin_crypto::Secret;
use ravelin_sa_db::pad::{AkaSource, EapMethod, Quintet, SimAnswer, TtlsInner};

/// One way to authenticate.
#[derive(Clone, Copy, Debug)]
struct Way {
    method: EapMethod,
    inner: TtlsInner,
}

impl Way {
    const fn plain(method: EapMethod) -> Self {
        Self { method, inner: TtlsInner::Pap }
    }

    #[cfg(feature = "tls")]
    const fn inside(inner: TtlsInner) -> Self {
        Self { method: EapMethod::Ttls, inner }
    }

    fn is_dear(self) -> bool {
        matches!(self.method, EapMethod::Tls | EapMethod::Ttls)
    }
}

const WAYS: &[Way] = &[
    Way::plain(EapMethod::MsChapV2),
    Way::plain(EapMethod::Gtc),
    Way::plain(EapMethod::Md5),
    Way::plain(EapMethod::Aka),
    Way::plain(EapMethod::AkaPrime),
    #[cfg(feature = "tls")]
    Way::plain(EapMethod::Tls),
    #[cfg(feature = "tls")]
    Way::inside(TtlsInner::Pap),
    #[cfg(feature = "tls")]
    Way::inside(TtlsInner::MsChapV2),
    #[cfg(feature = "tls")]
    Way::inside(TtlsInner::Eap),
];

const USER: &str = "one@node1.test";

#[cfg(feature = "tls")]
fn settings(own: &'static str, server: Option<&str>) -> tls::Settings {
    let (chain, key): (Vec<Vec<u8>>, &[u8]) = match own {
        "node1" => (
            alloc::vec![include_bytes!("../../tests/certs/node1.der").to_vec()],
            include_bytes!("../../tests/certs/node1.p8"),
        ),
        "stranger" => (
            alloc::vec![
                include_bytes!("../../tests/certs/stranger.der").to_vec(),
                include_bytes!("../../tests/certs/other.der").to_vec()
            ],
            include_bytes!("../../tests/certs/node1.p8"),
        ),
        _ => (
            alloc::vec![
                include_bytes!("../../tests/certs/node2.der").to_vec(),
                include_bytes!("../../tests/certs/sub.der").to_vec()
            ],
            include_bytes!("../../tests/certs/node2.p8"),
        ),
    };
    let crypto = ravelin_crypto::rustcrypto::provider();
    let key = crypto.signing_key(key).unwrap();
    tls::Settings {
        credential: Some(Arc::new(ravelin_sa_db::pad::Credential::new(chain, key.into()))),
        anchors: alloc::vec![include_bytes!("../../tests/certs/ca.der").to_vec()],
        crls: alloc::vec![],
        ocsp: alloc::vec![],
        revocation: ravelin_sa_db::pad::Revocation::IfPresent,
        crypto,
        now: ravelin_sa_db::UnixTime(1_893_456_000),
        server: server.map(|s| s.parse().unwrap()),
    }
}

/// Numbers of a toy network: whoever has the key computes them. `stale`: the SIM's first answer is AUTS.
struct Toy {
    key: u8,
    stale: bool,
}

impl Toy {
    fn quintet(key: u8, rand: [u8; 16]) -> Quintet {
        let mix = |n: u8| -> [u8; 16] { core::array::from_fn(|i| rand[i].wrapping_mul(n) ^ key.wrapping_add(n)) };
        let secret = |n: u8| Secret::new(mix(n).to_vec());
        Quintet { rand, autn: mix(3), res: secret(5), ck: secret(7), ik: secret(9) }
    }
}

impl AkaSource for Toy {
    fn quintet(&self, user: &[u8]) -> Option<Quintet> {
        (user == USER.as_bytes()).then(|| Self::quintet(self.key, [if self.stale { 0 } else { 42 }; 16]))
    }

    fn resynchronize(&self, _: &[u8], _: &[u8; 16], auts: &[u8; 14]) -> bool {
        auts == &[6; 14]
    }

    fn sim(&self, rand: &[u8; 16], autn: &[u8; 16]) -> SimAnswer {
        let q = Self::quintet(self.key, *rand);
        match (q.autn == *autn, self.stale) {
            (false, _) => SimAnswer::Refused,
            (true, true) => SimAnswer::Resynchronize([6; 14]),
            (true, false) => SimAnswer::Proved { res: q.res, ck: q.ck, ik: q.ik },
        }
    }
}

fn toy(key: u8) -> Arc<dyn AkaSource> {
    Arc::new(Toy { key, stale: false })
}

/// A SIM that says AUTS for ever gets one more challenge, and no more.
#[test]
fn aka_resynchronizes_once() {
    for method in [EapMethod::Aka, EapMethod::AkaPrime] {
        let mut pair = Pair::new(Way::plain(method), true, 1);
        let stale: Arc<dyn AkaSource> = Arc::new(Toy { key: 1, stale: true });
        pair.client = pair.client.with_aka(&stale, &ravelin_crypto::rustcrypto::provider(), "WLAN");
        while pair.step() {}
        assert!(pair.won == (false, false) && pair.why.contains("stale twice"), "{}", pair.why);
        assert_eq!(pair.said.len(), 5, "identity both ways, challenge, AUTS, challenge");
    }
}

/// The name of the network is part of AKA′ (RFC 9048 §3.1).
#[test]
fn aka_prime_is_bound_to_its_network() {
    let mut pair = Pair::new(Way::plain(EapMethod::AkaPrime), true, 1);
    pair.client = pair.client.with_aka(&toy(1), &ravelin_crypto::rustcrypto::provider(), "HRPD");
    while pair.step() {}
    assert!(pair.won == (false, false) && pair.why.contains("another name"), "{}", pair.why);
}

/// Both ends; `honest`: the client has what it needs.
struct Pair {
    server: Server,
    client: Client,
    rng: ChaCha20Rng,
    /// What goes to the server next, and to the client.
    to_server: Option<Eap>,
    to_client: Option<Eap>,
    /// What was said, in order.
    said: Vec<Eap>,
    /// Keys: the server's, the client's.
    msk: (Option<Secret>, Option<Secret>),
    won: (bool, bool),
    why: String,
}

fn lookup(user: &[u8]) -> Option<Arc<Secret>> {
    (user == USER.as_bytes()).then(|| Arc::new(Secret::new(b"password".to_vec())))
}

impl Pair {
    fn new(way: Way, honest: bool, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        // Inner EAP is MSCHAPv2.
        let methods = [way.method, EapMethod::MsChapV2];
        let methods = if way.method == EapMethod::Ttls { &methods[..] } else { &methods[..1] };
        let (server, first) = Server::new(methods, false, &mut rng).unwrap();
        let password = Arc::new(Secret::new(if honest { b"password".to_vec() } else { b"guess".to_vec() }));
        let mut client = Client::new(methods, USER.as_bytes().to_vec(), password, false);
        client.server_is_proved();
        let crypto = ravelin_crypto::rustcrypto::provider();
        let server = server.with_aka(&toy(1), &crypto, "WLAN");
        let client = client.with_aka(&toy(if honest { 1 } else { 2 }), &crypto, "WLAN");
        let (server, client) = (server.with_ttls(&[way.inner]), client.with_ttls(&[way.inner]));
        #[cfg(feature = "tls")]
        let (server, client) = match way.is_dear() {
            true => (
                server.with_tls(settings("node2", None)),
                client.with_tls(settings(if honest { "node1" } else { "stranger" }, Some("node2.test"))),
            ),
            false => (server, client),
        };
        Self {
            server,
            client,
            rng,
            to_server: None,
            to_client: Some(first),
            said: alloc::vec![],
            msk: (None, None),
            won: (false, false),
            why: String::new(),
        }
    }

    /// One packet goes its way; false when nobody has anything to say.
    fn step(&mut self) -> bool {
        if let Some(packet) = self.to_client.take() {
            self.said.push(packet.clone());
            match self.client.take(&packet, &mut self.rng) {
                ClientVerdict::Reply(reply) => self.to_server = Some(reply),
                ClientVerdict::Success(msk) => (self.won.1, self.msk.1) = (true, msk),
                ClientVerdict::Failure(why) => self.why = why,
            }
            return true;
        }
        let Some(packet) = self.to_server.take() else { return false };
        self.said.push(packet.clone());
        match self.server.take(&packet, &lookup, &mut self.rng) {
            ServerVerdict::Send(next) => self.to_client = Some(next),
            ServerVerdict::Success(packet, msk) => {
                (self.won.0, self.msk.0) = (true, msk);
                self.to_client = Some(packet);
            }
            ServerVerdict::Failure(why) => self.why = why,
        }
        true
    }

    /// After `steps` packets.
    fn at(way: Way, steps: usize, seed: u64) -> Self {
        let mut pair = Self::new(way, true, seed);
        for _ in 0..steps {
            assert!(pair.step());
        }
        pair
    }
}

#[test]
fn every_way_comes_to_one_key() {
    for way in WAYS {
        let mut pair = Pair::new(*way, true, 1);
        while pair.step() {}
        assert_eq!(pair.won, (true, true), "{way:?}: {}", pair.why);
        assert_eq!(pair.msk.0, pair.msk.1, "{way:?}");
        let keyed = !matches!(way.method, EapMethod::Gtc | EapMethod::Md5);
        assert_eq!(pair.msk.0.map(|k| k.len()), keyed.then_some(64), "{way:?}");
    }
}

#[test]
fn no_way_without_the_secret() {
    for way in WAYS {
        let mut pair = Pair::new(*way, false, 1);
        while pair.step() {}
        assert_eq!((pair.won, pair.msk), ((false, false), (None, None)), "{way:?}");
        assert!(!pair.why.is_empty());
    }
}

/// The class of CVE-2023-26463: a certificate whose key is right and that no trusted CA issued, or that is about somebody
/// else, proves nothing; neither a client's nor a server's.
#[cfg(feature = "tls")]
#[test]
fn cve_2023_26463_certificates_are_judged() {
    let way = Way::plain(EapMethod::Tls);
    let mut pair = Pair::new(way, false, 1);
    while pair.step() {}
    assert!(pair.why.contains("no path to a trusted CA"), "{}", pair.why);
    for method in [EapMethod::Tls, EapMethod::Ttls] {
        let mut pair = Pair::new(Way { method, inner: TtlsInner::Pap }, true, 1);
        pair.client = pair.client.with_tls(settings("node1", Some("node3.test")));
        while pair.step() {}
        assert!(pair.why.contains("it is not about"), "{}", pair.why);
        assert_eq!(pair.won, (false, false));
        assert!(!pair.said.iter().any(|p| contains(p.packet(), b"password")), "the password went to a stranger");
    }
}

/// A server's OCSP response about its own certificate comes in the handshake.
#[cfg(feature = "tls")]
#[test]
fn a_server_shows_its_ocsp_response() {
    let good: &[u8] = include_bytes!("../../tests/certs/stapled-good.der");
    let revoked: &[u8] = include_bytes!("../../tests/certs/stapled-revoked.der");
    for (response, says) in [(Some(good), ""), (Some(revoked), "revoked, says OCSP"), (None, "there is none")] {
        let mut pair = Pair::new(Way { method: EapMethod::Ttls, inner: TtlsInner::Pap }, true, 1);
        let anchors = alloc::vec![include_bytes!("../../tests/certs/stapled-ca.der").to_vec()];
        let mut server = settings("node2", None);
        let key = server.crypto.signing_key(include_bytes!("../../tests/certs/stapled.p8")).unwrap();
        let chain = alloc::vec![include_bytes!("../../tests/certs/stapled.der").to_vec()];
        let mut credential = ravelin_sa_db::pad::Credential::new(chain, key.into());
        credential.ocsp_response = response.map(<[u8]>::to_vec);
        server.credential = Some(Arc::new(credential));
        let mut client = settings("node1", Some("node2.test"));
        (client.anchors, client.revocation) = (anchors, ravelin_sa_db::pad::Revocation::Required);
        (pair.server, pair.client) = (pair.server.with_tls(server), pair.client.with_tls(client));
        while pair.step() {}
        assert!(pair.why.contains(says) && pair.won == (says.is_empty(), says.is_empty()), "{says}: {}", pair.why);
    }
}

#[cfg(feature = "tls")]
fn contains(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|w| w == part)
}

/// A packet with another code, identifier and type-data.
fn packet(code: EapCode, identifier: u8, kind: EapType, data: &[u8]) -> Eap {
    Eap::method(code, identifier, kind, data).unwrap()
}

/// All that was ever said, and what nobody says.
fn bodies() -> Vec<(EapType, Vec<u8>)> {
    let mut bodies: Vec<(EapType, Vec<u8>)> = alloc::vec![];
    for way in WAYS {
        for honest in [true, false] {
            let mut pair = Pair::new(*way, honest, 77);
            while pair.step() {}
            bodies.extend(pair.said.iter().filter_map(|p| p.kind_and_data()).map(|(k, d)| (k, d.to_vec())));
        }
    }
    for kind in [1u8, 2, 3, 4, 6, 13, 21, 23, 26, 50, 254] {
        for data in [&[][..], &[0], &[3], &[0x20], &[0x80, 0xFF, 0xFF, 0xFF, 0xFF], &[0xC0, 0, 0, 0, 1, 0], &[0xFF; 70]]
        {
            bodies.push((EapType(kind), data.to_vec()));
        }
    }
    bodies
}

/// The same as requests and as responses, and the bare codes.
fn strange(bodies: &[(EapType, Vec<u8>)], identifier: u8) -> Vec<Eap> {
    let mut all = alloc::vec![
        Eap::outcome(EapCode::SUCCESS, identifier),
        Eap::outcome(EapCode::FAILURE, identifier),
        Eap::outcome(EapCode::SUCCESS, identifier.wrapping_add(1)),
        Eap::outcome(EapCode::FAILURE, identifier.wrapping_add(1)),
    ];
    for (kind, data) in bodies {
        for code in [EapCode::REQUEST, EapCode::RESPONSE] {
            all.push(packet(code, identifier, *kind, data));
        }
        all.push(packet(EapCode::RESPONSE, identifier.wrapping_sub(1), *kind, data));
    }
    all
}

/// The honest packet cut at every place (every seventh of long ones), and with each of its first octets changed.
fn damaged(honest: &Eap) -> Vec<Eap> {
    let Some((kind, data)) = honest.kind_and_data() else { return alloc::vec![] };
    let every = if data.len() > 80 { 7 } else { 1 };
    let make = |data: &[u8]| packet(honest.code(), honest.identifier(), kind, data);
    let cut = (0..data.len()).step_by(every).map(|end| make(&data[..end]));
    let bent = (0..data.len().min(64)).flat_map(|at| {
        [0x01u8, 0x80].map(|bit| {
            let mut data = data.to_vec();
            data[at] ^= bit;
            make(&data)
        })
    });
    cut.chain(bent).collect()
}

fn thin(all: Vec<Eap>, way: Way) -> Vec<Eap> {
    let full = std::env::var_os("RAVELIN_FULL").is_some();
    let every = if way.is_dear() && !full { 199 } else { 1 };
    all.into_iter().step_by(every).collect()
}

#[test]
fn every_message_in_every_state() {
    let bodies = bodies();
    for way in WAYS.iter().copied() {
        let steps = {
            let mut pair = Pair::new(way, true, 5);
            core::iter::from_fn(|| pair.step().then_some(())).count()
        };
        for state in 0..steps {
            let pair = Pair::at(way, state, 5);
            let honest = pair.to_server.clone().or(pair.to_client.clone()).unwrap();
            let id = honest.identifier();
            let to_server = pair.to_server.is_some();
            let last = pair.said.last().cloned();
            let mut all = thin(strange(&bodies, id), way);
            all.extend(thin(damaged(&honest), way));
            all.extend(last);
            // Who reads it in this state; what is honest is honest. A server reads responses, a client the rest.
            for odd in all.into_iter().filter(|p| p.packet() != honest.packet()) {
                let mut pair = Pair::at(way, state, 5);
                let (server, client) = (&mut pair.server, &mut pair.client);
                if to_server {
                    let verdict = server.take(&odd, &lookup, &mut pair.rng);
                    assert!(!matches!(verdict, ServerVerdict::Success(..)), "{way:?} {state}: {odd:?}");
                    // What it could not take, it takes no more.
                    if matches!(verdict, ServerVerdict::Failure(_)) {
                        let again = server.take(&honest, &lookup, &mut pair.rng);
                        assert!(matches!(again, ServerVerdict::Failure(_)), "{way:?} {state}: goes on after {odd:?}");
                    }
                } else {
                    // Success and Failure carry no identifier that means something (RFC 3748 §4.2).
                    if odd.code() == honest.code() && odd.packet().len() == 4 {
                        continue;
                    }
                    let verdict = client.take(&odd, &mut pair.rng);
                    assert!(!matches!(verdict, ClientVerdict::Success(_)), "{way:?} {state}: {odd:?}");
                    if matches!(verdict, ClientVerdict::Failure(_)) {
                        let again = client.take(&honest, &mut pair.rng);
                        assert!(matches!(again, ClientVerdict::Failure(_)), "{way:?} {state}: goes on after {odd:?}");
                        let success = client.take(&Eap::outcome(EapCode::SUCCESS, id), &mut pair.rng);
                        assert!(matches!(success, ClientVerdict::Failure(_)), "{way:?} {state}: success after {odd:?}");
                    }
                }
            }
        }
    }
}
