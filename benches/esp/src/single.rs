//! One thread, one SA: seal and open through the plane against the bare call of the same provider, and against peers.

use crate::peers;
use crate::setup::{BATCH, Batch, FRONT, NOW, OUTER, POLICY, clock, path, planes, planes_padding, quartile, suite};
use crate::SIZES;
use ravelin_crypto::aead::AeadKey;
use ravelin_crypto::{EncrId, IntegId, Provider};
use ravelin_esp::plane::{OpenJob, SealJob};
use ravelin_esp::{Ingress, OuterInfo, PacketSink, TransmitMeta, Worker};
use ravelin_sa_db::Path;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

/// Nanoseconds by contender and size.
pub struct Table {
    pub title: String,
    pub rows: Vec<(String, [f64; SIZES.len()])>,
}

struct Case {
    title: &'static str,
    provider: Arc<Provider>,
    encr: EncrId,
    bits: Option<u16>,
    integ: IntegId,
    peers: bool,
}

/// A sink over one buffer.
struct One(Vec<u8>);
impl PacketSink for One {
    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        self.0.get_mut(..len)
    }
    fn commit(&mut self, meta: TransmitMeta) {
        black_box(meta.len);
    }
}

fn back() -> Path {
    let p = path();
    Path { local: p.remote, remote: p.local }
}

pub fn run(rounds: usize, md: &mut String) -> Vec<Table> {
    let fast = Arc::new(ravelin_crypto::awslc::provider());
    let portable = Arc::new(ravelin_crypto::rustcrypto::provider());
    let gcm = EncrId::AES_GCM_16;
    let (chacha, cbc) = (EncrId::CHACHA20_POLY1305, EncrId::AES_CBC);
    let (none, sha2) = (IntegId::NONE, IntegId::HMAC_SHA2_256_128);
    let case = |title, provider: &Arc<Provider>, encr, bits, integ, peers| Case { title, provider: Arc::clone(provider), encr, bits, integ, peers };
    let mut cases = vec![
        case("AES-128-GCM, aws-lc-rs", &fast, gcm, Some(128), none, false),
        case("AES-256-GCM, aws-lc-rs", &fast, gcm, Some(256), none, true),
        case("ChaCha20-Poly1305, aws-lc-rs", &fast, chacha, None, none, true),
        case("AES-128-GCM, portable", &portable, gcm, Some(128), none, false),
        case("AES-128-CBC with HMAC-SHA2-256-128", &fast, cbc, Some(128), sha2, false),
    ];
    if let Some(mb) = crate::ipsec_mb() {
        cases.push(case("AES-128-GCM, ipsec-mb", &mb, gcm, Some(128), none, false));
        cases.push(case("AES-256-GCM, ipsec-mb", &mb, gcm, Some(256), none, false));
        cases.push(case("ChaCha20-Poly1305, ipsec-mb", &mb, chacha, None, none, true));
    }
    let wanted = std::env::var("CASE").unwrap_or_default();
    cases.iter().filter(|c| c.title.starts_with(&wanted)).map(|c| one(c, rounds, md)).collect()
}

/// The bare call: what the plane cannot do without.
enum Bare {
    Aead(Box<dyn AeadKey>),
    Split(Box<dyn ravelin_crypto::cipher::CipherKey>, Box<dyn ravelin_crypto::integ::IntegKey>),
}

impl Bare {
    fn new(c: &Case) -> Self {
        let s = suite(c.encr, c.bits, c.integ, 0);
        let key = s.encr_key.expose();
        match c.provider.aead(c.encr, c.bits) {
            Some(a) => Self::Aead(a.key(&key[..a.key_len()]).unwrap()),
            None => Self::Split(
                c.provider.cipher(c.encr, c.bits).unwrap().key(key).unwrap(),
                c.provider.integ(c.integ).unwrap().key(s.integ_key.expose()).unwrap(),
            ),
        }
    }

