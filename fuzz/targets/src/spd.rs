//! Policies come, change and go; every lookup is compared with a scan over a list in order.

use arbitrary::{Arbitrary, Unstructured};
use ravelin::db::spd::order::rank;
use ravelin::db::spd::{Action, Directions, FlowCache, Policy, Priority, Protect, Scope, Spd};
use ravelin::db::{AddrRange, Direction, PacketKey, PeerId, PolicyId, PortRange, TrafficSelector};
use std::net::IpAddr;

#[derive(Arbitrary, Debug)]
enum Op {
    Add(Row),
    Replace(u8, Row),
    Remove(u8),
    Look(Look),
}

#[derive(Arbitrary, Debug, Clone, Copy)]
struct Row {
    local: Side,
    remote: Side,
    action: u8,
    directions: u8,
    priority: Option<u8>,
    if_id: bool,
}

#[derive(Arbitrary, Debug, Clone, Copy)]
struct Side {
    v6: bool,
    first: u8,
    last: u8,
    shift: u8,
    protocol: u8,
    ports: (u8, u8),
    kind: u8,
}

#[derive(Arbitrary, Debug, Clone, Copy)]
struct Look {
    inbound: bool,
    v6: bool,
    local: u8,
    remote: u8,
    low: u8,
    protocol: u8,
    ports: Option<(u8, u8)>,
    if_id: bool,
}

fn address(v6: bool, high: u8, low: u8) -> IpAddr {
    if v6 {
        IpAddr::from([0xfd00, 0, 0, u16::from(high), 0, 0, 0, u16::from(low)])
    } else {
        IpAddr::from([10, high, 0, low])
    }
}

const PROTOCOLS: [u8; 4] = [0, 6, 17, 1];

impl Side {
    fn selector(self) -> Option<TrafficSelector> {
        let (first, last) = (self.first.min(self.last), self.first.max(self.last));
        let addrs = match self.kind % 4 {
            0 => AddrRange::prefix(address(self.v6, first, 0), self.shift % if self.v6 { 129 } else { 33 })?,
            1 => AddrRange::host(address(self.v6, first, self.shift)),
            _ => AddrRange::new(address(self.v6, first, self.shift), address(self.v6, last, 255))?,
        };
        let protocol = PROTOCOLS[usize::from(self.protocol) % 4];
        let ports = match self.kind % 3 {
            _ if protocol == 0 => PortRange::ANY,
            0 => PortRange::new(self.ports.0.min(self.ports.1).into(), self.ports.0.max(self.ports.1).into())?,
            1 => PortRange::Opaque,
            _ => PortRange::ANY,
        };
        Some(TrafficSelector { addrs, protocol, ports })
    }
}

impl Row {
    fn policy(self, name: String) -> Option<Policy> {
        let action = match self.action % 3 {
            0 => Action::Bypass,
            1 => Action::Discard,
            _ => Action::from(Protect::new(PeerId(1))),
        };
        let mut policy = Policy::new(name, vec![self.local.selector()?], vec![self.remote.selector()?], action);
        if self.action % 3 != 2 {
            policy.directions =
                [Directions::Both, Directions::Inbound, Directions::Outbound][usize::from(self.directions) % 3];
        }
        if let Some(p) = self.priority {
            policy.priority = Priority::At(u32::from(p));
        }
        policy.if_id = self.if_id.into();
        Some(policy)
    }
}

/// The naive model: policies with the number of their arrival; the smallest (rank, arrival) that matches decides.
#[derive(Default)]
struct Model(Vec<(PolicyId, u64, Policy)>);

impl Model {
    fn look(&self, direction: Direction, key: &PacketKey, scope: &Scope) -> Option<PolicyId> {
        let fits = self.0.iter().filter(|(.., p)| p.matches(direction, key, scope));
        fits.min_by_key(|(_, n, p)| (rank(p), *n)).map(|(id, ..)| *id)
    }
}

pub(crate) fn run(data: &[u8]) {
    let Ok(ops) = Vec::<Op>::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let (mut spd, mut model, mut count) = (Spd::new(), Model::default(), 0u64);
    let mut cache = FlowCache::new(Direction::Outbound, Scope::default(), 16);
    for op in ops.into_iter().take(100) {
        count += 1;
        match op {
            Op::Add(row) => {
                let Some(policy) = row.policy(format!("p{count}")) else { continue };
                let id = spd.add(policy.clone()).expect("a fresh name and two directions");
                model.0.push((id, count, policy));
            }
            Op::Replace(at, row) => {
                let Some(policy) = row.policy(format!("p{count}")) else { continue };
                let at = usize::from(at) % model.0.len().max(1);
                let Some((id, _, kept)) = model.0.get_mut(at) else { continue };
                let old = spd.replace(*id, policy.clone()).expect("it is there");
                assert_eq!(old.name, kept.name);
                *kept = policy;
            }
            Op::Remove(at) => {
                let at = usize::from(at) % model.0.len().max(1);
                if at < model.0.len() {
                    let (id, _, policy) = model.0.remove(at);
                    assert_eq!(spd.remove(id).expect("it is there").name, policy.name);
                    assert!(spd.remove(id).is_none());
                }
            }
            Op::Look(l) => {
                let key = PacketKey {
                    local: address(l.v6, l.local, l.low),
                    remote: address(l.v6, l.remote, l.low),
                    protocol: PROTOCOLS[usize::from(l.protocol) % 4],
                    local_port: l.ports.map(|p| p.0.into()),
                    remote_port: l.ports.map(|p| p.1.into()),
                };
                let scope = Scope { if_id: l.if_id.into(), ..Scope::default() };
                let direction = if l.inbound { Direction::Inbound } else { Direction::Outbound };
                let expected = model.look(direction, &key, &scope);
                assert_eq!(spd.lookup(direction, &key, &scope).map(|p| p.id), expected, "{key:?} {direction:?}");
                if !l.inbound && !l.if_id {
                    assert_eq!(spd.lookup_cached(&mut cache, &key).map(|p| p.id), expected, "from the cache: {key:?}");
                }
            }
        }
        assert_eq!(spd.len(), model.0.len());
    }
}
