//! A worker that seals one packet of a flow after the other, beside the plane's own calls, which remember nothing: whatever
//! happens to the plane in between.

use super::*;
use crate::testing::*;
use alloc::sync::Arc;
use core::ops::Range;
use ravelin_sa_db::{Change, Direction, Encapsulation, Lifetime, Limits, Path};
use std::vec::Vec;

/// Two planes with the same SAs; the first one has a worker.
struct Twins {
    planes: [Arc<Plane>; 2],
    worker: Worker,
}

impl Twins {
    fn new(form: OutputForm) -> Self {
        let config = PlaneConfig { output: form, ..PlaneConfig::default() };
        let planes = [0, 1].map(|_| Arc::new(Plane::with_config(provider(), config.clone())));
        let worker = Worker::new(Arc::clone(&planes[0]));
        let twins = Self { planes, worker };
        (1..=2).for_each(|child| twins.install(child));
        twins
    }

    fn install(&self, child: u64) {
        let mut suite = gcm();
        suite.encr_key.expose_mut()[0] = child as u8;
        self.apply(&Change::InstallOutbound(Arc::new(params(child, Direction::Outbound, suite))));
    }

    fn apply(&self, change: &Change) {
        self.planes.iter().for_each(|p| p.apply(NOW, change).unwrap());
    }

    /// Seals it both ways; gives the SA that it went through.
    fn seal(&mut self, target: impl Into<Target>, buf: &[u8], packet: &Range<usize>) -> Result<TransmitMeta, Egress> {
        let (target, mut ours, mut theirs) = (target.into(), buf.to_vec(), buf.to_vec());
        let got = self.worker.seal_in_place(NOW, target, &mut ours, packet.clone());
        let want = self.planes[1].seal_in_place(NOW, target, &mut theirs, packet.clone());
        assert_eq!(got, want);
        let (range, meta) = got?;
        assert_eq!(ours[range.clone()], theirs[range.clone()]);
        let around = |b: &[u8]| [&b[..range.start], &b[range.end..]].concat();
        assert_eq!(around(&ours), around(buf), "octets around the packet");
        Ok(meta)
    }

    /// So often that it is remembered.
    fn often(&mut self, target: impl Into<Target> + Copy, ip: &[u8]) -> Result<TransmitMeta, Egress> {
        let (buf, packet) = buffer(&self.planes[0], ip);
        let all: Vec<_> = (0..8).map(|_| self.seal(target, &buf, &packet)).collect();
        assert!(all.iter().all(|one| *one == all[0]));
        all[0]
    }
}

/// Without checksum, which nobody looks at.
fn edited(ip: &[u8], at: usize, octet: u8) -> Vec<u8> {
    let mut ip = ip.to_vec();
    ip[at] = octet;
    ip
}

#[test]
fn what_is_remembered_follows_the_plane() {
    for form in [OutputForm::Esp, OutputForm::Ip] {
        let mut t = Twins::new(form);
        let (policy, ip) = (params(1, Direction::Outbound, gcm()).policy, udp("10.1.0.1", "10.2.0.2", 900));
        assert_eq!(t.often(policy, &ip).unwrap().child, ChildId(1));
        assert!(t.worker.recent.is_some());
        // A path MTU, and none any more.
        t.planes.iter().for_each(|p| p.set_path_mtu(ChildId(1), 800).unwrap());
        assert!(matches!(t.often(policy, &ip), Err(Egress::TooBig { .. })));
        t.planes.iter().for_each(|p| p.set_path_mtu(ChildId(1), 0).unwrap());
        t.often(policy, &ip).unwrap();
        // Another SA, the first one elsewhere.
        t.apply(&Change::Switch { from: ChildId(1), to: ChildId(2) });
        assert_eq!(t.often(policy, &ip).unwrap().child, ChildId(2));
        let path = Path { remote: "192.0.2.77:9".parse().unwrap(), ..path(false) };
        t.apply(&Change::Move { child: ChildId(2), path, encapsulation: Encapsulation::None });
        assert_eq!(t.often(policy, &ip).unwrap().path, path);
        // The same of one that no route leads to.
        t.often(ChildId(1), &ip).unwrap();
        t.apply(&Change::Move { child: ChildId(1), path, encapsulation: Encapsulation::None });
        assert_eq!(t.often(ChildId(1), &ip).unwrap().path, path);
        // Targets of the same number.
        assert_eq!(t.often(ChildId(1), &ip).unwrap().child, ChildId(1));
        assert_eq!(t.often(ChildId(2), &ip).unwrap().child, ChildId(2));
        assert_eq!(t.often(ChildId(7), &ip), Err(Egress::NoSa));
        // Removed, let go of, there again.
        for child in [1, 2] {
            t.often(policy, &ip).unwrap();
            let at = t.planes[0].stats(ChildId(child)).unwrap().outbound.unwrap();
            let gone = ravelin_sa_db::SaRef {
                child: ChildId(child),
                direction: Direction::Outbound,
                spi: at.spi,
                path: at.path,
            };
            t.apply(&Change::Remove(gone));
        }
        assert_eq!(t.often(policy, &ip), Err(Egress::NoSa));
        t.worker.quiesce();
        t.install(3);
        assert_eq!(t.often(policy, &ip).unwrap().child, ChildId(3));
        t.worker.flush();
        let packets = |p: &Plane| p.stats(ChildId(3)).unwrap().outbound;
        assert_eq!(packets(&t.planes[0]), packets(&t.planes[1]));
        assert_eq!(t.planes[0].drops(), t.planes[1].drops());
    }
}

