//! A worker thread: it sleeps until its queue of the TUN device or one of its sockets has something, and takes rounds from
//! each in turn until there is no more.

use super::incoming::Incoming;
use super::outgoing::{Left, Outgoing};
use super::pathmtu::{self, PathMtu};
use super::pause::Pause;
use super::traffic::Traffic;
use super::wire::{Outlet, Upward};
use crate::clock::Clock;
use crate::sockets::Sockets;
use crate::tun::Tun;
use arrayvec::ArrayVec;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use ravelin::db::spd::{Action, FlowCache, Scope, SpdView};
use ravelin::db::{Direction, PolicyId, shared::Reader};
use ravelin::esp::{IpPacket, Plane};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const TUN: Token = Token(1000);
const WAKE: Token = Token(1001);
/// Rounds with every source between two looks at what else is ready.
const ROUNDS: usize = 16;
/// Flows whose policy is remembered.
const FLOWS: usize = 4096;

/// What all workers share.
pub(crate) struct Common {
    pub(crate) plane: Arc<Plane>,
    pub(crate) sockets: Arc<Sockets>,
    pub(crate) spd: Reader<SpdView>,
    pub(crate) up: Outlet,
    pub(crate) clock: Clock,
    pub(crate) traffic: Traffic,
}

/// The threads; dropping it ends them.
pub(crate) struct Workers {
    stop: Arc<AtomicBool>,
    common: Arc<Common>,
    threads: Vec<(Arc<Waker>, JoinHandle<()>)>,
}

impl Workers {
    /// One for each queue.
    pub(crate) fn start(common: &Arc<Common>, queues: Vec<Arc<Tun>>) -> io::Result<Self> {
        let mut workers = Self { stop: Arc::default(), common: Arc::clone(common), threads: Vec::new() };
        for (number, tun) in queues.into_iter().enumerate() {
            let poll = Poll::new()?;
            let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
            let lane = Lane::new(number, Arc::clone(common), tun, poll)?;
            let stop = Arc::clone(&workers.stop);
            let thread = std::thread::Builder::new().name(format!("esp-{number}"));
            let ring = Ring(Arc::clone(common));
            let run = move || {
                let _ring = ring;
                lane.run(&stop);
            };
            workers.threads.push((waker, thread.spawn(run)?));
        }
        Ok(workers)
    }

    /// What they carried.
    pub(crate) fn traffic(&self) -> &Traffic {
        &self.common.traffic
    }

    /// Lets workers that sleep let go of SAs that are gone.
    pub(crate) fn wake(&self) {
        for (waker, _) in &self.threads {
            if let Err(e) = waker.wake() {
                tracing::error!("waking a worker: {e}");
            }
        }
    }

