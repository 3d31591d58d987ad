//! Bursts and single calls, side by side: what is done once for a run of packets changes nothing for any of them.

use super::lane_tests::{Inner, Setting, hosts, inner, setting};
use super::*;
use crate::DropReason;
use crate::testing::*;
use alloc::boxed::Box;
use alloc::sync::Arc;
use proptest::prelude::*;
use ravelin_crypto::aead::{Aead, AeadKey};
use ravelin_crypto::{CryptoError, EncrId};
use ravelin_sa_db::{Change, Direction};
use std::vec::Vec;

/// Packets of a few flows, many of them after one of the same flow, so that there are runs.
fn traffic() -> impl Strategy<Value = Vec<(u64, Inner)>> {
    let stretch = (1u64..=3, inner(), 1usize..40, any::<bool>()).prop_map(|(child, first, n, same)| {
        (0..n).map(move |i| {
            let len = if first.len < 1000 { (first.len + i * 7) % 200 } else { first.len };
            let df = first.df ^ (!same && i % 3 == 0);
            let ports = if same { first.ports } else { [first.ports[0], first.ports[1], i as u8 % 3, first.ports[3]] };
            (if same { child } else { 1 + (child + i as u64 / 4) % 3 }, Inner { len, df, ports, ..first.clone() })
        })
    });
    prop::collection::vec(stretch, 1..5).prop_map(|s| s.into_iter().flatten().collect())
}

fn settings() -> impl Strategy<Value = Setting> {
    let hard = prop_oneof![4 => Just(0u64), 1 => 1u64..30];
    (setting(), hard).prop_map(|(s, hard)| Setting { hard, ..s })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bursts_are_single_calls(
        s in settings(),
        traffic in traffic(),
        tight in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0u8..), 0..12),
        swaps in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..12),
        marks in prop_oneof![3 => Just(0u8), 1 => any::<u8>()],
    ) {
        let ((a, b, inbound), (c, d, _)) = (hosts(&s, 3), hosts(&s, 3));
        let (mut seal, mut open) = (Worker::new(Arc::clone(&a)), Worker::new(Arc::clone(&b)));
        let (mut seal_one, mut open_one) = (Worker::new(Arc::clone(&c)), Worker::new(Arc::clone(&d)));
        let mut bufs: Vec<_> = traffic.iter().map(|(_, p)| buffer(&a, &p.octets())).collect();
        for i in &tight {
            // Room enough before it and none behind.
            let (buf, packet) = &mut bufs[i.index(traffic.len())];
            buf.truncate(packet.end);
        }
        let mut ones = bufs.clone();
        let mut jobs: Vec<_> = bufs.iter_mut().zip(&traffic).map(|((b, p), (c, _))| SealJob::new(ChildId(*c), b, p.clone())).collect();
        seal.seal_burst(NOW, &mut jobs);
        let mut wire = Vec::new();
        for ((job, (buf, packet)), (child, p)) in jobs.iter().zip(&mut ones).zip(&traffic) {
            let want = seal_one.seal_in_place(NOW, ChildId(*child), buf, packet.clone());
            prop_assert_eq!(&job.result, &want, "{:?} {:?}", s, p);
            if let Ok((range, _)) = want {
                prop_assert_eq!(&job.buf[range.clone()], &buf[range.clone()], "{:?} {:?}", s, p);
                let outer = range.len().min(if s.form == OutputForm::Esp { 0 } else { 20 + 20 * usize::from(s.outer6) + 8 * usize::from(s.udp) });
                wire.push(buf[range][outer..].to_vec());
            }
        }
        seal.flush();
        seal_one.flush();
        prop_assert_eq!(a.all_stats(), c.all_stats());
        prop_assert_eq!(a.drops(), c.drops());

        // In disorder, twice, damaged, cut.
        if wire.is_empty() { return Ok(()) }
        for (x, y) in &swaps {
            let n = wire.len();
            wire.swap(x.index(n), y.index(n));
        }
        for (which, place, flip) in &damage {
            let mut bad = wire[which.index(wire.len())].clone();
            let at = place.index(bad.len().max(1));
            match flip {
                // Twice.
                0..=99 => {}
                100..=120 => bad.truncate(at),
                _ if bad.is_empty() => {}
                _ => bad[at] ^= flip,
            }
            // The one that is wrong comes first, or last.
            wire.insert(place.index(wire.len()), bad);
        }
        let outer = OuterInfo { traffic_class: marks, hop_limit: 64 };
        let shift = |esp: &Vec<u8>| [&[1, 2, 3], &esp[..]].concat();
        let (mut xs, mut ys): (Vec<_>, Vec<_>) = wire.iter().map(|esp| (shift(esp), shift(esp))).unzip();
        let mut jobs: Vec<_> = xs.iter_mut().map(|x| OpenJob::new(inbound[0].path, outer, x, 3)).collect();
        open.open_burst(NOW, &mut jobs);
        for (job, y) in jobs.iter().zip(&mut ys) {
            let want = open_one.ingress(NOW, inbound[0].path, outer, y, 3);
            prop_assert_eq!(&job.result, &want, "{:?}", s);
            if let Ingress::Deliver { range, .. } = want {
                prop_assert_eq!(&job.buf[range.clone()], &y[range]);
            }
        }
        open.flush();
        open_one.flush();
        prop_assert_eq!(b.all_stats(), d.all_stats());
        prop_assert_eq!(b.drops(), d.drops());
    }
}

