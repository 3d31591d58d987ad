//! Whole conversations. `conversation`: both nodes are up, the fuzzer owns the network and writes plaintext of node 0.
//! `initiator`: node 1 initiates, the fuzzer answers in the clear. `stranger`: datagrams without keys at a responder.
//!
//! Oracle for whatever happens: at most one answer per request, message ids in order, no change of state by what is not
//! authentic, no more octets back to a stranger than came, plane and IKE agree, timers do not spin, and after the
//! fuzzer has let go both nodes come up again.

use crate::world::{Flying, Standing, World, ike, path};
use arbitrary::{Arbitrary, Unstructured};
use ravelin::ike::registry::{ExchangeType, PayloadType};
use ravelin::ike::wire::payload::Fragment;
use ravelin::ike::wire::{Flags, HEADER_LEN, Header, IkeSpi};

#[derive(Arbitrary, Debug)]
enum Op {
    Deliver(u8),
    Drop(u8),
    Copy(u8),
    Corrupt {
        at: u8,
        bit: u16,
    },
    Cut {
        at: u8,
        len: u16,
    },
    Late(u8),
    Advance(u16),
    Initiate(bool),
    Delete(bool),
    DeleteChild(bool),
    Rekey(bool),
    RekeyChild(bool),
    Probe(bool),
    Packet(bool),
    /// A message of node 0 with valid keys. `first` and `plain` are what is inside.
    Forge {
        exchange: u8,
        response: bool,
        ahead: i8,
        first: u8,
        plain: Vec<u8>,
    },
    /// Payloads of legal form, in any combination.
    Compose {
        exchange: u8,
        response: bool,
        ahead: i8,
        parts: Vec<Part>,
    },
    /// The same, in pieces.
    Pieces {
        exchange: u8,
        total: u8,
        order: u32,
        plain: Vec<u8>,
    },
    /// Octets without keys, with or without the SPIs of the SA.
    Raw {
        to: bool,
        known: bool,
        exchange: u8,
        flags: u8,
        id: u32,
        body: Vec<u8>,
    },
}

/// A payload in its legal outer form.
#[derive(Arbitrary, Debug)]
struct Part {
    kind: u8,
    critical: bool,
    body: Body,
}

#[derive(Arbitrary, Debug)]
enum Body {
    Notify {
        protocol: u8,
        kind: u16,
        spi: Spi,
        data: Vec<u8>,
    },
    Delete {
        protocol: u8,
        spis: Vec<Spi>,
    },
    Octets(Vec<u8>),
    /// What was sent in the SA before: a good proposal, nonce, selectors.
    Good(u8),
}

#[derive(Arbitrary, Debug)]
enum Spi {
    None,
    OfNode0,
    OfNode1,
    Other(u32),
}

const EXCHANGES: [ExchangeType; 8] = [
    ExchangeType::INFORMATIONAL,
    ExchangeType::CREATE_CHILD_SA,
    ExchangeType::IKE_AUTH,
    ExchangeType::IKE_SA_INIT,
    ExchangeType::IKE_INTERMEDIATE,
    ExchangeType::IKE_FOLLOWUP_KE,
    ExchangeType(0),
    ExchangeType(240),
];
const KINDS: [u8; 22] = [33, 34, 35, 36, 37, 38, 39, 40, 41, 41, 41, 42, 42, 43, 44, 45, 46, 47, 48, 53, 54, 99];

fn exchange(n: u8) -> ExchangeType {
    EXCHANGES[usize::from(n) % EXCHANGES.len()]
}

pub(crate) fn run(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok(variant) = u8::arbitrary(&mut u) else { return };
    let Ok(ops) = Vec::<Op>::arbitrary_take_rest(u) else { return };
    let mut world = World::established(variant & 3);
    let mut forged = false;
    for op in ops.into_iter().take(40) {
        forged |= play(&mut world, op);
        world.check_books(1);
    }
    let_go(&mut world, forged);
}

/// Runs the steps of [`told`] without printing, and drops everything.
pub fn silently(data: &[u8]) {
    drop(steps(data, None));
}

/// Runs the steps and gives everything that was printed meanwhile, and the secrets; for the tests that look for them.
pub fn told(data: &[u8]) -> (String, Vec<Vec<u8>>) {
    let mut world = steps(data, Some(String::new()));
    let mut text = world.text.take().unwrap_or_default();
    for n in 0..2 {
        text.push_str(&format!("{:?}\n{:?}\n", world.nodes[n], world.nodes[n].db()));
        text.push_str(&format!("{:?}\n", world.nodes[n].snapshot(ravelin::Instant(world.now))));
    }
    let mut secrets = vec![crate::world::PSK.to_vec()];
    for keys in &world.keys {
        secrets.extend([&keys.sk_ei, &keys.sk_er, &keys.sk_ai, &keys.sk_ar].map(|s| s.expose().to_vec()));
    }
    (text, secrets.into_iter().filter(|s| s.len() >= 12).collect())
}

