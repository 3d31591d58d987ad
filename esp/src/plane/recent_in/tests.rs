//! A worker that opens one packet of an SA after the other, beside the plane's own calls, which remember nothing: whatever
//! comes in between.

use super::super::{OuterInfo, Plane, PlaneConfig, Worker};
use super::*;
use crate::DropReason;
use crate::testing::*;
use ravelin_crypto::EncrId;
use ravelin_sa_db::{
    AddrRange, Change, ChildId, Direction, Encapsulation, Lifetime, Limits, SaParams, TrafficSelector,
};
use std::vec;
use std::vec::Vec;

const OUTER: OuterInfo = OuterInfo { traffic_class: 0, hop_limit: 64 };

/// Two planes with the same SAs; the first one has a worker. Packets are sealed by hand.
struct Twins {
    planes: [Arc<Plane>; 2],
    worker: Worker,
    number: u64,
}

/// SAs for packets from 10.1.0.0/16.
fn inbound_sa(child: u64) -> SaParams {
    let from = vec![TrafficSelector::any(AddrRange::prefix("10.1.0.0".parse().unwrap(), 16).unwrap())];
    SaParams { remote_ts: from.into(), ..params(child, Direction::Inbound, gcm()) }
}

/// The last octets of `ip` and what is behind it.
fn body(ip: &[u8], tfc: usize, pad_len: u8, next: u8) -> Vec<u8> {
    let mut body = ip.to_vec();
    body.resize(ip.len() + tfc, 0);
    body.extend((1..=pad_len).chain([pad_len, next]));
    body
}

fn edited(octets: &[u8], at: usize, octet: u8) -> Vec<u8> {
    let mut octets = octets.to_vec();
    octets[at] = octet;
    octets
}

impl Twins {
    fn new(config: PlaneConfig, edit: impl Fn(&mut SaParams)) -> Self {
        let planes = [0, 1].map(|_| Arc::new(Plane::with_config(provider(), config.clone())));
        let worker = Worker::new(Arc::clone(&planes[0]));
        let twins = Self { planes, worker, number: 0 };
        for child in 1..=2 {
            let mut sa = inbound_sa(child);
            edit(&mut sa);
            twins.apply(&Change::InstallInbound(Arc::new(sa)));
        }
        twins
    }

    fn apply(&self, change: &Change) {
        self.planes.iter().for_each(|p| p.apply(NOW, change).unwrap());
    }

    fn sealed(child: u64, number: u64, body: &[u8]) -> Vec<u8> {
        let aead = provider().aead(EncrId::AES_GCM_16, Some(128)).unwrap().key(&[9; 16]).unwrap();
        let (spi, iv) = ((0x1000 + child as u32).to_be_bytes(), number.to_be_bytes());
        let (mut data, mut tag) = (body.to_vec(), [0; 16]);
        aead.seal(&[&[9; 4], &iv[..]].concat(), &[&spi[..], &iv].concat(), &mut data, &mut tag).unwrap();
        [&spi[..], &iv[4..], &iv, &data, &tag].concat()
    }

    /// Opens it both ways, some octets into a buffer.
    fn open(&mut self, esp: &[u8], path: Path, outer: OuterInfo) -> Ingress {
        let mut ours = [&[0xaa; 20][..], esp].concat();
        let mut theirs = ours.clone();
        let got = self.worker.ingress(NOW, path, outer, &mut ours, 20);
        assert_eq!(got, self.planes[1].ingress_at(NOW, path, outer, &mut theirs, 20));
        if let Ingress::Deliver { range, .. } = &got {
            assert_eq!(ours[range.clone()], theirs[range.clone()]);
        }
        got
    }

    /// The next packet of an SA.
    fn next(&mut self, child: u64, body: &[u8]) -> Ingress {
        self.number += 1;
        let esp = Self::sealed(child, self.number, body);
        self.open(&esp, reverse(path(false)), OUTER)
    }

    fn again(&mut self) {
        self.next(1, &usual());
    }

