//! The control side of the plane: [`Change`]s become new table entries. One mutex serialises writers; readers never
//! take it. Publishing order keeps rekeying without a gap: a route is replaced in one step, and the old SA stays
//! usable for packets that are already on their way to it.

use super::Plane;
use super::entry::{Entry, Facts, Inbound, Outbound};
use super::routes::PolicyRecord;
use crate::lifetime::flag;
use crate::mode::transport::single_host;
use crate::{OutboundSa, PlaneError};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use hashbrown::HashSet;
use ravelin_crypto::PrfId;
use ravelin_sa_db::sad::InboundKey;
use ravelin_sa_db::{
    Change, ChildId, Direction, Encapsulation, Instant, Mode, Path, PolicyId, Protocol, SaParams, SaRef, Spi,
};

/// How many outbound keys are remembered, so that none is installed twice.
const REMEMBERED_KEYS: usize = 1 << 16;

/// Both directions of one Child SA.
#[derive(Default, Clone)]
pub(crate) struct ChildRecord {
    pub(crate) inbound: Option<Arc<Inbound>>,
    pub(crate) outbound: Option<Arc<Outbound>>,
}

#[derive(Default)]
pub(crate) struct Control {
    pub(crate) children: BTreeMap<ChildId, ChildRecord>,
    policies: BTreeMap<PolicyId, PolicyState>,
    /// Outbound SAs by SPI: two peers may have chosen the same.
    pub(crate) by_spi: BTreeMap<(Spi, ChildId), ()>,
    /// How inbound SAs are addressed that are not by their SPI alone.
    pub(crate) qualified: BTreeMap<ChildId, InboundKey>,
    used_keys: HashSet<[u8; 16]>,
    used_order: VecDeque<[u8; 16]>,
    /// When to look whether a Child SA is idle, the earliest first; not later than it is.
    idle: BTreeSet<(Instant, ChildId)>,
}

#[derive(Default)]
struct PolicyState {
    sending: PolicyRecord,
    /// Installed outbound SAs that do not send yet, or no more.
    standby: Vec<ChildId>,
}

impl Control {
    pub(crate) fn is_active(&self, sa: &Outbound) -> bool {
        self.policies.get(&sa.facts.policy).is_some_and(|p| p.sending.is_active(sa))
    }

    /// Has a Child SA with an idle limit looked at.
    pub(crate) fn watch_idle(&mut self, child: ChildId, at: Option<Instant>) {
        self.idle.extend(at.map(|at| (at, child)));
    }

    /// The next Child SA to look at, if there is one by `now`.
    pub(crate) fn next_idle(&mut self, now: Instant) -> Option<ChildId> {
        let first = self.idle.first().filter(|(at, _)| *at <= now)?;
        let first = *first;
        self.idle.remove(&first).then_some(first.1)
    }

    /// When to look again.
    pub(crate) fn idle_deadline(&self) -> Option<Instant> {
        self.idle.first().map(|(at, _)| *at)
    }

    /// Remembers an outbound key; false when it was here before.
    fn remember(&mut self, print: [u8; 16]) -> bool {
        if !self.used_keys.insert(print) {
            return false;
        }
        self.used_order.push_back(print);
        if self.used_order.len() > REMEMBERED_KEYS
            && let Some(old) = self.used_order.pop_front()
        {
            self.used_keys.remove(&old);
        }
        true
    }
}

impl Plane {
    /// Applies one change at once. `now` starts the idle clock of a new SA.
    ///
    /// # Errors
    /// [`PlaneError`]; the plane is then as before.
    pub fn apply(&self, now: Instant, change: &Change) -> Result<(), PlaneError> {
        match change {
            Change::InstallInbound(p) => self.install_inbound(now, p),
            Change::InstallOutbound(p) => self.install_outbound(now, p, 0),
            Change::Switch { from, to } => self.switch(*from, *to),
            Change::Move { child, path, encapsulation } => self.move_child(*child, *path, *encapsulation),
            Change::Remove(sa) => self.remove(sa),
            // Policies live in the SPD; routes come and go with SAs.
            Change::AddPolicy(_) | Change::RemovePolicy(_) => Ok(()),
            _ => Err(PlaneError::UnknownChange),
        }
    }

