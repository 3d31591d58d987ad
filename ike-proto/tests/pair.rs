//! Two endpoints joined by memory: the shortest way from configuration to a Child SA, by PSK.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use ravelin_crypto::Secret;
use ravelin_ike_proto::{Config, Endpoint, Event, Output};
use ravelin_sa_db::pad::{Identity, Peer};
use ravelin_sa_db::spd::{Policy, Protect};
use ravelin_sa_db::{AddrRange, Change, Db, Now, Path, PeerId, PolicyId, TrafficSelector};
use std::sync::Arc;

struct Side {
    endpoint: Endpoint,
    db: Db,
    peer: PeerId,
    policy: PolicyId,
    changes: Vec<Change>,
    events: Vec<Event>,
}

fn net(s: &str) -> TrafficSelector {
    TrafficSelector::any(AddrRange::prefix(s.parse().unwrap(), 24).unwrap())
}

fn side(me: u8, psk: &[u8]) -> Side {
    let name = |n: u8| -> Identity { format!("node{n}.test").parse().unwrap() };
    let addr = |n: u8| -> std::net::IpAddr { format!("192.0.2.{n}").parse().unwrap() };
    let other = 3 - me;
    let mut db = Db::default();
    let mut peer = Peer::new("peer", name(me), name(other));
    peer.local = Some(addr(me));
    peer.remote = Some((addr(other), 500).into());
    let peer = db.pad.add(peer).unwrap();
    db.pad.secrets.add_psk(None, None, Secret::new(psk.to_vec()));
    let ts = |n: u8| net(&format!("10.0.{n}.0"));
    let policy = db.spd.add(Policy::new("net", [ts(me)], [ts(other)], Protect::new(peer).into())).unwrap();
    let rng = Box::new(ChaCha20Rng::seed_from_u64(u64::from(me)));
    let crypto = Arc::new(ravelin_crypto::rustcrypto::provider());
    Side {
        endpoint: Endpoint::new(Arc::new(Config::default()), crypto, rng),
        db,
        peer,
        policy,
        changes: vec![],
        events: vec![],
    }
}

fn drain(side: &mut Side, wire: &mut Vec<(Path, Vec<u8>)>) {
    while let Some(output) = side.endpoint.poll_output() {
        match output {
            Output::Transmit(t) => wire.push((t.path, t.bytes)),
            Output::Change(c) => side.changes.push(c),
            Output::Event(e) => side.events.push(e),
            _ => {}
        }
    }
}

fn run(a: &mut Side, b: &mut Side) {
    let mut now = 1_000_000;
    for _ in 0..100 {
        let (mut from_a, mut from_b) = (vec![], vec![]);
        drain(a, &mut from_a);
        drain(b, &mut from_b);
        if from_a.is_empty() && from_b.is_empty() {
            return;
        }
        now += 1000;
        for (to, list) in [(&mut *b, from_a), (&mut *a, from_b)] {
            for (path, bytes) in list {
                let skip = if path.local.port() == 4500 { 4 } else { 0 };
                let back = Path { local: path.remote, remote: path.local };
                to.endpoint.handle_datagram(Now::at(now), &to.db, back, &mut bytes[skip..].to_vec());
            }
        }
    }
    panic!("the peers never stop talking");
}

#[test]
fn psk_tunnel_comes_up_with_equal_keys() {
    let (mut a, mut b) = (side(1, b"secret"), side(2, b"secret"));
    let (peer, policy) = (a.peer, a.policy);
    a.endpoint.initiate(Now::at(0), &a.db, peer, Some(policy)).unwrap();
    run(&mut a, &mut b);
    assert!(a.events.iter().any(|e| matches!(e, Event::Established(_))), "{:?}", a.events);
    assert!(b.events.iter().any(|e| matches!(e, Event::ChildEstablished(_))), "{:?}", b.events);
    let (Change::InstallInbound(ai), Change::InstallOutbound(ao)) = (&a.changes[0], &a.changes[1]) else {
        panic!("{:?}", a.changes)
    };
    let (Change::InstallInbound(bi), Change::InstallOutbound(bo)) = (&b.changes[0], &b.changes[1]) else {
        panic!("{:?}", b.changes)
    };
    assert_eq!((ai.spi, &ai.suite), (bo.spi, &bo.suite));
    assert_eq!((ao.spi, &ao.suite), (bi.spi, &bi.suite));
    assert_eq!(a.endpoint.snapshot(Now::at(5).mono)[0].children.len(), 1);
}

#[test]
fn a_wrong_secret_is_refused_and_said_why() {
    let (mut a, mut b) = (side(1, b"secret"), side(2, b"other"));
    let (peer, policy) = (a.peer, a.policy);
    a.endpoint.initiate(Now::at(0), &a.db, peer, Some(policy)).unwrap();
    run(&mut a, &mut b);
    assert!(a.changes.is_empty() && b.changes.is_empty());
    let why = |s: &Side| {
        s.events.iter().find_map(|e| if let Event::Closed { reason, .. } = e { Some(reason.to_string()) } else { None })
    };
    assert!(why(&b).unwrap().contains("pre-shared keys differ"), "{:?}", b.events);
    assert!(why(&a).unwrap().contains("AUTHENTICATION_FAILED"), "{:?}", a.events);
    assert!(a.endpoint.is_empty() && b.endpoint.is_empty());
}

#[test]
fn delete_takes_both_sides_down() {
    let (mut a, mut b) = (side(1, b"secret"), side(2, b"secret"));
    let (peer, policy) = (a.peer, a.policy);
    let id = a.endpoint.initiate(Now::at(0), &a.db, peer, Some(policy)).unwrap();
    run(&mut a, &mut b);
    a.endpoint.delete(Now::at(9_000_000), &a.db, id).unwrap();
    run(&mut a, &mut b);
    assert!(a.endpoint.is_empty() && b.endpoint.is_empty());
    let removed = |s: &Side| s.changes.iter().filter(|c| matches!(c, Change::Remove(_))).count();
    assert_eq!((removed(&a), removed(&b)), (2, 2));
    assert!(a.db.spis.is_empty() && b.db.spis.is_empty());
}
