//! Between the daemon and [`ravelin::Node`]: the only file that calls the node. Every entry brings something in, then
//! [`Driver::flush`] carries out what the node wants done, in its order.

use crate::Run;
use crate::control::Command;
use crate::keylog::KeyLog;
use crate::report;
use crate::sockets::{Carries, Sockets, local_address};
use crate::tun::Tun;
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use ravelin::crypto::{CryptoRng, Provider};
use ravelin::db::spd::StartAction;
use ravelin::db::{Encapsulation, Instant, Now, PeerId, PolicyId};
use ravelin::{Egress, IkeSaId, Ingress, Node, OuterInfo, Output, PacketSink, TransmitMeta};
use ravelin_config::Config;
use std::io;
use std::sync::Arc;

/// The node and what it drives.
pub(crate) struct Driver {
    node: Node,
    sockets: Sockets,
    tun: Tun,
    keylog: Option<KeyLog>,
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
        give_local_addresses(&mut config)?;
        let rng: Box<dyn CryptoRng + Send> = match run.seed {
            Some(seed) => {
                tracing::warn!("predictable keys: --seed is for tests only");
                Box::new(ChaCha20Rng::seed_from_u64(seed))
            }
            None => Box::new(UnwrapErr(SysRng)),
        };
        let mut node_config = config.node();
        node_config.ike.export_keys = keylog.is_some();
        let node = Node::new(node_config, Arc::new(provider), config.db, rng);
        Ok(Self { node, sockets, tun, keylog, sealed: Vec::new() })
    }

    /// Brings up the children that want to be up at once.
    pub(crate) fn start(&mut self, now: Now) {
        let wanted: Vec<_> = self.policies(|_, start| start == StartAction::Start);
        for (peer, policy, name) in wanted {
            if let Err(e) = self.node.initiate(now, peer, Some(policy)) {
                tracing::error!(child = name, "cannot start: {e}");
            }
        }
        self.flush();
    }

    /// Policies whose name and start action are wanted.
    fn policies(&self, wanted: impl Fn(&str, StartAction) -> bool) -> Vec<(PeerId, PolicyId, String)> {
        let of = |p: &ravelin::db::Policy| {
            let protect = p.protect().filter(|x| wanted(&p.name, x.start))?;
            Some((protect.peer, p.id, p.name.clone()))
        };
        self.node.db().spd.iter().filter_map(|p| of(p)).collect()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.node.deadline().map(|d| d.at)
    }

    pub(crate) fn timeout(&mut self, now: Now) {
        self.node.handle_timeout(now);
        self.flush();
    }

    /// Deletes all SAs; [`Driver::is_closed`] when the peers have answered.
    pub(crate) fn shut_down(&mut self, now: Now) {
        self.node.shutdown(now);
        self.flush();
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
        self.flush();
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
        self.flush();
        Ok(true)
    }

    /// Carries out what the node wants. The inline plane has taken its changes already.
    fn flush(&mut self) {
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Transmit(t) => {
                    if let Err(e) = self.sockets.send(t.path, &t.bytes) {
                        tracing::warn!(path = %t.path, "send: {e}");
                    }
                }
                Output::Esp(p) => send_esp(&self.sockets, &p.meta, &p.bytes),
                Output::Event(event) => {
                    if let Some(keylog) = &mut self.keylog
                        && let Err(e) = keylog.event(&event)
                    {
                        tracing::error!("key log: {e}");
                    }
                    report::event(&event, self.node.db());
                }
                _ => {}
            }
        }
    }

    /// A line from the control socket.
    pub(crate) fn command(&mut self, now: Now, line: &str) -> String {
        let done = match Command::parse(line) {
            Err(e) => Err(e),
            Ok(Command::Show) => Ok(report::show(&self.node, now)),
            Ok(Command::Initiate(name)) => self.initiate(now, &name),
            Ok(Command::Terminate(name)) => self.each_sa(now, &name, "deleting", |node, id| node.delete(now, id)),
            Ok(Command::Probe(name)) => self.each_sa(now, &name, "asking", |node, id| node.probe(now, id)),
            Ok(Command::Rekey(name)) => self.rekey(now, &name),
            Ok(Command::Reauth(name)) => {
                self.each_sa(now, &name, "authenticating anew", |node, id| node.reauth(now, id))
            }
        };
        self.flush();
        done.unwrap_or_else(|e| format!("error: {e}\n"))
    }

    fn initiate(&mut self, now: Now, name: &str) -> Result<String, String> {
        let fits = |full: &str| full == name || full.split('/').any(|part| part == name);
        let wanted = self.policies(|full, _| fits(full));
        if wanted.is_empty() {
            return Err(format!("no peer or child \"{name}\" in the configuration"));
        }
        let mut said = String::new();
        for (peer, policy, full) in wanted {
            let id = self.node.initiate(now, peer, Some(policy)).map_err(|e| format!("{full}: {e}"))?;
            said += &format!("bringing up {full} in {id}\n");
        }
        Ok(said)
    }

    /// The IKE SAs of a peer, or the Child SAs of a child.
    fn rekey(&mut self, now: Now, name: &str) -> Result<String, String> {
        let snapshot = self.node.snapshot(now.mono);
        if snapshot.iter().any(|s| s.peer_name == name) {
            return self.each_sa(now, name, "rekeying", |node, id| node.rekey(now, id));
        }
        let fits = |full: &str| full == name || full.split('/').any(|part| part == name);
        let of = |policy| self.node.db().spd.policy(policy).is_some_and(|p| fits(&p.name));
        let children: Vec<_> =
            snapshot.iter().flat_map(|s| &s.children).filter(|c| of(c.policy)).map(|c| c.id).collect();
        if children.is_empty() {
            return Err(format!("no IKE SA with a peer and no Child SA for a child \"{name}\""));
        }
        let mut said = String::new();
        for id in children {
            self.node.rekey_child(now, id).map_err(|e| format!("{id}: {e}"))?;
            said += &format!("rekeying {id}\n");
        }
        Ok(said)
    }

    fn each_sa<E: std::fmt::Display>(
        &mut self,
        now: Now,
        name: &str,
        doing: &str,
        act: impl Fn(&mut Node, IkeSaId) -> Result<(), E>,
    ) -> Result<String, String> {
        let ids: Vec<_> =
            self.node.snapshot(now.mono).into_iter().filter(|s| s.peer_name == name).map(|s| s.id).collect();
        if ids.is_empty() {
            return Err(format!("no IKE SA with a peer \"{name}\""));
        }
        let mut said = String::new();
        for id in ids {
            act(&mut self.node, id).map_err(|e| format!("{id}: {e}"))?;
            said += &format!("{doing} {id}\n");
        }
        Ok(said)
    }
}

/// An IKE SA needs both addresses from the start: where none is configured, the routing table says ours.
fn give_local_addresses(config: &mut Config) -> io::Result<()> {
    let open: Vec<_> = config.db.pad.iter().filter(|(_, p)| p.local.is_none() && p.remote.is_some()).collect();
    let open: Vec<_> = open.into_iter().map(|(id, p)| (id, (**p).clone())).collect();
    for (id, mut peer) in open {
        let Some(remote) = peer.remote else { continue };
        let told =
            |e: io::Error| io::Error::new(e.kind(), format!("peer {}: no route to {}: {e}", peer.name, remote.ip()));
        peer.local = Some(local_address(remote.ip(), config.gateway.mark).map_err(told)?);
        config.db.pad.replace(id, peer).map_err(io::Error::other)?;
    }
    Ok(())
}
