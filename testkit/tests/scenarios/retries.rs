//! COOKIE and INVALID_KE_PAYLOAD retries in any combination (RFC 7296 §2.6, §2.7).

use ravelin::db::Proposal;
use ravelin::db::ProposalProtocol::Ike;
use ravelin::ike::config::CookiePolicy;
use ravelin::ike::registry::ExchangeType;
use ravelin_testkit::{Pair, Sim, minutes};

fn proposal(text: &str) -> Vec<Proposal> {
    vec![Proposal::parse(Ike, text).expect("a proposal")]
}

fn run(seed: u64, change: impl Fn(Pair) -> Pair) -> (Sim, usize) {
    let mut sim = Sim::new(seed);
    let (a, b) = change(Pair::new()).build(&mut sim);
    sim.record();
    sim.bring_up(a, b);
    sim.assert_up(a, b);
    sim.expect_ping(a, b);
    let inits = sim.trace().filter(|e| e.message.is_request(ExchangeType::IKE_SA_INIT)).count();
    (sim, inits)
}

#[test]
fn cookie() {
    let (sim, inits) = run(1, |p| p.b(|s| s.config.ike.cookies = CookiePolicy::Always));
    assert_eq!(inits, 2);
    let b = sim.all_hosts().nth(1).expect("b");
    assert_eq!(sim.node(b).counters().cookies_demanded, 1);
}

#[test]
fn another_group() {
    let (_, inits) = run(2, |p| {
        p.a(|s| s.peer.proposals = proposal("aes256gcm16-prfsha384-x25519-ecp256"))
            .b(|s| s.peer.proposals = proposal("aes256gcm16-prfsha384-ecp256"))
    });
    assert_eq!(inits, 2);
}

#[test]
fn cookie_and_another_group() {
    let (_, inits) = run(3, |p| {
        p.a(|s| s.peer.proposals = proposal("aes256gcm16-prfsha384-x25519-ecp256")).b(|s| {
            s.peer.proposals = proposal("aes256gcm16-prfsha384-ecp256");
            s.config.ike.cookies = CookiePolicy::Always;
        })
    });
    assert!((3..=4).contains(&inits), "{inits} IKE_SA_INIT requests");
}

#[test]
fn with_loss_besides() {
    for seed in 0..30 {
        let mut sim = Sim::new(seed);
        let (a, b) = Pair::new()
            .a(|s| s.peer.proposals = proposal("aes256gcm16-prfsha384-x25519-ecp256"))
            .b(|s| {
                s.peer.proposals = proposal("aes256gcm16-prfsha384-ecp256");
                s.config.ike.cookies = CookiePolicy::Always;
            })
            .build(&mut sim);
        sim.network(|link| link.loss(10).duplicate(50).reorder(50));
        let (from, to) = sim.inner_pair(a, b);
        while !sim.wait(minutes(1), |sim| sim.is_up(a, b)) {
            assert!(sim.now().micros() < 600_000_000, "not up in ten minutes");
            sim.send_echo(a, from, to, 64);
        }
    }
}