fn one_sa(edit: impl Fn(&mut ravelin_sa_db::SaParams)) -> (Arc<Plane>, Arc<Plane>) {
    let (a, b) = (Plane::new(provider()), Plane::new(provider()));
    let (mut out, mut inb) = (params(1, Direction::Outbound, gcm()), params(1, Direction::Inbound, gcm()));
    edit(&mut out);
    edit(&mut inb);
    a.apply(NOW, &Change::InstallOutbound(Arc::new(out))).unwrap();
    b.apply(NOW, &Change::InstallInbound(Arc::new(inb))).unwrap();
    (Arc::new(a), Arc::new(b))
}

/// The wire packets of `n` sealed in bursts.
fn sealed(a: &Arc<Plane>, n: usize) -> Vec<Vec<u8>> {
    let mut w = Worker::new(Arc::clone(a));
    let mut bufs: Vec<_> = (0..n).map(|_| buffer(a, &udp("10.1.0.1", "10.2.0.2", 20))).collect();
    let mut jobs: Vec<_> = bufs.iter_mut().map(|(b, p)| SealJob::new(ChildId(1), b, p.clone())).collect();
    w.seal_burst(NOW, &mut jobs);
    jobs.iter().map(|j| j.buf[j.result.clone().unwrap().0].to_vec()).collect()
}

/// A forged packet with the number of a good one, in front of it and behind it in the same run: the good one arrives, once,
/// and nothing that was forged has moved the window.
#[test]
fn a_forged_number_in_a_run() {
    let (a, b) = one_sa(|_| {});
    let good = sealed(&a, 8);
    let mut forged = good[3].clone();
    *forged.last_mut().unwrap() ^= 1;
    let mut far = good[7].clone();
    far[4..8].copy_from_slice(&31u32.to_be_bytes());
    let mut all = [&good[..3], &[forged.clone(), far], &good[3..5], &[good[3].clone(), forged], &good[5..]].concat();
    let mut w = Worker::new(Arc::clone(&b));
    let mut jobs: Vec<_> =
        all.iter_mut().map(|x| OpenJob::new(reverse(path(false)), OuterInfo::default(), x, 0)).collect();
    w.open_burst(NOW, &mut jobs);
    let got: Vec<_> = jobs
        .iter()
        .map(|j| match &j.result {
            Ingress::Deliver { .. } => None,
            Ingress::Drop(r) => Some(*r),
        })
        .collect();
    let (bad, again) = (Some(DropReason::Integrity), Some(DropReason::Replay));
    assert_eq!(got, [None, None, None, bad, bad, None, None, again, again, None, None, None]);
    w.flush();
    let inb = b.stats(ChildId(1)).unwrap().inbound.unwrap();
    assert_eq!((inb.packets, inb.sequence), (8, 8));
}

