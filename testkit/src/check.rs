//! What scripts ask and assert about nodes: who is up, equal keys on both sides, nothing left over.

use crate::host::Host;
use crate::sim::Sim;
use ravelin::db::{CipherSuite, Encapsulation, Mode};
use ravelin::ike::endpoint::{ChildSnapshot, SaSnapshot};
use ravelin::ike::ids::IkeSaId;
use ravelin::ike::sa::{Lifecycle, Why};
use ravelin::{ChildId, Event, Reason};

impl Sim {
    /// The IKE SAs of a host.
    #[must_use]
    pub fn sas(&self, host: Host) -> Vec<SaSnapshot> {
        self.node(host).snapshot(self.time_of(host).mono)
    }

    /// Ids of the IKE SAs of a host with another, oldest first.
    #[must_use]
    pub fn ike_sas(&self, host: Host, with: Host) -> Vec<IkeSaId> {
        let peer = self.connection(host, with).0;
        self.sas(host).iter().filter(|sa| sa.peer == Some(peer)).map(|sa| sa.id).collect()
    }

    /// Established IKE SAs of a host.
    #[must_use]
    pub fn established(&self, host: Host) -> Vec<SaSnapshot> {
        self.sas(host).into_iter().filter(|sa| sa.state == Lifecycle::Established).collect()
    }

    /// Child SAs of a host, on all its IKE SAs.
    #[must_use]
    pub fn children(&self, host: Host) -> Vec<ChildSnapshot> {
        self.sas(host).into_iter().flat_map(|sa| sa.children).collect()
    }

    /// True when both hosts have an established IKE SA with the same SPIs and a Child SA pair that fits on it.
    #[must_use]
    pub fn is_up(&self, a: Host, b: Host) -> bool {
        let theirs = self.established(b);
        self.established(a).iter().any(|x| {
            theirs.iter().filter(|y| y.spis == x.spis).any(|y| {
                let fits =
                    |c: &ChildSnapshot| y.children.iter().any(|d| (c.spi_in, c.spi_out) == (d.spi_out, d.spi_in));
                x.children.iter().any(fits)
            })
        })
    }

    /// True when the host has no IKE SA at all.
    #[must_use]
    pub fn is_down(&self, host: Host) -> bool {
        self.node(host).is_idle()
    }

    /// Why the last IKE SA or attempt of a host ended.
    #[must_use]
    pub fn closed_because(&self, host: Host) -> Option<&Reason> {
        self.events(host).iter().rev().find_map(|(_, e)| match e {
            Event::Closed { reason, .. } => Some(reason),
            _ => None,
        })
    }

    /// Why the last Child SA of a host was refused.
    #[must_use]
    pub fn child_refused_because(&self, host: Host) -> Option<&Reason> {
        self.events(host).iter().rev().find_map(|(_, e)| match e {
            Event::ChildRefused { reason, .. } => Some(reason),
            _ => None,
        })
    }

    /// What was noted last without ending anything.
    #[must_use]
    pub fn noted(&self, host: Host) -> Option<&Reason> {
        self.events(host).iter().rev().find_map(|(_, e)| match e {
            Event::Noted { reason, .. } => Some(reason),
            _ => None,
        })
    }

    /// Number of events that fit.
    #[must_use]
    pub fn count_events(&self, host: Host, fits: impl Fn(&Event) -> bool) -> usize {
        self.events(host).iter().filter(|(_, e)| fits(e)).count()
    }

    /// Keys of a Child SA, inbound and outbound, as the node told them.
    #[must_use]
    pub fn child_suites(&self, host: Host, child: ChildId) -> Option<(&CipherSuite, &CipherSuite)> {
        self.host(host).keys.get(&child).map(|(i, o)| (&i.suite, &o.suite))
    }

    /// What keeps two hosts from being in step: both must have the same IKE SAs, all established, with the same Child
    /// SAs of equal keys and mirrored selectors, and nothing on the way or left over. Empty: in step.
    #[must_use]
    pub fn differences(&self, a: Host, b: Host) -> Vec<String> {
        let mut out = Vec::new();
        let (mut left, mut right) = (self.sas(a), self.sas(b));
        let key = |sa: &SaSnapshot| sa.spis;
        left.sort_by_key(key);
        right.sort_by_key(key);
        let spis = |list: &[SaSnapshot]| list.iter().map(key).collect::<Vec<_>>();
        if spis(&left) != spis(&right) {
            let text = |list: &[SaSnapshot]| {
                list.iter().map(|s| format!("{:x?} {}", s.spis, s.state.name())).collect::<Vec<_>>()
            };
            out.push(format!("IKE SAs differ: {:?} and {:?}", text(&left), text(&right)));
        }
        for (host, list) in [(a, &left), (b, &right)] {
            for sa in list.iter().filter(|sa| sa.state != Lifecycle::Established) {
                out.push(format!("{} of {} is {}", sa.id, self.name(host), sa.state.name()));
            }
        }
        for (x, y) in left.iter().zip(&right) {
            self.compare_children((a, x), (b, y), &mut out);
        }
        for host in [a, b] {
            out.extend(self.leftovers(host));
        }
        out
    }

