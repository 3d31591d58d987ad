//! Between the daemon and [`ravelin::Node`]: packets and time go in here, and [`Driver::flush`] carries out what the node
//! wants done, in its order. What an operator asks for is in `operate.rs` and `reload.rs`.

use crate::Run;
use crate::fast::outgoing::wire_path;
use crate::fast::wire::{Inlet, Upward};
use crate::fast::worker::Workers;
use crate::history::History;
use crate::host::Host;
use crate::keylog::KeyLog;
use crate::radius::Radius;
use crate::report;
use crate::sockets::{Carries, Sockets};
use crate::tun::Tun;
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use quinn_udp::RecvMeta;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use ravelin::crypto::{CryptoRng, Provider};
use ravelin::db::shared::{Published, Reader};
use ravelin::db::spd::{SpdPublisher, SpdView};
use ravelin::db::{ChildId, Instant, Now, Path};
use ravelin::{Egress, Event, Ingress, Node, Output, PacketSink, TransmitMeta};
use ravelin_config::{Config, Gateway};
use std::collections::BTreeSet;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A reader may hold the SPD's older version for as long as a burst of packets takes.
const PUBLISH_AGAIN: Duration = Duration::from_millis(1);

/// The node and what it drives. Fields are dropped in this order: the routes go before the device that they lead to.
pub(crate) struct Driver {
    pub(crate) workers: Option<Workers>,
    pub(crate) node: Node,
    pub(crate) host: Host,
    pub(crate) history: History,
    pub(crate) config_path: PathBuf,
    pub(crate) gateway: Gateway,
    pub(crate) provider: Arc<Provider>,
    /// Child SAs that a reload deletes; when they are gone, their policies may start again.
    pub(crate) waiting_for: BTreeSet<ChildId>,
    sockets: Arc<Sockets>,
    /// Queues of the TUN device; the workers read them.
    tun: Vec<Arc<Tun>>,
    from_workers: Inlet,
    publisher: SpdPublisher,
    publish_at: Option<Instant>,
    /// SAs are gone, which sleeping workers may still hold.
    retired: bool,
    keylog: Option<KeyLog>,
    radius: Option<Radius>,
    sealed: Vec<u8>,
}

/// Where the node seals packets: they leave as soon as they are whole.
struct Wire<'a> {
    sockets: &'a Sockets,
    buf: &'a mut Vec<u8>,
}

impl PacketSink for Wire<'_> {
    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        if self.buf.len() < len {
            self.buf.resize(len, 0);
        }
        self.buf.get_mut(..len)
    }

    fn commit(&mut self, meta: TransmitMeta) {
        if let Some(packet) = self.buf.get(..meta.len) {
            send_esp(self.sockets, &meta, packet);
        }
    }
}

/// Sends a sealed packet: by UDP, or bare, which the sockets know by port 0.
fn send_esp(sockets: &Sockets, meta: &TransmitMeta, packet: &[u8]) {
    let class = meta.outer.traffic_class;
    if let Err(e) = sockets.send_many(None, wire_path(meta), class, &[IoSlice::new(packet)]) {
        tracing::debug!(child = %meta.child, "send: {e}");
    }
}

impl Driver {
    pub(crate) fn new(
        mut config: Config,
        run: &Run,
        provider: Provider,
        sockets: Arc<Sockets>,
        tun: Vec<Arc<Tun>>,
        from_workers: Inlet,
    ) -> io::Result<Self> {
        let keylog = run.keylog.as_deref().map(KeyLog::open).transpose()?;
        let host = Host::new(&mut config)?;
        if run.seed.is_some() {
            tracing::warn!("predictable keys: --seed is for tests only");
        }
        let rng = || -> Box<dyn CryptoRng + Send> {
            match run.seed {
                Some(seed) => Box::new(ChaCha20Rng::seed_from_u64(seed)),
                None => Box::new(UnwrapErr(SysRng)),
            }
        };
        let radius = Radius::open(&config.radius, rng())?;
        let provider = Arc::new(provider);
        let mut node_config = config.node();
        node_config.ike.export_keys = keylog.is_some();
        let publisher = config.db.spd.publisher();
        let node = Node::new(node_config, Arc::clone(&provider), config.db, rng());
        Ok(Self {
            workers: None,
            node,
            host,
            history: History::default(),
            config_path: run.config.clone(),
            gateway: config.gateway,
            provider,
            waiting_for: BTreeSet::new(),
            sockets,
            tun,
            from_workers,
            publisher,
            publish_at: None,
            retired: false,
            keylog,
            radius,
            sealed: Vec::new(),
        })
    }

    /// Brings up the children that want to be up at once.
    pub(crate) fn start(&mut self, now: Now) {
        let addresses = self.host.ordered(self.node.db());
        self.node.set_addresses(now, addresses);
        self.node.start(now);
        self.flush(now);
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let radius = self.radius.as_ref().and_then(Radius::deadline);
        let own = self.node.deadline().map(|d| d.at);
        own.into_iter().chain(self.host.deadline()).chain(radius).chain(self.publish_at).min()
    }

    /// The descriptor of the RADIUS client's socket.
    pub(crate) fn radius_fd(&self) -> Option<RawFd> {
        self.radius.as_ref().map(Radius::fd)
    }

    /// One datagram of a RADIUS server; false when none waits.
    pub(crate) fn receive_radius(&mut self, now: Now, buf: &mut [u8]) -> io::Result<bool> {
        let Some(radius) = &mut self.radius else { return Ok(false) };
        let more = radius.receive(buf)?;
        radius.flush(&mut self.node, now);
        self.flush(now);
        Ok(more)
    }