    /// So many that the SA is remembered, and that the last one was opened so.
    fn often(&mut self, child: u64, body: &[u8]) {
        for _ in 0..80 {
            assert!(matches!(self.next(child, body), Ingress::Deliver { child: c, .. } if c == ChildId(child)));
        }
        self.worker.flush();
        // One of two at least does not begin a word of the window.
        for _ in 0..2 {
            self.next(child, body);
        }
        assert!(self.counted_again(child) >= 1, "it went the long way");
    }

    /// Packets of the SA that were opened again and not counted yet.
    fn counted_again(&mut self, child: u64) -> u64 {
        let packets = |p: &Plane| p.stats(ChildId(child)).unwrap().inbound.unwrap().packets;
        let before = packets(&self.planes[0]);
        self.worker.recent_in.as_mut().unwrap().flush(&self.planes[0]);
        packets(&self.planes[0]) - before
    }

    fn same(&mut self) {
        self.worker.flush();
        assert_eq!(self.planes[0].all_stats(), self.planes[1].all_stats());
        assert_eq!(self.planes[0].drops(), self.planes[1].drops());
        let reports = |p: &Plane| core::iter::from_fn(|| p.poll_report()).collect::<Vec<_>>();
        assert_eq!(reports(&self.planes[0]), reports(&self.planes[1]));
    }
}

fn usual() -> Vec<u8> {
    body(&udp("10.1.0.1", "10.2.0.2", 90), 0, 4, 4)
}

/// Each packet is another one than the last, in one thing, and the next one is the last one again.
#[test]
fn what_is_not_like_the_last_one() {
    let ip = udp("10.1.0.1", "10.2.0.2", 90);
    let mut t = Twins::new(PlaneConfig::default(), |_| ());
    t.often(1, &usual());
    // Padding of every length, good and bad, and what stands behind it.
    for pad_len in 0..=20 {
        let good = body(&ip, 0, pad_len, 4);
        for _ in 0..2 {
            assert!(matches!(t.next(1, &good), Ingress::Deliver { .. }));
            assert!(matches!(t.next(1, &body(&ip, 20 - usize::from(pad_len), pad_len, 4)), Ingress::Deliver { .. }));
            for at in ip.len()..good.len() {
                t.next(1, &good);
                t.next(1, &edited(&good, at, good[at] ^ 1));
            }
            for next in [59, 41, 50, 17] {
                t.next(1, &good);
                assert!(matches!(t.next(1, &body(&ip, 0, pad_len, next)), Ingress::Drop(_)));
            }
        }
    }
    // Each octet of the inner headers: some are outside the selectors, some no packet.
    for at in 0..28 {
        for octet in [0, 1, 5, 0x46, 0xff] {
            t.often(1, &usual());
            for _ in 0..2 {
                t.next(1, &edited(&usual(), at, octet));
            }
        }
    }
    let outside = edited(&usual(), 13, 9);
    assert_eq!(t.next(1, &outside), Ingress::Drop(DropReason::Selectors));
    // A shorter inner packet in a payload of the same length.
    t.often(1, &usual());
    assert!(matches!(t.next(1, &edited(&usual(), 3, 100)), Ingress::Deliver { range, .. } if range.len() == 100));
    // Other lengths, down to nothing, of IPv6 as well.
    for len in (0..ip.len()).chain([300, 1300]) {
        t.next(1, &usual());
        t.next(1, &body(&udp("10.1.0.1", "10.2.0.2", len), 0, 2, 4));
        t.next(1, &body(&ip[..len.min(ip.len())], 0, 2, 4));
        t.next(1, &body(&udp("fd01::1", "fd02::2", len), 0, 2, 41));
    }
    t.same();
}

