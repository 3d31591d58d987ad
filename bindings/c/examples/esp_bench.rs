//! The same work as `examples/c/esp_bench.c`, from Rust: what a packet costs without the C boundary. Arguments and output
//! are those of the C program; `examples/c/bench.sh` runs both by turns.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a benchmark may panic")]

use ravelin::crypto::{EncrId, IntegId};
use ravelin::db::{
    Change, CipherSuite, Direction, Encapsulation, Lifetime, Mode, Protocol, SaParams, Spi, TrafficSelector,
};
use ravelin::esp::plane::{OpenJob, SealJob};
use ravelin::esp::{Ingress, OuterInfo, Plane, PlaneConfig, Worker};
use ravelin::{ChildId, Instant, Path, PolicyId, Secret};
use std::ops::Range;
use std::sync::Arc;

const CAP: usize = 2048;
/// Bursts that are timed together.
const LAP: usize = 64;

fn install(plane: &Plane, inbound: bool) {
    let (here, there) = ("192.0.2.1:4500".parse().unwrap(), "192.0.2.2:4500".parse().unwrap());
    let ours: TrafficSelector = "10.1.0.0/16".parse().unwrap();
    let theirs: TrafficSelector = "10.2.0.0/16".parse().unwrap();
    let key: Vec<u8> = (1..=20).collect();
    let sa = Arc::new(SaParams {
        child: ChildId(if inbound { 2 } else { 1 }),
        spi: Spi(0x1000),
        direction: if inbound { Direction::Inbound } else { Direction::Outbound },
        protocol: Protocol::Esp,
        mode: Mode::Tunnel,
        path: if inbound { Path { local: there, remote: here } } else { Path { local: here, remote: there } },
        encapsulation: Encapsulation::Udp,
        suite: CipherSuite {
            encr: EncrId::AES_GCM_16,
            key_bits: Some(128),
            integ: IntegId::NONE,
            encr_key: Secret::new(key),
            integ_key: Secret::default(),
        },
        esn: false,
        replay_window: if inbound { 1024 } else { 0 },
        local_ts: [if inbound { theirs } else { ours }].into(),
        remote_ts: [if inbound { ours } else { theirs }].into(),
        policy: PolicyId(0),
        lifetime: Lifetime::default(),
        tfc_padding: false,
        if_id: 0,
        mark: 0,
        resource: vec![],
    });
    let change = if inbound { Change::InstallInbound(sa) } else { Change::InstallOutbound(sa) };
    plane.apply(Instant(0), &change).unwrap();
}

fn main() {
    let args: Vec<usize> = std::env::args().skip(1).map(|a| a.parse().unwrap()).collect();
    let arg = |n: usize, default| args.get(n).copied().unwrap_or(default);
    let (octets, burst, bursts) = (arg(0, 1400), arg(1, 32), arg(2, 20_000));
    let mut ip = [0u8; 28];
    ip[..24].copy_from_slice(&[0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 0, 1, 10, 2, 0, 1, 0, 9, 0, 9]);
    ip[2..4].copy_from_slice(&u16::try_from(octets).unwrap().to_be_bytes());
    let config = PlaneConfig { seed: Secret::new(vec![5; 32]), ..PlaneConfig::default() };
    let plane = Arc::new(Plane::with_config(Arc::new(ravelin::crypto::awslc::provider()), config));
    install(&plane, false);
    install(&plane, true);
    let (before, _) = plane.room();
    let mut worker = Worker::new(plane);
    let mut buffers = vec![[0u8; CAP]; burst];

    let mut began = std::time::Instant::now();
    let mut laps = Vec::new();
    for n in 0..bursts {
        let now = Instant(n as u64);
        if n % LAP == 0 && n > 0 {
            let t = std::time::Instant::now();
            laps.push((t - began).as_nanos());
            began = t;
        }
        let mut jobs: Vec<SealJob<'_>> = Vec::with_capacity(burst);
        for buf in &mut buffers {
            buf[before..before + ip.len()].copy_from_slice(&ip);
            jobs.push(SealJob::new(ChildId(1), buf, before..before + octets));
        }
        worker.seal_burst(now, &mut jobs);
        let sent: Vec<(Range<usize>, Path)> = jobs
            .into_iter()
            .map(|j| j.result.map(|(r, meta)| (r, meta.path)).unwrap_or_else(|e| panic!("{e:?}")))
            .collect();
        let mut jobs: Vec<OpenJob<'_>> = Vec::with_capacity(burst);
        for (buf, (range, path)) in buffers.iter_mut().zip(sent) {
            let path = Path { local: path.remote, remote: path.local };
            jobs.push(OpenJob::new(path, OuterInfo::default(), &mut buf[range], 0));
        }
        worker.open_burst(now, &mut jobs);
        for job in &jobs {
            assert!(matches!(&job.result, Ingress::Deliver { range, .. } if range.len() == octets));
        }
    }
    laps.sort_unstable();
    println!("{:.1}", laps[laps.len() / 4] as f64 / (LAP * burst) as f64);
}
