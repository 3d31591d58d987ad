//! Two Ravelin nodes on loopback: `cargo run --release -p demo`. No root, no configuration.
//!
//! The first ping brings the tunnel up (RFC 7296 IKE_SA_INIT and IKE_AUTH by pre-shared key), then real IP packets
//! travel both ways as ESP in UDP (RFC 3948) through the sockets of the operating system. `host.rs` has the plumbing.

mod host;
mod report;

use host::{Clock, Host, Result, Sockets, Who, echo, ipv4, udp};
use ravelin::{Egress, Event};
use report::{align, gbit, ms, new_table, print_counters, print_sas, progress, tell, title};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const MOON: Who = Who { name: "moon", addr: "127.0.0.1", net: "10.1.0.0/24" };
const SUN: Who = Who { name: "sun", addr: "127.0.0.2", net: "10.2.0.0/24" };
const MOON_INNER: [u8; 4] = [10, 1, 0, 1];
const SUN_INNER: [u8; 4] = [10, 2, 0, 1];
const PINGS: u16 = 100;
const DATAGRAMS: u16 = 1000;
const BULK: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(10);
/// Packets of the throughput run that may wait in the kernel's socket buffer.
const IN_FLIGHT: u64 = 64;
const ICMP: u8 = 1;
const UDP: u8 = 17;

fn main() {
    if let Err(error) = demo() {
        eprintln!("demo: {error}");
        std::process::exit(1);
    }
}

fn demo() -> Result<()> {
    let clock = Clock::start();
    let (ours, theirs) = (Sockets::bind(MOON)?, Sockets::bind(SUN)?);
    let (moon_at, sun_at) = (ours.ports()?, theirs.ports()?);
    let mut moon = Host::new(MOON, SUN, ours, sun_at, "a secret of this demo only")?;
    let mut sun = Host::new(SUN, MOON, theirs, moon_at, "a secret of this demo only")?;
    title("Two nodes, four UDP sockets on loopback");
    let mut table = new_table(["node", "identity", "IKE", "IKE and ESP in UDP", "protects"]);
    for (who, (ike, nat_t)) in [(MOON, moon_at), (SUN, sun_at)] {
        let id = format!("{}.demo", who.name);
        table.add_row([who.name.into(), id, ike.to_string(), nat_t.to_string(), who.net.into()]);
    }
    println!("{table}");

    title("The first ping brings the tunnel up");
    let begin = clock.elapsed();
    let ping = ipv4(MOON_INNER, SUN_INNER, ICMP, &echo(8, 0, b"first"));
    if moon.send(clock, &ping) != Egress::Acquiring {
        return Err("the first packet should have started the negotiation".into());
    }
    run_until(&mut moon, &mut sun, clock, "the answer to the first ping", |moon, _| !moon.delivered.is_empty())?;
    let reply_after = clock.elapsed().saturating_sub(begin);
    let up = |h: &Host| h.events.iter().find(|(_, e)| matches!(e, Event::ChildEstablished(_))).map(|(at, _)| *at);
    let handshake = up(&moon).ok_or("no Child SA on moon")?.saturating_sub(begin);
    tell(&moon, &sun, begin);
    println!("handshake {} (two round trips), answer to the held ping after {}", ms(handshake), ms(reply_after));
    print_sas(&moon, &sun, clock);

    title("Packets both ways");
    let rtt = pings(&mut moon, &mut sun, clock)?;
    println!("{PINGS} pings of 64 octets: fastest {}, median {}, slowest {}", ms(rtt.0), ms(rtt.1), ms(rtt.2));
    datagrams(&mut moon, &mut sun, clock)?;
    println!("{DATAGRAMS} UDP datagrams each way at once: all came, in content as they were sent");

    title("Throughput, one core to seal and one to open");
    let mut table = new_table(["direction", "packets", "lost", "octets each", "rate"]);
    for to_sun in [true, false] {
        let (from, to) = if to_sun { (&mut moon, &mut sun) } else { (&mut sun, &mut moon) };
        let (src, dst) = if to_sun { (MOON_INNER, SUN_INNER) } else { (SUN_INNER, MOON_INNER) };
        let names = format!("{} to {}", from.who.name, to.who.name);
        let packet = ipv4(src, dst, UDP, &udp(5001, 5001, &[0x5A; 1372]));
        let (sent, received) = bulk(from, to, clock, &packet)?;
        let (lost, octets) = (sent.saturating_sub(received), packet.len() as u64);
        let rate = gbit(received.saturating_mul(octets), BULK);
        table.add_row([names, received.to_string(), lost.to_string(), octets.to_string(), rate]);
    }
    align(&mut table, 1);
    println!("{table}");
    if cfg!(debug_assertions) {
        println!("This is a debug build; cargo run --release -p demo is faster.");
    }

    title("What the SAs carried");
    print_counters(&moon, &sun, clock);
    (moon.events, sun.events) = (Vec::new(), Vec::new());
    let begin = clock.elapsed();
    moon.node.shutdown(clock.now());
    run_until(&mut moon, &mut sun, clock, "the end", |moon, sun| moon.node.is_idle() && sun.node.is_idle())?;
    title("moon says goodbye");
    tell(&moon, &sun, begin);
    Ok(())
}

