//! Inbound SAs that are addressed by more than their SPI (RFC 4301 §4.1): those of groups, whose SPI another host chose
//! and may have given twice. A packet is looked up by SPI, destination and source first, then by SPI and destination, and
//! only then by its SPI alone; the longest match decides.
//!
//! Ordinary hosts have none, and their packets pay nothing for it: a worker does not remember an SPI that is in here
//! (`Memory::relearn`), and what it remembered of it is retired when such an SA comes.

use super::Plane;
use super::entry::{Entry, Facts, Inbound};
use super::table::Table;
use crate::{InboundSa, PlaneError};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};
use ravelin_sa_db::sad::InboundKey;
use ravelin_sa_db::{Instant, Path, SaParams, Spi};

pub(crate) struct Qualified {
    /// SAs in here.
    count: AtomicUsize,
    /// How many there are with an SPI.
    spis: Table<Spi, usize>,
    entries: Table<InboundKey, Arc<Inbound>>,
}

impl Qualified {
    pub(crate) fn new() -> Self {
        Self { count: AtomicUsize::new(0), spis: Table::new(), entries: Table::new() }
    }

    /// Is there an SA with this SPI that wants more than it?
    #[inline]
    pub(crate) fn has(&self, spi: Spi) -> bool {
        self.count.load(Ordering::Acquire) != 0 && self.spis.get(&spi).is_some()
    }

    /// The SA of a packet that came on this path, with the source or without.
    fn find(&self, spi: Spi, path: Path) -> Option<Arc<Inbound>> {
        let dst = Some(path.local.ip());
        let whole = InboundKey { spi, dst, src: Some(path.remote.ip()) };
        self.entries.get(&whole).or_else(|| self.entries.get(&InboundKey { src: None, ..whole }))
    }

    /// The entry of `key` is this one from now on.
    pub(super) fn put(&self, key: InboundKey, entry: Arc<Inbound>) {
        if self.entries.get(&key).is_none() {
            self.spis.insert(key.spi, self.spis.get(&key.spi).unwrap_or(0).saturating_add(1));
            self.count.fetch_add(1, Ordering::Release);
        }
        self.entries.insert(key, entry);
    }

    pub(super) fn remove(&self, key: &InboundKey) {
        if self.entries.remove(key).is_none() {
            return;
        }
        match self.spis.get(&key.spi) {
            Some(n) if n > 1 => self.spis.insert(key.spi, n.saturating_sub(1)),
            _ => drop(self.spis.remove(&key.spi)),
        }
        self.count.fetch_sub(1, Ordering::Release);
    }
}

impl Plane {
    /// As [`ravelin_sa_db::Change::InstallInbound`] for an SA that is addressed by destination, or by destination and
    /// source, beside its SPI: one of a group (RFC 4301 §4.1). `Change::Remove` takes it away as any other.
    ///
    /// Several senders on one SA count for themselves, so an SA without a source wants a window of 0 (RFC 4303 §2.2).
    ///
    /// # Errors
    /// As for [`Plane::apply`]; [`PlaneError::Spi`] also when `key` is another SPI than that of `params` or is taken, or
    /// when it has a source without a destination.
    pub fn install_qualified(&self, now: Instant, key: InboundKey, params: &Arc<SaParams>) -> Result<(), PlaneError> {
        if key.dst.is_none() {
            let alone = key.src.is_none() && key.spi == params.spi;
            let change = ravelin_sa_db::Change::InstallInbound(Arc::clone(params));
            return if alone { self.apply(now, &change) } else { Err(PlaneError::Spi) };
        }
        let sa = self.keyed_inbound(params)?;
        let mut control = self.control.lock();
        let record = control.children.get(&params.child);
        let taken = record.is_some_and(|c| c.inbound.is_some());
        if taken || key.spi != params.spi || self.qualified.entries.get(&key).is_some() {
            return Err(PlaneError::Spi);
        }
        let other = record.and_then(|c| c.outbound.as_ref()).map(|e| &e.facts);
        let entry: Arc<Inbound> = Arc::new(Entry::new(sa, params, Facts::of(params, other), &self.config, now));
        control.children.entry(params.child).or_default().inbound = Some(Arc::clone(&entry));
        control.qualified.insert(params.child, key);
        control.watch_idle(params.child, entry.core().usage.idle_deadline());
        self.qualified.put(key, entry);
        // Workers that remember an SA by this SPI alone look again.
        if let Some(old) = self.inbound.get(&params.spi) {
            let (path, encapsulation) = (old.path(), old.encapsulation);
            let new = Arc::new(old.moved(path, encapsulation, &self.config));
            if let Some(record) = control.children.get_mut(&old.child()) {
                record.inbound = Some(Arc::clone(&new));
            }
            self.inbound.insert(params.spi, new);
            self.retire(&old);
        }
        Ok(())
    }