    fn compare_children(&self, (a, x): (Host, &SaSnapshot), (b, y): (Host, &SaSnapshot), out: &mut Vec<String>) {
        if x.children.len() != y.children.len() {
            out.push(format!("{} and {} have {} and {} Child SAs", x.id, y.id, x.children.len(), y.children.len()));
        }
        for c in &x.children {
            let Some(d) = y.children.iter().find(|d| (c.spi_in, c.spi_out) == (d.spi_out, d.spi_in)) else {
                out.push(format!("{} ({} in, {} out) has no counterpart", c.id, c.spi_in, c.spi_out));
                continue;
            };
            // Each side of transport mode behind a NAT has the addresses that it sees (RFC 7296 section 2.23.1).
            let translated = c.mode == Mode::Transport && c.encapsulation == Encapsulation::Udp;
            if !translated && (&c.local_ts, &c.remote_ts) != (&d.remote_ts, &d.local_ts) {
                out.push(format!("{} and {} have other selectors", c.id, d.id));
            }
            if (c.mode, c.encapsulation) != (d.mode, d.encapsulation) {
                out.push(format!("{} and {} are carried differently", c.id, d.id));
            }
            match (self.child_suites(a, c.id), self.child_suites(b, d.id)) {
                (Some((ci, co)), Some((di, dout))) => {
                    if (ci, co) != (dout, di) {
                        out.push(format!("{} and {} have other keys", c.id, d.id));
                    }
                }
                _ => out.push(format!("keys of {} and {} were not told", c.id, d.id)),
            }
        }
    }

    /// What a host has left over: requests on the wire, SPIs without an SA, SAs in the plane without a Child SA.
    #[must_use]
    pub fn leftovers(&self, host: Host) -> Vec<String> {
        let (mut out, name, node) = (Vec::new(), self.name(host), self.node(host));
        let children = self.children(host);
        for sa in self.sas(host) {
            if sa.next.1 == Why::Retransmit {
                out.push(format!("{name}: {} waits for an answer", sa.id));
            }
        }
        if node.db().spis.len() != children.len() {
            out.push(format!("{name}: {} SPIs are taken by {} Child SAs", node.db().spis.len(), children.len()));
        }
        let plane: Vec<ChildId> = node.plane().all_stats().iter().map(|s| s.child).collect();
        let mut known: Vec<ChildId> = children.iter().map(|c| c.id).collect();
        known.sort();
        if plane != known {
            out.push(format!("{name}: the plane has {plane:?}, IKE has {known:?}"));
        }
        out
    }

    /// Both hosts have the same SAs with equal keys, and nothing is left over.
    ///
    /// # Panics
    /// When they have not.
    pub fn assert_in_step(&self, a: Host, b: Host) {
        let differences = self.differences(a, b);
        assert!(differences.is_empty(), "not in step:\n{}", differences.join("\n"));
    }

    /// Runs until both hosts are in step, at most three minutes: exchanges that happen to be on the wire end first.
    ///
    /// # Panics
    /// When they are not by then.
    pub fn settle(&mut self, a: Host, b: Host) {
        if !self.wait(std::time::Duration::from_secs(180), |sim| sim.differences(a, b).is_empty()) {
            self.assert_in_step(a, b);
        }
    }

    /// Exactly one established IKE SA with exactly one Child SA, in step.
    ///
    /// # Panics
    /// When it is not so.
    pub fn assert_up(&self, a: Host, b: Host) {
        assert!(self.is_up(a, b), "not up: {:?} and {:?}", self.sas(a), self.sas(b));
        assert_eq!((self.sas(a).len(), self.children(a).len()), (1, 1), "IKE SAs and Child SAs of {}", self.name(a));
        self.assert_in_step(a, b);
    }

    /// No SA, no SPI, no timer is left.
    ///
    /// # Panics
    /// When something is.
    pub fn assert_down(&self, host: Host) {
        let name = self.name(host);
        assert!(self.is_down(host), "{name} still has {:?}", self.sas(host));
        assert_eq!(self.leftovers(host), Vec::<String>::new());
        assert_eq!(self.node(host).deadline(), None, "{name} still waits for something");
    }

    /// A ping goes through and is answered.
    ///
    /// # Panics
    /// When it is not.
    pub fn expect_ping(&mut self, from: Host, to: Host) {
        let answered = self.ping(from, to).is_some();
        assert!(answered, "no answer to a ping from {} to {}", self.name(from), self.name(to));
    }

    /// Initiates and runs until both are up and in step.
    ///
    /// # Panics
    /// When it does not come up within 165 s.
    pub fn bring_up(&mut self, a: Host, b: Host) -> IkeSaId {
        let id = self.initiate(a, b);
        self.run_until(std::time::Duration::from_secs(165), "both up", |sim| sim.is_up(a, b));
        // What the nodes tell each other right afterwards (additional addresses, say) ends first.
        self.settle(a, b);
        id
    }
}
