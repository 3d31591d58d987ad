//! Choosing and changing the path of an IKE SA (RFC 4555 §3.2, §3.5, §3.10; RFC 7296 §2.23): what arrived where, what
//! the host's addresses are, and which pairs of addresses are tried when nothing is answered.

use super::{IkeSa, Intent, Lifecycle};
use crate::exchange::{Cx, Draft, InFlight, SaCore, mobility};
use crate::ids::Role;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use ravelin_sa_db::{ChildId, Path};

/// Unanswered transmissions after which other pairs of addresses are tried too.
const PROBE_AFTER: u32 = 2;
/// Most pairs of addresses that are tried at once.
const MAX_PAIRS: usize = 8;

impl IkeSa {
    /// An authentic message came on this path; `probed`: it answers what was sent over several pairs of addresses.
    pub(super) fn came_on(&mut self, cx: &mut Cx<'_>, path: Path, probed: bool) {
        if path == self.core.path || self.life != Lifecycle::Established {
            return;
        }
        if !self.core.agreed.mobike {
            mobility::follow(cx, &mut self.core, path, false);
        } else if probed && self.core.first_role == Role::Initiator {
            // This path works, the one in use was silent. Without probes an answer on another path is only one that was
            // under way when we moved, which says nothing against the path that was chosen since.
            let current = self.core.path;
            if path.local.ip() != current.local.ip() || path.remote.ip() != current.remote.ip() {
                self.roam(cx, path);
            }
        }
    }

    /// Authentic ESP came on this path.
    pub(crate) fn esp_came_on(&mut self, cx: &mut Cx<'_>, child: ChildId, path: Path) {
        if self.core.child(child).is_some() && self.life == Lifecycle::Established {
            mobility::follow(cx, &mut self.core, path, true);
        }
    }

    /// True when this side may choose the path.
    pub(crate) fn may_roam(&self) -> bool {
        self.life == Lifecycle::Established && self.core.agreed.mobike && self.core.first_role == Role::Initiator
    }

    /// As initiator: moves to `path` and tells the peer as soon as the window has room. What is on the wire is sent
    /// again at once.
    pub(crate) fn roam(&mut self, cx: &mut Cx<'_>, path: Path) {
        mobility::relocate(cx, &mut self.core, path, None);
        self.core.mobility.update_due = true;
        for flying in self.send.iter_mut() {
            flying.next_at = cx.now.mono;
            flying.probed = false;
        }
        self.pump(cx);
    }

    /// The host has other addresses than before.
    pub(crate) fn addresses_changed(&mut self, cx: &mut Cx<'_>) {
        if self.life != Lifecycle::Established || !self.core.agreed.mobike {
            return;
        }
        let here = self.core.path.local.ip();
        let gone = !cx.addresses.contains(&here);
        match self.core.first_role {
            Role::Initiator => {
                let best = pairs(&self.core, cx).into_iter().next();
                match best {
                    Some(best) if best != self.core.path && (gone || cx.config.prefer_best_path) => {
                        return self.roam(cx, best);
                    }
                    _ => {}
                }
            }
            Role::Responder => {
                let other = cx.addresses.iter().find(|a| a.is_ipv4() == here.is_ipv4());
                if let (true, Some(other)) = (gone, other) {
                    // Only the initiator moves traffic; it hears from the new address what is gone (RFC 4555 §3.6).
                    self.core.mobility.esp_path = Some(self.core.mobility.esp_path.unwrap_or(self.core.path));
                    self.core.path.local.set_ip(*other);
                }
            }
        }
        if self.core.mobility.told != cx.addresses {
            self.want(cx, Intent::AnnounceAddresses);
        }
    }

    /// Sends an unanswered request over the other pairs of addresses as well (RFC 4555 §3.10), if it is time and there
    /// are any.
    pub(super) fn probe_paths(&mut self, cx: &mut Cx<'_>, sent: u32, datagrams: &[Vec<u8>]) -> bool {
        if sent < PROBE_AFTER || !self.may_roam() {
            return false;
        }
        let current = self.core.path;
        let others: Vec<Path> = pairs(&self.core, cx).into_iter().filter(|path| *path != current).collect();
        for path in &others {
            self.transmit(cx, *path, datagrams);
        }
        !others.is_empty()
    }

    /// What the exchanges found out about paths becomes intents.
    pub(super) fn queue_moves(&mut self) {
        if self.may_roam() && self.core.agreed.nat.local && !self.core.mobility.mapping_asked {
            self.core.mobility.mapping_asked = true;
            self.queue.push(Intent::Liveness { asked: false });
        }
        if self.core.mobility.update_due {
            self.queue.push(Intent::UpdateAddresses);
        }
        if self.core.mobility.check_due.is_some() {
            self.queue.push(Intent::CheckRoute);
        }
    }

    /// Starts an INFORMATIONAL about paths.
    pub(super) fn ask_about_paths(
        &mut self,
        cx: &mut Cx<'_>,
        make: impl FnOnce(&mut Cx<'_>, &mut SaCore) -> (InFlight, Draft),
    ) {
        let (inflight, draft) = make(cx, &mut self.core);
        self.request(cx, inflight, draft);
    }
}

/// The pairs of our and the peer's addresses, best first: our order, then the peer's address in use, then its others.
fn pairs(core: &SaCore, cx: &Cx<'_>) -> Vec<Path> {
    let current = core.path;
    let own = [current.local.ip()];
    let mine: &[IpAddr] = if cx.addresses.is_empty() { &own } else { cx.addresses };
    let mut out = Vec::new();
    let theirs = ::core::iter::once(current.remote)
        .chain(core.mobility.peer_addrs.iter().map(|a| SocketAddr::new(*a, cx.config.ports.remote_nat_t)));
    let theirs: Vec<SocketAddr> = theirs.collect();
    for local in mine {
        for remote in theirs.iter().filter(|r| r.is_ipv4() == local.is_ipv4()) {
            let path = Path { local: SocketAddr::new(*local, current.local.port()), remote: *remote };
            if out.len() < MAX_PAIRS && !out.contains(&path) {
                out.push(path);
            }
        }
    }
    out
}
