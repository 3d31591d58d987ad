//! Keys of a `[[peer]]` and a `[[peer.child]]` about how they live: times, liveness, addresses, what is done at the
//! beginning and at the end. To add a key: one line here, one in docs/gateway.md.

use super::document::{Result, Section};
use super::words;
use ravelin::db::pad::{Childless, NatTraversal, Uniqueness};
use ravelin::db::spd::{CloseAction, StartAction};
use ravelin::db::{AddrRange, Db, Peer, Protect};
use std::time::Duration;

/// Addresses: where the peer may speak from, MOBIKE, NAT, inner addresses either way.
pub(super) fn addresses(s: &Section<'_>, peer: &mut Peer, db: &Db) -> Result<()> {
    let what = "addresses such as \"192.0.2.0/24\"";
    let from = s.texts("remote_addrs", what)?;
    if !from.is_empty() {
        peer.remote_addrs = from.iter().map(|f| f.parse(what, AddrRange::parse)).collect::<Result<_>>()?;
    }
    peer.mobike = s.parsed("mobike", words::YES_NO, peer.mobike, words::yes_no)?;
    peer.fragmentation = s.parsed("fragmentation", words::YES_NO, peer.fragmentation, words::yes_no)?;
    let what = "\"auto\", \"always\", \"never\" or \"forbid\"";
    peer.nat_traversal = s.parsed("encapsulation", what, NatTraversal::Auto, |t| match t {
        "auto" => Some(NatTraversal::Auto),
        "always" => Some(NatTraversal::Force),
        "never" => Some(NatTraversal::Never),
        "forbid" => Some(NatTraversal::Forbid),
        _ => None,
    })?;
    let what = "\"ipv4\", \"ipv6\" or both";
    for field in s.texts("virtual_ip", what)? {
        if peer.remote.is_none() {
            return Err(field.error("the peer's remote is \"any\", so only it can start, and only who starts can ask"));
        }
        match field.value {
            "ipv4" => peer.request_v4 = true,
            "ipv6" => peer.request_v6 = true,
            _ => return Err(field.expected(what)),
        }
    }
    for field in s.texts("pools", "names of [[pool]]s")? {
        if db.pools.pool(field.value).is_none() {
            return Err(field.expected("the name of a [[pool]] of this file"));
        }
        peer.pools.push(field.value.to_owned());
    }
    Ok(())
}

/// Times and habits of the IKE SA.
pub(super) fn of_peer(s: &Section<'_>, peer: &mut Peer) -> Result<()> {
    let time = |key, default| s.parsed(key, words::DURATION, default, words::duration);
    let t = &mut peer.times;
    t.rekey = time("rekey_time", t.rekey)?;
    t.reauth = time("reauth_time", t.reauth)?;
    // the randomness that strongSwan has, unless it is said
    t.jitter = time("rekey_jitter", shortest(t.rekey, t.reauth) / 10)?;
    t.over = time("over_time", (t.rekey.max(t.reauth) / 10).max(Duration::from_secs(1)))?;
    t.dpd = time("dpd_delay", Duration::from_secs(30))?;
    t.keepalive = time("nat_keepalive", t.keepalive)?;
    let what = "\"never\", \"allow\" or \"prefer\"";
    peer.childless = s.parsed("childless", what, peer.childless, |t| match t {
        "never" => Some(Childless::Never),
        "allow" => Some(Childless::Allow),
        "prefer" => Some(Childless::Prefer),
        _ => None,
    })?;
    let what = "\"no\", \"replace\", \"keep\" or \"never\"";
    peer.uniqueness = s.parsed("unique", what, peer.uniqueness, |t| match t {
        "no" => Some(Uniqueness::InitialContact),
        "replace" => Some(Uniqueness::Replace),
        "keep" => Some(Uniqueness::Keep),
        "never" => Some(Uniqueness::Never),
        _ => None,
    })?;
    peer.keying_tries = s.integer("keying_tries", 0..=1_000_000, peer.keying_tries)?;
    Ok(())
}

fn shortest(a: Duration, b: Duration) -> Duration {
    [a, b].into_iter().filter(|d| !d.is_zero()).min().unwrap_or_default()
}

/// Limits and actions of a Child SA.
pub(super) fn of_child(s: &Section<'_>, protect: &mut Protect) -> Result<()> {
    let time = |key, default| s.parsed(key, words::DURATION, default, words::duration);
    let t = &mut protect.times;
    t.rekey = time("rekey_time", t.rekey)?;
    t.hard = time("life_time", t.rekey + t.rekey / 10)?;
    t.jitter = time("rekey_jitter", t.rekey / 10)?;
    if !t.hard.is_zero() && t.hard <= t.rekey {
        let what = "a time after rekey_time";
        return Err(s.text("life_time", what)?.map_or_else(|| s.missing("life_time", what), |f| f.expected(what)));
    }
    let count = |key| s.integer(key, 0..=i64::MAX, 0);
    let l = &mut protect.lifetime;
    (l.soft.bytes, l.hard.bytes) = (count("rekey_bytes")?, count("life_bytes")?);
    (l.soft.packets, l.hard.packets) = (count("rekey_packets")?, count("life_packets")?);
    let what = "\"clear\", \"trap\" or \"restart\"";
    protect.dpd = s.parsed("dpd_action", what, protect.dpd, |t| match t {
        "clear" => Some(CloseAction::None),
        "trap" => Some(CloseAction::Trap),
        "restart" => Some(CloseAction::Start),
        _ => None,
    })?;
    let what = "\"none\", \"trap\" or \"start\"";
    protect.close = s.parsed("close_action", what, protect.close, |t| match t {
        "none" => Some(CloseAction::None),
        "trap" => Some(CloseAction::Trap),
        "start" => Some(CloseAction::Start),
        _ => None,
    })?;
    Ok(())
}

pub(super) const START: &str = "\"none\", \"start\" or \"trap\"";

pub(super) fn start_action(t: &str) -> Option<StartAction> {
    match t {
        "none" => Some(StartAction::None),
        "start" => Some(StartAction::Start),
        "trap" => Some(StartAction::Trap),
        _ => None,
    }
}