/// In one run: packets like the one before, others that the selectors hold, and some that they do not, in every order.
#[test]
fn what_comes_after_its_like_is_looked_at() {
    let source = ravelin_sa_db::AddrRange::host("10.1.0.1".parse().unwrap());
    let narrow = |p: &mut ravelin_sa_db::SaParams| {
        if p.direction == Direction::Inbound {
            p.remote_ts = std::vec![ravelin_sa_db::TrafficSelector::any(source)].into();
        }
    };
    let ((a, b), (_, c)) = (one_sa(narrow), one_sa(narrow));
    // Four kinds by two bits of the pattern: source, traffic class.
    let kinds: Vec<usize> = (0..8).flat_map(|i| [0, 0, i % 4, (i / 2 + 1) % 4, i % 4, i % 4, 1, 0]).collect();
    let mut seal = Worker::new(Arc::clone(&a));
    let packets = kinds.iter().enumerate().map(|(i, kind)| {
        let mut ip = udp(["10.1.0.1", "10.9.0.1"][kind & 1], "10.2.0.2", i % 40);
        if kind & 2 != 0 {
            ip[1] = 0x28;
        }
        ip[10..12].fill(0);
        let sum = crate::checksum::checksum(&ip[..20]);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        ip
    });
    let mut bufs: Vec<_> = packets.map(|ip| buffer(&a, &ip)).collect();
    let mut jobs: Vec<_> = bufs.iter_mut().map(|(b, p)| SealJob::new(ChildId(1), b, p.clone())).collect();
    seal.seal_burst(NOW, &mut jobs);
    let wire = jobs.iter().map(|j| {
        let (range, meta) = j.result.clone().unwrap();
        assert_eq!(meta.len, range.len());
        (j.buf[range].to_vec(), meta.outer.traffic_class)
    });
    let (mut wire, classes): (Vec<_>, Vec<_>) = wire.unzip();
    let want_class = |kind: &usize| if kind & 2 != 0 { 0x28 } else { 0 };
    assert_eq!(classes, kinds.iter().map(want_class).collect::<Vec<_>>());
    let (mut once, path) = (wire.clone(), reverse(path(false)));
    let mut open = Worker::new(Arc::clone(&b));
    let mut jobs: Vec<_> = wire.iter_mut().map(|x| OpenJob::new(path, OuterInfo::default(), x, 0)).collect();
    open.open_burst(NOW, &mut jobs);
    for ((job, esp), kind) in jobs.iter().zip(&mut once).zip(&kinds) {
        assert_eq!(job.result, c.ingress(NOW, path, OuterInfo::default(), esp), "{kinds:?}");
        assert_eq!(matches!(job.result, Ingress::Deliver { .. }), kind & 1 == 0, "{:?}", job.result);
    }
}

std::thread_local! {
    /// What happens while a packet is decrypted.
    static MEANWHILE: core::cell::RefCell<Option<Box<dyn FnOnce()>>> = const { core::cell::RefCell::new(None) };
}

/// A cipher during which something else happens.
struct Slow<T>(T);

impl Aead for Slow<&'static dyn Aead> {
    fn id(&self) -> EncrId {
        self.0.id()
    }
    fn key_len(&self) -> usize {
        self.0.key_len()
    }
    fn salt_len(&self) -> usize {
        self.0.salt_len()
    }
    fn tag_len(&self) -> usize {
        self.0.tag_len()
    }
    fn key(&self, key: &[u8]) -> Result<Box<dyn AeadKey>, CryptoError> {
        Ok(Box::new(Slow(self.0.key(key)?)))
    }
}

