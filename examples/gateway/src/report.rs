//! What people read: log lines of the node's events, and the text of `gateway show`. Keys appear in neither.

use ravelin::db::{Db, Encapsulation, Now, PeerId, PolicyId, TrafficSelector};
use ravelin::ike::endpoint::{ChildSnapshot, SaSnapshot};
use ravelin::{Event, Node};
use std::fmt::Write as _;
use std::time::Duration;

fn peer_name(db: &Db, id: PeerId) -> String {
    db.pad.peer(id).map_or_else(|| id.to_string(), |p| p.name.clone())
}

fn child_name(db: &Db, id: PolicyId) -> String {
    db.spd.policy(id).map_or_else(|| id.to_string(), |p| p.name.clone())
}

fn list(selectors: &[TrafficSelector]) -> String {
    selectors.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// One line in the log for an event.
pub(crate) fn event(event: &Event, db: &Db) {
    match event {
        Event::Established(e) => {
            let (peer, role, nat) = (peer_name(db, e.peer), e.role, nat(e.nat));
            tracing::info!(sa = %e.sa, peer, path = %e.path, %role, nat, proposal = e.proposal, "IKE SA up: {} === {}", e.local_id, e.remote_id);
        }
        Event::ChildEstablished(e) => {
            let (name, ts) = (child_name(db, e.policy), format!("{} === {}", list(&e.local_ts), list(&e.remote_ts)));
            tracing::info!(sa = %e.sa, child = %e.child, name, spi_in = %e.spi_in, spi_out = %e.spi_out, proposal = e.proposal, "Child SA up: {ts}");
        }
        Event::ChildClosed { sa, child, reason } => tracing::info!(%sa, %child, "Child SA down: {reason}"),
        Event::ChildRefused { sa, policy, reason } => {
            let name = policy.map(|p| child_name(db, p)).unwrap_or_default();
            tracing::warn!(%sa, name, "Child SA refused: {reason}");
        }
        Event::Rekeyed { old, new } => tracing::info!(%old, %new, "IKE SA rekeyed"),
        Event::ChildRekeyed { sa, old, new } => tracing::info!(%sa, %old, %new, "Child SA rekeyed"),
        Event::Moved { sa, path } => tracing::info!(%sa, %path, "moved"),
        Event::Alive { sa } => tracing::info!(%sa, "the peer is alive"),
        Event::Closed { sa, peer, reason } => {
            let peer = peer.map(|p| peer_name(db, p)).unwrap_or_default();
            tracing::info!(%sa, peer, "IKE SA closed: {reason}");
        }
        Event::Noted { sa, path, reason } => {
            let sa = sa.map(|s| s.to_string()).unwrap_or_default();
            tracing::warn!(sa, %path, "{reason}");
        }
        Event::IkeKeys(_) | Event::ChildKeys { .. } => {}
        other => tracing::info!("{other:?}"),
    }
}

fn nat((local, remote): (bool, bool)) -> &'static str {
    match (local, remote) {
        (false, false) => "none",
        (true, false) => "ours",
        (false, true) => "theirs",
        (true, true) => "both",
    }
}

/// All SAs and counters, for `gateway show`.
pub(crate) fn show(node: &Node, now: Now) -> String {
    let mut s = String::new();
    let sas = node.snapshot(now.mono);
    for sa in &sas {
        ike_sa(&mut s, sa);
        for child in &sa.children {
            child_sa(&mut s, child, node);
        }
    }
    let _ = writeln!(s, "{} SAs; {}", sas.len(), counters(node));
    let drops: Vec<_> = node.plane().drops().iter().map(|(why, n)| format!("{n} {why}")).collect();
    if !drops.is_empty() {
        let _ = writeln!(s, "ESP packets dropped: {}", drops.join(", "));
    }
    s
}

fn counters(node: &Node) -> String {
    let c = node.counters();
    let mut parts = vec![format!("{} IKE messages taken", c.handled)];
    let others = [
        (c.repeated, "answers repeated"),
        (c.malformed, "malformed"),
        (c.wrong_version, "of another version"),
        (c.unknown_spi, "for unknown SAs"),
        (c.unexpected, "unexpected"),
        (c.not_authentic, "not authentic"),
        (c.cookies_demanded, "cookies demanded"),
        (c.cookies_wrong, "wrong cookies"),
        (c.over_limit, "over the limits"),
        (c.refused, "refused"),
        (node.held_dropped(), "packets waited for an SA in vain"),
    ];
    parts.extend(others.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
    parts.join(", ")
}

fn ike_sa(s: &mut String, sa: &SaSnapshot) {
    let state = format!("{:?}", sa.state).to_lowercase();
    let for_ = sa.established.map(|d| format!(" for {}", age(d))).unwrap_or_default();
    let _ = writeln!(s, "{} {}: {state}{for_}, {}, {}, NAT: {}", sa.id, sa.peer_name, sa.role, sa.path, nat(sa.nat));
    let id = |i: &Option<ravelin::db::Identity>| i.as_ref().map_or("?".to_owned(), ToString::to_string);
    let _ = writeln!(
        s,
        "  {} === {}, SPIs {:016x} {:016x}, {}",
        id(&sa.local_id),
        id(&sa.remote_id),
        sa.spis.0,
        sa.spis.1,
        sa.proposal
    );
}

fn child_sa(s: &mut String, c: &ChildSnapshot, node: &Node) {
    let carried = match c.encapsulation {
        Encapsulation::Udp => "ESP in UDP",
        Encapsulation::Tcp => "ESP in TCP",
        Encapsulation::None => "ESP",
    };
    let name = child_name(node.db(), c.policy);
    let _ = writeln!(s, "  {} {name}: {} === {}", c.id, list(&c.local_ts), list(&c.remote_ts));
    let _ = writeln!(s, "    {carried}, {:?} mode, {}, for {}", c.mode, c.proposal, age(c.age));
    let Some(stats) = node.stats(c.id) else { return };
    for (way, d) in [("in ", stats.inbound), ("out", stats.outbound)] {
        let Some(d) = d else { continue };
        let drops: Vec<_> = d.drops.iter().map(|(why, n)| format!(", {n} dropped: {why}")).collect();
        let _ = writeln!(s, "    {way} SPI {}: {} packets, {} octets{}", d.spi, d.packets, d.bytes, drops.concat());
    }
}

fn age(d: Duration) -> String {
    match d.as_secs() {
        s @ 0..60 => format!("{s} s"),
        s @ 60..3600 => format!("{} min {} s", s / 60, s % 60),
        s => format!("{} h {} min", s / 3600, s % 3600 / 60),
    }
}
