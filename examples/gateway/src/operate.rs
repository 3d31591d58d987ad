//! What an operator asks for over the control socket, carried out on the node.

use crate::control::{Command, What};
use crate::drive::Driver;
use crate::report;
use ravelin::db::{Now, Path, PeerId, PolicyId};
use ravelin::{IkeSaId, Node};
use std::net::{IpAddr, SocketAddr};

impl Driver {
    /// A line from the control socket.
    pub(crate) fn command(&mut self, now: Now, line: &str) -> String {
        let done = match Command::parse(line) {
            Err(e) => Err(e),
            Ok(Command::Show(what)) => Ok(report::show(&self.node, &self.history, now, what) + &self.traffic(what)),
            Ok(Command::Reload) => self.reload(now),
            Ok(Command::Initiate(name)) => self.initiate(now, &name),
            Ok(Command::Terminate(name)) => self.each_sa(now, &name, "deleting", |node, id| node.delete(now, id)),
            Ok(Command::Flush) => Ok(self.flush_sas(now)),
            Ok(Command::Probe(name)) => self.each_sa(now, &name, "asking", |node, id| node.probe(now, id)),
            Ok(Command::Rekey(name)) => self.rekey(now, &name),
            Ok(Command::Reauth(name)) => {
                self.each_sa(now, &name, "authenticating anew", |node, id| node.reauth(now, id))
            }
            Ok(Command::Roam(name, address)) => self.roam(now, &name, address),
        };
        self.flush(now);
        done.unwrap_or_else(|e| format!("error: {e}\n"))
    }

    /// What the workers carried, where counters are wanted.
    fn traffic(&self, what: What) -> String {
        let workers = self.workers.as_ref().filter(|_| matches!(what, What::All | What::Counters));
        workers.map_or_else(String::new, |w| format!("{}\n", w.traffic()))
    }

    /// Policies whose name is wanted: of a peer, of a child, or both with a slash.
    fn policies(&self, name: &str) -> Vec<(PeerId, PolicyId, String)> {
        let of = |p: &ravelin::db::Policy| {
            let protect = p.protect().filter(|_| fits(&p.name, name))?;
            Some((protect.peer, p.id, p.name.clone()))
        };
        self.node.db().spd.iter().filter_map(|p| of(p)).collect()
    }

    fn initiate(&mut self, now: Now, name: &str) -> Result<String, String> {
        let wanted = self.policies(name);
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
        let of = |policy| self.node.db().spd.policy(policy).is_some_and(|p| fits(&p.name, name));
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

    /// Deletes every SA with every peer; policies stay.
    fn flush_sas(&mut self, now: Now) -> String {
        let ids: Vec<_> = self.node.snapshot(now.mono).into_iter().map(|s| s.id).collect();
        // an SA may be gone by the time its turn comes
        let deleted = ids.into_iter().filter(|id| self.node.delete(now, *id).is_ok()).count();
        format!("deleting {deleted} IKE SAs\n")
    }

    /// Moves the IKE SAs of a peer to one of our addresses (RFC 4555).
    fn roam(&mut self, now: Now, name: &str, address: IpAddr) -> Result<String, String> {
        let paths: Vec<_> = self.node.snapshot(now.mono).into_iter().map(|s| (s.id, s.path)).collect();
        let to = |id| {
            let from = paths.iter().find(|(i, _)| *i == id).map(|(_, p)| *p);
            from.map(|p| Path { local: SocketAddr::new(address, 0), ..p })
        };
        self.each_sa(now, name, &format!("moving to {address}:"), |node, id| match to(id) {
            Some(path) => node.roam(now, id, path),
            None => Err(ravelin::ApiError::UnknownSa),
        })
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

fn fits(full: &str, name: &str) -> bool {
    full == name || full.split('/').any(|part| part == name)
}
