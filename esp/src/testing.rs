//! Helpers of the unit tests: SA pairs of every suite, packets, a sink.

use crate::{PacketSink, Plane, TransmitMeta};
use alloc::sync::Arc;
use ravelin_crypto::aead::{Aead, AeadKey};
use ravelin_crypto::{CryptoError, EncrId, IntegId, Provider, Secret};
use ravelin_sa_db::{
    AddrRange, ChildId, CipherSuite, Direction, Encapsulation, Instant, Lifetime, Mode, Path, PolicyId, Protocol,
    SaParams, SaRef, Spi, TrafficSelector,
};
use std::boxed::Box;
use std::net::IpAddr;
use std::vec;
use std::vec::Vec;

/// A packet with room around it for sealing in place, and where in it the packet is.
pub(crate) fn buffer(plane: &Plane, ip: &[u8]) -> (Vec<u8>, core::ops::Range<usize>) {
    let (before, behind) = plane.room();
    let mut buf = vec![0xaa; before];
    buf.extend(ip);
    buf.extend(vec![0xbb; behind]);
    (buf, before..before + ip.len())
}

pub(crate) fn provider() -> Arc<Provider> {
    Arc::new(ravelin_crypto::rustcrypto::provider())
}

/// The same, for which bursts are sorted by SA.
pub(crate) fn grouping() -> Arc<Provider> {
    struct Gains(&'static dyn Aead);
    impl Aead for Gains {
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
        fn gains_from_many(&self) -> bool {
            true
        }
        fn key(&self, key: &[u8]) -> Result<Box<dyn AeadKey>, CryptoError> {
            self.0.key(key)
        }
    }
    let mut p = ravelin_crypto::rustcrypto::provider();
    for a in &mut p.aeads {
        *a = Box::leak(Box::new(Gains(*a)));
    }
    Arc::new(p)
}

pub(crate) const NOW: Instant = Instant(1_000_000);

/// Every suite this build offers: (encr, bits, integ).
pub(crate) fn suites(provider: &Provider) -> Vec<CipherSuite> {
    use EncrId as E;
    let mut out = Vec::new();
    let key = |n: usize| Secret::new((0..n).map(|i| (i * 7 + n) as u8).collect());
    for id in [
        E::AES_GCM_8,
        E::AES_GCM_12,
        E::AES_GCM_16,
        E::AES_CCM_8,
        E::AES_CCM_12,
        E::AES_CCM_16,
        E::CHACHA20_POLY1305,
        E::NULL_AUTH_AES_GMAC,
        E::AES_GCM_16_IIV,
        E::AES_CCM_8_IIV,
        E::CHACHA20_POLY1305_IIV,
    ] {
        for bits in [None, Some(128u16), Some(192), Some(256)] {
            if id.needs_key_length() != bits.is_some() {
                continue;
            }
            for n in [19usize, 20, 27, 28, 35, 36] {
                let suite = CipherSuite {
                    encr: id,
                    key_bits: bits,
                    integ: IntegId::NONE,
                    encr_key: key(n),
                    integ_key: Secret::default(),
                };
                if crate::transform::Transform::new(provider, &suite, false, 1, None).is_ok() {
                    out.push(suite);
                }
            }
        }
    }
    let integs: Vec<_> = provider.integs.iter().map(|i| (i.id(), i.key_len())).collect();
    for (integ, len) in integs {
        let ciphers = provider.ciphers.iter().map(|c| (c.id(), c.key_len(), c.salt_len()));
        for (encr, k, s) in ciphers.chain([(E::NULL, 0, 0)]) {
            let key_bits = encr.needs_key_length().then_some((k * 8) as u16);
            out.push(CipherSuite { encr, key_bits, integ, encr_key: key(k + s), integ_key: key(len) });
        }
    }
    out
}

pub(crate) fn gcm() -> CipherSuite {
    CipherSuite {
        encr: EncrId::AES_GCM_16,
        key_bits: Some(128),
        integ: IntegId::NONE,
        encr_key: Secret::new(vec![9; 20]),
        integ_key: Secret::default(),
    }
}

pub(crate) fn any_ts(v6: bool) -> Vec<TrafficSelector> {
    vec![TrafficSelector::any(if v6 { AddrRange::ANY_V6 } else { AddrRange::ANY_V4 })]
}

pub(crate) fn path(v6: bool) -> Path {
    if v6 {
        Path { local: "[2001:db8::1]:4500".parse().unwrap(), remote: "[2001:db8::2]:4500".parse().unwrap() }
    } else {
        Path { local: "192.0.2.1:4500".parse().unwrap(), remote: "192.0.2.2:4500".parse().unwrap() }
    }
}

pub(crate) fn reverse(p: Path) -> Path {
    Path { local: p.remote, remote: p.local }
}

/// Parameters of one direction: the outbound half of one host, or (reversed) the inbound half of the other.
pub(crate) fn params(child: u64, direction: Direction, suite: CipherSuite) -> SaParams {
    let mut both = any_ts(false);
    both.extend(any_ts(true));
    let p = path(false);
    SaParams {
        child: ChildId(child),
        spi: Spi(0x1000 + child as u32),
        direction,
        protocol: Protocol::Esp,
        mode: Mode::Tunnel,
        path: if direction == Direction::Outbound { p } else { reverse(p) },
        encapsulation: Encapsulation::Udp,
        suite,
        esn: true,
        replay_window: 1024,
        local_ts: both.clone().into(),
        remote_ts: both.into(),
        policy: PolicyId(7),
        lifetime: Lifetime::default(),
        tfc_padding: true,
        if_id: 0,
        mark: 0,
        resource: Vec::new(),
    }
}

pub(crate) fn sa_ref(p: &SaParams) -> SaRef {
    SaRef { child: p.child, direction: p.direction, spi: p.spi, path: p.path }
}

/// A UDP packet of `len` octets of data, with right checksums where the protocol has them.
pub(crate) fn udp(src: &str, dst: &str, len: usize) -> Vec<u8> {
    let (s, d): (IpAddr, IpAddr) = (src.parse().unwrap(), dst.parse().unwrap());
    let b = match (s, d) {
        (IpAddr::V4(s), IpAddr::V4(d)) => etherparse::PacketBuilder::ipv4(s.octets(), d.octets(), 61),
        (IpAddr::V6(s), IpAddr::V6(d)) => etherparse::PacketBuilder::ipv6(s.octets(), d.octets(), 61),
        _ => panic!("families"),
    };
    let mut out = Vec::new();
    let data: Vec<u8> = (0..len).map(|i| (i * 31) as u8).collect();
    b.udp(1000, 2000).write(&mut out, &data).unwrap();
    out
}

pub(crate) fn packets() -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for len in [0, 1, 2, 3, 4, 13, 14, 15, 16, 17, 100, 1372] {
        out.push(udp("10.1.0.1", "10.2.0.2", len));
        out.push(udp("fd01::1", "fd02::2", len));
    }
    out
}

/// Collects packets.
#[derive(Default)]
pub(crate) struct Collect {
    room: Vec<u8>,
    pub(crate) sent: Vec<(TransmitMeta, Vec<u8>)>,
    pub(crate) full: bool,
}

impl PacketSink for Collect {
    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        self.room = vec![0xee; len];
        (!self.full).then_some(&mut self.room[..])
    }
    fn commit(&mut self, meta: TransmitMeta) {
        self.sent.push((meta, self.room[..meta.len].to_vec()));
    }
}

/// Where the shared vectors are; `None` when this machine has none.
pub(crate) fn vectors() -> Option<std::path::PathBuf> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.to_path_buf();
    let env = std::env::var_os("RAVELIN_VECTORS").map(std::path::PathBuf::from);
    let found =
        env.into_iter().chain([root.join("../shared/vectors"), root.join("../../shared/vectors")]).find(|p| p.is_dir());
    if found.is_none() {
        std::println!("skipped: no shared vectors (set RAVELIN_VECTORS)");
    }
    found
}
