//! SAs, steps for a data plane and its reports as C structs, both ways: what an external plane is told, it can hand to
//! a `ravelin_plane` as it is.
//!
//! To add a kind of step or report: its number in `ravelin::code`, an arm in `Lent::of` and in `ravelin_change::get`.

use crate::guard::{array, read, wanted};
use crate::types::{ravelin_octets, ravelin_packet_key, ravelin_path, ravelin_selector};
use ravelin::code::{Status, change_kind, report_kind};
use ravelin::crypto::{EncrId, IntegId};
use ravelin::db::change::SaRef;
use ravelin::db::spd::Action;
use ravelin::db::{
    Change, CipherSuite, Direction, Encapsulation, Lifetime, Limits, Mode, Policy, Protocol, SaParams, Spi,
    TrafficSelector,
};
use ravelin::{ChildId, Instant, PolicyId, Report, Secret};
use std::ffi::{CString, c_char};
use std::sync::Arc;
use std::time::Duration;

/// One direction of one Child SA: all that a data plane must know. In outputs the pointers are lent.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_sa {
    /// The pair; both directions have the same.
    pub child: u64,
    /// The policy that called for it; 0 when there is none (manual keys).
    pub policy: u32,
    /// Inbound: ours. Outbound: the peer's.
    pub spi: u32,
    /// 0 inbound, 1 outbound.
    pub direction: u8,
    /// IP protocol: 50 ESP, 51 AH.
    pub protocol: u8,
    /// 0 tunnel, 1 transport, 2 BEET.
    pub mode: u8,
    /// 0 bare, 1 in UDP, 2 in TCP.
    pub encapsulation: u8,
    /// Extended sequence numbers.
    pub esn: bool,
    /// The peer takes TFC padding.
    pub tfc_padding: bool,
    /// Encryption transform (IANA).
    pub encr: u16,
    /// Its key length attribute in bits; 0: none.
    pub key_bits: u16,
    /// Integrity transform (IANA); 0 with an AEAD.
    pub integ: u16,
    /// Outer addresses; in UDP also the ports.
    pub path: ravelin_path,
    /// Encryption key, the salt behind it.
    pub encr_key: ravelin_octets,
    /// Integrity key.
    pub integ_key: ravelin_octets,
    /// Inbound: replay window in packets; 0: no replay protection.
    pub replay_window: u32,
    /// Interface id; 0: none.
    pub if_id: u32,
    /// Packet mark; 0: none.
    pub mark: u32,
    /// Our side; at least one.
    pub local_ts: *const ravelin_selector,
    /// How many.
    pub local_ts_len: usize,
    /// The peer's side; at least one.
    pub remote_ts: *const ravelin_selector,
    /// How many.
    pub remote_ts_len: usize,
    /// Octets of inner packets after which to report; 0: no limit.
    pub soft_bytes: u64,
    /// Packets after which to report.
    pub soft_packets: u64,
    /// Octets after which to stop.
    pub hard_bytes: u64,
    /// Packets after which to stop.
    pub hard_packets: u64,
    /// Report when idle for so many microseconds; 0: not watched.
    pub idle_us: u64,
}

/// One policy. In outputs the pointers are lent.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_policy {
    /// Its id.
    pub id: u32,
    /// The peer of a protect policy, else 0.
    pub peer: u32,
    /// 0 bypass, 1 discard, 2 protect.
    pub action: u8,
    /// Protect: 0 tunnel, 1 transport, 2 BEET.
    pub mode: u8,
    /// Protect: 0 only the peer starts, 1 the first packet, 2 at once.
    pub start: u8,
    /// Routing instance.
    pub vrf: u32,
    /// Interface id.
    pub if_id: u32,
    /// Packet mark under `mark_mask`.
    pub mark: u32,
    /// 0: any mark.
    pub mark_mask: u32,
    /// Its name.
    pub name: *const c_char,
    /// Our side.
    pub local_ts: *const ravelin_selector,
    /// How many.
    pub local_ts_len: usize,
    /// The other side.
    pub remote_ts: *const ravelin_selector,
    /// How many.
    pub remote_ts_len: usize,
}

