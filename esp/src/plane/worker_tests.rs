//! Workers and bursts give what single calls give; many threads on one SA keep numbers unique and the window exact.

use super::*;
use crate::DropReason;
use crate::testing::*;
use alloc::sync::Arc;
use ravelin_sa_db::{Change, CipherSuite, Direction, Instant, Lifetime, Limits, SaParams};
use std::collections::BTreeSet;
use std::vec;
use std::vec::Vec;

const OUTER: OuterInfo = OuterInfo { traffic_class: 0, hop_limit: 64 };

fn planes(children: u64, suite: &CipherSuite, edit: impl Fn(&mut SaParams)) -> (Arc<Plane>, Arc<Plane>) {
    planes_of(&provider(), children, suite, edit)
}

fn planes_of(
    provider: &Arc<Provider>,
    children: u64,
    suite: &CipherSuite,
    edit: impl Fn(&mut SaParams),
) -> (Arc<Plane>, Arc<Plane>) {
    let (a, b) = (Plane::new(Arc::clone(provider)), Plane::new(Arc::clone(provider)));
    for c in 1..=children {
        let mut suite = suite.clone();
        suite.encr_key.expose_mut()[0] = c as u8;
        suite.encr_key.expose_mut()[1] = (c >> 8) as u8;
        let (mut o, mut i) = (params(c, Direction::Outbound, suite.clone()), params(c, Direction::Inbound, suite));
        edit(&mut o);
        edit(&mut i);
        i.path = reverse(o.path);
        a.apply(NOW, &Change::InstallOutbound(Arc::new(o))).unwrap();
        b.apply(NOW, &Change::InstallInbound(Arc::new(i))).unwrap();
    }
    (Arc::new(a), Arc::new(b))
}

#[test]
fn in_place_and_copying_give_the_same_octets() {
    for suite in suites(&provider()) {
        let (a, _) = planes(1, &gcm(), |p| p.suite = suite.clone());
        let (b, _) = planes(1, &gcm(), |p| p.suite = suite.clone());
        let mut w = Worker::new(Arc::clone(&b));
        for ip in packets() {
            let mut sink = Collect::default();
            assert_eq!(a.egress(NOW, ChildId(1), &ip, &mut sink), Egress::Sent);
            let (mut buf, packet) = buffer(&b, &ip);
            let (range, meta) = w.seal_in_place(NOW, ChildId(1), &mut buf, packet).unwrap();
            assert_eq!(buf[range.clone()], sink.sent[0].1[..]);
            assert_eq!(meta, sink.sent[0].0);
            assert!(buf[..range.start].iter().all(|b| *b == 0xaa) && buf[range.end..].iter().all(|b| *b == 0xbb));
        }
        w.flush();
        assert_eq!(a.stats(ChildId(1)).unwrap().outbound, b.stats(ChildId(1)).unwrap().outbound);
    }
}

#[test]
fn bursts_of_mixed_sas() {
    let all = suites(&provider()).into_iter().filter(|s| s.encr_key.len() >= 2);
    for (suite, provider) in all.flat_map(|s| [(s.clone(), provider()), (s, grouping())]) {
        let (a, b) = planes_of(&provider, 5, &suite, |_| {});
        let (mut out, mut inn) = (Worker::new(Arc::clone(&a)), Worker::new(Arc::clone(&b)));
        let all = packets();
        let mut bufs: Vec<_> = (0..70).map(|i| buffer(&a, &all[i % all.len()])).collect();
        let mut jobs: Vec<_> = bufs
            .iter_mut()
            .enumerate()
            .map(|(i, (buf, packet))| SealJob::new(ChildId(i as u64 * 7 % 5 + 1), buf, packet.clone()))
            .collect();
        out.seal_burst(NOW, &mut jobs);
        let mut sent: Vec<Vec<u8>> = jobs
            .iter()
            .map(|j| {
                let (r, _) = j.result.clone().unwrap();
                j.buf[r].to_vec()
            })
            .collect();
        drop(jobs);
        // A duplicate, a forged one, one of an unknown SA, a runt.
        sent.push(sent[3].clone());
        let mut forged = sent[4].clone();
        *forged.last_mut().unwrap() ^= 1;
        sent.insert(0, forged);
        sent.insert(9, vec![9; 50]);
        sent.insert(20, vec![9; 3]);
        let mut jobs: Vec<_> = sent.iter_mut().map(|s| OpenJob::new(reverse(path(false)), OUTER, s, 0)).collect();
        inn.open_burst(NOW, &mut jobs);
        let mut delivered = 0;
        let mut drops = Vec::new();
        for j in &jobs {
            match &j.result {
                Ingress::Deliver { range, .. } => {
                    assert!(all.iter().any(|p| *p == j.buf[range.clone()]));
                    delivered += 1;
                }
                Ingress::Drop(r) => drops.push(*r),
            }
        }
        assert_eq!(delivered, 70, "{suite:?}");
        assert_eq!(drops, [DropReason::Integrity, DropReason::UnknownSpi, DropReason::Runt, DropReason::Replay]);
        inn.flush();
        let total: u64 = b.all_stats().iter().map(|s| s.inbound.unwrap().packets).sum();
        assert_eq!(total, 70);
    }
}