    /// True when one has ended by itself.
    pub(crate) fn is_broken(&self) -> bool {
        self.threads.iter().any(|(_, t)| t.is_finished())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.wake();
        for (_, thread) in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Tells the daemon of a thread's end, whatever it comes from.
struct Ring(Arc<Common>);

impl Drop for Ring {
    fn drop(&mut self) {
        self.0.up.ring();
    }
}

/// One worker's things.
struct Lane {
    number: usize,
    common: Arc<Common>,
    tun: Arc<Tun>,
    poll: Poll,
    worker: ravelin::esp::Worker,
    flows: FlowCache,
    outgoing: Outgoing,
    incoming: Incoming,
    pause: Pause,
    mtu: PathMtu,
}

impl Lane {
    fn new(number: usize, common: Arc<Common>, tun: Arc<Tun>, poll: Poll) -> io::Result<Self> {
        poll.registry().register(&mut SourceFd(&tun.fd()), TUN, Interest::READABLE)?;
        for (i, socket) in common.sockets.of(Some(number)) {
            poll.registry().register(&mut SourceFd(&socket.fd()), Token(i), Interest::READABLE)?;
        }
        Ok(Self {
            number,
            worker: ravelin::esp::Worker::new(Arc::clone(&common.plane)),
            flows: FlowCache::new(Direction::Outbound, Scope::default(), FLOWS),
            outgoing: Outgoing::new(common.plane.room()),
            incoming: Incoming::new(),
            pause: Pause::default(),
            mtu: PathMtu::default(),
            common,
            tun,
            poll,
        })
    }

    fn run(mut self, stop: &AtomicBool) {
        let mut events = Events::with_capacity(32);
        let mut ready: ArrayVec<Token, 16> = ArrayVec::new(); // edge-triggered: what may have more
        while !stop.load(Ordering::Acquire) {
            let wait = if ready.is_empty() {
                self.worker.quiesce();
                self.report();
                None
            } else {
                Some(Duration::ZERO)
            };
            match self.poll.poll(&mut events, wait) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return tracing::error!(worker = self.number, "poll: {e}"),
                Ok(()) => {}
            }
            for event in events.iter() {
                let token = event.token();
                if let Some(socket) = self.common.sockets.at(token.0).filter(|_| event.is_error()) {
                    pathmtu::hear(socket, &self.common.plane);
                }
                if token != WAKE && !ready.contains(&token) {
                    let _ = ready.try_push(token);
                }
            }
            for _ in 0..ROUNDS {
                ready.retain(|token| self.round(*token));
                if ready.is_empty() {
                    break;
                }
            }
            self.report();
        }
    }

    /// A round with one source; false when it has no more.
    fn round(&mut self, from: Token) -> bool {
        let more = match from {
            TUN => self.outbound(),
            Token(i) => self.inbound(i),
        };
        more.unwrap_or_else(|e| {
            // ICMP errors of packets sent before come this way; the protocol's own timers deal with loss
            tracing::debug!("receive: {e}");
            true
        })
    }

    fn outbound(&mut self) -> io::Result<bool> {
        let Self { common, tun, worker, flows, outgoing, pause, mtu, .. } = self;
        let now = common.clock.now().mono;
        let more = {
            let spd = common.spd.load();
            outgoing.read(tun, |packet| judge(&spd, flows, packet))
        };
        if !outgoing.is_empty() {
            outgoing.seal(now, worker, |left| match left {
                Left::NoSa(packet) => common.up.give(Upward::Packet(packet.to_vec())),
                Left::TooBig(packet, mtu) => tun.tell_too_big(packet, mtu),
            });
            let (packets, calls) = outgoing.send(&common.sockets, self.number, |meta, refused| {
                mtu.sent(now, &common.plane, &common.sockets, meta.child, meta.path, refused);
            });
            common.traffic.sent.add(packets, calls);
            if outgoing.is_full_of_singles() {
                pause.after_full_round(now);
            }
        }
        more
    }

    fn inbound(&mut self, index: usize) -> io::Result<bool> {
        let Self { common, tun, worker, incoming, .. } = self;
        let Some(socket) = common.sockets.at(index) else { return Ok(false) };
        let more = incoming.receive(common.clock.now().mono, socket, worker, &common.up)?;
        let (packets, calls) = incoming.deliver(tun);
        if calls > 0 {
            common.traffic.delivered.add(packets, calls);
        }
        Ok(more)
    }

    /// Wakes the daemon when the plane has something for IKE.
    fn report(&self) {
        if self.common.plane.has_reports() {
            self.common.up.ring();
        }
    }
}

/// The policy under which a packet is to be protected; `None`: it does not go out.
fn judge(spd: &SpdView, flows: &mut FlowCache, packet: &[u8]) -> Option<PolicyId> {
    let key = IpPacket::parse(packet).ok()?.key(Direction::Outbound);
    let policy = spd.lookup_cached(flows, &key)?;
    match policy.action {
        Action::Protect(_) => Some(policy.id),
        _ => {
            tracing::trace!(policy = policy.name, "packet from the TUN device is not to be protected");
            None
        }
    }
}