/// Kinds of steps for a data plane.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(non_camel_case_types, reason = "the C name")]
pub enum ravelin_change_kind {
    /// Accept packets on `sa` from now on.
    InstallInbound = 1,
    /// Have `sa` ready for sending. It sends when its policy has no other active SA, or after a switch to it.
    InstallOutbound = 2,
    /// Send on `to` what was sent on `child` (rekeying).
    Switch = 3,
    /// Both directions of `child` have a new `path` and `encapsulation`.
    Move = 4,
    /// Forget one `direction` of `child`, known by `spi`, and wipe its keys.
    Remove = 5,
    /// `policy` holds from now on beside the others (a leased address). Precedes its SA.
    AddPolicy = 6,
    /// That policy is gone.
    RemovePolicy = 7,
}

/// One step for a data plane.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_change {
    /// `ravelin_change_kind`; a kind that the program does not know is newer than it.
    pub kind: u32,
    /// Remove: 0 inbound, 1 outbound.
    pub direction: u8,
    /// Move: 0 bare, 1 in UDP, 2 in TCP.
    pub encapsulation: u8,
    /// Remove: the SPI.
    pub spi: u32,
    /// The pair.
    pub child: u64,
    /// Switch: the pair that sends from now on.
    pub to: u64,
    /// Move: the new path. Remove: the path as last told.
    pub path: ravelin_path,
    /// Install: the SA; else NULL.
    pub sa: *const ravelin_sa,
    /// Policies: the policy; else NULL.
    pub policy: *const ravelin_policy,
}

/// Kinds of reports of a data plane.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(non_camel_case_types, reason = "the C name")]
pub enum ravelin_report_kind {
    /// `packet` matched the protect `policy`, which has no SA.
    Acquire = 1,
    /// A soft limit of `child` was passed.
    SoftExpired = 2,
    /// A hard limit of `child` was passed.
    HardExpired = 3,
    /// The outbound sequence number of `child` is near its end.
    SequenceLow = 4,
    /// No traffic on `child` for its idle limit.
    Idle = 5,
    /// An authenticated packet of `child` came on another `path`.
    PathSeen = 6,
    /// The last authenticated packet of `child` came at `last_us`.
    Traffic = 7,
    /// A packet came on `path` for an `spi` that no SA has.
    UnknownSpi = 8,
    /// `child` could not be installed or kept.
    Failed = 9,
}

/// What a data plane saw.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_report {
    /// `ravelin_report_kind`.
    pub kind: u32,
    /// Acquire: the policy.
    pub policy: u32,
    /// The pair.
    pub child: u64,
    /// UnknownSpi: the SPI.
    pub spi: u32,
    /// Traffic: when, in monotonic microseconds.
    pub last_us: u64,
    /// PathSeen, UnknownSpi: the path.
    pub path: ravelin_path,
    /// Acquire: the packet.
    pub packet: ravelin_packet_key,
}

pub(crate) fn mode(mode: Mode) -> u8 {
    match mode {
        Mode::Tunnel => 0,
        Mode::Transport => 1,
        Mode::Beet => 2,
    }
}

pub(crate) fn mode_of(mode: u8) -> Result<Mode, Status> {
    match mode {
        0 => Ok(Mode::Tunnel),
        1 => Ok(Mode::Transport),
        2 => Ok(Mode::Beet),
        _ => Err(Status::InvalidArgument),
    }
}

pub(crate) fn encapsulation(how: Encapsulation) -> u8 {
    match how {
        Encapsulation::None => 0,
        Encapsulation::Udp => 1,
        Encapsulation::Tcp => 2,
    }
}

fn encapsulation_of(how: u8) -> Result<Encapsulation, Status> {
    match how {
        0 => Ok(Encapsulation::None),
        1 => Ok(Encapsulation::Udp),
        2 => Ok(Encapsulation::Tcp),
        _ => Err(Status::InvalidArgument),
    }
}

fn direction(way: Direction) -> u8 {
    match way {
        Direction::Inbound => 0,
        Direction::Outbound => 1,
    }
}

fn direction_of(way: u8) -> Result<Direction, Status> {
    match way {
        0 => Ok(Direction::Inbound),
        1 => Ok(Direction::Outbound),
        _ => Err(Status::InvalidArgument),
    }
}

/// # Safety
/// `list` points to `len` readable selectors.
unsafe fn selectors(list: *const ravelin_selector, len: usize) -> Result<Vec<TrafficSelector>, Status> {
    // SAFETY: handed on.
    unsafe { array(list, len)? }.iter().map(|s| s.get()).collect()
}

