//! Transport mode behind NATs (RFC 7296 §2.23.1): each side sees other addresses, and both judge by what they see.

use super::ip;
use ravelin::db::pad::Peer;
use ravelin::db::spd::{Action, Policy, Protect};
use ravelin::db::{Encapsulation, Mode, TrafficSelector};
use ravelin::{Event, Secret};
use ravelin_testkit::{Host, Nat, Pair, Side, Sim, minutes, secs};
use std::net::{IpAddr, SocketAddr};

/// Behind a's box, and what the world sees of it; before b's box, and b behind it; b in the open.
const A: &str = "172.16.1.2";
const A_SEEN: &str = "203.0.113.1";
const B_SEEN: &str = "203.0.113.2";
const B_INSIDE: &str = "172.16.2.2";
const B: &str = "192.0.2.2";

/// Transport mode between the hosts themselves.
fn transport(s: &mut Side) {
    s.protect.mode = Mode::Transport;
    (s.local_ts, s.remote_ts) = (Vec::new(), Vec::new());
    s.inner.clone_from(&s.addrs);
}

fn behind(s: &mut Side) {
    s.behind(Nat::cone());
    s.inner.clone_from(&s.addrs);
}

/// a behind a NAT, b where `b_too` says, and what a pings: b as a sees it.
fn up(seed: u64, pair: Pair, b_too: bool) -> (Sim, Host, Host) {
    let mut sim = Sim::new(seed);
    let mut pair = pair;
    if b_too {
        pair = pair.b(behind);
        pair.a.peer.remote = Some(SocketAddr::new(ip(B_SEEN), 500));
    }
    let (a, b) = pair.build(&mut sim);
    if b_too {
        let nat = sim.nat_of(b).expect("a box");
        [500, 4500].iter().for_each(|port| sim.forward(nat, *port, SocketAddr::new(ip(B_INSIDE), *port)));
    }
    sim.bring_up(a, b);
    (sim, a, b)
}

/// An echo request and a datagram with a checksum get through; the request is answered.
#[track_caller]
fn talks(sim: &mut Sim, host: Host, from: &str, to: &str) {
    let (from, to): (IpAddr, IpAddr) = (ip(from), ip(to));
    let answered = sim.delivered(host).len() + 1;
    let (echo, _) = sim.send_echo(host, from, to, 64);
    let (datagram, _) = sim.send_udp(host, (from, 4000), (to, 5000), 64);
    sim.run_for(secs(1));
    assert!(sim.was_delivered(echo) && sim.was_delivered(datagram), "{from} to {to}");
    assert_eq!(sim.delivered(host).len(), answered, "an answer from {to}");
}

#[track_caller]
fn is_transport(sim: &Sim, host: Host, local: &str, remote: &str) {
    let child = sim.children(host).pop().expect("a Child SA");
    assert_eq!((child.mode, child.encapsulation), (Mode::Transport, Encapsulation::Udp));
    let text = |side: &[TrafficSelector]| side[0].to_string();
    assert_eq!((text(&child.local_ts), text(&child.remote_ts)), (format!("{local}/32"), format!("{remote}/32")));
}

/// Where who is, as a sees it and as b does: what each sends to.
fn both_ways(sim: &mut Sim, (a, b): (Host, Host), at_a: (&str, &str), at_b: (&str, &str)) {
    talks(sim, a, at_a.0, at_a.1);
    talks(sim, b, at_b.0, at_b.1);
}

#[test]
fn the_initiator_is_behind_a_nat() {
    let (mut sim, a, b) = up(1, Pair::new().both(transport).a(behind), false);
    is_transport(&sim, a, A, B);
    is_transport(&sim, b, B, A_SEEN);
    both_ways(&mut sim, (a, b), (A, B), (B, A_SEEN));
}

