//! The lane and the general way, side by side: a worker takes the lane where it is open, the plane's own calls never do.

use super::*;
use crate::mode::{DfPolicy, DscpPolicy, FlowLabelPolicy, HeaderPolicy};
use crate::testing::*;
use crate::{DropReason, IpPacket};
use alloc::sync::Arc;
use proptest::prelude::*;
use ravelin_crypto::EncrId;
use ravelin_sa_db::{Change, CipherSuite, Direction, Encapsulation, Path, PortRange, SaParams, TrafficSelector};
use std::vec;
use std::vec::Vec;

/// What an SA of these tests is.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) suite: usize,
    pub(super) outer6: bool,
    pub(super) udp: bool,
    pub(super) esn: bool,
    pub(super) form: OutputForm,
    pub(super) header: HeaderPolicy,
    pub(super) mtu: u16,
    pub(super) window: u32,
    pub(super) narrow: bool,
    pub(super) pad_to: u8,
    /// Numbers beyond 2^32, which a receiver that begins does not expect: it refuses them both ways. Without ESN the last
    /// twenty.
    pub(super) high: bool,
    /// Packets an SA may carry; 0 for any number.
    pub(super) hard: u64,
}

/// What most SAs of these tests are; the others say how they differ.
fn ordinary() -> Setting {
    Setting {
        suite: 0,
        outer6: false,
        udp: true,
        esn: true,
        form: OutputForm::Esp,
        header: HeaderPolicy::default(),
        mtu: 0,
        window: 64,
        narrow: false,
        pad_to: 0,
        high: false,
        hard: 0,
    }
}

fn some_suites() -> Vec<CipherSuite> {
    // CCM, implicit IVs and CBC do not take the lane, and have to come out right as well.
    let wanted = [EncrId::AES_GCM_16, EncrId::CHACHA20_POLY1305, EncrId::AES_CCM_16, EncrId::AES_GCM_16_IIV];
    let all = suites(&provider()).into_iter();
    all.filter(|s| wanted.contains(&s.encr) || (s.encr == EncrId::AES_CBC && s.integ_key.len() == 32))
        .take(12)
        .collect()
}

pub(super) fn setting() -> impl Strategy<Value = Setting> {
    let dscp = prop_oneof![
        Just(DscpPolicy::Copy),
        (0u8..64).prop_map(DscpPolicy::Set),
        Just(DscpPolicy::Map(core::array::from_fn(|i| 63 - i as u8)))
    ];
    let df = prop_oneof![Just(DfPolicy::Copy), Just(DfPolicy::Set), Just(DfPolicy::Clear)];
    let flow = prop_oneof![Just(FlowLabelPolicy::Zero), Just(FlowLabelPolicy::Copy), Just(FlowLabelPolicy::PerSa)];
    let header =
        (dscp, any::<bool>(), df, 0u8.., flow).prop_map(|(dscp, ecn, dont_fragment, hop_limit, flow_label)| {
            HeaderPolicy { dscp, ecn, dont_fragment, hop_limit, flow_label }
        });
    let form = prop_oneof![Just(OutputForm::Esp), Just(OutputForm::Ip)];
    let mtu = prop_oneof![3 => Just(0u16), 1 => 576u16..1500];
    let window = prop_oneof![Just(0u32), Just(64), Just(1024)];
    let pad_to = prop_oneof![3 => Just(0u8), 1 => Just(16), 1 => any::<u8>()];
    (0usize..12, any::<[bool; 6]>(), form, header, mtu, window, pad_to).prop_map(
        |(suite, [outer6, udp, esn, narrow, x, y], form, header, mtu, window, pad_to)| Setting {
            suite,
            outer6,
            udp,
            esn,
            form,
            header,
            mtu,
            window,
            narrow,
            pad_to,
            high: x && y,
            hard: 0,
        },
    )
}

/// A sender and a receiver.
fn pair(s: &Setting) -> (Arc<Plane>, Arc<Plane>, SaParams) {
    let (a, b, mut inbound) = hosts(s, 1);
    (a, b, inbound.remove(0))
}

