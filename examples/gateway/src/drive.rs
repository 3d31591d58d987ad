//! Between the daemon and [`ravelin::Node`]: packets and time go in here, and [`Driver::flush`] carries out what the node
//! wants done, in its order. What an operator asks for is in `operate.rs` and `reload.rs`.

use crate::Run;
use crate::history::History;
use crate::host::Host;
use crate::keylog::KeyLog;
use crate::radius::Radius;
use crate::report;
use crate::sockets::{Carries, Sockets};
use crate::tun::Tun;
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use ravelin::crypto::{CryptoRng, Provider};
use ravelin::db::{ChildId, Encapsulation, Instant, Now};
use ravelin::{Egress, Event, Ingress, Node, OuterInfo, Output, PacketSink, TransmitMeta};
use ravelin_config::{Config, Gateway};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::sync::Arc;

/// The node and what it drives. Fields are dropped in this order: the routes go before the device that they lead to.
pub(crate) struct Driver {
    pub(crate) node: Node,
    pub(crate) host: Host,
    pub(crate) history: History,
    pub(crate) config_path: PathBuf,
    pub(crate) gateway: Gateway,
    pub(crate) provider: Arc<Provider>,
    /// Child SAs that a reload deletes; when they are gone, their policies may start again.
    pub(crate) waiting_for: BTreeSet<ChildId>,
    sockets: Sockets,
    tun: Tun,
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
    let path = match meta.encapsulation {
        Encapsulation::None => meta.path.with_ports(0, 0),
        _ => meta.path,
    };
    if let Err(e) = sockets.send(path, packet) {
        tracing::debug!(child = %meta.child, "send: {e}");
    }
}

impl Driver {
    pub(crate) fn new(
        mut config: Config,
        run: &Run,
        provider: Provider,
        sockets: Sockets,
        tun: Tun,
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
        let node = Node::new(node_config, Arc::clone(&provider), config.db, rng());
        Ok(Self {
            node,
            host,
            history: History::default(),
            config_path: run.config.clone(),
            gateway: config.gateway,
            provider,
            waiting_for: BTreeSet::new(),
            sockets,
            tun,
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
        self.node.deadline().map(|d| d.at).into_iter().chain(self.host.deadline()).chain(radius).min()
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

    /// One packet from the TUN device; false when none waits.
    pub(crate) fn receive_tun(&mut self, now: Now, buf: &mut [u8]) -> io::Result<bool> {
        let Some(packet) = self.tun.receive(buf)?.and_then(|len| buf.get(..len)) else { return Ok(false) };
        let mut wire = Wire { sockets: &self.sockets, buf: &mut self.sealed };
        match self.node.handle_packet(now, packet, &mut wire) {
            Egress::Sent => {}
            Egress::TooBig { mtu } => self.tun.tell_too_big(packet, mtu),
            other => tracing::trace!(?other, "packet from the TUN device"),
        }
        self.flush(now);
        Ok(true)
    }

    /// One packet from a socket; false when none waits.
    pub(crate) fn receive_socket(&mut self, now: Now, index: usize, buf: &mut [u8]) -> io::Result<bool> {
        let Some(socket) = self.sockets.at(index) else { return Ok(false) };
        let Some((range, path)) = socket.receive(buf)? else { return Ok(false) };
        let Some(payload) = buf.get_mut(range) else { return Ok(true) };
        let became = match socket.carries {
            Carries::Udp => self.node.handle_datagram(now, path, payload),
            Carries::Esp => self.node.handle_esp(now, path, OuterInfo::default(), payload),
        };
        match became {
            Ingress::Consumed => {}
            Ingress::Deliver { packet, .. } => {
                if let Err(e) = self.tun.send(packet) {
                    tracing::debug!("TUN device: {e}");
                }
            }
            Ingress::Dropped(reason) => tracing::debug!(%path, %reason, "dropped"),
        }
        self.flush(now);
        Ok(true)
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
        self.history.event(event);
        self.host.event(event, self.node.db());
        if let Event::ChildClosed { child, .. } = event
            && self.waiting_for.remove(child)
        {
            self.node.start(now);
        }
    }
}