#[test]
fn what_the_packet_comes_with() {
    let mut t = Twins::new(PlaneConfig::default(), |_| ());
    t.often(1, &usual());
    let back = reverse(path(false));
    let (good, n) = (Twins::sealed(1, t.number + 1, &usual()), t.number);
    // Each octet changed, each length: nothing of it is believed.
    for at in 0..good.len() {
        assert!(matches!(t.open(&edited(&good, at, good[at] ^ 4), back, OUTER), Ingress::Drop(_)), "{at}");
        assert!(matches!(t.open(&good[..at], back, OUTER), Ingress::Drop(_)), "{at}");
    }
    // The SA's other packets in between, seen and old ones, ones from far ahead.
    assert!(matches!(t.next(1, &usual()), Ingress::Deliver { .. }));
    for number in [n + 1, n, n - 5, 1, 0, n + 40, n + 39, n + 41, n + 5000, n + 2, n + 4999, n + 4999] {
        t.open(&Twins::sealed(1, number, &usual()), back, OUTER);
    }
    t.number += 6000;
    for number in [1, (1 << 32) - 1, 1 << 32] {
        t.open(&Twins::sealed(1, number, &usual()), back, OUTER);
    }
    t.number = 1 << 32;
    t.often(1, &usual());
    // Congestion outside, which is put inside where that can hear it.
    for (class, inner) in [(3, 0), (3, 1), (3, 2), (1, 1), (0, 3), (0xb8, 0)] {
        let esp = Twins::sealed(1, t.number + 1, &edited(&usual(), 1, inner));
        t.number += 1;
        for _ in 0..2 {
            t.open(&esp, back, OuterInfo { traffic_class: class, ..OUTER });
        }
    }
    // From another place.
    t.number += 1;
    let esp = Twins::sealed(1, t.number, &usual());
    t.open(&esp, Path { remote: "192.0.2.77:9".parse().unwrap(), ..back }, OUTER);
    t.same();
}

#[test]
fn what_happens_to_the_sa() {
    let mut t = Twins::new(PlaneConfig::default(), |_| ());
    t.often(1, &usual());
    t.often(2, &usual());
    t.next(1, &usual());
    assert_eq!(t.worker.recent_in.as_ref().unwrap().spi, 0x1002, "one packet changes nothing");
    t.often(1, &usual());
    let other = Path { remote: "192.0.2.77:9".parse().unwrap(), ..path(false) };
    t.apply(&Change::Move { child: ChildId(1), path: other, encapsulation: Encapsulation::Udp });
    t.next(1, &usual());
    // The path that it came on is news now.
    t.same();
    t.often(1, &usual());
    t.apply(&Change::Remove(sa_ref(&inbound_sa(1))));
    assert_eq!(t.next(1, &usual()), Ingress::Drop(DropReason::UnknownSpi));
    // It is let go of, with its keys.
    t.worker.quiesce();
    assert!(t.worker.recent_in.is_none());
    // Another one with the same SPI and other selectors.
    let from = [TrafficSelector::any(AddrRange::prefix("10.9.0.0".parse().unwrap(), 16).unwrap())];
    t.apply(&Change::InstallInbound(Arc::new(SaParams { remote_ts: from.to_vec().into(), ..inbound_sa(1) })));
    assert_eq!(t.next(1, &usual()), Ingress::Drop(DropReason::Selectors));
    t.often(1, &edited(&usual(), 13, 9));
    t.same();
}

/// Packets of SAs with volume limits are counted one by one, and with the clamp the inner packet is changed.
#[test]
fn what_is_not_kept() {
    let limits = Limits { bytes: 0, packets: 90 };
    let mut t = Twins::new(PlaneConfig::default(), |p| p.lifetime = Lifetime { hard: limits, ..Lifetime::default() });
    (0..100).for_each(|_| t.again());
    assert!(t.worker.recent_in.is_none());
    assert_eq!(t.next(1, &usual()), Ingress::Drop(DropReason::Expired));
    t.same();
    let mut t = Twins::new(PlaneConfig { mss_clamp: 1000, ..PlaneConfig::default() }, |_| ());
    (0..100).for_each(|_| t.again());
    assert!(t.worker.recent_in.is_none());
    let mut t = Twins::new(PlaneConfig::default(), |p| p.replay_window = 31);
    (0..100).for_each(|_| t.again());
    t.same();
}
