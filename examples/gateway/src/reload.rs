//! Reading the configuration again while everything runs. A file with a mistake changes nothing. Of a good one, what is
//! new is added, what is gone is deleted with its SAs, and what changed holds for SAs to come; a child whose traffic
//! selectors changed loses the Child SAs that were made for the old ones.

use crate::drive::Driver;
use crate::host::unbound;
use ravelin::Node;
use ravelin::db::spd::Action;
use ravelin::db::{ChildId, Now, Peer, PeerId, Policy, PolicyId, Protect};
use ravelin_config::{Config, Gateway};
use std::collections::{BTreeMap, BTreeSet};

/// What a reload did, for the operator.
#[derive(Debug, Default)]
struct Done {
    added: Vec<String>,
    changed: Vec<String>,
    removed: Vec<String>,
    notes: Vec<String>,
}

impl Done {
    fn said(&self, config: &str) -> String {
        let mut lines: Vec<_> = self.notes.clone();
        for (what, names) in [("added", &self.added), ("changed", &self.changed), ("removed", &self.removed)] {
            if !names.is_empty() {
                lines.push(format!("{what}: {}", names.join(" ")));
            }
        }
        if lines.is_empty() {
            lines.push("nothing changed".into());
        }
        lines.iter().map(|l| format!("{config}: {l}\n")).collect()
    }
}

impl Driver {
    /// SIGHUP and `gateway reload`.
    ///
    /// # Errors
    /// What is wrong with the file; the old configuration stays in force.
    pub(crate) fn reload(&mut self, now: Now) -> Result<String, String> {
        let file = self.config_path.display().to_string();
        let new = Config::load(&self.config_path, &self.provider)
            .map_err(|e| format!("{e}\nthe configuration that was there stays in force"))?;
        let mut done = Done::default();
        done.notes.extend(needs_restart(&self.gateway, &new.gateway));
        let lost = apply(&mut self.node, now, new, &mut done, &mut self.host.unbound);
        self.waiting_for.extend(lost);
        self.host.localize(self.node.db_mut());
        let addresses = self.host.ordered(self.node.db());
        self.node.set_addresses(now, addresses);
        self.host.reloaded();
        self.node.start(now);
        self.flush(now);
        Ok(done.said(&file))
    }
}

/// Keys of `[gateway]` are read at the start only.
fn needs_restart(old: &Gateway, new: &Gateway) -> Option<String> {
    let keys = old.differences(new);
    (!keys.is_empty()).then(|| format!("[gateway] {}: takes effect at the next start", keys.join(", ")))
}

/// Makes the node's databases those of `new`. Gives the Child SAs that are being deleted although their policy stays.
fn apply(node: &mut Node, now: Now, new: Config, done: &mut Done, follow: &mut BTreeSet<PeerId>) -> Vec<ChildId> {
    let mut new_db = new.db;
    let follows = unbound(&new_db);
    let db = node.db_mut();
    db.pad.secrets = std::mem::take(&mut new_db.pad.secrets);
    db.pad.credentials = std::mem::take(&mut new_db.pad.credentials);
    for pool in new_db.pools.iter() {
        if db.pools.pool(&pool.name).as_ref() != Some(&pool) {
            let verb = if db.pools.pool(&pool.name).is_some() { &mut done.changed } else { &mut done.added };
            verb.push(pool.name.clone());
            db.pools.replace((*pool).clone());
        }
    }
    remove_peers(node, now, &new_db.pad, done);
    let ids = put_peers(node, &new_db.pad, follow, &follows, done);
    let lost = put_policies(node, now, &new_db.spd, &ids, done);
    let db = node.db_mut();
    for pool in db.pools.iter().filter(|p| new_db.pools.pool(&p.name).is_none()).collect::<Vec<_>>() {
        db.pools.remove(&pool.name);
        done.removed.push(pool.name.clone());
    }
    lost
}