/// The same with so many SAs between them.
pub(super) fn hosts(s: &Setting, children: u64) -> (Arc<Plane>, Arc<Plane>, Vec<SaParams>) {
    let all = some_suites();
    let suite = all[s.suite % all.len()].clone();
    let config = PlaneConfig { output: s.form, header: s.header.clone(), pad_to: s.pad_to, ..PlaneConfig::default() };
    let (a, b) = (Plane::with_config(provider(), config), Plane::new(provider()));
    let port = if s.udp { 4500 } else { 0 };
    let p = path(s.outer6).with_ports(port, port);
    let edit = |mut params: SaParams, p: Path| {
        params.path = p;
        params.encapsulation = if s.udp { Encapsulation::Udp } else { Encapsulation::None };
        params.esn = s.esn;
        params.replay_window = s.window;
        // Inbound it is reached before the sender's.
        let inbound = params.direction == Direction::Inbound;
        params.lifetime.hard.packets = if inbound { s.hard.div_ceil(2) } else { s.hard };
        if s.narrow {
            // Half of the packets' ports are outside of this, inbound only.
            let half = |t: &TrafficSelector| TrafficSelector { ports: PortRange::Range(0, 0x7fff), ..*t };
            if params.direction == Direction::Inbound {
                params.local_ts = params.local_ts.iter().map(half).collect();
            }
        }
        params
    };
    let used = match (s.high, s.esn) {
        (false, _) => 77,
        (true, true) => (5 << 32) - 3,
        (true, false) => u64::from(u32::MAX) - 20,
    };
    let mut inbound = Vec::new();
    for child in 1..=children {
        let mut suite = suite.clone();
        suite.encr_key.expose_mut()[1] ^= child as u8;
        let out = edit(params(child, Direction::Outbound, suite.clone()), p);
        let inb = edit(params(child, Direction::Inbound, suite.clone()), reverse(p));
        a.install_outbound(NOW, &Arc::new(out), used).unwrap();
        b.apply(NOW, &Change::InstallInbound(Arc::new(inb.clone()))).unwrap();
        inbound.push(inb);
        if s.mtu != 0 {
            a.set_path_mtu(ChildId(child), s.mtu).unwrap();
        }
    }
    (Arc::new(a), Arc::new(b), inbound)
}

/// An inner packet: UDP mostly, some of it odd.
#[derive(Clone, Debug)]
pub(super) struct Inner {
    pub(super) v6: bool,
    pub(super) len: usize,
    pub(super) class: u8,
    pub(super) df: bool,
    pub(super) odd: u8,
    pub(super) ports: [u8; 4],
    pub(super) trail: usize,
}

pub(super) fn inner() -> impl Strategy<Value = Inner> {
    let len = prop_oneof![0usize..80, Just(1372), Just(1400), Just(9000)];
    (any::<[bool; 2]>(), len, any::<u8>(), 0u8..12, any::<[u8; 4]>(), 0usize..9)
        .prop_map(|([v6, df], len, class, odd, ports, trail)| Inner { v6, len, class, df, odd, ports, trail })
}

impl Inner {
    pub(super) fn octets(&self) -> Vec<u8> {
        let (s, d) = if self.v6 { ("fd01::1", "fd02::2") } else { ("10.1.0.1", "10.2.0.2") };
        let mut ip = udp(s, d, self.len);
        if self.v6 {
            ip[0] = 0x60 | self.class >> 4;
            ip[1] = self.class << 4 | 5;
            ip[40..44].copy_from_slice(&self.ports);
        } else {
            ip[1] = self.class;
            ip[6] = if self.df { 0x40 } else { 0 };
            ip[20..24].copy_from_slice(&self.ports);
        }
        match self.odd {
            // A protocol without ports, a first fragment, a length that lies, another version.
            0 => ip[if self.v6 { 6 } else { 9 }] = 89,
            1 if !self.v6 => ip[6] |= 0x20,
            2 => ip[if self.v6 { 4 } else { 2 }] ^= 0x10,
            3 => ip[0] ^= 0x30,
            _ => {}
        }
        ip.extend(vec![0x77; self.trail]);
        ip
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_ways_do_the_same(
        s in setting(),
        packets in prop::collection::vec(inner(), 1..8),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1u8..), 0..6),
        marks in any::<u8>(),
    ) {
        let ((a, b, inb), (c, d, _), (e, _, _)) = (pair(&s), pair(&s), pair(&s));
        let (mut seal, mut open) = (Worker::new(Arc::clone(&a)), Worker::new(Arc::clone(&b)));
        let mut copy = Worker::new(Arc::clone(&e));
        let mut wire: Vec<Vec<u8>> = Vec::new();
        for p in &packets {
            let ip = p.octets();
            let ((mut x, at), (mut y, _)) = (buffer(&a, &ip), buffer(&a, &ip));
            let lane = seal.seal_in_place(NOW, ChildId(1), &mut x, at.clone());
            let general = c.seal_in_place(NOW, ChildId(1), &mut y, at.clone());
            prop_assert_eq!(&lane, &general, "{:?} {:?}", s, p);
            if lane.is_ok() {
                prop_assert_eq!(&x, &y, "{:?} {:?}", s, p);
            }
            // The copying call counts on a plane of its own; its fragments have no counterpart.
            let mut sink = Collect::default();
            let copied = copy.egress(NOW, ChildId(1), &ip, &mut sink);
            match lane {
                Ok((range, meta)) => {
                    prop_assert_eq!(copied, Egress::Sent);
                    prop_assert_eq!(&sink.sent[0], &(meta, x[range.clone()].to_vec()), "{:?} {:?}", s, p);
                    let front = if s.form == OutputForm::Esp { 0 } else { 20 + 20 * usize::from(s.outer6) + 8 * usize::from(s.udp) };
                    wire.push(x[range][front..].to_vec());
                }
                Err(refusal) => if sink.sent.is_empty() { prop_assert_eq!(copied, refusal) } else { break },
            }
        }
        seal.flush();
        prop_assert_eq!(a.stats(ChildId(1)).unwrap(), c.stats(ChildId(1)).unwrap());

        // In disorder, twice, damaged, cut.
        let mut arriving: Vec<Vec<u8>> = wire.iter().rev().chain(&wire).cloned().collect();
        for (which, place, flip) in &damage {
            if arriving.is_empty() { break }
            let mut bad = arriving[which.index(arriving.len())].clone();
            // one that was cut to nothing before
            if bad.is_empty() { continue }
            let at = place.index(bad.len());
            if flip % 4 == 0 { bad.truncate(at) } else { bad[at] ^= flip }
            arriving.insert(which.index(arriving.len()), bad);
        }
        let outer = OuterInfo { traffic_class: marks, hop_limit: 64 };
        for esp in arriving {
            let (mut x, mut y) = ([&[1, 2, 3], &esp[..]].concat(), [&[1, 2, 3], &esp[..]].concat());
            let lane = open.ingress(NOW, inb.path, outer, &mut x, 3);
            let general = d.ingress_at(NOW, inb.path, outer, &mut y, 3);
            prop_assert_eq!(&lane, &general, "{:?}", s);
            if let Ingress::Deliver { range, .. } = lane {
                prop_assert_eq!(&x[range.clone()], &y[range.clone()]);
                prop_assert!(IpPacket::parse(&x[range]).is_ok());
            }
        }
        open.flush();
        prop_assert_eq!(b.stats(ChildId(1)).unwrap(), d.stats(ChildId(1)).unwrap());
        prop_assert_eq!(b.drops(), d.drops());
    }
}