fn steps(data: &[u8], text: Option<String>) -> World {
    let mut u = Unstructured::new(data);
    let mut world = World::new(0);
    world.text = text;
    world.initiate(0);
    world.deliver_all();
    if let Ok(ops) = Vec::<Op>::arbitrary(&mut u) {
        for op in ops.into_iter().take(40) {
            play(&mut world, op);
        }
    }
    world
}

/// One step; true when it was a forged message with valid keys.
fn play(world: &mut World, op: Op) -> bool {
    match op {
        Op::Deliver(at) => {
            if let Some(f) = take(world, at) {
                give(world, f);
            }
        }
        Op::Drop(at) => drop(take(world, at)),
        Op::Copy(at) => {
            if let Some(f) = take(world, at) {
                world.wire.push_back(f.clone());
                give(world, f);
            }
        }
        Op::Corrupt { at, bit } => {
            if let Some(mut f) = take(world, at) {
                let bit = usize::from(bit) % (f.bytes.len().max(1) * 8);
                if let Some(b) = f.bytes.get_mut(bit / 8) {
                    *b ^= 1 << (bit % 8);
                }
                f.intact = false;
                give(world, f);
            }
        }
        Op::Cut { at, len } => {
            if let Some(mut f) = take(world, at) {
                f.intact &= usize::from(len) >= f.bytes.len();
                f.bytes.truncate(usize::from(len));
                give(world, f);
            }
        }
        Op::Late(at) => {
            if let Some(f) = take(world, at) {
                world.wire.push_back(f);
            }
        }
        Op::Advance(t) => world.advance(u64::from(t) * u64::from(t) * 20),
        Op::Initiate(n) => world.initiate(n.into()),
        Op::Packet(n) => world.packet(n.into()),
        Op::Delete(n) => each_sa(world, n, |node, now, sa| {
            let _ = node.delete(now, sa);
        }),
        Op::Rekey(n) => each_sa(world, n, |node, now, sa| {
            let _ = node.rekey(now, sa);
        }),
        Op::Probe(n) => each_sa(world, n, |node, now, sa| {
            let _ = node.probe(now, sa);
        }),
        Op::DeleteChild(n) => each_child(world, n, |node, now, child| {
            let _ = node.delete_child(now, child);
        }),
        Op::RekeyChild(n) => each_child(world, n, |node, now, child| {
            let _ = node.rekey_child(now, child);
        }),
        Op::Forge { exchange: e, response, ahead, first, plain } => {
            let id = world.next_id().wrapping_add_signed(i32::from(ahead % 3));
            if let Some(f) = world.forge(exchange(e), response, id, PayloadType(first), &plain, None) {
                world.deliver(f);
                return true;
            }
        }
        Op::Compose { exchange: e, response, ahead, parts } => {
            let id = world.next_id().wrapping_add_signed(i32::from(ahead % 3));
            let (first, plain) = compose(world, &parts);
            if let Some(f) = world.forge(exchange(e), response, id, first, &plain, None) {
                world.deliver(f);
                return true;
            }
        }
        Op::Pieces { exchange: e, total, order, plain } => {
            let (total, id) = (u16::from(total % 5) + 1, world.next_id());
            let chunk = plain.len().div_ceil(usize::from(total)).max(1);
            for k in 0..total {
                let number = (k + (order >> k) as u16 % total) % total + 1;
                let part = plain.chunks(chunk).nth(usize::from(number) - 1).unwrap_or_default();
                let first = if number == 1 { PayloadType::N } else { PayloadType::NONE };
                let piece = Some(Fragment { number, total });
                if let Some(f) = world.forge(exchange(e), false, id, first, part, piece) {
                    world.deliver(f);
                }
            }
            return true;
        }
        Op::Raw { to, known, exchange: e, flags, id, body } => {
            let spis = world.keys.last().map_or((1, 2), |k| k.spis);
            let spis = if known { spis } else { (spis.0 ^ 1, spis.1) };
            let mut header = Header::new(IkeSpi(spis.0), IkeSpi(spis.1), exchange(e), Flags(flags), id);
            header.next_payload = PayloadType::SK;
            header.length = (HEADER_LEN + body.len()) as u32;
            let mut bytes = Vec::new();
            header.emit(&mut bytes);
            bytes.extend(body);
            let to = usize::from(to);
            give(world, Flying { to, path: path(to), bytes, intact: false, bare: false });
        }
    }
    false
}

fn take(world: &mut World, at: u8) -> Option<Flying> {
    let at = usize::from(at) % world.wire.len().max(1);
    world.wire.remove(at)
}