    /// An inbound SA with its keys, after all that is refused at once.
    pub(super) fn keyed_inbound(&self, params: &SaParams) -> Result<InboundSa, PlaneError> {
        self.check(params)?;
        let sa = InboundSa::new(&self.provider, params)?;
        if sa.has_integrity() { Ok(sa) } else { Err(PlaneError::NoIntegrity) }
    }

    /// The SA of a packet, the longest match first (RFC 4301 §4.1).
    #[inline]
    pub(super) fn inbound_of(&self, spi: Spi, path: Path) -> Option<Arc<Inbound>> {
        if self.qualified.has(spi)
            && let Some(entry) = self.qualified.find(spi, path)
        {
            return Some(entry);
        }
        self.inbound.get(&spi)
    }
}

#[cfg(test)]
mod tests {
    use crate::plane::{Ingress, OpenJob, OuterInfo, Plane, Worker};
    use crate::testing::*;
    use crate::{DropReason, PlaneError};
    use alloc::sync::Arc;
    use core::net::IpAddr;
    use ravelin_crypto::Provider;
    use ravelin_sa_db::sad::InboundKey;
    use ravelin_sa_db::{Change, ChildId, Direction, Encapsulation, Path, SaParams, Spi};
    use std::vec::Vec;

    const SPI: Spi = Spi(0x7777);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn key(dst: &str, src: Option<&str>) -> InboundKey {
        InboundKey { spi: SPI, dst: Some(ip(dst)), src: src.map(ip) }
    }

    /// SAs of one SPI with a key each: by SPI alone, by a group, by a group and one sender.
    fn sa(child: u64, direction: Direction, key: u8) -> Arc<SaParams> {
        let mut p = params(child, direction, gcm());
        p.suite.encr_key.expose_mut()[0] = key;
        (p.spi, p.encapsulation, p.replay_window) = (SPI, Encapsulation::None, 0);
        Arc::new(p)
    }

    fn from(source: &str, to: &str) -> Path {
        Path { local: (ip(to), 0).into(), remote: (ip(source), 0).into() }
    }

    struct Host {
        plane: Arc<Plane>,
        worker: Worker,
        senders: Vec<Plane>,
    }

    impl Host {
        /// With packets that go one by one, and with bursts that are sorted by SA.
        fn both() -> [Self; 2] {
            [provider(), grouping()].map(Self::new)
        }

        fn new(provider: Arc<Provider>) -> Self {
            let plane = Arc::new(Plane::new(Arc::clone(&provider)));
            plane.apply(NOW, &Change::InstallInbound(sa(1, Direction::Inbound, 1))).unwrap();
            let senders = (1..=3).map(|k| {
                let sender = Plane::new(Arc::clone(&provider));
                sender.apply(NOW, &Change::InstallOutbound(sa(1, Direction::Outbound, k))).unwrap();
                sender
            });
            let senders = senders.collect();
            Self { worker: Worker::new(Arc::clone(&plane)), plane, senders }
        }

        /// Which Child SA a packet of sender `n` is delivered by: on the plane, by a worker and in a burst.
        fn arrives(&mut self, n: usize, path: Path) -> [Result<ChildId, DropReason>; 3] {
            let outer = OuterInfo::default();
            let packet = || {
                let mut sink = Collect::default();
                self.senders[n - 1].egress(NOW, ChildId(1), &udp("10.1.0.1", "10.2.0.2", 40), &mut sink);
                sink.sent[0].1.clone()
            };
            let (mut a, mut b, mut c, mut d) = (packet(), packet(), packet(), packet());
            let one = self.plane.ingress(NOW, path, outer, &mut a);
            let two = self.worker.ingress(NOW, path, outer, &mut b, 0);
            let mut jobs = [OpenJob::new(path, outer, &mut c, 0), OpenJob::new(path, outer, &mut d, 0)];
            self.worker.open_burst(NOW, &mut jobs);
            let [three, four] = jobs.map(|j| j.result);
            assert_eq!(three, four);
            [one, two, three].map(|i| match i {
                Ingress::Deliver { child, .. } => Ok(child),
                Ingress::Drop(reason) => Err(reason),
            })
        }
    }

