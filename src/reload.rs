//! Databases in place of those of a running node: what a management plane does when an operator has changed something.
//! What is new is added, what is gone is deleted with its SAs, and what changed holds for SAs to come; a policy whose
//! traffic selectors changed loses the Child SAs that were made for the old ones. Peers, policies and pools are told apart
//! by their names. Leases stay.
//!
//! To carry one more database over: a step of [`Node::reload`], which notes what it did in [`Reload`].

use crate::node::Node;
use ravelin_sa_db::spd::Action;
use ravelin_sa_db::{ChildId, Db, Now, Pad, Peer, PeerId, Policy, PolicyId, Protect, Spd};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What a reload did, by name. [`Display`](fmt::Display) gives a line each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reload {
    /// Peers, policies and pools that were not there before.
    pub added: Vec<String>,
    /// Those that are otherwise now.
    pub changed: Vec<String>,
    /// Those that are gone; the peer hears Deletes of their SAs.
    pub removed: Vec<String>,
    /// What could not be done, for an operator; the rest was done.
    pub notes: Vec<String>,
    /// Child SAs that are being deleted although their policy stays: when they are gone, it may start again
    /// ([`Node::start`]).
    pub deleting: Vec<ChildId>,
}

impl fmt::Display for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.notes.iter().try_for_each(|n| writeln!(f, "{n}"))?;
        let lists = [("added", &self.added), ("changed", &self.changed), ("removed", &self.removed)];
        for (what, names) in lists.iter().filter(|(_, names)| !names.is_empty()) {
            writeln!(f, "{what}: {}", names.join(" "))?;
        }
        if self.notes.is_empty() && lists.iter().all(|(_, names)| names.is_empty()) {
            writeln!(f, "nothing changed")?;
        }
        Ok(())
    }
}

impl Node {
    /// Makes the databases of this node those of `wanted`, and says what that changed. SAs of what stays are not touched.
    /// What is new stands after what stays, in the PAD and among policies of equal rank. Policies that are to be up at once
    /// begin with [`Node::start`].
    pub fn reload(&mut self, now: Now, mut wanted: Db) -> Reload {
        let mut done = Reload::default();
        let db = self.db_mut();
        db.pad.secrets = std::mem::take(&mut wanted.pad.secrets);
        db.pad.credentials = std::mem::take(&mut wanted.pad.credentials);
        for pool in wanted.pools.iter() {
            let had = db.pools.pool(&pool.name);
            if had.as_ref() != Some(&pool) {
                let list = if had.is_some() { &mut done.changed } else { &mut done.added };
                list.push(pool.name.clone());
                db.pools.replace((*pool).clone());
            }
        }
        self.remove_peers(now, &wanted.pad, &mut done);
        let ids = self.put_peers(&wanted.pad, &mut done);
        self.put_policies(now, &wanted.spd, &ids, &mut done);
        let db = self.db_mut();
        for pool in db.pools.iter().filter(|p| wanted.pools.pool(&p.name).is_none()).collect::<Vec<_>>() {
            db.pools.remove(&pool.name);
            done.removed.push(pool.name.clone());
        }
        done
    }

    /// Peers that are not wanted any more go, with their SAs and policies.
    fn remove_peers(&mut self, now: Now, wanted: &Pad, done: &mut Reload) {
        let is_gone = |(_, p): &(PeerId, &Arc<Peer>)| wanted.find_by_name(&p.name).is_none();
        let gone: Vec<_> = self.db().pad.iter().filter(is_gone).map(|(id, p)| (id, p.name.clone())).collect();
        for (id, name) in gone {
            let sas: Vec<_> =
                self.snapshot(now.mono).into_iter().filter(|s| s.peer == Some(id)).map(|s| s.id).collect();
            for sa in sas {
                // one that ended by itself meanwhile needs no Delete
                let _ = self.delete(now, sa);
            }
            let policies: Vec<PolicyId> = self.db().spd.policies_of(id).map(|p| p.id).collect();
            let db = self.db_mut();
            for policy in policies {
                db.spd.remove(policy);
            }
            db.pad.remove(id);
            done.removed.push(name);
        }
    }

    /// Adds and changes PAD entries; gives the ids that the wanted ones have in this node.
    fn put_peers(&mut self, wanted: &Pad, done: &mut Reload) -> BTreeMap<PeerId, PeerId> {
        let mut ids = BTreeMap::new();
        for (wanted_id, peer) in wanted.iter() {
            let pad = &mut self.db_mut().pad;
            let id = match pad.find_by_name(&peer.name) {
                Some(id) if pad.peer(id).is_some_and(|had| had == peer) => Ok(id),
                Some(id) => {
                    done.changed.push(peer.name.clone());
                    pad.replace(id, (**peer).clone()).map(|_| id)
                }
                None => {
                    done.added.push(peer.name.clone());
                    pad.add((**peer).clone())
                }
            };
            match id {
                Ok(id) => {
                    ids.insert(wanted_id, id);
                }
                Err(e) => done.notes.push(format!("peer {}: {e}", peer.name)),
            }
        }
        ids
    }

    /// Adds, changes and removes policies.
    fn put_policies(&mut self, now: Now, wanted: &Spd, ids: &BTreeMap<PeerId, PeerId>, done: &mut Reload) {
        let gone: Vec<_> = self.db().spd.iter().filter(|p| wanted.find_by_name(&p.name).is_none()).cloned().collect();
        for policy in gone {
            self.drop_children(now, policy.id);
            self.db_mut().spd.remove(policy.id);
            done.removed.push(policy.name.clone());
        }
        for policy in wanted.iter() {
            let action = match policy.protect() {
                None => policy.action.clone(),
                // a peer that could not be taken is in the notes already
                Some(p) => match ids.get(&p.peer) {
                    Some(peer) => Action::from(Protect { peer: *peer, ..p.clone() }),
                    None => continue,
                },
            };
            let mut new = Policy { action, ..(**policy).clone() };
            let had = self.db().spd.find_by_name(&policy.name).and_then(|id| self.db().spd.policy(id)).cloned();
            let result = match had {
                None => {
                    done.added.push(policy.name.clone());
                    self.db_mut().spd.add(new).map(drop)
                }
                Some(had) => {
                    new.id = had.id;
                    if *had == new {
                        continue;
                    }
                    done.changed.push(policy.name.clone());
                    if (&had.local, &had.remote) != (&new.local, &new.remote) {
                        done.deleting.extend(self.drop_children(now, had.id));
                    }
                    self.db_mut().spd.replace(had.id, new).map(drop)
                }
            };
            if let Err(e) = result {
                done.notes.push(e.to_string());
            }
        }
        self.db_mut().spd.settle();
    }

    /// Deletes the Child SAs of a policy.
    fn drop_children(&mut self, now: Now, policy: PolicyId) -> Vec<ChildId> {
        let all = self.snapshot(now.mono);
        let of = all.iter().flat_map(|s| &s.children).filter(|c| c.policy == policy).map(|c| c.id);
        of.filter(|id| self.delete_child(now, *id).is_ok()).collect()
    }
}
