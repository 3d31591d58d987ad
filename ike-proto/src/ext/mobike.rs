//! MOBIKE (RFC 4555), the part that is payloads: address lists, and the check that no NAT changed a datagram.
//! What is done with them is in `exchange/mobility.rs`.

use crate::registry::NotifyType;
use crate::wire::notify::{AdditionalIp4Address, AdditionalIp6Address, NoNatsAllowed, NotifyData};
use crate::wire::payload::{Notify, Payload};
use alloc::vec::Vec;
use core::net::IpAddr;
use ravelin_sa_db::Path;

/// Most addresses of a peer that are kept, and that are told.
pub const MAX_ADDRESSES: usize = 16;

/// One notify per address besides `used`, or NO_ADDITIONAL_ADDRESSES (RFC 4555 §3.6).
#[must_use]
pub fn list(addresses: &[IpAddr], used: IpAddr) -> Vec<Payload> {
    let others: Vec<Payload> = addresses
        .iter()
        .filter(|a| **a != used)
        .take(MAX_ADDRESSES)
        .map(|a| match a {
            IpAddr::V4(a) => AdditionalIp4Address(*a).to_notify(),
            IpAddr::V6(a) => AdditionalIp6Address(*a).to_notify(),
        })
        .map(Payload::Notify)
        .collect();
    if others.is_empty() {
        return alloc::vec![Payload::Notify(Notify::new(NotifyType::NO_ADDITIONAL_ADDRESSES, Vec::new()))];
    }
    others
}

/// The sender's other addresses; `None` when the message says nothing about them. A list replaces the one before.
pub fn read_list<'a>(notifies: impl Iterator<Item = &'a Notify>) -> Option<Vec<IpAddr>> {
    let mut said = false;
    let mut out: Vec<IpAddr> = Vec::new();
    for n in notifies {
        let addr: Option<IpAddr> = if let Some(a) = n.typed::<AdditionalIp4Address>() {
            a.ok().map(|a| a.0.into())
        } else if let Some(a) = n.typed::<AdditionalIp6Address>() {
            a.ok().map(|a| a.0.into())
        } else if n.kind == NotifyType::NO_ADDITIONAL_ADDRESSES {
            None
        } else {
            continue;
        };
        said = true;
        out.extend(addr.filter(|a| out.len() < MAX_ADDRESSES && !a.is_unspecified() && !out.contains(a)));
    }
    said.then_some(out)
}

/// NO_NATS_ALLOWED for a datagram that is sent on `path`.
#[must_use]
pub fn no_nats(path: Path) -> Option<Payload> {
    NoNatsAllowed::new(path.local, path.remote).map(|n| Payload::Notify(n.to_notify()))
}

/// False when the sender forbids NATs and there is one, or its notify is broken (RFC 4555 §3.9). `path` is where the
/// datagram came on.
pub fn nats_are_fine<'a>(mut notifies: impl Iterator<Item = &'a Notify>, path: Path) -> bool {
    notifies
        .find_map(|n| n.typed::<NoNatsAllowed>())
        .is_none_or(|n| n.is_ok_and(|n| Some(n) == NoNatsAllowed::new(path.remote, path.local)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notifies(list: &[Payload]) -> impl Iterator<Item = &Notify> {
        list.iter().filter_map(|p| if let Payload::Notify(n) = p { Some(n) } else { None })
    }

    fn addrs(list: &[&str]) -> Vec<IpAddr> {
        list.iter().map(|a| a.parse().unwrap()).collect()
    }

    #[test]
    fn lists_leave_out_the_address_in_use() {
        let mine = addrs(&["192.0.2.1", "2001:db8::1", "192.0.2.9"]);
        let told = list(&mine, mine[0]);
        assert_eq!(read_list(notifies(&told)), Some(addrs(&["2001:db8::1", "192.0.2.9"])));
        let none = list(&mine[..1], mine[0]);
        assert_eq!(read_list(notifies(&none)), Some(Vec::new()));
        assert_eq!(read_list(notifies(&[])), None);
    }

    #[test]
    fn a_nat_between_shows() {
        let path = |l: &str, r: &str| Path { local: l.parse().unwrap(), remote: r.parse().unwrap() };
        let sent = no_nats(path("192.0.2.1:4500", "192.0.2.2:4500")).unwrap();
        let sent = [sent];
        assert!(nats_are_fine(notifies(&sent), path("192.0.2.2:4500", "192.0.2.1:4500")));
        assert!(!nats_are_fine(notifies(&sent), path("192.0.2.2:4500", "192.0.2.1:4501")));
        assert!(nats_are_fine(notifies(&[]), path("192.0.2.2:4500", "192.0.2.1:4501")));
        let broken = [Payload::Notify(Notify::new(NotifyType::NO_NATS_ALLOWED, alloc::vec![1]))];
        assert!(!nats_are_fine(notifies(&broken), path("192.0.2.2:4500", "192.0.2.1:4501")));
    }
}