impl ravelin_sa {
    /// # Safety
    /// All pointers are readable as said.
    pub(crate) unsafe fn get(&self) -> Result<SaParams, Status> {
        // SAFETY: handed on.
        let (local_ts, remote_ts) =
            unsafe { (selectors(self.local_ts, self.local_ts_len)?, selectors(self.remote_ts, self.remote_ts_len)?) };
        // SAFETY: handed on.
        let (encr_key, integ_key) = unsafe { (self.encr_key.get()?, self.integ_key.get()?) };
        if local_ts.is_empty() || remote_ts.is_empty() || self.replay_window > 65_536 {
            return Err(Status::InvalidArgument);
        }
        Ok(SaParams {
            child: ChildId(self.child),
            spi: Spi(self.spi),
            direction: direction_of(self.direction)?,
            protocol: match self.protocol {
                50 => Protocol::Esp,
                51 => Protocol::Ah,
                _ => return Err(Status::InvalidArgument),
            },
            mode: mode_of(self.mode)?,
            path: self.path.get()?,
            encapsulation: encapsulation_of(self.encapsulation)?,
            suite: CipherSuite {
                encr: EncrId(self.encr),
                key_bits: (self.key_bits != 0).then_some(self.key_bits),
                integ: IntegId(self.integ),
                encr_key: Secret::new(encr_key.to_vec()),
                integ_key: Secret::new(integ_key.to_vec()),
            },
            esn: self.esn,
            replay_window: self.replay_window,
            local_ts: local_ts.into(),
            remote_ts: remote_ts.into(),
            policy: PolicyId(self.policy),
            lifetime: Lifetime {
                soft: Limits { bytes: self.soft_bytes, packets: self.soft_packets },
                hard: Limits { bytes: self.hard_bytes, packets: self.hard_packets },
                idle: Duration::from_micros(self.idle_us),
            },
            tfc_padding: self.tfc_padding,
            if_id: self.if_id,
            mark: self.mark,
            resource: Vec::new(),
        })
    }
}

/// A list of selectors that is lent.
#[derive(Default)]
pub(crate) struct Selectors(Vec<ravelin_selector>);

impl Selectors {
    pub(crate) fn of(list: &[TrafficSelector]) -> Self {
        Self(ravelin_selector::list(list))
    }

    pub(crate) fn lend(&self) -> (*const ravelin_selector, usize) {
        (self.0.as_ptr(), self.0.len())
    }
}

/// A policy and what its C form points to.
pub(crate) struct LentPolicy {
    _own: (CString, Selectors, Selectors),
    pub(crate) c: Box<ravelin_policy>,
}

impl LentPolicy {
    pub(crate) fn of(p: &Policy) -> Self {
        let own = (crate::config::c_text(&p.name), Selectors::of(&p.local), Selectors::of(&p.remote));
        let protect = p.protect();
        let ((local_ts, local_ts_len), (remote_ts, remote_ts_len)) = (own.1.lend(), own.2.lend());
        let c = ravelin_policy {
            id: p.id.0,
            peer: protect.map_or(0, |x| x.peer.0),
            action: match p.action {
                Action::Bypass => 0,
                Action::Protect(_) => 2,
                _ => 1,
            },
            mode: protect.map_or(0, |x| mode(x.mode)),
            start: protect.map_or(0, |x| x.start as u8),
            vrf: p.vrf,
            if_id: p.if_id,
            mark: p.mark.value,
            mark_mask: p.mark.mask,
            name: own.0.as_ptr(),
            local_ts,
            local_ts_len,
            remote_ts,
            remote_ts_len,
        };
        Self { _own: own, c: Box::new(c) }
    }
}

/// An SA and what its C form points to.
pub(crate) struct LentSa {
    _own: (Arc<SaParams>, Selectors, Selectors),
    pub(crate) c: Box<ravelin_sa>,
}