#[test]
fn the_responder_is_behind_a_nat() {
    let (mut sim, a, b) = up(2, Pair::new().both(transport), true);
    is_transport(&sim, a, "192.0.2.1", B_SEEN);
    is_transport(&sim, b, B_INSIDE, "192.0.2.1");
    both_ways(&mut sim, (a, b), ("192.0.2.1", B_SEEN), (B_INSIDE, "192.0.2.1"));
}

/// The example of RFC 7296 §2.23.1, and what follows it: rekeying by each side, of an IKE SA that was rekeyed too.
#[test]
fn both_are_behind_nats_and_rekey() {
    let (mut sim, a, b) = up(3, Pair::new().both(transport).a(behind), true);
    let (at_a, at_b) = ((A, B_SEEN), (B_INSIDE, A_SEEN));
    both_ways(&mut sim, (a, b), at_a, at_b);
    for (n, host) in [a, b, a, b].into_iter().enumerate() {
        if n == 2 {
            sim.rekey(b, a);
            sim.run_for(secs(2));
        }
        sim.rekey_children(host);
        sim.run_for(secs(2));
        sim.settle(a, b);
        is_transport(&sim, a, at_a.0, at_a.1);
        is_transport(&sim, b, at_b.0, at_b.1);
        both_ways(&mut sim, (a, b), at_a, at_b);
        for host in [a, b] {
            assert_eq!(sim.count_events(host, |e| matches!(e, Event::ChildRekeyed { .. })), n + 1);
        }
    }
    sim.assert_up(a, b);
}

/// A policy that bounds protocols and ports: they are kept, and bound what passes.
#[test]
fn protocols_and_ports_bound_it_all_the_same() {
    let udp = |addr: &str, ports: &str| -> TrafficSelector { format!("{addr}[udp/{ports}]").parse().unwrap() };
    let pair = Pair::new().both(transport).a(behind);
    let pair = pair.a(|s| (s.local_ts, s.remote_ts) = (vec![udp(A, "any")], vec![udp(B, "5000")]));
    let pair = pair.b(|s| (s.local_ts, s.remote_ts) = (vec![udp(B, "5000")], vec![udp("203.0.113.0/24", "any")]));
    let (mut sim, a, b) = up(4, pair, false);
    let (good, _) = sim.send_udp(a, (ip(A), 4000), (ip(B), 5000), 64);
    let (back, _) = sim.send_udp(b, (ip(B), 5000), (ip(A_SEEN), 4000), 64);
    let (other, _) = sim.send_udp(a, (ip(A), 4000), (ip(B), 5001), 64);
    sim.run_for(secs(1));
    assert_eq!([good, back, other].map(|s| sim.was_delivered(s)), [true, true, false]);
}

/// Addresses that are seen and not in the policy: refused, and the refusal says by what was judged.
#[test]
fn what_is_seen_must_be_in_the_policy() {
    let mut sim = Sim::new(5);
    let elsewhere = vec!["192.0.2.99/32".parse().unwrap()];
    let (a, b) = Pair::new().both(transport).a(behind).b(|s| s.remote_ts = elsewhere).build(&mut sim);
    sim.initiate(a, b);
    sim.run_for(secs(2));
    assert_eq!((sim.children(a).len(), sim.children(b).len()), (0, 0));
    let why = sim.child_refused_because(b).unwrap().to_string();
    for part in ["192.0.2.99/32", "172.16.1.2/32", "192.0.2.2/32 === 203.0.113.1/32", "2.23.1"] {
        assert!(why.contains(part), "{why}");
    }
}

/// A policy for the private address is none for what packets of transport mode show: they go through a tunnel.
#[test]
fn a_private_address_in_the_policy_is_reached_by_a_tunnel() {
    let private = vec![format!("{A}/32").parse().unwrap()];
    let (mut sim, a, b) = up(6, Pair::new().both(transport).a(behind).b(|s| s.remote_ts = private), false);
    assert_eq!([a, b].map(|h| sim.children(h)[0].mode), [Mode::Tunnel; 2]);
    both_ways(&mut sim, (a, b), (A, B), (B, A));
}

