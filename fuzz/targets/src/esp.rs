//! ESP and AH: octets from the network (`esp_raw`), and plaintext that the harness seals under valid keys (`esp_sealed`):
//! whatever a peer with keys puts inside, what is delivered is inside the selectors, once, and sealing what was opened
//! gives it back.

use crate::sk::provider;
use arbitrary::{Arbitrary, Unstructured};
use ravelin::crypto::{EncrId, IntegId};
use ravelin::db::{
    Change, ChildId, CipherSuite, Direction, Encapsulation, Instant, Lifetime, Mode, Path, PolicyId, Protocol, Report,
    SaParams, Spi, TrafficSelector,
};
use ravelin::esp::{Egress, Ingress, OutboundSa, OuterInfo, Plane};
use ravelin::{PacketSink, Secret, TransmitMeta};
use std::collections::BTreeSet;
use std::sync::Arc;

const NOW: Instant = Instant(1_000_000);

fn way(outbound: bool) -> Path {
    let (a, b) = ("192.0.2.1:4500", "192.0.2.2:4500");
    let (local, remote) = if outbound { (a, b) } else { (b, a) };
    Path { local: local.parse().expect("an address"), remote: remote.parse().expect("an address") }
}

fn ts(text: &str) -> Vec<TrafficSelector> {
    vec![text.parse().expect("a selector")]
}

/// Suite and mode number `n`; number 5 is AH.
fn params(n: u8, direction: Direction) -> SaParams {
    let out = direction == Direction::Outbound;
    let (encr, bits, integ, ekey, ikey) = match n % 6 {
        0 => (EncrId::AES_GCM_16, Some(128), IntegId::NONE, 20, 0),
        1 => (EncrId::AES_CBC, Some(128), IntegId::HMAC_SHA2_256_128, 16, 32),
        2 => (EncrId::CHACHA20_POLY1305, None, IntegId::NONE, 36, 0),
        3 => (EncrId::NULL, None, IntegId::HMAC_SHA1_96, 0, 20),
        4 => (EncrId::AES_CTR, Some(128), IntegId::AES_XCBC_96, 20, 16),
        _ => (EncrId::NULL, None, IntegId::HMAC_SHA2_256_128, 0, 32),
    };
    let (mine, theirs) =
        if out { (ts("10.1.0.0/16"), ts("10.2.0.0/16")) } else { (ts("10.2.0.0/16"), ts("10.1.0.0/16")) };
    let mode = [Mode::Tunnel, Mode::Tunnel, Mode::Transport][usize::from(n / 6) % 3];
    let transport = mode == Mode::Transport;
    let host = |a: &str| ts(a);
    SaParams {
        child: ChildId(1),
        spi: Spi(0x0a0b_0c0d),
        direction,
        protocol: if n % 6 == 5 { Protocol::Ah } else { Protocol::Esp },
        mode,
        path: way(out),
        encapsulation: if n % 6 == 5 { Encapsulation::None } else { Encapsulation::Udp },
        suite: CipherSuite {
            encr,
            key_bits: bits,
            integ,
            encr_key: Secret::new(vec![0x11; ekey]),
            integ_key: Secret::new(vec![0x22; ikey]),
        },
        esn: n & 0x40 != 0,
        replay_window: 64,
        local_ts: if transport { host(if out { "192.0.2.1" } else { "192.0.2.2" }) } else { mine }.into(),
        remote_ts: if transport { host(if out { "192.0.2.2" } else { "192.0.2.1" }) } else { theirs }.into(),
        policy: PolicyId(1),
        lifetime: Lifetime::default(),
        tfc_padding: true,
        if_id: 0,
        mark: 0,
        resource: Vec::new(),
    }
}

fn receiver(n: u8) -> Option<Plane> {
    let plane = Plane::new(Arc::new(provider().clone()));
    plane.apply(NOW, &Change::InstallInbound(Arc::new(params(n, Direction::Inbound)))).ok()?;
    Some(plane)
}

/// First octet: the suite. Then octets as they come from the network; nothing of them is authentic.
pub(crate) fn raw(data: &[u8]) {
    let Some((n, rest)) = data.split_first() else { return };
    let Some(plane) = receiver(*n) else { return };
    let mut good = vec![0x0a, 0x0b, 0x0c, 0x0d];
    good.extend_from_slice(rest);
    for octets in [rest, &good[..]] {
        let mut buf = octets.to_vec();
        let result = plane.ingress(NOW, way(false), OuterInfo::default(), &mut buf);
        assert!(matches!(result, Ingress::Drop(_)), "octets that nobody sealed were delivered: {result:?}");
        let mut buf = octets.to_vec();
        assert!(matches!(plane.ingress_ip(NOW, &mut buf), Ingress::Drop(_)), "an IP packet that nobody sealed");
    }
    let stats = plane.stats(ChildId(1)).expect("the SA is there");
    assert_eq!(stats.child, ChildId(1));
    // An unknown SPI may be hinted at, to be asked about under the protection of IKE; nothing else is said.
    while let Some(report) = plane.poll_report() {
        assert!(matches!(report, Report::UnknownSpi { .. }), "a report by octets that nobody proved: {report:?}");
    }
}