impl LentSa {
    pub(crate) fn of(sa: &Arc<SaParams>) -> Self {
        let own = (Arc::clone(sa), Selectors::of(&sa.local_ts), Selectors::of(&sa.remote_ts));
        let ((local_ts, local_ts_len), (remote_ts, remote_ts_len)) = (own.1.lend(), own.2.lend());
        let c = ravelin_sa {
            child: sa.child.0,
            policy: sa.policy.0,
            spi: sa.spi.0,
            direction: direction(sa.direction),
            protocol: if sa.protocol == Protocol::Ah { 51 } else { 50 },
            mode: mode(sa.mode),
            encapsulation: encapsulation(sa.encapsulation),
            esn: sa.esn,
            tfc_padding: sa.tfc_padding,
            encr: sa.suite.encr.0,
            key_bits: sa.suite.key_bits.unwrap_or(0),
            integ: sa.suite.integ.0,
            path: ravelin_path::of(sa.path),
            encr_key: ravelin_octets::of(sa.suite.encr_key.expose()),
            integ_key: ravelin_octets::of(sa.suite.integ_key.expose()),
            replay_window: sa.replay_window,
            if_id: sa.if_id,
            mark: sa.mark,
            local_ts,
            local_ts_len,
            remote_ts,
            remote_ts_len,
            soft_bytes: sa.lifetime.soft.bytes,
            soft_packets: sa.lifetime.soft.packets,
            hard_bytes: sa.lifetime.hard.bytes,
            hard_packets: sa.lifetime.hard.packets,
            idle_us: u64::try_from(sa.lifetime.idle.as_micros()).unwrap_or(u64::MAX),
        };
        Self { _own: own, c: Box::new(c) }
    }
}

/// A step and what its C form points to.
pub(crate) struct LentChange {
    _own: (Option<LentSa>, Option<LentPolicy>),
    pub(crate) c: ravelin_change,
}

impl LentChange {
    pub(crate) fn of(change: &Change) -> Self {
        let mut c = ravelin_change {
            kind: change_kind(change),
            direction: 0,
            encapsulation: 0,
            spi: 0,
            child: 0,
            to: 0,
            path: ravelin_path::default(),
            sa: std::ptr::null(),
            policy: std::ptr::null(),
        };
        let mut own = (None, None);
        match change {
            Change::InstallInbound(sa) | Change::InstallOutbound(sa) => {
                let lent = LentSa::of(sa);
                (c.child, c.spi, c.direction) = (sa.child.0, sa.spi.0, direction(sa.direction));
                (c.path, c.encapsulation) = (ravelin_path::of(sa.path), encapsulation(sa.encapsulation));
                c.sa = &raw const *lent.c;
                own.0 = Some(lent);
            }
            Change::Switch { from, to } => (c.child, c.to) = (from.0, to.0),
            Change::Move { child, path, encapsulation: how } => {
                (c.child, c.path, c.encapsulation) = (child.0, ravelin_path::of(*path), encapsulation(*how));
            }
            Change::Remove(sa) => {
                (c.child, c.spi, c.direction) = (sa.child.0, sa.spi.0, direction(sa.direction));
                c.path = ravelin_path::of(sa.path);
            }
            Change::AddPolicy(p) | Change::RemovePolicy(p) => {
                let lent = LentPolicy::of(p);
                c.policy = &raw const *lent.c;
                own.1 = Some(lent);
            }
            _ => {}
        }
        Self { _own: own, c }
    }
}

impl ravelin_change {
    /// The step, for a plane. Policies are not a plane's business: `None`.
    ///
    /// # Safety
    /// All pointers are readable as said.
    pub(crate) unsafe fn get(&self) -> Result<Option<Change>, Status> {
        Ok(Some(match self.kind {
            1 | 2 => {
                // SAFETY: NULL or readable.
                let sa = unsafe { read(self.sa)?.get()? };
                let inbound = sa.direction == Direction::Inbound;
                if inbound != (self.kind == 1) {
                    return Err(Status::InvalidArgument);
                }
                if inbound { Change::InstallInbound(Arc::new(sa)) } else { Change::InstallOutbound(Arc::new(sa)) }
            }
            3 => Change::Switch { from: ChildId(self.child), to: ChildId(self.to) },
            4 => Change::Move {
                child: ChildId(self.child),
                path: self.path.get()?,
                encapsulation: encapsulation_of(self.encapsulation)?,
            },
            5 => Change::Remove(SaRef {
                child: ChildId(self.child),
                direction: direction_of(self.direction)?,
                spi: Spi(self.spi),
                // A plane knows its SAs by pair and direction; a caller with manual keys may leave the path out.
                path: if self.path.local.family == 0 { NOWHERE } else { self.path.get()? },
            }),
            6 | 7 => {
                wanted(self.policy)?;
                return Ok(None);
            }
            _ => return Err(Status::InvalidArgument),
        }))
    }
}

const NOWHERE: ravelin::Path = {
    let none = std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);
    ravelin::Path { local: none, remote: none }
};

