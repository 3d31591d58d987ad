//! The event loop of IKE: waits for its sockets, what workers hand up (`fast/`), control socket, signals and the node's
//! deadline, and hands what comes to the driver. Each source gives a bounded number of packets per turn, so that none starves the others.

use crate::Run;
use crate::addresses::Watch;
use crate::clock::Clock;
use crate::control::Control;
use crate::drive::Driver;
use crate::fast::traffic::Traffic;
use crate::fast::wire::channel;
use crate::fast::worker::{Common, Workers};
use crate::sockets::Sockets;
use crate::tun::Tun;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use nix::libc::{SIGHUP, SIGINT, SIGTERM};
use ravelin::crypto::Provider;
use ravelin_config::Config;
use signal_hook_mio::v1_0::Signals;
use std::io;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

/// Packets of one source per turn.
const BURST: usize = 64;
/// How long peers may take to answer our Deletes at the end.
const GOODBYE: Duration = Duration::from_secs(2);

/// The workers have something.
const WORKERS: Token = Token(1000);
const SIGNALS: Token = Token(1001);
const ADDRESSES: Token = Token(1002);
const RADIUS: Token = Token(1003);
/// And, after it, the control clients.
const CONTROL: Token = Token(1004);

/// Runs until a signal says otherwise.
pub(crate) fn run(config: Config, run: &Run, provider: Provider) -> io::Result<()> {
    let clock = Clock::start();
    let mut poll = Poll::new()?;
    let registry = poll.registry().try_clone()?;
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    registry.register(&mut signals, SIGNALS, Interest::READABLE)?;
    let control_path = config.gateway.control.clone();
    let cores = || available_parallelism().map_or(1, |n| n.get().min(64));
    let queues = Tun::open(&config.gateway, config.gateway.workers.map_or_else(cores, usize::from))?;
    let sockets = Arc::new(Sockets::open(&config.gateway, queues.len())?);
    for (i, socket) in sockets.of(None) {
        registry.register(&mut SourceFd(&socket.fd()), Token(i), Interest::READABLE)?;
    }
    let (up, from_workers) = channel(Waker::new(&registry, WORKERS)?);
    let watch = Watch::open()?;
    registry.register(&mut SourceFd(&watch.fd()), ADDRESSES, Interest::READABLE)?;
    let mut control = Control::open(&control_path, &registry, CONTROL)?;
    let mut driver = Driver::new(config, run, provider, Arc::clone(&sockets), queues.clone(), from_workers)?;
    let plane = Arc::clone(driver.node.plane());
    let common = Arc::new(Common { plane, sockets, spd: driver.spd_reader(), up, clock, traffic: Traffic::default() });
    driver.workers = Some(Workers::start(&common, queues)?);
    if let Some(fd) = driver.radius_fd() {
        registry.register(&mut SourceFd(&fd), RADIUS, Interest::READABLE)?;
    }
    driver.start(clock.now());
    tracing::info!(control = %control_path.display(), "running");

    let mut events = Events::with_capacity(256);
    let mut buf = vec![0; 65_536];
    let mut end = None;
    let mut unfinished = Vec::new(); // edge-triggered: sources that had more than a burst
    loop {
        let now = clock.now();
        if let Some(end) = end
            && (driver.is_closed() || now.mono >= end)
        {
            tracing::info!("ended");
            return Ok(());
        }
        let deadline = end.into_iter().chain(driver.deadline()).min();
        let wait = match deadline {
            _ if !unfinished.is_empty() => Some(Duration::ZERO),
            Some(at) => clock.until(at),
            None => None,
        };
        match poll.poll(&mut events, wait) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        }
        let mut ready = std::mem::take(&mut unfinished);
        ready.extend(events.iter().map(|e| e.token()).filter(|t| *t != SIGNALS));
        for signal in signals.pending() {
            if signal == SIGHUP {
                reload(&mut driver, &clock);
                continue;
            }
            tracing::info!(signal, "shutting down");
            driver.shut_down(clock.now());
            end = Some(clock.now().mono + GOODBYE);
        }
        for token in ready {
            match token {
                CONTROL => control.accept(&registry),
                ADDRESSES if watch.drain() => driver.news_of_addresses(clock.now()),
                ADDRESSES => {}
                Token(n) if n > CONTROL.0 => control.ready(token, |line| driver.command(clock.now(), line)),
                _ if drain(&mut driver, &clock, token, &mut buf) => unfinished.push(token),
                _ => {}
            }
        }
        if driver.workers.as_ref().is_some_and(Workers::is_broken) {
            return Err(io::Error::other("a worker thread has ended"));
        }
        if driver.deadline().is_some_and(|at| at <= clock.now().mono) {
            driver.timeout(clock.now());
        }
    }
}

fn reload(driver: &mut Driver, clock: &Clock) {
    match driver.reload(clock.now()) {
        Ok(said) => said.lines().for_each(|l| tracing::info!("reload: {l}")),
        Err(e) => tracing::error!("reload: {e}"),
    }
}

/// Takes up to a burst from one source; true when there may be more.
fn drain(driver: &mut Driver, clock: &Clock, token: Token, buf: &mut [u8]) -> bool {
    for _ in 0..BURST {
        let more = match token {
            WORKERS => driver.receive_workers(clock.now()),
            RADIUS => driver.receive_radius(clock.now(), buf),
            Token(i) => driver.receive_socket(clock.now(), i, buf),
        };
        match more {
            Ok(true) => {}
            Ok(false) => return false,
            // ICMP errors of packets sent before come this way; the protocol's own timers deal with loss
            Err(e) => tracing::debug!("receive: {e}"),
        }
    }
    true
}