    #[test]
    fn the_longest_match_decides() {
        for mut host in Host::both() {
            let (group, other, sender) = ("224.0.0.9", "192.0.2.1", "198.51.100.3");
            // The worker remembers the SPI before groups come.
            assert_eq!(host.arrives(1, from(sender, group)), [Ok(ChildId(1)); 3]);
            host.plane.install_qualified(NOW, key(group, None), &sa(2, Direction::Inbound, 2)).unwrap();
            host.plane.install_qualified(NOW, key(group, Some(sender)), &sa(3, Direction::Inbound, 3)).unwrap();
            assert_eq!(host.arrives(3, from(sender, group)), [Ok(ChildId(3)); 3]);
            assert_eq!(host.arrives(2, from("198.51.100.4", group)), [Ok(ChildId(2)); 3]);
            assert_eq!(host.arrives(1, from(sender, other)), [Ok(ChildId(1)); 3]);
            // Another SA's key does not open it: the match is by address, never by trying.
            assert_eq!(host.arrives(1, from(sender, group)), [Err(DropReason::Integrity); 3]);
            let stats = host.plane.stats(ChildId(1)).unwrap();
            host.worker.flush();
            assert!(stats.inbound.is_some() && host.plane.stats(ChildId(1)).unwrap().inbound.unwrap().packets >= 4);
        }
    }

    #[test]
    fn removal_uncovers_the_shorter_match() {
        for mut host in Host::both() {
            let (group, sender) = ("224.0.0.9", "198.51.100.3");
            let (two, three) = (sa(2, Direction::Inbound, 2), sa(3, Direction::Inbound, 3));
            host.plane.install_qualified(NOW, key(group, None), &two).unwrap();
            host.plane.install_qualified(NOW, key(group, Some(sender)), &three).unwrap();
            host.plane.apply(NOW, &Change::Remove(sa_ref(&three))).unwrap();
            assert_eq!(host.arrives(2, from(sender, group)), [Ok(ChildId(2)); 3]);
            host.plane.apply(NOW, &Change::Remove(sa_ref(&two))).unwrap();
            assert_eq!(host.arrives(1, from(sender, group)), [Ok(ChildId(1)); 3]);
            assert!(!host.plane.qualified.has(SPI));
            assert_eq!(host.plane.inbound_spis(), [SPI]);
        }
    }

    #[test]
    fn a_moved_sa_of_a_group_keeps_its_key() {
        for mut host in Host::both() {
            let group = "224.0.0.9";
            host.plane.install_qualified(NOW, key(group, None), &sa(2, Direction::Inbound, 2)).unwrap();
            let to = from("203.0.113.1", group);
            let change = Change::Move { child: ChildId(2), path: to, encapsulation: Encapsulation::None };
            host.plane.apply(NOW, &change).unwrap();
            assert_eq!(host.arrives(2, from("198.51.100.4", group)), [Ok(ChildId(2)); 3]);
            assert_eq!(host.arrives(1, from("198.51.100.4", "192.0.2.1")), [Ok(ChildId(1)); 3]);
        }
    }

    #[test]
    fn keys_that_are_none() {
        let [host, _] = Host::both();
        let two = sa(2, Direction::Inbound, 2);
        let refused = |key| host.plane.install_qualified(NOW, key, &two);
        assert_eq!(refused(InboundKey { src: Some(ip("192.0.2.2")), ..InboundKey::spi(SPI) }), Err(PlaneError::Spi));
        assert_eq!(refused(InboundKey { spi: Spi(0x1234), ..key("224.0.0.9", None) }), Err(PlaneError::Spi));
        assert_eq!(refused(InboundKey::spi(SPI)), Err(PlaneError::Spi));
        host.plane.install_qualified(NOW, key("224.0.0.9", None), &two).unwrap();
        let three = sa(3, Direction::Inbound, 3);
        assert_eq!(host.plane.install_qualified(NOW, key("224.0.0.9", None), &three), Err(PlaneError::Spi));
    }
}
