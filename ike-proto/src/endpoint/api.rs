//! What the embedding program may ask for: initiate, delete, probe, shut down; and what the data plane reports.

use super::Endpoint;
use crate::ask::{Answer, Ticket};
use crate::error::{ApiError, Reason};
use crate::ids::IkeSaId;
use crate::sa::{Birth, IkeSa, Intent, Lifecycle};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use ravelin_sa_db::pad::Peer;
use ravelin_sa_db::{ChildId, Db, Now, PacketKey, Path, PeerId, PolicyId, Report};

impl Endpoint {
    /// Brings up an IKE SA with a peer, with a first Child SA for `child` or alone (RFC 6023). With an IKE SA already
    /// there, only the Child SA is made.
    ///
    /// # Errors
    /// [`ApiError`] when peer or policy do not exist or lack addresses.
    pub fn initiate(&mut self, now: Now, db: &Db, peer: PeerId, child: Option<PolicyId>) -> Result<IkeSaId, ApiError> {
        if let Some(policy) = child {
            let of_peer = db.spd.policy(policy).and_then(|p| p.protect()).is_some_and(|p| p.peer == peer);
            if !of_peer {
                return Err(ApiError::UnknownPolicy);
            }
        }
        self.bring_up(now, db, peer, child.map(|c| (c, None)))
    }

    fn bring_up(
        &mut self,
        now: Now,
        db: &Db,
        peer: PeerId,
        first: Option<(PolicyId, Option<PacketKey>)>,
    ) -> Result<IkeSaId, ApiError> {
        if self.closing {
            return Err(ApiError::NotAllowed);
        }
        if let Some(id) = self.newest_of(peer).or_else(|| self.index.opening_to(peer)) {
            if let Some((policy, packet)) = first {
                self.with(now, db, id, |sa, cx| {
                    if !sa.is_making(policy) {
                        sa.want(cx, Intent::CreateChild { policy, packet });
                    }
                });
            }
            return Ok(id);
        }
        let profile = Arc::clone(db.pad.peer(peer).ok_or(ApiError::UnknownPeer)?);
        let remote = profile.remote.ok_or(ApiError::NoRemoteAddress)?;
        let mut mine = profile.local.iter().chain(&self.addresses);
        let local = *mine.find(|l| l.is_ipv4() == remote.is_ipv4()).ok_or(ApiError::NoLocalAddress)?;
        let path = Path { local: SocketAddr::new(local, self.config.ports.ike), remote };
        self.open(now, db, peer, profile, path, first)
    }

    /// Begins an attempt on a path, whatever other IKE SAs there are.
    pub(super) fn open(
        &mut self,
        now: Now,
        db: &Db,
        peer: PeerId,
        profile: Arc<Peer>,
        path: Path,
        first: Option<(PolicyId, Option<PacketKey>)>,
    ) -> Result<IkeSaId, ApiError> {
        let birth = Birth { id: IkeSaId(self.next_sa), spi: self.free_spi(), profile, path };
        let id = birth.id;
        self.next_sa = self.next_sa.saturating_add(1);
        let sa = self.newborn(now, db, |cx| IkeSa::initiate(cx, birth, peer, first));
        let sa = sa.map_err(|_| ApiError::NoProposal)?;
        self.index.insert(Box::new(sa), &self.config);
        Ok(id)
    }

    /// Rekeys an IKE SA (RFC 7296 §1.3.2). The event is `Rekeyed`.
    ///
    /// # Errors
    /// [`ApiError::UnknownSa`], or [`ApiError::NotEstablished`].
    pub fn rekey(&mut self, now: Now, db: &Db, id: IkeSaId) -> Result<(), ApiError> {
        self.require_established(id)?;
        self.with(now, db, id, |sa, cx| sa.want(cx, Intent::RekeyIke)).ok_or(ApiError::UnknownSa)
    }

    /// Rekeys a Child SA (RFC 7296 §1.3.3). The event is `ChildRekeyed`.
    ///
    /// # Errors
    /// [`ApiError::UnknownChild`].
    pub fn rekey_child(&mut self, now: Now, db: &Db, child: ChildId) -> Result<(), ApiError> {
        let id = self.index.by_child(child).ok_or(ApiError::UnknownChild)?;
        self.with(now, db, id, |sa, cx| sa.want(cx, Intent::RekeyChild(child))).ok_or(ApiError::UnknownChild)
    }

    /// Authenticates anew (RFC 7296 §2.8.3): a new IKE SA with Child SAs for the same policies takes the place of this
    /// one, before or after its end as the configuration says.
    ///
    /// # Errors
    /// [`ApiError::UnknownSa`], [`ApiError::NotEstablished`], or [`ApiError::NoRemoteAddress`] when only the peer can
    /// initiate.
    pub fn reauth(&mut self, now: Now, db: &Db, id: IkeSaId) -> Result<(), ApiError> {
        self.require_established(id)?;
        self.start_reauth(now, db, id)
    }

    fn require_established(&self, id: IkeSaId) -> Result<(), ApiError> {
        let sa = self.index.get(id).ok_or(ApiError::UnknownSa)?;
        if sa.life == Lifecycle::Established { Ok(()) } else { Err(ApiError::NotEstablished) }
    }