    pub(super) fn check(&self, params: &SaParams) -> Result<(), PlaneError> {
        if params.spi.is_reserved() {
            return Err(PlaneError::Spi);
        }
        if params.local_ts.is_empty() || params.remote_ts.is_empty() {
            return Err(PlaneError::Selectors);
        }
        let mixed = params.path.local.is_ipv6() != params.path.remote.is_ipv6();
        let hosts = single_host(&params.local_ts).is_some() && single_host(&params.remote_ts).is_some();
        let fits = match (params.protocol, params.mode) {
            // AH has no UDP encapsulation (RFC 3948 §1), and BEET no AH.
            (Protocol::Ah, Mode::Beet) => false,
            (Protocol::Ah, _) => params.encapsulation == Encapsulation::None,
            (Protocol::Esp, Mode::Beet) => hosts,
            (Protocol::Esp, _) => true,
        };
        if mixed || !fits { Err(PlaneError::Mode) } else { Ok(()) }
    }

    fn install_inbound(&self, now: Instant, params: &Arc<SaParams>) -> Result<(), PlaneError> {
        let sa = self.keyed_inbound(params)?;
        let mut control = self.control.lock();
        let record = control.children.get(&params.child);
        let taken = record.is_some_and(|c| c.inbound.is_some());
        let other = record.and_then(|c| c.outbound.as_ref()).map(|e| &e.facts);
        if taken || self.inbound.get(&params.spi).is_some() {
            return Err(PlaneError::Spi);
        }
        let entry = Arc::new(Entry::new(sa, params, Facts::of(params, other), &self.config, now));
        control.children.entry(params.child).or_default().inbound = Some(Arc::clone(&entry));
        control.watch_idle(params.child, entry.core().usage.idle_deadline());
        self.inbound.insert(params.spi, entry);
        Ok(())
    }

    /// As [`Change::InstallOutbound`] for an SA that has sent elsewhere before (hand-over, restart): it goes on after
    /// number `used`.
    ///
    /// # Errors
    /// As for [`Plane::apply`].
    pub fn install_outbound(&self, now: Instant, params: &Arc<SaParams>, used: u64) -> Result<(), PlaneError> {
        self.check(params)?;
        let mut sa = OutboundSa::starting_after(&self.provider, params, &self.config.seed, used)?;
        sa.pad_to(self.config.pad_to);
        if !sa.has_integrity() {
            return Err(PlaneError::NoIntegrity);
        }
        let print = self.key_print(params)?;
        let mut control = self.control.lock();
        if control.children.get(&params.child).is_some_and(|c| c.outbound.is_some()) {
            return Err(PlaneError::Spi);
        }
        if !control.remember(print) {
            return Err(PlaneError::KeyReused);
        }
        let other = control.children.get(&params.child).and_then(|c| c.inbound.as_ref()).map(|e| &e.facts);
        let entry = Arc::new(Entry::new(sa, params, Facts::of(params, other), &self.config, now));
        control.children.entry(params.child).or_default().outbound = Some(Arc::clone(&entry));
        control.watch_idle(params.child, entry.core().usage.idle_deadline());
        self.outbound.insert(params.child, Arc::clone(&entry));
        control.by_spi.insert((params.spi, params.child), ());
        let state = control.policies.entry(params.policy).or_default();
        if PolicyRecord::has_equal(&entry, &self.routes) {
            state.standby.push(params.child);
        } else {
            state.sending.insert(&entry, &self.routes);
        }
        Ok(())
    }

    /// A fingerprint of an outbound key that says nothing about it.
    fn key_print(&self, params: &SaParams) -> Result<[u8; 16], PlaneError> {
        let prf = self.provider.prf(PrfId::HMAC_SHA2_256).or_else(|| self.provider.prfs.first().copied());
        let prf = prf.ok_or(PlaneError::UnsupportedTransform)?;
        let (encr, integ) = (params.suite.encr_key.expose(), params.suite.integ_key.expose());
        let print = prf.prf(self.config.seed.expose(), &[b"ravelin esp key print", encr, integ]);
        print.expose().first_chunk().copied().ok_or(PlaneError::UnsupportedTransform)
    }

    fn switch(&self, from: ChildId, to: ChildId) -> Result<(), PlaneError> {
        let mut control = self.control.lock();
        let new = control.children.get(&to).and_then(|c| c.outbound.clone()).ok_or(PlaneError::UnknownChild)?;
        let old = control.children.get(&from).and_then(|c| c.outbound.clone());
        let state = control.policies.entry(new.facts.policy).or_default();
        state.standby.retain(|c| *c != to);
        // The new route first: between the two steps packets find one or the other, never none.
        state.sending.insert(&new, &self.routes);
        if let Some(old) = old.filter(|o| o.child() != to) {
            let state = control.policies.entry(old.facts.policy).or_default();
            if state.sending.is_active(&old) {
                state.sending.remove(&old, &self.routes);
                state.standby.push(from);
            }
        }
        Ok(())
    }

