//! SAs, packets, buffers and the clock.

use ravelin_crypto::{EncrId, IntegId, Provider, Secret};
use ravelin_esp::{OutputForm, Plane, PlaneConfig};
use ravelin_sa_db::{
    AddrRange, Change, ChildId, CipherSuite, Direction, Encapsulation, Instant, Lifetime, Mode, Path, PolicyId,
    Protocol, SaParams, Spi, TrafficSelector,
};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// Packets per timed batch.
pub const BATCH: usize = 64;
/// Room in front of and behind each packet.
pub const FRONT: usize = 64;
pub const BACK: usize = 64;
/// Outer IPv4 header.
pub const OUTER: usize = 20;
pub const NOW: Instant = Instant(1_000_000);
pub const POLICY: PolicyId = PolicyId(1);

pub fn path() -> Path {
    Path { local: "192.0.2.1:0".parse().unwrap(), remote: "192.0.2.2:0".parse().unwrap() }
}

pub fn suite(encr: EncrId, bits: Option<u16>, integ: IntegId, n: u32) -> CipherSuite {
    let encr_len = match encr {
        EncrId::CHACHA20_POLY1305 => 36,
        EncrId::AES_GCM_16 => usize::from(bits.unwrap()) / 8 + 4,
        _ => usize::from(bits.unwrap()) / 8,
    };
    let integ_len = if integ == IntegId::NONE { 0 } else { 32 };
    let mut key: Vec<u8> = (0..encr_len).map(|i| i as u8).collect();
    key[..4].copy_from_slice(&n.to_be_bytes());
    CipherSuite { encr, key_bits: bits, integ, encr_key: Secret::new(key), integ_key: Secret::new(vec![3; integ_len]) }
}

/// The address behind SA `n`.
pub fn host(n: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0a80_0000 + n)
}

pub fn params(n: u32, direction: Direction, suite: CipherSuite) -> SaParams {
    let local = vec![TrafficSelector::any(AddrRange::prefix(IpAddr::from([10, 0, 0, 0]), 9).unwrap())];
    let remote = vec![TrafficSelector::any(AddrRange::host(host(n).into()))];
    let out = direction == Direction::Outbound;
    let p = path();
    SaParams {
        child: ChildId(u64::from(n) + 1),
        // Spread as random SPIs are.
        spi: Spi(n.wrapping_mul(0x9e37_79b1) | 0x100),
        direction,
        protocol: Protocol::Esp,
        mode: Mode::Tunnel,
        path: if out { p } else { Path { local: p.remote, remote: p.local } },
        encapsulation: Encapsulation::None,
        suite,
        esn: true,
        replay_window: 1024,
        local_ts: if out { local.clone() } else { remote.clone() }.into(),
        remote_ts: if out { remote } else { local }.into(),
        policy: POLICY,
        lifetime: Lifetime::default(),
        tfc_padding: true,
        if_id: 0,
        mark: 0,
        resource: Vec::new(),
    }
}

/// Two planes with `count` SAs from the first to the second.
pub fn planes(provider: &Arc<Provider>, count: u32, suite: impl Fn(u32) -> CipherSuite) -> (Arc<Plane>, Arc<Plane>) {
    planes_padding(provider, count, 0, suite)
}

/// One plane that sends itself what it seals on `count` SAs: a gateway has both directions of its Child SAs in one plane.
pub fn circle(provider: &Arc<Provider>, count: u32, suite: impl Fn(u32) -> CipherSuite) -> Arc<Plane> {
    let config = PlaneConfig { output: OutputForm::Ip, ..PlaneConfig::default() };
    let plane = Plane::with_config(Arc::clone(provider), config);
    install(&plane, &plane, count, suite);
    Arc::new(plane)
}

/// `count` SAs from one plane to another, which may be the same.
fn install(from: &Plane, to: &Plane, count: u32, suite: impl Fn(u32) -> CipherSuite) {
    for n in 0..count {
        let suite = suite(n);
        let out = Arc::new(params(n, Direction::Outbound, suite.clone()));
        from.apply(NOW, &Change::InstallOutbound(out)).unwrap();
        to.apply(NOW, &Change::InstallInbound(Arc::new(params(n, Direction::Inbound, suite)))).unwrap();
    }
}

/// The same as [`planes`], with ESP padding to a multiple of `pad_to` octets.
pub fn planes_padding(
    provider: &Arc<Provider>,
    count: u32,
    pad_to: u8,
    suite: impl Fn(u32) -> CipherSuite,
) -> (Arc<Plane>, Arc<Plane>) {
    let config = PlaneConfig { output: OutputForm::Ip, pad_to, ..PlaneConfig::default() };
    let (a, b) = (Plane::with_config(Arc::clone(provider), config), Plane::new(Arc::clone(provider)));
    install(&a, &b, count, suite);
    (Arc::new(a), Arc::new(b))
}

/// The IPv4 and UDP headers of a packet of `len` octets to the host behind SA `n`.
pub fn headers(len: usize, n: u32) -> [u8; 28] {
    let mut p = [0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 1, 0, 1, 0, 0, 0, 0, 0x04, 0, 0x08, 0, 0, 8, 0, 0];
    p[2..4].copy_from_slice(&(len as u16).to_be_bytes());
    p[16..20].copy_from_slice(&host(n).octets());
    let sum = ravelin_esp::checksum::checksum(&p[..20]).to_be_bytes();
    p[10..12].copy_from_slice(&sum);
    p
}

/// An IPv4/UDP packet of `len` octets to the host behind SA `n`.
pub fn packet(len: usize, n: u32) -> Vec<u8> {
    let mut p = vec![0x5a; len];
    p[..28].copy_from_slice(&headers(len, n));
    p
}

/// A batch of buffers, each with room around one packet.
pub struct Batch {
    pub bufs: Vec<Vec<u8>>,
    pub plain: Vec<Vec<u8>>,
}

impl Batch {
    pub fn new(len: usize, sa: impl Fn(usize) -> u32) -> Self {
        let plain: Vec<_> = (0..BATCH).map(|i| packet(len, sa(i))).collect();
        let bufs = plain.iter().map(|_| vec![0; FRONT + len + BACK]).collect();
        Self { bufs, plain }
    }

    /// Plaintext packets at their place again.
    pub fn refill(&mut self) {
        for (b, p) in self.bufs.iter_mut().zip(&self.plain) {
            b[FRONT..FRONT + p.len()].copy_from_slice(p);
        }
    }
}

/// Nanoseconds per packet of one timed batch.
pub fn clock(run: impl FnOnce()) -> f64 {
    let t = std::time::Instant::now();
    run();
    t.elapsed().as_nanos() as f64 / BATCH as f64
}

/// The lower quartile.
pub fn quartile(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 4]
}