    /// `buf` is IV, data, ICV as in a packet; data as long as the packet is with its trailer.
    fn seal(&self, n: u64, aad: &[u8; 12], buf: &mut [u8]) {
        match self {
            Self::Aead(key) => {
                let mut nonce = [0u8; 12];
                nonce[4..].copy_from_slice(&n.to_be_bytes());
                let at = buf.len() - 16;
                let (data, tag) = buf.split_at_mut(at);
                key.seal(&nonce, aad, data, tag).unwrap();
            }
            Self::Split(cipher, integ) => {
                let at = buf.len() - 16;
                let (data, icv) = buf.split_at_mut(at);
                cipher.encrypt(&[7; 16], data).unwrap();
                integ.sign(&[aad, data, &[0; 4]], icv).unwrap();
            }
        }
    }

    fn open(&self, n: u64, aad: &[u8; 12], buf: &mut [u8]) {
        match self {
            Self::Aead(key) => {
                let mut nonce = [0u8; 12];
                nonce[4..].copy_from_slice(&n.to_be_bytes());
                let at = buf.len() - 16;
                let (data, tag) = buf.split_at_mut(at);
                key.open(&nonce, aad, data, tag).unwrap();
            }
            Self::Split(cipher, integ) => {
                let at = buf.len() - 16;
                let (data, icv) = buf.split_at_mut(at);
                integ.verify(&[aad, data, &[0; 4]], icv).unwrap();
                cipher.decrypt(&[7; 16], data).unwrap();
            }
        }
    }
}