impl AeadKey for Slow<Box<dyn AeadKey>> {
    fn seal(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> Result<(), CryptoError> {
        self.0.seal(nonce, aad, data, tag)
    }
    fn open(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), CryptoError> {
        let now = MEANWHILE.with_borrow_mut(Option::take);
        now.into_iter().for_each(|now| now());
        self.0.open(nonce, aad, data, tag)
    }
}

/// While the packets of a run are decrypted, another thread delivers one of them: it is not delivered again, the others are.
#[test]
fn another_thread_delivers_one_of_a_run() {
    let mut slow = ravelin_crypto::rustcrypto::provider();
    for a in &mut slow.aeads {
        *a = Box::leak(Box::new(Slow(*a)));
    }
    let b = Plane::new(Arc::new(slow));
    b.apply(NOW, &Change::InstallInbound(Arc::new(params(1, Direction::Inbound, gcm())))).unwrap();
    let b = Arc::new(b);
    let (a, _) = one_sa(|_| {});
    let mut wire = sealed(&a, 80);
    let mut w = Worker::new(Arc::clone(&b));
    for (round, run) in wire.chunks_mut(8).enumerate() {
        let (mut stolen, other) = (run[round % 8].clone(), Arc::clone(&b));
        let steal = move || {
            let got = other.ingress(NOW, reverse(path(false)), OuterInfo::default(), &mut stolen);
            assert!(matches!(got, Ingress::Deliver { .. }));
        };
        MEANWHILE.set((round > 0).then_some(Box::new(steal)));
        let mut jobs: Vec<_> =
            run.iter_mut().map(|x| OpenJob::new(reverse(path(false)), OuterInfo::default(), x, 0)).collect();
        w.open_burst(NOW, &mut jobs);
        for (i, j) in jobs.iter().enumerate() {
            let taken = round > 0 && i == round % 8;
            assert_eq!(j.result == Ingress::Drop(DropReason::Replay), taken, "{round} {i}");
            assert_eq!(matches!(j.result, Ingress::Deliver { .. }), !taken, "{round} {i}");
        }
    }
    w.flush();
    let inb = b.stats(ChildId(1)).unwrap().inbound.unwrap();
    assert_eq!((inb.packets, inb.sequence), (80, 80));
}

/// The runs of one SA take the last numbers there are, and no others.
#[test]
fn the_last_numbers_of_an_sa() {
    for left in [1u64, 5, 31, 32, 33, 50] {
        let a = Plane::new(provider());
        let out = ravelin_sa_db::SaParams { esn: false, ..params(1, Direction::Outbound, gcm()) };
        a.install_outbound(NOW, &Arc::new(out), u64::from(u32::MAX) - left).unwrap();
        let a = Arc::new(a);
        let mut w = Worker::new(Arc::clone(&a));
        let mut bufs: Vec<_> = (0..64).map(|_| buffer(&a, &udp("10.1.0.1", "10.2.0.2", 20))).collect();
        let mut jobs: Vec<_> = bufs.iter_mut().map(|(b, p)| SealJob::new(ChildId(1), b, p.clone())).collect();
        w.seal_burst(NOW, &mut jobs);
        let ends = jobs.iter().filter(|j| j.result == Err(Egress::Discard(DropReason::SequenceExhausted))).count();
        assert_eq!(jobs.iter().filter(|j| j.result.is_ok()).count() as u64, left);
        assert_eq!(ends as u64, 64 - left);
    }
}

/// Four threads seal on one SA in bursts, four open what they made in bursts, each packet offered by two of them, some twice
/// in one burst: every number is used once, every packet delivered once and whole.
#[test]
fn threads_share_one_sa_in_bursts() {
    let each = 90usize;
    let (a, b) = one_sa(|p| p.replay_window = 1 << 15);
    let wire: Vec<Vec<u8>> = std::thread::scope(|t| {
        let threads: Vec<_> = (0..4u64)
            .map(|k| {
                let a = &a;
                t.spawn(move || {
                    let mut w = Worker::new(Arc::clone(a));
                    let mut out = Vec::new();
                    for i in 0..each as u64 {
                        let mut bufs: Vec<_> = (0..(i % 40))
                            .map(|j| {
                                let mut ip = udp("10.1.0.1", "10.2.0.2", 16);
                                ip[28..36].copy_from_slice(&(k << 32 | i << 8 | j).to_be_bytes());
                                buffer(a, &ip)
                            })
                            .collect();
                        let mut jobs: Vec<_> =
                            bufs.iter_mut().map(|(b, p)| SealJob::new(ChildId(1), b, p.clone())).collect();
                        w.seal_burst(NOW, &mut jobs);
                        out.extend(jobs.iter().map(|j| j.buf[j.result.clone().unwrap().0].to_vec()));
                    }
                    out
                })
            })
            .collect();
        threads.into_iter().flat_map(|h| h.join().unwrap()).collect()
    });
    let mut numbers: Vec<_> = wire.iter().map(|p| u64::from_be_bytes(p[8..16].try_into().unwrap())).collect();
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(1..=wire.len() as u64), "each number once, and no gap");
    // As they went out, so that the threads work in the same words of the window.
    let mut wire = wire;
    wire.sort_by(|a, b| a[8..16].cmp(&b[8..16]));
    let mut delivered: Vec<u64> = std::thread::scope(|t| {
        let threads: Vec<_> = (0..4usize)
            .map(|k| {
                let (b, wire) = (&b, &wire);
                t.spawn(move || {
                    let mut w = Worker::new(Arc::clone(b));
                    let mut got = Vec::new();
                    let mine: Vec<_> = wire.iter().skip(k / 2).step_by(2).collect();
                    for (i, run) in mine.chunks(20).enumerate() {
                        let mut bufs: Vec<Vec<u8>> = run.iter().map(|p| p.to_vec()).collect();
                        bufs.insert(i % bufs.len(), run[i % run.len()].clone());
                        let mut jobs: Vec<_> = bufs
                            .iter_mut()
                            .map(|x| OpenJob::new(reverse(path(false)), OuterInfo::default(), x, 0))
                            .collect();
                        w.open_burst(NOW, &mut jobs);
                        for j in &jobs {
                            match &j.result {
                                Ingress::Deliver { range, .. } => {
                                    let ip = &j.buf[range.clone()];
                                    got.push(u64::from_be_bytes(ip[28..36].try_into().unwrap()));
                                }
                                Ingress::Drop(r) => assert_eq!(*r, DropReason::Replay),
                            }
                        }
                    }
                    got
                })
            })
            .collect();
        threads.into_iter().flat_map(|h| h.join().unwrap()).collect()
    });
    delivered.sort_unstable();
    delivered.dedup();
    assert_eq!(delivered.len(), wire.len());
    let inb = b.stats(ChildId(1)).unwrap().inbound.unwrap();
    assert_eq!((inb.packets, inb.sequence), (wire.len() as u64, wire.len() as u64));
}