/// Peers that are not in the file any more go, with their SAs and policies.
fn remove_peers(node: &mut Node, now: Now, new: &ravelin::db::Pad, done: &mut Done) {
    let is_gone = |(_, p): &(PeerId, &std::sync::Arc<Peer>)| new.find_by_name(&p.name).is_none();
    let gone: Vec<_> = node.db().pad.iter().filter(is_gone).map(|(id, p)| (id, p.name.clone())).collect();
    for (id, name) in gone {
        let sas: Vec<_> = node.snapshot(now.mono).into_iter().filter(|s| s.peer == Some(id)).map(|s| s.id).collect();
        for sa in sas {
            // one that ended by itself meanwhile needs no Delete
            let _ = node.delete(now, sa);
        }
        let policies: Vec<PolicyId> = node.db().spd.policies_of(id).map(|p| p.id).collect();
        let db = node.db_mut();
        for policy in policies {
            db.spd.remove(policy);
        }
        db.pad.remove(id);
        done.removed.push(name);
    }
}

/// Adds and changes PAD entries; gives the ids that peers of the new file have in the node.
fn put_peers(
    node: &mut Node,
    new: &ravelin::db::Pad,
    follow: &mut BTreeSet<PeerId>,
    follows: &BTreeSet<PeerId>,
    done: &mut Done,
) -> BTreeMap<PeerId, PeerId> {
    let mut ids = BTreeMap::new();
    for (new_id, peer) in new.iter() {
        let db = node.db_mut();
        let id = match db.pad.find_by_name(&peer.name) {
            Some(id) => {
                let had = db.pad.peer(id).map(|p| (**p).clone());
                let mut wanted = (**peer).clone();
                if follows.contains(&new_id) && follow.contains(&id) {
                    wanted.local = had.as_ref().and_then(|p| p.local);
                }
                if had.as_ref() != Some(&wanted) {
                    done.changed.push(peer.name.clone());
                    db.pad.replace(id, wanted).map(|_| id)
                } else {
                    Ok(id)
                }
            }
            None => {
                done.added.push(peer.name.clone());
                db.pad.add((**peer).clone())
            }
        };
        match id {
            Ok(id) => {
                ids.insert(new_id, id);
                if follows.contains(&new_id) {
                    follow.insert(id)
                } else {
                    follow.remove(&id)
                };
            }
            Err(e) => done.notes.push(format!("peer {}: {e}", peer.name)),
        }
    }
    follow.retain(|id| ids.values().any(|i| i == id));
    ids
}

/// Adds, changes and removes policies; gives the Child SAs that are being deleted for a change.
fn put_policies(
    node: &mut Node,
    now: Now,
    new: &ravelin::db::Spd,
    ids: &BTreeMap<PeerId, PeerId>,
    done: &mut Done,
) -> Vec<ChildId> {
    let gone: Vec<_> = node.db().spd.iter().filter(|p| new.find_by_name(&p.name).is_none()).cloned().collect();
    for policy in gone {
        drop_children(node, now, policy.id);
        node.db_mut().spd.remove(policy.id);
        done.removed.push(policy.name.clone());
    }
    let mut lost = Vec::new();
    for policy in new.iter() {
        let Some(wanted) = policy.protect().and_then(|p| Some((p, *ids.get(&p.peer)?))) else { continue };
        let protect = Protect { peer: wanted.1, ..wanted.0.clone() };
        let mut wanted = Policy { action: Action::from(protect), ..(**policy).clone() };
        let had = node.db().spd.find_by_name(&policy.name).and_then(|id| node.db().spd.policy(id)).cloned();
        let result = match had {
            None => {
                done.added.push(policy.name.clone());
                node.db_mut().spd.add(wanted).map(drop)
            }
            Some(had) => {
                wanted.id = had.id;
                if *had == wanted {
                    continue;
                }
                done.changed.push(policy.name.clone());
                if (&had.local, &had.remote) != (&wanted.local, &wanted.remote) {
                    lost.extend(drop_children(node, now, had.id));
                }
                node.db_mut().spd.replace(had.id, wanted).map(drop)
            }
        };
        if let Err(e) = result {
            done.notes.push(e.to_string());
        }
    }
    lost
}

/// Deletes the Child SAs of a policy.
fn drop_children(node: &mut Node, now: Now, policy: PolicyId) -> Vec<ChildId> {
    let all = node.snapshot(now.mono);
    let of = all.iter().flat_map(|s| &s.children).filter(|c| c.policy == policy).map(|c| c.id);
    of.filter(|id| node.delete_child(now, *id).is_ok()).collect()
}
