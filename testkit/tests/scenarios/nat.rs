//! NAT boxes (RFC 7296 §2.23, RFC 3948): detection, float to port 4500, ESP in UDP, keepalives.

use ravelin::ike::registry::ExchangeType;
use ravelin_testkit::{Kind, Nat, Pair, Sim, minutes, secs};

fn up_behind(nat: Nat, seed: u64) -> Sim {
    let mut sim = Sim::new(seed);
    sim.record();
    let (a, b) = Pair::new().a(|s| s.behind(nat)).build(&mut sim);
    sim.bring_up(a, b);
    sim.assert_up(a, b);
    let (x, y) = (&sim.established(a)[0], &sim.established(b)[0]);
    assert_eq!((x.nat, y.nat), ((true, false), (false, true)));
    let auth = sim.trace().find(|e| e.message.is_request(ExchangeType::IKE_AUTH)).expect("IKE_AUTH");
    assert_eq!((auth.message.from.port(), auth.message.to.port()), (4500, 4500));
    sim.expect_ping(a, b);
    sim.expect_ping(b, a);
    let bare = sim.trace().filter(|e| e.message.carrier == ravelin_testkit::Carrier::Esp).count();
    assert_eq!(bare, 0, "ESP goes in UDP");
    // Longer than the box remembers without keepalives.
    sim.run_for(minutes(5));
    let kept = sim.trace().filter(|e| e.message.kind() == Kind::Keepalive).count();
    assert!(kept >= 10, "{kept} keepalives in five minutes");
    assert!(sim.node(b).keepalives() >= 10);
    sim.expect_ping(b, a);
    sim.assert_up(a, b);
    sim
}

#[test]
fn behind_a_cone() {
    up_behind(Nat::cone(), 1);
}

#[test]
fn behind_a_symmetric_nat() {
    up_behind(Nat::symmetric(), 2);
}

#[test]
fn both_behind_boxes() {
    let mut sim = Sim::new(3);
    let (a, b) = {
        let mut pair = Pair::new().both(|s| s.behind(Nat::cone()));
        // The responder's box forwards both ports.
        pair.a.peer.remote = Some((std::net::Ipv4Addr::new(203, 0, 113, 2), 500).into());
        pair.build(&mut sim)
    };
    let nat_b = sim.nat_of(b).expect("a box");
    sim.forward(nat_b, 500, "172.16.2.2:500".parse().expect("an address"));
    sim.forward(nat_b, 4500, "172.16.2.2:4500".parse().expect("an address"));
    sim.bring_up(a, b);
    assert_eq!(sim.established(a)[0].nat, (true, true));
    sim.expect_ping(a, b);
    sim.run_for(secs(100));
    sim.expect_ping(b, a);
}

#[test]
fn without_a_nat_esp_is_bare() {
    let mut sim = Sim::new(4);
    let (a, b) = Pair::new().build(&mut sim);
    sim.bring_up(a, b);
    sim.record();
    sim.expect_ping(a, b);
    assert!(sim.trace().all(|e| e.message.carrier == ravelin_testkit::Carrier::Esp));
}
