//! A long journey: packets through loss, duplication and reordering while the SA is rekeyed twice. Each packet that the
//! network did not lose arrives once, octet for octet. `RAVELIN_FULL=1`: ten million packets. Once by single calls, once in
//! bursts at both ends.

use super::*;
use crate::testing::*;
use alloc::sync::Arc;
use ravelin_sa_db::{Change, Direction, SaParams};
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

/// Packets may overtake each other by this many; the replay window of the test's SAs is 1,024.
const DISORDER: u64 = 900;

struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }
}

/// Packet number `n`: its length and every octet follow from the number.
fn packet(n: u64, template: &[u8]) -> Vec<u8> {
    let mut ip = template.to_vec();
    ip.truncate(28 + 8 + usize::try_from(n.wrapping_mul(0x9E37_79B9) >> 7).unwrap() % 180);
    let len = u16::try_from(ip.len()).unwrap();
    ip[2..4].copy_from_slice(&len.to_be_bytes());
    ip[28..36].copy_from_slice(&n.to_be_bytes());
    for (i, b) in ip[36..].iter_mut().enumerate() {
        *b = (n as u8).wrapping_mul(31).wrapping_add(i as u8);
    }
    ip
}

struct Hosts {
    a: Arc<Plane>,
    b: Arc<Plane>,
    inbound: Vec<Arc<SaParams>>,
    /// Both ends in bursts.
    workers: Option<(Worker, Worker)>,
}

impl Hosts {
    /// Makes pair number `child` and sends on it from now on, as a rekeying does: the receiver is ready first.
    fn rekey(&mut self, child: u64) {
        let mut suite = gcm();
        suite.encr_key = ravelin_crypto::Secret::new(vec![child as u8; 20]);
        let (out, mut inb) =
            (params(child, Direction::Outbound, suite.clone()), params(child, Direction::Inbound, suite));
        core::mem::swap(&mut inb.local_ts, &mut inb.remote_ts);
        let inb = Arc::new(inb);
        self.b.apply(NOW, &Change::InstallInbound(Arc::clone(&inb))).unwrap();
        self.a.apply(NOW, &Change::InstallOutbound(Arc::new(out))).unwrap();
        if child > 1 {
            self.a.apply(NOW, &Change::Switch { from: ChildId(child - 1), to: ChildId(child) }).unwrap();
        }
        self.inbound.push(inb);
    }

    /// Seals them; gives each with the SA that took it.
    fn seal(&mut self, packets: &[Vec<u8>]) -> Vec<(ChildId, Vec<u8>)> {
        let policy = self.inbound[0].policy;
        let Some((out, _)) = &mut self.workers else {
            let mut sink = Collect::default();
            for ip in packets {
                assert_eq!(self.a.egress(NOW, policy, ip, &mut sink), Egress::Sent);
            }
            return sink.sent.into_iter().map(|(meta, esp)| (meta.child, esp)).collect();
        };
        let mut bufs: Vec<_> = packets.iter().map(|ip| buffer(&self.a, ip)).collect();
        let mut jobs: Vec<_> = bufs.iter_mut().map(|(b, p)| SealJob::new(policy, b, p.clone())).collect();
        out.seal_burst(NOW, &mut jobs);
        let sent = |j: &SealJob<'_>| {
            let (range, meta) = j.result.clone().unwrap();
            (meta.child, j.buf[range].to_vec())
        };
        jobs.iter().map(sent).collect()
    }

    fn open(&mut self, arrived: &mut [Vec<u8>]) -> Vec<Ingress> {
        let outer = OuterInfo { traffic_class: 0, hop_limit: 64 };
        let path = self.inbound[0].path;
        let Some((_, inn)) = &mut self.workers else {
            return arrived.iter_mut().map(|esp| self.b.ingress(NOW, path, outer, esp)).collect();
        };
        let mut jobs: Vec<_> = arrived.iter_mut().map(|esp| OpenJob::new(path, outer, esp, 0)).collect();
        inn.open_burst(NOW, &mut jobs);
        jobs.into_iter().map(|j| j.result).collect()
    }
}