    pub(crate) fn timeout(&mut self, now: Now) {
        self.node.handle_timeout(now);
        if let Some(radius) = &mut self.radius {
            radius.timeout(&self.node, now);
            radius.flush(&mut self.node, now);
        }
        if self.host.look(now.mono, self.node.db_mut()) {
            let addresses = self.host.ordered(self.node.db());
            tracing::info!(?addresses, "this host's addresses");
            self.node.set_addresses(now, addresses);
            self.node.start(now);
        }
        self.flush(now);
    }

    /// The kernel has news of addresses or routes.
    pub(crate) fn news_of_addresses(&mut self, now: Now) {
        self.host.news(now.mono);
    }

    /// Deletes all SAs; [`Driver::is_closed`] when the peers have answered.
    pub(crate) fn shut_down(&mut self, now: Now) {
        self.node.shutdown(now);
        self.flush(now);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.node.is_idle()
    }

    /// What workers see of the SPD.
    pub(crate) fn spd_reader(&self) -> Reader<SpdView> {
        self.publisher.reader()
    }

    /// One thing that a worker handed up; false when none waits.
    pub(crate) fn receive_workers(&mut self, now: Now) -> io::Result<bool> {
        self.from_workers.bell.heard();
        let more = match self.from_workers.take() {
            Some(Upward::Packet(packet)) => {
                self.packet(now, &packet);
                true
            }
            Some(Upward::Datagram { path, mut bytes }) => {
                self.datagram(now, path, &mut bytes);
                true
            }
            None => {
                // reports of the plane, if there are any
                self.node.handle_timeout(now);
                let lost = self.from_workers.lost();
                if lost != 0 {
                    tracing::debug!(lost, "the daemon was too slow for its workers");
                }
                false
            }
        };
        self.flush(now);
        Ok(more)
    }

    /// A packet that no SA was there for; there may be one by now.
    fn packet(&mut self, now: Now, packet: &[u8]) {
        let mut wire = Wire { sockets: &self.sockets, buf: &mut self.sealed };
        match self.node.handle_packet(now, packet, &mut wire) {
            Egress::Sent => {}
            Egress::TooBig { mtu } => {
                if let Some(tun) = self.tun.first() {
                    tun.tell_too_big(packet, mtu);
                }
            }
            other => tracing::trace!(?other, "packet from the TUN device"),
        }
    }

    fn datagram(&mut self, now: Now, path: Path, bytes: &mut [u8]) {
        match self.node.handle_datagram(now, path, bytes) {
            Ingress::Consumed => {}
            Ingress::Deliver { packet, .. } => {
                if let Some(tun) = self.tun.first() {
                    tun.send(packet);
                }
            }
            Ingress::Dropped(reason) => tracing::debug!(%path, %reason, "dropped"),
        }
    }

    /// What one call gets from a socket of IKE; false when nothing waits.
    pub(crate) fn receive_socket(&mut self, now: Now, index: usize, buf: &mut [u8]) -> io::Result<bool> {
        let sockets = Arc::clone(&self.sockets);
        let Some(socket) = sockets.at(index).filter(|s| s.carries == Carries::Ike) else { return Ok(false) };
        let mut about = [RecvMeta::default()];
        match socket.receive(&mut [IoSliceMut::new(buf)], &mut about) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            other => other?,
        };
        let [about] = about;
        let (Some(path), Some(bytes)) = (socket.path(&about), buf.get_mut(..about.len)) else { return Ok(true) };
        for message in bytes.chunks_mut(about.stride.max(1)) {
            self.datagram(now, path, message);
        }
        self.flush(now);
        Ok(true)
    }

    /// Lets workers see policies as they are now.
    fn publish(&mut self, now: Now) {
        self.publish_at = match self.publisher.publish(&mut self.node.db_mut().spd) {
            Published::Now => None,
            Published::Later => Some(now.mono + PUBLISH_AGAIN),
        };
    }

    /// Carries out what the node wants. The inline plane has taken its changes already.
    pub(crate) fn flush(&mut self, now: Now) {
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Transmit(t) => {
                    if let Err(e) = self.sockets.send(t.path, &t.bytes) {
                        tracing::warn!(path = %t.path, "send: {e}");
                    }
                }
                Output::Esp(p) => send_esp(&self.sockets, &p.meta, &p.bytes),
                Output::Event(event) => self.event(now, &event),
                Output::Ask(ticket, ask) => {
                    if let Some(radius) = &mut self.radius
                        && radius.ask(&mut self.node, now, ticket, &ask)
                    {
                        radius.flush(&mut self.node, now);
                    }
                }
                _ => {}
            }
        }
        self.host.settle(&self.node, now.mono);
        self.publish(now);
        if std::mem::take(&mut self.retired)
            && let Some(workers) = &self.workers
        {
            workers.wake();
        }
    }

    fn event(&mut self, now: Now, event: &Event) {
        if let Some(keylog) = &mut self.keylog
            && let Err(e) = keylog.event(event)
        {
            tracing::error!("key log: {e}");
        }
        report::event(event, self.node.db());
        if let Some(radius) = &mut self.radius {
            radius.event(&self.node, now, event);
            radius.flush(&mut self.node, now);
        }
        self.retired |= matches!(event, Event::ChildClosed { .. } | Event::ChildRekeyed { .. } | Event::Closed { .. });
        self.history.event(event);
        self.host.event(event, self.node.db());
        if let Event::ChildClosed { child, .. } = event
            && self.waiting_for.remove(child)
        {
            self.node.start(now);
        }
    }
}