fn one(c: &Case, rounds: usize, md: &mut String) -> Table {
    let (a, b) = planes(&c.provider, 1, |n| suite(c.encr, c.bits, c.integ, n));
    let (mut out, mut inn) = (Worker::new(Arc::clone(&a)), Worker::new(Arc::clone(&b)));
    let (c16, d16) = planes_padding(&c.provider, 1, 16, |n| suite(c.encr, c.bits, c.integ, n));
    let (mut out16, mut inn16) = (Worker::new(c16), Worker::new(d16));
    let bare = Bare::new(c);
    // Made outside the clock: it parses text.
    let back = back();
    let block = c.provider.cipher(c.encr, c.bits).map_or(1, |x| x.block_len());
    let mut results: BTreeMap<(usize, &str), [f64; SIZES.len()]> = BTreeMap::new();
    let names: Vec<&str> = ["seal: bare cipher", "seal: bare, with trailer", "seal: plane, in place", "seal: plane, burst", "seal: plane, into a sink", "seal: plane, padded to 16", "open: bare cipher", "open: bare, with trailer", "open: plane", "open: plane, burst", "open: plane, padded to 16"].into();
    let peer_names = ["seal: ryke 0.3", "seal: boringtun 0.7", "open: ryke 0.3", "open: boringtun 0.7"];
    for (size_index, &len) in SIZES.iter().enumerate() {
        let mut samples: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        let mut batch = Batch::new(len, |_| 0);
        let mut sealed: Vec<(usize, usize)> = vec![(0, 0); BATCH];
        let data = (len).next_multiple_of(block);
        let span = FRONT..FRONT + data + 16;
        // What ESP has to encrypt: padding, Pad Length and Next Header are with it.
        let whole = FRONT..FRONT + (len + 2).next_multiple_of(block.max(4)) + 16;
        let aad = [1u8; 12];
        let mut sink = One(vec![0; len + 256]);
        let mut peers = (c.peers && cfg!(feature = "peers")).then(|| peers::Peers::new(len));
        for round in 0..rounds + 5 {
            let mut add = |i: usize, ns: f64| {
                if round >= 5 {
                    samples.entry(i).or_default().push(ns);
                }
            };
            batch.refill();
            add(0, clock(|| for (n, buf) in batch.bufs.iter_mut().enumerate() { bare.seal(n as u64, &aad, &mut buf[span.clone()]) }));
            add(6, clock(|| for (n, buf) in batch.bufs.iter_mut().enumerate() { bare.open(n as u64, &aad, &mut buf[span.clone()]) }));
            batch.refill();
            add(1, clock(|| for (n, buf) in batch.bufs.iter_mut().enumerate() { bare.seal(n as u64, &aad, &mut buf[whole.clone()]) }));
            add(7, clock(|| for (n, buf) in batch.bufs.iter_mut().enumerate() { bare.open(n as u64, &aad, &mut buf[whole.clone()]) }));

            batch.refill();
            add(2, clock(|| {
                for (buf, s) in batch.bufs.iter_mut().zip(&mut sealed) {
                    let (r, _) = out.seal_in_place(NOW, POLICY, buf, FRONT..FRONT + len).unwrap();
                    *s = (r.start, r.end);
                }
            }));
            add(8, clock(|| {
                for (buf, s) in batch.bufs.iter_mut().zip(&sealed) {
                    match inn.ingress(NOW, back, OuterInfo::default(), &mut buf[s.0..s.1], OUTER) {
                        Ingress::Deliver { range, .. } => { black_box(range); }
                        Ingress::Drop(r) => panic!("{r}"),
                    }
                }
            }));

            batch.refill();
            let mut jobs: Vec<_> = batch.bufs.iter_mut().map(|b| SealJob::new(POLICY, b, FRONT..FRONT + len)).collect();
            add(3, clock(|| for burst in jobs.chunks_mut(32) { out.seal_burst(NOW, burst) }));
            for (j, s) in jobs.iter().zip(&mut sealed) {
                let (r, _) = j.result.clone().unwrap();
                *s = (r.start, r.end);
            }
            drop(jobs);
            let mut jobs: Vec<_> = batch.bufs.iter_mut().zip(&sealed).map(|(b, s)| OpenJob::new(back, OuterInfo::default(), &mut b[s.0..s.1], OUTER)).collect();
            add(9, clock(|| for burst in jobs.chunks_mut(32) { inn.open_burst(NOW, burst) }));
            assert!(jobs.iter().all(|j| matches!(j.result, Ingress::Deliver { .. })));

            batch.refill();
            add(5, clock(|| {
                for (buf, s) in batch.bufs.iter_mut().zip(&mut sealed) {
                    let (r, _) = out16.seal_in_place(NOW, POLICY, buf, FRONT..FRONT + len).unwrap();
                    *s = (r.start, r.end);
                }
            }));
            add(10, clock(|| {
                for (buf, s) in batch.bufs.iter_mut().zip(&sealed) {
                    match inn16.ingress(NOW, back, OuterInfo::default(), &mut buf[s.0..s.1], OUTER) {
                        Ingress::Deliver { range, .. } => { black_box(range); }
                        Ingress::Drop(r) => panic!("{r}"),
                    }
                }
            }));

            add(4, clock(|| for p in &batch.plain { black_box(out.egress(NOW, POLICY, p, &mut sink)); }));
            if let Some(p) = &mut peers {
                for (i, ns) in p.round(&batch.plain).into_iter().enumerate() {
                    add(names.len() + i, ns);
                }
            }
        }
        for (i, s) in &mut samples {
            let name = names.get(*i).copied().unwrap_or_else(|| peer_names[*i - names.len()]);
            results.entry((*i, name)).or_insert([0.0; SIZES.len()])[size_index] = quartile(s);
        }
    }
    let rows: Vec<(String, [f64; SIZES.len()])> = results.into_iter().map(|((_, n), v)| (n.to_owned(), v)).collect();
    write_table(c.title, &rows, md);
    Table { title: c.title.to_owned(), rows }
}

fn write_table(title: &str, rows: &[(String, [f64; SIZES.len()])], md: &mut String) {
    let _ = writeln!(md, "### {title}\n\nNanoseconds per packet, in brackets the bare cipher's time as a share of it.\n");
    let _ = writeln!(md, "| octets | {} |", SIZES.map(|s| s.to_string()).join(" | "));
    let _ = writeln!(md, "|---|{}", "---:|".repeat(SIZES.len()));
    for (name, values) in rows {
        let kind = &name[..4];
        let bare = rows.iter().find(|(n, _)| n.starts_with(kind) && n.ends_with("bare cipher")).map(|(_, v)| *v);
        let cells: Vec<String> = values
            .iter()
            .zip(bare.unwrap_or(*values))
            .map(|(v, b)| if name.ends_with("bare cipher") { format!("{v:.0}") } else { format!("{v:.0} ({:.0} %)", b / v * 100.0) })
            .collect();
        let _ = writeln!(md, "| {name} | {} |", cells.join(" | "));
    }
    md.push('\n');
}