#[test]
fn nothing_is_lost_twice_or_changed() {
    journey(false);
}

#[test]
fn nothing_is_lost_twice_or_changed_in_bursts() {
    journey(true);
}

fn journey(bursts: bool) {
    let total: u64 = if std::env::var_os("RAVELIN_FULL").is_some() { 10_000_000 } else { 100_000 };
    let template = udp("10.1.0.1", "10.2.0.2", 200);
    let mut rng = Rng(0x5EED);
    let (a, b) = (Arc::new(Plane::new(provider())), Arc::new(Plane::new(provider())));
    let workers = bursts.then(|| (Worker::new(Arc::clone(&a)), Worker::new(Arc::clone(&b))));
    let mut hosts = Hosts { a, b, inbound: Vec::new(), workers };
    hosts.rekey(1);
    let mut seen = vec![false; usize::try_from(total).unwrap()];
    // On the way: by the moment at which the network hands it over.
    let mut way: BTreeMap<(u64, u64), Vec<u8>> = BTreeMap::new();
    let (mut sent, mut lost, mut doubled, mut delivered, mut refused) = (0u64, 0u64, 0u64, 0u64, 0u64);
    let mut arrive = |hosts: &mut Hosts, arrived: &mut Vec<Vec<u8>>| {
        for (result, esp) in hosts.open(arrived).into_iter().zip(arrived.drain(..)) {
            match result {
                Ingress::Deliver { range, .. } => {
                    let n = u64::from_be_bytes(esp[range.clone()][28..36].try_into().unwrap());
                    assert_eq!(esp[range], packet(n, &template), "packet {n} changed");
                    let place = &mut seen[usize::try_from(n).unwrap()];
                    assert!(!core::mem::replace(place, true), "packet {n} twice");
                    delivered += 1;
                }
                Ingress::Drop(crate::DropReason::Replay) => refused += 1,
                other => panic!("{other:?}"),
            }
        }
    };
    let mut next = 0;
    let mut arrived: Vec<Vec<u8>> = Vec::new();
    while next < total {
        let edges = [total / 3, total / 3 * 2];
        if edges.contains(&next) {
            hosts.rekey(if next == total / 3 { 2 } else { 3 });
        }
        let end = edges.into_iter().find(|e| *e > next).unwrap_or(total);
        let end = end.min(next + if bursts { 1 + rng.next() % 40 } else { 1 });
        let packets: Vec<_> = (next..end).map(|n| packet(n, &template)).collect();
        for (n, (child, esp)) in (next..end).zip(hosts.seal(&packets)) {
            assert_eq!(child, ChildId(1 + n / (total / 3).max(1)).min(ChildId(3)));
            sent += 1;
            if rng.one_in(20) {
                lost += 1;
            } else {
                if rng.one_in(20) {
                    doubled += 1;
                    way.insert((n + rng.next() % DISORDER, sent * 2 + 1), esp.clone());
                }
                way.insert((n + if rng.one_in(3) { rng.next() % DISORDER } else { 0 }, sent * 2), esp);
            }
            while let Some(first) = way.first_entry().filter(|e| e.key().0 <= n) {
                arrived.push(first.remove());
            }
        }
        next = end;
        arrive(&mut hosts, &mut arrived);
    }
    arrived.extend(way.into_values());
    arrive(&mut hosts, &mut arrived);
    if let Some((out, inn)) = &mut hosts.workers {
        out.flush();
        inn.flush();
    }
    assert_eq!((delivered, refused), (sent - lost, doubled), "of {sent} sent, {lost} lost, {doubled} doubled");
    assert!(lost > total / 25 && doubled > total / 25, "the network was not bad enough");
    for child in 1..=3 {
        let (out, inb) = (hosts.a.stats(ChildId(child)).unwrap(), hosts.b.stats(ChildId(child)).unwrap());
        let (out, inb) = (out.outbound.unwrap(), inb.inbound.unwrap());
        assert!(out.packets >= total / 3 && inb.packets < out.packets && inb.sequence <= out.sequence);
    }
}
