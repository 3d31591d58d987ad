//! The protocol part alone: a cipher that does nothing, so that what remains is lookup, numbers, window, headers,
//! padding and selectors.

use crate::setup::{Batch, BATCH, FRONT, NOW, OUTER, POLICY, clock, path, planes, quartile, suite};
use ravelin_crypto::aead::{Aead, AeadKey};
use ravelin_crypto::{CryptoError, EncrId, IntegId, Provider};
use ravelin_esp::plane::{OpenJob, SealJob};
use ravelin_esp::{Ingress, OuterInfo, Worker};
use ravelin_sa_db::Path;
use std::fmt::Write as _;
use std::sync::Arc;

struct Nothing;
impl Aead for Nothing {
    fn id(&self) -> EncrId {
        EncrId::AES_GCM_16
    }
    fn key_len(&self) -> usize {
        16
    }
    fn salt_len(&self) -> usize {
        4
    }
    fn tag_len(&self) -> usize {
        16
    }
    fn key(&self, _: &[u8]) -> Result<Box<dyn AeadKey>, CryptoError> {
        Ok(Box::new(Nothing))
    }
}
impl AeadKey for Nothing {
    fn seal(&self, _: &[u8], _: &[u8], _: &mut [u8], _: &mut [u8]) -> Result<(), CryptoError> {
        Ok(())
    }
    fn open(&self, _: &[u8], _: &[u8], _: &mut [u8], _: &[u8]) -> Result<(), CryptoError> {
        Ok(())
    }
}

pub fn run(rounds: usize, md: &mut String) {
    let provider = Provider { name: "nothing", aeads: vec![&Nothing], ..Provider::default() }.or("nothing", &ravelin_crypto::rustcrypto::provider());
    let (a, b) = planes(&Arc::new(provider), 1, |n| suite(EncrId::AES_GCM_16, Some(128), IntegId::NONE, n));
    let (mut out, mut inn) = (Worker::new(Arc::clone(&a)), Worker::new(Arc::clone(&b)));
    let mut batch = Batch::new(64, |_| 0);
    let p = path();
    let back = Path { local: p.remote, remote: p.local };
    let mut sealed = vec![(0, 0); BATCH];
    let (mut seal, mut open) = (Vec::new(), Vec::new());
    let (mut seal_burst, mut open_burst) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        batch.refill();
        seal.push(clock(|| {
            for (buf, s) in batch.bufs.iter_mut().zip(&mut sealed) {
                let (r, _) = out.seal_in_place(NOW, POLICY, buf, FRONT..FRONT + 64).unwrap();
                *s = (r.start, r.end);
            }
        }));
        open.push(clock(|| {
            for (buf, s) in batch.bufs.iter_mut().zip(&sealed) {
                let r = inn.ingress(NOW, back, OuterInfo::default(), &mut buf[s.0..s.1], OUTER);
                assert!(matches!(r, Ingress::Deliver { .. }));
            }
        }));

        batch.refill();
        let mut jobs: Vec<_> = batch.bufs.iter_mut().map(|b| SealJob::new(POLICY, b, FRONT..FRONT + 64)).collect();
        seal_burst.push(clock(|| for burst in jobs.chunks_mut(32) { out.seal_burst(NOW, burst) }));
        for (j, s) in jobs.iter().zip(&mut sealed) {
            let (r, _) = j.result.as_ref().unwrap();
            *s = (r.start, r.end);
        }
        drop(jobs);
        let mut jobs: Vec<_> = batch.bufs.iter_mut().zip(&sealed).map(|(b, s)| OpenJob::new(back, OuterInfo::default(), &mut b[s.0..s.1], OUTER)).collect();
        open_burst.push(clock(|| for burst in jobs.chunks_mut(32) { inn.open_burst(NOW, burst) }));
        assert!(jobs.iter().all(|j| matches!(j.result, Ingress::Deliver { .. })));
    }
    let _ = writeln!(md, "Protocol part alone (a cipher that does nothing): seal {:.0} ns, open {:.0} ns per packet; in bursts of 32 seal {:.0} ns, open {:.0} ns.\n", quartile(&mut seal), quartile(&mut open), quartile(&mut seal_burst), quartile(&mut open_burst));
}