#[test]
fn a_worker_notices_removal_move_and_switch() {
    let (a, b) = planes(2, &gcm(), |_| {});
    let (mut out, mut inn) = (Worker::new(Arc::clone(&a)), Worker::new(Arc::clone(&b)));
    let ip = udp("10.1.0.1", "10.2.0.2", 9);
    let seal = |out: &mut Worker| {
        let mut s = Collect::default();
        (out.egress(NOW, params(1, Direction::Outbound, gcm()).policy, &ip, &mut s), s.sent.pop())
    };
    let (_, first) = seal(&mut out);
    let (meta, esp) = first.unwrap();
    assert_eq!(meta.child, ChildId(1));
    assert!(matches!(inn.ingress(NOW, meta.path, OUTER, &mut esp.clone(), 0), Ingress::Deliver { .. }));
    a.apply(NOW, &Change::Switch { from: ChildId(1), to: ChildId(2) }).unwrap();
    assert_eq!(seal(&mut out).1.unwrap().0.child, ChildId(2));
    let other = ravelin_sa_db::Path { remote: "192.0.2.77:9".parse().unwrap(), ..path(false) };
    a.apply(NOW, &Change::Move { child: ChildId(2), path: other, encapsulation: ravelin_sa_db::Encapsulation::None })
        .unwrap();
    assert_eq!(seal(&mut out).1.unwrap().0.path, other);
    let inb = b.stats(ChildId(1)).unwrap().inbound.unwrap();
    b.apply(
        NOW,
        &Change::Remove(ravelin_sa_db::SaRef {
            child: ChildId(1),
            direction: Direction::Inbound,
            spi: inb.spi,
            path: inb.path,
        }),
    )
    .unwrap();
    assert_eq!(inn.ingress(NOW, meta.path, OUTER, &mut esp.clone(), 0), Ingress::Drop(DropReason::UnknownSpi));
    for c in [1, 2] {
        let o = a.stats(ChildId(c)).unwrap().outbound.unwrap();
        a.apply(
            NOW,
            &Change::Remove(ravelin_sa_db::SaRef {
                child: ChildId(c),
                direction: Direction::Outbound,
                spi: o.spi,
                path: o.path,
            }),
        )
        .unwrap();
    }
    assert_eq!(seal(&mut out).0, Egress::NoSa);
}

#[test]
fn hard_limits_hold_in_bursts() {
    for provider in [provider(), grouping()] {
        let hard = Limits { packets: 5, bytes: 0 };
        let (a, _) = planes_of(&provider, 1, &gcm(), |p| p.lifetime = Lifetime { hard, ..Lifetime::default() });
        let mut w = Worker::new(Arc::clone(&a));
        let mut bufs: Vec<_> = (0..20).map(|_| buffer(&a, &udp("10.1.0.1", "10.2.0.2", 9))).collect();
        let mut jobs: Vec<_> = bufs.iter_mut().map(|(b, p)| SealJob::new(ChildId(1), b, p.clone())).collect();
        w.seal_burst(NOW, &mut jobs);
        assert_eq!(jobs.iter().filter(|j| j.result.is_ok()).count(), 5);
    }
}

/// A memory that is too small forgets SAs all the time; no packet and no count goes with them.
#[test]
fn a_small_memory_counts_all_the_same() {
    for slots in [1, 2, 4, 16] {
        let (a, b) = planes(30, &gcm(), |_| {});
        let mut out = Worker::with_memory(Arc::clone(&a), slots);
        let mut inn = Worker::with_memory(Arc::clone(&b), slots);
        for i in 0..300u64 {
            let (mut buf, packet) = buffer(&a, &udp("10.1.0.1", "10.2.0.2", 20));
            let child = ChildId(i * 7 % 30 + 1);
            let (range, meta) = out.seal_in_place(NOW, child, &mut buf, packet).unwrap();
            assert_eq!(meta.child, child);
            let got = inn.ingress(NOW, reverse(path(false)), OUTER, &mut buf[range], 0);
            assert!(matches!(got, Ingress::Deliver { child: c, .. } if c == child));
        }
        out.flush();
        inn.flush();
        assert!(a.all_stats().iter().all(|s| s.outbound.unwrap().packets == 10));
        assert!(b.all_stats().iter().all(|s| s.inbound.unwrap().packets == 10));
    }
}

