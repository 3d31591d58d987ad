//! Where one IKE SA takes the place of another: rekeying (RFC 7296 §2.8), its collisions (§2.8.2), and
//! reauthentication (§2.8.3), make before break or the other way round.

use super::Endpoint;
use crate::error::{ApiError, Reason};
use crate::event::Event;
use crate::exchange::{Effect, Fate, configure, informational};
use crate::ids::{IkeSaId, Role};
use crate::sa::{IkeSa, Intent, Lifecycle};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use ravelin_sa_db::{Db, Now, Path, PeerId, PolicyId};

impl Endpoint {
    /// Carries out what an exchange of `id` left to be done with other SAs.
    pub(super) fn succession(&mut self, now: Now, db: &Db, id: IkeSaId, effect: Effect) {
        match effect {
            Effect::Born(core, fate) => {
                let new = core.id;
                self.index.insert(Box::new(IkeSa::born(now.mono, *core, fate)), &self.config);
                if fate == Fate::Redundant {
                    self.shut(now, db, new, Reason::Replaced);
                }
            }
            Effect::Inherit { heir, children, leases } => {
                if self.index.get(heir).is_none() {
                    // The peer deleted the new SA before the old one: everything in it is gone.
                    self.with(now, db, id, |sa, cx| {
                        (sa.core.children, sa.core.leases) = (children, leases);
                        informational::remove_children(cx, &mut sa.core, &Reason::IkeSaGone);
                        configure::release(cx, &mut sa.core);
                        cx.out.event(Event::Closed { sa: heir, peer: sa.core.peer, reason: Reason::PeerDeleted });
                    });
                    return;
                }
                let wishes = self.with(now, db, id, |sa, _| sa.take_estate()).unwrap_or_default();
                for child in &children {
                    self.index.child_up(child.id, heir);
                }
                if let Some(peer) = self.index.get(heir).and_then(|sa| sa.core.peer) {
                    self.index.peer_up(peer, heir);
                }
                self.with(now, db, heir, |sa, cx| {
                    sa.core.take_leases(leases);
                    sa.inherit(cx, children, &wishes);
                });
            }
            Effect::Outlast { redundant } => {
                if self.with(now, db, redundant, |sa, _| sa.lose(now.mono, id)).is_none() {
                    self.shut(now, db, id, Reason::Replaced);
                }
            }
            Effect::Claim { old } => {
                self.with(now, db, old, |sa, cx| sa.concede(cx));
            }
            Effect::Shut(other, reason) => self.shut(now, db, other, reason),
            Effect::PeerDeleted { heir, protocol, spi } => {
                self.with(now, db, heir, |sa, cx| {
                    informational::remove_by_peer_spi(cx, &mut sa.core, protocol, spi);
                });
            }
            Effect::Reauth => {
                // Without an address to initiate to the peer must do it; the SA ends when it does not.
                let _ = self.start_reauth(now, db, id);
            }
            Effect::ChildUp(_)
            | Effect::PeerClosed(_)
            | Effect::Down(_)
            | Effect::ChildDown(_)
            | Effect::Established { .. } => {}
        }
    }

    fn shut(&mut self, now: Now, db: &Db, id: IkeSaId, reason: Reason) {
        self.with(now, db, id, |sa, cx| sa.shut(cx, reason));
    }

    /// Begins to authenticate anew.
    pub(super) fn start_reauth(&mut self, now: Now, db: &Db, id: IkeSaId) -> Result<(), ApiError> {
        let sa = self.index.get(id).ok_or(ApiError::UnknownSa)?;
        let peer = sa.core.peer.ok_or(ApiError::NotEstablished)?;
        let policies = policies(sa);
        let path = self.reauth_path(sa)?;
        if self.index.iter().any(|sa| sa.kin.replaces == Some(id)) {
            return Ok(());
        }
        if !self.config.make_before_break {
            self.with(now, db, id, |sa, cx| {
                sa.kin.rebirth = Some(policies.into());
                sa.shut(cx, Reason::Replaced);
            });
            return Ok(());
        }
        let new = self.reopen(now, db, peer, path, &policies)?;
        self.with(now, db, new, |sa, _| sa.kin.replaces = Some(id));
        Ok(())
    }

    /// Where to initiate to: as configured, or where the peer answered us before.
    fn reauth_path(&self, sa: &IkeSa) -> Result<Path, ApiError> {
        let core = &sa.core;
        let answered = SocketAddr::new(core.path.remote.ip(), 500);
        let remote = core.profile.remote.or((core.first_role == Role::Initiator).then_some(answered));
        let remote = remote.ok_or(ApiError::NoRemoteAddress)?;
        Ok(Path { local: SocketAddr::new(core.path.local.ip(), self.config.ports.ike), remote })
    }

    fn reopen(
        &mut self,
        now: Now,
        db: &Db,
        peer: PeerId,
        path: Path,
        policies: &[PolicyId],
    ) -> Result<IkeSaId, ApiError> {
        let profile = Arc::clone(db.pad.peer(peer).ok_or(ApiError::UnknownPeer)?);
        let first = policies.first().map(|p| (*p, None));
        let new = self.open(now, db, peer, profile, path, first)?;
        self.with(now, db, new, |sa, cx| {
            for policy in policies.iter().skip(1) {
                sa.want(cx, Intent::CreateChild { policy: *policy, packet: None });
            }
        });
        Ok(new)
    }

    /// Make before break: the old SA goes when the new one and its Child SAs are up.
    pub(super) fn reauthenticated(&mut self, now: Now, db: &Db, id: IkeSaId) {
        let Some(sa) = self.index.get(id) else { return };
        let Some(old) = sa.kin.replaces else { return };
        if sa.life == Lifecycle::Established && sa.is_settled() {
            self.with(now, db, id, |sa, _| sa.forget_replaced());
            self.shut(now, db, old, Reason::Replaced);
        }
    }

    /// An SA is gone; what waited for that begins.
    pub(super) fn after(&mut self, now: Now, db: &Db, gone: IkeSa) {
        if let Some(old) = gone.kin.outlasted_by {
            self.shut(now, db, old, Reason::Replaced);
        }
        // An SA without Child SAs cannot be authenticated anew where childless ones are refused (RFC 6023): once is enough.
        if let Some(old) =
            gone.kin.replaces.filter(|old| self.index.get(*old).is_some_and(|sa| !policies(sa).is_empty()))
        {
            self.with(now, db, old, |sa, cx| sa.postpone_reauth(cx));
        }
        let (Some(policies), Some(peer)) = (&gone.kin.rebirth, gone.core.peer) else { return };
        if let Ok(path) = self.reauth_path(&gone) {
            // A peer that was removed meanwhile is not called again.
            let _ = self.reopen(now, db, peer, path, policies);
        }
    }
}

/// The policies that have Child SAs in an IKE SA, each once.
fn policies(sa: &IkeSa) -> Vec<PolicyId> {
    let mut out = Vec::new();
    for child in &sa.core.children {
        if !out.contains(&child.policy) {
            out.push(child.policy);
        }
    }
    out
}
