//! What operators do, by names of hosts. To add a command: a method here that says itself to the script.

use crate::host::Host;
use crate::sim::Sim;
use ravelin::IkeSaId;
use ravelin::db::{PeerId, PolicyId};

impl Sim {
    /// Brings up an IKE SA from one host to another, with the Child SA of their policy.
    ///
    /// # Panics
    /// When the node refuses the call.
    pub fn initiate(&mut self, from: Host, to: Host) -> IkeSaId {
        let text = format!("{} initiates to {}", self.name(from), self.name(to));
        self.say(text);
        let (peer, policy) = self.connection(from, to);
        self.with_node(from, |node, now| node.initiate(now, peer, Some(policy))).expect("initiate")
    }

    /// Deletes the IKE SAs of one host with another.
    pub fn delete(&mut self, from: Host, to: Host) {
        let text = format!("{} deletes its IKE SAs with {}", self.name(from), self.name(to));
        self.say(text);
        for id in self.ike_sas(from, to) {
            // One that is closing already may be gone before its turn.
            let _ = self.with_node(from, |node, now| node.delete(now, id));
        }
    }

    /// Rekeys the established IKE SAs of one host with another.
    pub fn rekey(&mut self, from: Host, to: Host) {
        let text = format!("{} rekeys its IKE SAs with {}", self.name(from), self.name(to));
        self.say(text);
        for id in self.ike_sas(from, to) {
            // One that is not established, or is replaced already, is left alone.
            let _ = self.with_node(from, |node, now| node.rekey(now, id));
        }
    }

    /// Rekeys all Child SAs of a host.
    pub fn rekey_children(&mut self, host: Host) {
        let text = format!("{} rekeys its Child SAs", self.name(host));
        self.say(text);
        for child in self.children(host) {
            let _ = self.with_node(host, |node, now| node.rekey_child(now, child.id));
        }
    }

    /// Authenticates the established IKE SAs of one host with another anew.
    pub fn reauth(&mut self, from: Host, to: Host) {
        let text = format!("{} reauthenticates with {}", self.name(from), self.name(to));
        self.say(text);
        for id in self.ike_sas(from, to) {
            let _ = self.with_node(from, |node, now| node.reauth(now, id));
        }
    }

    /// Asks whether the peer lives, on every IKE SA with it.
    pub fn probe(&mut self, from: Host, to: Host) {
        let text = format!("{} probes {}", self.name(from), self.name(to));
        self.say(text);
        for id in self.ike_sas(from, to) {
            let _ = self.with_node(from, |node, now| node.probe(now, id));
        }
    }

    /// Deletes everything of a host and takes nothing new.
    pub fn shutdown(&mut self, host: Host) {
        let text = format!("{} shuts down", self.name(host));
        self.say(text);
        self.with_node(host, |node, now| node.shutdown(now));
    }

    /// The peer and policy that `Pair` or `connect` made on `from` for `to`.
    ///
    /// # Panics
    /// When there are none.
    #[must_use]
    pub fn connection(&self, from: Host, to: Host) -> (PeerId, PolicyId) {
        match self.connections.get(&(from, to)) {
            Some(c) => *c,
            None => panic!("{} is not configured for {}", self.name(from), self.name(to)),
        }
    }
}
