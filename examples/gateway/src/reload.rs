//! Reading the configuration again while everything runs. A file with a mistake changes nothing. What a good one changes
//! the node does itself (`ravelin::reload`); here is what the daemon has of its own: peers whose local address follows the
//! host's, and keys of `[gateway]`.

use crate::drive::Driver;
use crate::host::unbound;
use ravelin::db::{Db, Now, Peer, PeerId};
use ravelin_config::{Config, Gateway};
use std::collections::BTreeSet;

impl Driver {
    /// SIGHUP and `gateway reload`.
    ///
    /// # Errors
    /// What is wrong with the file; the old configuration stays in force.
    pub(crate) fn reload(&mut self, now: Now) -> Result<String, String> {
        let file = self.config_path.display().to_string();
        let mut new = Config::load(&self.config_path, &self.provider)
            .map_err(|e| format!("{e}\nthe configuration that was there stays in force"))?;
        let restart = needs_restart(&self.gateway, &new.gateway);
        let follows = keep_addresses(self.node.db(), &self.host.unbound, &mut new.db);
        let mut done = self.node.reload(now, new.db);
        done.notes.splice(0..0, restart);
        self.host.unbound = follows.iter().filter_map(|name| self.node.db().pad.find_by_name(name)).collect();
        self.waiting_for.extend(done.deleting.iter().copied());
        self.host.localize(self.node.db_mut());
        let addresses = self.host.ordered(self.node.db());
        self.node.set_addresses(now, addresses);
        self.host.reloaded();
        self.node.start(now);
        self.flush(now);
        Ok(done.to_string().lines().map(|l| format!("{file}: {l}\n")).collect())
    }
}

/// Keys of `[gateway]` are read at the start only.
fn needs_restart(old: &Gateway, new: &Gateway) -> Option<String> {
    let keys = old.differences(new);
    (!keys.is_empty()).then(|| format!("[gateway] {}: takes effect at the next start", keys.join(", ")))
}

/// Peers of the file whose local address the host decides keep the one that they have, so that they did not change. Gives
/// the names of all such.
fn keep_addresses(have: &Db, follow: &BTreeSet<PeerId>, new: &mut Db) -> Vec<String> {
    let mut names = Vec::new();
    for id in unbound(new) {
        let Some(peer) = new.pad.peer(id).cloned() else { continue };
        names.push(peer.name.clone());
        let had = have.pad.find_by_name(&peer.name).filter(|id| follow.contains(id)).and_then(|id| have.pad.peer(id));
        if let Some(local) = had.map(|p| p.local) {
            // the same name and identities as before: nothing in it can be refused
            let _ = new.pad.replace(id, Peer { local, ..(*peer).clone() });
        }
    }
    names
}