#[test]
fn another_flow_takes_the_place() {
    let mut t = Twins::new(OutputForm::Ip);
    t.worker = Worker::with_memory(Arc::clone(&t.planes[0]), 1);
    let ip = udp("10.1.0.1", "10.2.0.2", 100);
    let (buf, packet) = buffer(&t.planes[0], &ip);
    for _ in 0..3 {
        assert_eq!(t.often(ChildId(1), &ip).unwrap().child, ChildId(1));
        assert!(t.worker.recent.is_some());
        assert_eq!(t.seal(ChildId(2), &buf, &packet).unwrap().child, ChildId(2));
        assert_eq!(t.seal(ChildId(1), &buf, &packet).unwrap().child, ChildId(1));
    }
}

#[test]
fn a_hard_limit_ends_it() {
    for form in [OutputForm::Esp, OutputForm::Ip] {
        let mut t = Twins::new(form);
        let mut limited = params(3, Direction::Outbound, gcm());
        limited.lifetime = Lifetime { hard: Limits { packets: 12, bytes: 0 }, ..Lifetime::default() };
        t.apply(&Change::InstallOutbound(Arc::new(limited)));
        let (buf, packet) = buffer(&t.planes[0], &udp("10.1.0.1", "10.2.0.2", 100));
        let all: Vec<_> = (0..20).map(|_| t.seal(ChildId(3), &buf, &packet).is_ok()).collect();
        assert!(t.worker.recent.is_some());
        assert!(all[..12].iter().all(|sealed| *sealed) && all[13..].iter().all(|sealed| !sealed), "{all:?}");
    }
}

#[test]
fn what_is_not_like_the_last_one() {
    for form in [OutputForm::Esp, OutputForm::Ip] {
        let mut t = Twins::new(form);
        let (policy, ip) = (params(1, Direction::Outbound, gcm()).policy, udp("10.1.0.1", "10.2.0.2", 100));
        // Traffic class, DF, more fragments, TTL, protocol, addresses, ports, options, a length of its own.
        let edits = [
            (1, 0xb9),
            (6, 0x40),
            (6, 0x20),
            (8, 1),
            (9, 6),
            (9, 1),
            (15, 9),
            (19, 9),
            (21, 9),
            (23, 9),
            (0, 0x46),
            (3, 90),
            (3, 23),
            (3, 200),
        ];
        for (at, octet) in edits {
            let other = edited(&ip, at, octet);
            t.often(policy, &ip).unwrap();
            assert!(t.worker.recent.is_some());
            let _ = t.often(policy, &other);
            let (buf, packet) = buffer(&t.planes[0], &ip);
            t.seal(policy, &buf, &packet).unwrap();
        }
        // Other lengths, other places in the buffer, no room before or behind.
        for len in [0, 1, 2, 3, 4, 100, 1300] {
            t.often(policy, &udp("10.1.0.1", "10.2.0.2", len)).unwrap();
        }
        t.often(policy, &ip).unwrap();
        let (buf, packet) = buffer(&t.planes[0], &ip);
        for less in 0..packet.start {
            let _ = t.seal(policy, &buf[less..], &(packet.start - less..packet.end - less));
            t.seal(policy, &buf, &packet).unwrap();
        }
        for end in packet.start..buf.len() {
            let _ = t.seal(policy, &buf[..end], &packet);
            t.seal(policy, &buf, &packet).unwrap();
        }
        t.worker.flush();
        assert_eq!(t.planes[0].all_stats(), t.planes[1].all_stats());
        assert_eq!(t.planes[0].drops(), t.planes[1].drops());
    }
}