struct Sink(Vec<u8>, usize);
impl PacketSink for Sink {
    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        self.0 = vec![0; len];
        Some(&mut self.0)
    }
    fn commit(&mut self, meta: TransmitMeta) {
        self.1 = meta.len;
    }
}

#[derive(Arbitrary, Debug)]
struct Packet {
    next_header: u8,
    /// Make an IPv4 header between addresses near the selectors in front of the octets.
    dress: Option<(u8, u8, u8)>,
    inner: Vec<u8>,
    again: bool,
    flip: Option<u16>,
}

fn dress(p: &Packet) -> Vec<u8> {
    let Some((from, to, protocol)) = p.dress else { return p.inner.clone() };
    let total = (20 + p.inner.len()) as u16;
    let mut ip = vec![0x45, 0];
    ip.extend(total.to_be_bytes());
    ip.extend([0, 0, 0, 0, 64, protocol, 0, 0, 10, 1 + from % 2, 0, from, 10, 1 + to % 2, 0, to]);
    let sum = ip.chunks(2).map(|c| u32::from(u16::from_be_bytes([c[0], c[1]]))).sum::<u32>();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    ip.extend(&p.inner);
    ip
}

/// A peer with keys that puts in what it likes.
pub(crate) fn sealed(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok(n) = u8::arbitrary(&mut u) else { return };
    let Ok(packets) = Vec::<Packet>::arbitrary_take_rest(u) else { return };
    if n % 6 == 5 {
        return egress(n, &packets);
    }
    let Some(plane) = receiver(n) else { return };
    let sa = OutboundSa::new(provider(), &params(n, Direction::Outbound), &Secret::default()).expect("a suite");
    let mut accepted = BTreeSet::new();
    for (i, packet) in packets.iter().take(16).enumerate() {
        let inner = dress(packet);
        let mut out = vec![0; sa.sealed_len(inner.len()) + 64];
        let Ok(len) = sa.seal(&inner, packet.next_header, &mut out) else { continue };
        out.truncate(len);
        if let Some(flip) = packet.flip {
            let bit = usize::from(flip) % (len * 8);
            out[bit / 8] ^= 1 << (bit % 8);
        }
        for _ in 0..=u8::from(packet.again) {
            let mut buf = out.clone();
            if let Ingress::Deliver { range, .. } = plane.ingress(NOW, way(false), OuterInfo::default(), &mut buf) {
                assert!(packet.flip.is_none(), "a damaged packet was delivered");
                assert!(accepted.insert(i), "a packet was delivered twice");
                let got = &buf[range];
                if params(n, Direction::Inbound).mode == Mode::Tunnel {
                    assert_eq!(
                        (got[12..14].to_vec(), got[16..18].to_vec()),
                        (vec![10, 1], vec![10, 2]),
                        "outside the selectors"
                    );
                    // ECN and checksum may change (RFC 6040), nothing else; TFC padding is cut off.
                    assert_eq!(got[12..], inner[12..got.len()], "another packet than was sealed");
                }
            }
        }
    }
    egress(n, &packets);
}

/// Packets that want out of one plane and into the other.
fn egress(n: u8, packets: &[Packet]) {
    let Some(plane) = receiver(n) else { return };
    let from = Plane::new(Arc::new(provider().clone()));
    if from.apply(NOW, &Change::InstallOutbound(Arc::new(params(n, Direction::Outbound)))).is_err() {
        return;
    }
    for packet in packets.iter().take(16) {
        let inner = dress(packet);
        let mut sink = Sink(Vec::new(), 0);
        if from.egress(NOW, PolicyId(1), &inner, &mut sink) != Egress::Sent {
            continue;
        }
        sink.0.truncate(sink.1);
        let outer = OuterInfo::default();
        let delivered = plane.ingress(NOW, way(false), outer, &mut sink.0);
        if n % 6 != 5 && params(n, Direction::Outbound).mode == Mode::Tunnel {
            assert!(
                matches!(delivered, Ingress::Deliver { .. }),
                "what one plane seals the other opens: {delivered:?}"
            );
        }
    }
}