/// Turns both loops until `done`; pings that come out of the tunnel are answered, as a host would.
fn run_until(a: &mut Host, b: &mut Host, clock: Clock, what: &str, done: impl Fn(&Host, &Host) -> bool) -> Result<()> {
    let limit = clock.elapsed().saturating_add(PATIENCE);
    while !done(a, b) {
        let busy = [a.turn(clock)?, b.turn(clock)?];
        for host in [&mut *a, &mut *b] {
            let requests = host.delivered.extract_if(.., |p| p.get(9) == Some(&ICMP) && p.get(20) == Some(&8));
            for request in requests.collect::<Vec<_>>() {
                let (from, to) =
                    if host.who.name == MOON.name { (MOON_INNER, SUN_INNER) } else { (SUN_INNER, MOON_INNER) };
                let sequence = request.get(26..28).and_then(|b| b.try_into().ok()).map_or(0, u16::from_be_bytes);
                let reply = ipv4(from, to, ICMP, &echo(0, sequence, request.get(28..).unwrap_or_default()));
                host.send(clock, &reply);
            }
        }
        if busy == [false, false] {
            std::thread::yield_now();
        }
        if clock.elapsed() > limit {
            tell(a, b, Duration::ZERO);
            return Err(format!("{what} did not come within {} s", PATIENCE.as_secs()).into());
        }
    }
    Ok(())
}

/// One ping after the other; fastest, median and slowest round trip.
fn pings(moon: &mut Host, sun: &mut Host, clock: Clock) -> Result<(Duration, Duration, Duration)> {
    let mut times = Vec::new();
    for sequence in 1..=PINGS {
        moon.delivered.clear();
        let sent = clock.elapsed();
        moon.send(clock, &ipv4(MOON_INNER, SUN_INNER, ICMP, &echo(8, sequence, &[7; 36])));
        run_until(moon, sun, clock, "an echo reply", |moon, _| !moon.delivered.is_empty())?;
        times.push(clock.elapsed().saturating_sub(sent));
    }
    times.sort();
    let at = |n: usize| times.get(n).copied().unwrap_or_default();
    Ok((at(0), at(times.len() / 2), at(times.len().saturating_sub(1))))
}

/// Datagrams in both directions, each checked octet for octet.
fn datagrams(moon: &mut Host, sun: &mut Host, clock: Clock) -> Result<()> {
    for n in 0..DATAGRAMS {
        (moon.delivered, sun.delivered) = (Vec::new(), Vec::new());
        let there = ipv4(MOON_INNER, SUN_INNER, UDP, &udp(4000, n, &n.to_be_bytes()));
        let back = ipv4(SUN_INNER, MOON_INNER, UDP, &udp(n, 4000, &n.to_le_bytes()));
        moon.send(clock, &there);
        sun.send(clock, &back);
        run_until(moon, sun, clock, "a datagram", |m, s| !m.delivered.is_empty() && !s.delivered.is_empty())?;
        if moon.delivered != [back] || sun.delivered != [there] {
            return Err("a datagram came out of the tunnel changed".into());
        }
    }
    Ok(())
}

/// Seals on one thread and opens on another for [`BULK`]; packets sent and received.
fn bulk(from: &mut Host, to: &mut Host, clock: Clock, packet: &[u8]) -> Result<(u64, u64)> {
    let (sent, received, done) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    to.wait_on_esp(true)?;
    let begin = clock.elapsed();
    std::thread::scope(|scope| -> Result<()> {
        let receiver = scope.spawn(|| -> std::result::Result<(), String> {
            let mut buf = vec![0; 65_536];
            while !done.load(Relaxed) || received.load(Relaxed) < sent.load(Relaxed) {
                match to.receive_esp(clock, &mut buf).map_err(|e| e.to_string())? {
                    Some(len) if len == packet.len() => _ = received.fetch_add(1, Relaxed),
                    Some(_) => {}
                    None if done.load(Relaxed) => break,
                    None => {}
                }
            }
            Ok(())
        });
        scope.spawn(|| {
            while !done.load(Relaxed) {
                if sent.load(Relaxed).saturating_sub(received.load(Relaxed)) < IN_FLIGHT {
                    from.send(clock, packet);
                    sent.fetch_add(1, Relaxed);
                } else {
                    std::thread::yield_now();
                }
            }
        });
        while clock.elapsed().saturating_sub(begin) < BULK {
            std::thread::sleep(Duration::from_millis(100));
            let octets = received.load(Relaxed).saturating_mul(packet.len() as u64);
            progress(&gbit(octets, clock.elapsed().saturating_sub(begin)));
        }
        done.store(true, Relaxed);
        progress("");
        receiver.join().map_err(|_| "the receiving thread failed")?.map_err(Into::into)
    })?;
    to.wait_on_esp(false)?;
    Ok((sent.into_inner(), received.into_inner()))
}