/// More SAs than a worker asks the memory for one by one, so that bursts warm up what they need first, and more than may
/// wait to be counted.
#[test]
fn bursts_over_many_sas() {
    for provider in [provider(), grouping()] {
        let (a, b) = planes_of(&provider, 1100, &gcm(), |_| {});
        let (mut out, mut inn) = (Worker::new(Arc::clone(&a)), Worker::new(Arc::clone(&b)));
        for round in 0..3u64 {
            let mut bufs: Vec<_> = (0..1100).map(|_| buffer(&a, &udp("10.1.0.1", "10.2.0.2", 20))).collect();
            // One flow key for all, each SA another target: the places of the flow go from one to the next.
            let jobs = bufs.iter_mut().enumerate();
            let mut jobs: Vec<_> = jobs
                .map(|(i, (b, p))| SealJob::new(ChildId((i as u64 * 7 + round) % 1100 + 1), b, p.clone()))
                .collect();
            out.seal_burst(NOW, &mut jobs);
            let sealed: Vec<_> = jobs.iter().map(|j| j.result.clone().unwrap().0).collect();
            drop(jobs);
            let esp = bufs.iter_mut().zip(sealed).map(|((b, _), r)| &mut b[r]);
            let mut jobs: Vec<_> = esp.map(|b| OpenJob::new(reverse(path(false)), OUTER, b, 0)).collect();
            inn.open_burst(NOW, &mut jobs);
            assert!(jobs.iter().all(|j| matches!(j.result, Ingress::Deliver { .. })));
        }
        inn.flush();
        assert!(b.all_stats().iter().all(|s| s.inbound.unwrap().packets == 3));
    }
}

#[test]
fn counters_reach_the_plane_in_time() {
    let (a, _) = planes(1, &gcm(), |_| {});
    let mut w = Worker::new(Arc::clone(&a));
    let ip = udp("10.1.0.1", "10.2.0.2", 9);
    w.egress(NOW, ChildId(1), &ip, &mut Collect::default());
    w.egress(Instant(NOW.micros() + 20_000), ChildId(1), &ip, &mut Collect::default());
    assert_eq!(a.stats(ChildId(1)).unwrap().outbound.unwrap().packets, 1);
    drop(w);
    assert_eq!(a.stats(ChildId(1)).unwrap().outbound.unwrap().packets, 2);
}

/// Four threads seal on one SA, four open what they made, each packet offered by two of them, while another thread
/// rekeys twice: every number is used once, every packet is delivered once and whole, nothing else is.
#[test]
fn threads_share_one_sa() {
    let each = 3000u64;
    let (a, b) = planes(3, &gcm(), |p| p.replay_window = 1 << 15);
    let policy = params(1, Direction::Outbound, gcm()).policy;
    let sealed: Vec<Vec<u8>> = std::thread::scope(|t| {
        let threads: Vec<_> = (0..4u64)
            .map(|k| {
                let a = &a;
                t.spawn(move || {
                    let mut w = Worker::new(Arc::clone(a));
                    let mut out = Vec::new();
                    for i in 0..each {
                        if k == 0 && (i == each / 3 || i == 2 * each / 3) {
                            let from = i / (each / 3);
                            a.apply(NOW, &Change::Switch { from: ChildId(from), to: ChildId(from + 1) }).unwrap();
                        }
                        let mut ip = udp("10.1.0.1", "10.2.0.2", 16);
                        ip[28..36].copy_from_slice(&(k << 32 | i).to_be_bytes());
                        let mut s = Collect::default();
                        assert_eq!(w.egress(NOW, policy, &ip, &mut s), Egress::Sent);
                        out.push(s.sent.pop().unwrap().1);
                    }
                    out
                })
            })
            .collect();
        threads.into_iter().flat_map(|h| h.join().unwrap()).collect()
    });
    let ivs: BTreeSet<_> = sealed.iter().map(|p| p[..16].to_vec()).collect();
    assert_eq!(ivs.len(), sealed.len(), "SPI, number and IV are unique together");
    let delivered: Vec<u64> = std::thread::scope(|t| {
        let threads: Vec<_> = (0..4usize)
            .map(|k| {
                let (b, sealed) = (&b, &sealed);
                t.spawn(move || {
                    let mut w = Worker::new(Arc::clone(b));
                    let mut got = Vec::new();
                    // Threads 0 and 1 offer the same packets, so do 2 and 3; one of each pair wins.
                    for p in sealed.iter().skip(k / 2).step_by(2) {
                        let mut esp = p.clone();
                        match w.ingress(NOW, reverse(path(false)), OUTER, &mut esp, 0) {
                            Ingress::Deliver { range, .. } => {
                                got.push(u64::from_be_bytes(esp[range][28..36].try_into().unwrap()));
                            }
                            Ingress::Drop(r) => assert_eq!(r, DropReason::Replay),
                        }
                    }
                    got
                })
            })
            .collect();
        threads.into_iter().flat_map(|h| h.join().unwrap()).collect()
    });
    let unique: BTreeSet<_> = delivered.iter().copied().collect();
    assert_eq!((unique.len(), delivered.len()), (sealed.len(), sealed.len()));
    let total: u64 = b.all_stats().iter().map(|s| s.inbound.unwrap().packets).sum();
    assert_eq!(total, sealed.len() as u64);
}