    /// Deletes an IKE SA and all its Child SAs, telling the peer.
    ///
    /// # Errors
    /// [`ApiError::UnknownSa`].
    pub fn delete(&mut self, now: Now, db: &Db, id: IkeSaId) -> Result<(), ApiError> {
        // One that is rekeyed already goes by itself; whoever wants it gone means what lives on.
        let id = self.index.get(id).and_then(|sa| sa.core.heir).unwrap_or(id);
        self.with(now, db, id, |sa, cx| sa.shut(cx, Reason::Requested)).ok_or(ApiError::UnknownSa)
    }

    /// Deletes a Child SA, telling the peer.
    ///
    /// # Errors
    /// [`ApiError::UnknownChild`].
    pub fn delete_child(&mut self, now: Now, db: &Db, child: ChildId) -> Result<(), ApiError> {
        let id = self.index.by_child(child).ok_or(ApiError::UnknownChild)?;
        self.with(now, db, id, |sa, cx| sa.want(cx, Intent::DeleteChild(child, Reason::Requested)))
            .ok_or(ApiError::UnknownChild)
    }

    /// Asks whether the peer is alive; the answer is an `Event::Alive`, or the end of the SA.
    ///
    /// # Errors
    /// [`ApiError::UnknownSa`], or [`ApiError::NotEstablished`].
    pub fn probe(&mut self, now: Now, db: &Db, id: IkeSaId) -> Result<(), ApiError> {
        self.require_established(id)?;
        self.with(now, db, id, |sa, cx| sa.want(cx, Intent::Liveness { asked: true })).ok_or(ApiError::UnknownSa)
    }

    /// Takes the answer to a question ([`crate::Output::Ask`]); the exchange that waits for it goes on.
    ///
    /// # Errors
    /// [`ApiError::UnknownTicket`] when it was answered or expired or its IKE SA is gone, [`ApiError::WrongAnswer`] when
    /// the answer is of another kind.
    pub fn handle_answer(&mut self, now: Now, db: &Db, ticket: Ticket, answer: Answer) -> Result<(), ApiError> {
        self.with(now, db, ticket.sa(), |sa, cx| sa.answer(cx, ticket.number(), answer))
            .unwrap_or(Err(ApiError::UnknownTicket))
    }

    /// Deletes everything and takes nothing new. The endpoint is done when [`Endpoint::is_empty`].
    pub fn shutdown(&mut self, now: Now, db: &Db) {
        self.closing = true;
        self.retries.clear();
        let half: Vec<IkeSaId> = self.index.all_folded().map(|f| f.id).collect();
        for id in half {
            self.unfold(now, db, id);
        }
        let all: Vec<IkeSaId> = self.index.iter().map(|sa| sa.core.id).collect();
        for id in all {
            self.with(now, db, id, |sa, cx| sa.shut(cx, Reason::ShuttingDown));
        }
    }

    /// True when no IKE SA is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.len() == 0
    }

    /// Number of IKE SAs, half-open ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Takes what the data plane saw. Reports about things that are gone are ignored.
    pub fn handle_report(&mut self, now: Now, db: &Db, report: Report) {
        match report {
            Report::Acquire { policy, packet } => {
                let peer = Some(policy)
                    .filter(|p| self.may_acquire(db, *p))
                    .and_then(|p| db.spd.policy(p))
                    .and_then(|p| p.protect())
                    .map(|p| p.peer);
                if let Some(peer) = peer {
                    // Without an address to initiate to there is nothing to do; the packet was counted as dropped.
                    let _ = self.bring_up(now, db, peer, Some((policy, Some(packet))));
                }
            }
            Report::HardExpired(child) | Report::Failed(child) => {
                let reason =
                    if matches!(report, Report::Failed(_)) { Reason::DataPlane } else { Reason::LifetimeExpired };
                self.on_child(now, db, child, Intent::DeleteChild(child, reason));
            }
            Report::SoftExpired(child) | Report::SequenceLow(child) => {
                self.on_child(now, db, child, Intent::RekeyChild(child))
            }
            Report::PathSeen { child, path } => {
                if let Some(id) = self.index.by_child(child) {
                    self.with(now, db, id, |sa, cx| sa.esp_came_on(cx, child, path));
                }
            }
            Report::Traffic { child, last } => {
                if let Some(id) = self.index.by_child(child) {
                    self.with(now, db, id, |sa, cx| sa.traffic(cx, child, last));
                }
            }
            _ => {}
        }
    }

    /// Child SAs of the IKE SAs that are about to ask whether their peer lives. The driver of a data plane reports
    /// their last traffic first ([`Report::Traffic`]); a peer whose ESP arrives is alive (RFC 7296 §2.4).
    #[must_use]
    pub fn children_to_vouch(&self, now: Now) -> Vec<ChildId> {
        let due = self.index.due_for(now.mono, crate::sa::Why::Liveness);
        due.filter_map(|id| self.index.get(id))
            .flat_map(|sa| sa.core.children.iter().map(|c| c.id))
            .take(4096)
            .collect()
    }

    fn on_child(&mut self, now: Now, db: &Db, child: ChildId, intent: Intent) {
        if let Some(id) = self.index.by_child(child) {
            self.with(now, db, id, |sa, cx| sa.want(cx, intent));
        }
    }
}