/// Delivers; what is not authentic must change nothing that is proved.
fn give(world: &mut World, flying: Flying) {
    let (to, intact, len) = (flying.to, flying.intact, flying.bytes.len());
    let header = ike(flying.path, &flying.bytes).and_then(|b| Header::parse(b).ok());
    let protected = header.is_none_or(|h| !h.exchange.is_unprotected());
    if intact {
        world.deliver(flying);
        return;
    }
    let before = (world.standing(to), world.delivered);
    let sent = world.deliver(flying);
    assert_eq!(before, (world.standing(to), world.delivered), "a change by octets that nobody proved");
    if protected {
        assert!(sent <= len, "{sent} octets back for {len} without proof");
    }
}

fn each_sa(world: &mut World, n: bool, f: impl Fn(&mut ravelin::Node, ravelin::Now, ravelin::IkeSaId)) {
    let n = usize::from(n);
    let ids: Vec<_> = world.nodes[n].snapshot(ravelin::Instant(world.now)).iter().map(|s| s.id).collect();
    for id in ids {
        world.with(n, |node, now| f(node, now, id));
    }
}

fn each_child(world: &mut World, n: bool, f: impl Fn(&mut ravelin::Node, ravelin::Now, ravelin::ChildId)) {
    let n = usize::from(n);
    let sas = world.nodes[n].snapshot(ravelin::Instant(world.now));
    for child in sas.iter().flat_map(|s| &s.children) {
        world.with(n, |node, now| f(node, now, child.id));
    }
}

/// The plaintext of these payloads.
fn compose(world: &World, parts: &[Part]) -> (PayloadType, Vec<u8>) {
    let spis = |n: usize| {
        let sas = world.nodes[n].snapshot(ravelin::Instant(world.now));
        sas.iter().flat_map(|s| &s.children).map(|c| c.spi_in.0).next().unwrap_or(7)
    };
    let spi = |s: &Spi| match s {
        Spi::None => Vec::new(),
        Spi::OfNode0 => spis(0).to_be_bytes().to_vec(),
        Spi::OfNode1 => spis(1).to_be_bytes().to_vec(),
        Spi::Other(n) => n.to_be_bytes().to_vec(),
    };
    let mut out: Vec<(u8, bool, Vec<u8>)> = Vec::new();
    for part in parts.iter().take(12) {
        let (kind, body) = match &part.body {
            Body::Notify { protocol, kind, spi: s, data } => {
                let s = spi(s);
                // Known numbers more often than not.
                let kind = if *kind < 0x8000 { 16384 + kind % 64 } else { kind % 50 };
                let mut b = vec![protocol % 5, s.len() as u8];
                b.extend(kind.to_be_bytes());
                b.extend(s);
                b.extend(data);
                (41, b)
            }
            Body::Delete { protocol, spis } => {
                let spis: Vec<Vec<u8>> = spis.iter().map(&spi).filter(|s| !s.is_empty()).collect();
                let mut b = vec![protocol % 5, if spis.is_empty() { 0 } else { 4 }];
                b.extend((spis.len() as u16).to_be_bytes());
                b.extend(spis.concat());
                (42, b)
            }
            Body::Octets(b) => (KINDS[usize::from(part.kind) % KINDS.len()], b.clone()),
            Body::Good(n) => good(*n),
        };
        out.push((kind, part.critical, body));
    }
    let mut plain = Vec::new();
    for (i, (_, critical, body)) in out.iter().enumerate() {
        let next = out.get(i + 1).map_or(0, |(k, ..)| *k);
        plain.extend([next, if *critical { 0x80 } else { 0 }]);
        plain.extend(((body.len() + 4) as u16).to_be_bytes());
        plain.extend(body);
    }
    (PayloadType(out.first().map_or(0, |(k, ..)| *k)), plain)
}

/// Payloads that a CREATE_CHILD_SA of these nodes would have.
fn good(n: u8) -> (u8, Vec<u8>) {
    match n % 7 {
        // ESP, AES-GCM-16 with 128 bits, no ESN; the SPI is the fuzzer's.
        0 => (
            33,
            vec![
                0, 0, 0, 32, 1, 3, 4, 2, 9, 9, 9, n, 3, 0, 0, 12, 1, 0, 0, 20, 0x80, 14, 0, 128, 0, 0, 0, 8, 5, 0, 0, 0,
            ],
        ),
        // IKE, AES-GCM-16, HMAC-SHA2-256, X25519.
        1 => {
            let mut b =
                vec![0, 0, 0, 44, 1, 1, 8, 3, 1, 2, 3, 4, 5, 6, 7, n, 3, 0, 0, 12, 1, 0, 0, 20, 0x80, 14, 0, 128];
            b.extend([3, 0, 0, 8, 2, 0, 0, 5, 0, 0, 0, 8, 4, 0, 0, 31]);
            (33, b)
        }
        2 => (40, vec![n; 32]),
        3 => (34, [vec![0, 31, 0, 0], vec![9; 32]].concat()),
        4 => (44, selectors([10, 0, 1, 0], [10, 0, 1, 255])),
        5 => (45, selectors([10, 0, 2, 0], [10, 0, 2, 255])),
        _ => (47, vec![1, 0, 0, 0, 0, 1, 0, 0]),
    }
}

