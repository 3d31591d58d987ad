//! What people read: log lines of the node's events, and the text of `gateway show`. Keys appear in neither.

use crate::control::What;
use crate::history::History;
use ravelin::db::spd::StartAction;
use ravelin::db::{Db, Encapsulation, Instant, Now, PeerId, PolicyId, TrafficSelector};
use ravelin::ike::endpoint::{ChildSnapshot, SaSnapshot};
use ravelin::ike::event::Assigned;
use ravelin::ike::sa::Why;
use ravelin::{Event, Node};
use std::fmt::{Display, Write as _};
use std::time::Duration;

fn peer_name(db: &Db, id: PeerId) -> String {
    db.pad.peer(id).map_or_else(|| id.to_string(), |p| p.name.clone())
}

fn child_name(db: &Db, id: PolicyId) -> String {
    db.spd.policy(id).map_or_else(|| id.to_string(), |p| p.name.clone())
}

fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|i| i.to_string()).collect::<Vec<_>>().join(" ")
}

/// The selectors of a policy's side.
fn side(selectors: &[TrafficSelector]) -> String {
    if selectors.is_empty() { "dynamic".into() } else { list(selectors) }
}

fn told(a: &Assigned) -> String {
    let mut parts = vec![list(a.addrs.iter().map(|(a, _)| a))];
    let domains = list(&a.domains);
    let dns = list(&a.dns);
    for (what, values) in [
        ("DNS", if domains.is_empty() { dns } else { format!("{dns} for {domains}") }),
        ("NBNS", list(&a.nbns)),
        ("DHCP", list(&a.dhcp)),
        ("subnets", list(&a.subnets)),
    ] {
        if !values.is_empty() {
            parts.push(format!("{what} {values}"));
        }
    }
    parts.join(", ")
}