/// Addresses that are not those of the IKE SA are not offered in transport mode.
#[test]
fn addresses_behind_the_hosts_pass_a_tunnel_only() {
    let pair = Pair::new().both(|s| s.protect.mode = Mode::Transport).a(|s| s.behind(Nat::cone()));
    let one = |s: &str| vec![s.parse::<TrafficSelector>().unwrap()];
    let pair = pair.a(|s| (s.local_ts, s.remote_ts) = (one("10.0.1.1"), one("10.0.2.1")));
    let pair = pair.b(|s| (s.local_ts, s.remote_ts) = (one("10.0.2.1"), one("10.0.1.1")));
    let (mut sim, a, b) = up(7, pair, false);
    assert_eq!([a, b].map(|h| sim.children(h)[0].mode), [Mode::Tunnel; 2]);
    both_ways(&mut sim, (a, b), ("10.0.1.1", "10.0.2.1"), ("10.0.2.1", "10.0.1.1"));
}

/// A responder with one policy for everybody, and clients with the same private address behind `public`.
struct Clients {
    sim: Sim,
    b: Host,
    clients: Vec<Host>,
}

fn clients(seed: u64, public: &[&str]) -> Clients {
    let mut sim = Sim::new(seed);
    let id = |name: &str| format!("{name}.test").parse().expect("a domain name");
    let secret = || Secret::new(b"a secret of the test kit".to_vec());
    let open = |peer| Action::from(Protect { mode: Mode::Transport, ..Protect::new(peer) });
    let b = sim.add_host("b", &[ip(B)], None, ravelin::Config::default(), ravelin::Db::new());
    sim.add_inner(b, ip(B));
    let db = sim.db(b);
    let mut anyone = Peer::new("clients", id("b"), "*.clients.test".parse::<ravelin::db::pad::IdPattern>().unwrap());
    anyone.mobike = false;
    let anyone = db.pad.add(anyone).unwrap();
    db.pad.secrets.add_psk(None, None, secret());
    db.spd.add(Policy::new("clients", [], ["0.0.0.0/0".parse().unwrap()], open(anyone))).unwrap();
    let mut boxes = std::collections::BTreeMap::new();
    let mut clients = Vec::new();
    for (n, public) in public.iter().enumerate() {
        let nat = *boxes.entry(*public).or_insert_with(|| sim.add_nat(Nat::cone(), ip(public)));
        // The same private address behind different boxes, another one behind the same.
        let own = format!("172.16.1.{}", if boxes.len() == n + 1 { 2 } else { n + 2 });
        let name = format!("c{n}");
        let host = sim.add_host(&name, &[ip(&own)], Some(nat), ravelin::Config::default(), ravelin::Db::new());
        sim.add_inner(host, ip(&own));
        let db = sim.db(host);
        let mut peer = Peer::new("b", id(&format!("{name}.clients")), ravelin::db::pad::IdPattern::Exact(id("b")));
        (peer.remote, peer.mobike) = (Some(SocketAddr::new(ip(B), 500)), false);
        peer.local = Some(ip(&own));
        let peer = db.pad.add(peer).unwrap();
        db.pad.secrets.add_psk(None, None, secret());
        let policy = db.spd.add(Policy::new("b", [], [], open(peer))).unwrap();
        sim.with_node(host, |node, now| node.initiate(now, peer, Some(policy))).unwrap();
        sim.run_for(secs(2));
        clients.push(host);
    }
    Clients { sim, b, clients }
}

#[test]
fn one_policy_serves_clients_behind_different_nats() {
    let seen = ["203.0.113.1", "203.0.113.7"];
    let Clients { mut sim, b, clients } = clients(8, &seen);
    for (client, seen) in clients.iter().zip(seen) {
        assert_eq!(sim.children(*client).len(), 1);
        talks(&mut sim, *client, A, B);
        talks(&mut sim, b, B, seen);
    }
    sim.run_for(minutes(5));
    for (client, seen) in clients.iter().zip(seen) {
        talks(&mut sim, b, B, seen);
        talks(&mut sim, *client, A, B);
    }
}

