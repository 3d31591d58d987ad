//! `[[pool]]`: inner addresses for peers, and what they are told along with one (RFC 7296 §3.15, RFC 8598). To add a
//! thing that is told: one line here, one in docs/gateway.md.

use super::document::{Field, Result, Section};
use super::{NAME, is_name};
use ravelin::db::{AddrRange, Db, Pool};
use std::net::{IpAddr, Ipv4Addr};

const RANGE: &str = "addresses such as \"10.3.0.0/24\", \"10.3.0.10-10.3.0.99\" or \"fd03::/120\"";
const SUBNET: &str = "a prefix such as \"10.1.0.0/16\"";

pub(super) fn read(s: Section<'_>, db: &mut Db) -> Result<()> {
    let name = s.needed("name", NAME)?;
    let text = name.parse(NAME, |t| is_name(t).then(|| t.to_owned()))?;
    let fields = s.texts("addrs", RANGE)?;
    if fields.is_empty() {
        return Err(s.missing("addrs", RANGE));
    }
    let ranges: Vec<_> = fields.iter().map(|f| f.parse(RANGE, range)).collect::<Result<_>>()?;
    let mut pool = Pool::new(text, ranges);
    let info = &mut pool.info;
    info.netmask = s.text("netmask", "a netmask such as \"255.255.255.0\"")?.map(|f| mask(&f)).transpose()?;
    info.prefix_v6 = s.integer("prefix_v6", 1..=128, 128)?;
    info.dns = list(&s, "dns", "IP addresses of DNS servers", |t| t.parse::<IpAddr>().ok())?;
    info.nbns = list(&s, "nbns", "IPv4 addresses of NetBIOS name servers", |t| t.parse::<Ipv4Addr>().ok())?;
    info.dhcp = list(&s, "dhcp", "IP addresses of DHCP servers", |t| t.parse::<IpAddr>().ok())?;
    info.subnets = list(&s, "subnets", SUBNET, |t| AddrRange::parse(t).filter(|r| r.prefix_len().is_some()))?;
    let domain = |t: &str| (!t.is_empty() && t.len() < 254 && t.is_ascii()).then(|| t.to_owned());
    info.domains = list(&s, "domains", "DNS names such as \"example.org\"", domain)?;
    s.finish()?;
    if db.pools.add(pool) { Ok(()) } else { Err(name.error("two pools have this name; expected unique names")) }
}

/// Of a subnet only what hosts may have.
fn range(text: &str) -> Option<AddrRange> {
    match text.split_once('/') {
        Some((addr, len)) => Pool::hosts(addr.parse().ok()?, len.parse().ok()?),
        None => AddrRange::parse(text),
    }
}

fn mask(field: &Field<'_, &str>) -> Result<Ipv4Addr> {
    let contiguous = |m: &Ipv4Addr| m.to_bits().leading_ones() == m.to_bits().count_ones();
    field.parse("a netmask such as \"255.255.255.0\"", |t| t.parse().ok().filter(contiguous))
}

fn list<T>(s: &Section<'_>, key: &'static str, what: &str, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>> {
    s.texts(key, what)?.iter().map(|f| f.parse(what, &read)).collect()
}