fn selectors(first: [u8; 4], last: [u8; 4]) -> Vec<u8> {
    let mut b = vec![1, 0, 0, 0, 7, 0, 0, 16, 0, 0, 0xff, 0xff];
    b.extend(first);
    b.extend(last);
    b
}

/// The network is good again and nobody forges: the nodes must end up in order.
fn let_go(world: &mut World, forged: bool) {
    for _ in 0..40 {
        world.deliver_all();
        world.advance(10_000_000);
    }
    world.deliver_all();
    for n in 0..2 {
        world.check_books(n);
        assert_eq!(world.opening(n), 0, "an attempt of node {n} never ends");
    }
    if !forged {
        assert_eq!(agreed(world, 0), agreed(world, 1), "the nodes disagree for ever");
    }
    // Whatever happened, a new attempt of the honest node succeeds.
    let (now, before) = (world.time(), world.delivered);
    world.nodes[1].handle_timeout(now);
    if world.standing(0).is_empty() && world.standing(1).is_empty() {
        world.initiate(1);
        world.deliver_all();
        world.packet(1);
        world.deliver_all();
        assert!(world.delivered > before, "no tunnel after the fuzzer let go: {:?}", world.standing(1));
    }
}

/// The SAs of a node as the other one should have them.
fn agreed(world: &World, n: usize) -> Standing {
    let mut all = world.standing(n);
    for (_, children) in &mut all {
        if n == 1 {
            children.iter_mut().for_each(|c| *c = (c.1, c.0));
        }
        children.sort_unstable();
    }
    all
}

/// Node 1 initiates; the fuzzer answers in the clear, from what it may know: the request.
pub(crate) fn initiator(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok(answers) = Vec::<(bool, u16, Vec<u8>)>::arbitrary(&mut u) else { return };
    let mut world = World::new(0);
    world.initiate(1);
    // The honest answer to the honest request, to be changed.
    let request = world.wire.pop_front().expect("a request");
    world.deliver(request.clone());
    let honest = world.wire.pop_back().expect("an answer");
    world.wire.clear();
    for (from_honest, at, octets) in answers.into_iter().take(12) {
        let mut bytes = if from_honest { honest.bytes.clone() } else { request.bytes.clone() };
        let at = usize::from(at) % bytes.len();
        let to = (at + octets.len()).min(bytes.len());
        bytes.splice(at..to, octets);
        if !from_honest && bytes.len() > 20 {
            bytes[19] = Flags::RESPONSE;
        }
        let length = (bytes.len() as u32).to_be_bytes();
        if bytes.len() >= HEADER_LEN {
            bytes[24..28].copy_from_slice(&length);
        }
        let changed = bytes != honest.bytes;
        world.deliver(Flying { to: 1, path: path(1), bytes, intact: !changed, bare: false });
        assert!(world.standing(1).is_empty(), "an SA without the peer");
        world.check_books(1);
        world.advance(3_000_000);
        world.wire.clear();
    }
    world.advance(400_000_000);
    assert_eq!(world.opening(1), 0, "the attempt never ends");
}

/// A responder and somebody without keys: rows of datagrams, each with a length in two octets.
pub(crate) fn stranger(data: &[u8]) {
    let Some((variant, mut rest)) = data.split_first() else { return };
    let mut world = World::new(variant & 1);
    let mut count = 0;
    while let Some(([a, b], tail)) = rest.split_first_chunk::<2>() {
        let len = usize::from(u16::from_be_bytes([*a, *b]) % 1500).min(tail.len());
        let (datagram, next) = tail.split_at(len);
        rest = next;
        count += 1;
        if count > 16 {
            break;
        }
        let bytes = datagram.to_vec();
        let from = datagram.len();
        let sent = world.deliver(Flying { to: 1, path: path(1), bytes, intact: false, bare: false });
        assert!(sent <= from, "{sent} octets for {from} to an address that proved nothing");
        assert!(world.standing(1).is_empty(), "an SA without proof");
        assert!(world.opening(1) <= 8, "more half-open SAs than configured");
        world.check_books(1);
        world.wire.clear();
    }
    world.advance(100_000_000);
    assert_eq!(world.opening(1), 0, "half-open SAs stay");
}