impl ravelin_report {
    pub(crate) fn of(report: &Report) -> Self {
        let mut r = Self { kind: report_kind(report), ..Self::default() };
        match report {
            Report::Acquire { policy, packet } => (r.policy, r.packet) = (policy.0, ravelin_packet_key::of(packet)),
            Report::SoftExpired(c)
            | Report::HardExpired(c)
            | Report::SequenceLow(c)
            | Report::Idle(c)
            | Report::Failed(c) => r.child = c.0,
            Report::PathSeen { child, path } => (r.child, r.path) = (child.0, ravelin_path::of(*path)),
            Report::Traffic { child, last } => (r.child, r.last_us) = (child.0, last.micros()),
            Report::UnknownSpi { spi, path } => (r.spi, r.path) = (spi.0, ravelin_path::of(*path)),
            _ => {}
        }
        r
    }

    pub(crate) fn get(&self) -> Result<Report, Status> {
        let child = ChildId(self.child);
        Ok(match self.kind {
            1 => Report::Acquire { policy: PolicyId(self.policy), packet: self.packet.get()? },
            2 => Report::SoftExpired(child),
            3 => Report::HardExpired(child),
            4 => Report::SequenceLow(child),
            5 => Report::Idle(child),
            6 => Report::PathSeen { child, path: self.path.get()? },
            7 => Report::Traffic { child, last: Instant(self.last_us) },
            8 => Report::UnknownSpi { spi: Spi(self.spi), path: self.path.get()? },
            9 => Report::Failed(child),
            _ => return Err(Status::InvalidArgument),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sa() -> Arc<SaParams> {
        let ts = |t: &str| vec![t.parse().unwrap()];
        Arc::new(SaParams {
            child: ChildId(7),
            spi: Spi(0x1000),
            direction: Direction::Outbound,
            protocol: Protocol::Esp,
            mode: Mode::Tunnel,
            path: ravelin::Path { local: "[::1]:4500".parse().unwrap(), remote: "[::2]:4500".parse().unwrap() },
            encapsulation: Encapsulation::Udp,
            suite: CipherSuite {
                encr: EncrId::AES_GCM_16,
                key_bits: Some(128),
                integ: IntegId::NONE,
                encr_key: Secret::new(vec![3; 20]),
                integ_key: Secret::default(),
            },
            esn: true,
            replay_window: 64,
            local_ts: ts("10.0.0.0/8").into(),
            remote_ts: ts("fd00::/16").into(),
            policy: PolicyId(9),
            lifetime: Lifetime { soft: Limits { bytes: 1, packets: 2 }, ..Lifetime::default() },
            tfc_padding: true,
            if_id: 4,
            mark: 5,
            resource: vec![],
        })
    }

    #[test]
    fn every_step_survives_the_way_to_c_and_back() {
        let path = sa().path;
        let inbound = Arc::new(SaParams { direction: Direction::Inbound, ..(*sa()).clone() });
        for change in [
            Change::InstallInbound(inbound),
            Change::InstallOutbound(sa()),
            Change::Switch { from: ChildId(1), to: ChildId(2) },
            Change::Move { child: ChildId(1), path, encapsulation: Encapsulation::Udp },
            Change::Remove(SaRef { child: ChildId(1), direction: Direction::Outbound, spi: Spi(256), path }),
        ] {
            let lent = LentChange::of(&change);
            // SAFETY: what it points to lives in `lent`.
            assert_eq!(unsafe { lent.c.get() }, Ok(Some(change)));
        }
    }

    #[test]
    fn every_report_survives() {
        let path = sa().path;
        let child = ChildId(3);
        let key = ravelin::db::PacketKey {
            local: "10.0.0.1".parse().unwrap(),
            remote: "10.0.0.2".parse().unwrap(),
            protocol: 17,
            local_port: Some(1),
            remote_port: Some(2),
        };
        for report in [
            Report::Acquire { policy: PolicyId(1), packet: key },
            Report::SoftExpired(child),
            Report::HardExpired(child),
            Report::SequenceLow(child),
            Report::Idle(child),
            Report::PathSeen { child, path },
            Report::Traffic { child, last: Instant(5) },
            Report::UnknownSpi { spi: Spi(300), path },
            Report::Failed(child),
        ] {
            assert_eq!(ravelin_report::of(&report).get(), Ok(report));
        }
    }
}
