//! The nearest others: `ryke`'s ESP (AES-256-GCM, no replay window) and boringtun's `Tunn` (ChaCha20-Poly1305).

use crate::setup::clock;
use boringtun::noise::{Tunn, TunnResult};
use boringtun::x25519::{PublicKey, StaticSecret};
use ryke::esp::EspSa;
use std::hint::black_box;

pub struct Peers {
    ryke: EspSa,
    a: Tunn,
    b: Tunn,
    bufs: Vec<Vec<u8>>,
    lens: Vec<usize>,
    room: Vec<u8>,
}

impl Peers {
    pub fn new(len: usize) -> Self {
        let (x, y) = (StaticSecret::from([1; 32]), StaticSecret::from([2; 32]));
        let (px, py) = (PublicKey::from(&x), PublicKey::from(&y));
        let mut a = Tunn::new(x, py, None, None, 1, None);
        let mut b = Tunn::new(y, px, None, None, 2, None);
        handshake(&mut a, &mut b);
        let bufs = (0..crate::setup::BATCH).map(|_| vec![0; (len + 64).max(256)]).collect();
        let ryke = EspSa::new(0x1234, &[7; 36]).unwrap();
        Self { ryke, a, b, bufs, lens: vec![0; crate::setup::BATCH], room: vec![0; (len + 64).max(256)] }
    }

    /// Seal by ryke and boringtun, open by ryke and boringtun, in nanoseconds.
    pub fn round(&mut self, plain: &[Vec<u8>]) -> [f64; 4] {
        let mut out = Vec::with_capacity(plain.len());
        let ryke_seal = clock(|| for p in plain { out.push(self.ryke.seal(p, 4).unwrap()) });
        let ryke_open = clock(|| for p in &out { black_box(self.ryke.open(p).unwrap()); });
        let seal = clock(|| {
            for ((p, buf), len) in plain.iter().zip(&mut self.bufs).zip(&mut self.lens) {
                match self.a.encapsulate(p, buf) {
                    TunnResult::WriteToNetwork(w) => *len = w.len(),
                    r => panic!("{r:?}"),
                }
            }
        });
        let open = clock(|| {
            for (buf, len) in self.bufs.iter().zip(&self.lens) {
                match self.b.decapsulate(None, &buf[..*len], &mut self.room) {
                    TunnResult::WriteToTunnelV4(p, _) => { black_box(p); }
                    r => panic!("{r:?}"),
                }
            }
        });
        [ryke_seal, seal, ryke_open, open]
    }
}

fn handshake(a: &mut Tunn, b: &mut Tunn) {
    let (mut x, mut y, mut z) = (vec![0u8; 2048], vec![0u8; 2048], vec![0u8; 2048]);
    let TunnResult::WriteToNetwork(init) = a.format_handshake_initiation(&mut x, false) else { panic!() };
    let TunnResult::WriteToNetwork(answer) = b.decapsulate(None, init, &mut y) else { panic!() };
    let TunnResult::WriteToNetwork(keepalive) = a.decapsulate(None, answer, &mut z) else { panic!() };
    let mut w = vec![0u8; 2048];
    b.decapsulate(None, keepalive, &mut w);
}