/// One line in the log for an event.
pub(crate) fn event(event: &Event, db: &Db) {
    match event {
        Event::Established(e) => {
            let (peer, role, nat) = (peer_name(db, e.peer), e.role, nat(e.nat));
            tracing::info!(sa = %e.sa, peer, path = %e.path, %role, nat, proposal = &*e.proposal, "IKE SA up: {} === {}", e.local_id, e.remote_id);
        }
        Event::ChildEstablished(e) => {
            let (name, ts) =
                (child_name(db, e.policy), format!("{} === {}", list(e.local_ts.iter()), list(e.remote_ts.iter())));
            tracing::info!(sa = %e.sa, child = %e.child, name, spi_in = %e.spi_in, spi_out = %e.spi_out, proposal = &*e.proposal, "Child SA up: {ts}");
        }
        Event::ChildClosed { sa, child, reason } => tracing::info!(%sa, %child, "Child SA down: {reason}"),
        Event::ChildRefused { sa, policy, reason } => {
            let name = policy.map(|p| child_name(db, p)).unwrap_or_default();
            tracing::warn!(%sa, name, "Child SA refused: {reason}");
        }
        Event::Rekeyed { old, new } => tracing::info!(%old, %new, "IKE SA rekeyed"),
        Event::ChildRekeyed { sa, old, new } => tracing::info!(%sa, %old, %new, "Child SA rekeyed"),
        Event::Moved { sa, path } => tracing::info!(%sa, %path, "moved"),
        Event::Assigned { sa, assigned } => tracing::info!(%sa, "the peer assigned {}", told(assigned)),
        Event::Leased { sa, addrs } => tracing::info!(%sa, "leased {}", list(addrs)),
        Event::Suggested { sa, assigned } => tracing::info!(%sa, "not taken of the peer: {}", told(assigned)),
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

/// For `gateway show`.
pub(crate) fn show(node: &Node, history: &History, now: Now, what: What) -> String {
    let sas = if what == What::Pools || what == What::Counters { Vec::new() } else { node.snapshot(now.mono) };
    match what {
        What::Sas => all_sas(node, &sas, now),
        What::Policies => policies(node, history, &sas),
        What::Pools => pools(node.db()),
        What::Counters => totals(node),
        What::All => {
            let parts = [all_sas(node, &sas, now), policies(node, history, &sas), pools(node.db())];
            let parts = parts.into_iter().filter(|p| !p.is_empty()).map(|p| p + "\n").collect::<String>();
            parts + &format!("{} SAs; ", sas.len()) + &totals(node)
        }
    }
}

fn all_sas(node: &Node, sas: &[SaSnapshot], now: Now) -> String {
    let mut s = String::new();
    for sa in sas {
        ike_sa(&mut s, sa, now.mono);
        for child in &sa.children {
            child_sa(&mut s, child, node);
        }
    }
    s
}

/// Policies, how many Child SAs serve each, and why none does.
fn policies(node: &Node, history: &History, sas: &[SaSnapshot]) -> String {
    let mut rows = vec![["POLICY", "LOCAL", "REMOTE", "START", "SAS", "LAST DOWN"].map(String::from)];
    for p in node.db().spd.iter() {
        let Some(protect) = p.protect() else { continue };
        let up = sas.iter().flat_map(|s| &s.children).filter(|c| c.policy == p.id).count();
        let start = match protect.start {
            StartAction::None => "none",
            StartAction::Trap => "trap",
            StartAction::Start => "start",
        };
        let why = if up == 0 { history.why_down(p.id, protect.peer).unwrap_or_default() } else { "" };
        rows.push([p.name.clone(), side(&p.local), side(&p.remote), start.into(), up.to_string(), why.into()]);
    }
    aligned(&rows)
}

fn pools(db: &Db) -> String {
    let mut rows = vec![["POOL", "ADDRESSES", "IN USE", "REMEMBERED"].map(String::from)];
    for p in db.pools.iter() {
        let (used, idle) = db.pools.usage(&p.name);
        rows.push([p.name.clone(), list(&p.ranges), used.to_string(), idle.to_string()]);
    }
    if rows.len() == 1 { String::new() } else { aligned(&rows) }
}

/// Columns as wide as what is in them.
fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |at: usize| rows.iter().filter_map(|r| r.get(at)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(c, w)| format!("{c:w$}")).collect::<Vec<_>>();
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

fn totals(node: &Node) -> String {
    let mut s = counters(node) + "\n";
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
        (c.puzzles_set, "puzzles set"),
        (c.over_limit, "over the limits"),
        (c.refused, "refused"),
        (node.held_dropped(), "packets waited for an SA in vain"),
    ];
    parts.extend(others.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
    parts.join(", ")
}

fn ike_sa(s: &mut String, sa: &SaSnapshot, now: Instant) {
    let state = format!("{:?}", sa.state).to_lowercase();
    let for_ = sa.established.map(|d| format!(" for {}", age(d))).unwrap_or_default();
    let _ = writeln!(s, "{} {}: {state}{for_}, {}, {}, NAT: {}", sa.id, sa.peer_name, sa.role, sa.path, nat(sa.nat));
    let id = |i: &Option<ravelin::db::Identity>| i.as_ref().map_or("?".to_owned(), ToString::to_string);
    line(s, 2, "ids", &format!("{} === {}", id(&sa.local_id), id(&sa.remote_id)));
    line(s, 2, "SPIs", &format!("{:016x} {:016x}", sa.spis.0, sa.spis.1));
    line(s, 2, "proposal", &sa.proposal);
    if let Some(next) = next(sa.next, now) {
        line(s, 2, "next", &next);
    }
    if !sa.leased.is_empty() {
        line(s, 2, "leased", &list(&sa.leased));
    }
    if let Some(a) = &sa.assigned {
        line(s, 2, "assigned", &told(a));
    }
}

fn line(s: &mut String, indent: usize, what: &str, value: &str) {
    let _ = writeln!(s, "{:indent$}{what:9} {value}", "");
}

/// What an IKE SA does next by itself.
fn next((at, why): (Instant, Why), now: Instant) -> Option<String> {
    let what = match why {
        Why::Retransmit => "sends again",
        Why::HalfOpen => "given up",
        Why::Liveness => "asks whether the peer lives",
        Why::Keepalive => "NAT keepalive",
        Why::Rekey => "rekeys or authenticates anew",
        Why::Expire => "expires",
        _ => return None,
    };
    (at != Instant::NEVER).then(|| format!("{what} in {}", age(at.since(now))))
}

fn child_sa(s: &mut String, c: &ChildSnapshot, node: &Node) {
    let carried = match c.encapsulation {
        Encapsulation::Udp => "ESP in UDP",
        Encapsulation::Tcp => "ESP in TCP",
        Encapsulation::None => "ESP",
    };
    let name = child_name(node.db(), c.policy);
    let _ = writeln!(s, "  {} {name}: {} === {}", c.id, list(&c.local_ts), list(&c.remote_ts));
    let mode = format!("{:?}", c.mode).to_lowercase();
    line(s, 4, "mode", &format!("{mode}, {carried}, {}, for {}", c.proposal, age(c.age)));
    let Some(stats) = node.stats(c.id) else { return };
    for (way, d) in [("in", stats.inbound), ("out", stats.outbound)] {
        let Some(d) = d else { continue };
        let drops: Vec<_> = d.drops.iter().map(|(why, n)| format!(", {n} dropped: {why}")).collect();
        let text = format!("SPI {}, {:>10} packets, {:>14} octets{}", d.spi, d.packets, d.bytes, drops.concat());
        line(s, 4, way, &text);
    }
}

fn age(d: Duration) -> String {
    match d.as_secs() {
        s @ 0..60 => format!("{s} s"),
        s @ 60..3600 => format!("{} min {} s", s / 60, s % 60),
        s => format!("{} h {} min", s / 3600, s % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let rows = [["POOL", "IN USE"], ["a-long-name", "1"], ["b", ""]].map(|r| r.map(String::from));
        assert_eq!(aligned(&rows), "POOL         IN USE\na-long-name  1\nb\n");
    }

    #[test]
    fn what_was_assigned_in_words() {
        let ip = |s: &str| s.parse().unwrap();
        let mut a = Assigned { addrs: vec![(ip("10.3.0.1"), 32), (ip("fd03::1"), 128)], ..Assigned::default() };
        assert_eq!(told(&a), "10.3.0.1 fd03::1");
        a.dns = vec![ip("10.2.0.53")];
        a.domains = vec!["example.org".into(), "example.net".into()];
        assert_eq!(told(&a), "10.3.0.1 fd03::1, DNS 10.2.0.53 for example.org example.net");
    }
}