/// Two clients behind one NAT look the same: the second one is refused, as RFC 3948 §5.2 wants it, and the first goes on.
/// Once that is gone there is room.
#[test]
fn clients_behind_one_nat_do_not_get_each_others_packets() {
    let Clients { mut sim, b, clients } = clients(9, &["203.0.113.1", "203.0.113.1"]);
    let why = sim.child_refused_because(b).unwrap().to_string();
    assert!(why.contains("c0.clients.test") && why.contains("3948"), "{why}");
    assert_eq!([sim.children(clients[0]).len(), sim.children(clients[1]).len(), sim.children(b).len()], [1, 0, 1]);
    talks(&mut sim, clients[0], A, B);
    talks(&mut sim, b, B, "203.0.113.1");
    sim.shutdown(clients[0]);
    sim.run_for(secs(2));
    let peer = sim.sas(clients[1])[0].peer.unwrap();
    let policy = sim.db(clients[1]).spd.policies_of(peer).next().unwrap().id;
    sim.with_node(clients[1], |node, now| node.initiate(now, peer, Some(policy))).unwrap();
    sim.run_for(secs(2));
    talks(&mut sim, clients[1], "172.16.1.3", B);
    talks(&mut sim, b, B, "203.0.113.1");
}

/// Who comes again under the same identity is no rival of itself.
#[test]
fn a_client_authenticates_anew_behind_its_nat() {
    let Clients { mut sim, b, clients } = clients(12, &["203.0.113.1"]);
    let client = clients[0];
    for _ in 0..2 {
        let sa = sim.sas(client)[0].id;
        sim.with_node(client, |node, now| node.reauth(now, sa)).unwrap();
        sim.run_for(secs(5));
        assert_eq!([client, b].map(|h| (sim.sas(h).len(), sim.children(h).len())), [(1, 1); 2]);
        assert_ne!(sim.sas(client)[0].id, sa);
        talks(&mut sim, client, A, B);
        talks(&mut sim, b, B, "203.0.113.1");
    }
}

/// The box gives other ports: followed. Its public address cannot change for an SA that is for that address.
#[test]
fn another_port_is_followed() {
    let pair = Pair::new().both(transport).both(|s| s.peer.mobike = false).a(behind);
    let (mut sim, a, b) = up(10, pair, false);
    sim.rebind(ravelin_testkit::NatBox::first());
    both_ways(&mut sim, (a, b), (A, B), (B, A_SEEN));
    assert_eq!(sim.count_events(b, |e| matches!(e, Event::Moved { .. })), 1);
}

/// Nobody has judged other addresses for a Child SA in transport mode: it ends, and the next one is for them.
#[test]
fn a_move_to_another_address_ends_it() {
    let mut sim = Sim::new(11);
    let (a, b) = Pair::new().both(transport).both(|s| s.peer.local = None).build(&mut sim);
    sim.bring_up(a, b);
    talks(&mut sim, a, "192.0.2.1", B);
    let new = "198.51.100.1";
    sim.add_address(a, ip(new));
    sim.remove_address(a, ip("192.0.2.1"));
    sim.with_node(a, |node, now| node.set_addresses(now, vec![ip(new)]));
    sim.run_for(secs(5));
    let why = |sim: &Sim, host| {
        let closed = sim.events(host).iter().rev().find_map(|(_, e)| match e {
            Event::ChildClosed { reason, .. } => Some(reason.to_string()),
            _ => None,
        });
        closed.unwrap_or_default()
    };
    assert!(why(&sim, a).contains("the path has other addresses now"), "{}", why(&sim, a));
    assert_eq!((sim.children(a).len(), sim.children(b).len(), sim.established(a).len()), (0, 0, 1));
    sim.add_inner(a, ip(new));
    sim.initiate(a, b);
    sim.run_for(secs(2));
    talks(&mut sim, a, new, B);
    talks(&mut sim, b, B, new);
}