#[test]
fn padding_to_a_multiple() {
    for (pad_to, align) in [(0, 4), (1, 4), (2, 4), (8, 8), (16, 16), (24, 4), (128, 128)] {
        let s = Setting { pad_to, ..ordinary() };
        let (a, b, inb) = pair(&s);
        for len in 0..300 {
            let ip = udp("10.1.0.1", "10.2.0.2", len);
            let mut sink = Collect::default();
            assert_eq!(a.egress(NOW, ChildId(1), &ip, &mut sink), Egress::Sent);
            let mut esp = sink.sent.remove(0).1;
            assert_eq!(esp.len() - 32, (ip.len() + 2).next_multiple_of(align), "{pad_to}");
            let got = b.ingress(NOW, inb.path, OuterInfo::default(), &mut esp);
            assert_eq!(got, Ingress::Deliver { child: ChildId(1), range: 16..16 + ip.len() });
        }
    }
}

/// Without this the comparison above would compare the general way with itself.
#[test]
fn the_lane_is_taken() {
    for (form, encapsulation, v6, want) in [
        (OutputForm::Esp, Encapsulation::Udp, false, true),
        (OutputForm::Ip, Encapsulation::Udp, false, true),
        (OutputForm::Ip, Encapsulation::None, false, true),
        (OutputForm::Ip, Encapsulation::None, true, true),
        (OutputForm::Esp, Encapsulation::Udp, true, true),
        (OutputForm::Ip, Encapsulation::Udp, true, false),
    ] {
        let s = Setting { outer6: v6, udp: encapsulation == Encapsulation::Udp, form, ..ordinary() };
        let (a, b, inb) = pair(&s);
        let ip = udp("10.1.0.1", "10.2.0.2", 100);
        let (mut buf, at) = buffer(&a, &ip);
        let parsed = IpPacket::parse(&ip).unwrap();
        let out = a.outbound.get(&ChildId(1)).unwrap();
        let shape = a.shape::<true>(&out, out.core(), &parsed, &ip, Some(at.start), buf.len());
        assert_eq!(shape.is_some(), want, "{s:?}");
        let Some(shape) = shape else { continue };
        let sealed = &mut buf[shape.start..shape.end];
        a.seal_shaped::<true>(&out, out.core(), &shape, sealed).unwrap();
        let front = sealed.len() - out.core().sa.sealed_len(ip.len());
        let entry = b.inbound.get(&inb.spi).unwrap();
        let esp = &mut sealed[front..];
        let opened = b.open_usual::<true>(&entry, esp, 0).unwrap().unwrap();
        let mut held = crate::packet::Alike::default();
        for _ in 0..2 {
            let inner = b.inner_usual(&entry, &mut held, OuterInfo::default(), opened.payload, opened.next_header);
            assert_eq!((inner, opened.next_header), (Some(ip.len()), 4), "{s:?}");
        }
        opened.accept().unwrap();
        assert!(matches!(b.open_usual::<true>(&entry, esp, 0), Some(Err(DropReason::Replay))));
    }
}