    fn move_child(&self, child: ChildId, path: Path, encapsulation: Encapsulation) -> Result<(), PlaneError> {
        let mut guard = self.control.lock();
        let control = &mut *guard;
        let record = control.children.get_mut(&child).ok_or(PlaneError::UnknownChild)?;
        if path.local.is_ipv6() != path.remote.is_ipv6() {
            return Err(PlaneError::Mode);
        }
        if let Some(old) = &record.inbound {
            let new = Arc::new(old.moved(path, encapsulation, &self.config));
            match control.qualified.get(&child) {
                Some(key) => self.qualified.put(*key, Arc::clone(&new)),
                None => self.inbound.insert(Spi(new.spi), Arc::clone(&new)),
            }
            self.retire(old);
            record.inbound = Some(new);
        }
        if let Some(old) = &record.outbound {
            let new = Arc::new(old.moved(path, encapsulation, &self.config));
            self.outbound.insert(child, Arc::clone(&new));
            let old = Arc::clone(old);
            if let Some(state) = control.policies.get_mut(&new.facts.policy)
                && state.sending.is_active(&new)
            {
                state.sending.insert(&new, &self.routes);
            }
            record.outbound = Some(new);
            self.retire(&old);
        }
        Ok(())
    }

    fn remove(&self, sa: &SaRef) -> Result<(), PlaneError> {
        let mut guard = self.control.lock();
        let control = &mut *guard;
        let record = control.children.get_mut(&sa.child).ok_or(PlaneError::UnknownChild)?;
        match sa.direction {
            Direction::Inbound => {
                let old = record.inbound.take_if(|e| e.spi == sa.spi.0).ok_or(PlaneError::UnknownChild)?;
                old.core().usage.raise(flag::REMOVED);
                match control.qualified.remove(&sa.child) {
                    Some(key) => self.qualified.remove(&key),
                    None => drop(self.inbound.remove(&sa.spi)),
                }
                self.retire(&old);
            }
            Direction::Outbound => {
                let old = record.outbound.take_if(|e| e.spi == sa.spi.0).ok_or(PlaneError::UnknownChild)?;
                old.core().usage.raise(flag::REMOVED);
                if let Some(state) = control.policies.get_mut(&old.facts.policy) {
                    let was_sending = state.sending.is_active(&old);
                    state.standby.retain(|c| *c != sa.child);
                    // The newest one in waiting takes over before the old one goes.
                    if was_sending && let Some(next) = promote(&mut state.standby, &control.children, &old) {
                        state.sending.insert(&next, &self.routes);
                    }
                    state.sending.remove(&old, &self.routes);
                    if state.sending.is_empty() && state.standby.is_empty() {
                        control.policies.remove(&old.facts.policy);
                    }
                }
                self.outbound.remove(&sa.child);
                control.by_spi.remove(&(sa.spi, sa.child));
                self.retire(&old);
            }
        }
        if control.children.get(&sa.child).is_some_and(|r| r.inbound.is_none() && r.outbound.is_none()) {
            control.children.remove(&sa.child);
        }
        Ok(())
    }

    /// The inbound SPIs there are, in no order.
    #[must_use]
    pub fn inbound_spis(&self) -> Vec<Spi> {
        let control = self.control.lock();
        control.children.values().filter_map(|c| c.inbound.as_ref().map(|e| Spi(e.spi))).collect()
    }
}

/// Takes the newest standby SA for the packets of `old`, if there is one.
fn promote(
    standby: &mut Vec<ChildId>,
    children: &BTreeMap<ChildId, ChildRecord>,
    old: &Outbound,
) -> Option<Arc<Outbound>> {
    let fits = |c: &ChildId| {
        let sa = children.get(c)?.outbound.as_ref()?;
        (sa.same_traffic(old) && sa.core().usage.is_usable()).then(|| Arc::clone(sa))
    };
    let (at, sa) = standby.iter().enumerate().rev().find_map(|(i, c)| fits(c).map(|sa| (i, sa)))?;
    standby.remove(at);
    Some(sa)
}
