//! Plain values that cross the boundary: status, times, addresses, paths, octets, selectors.

use ravelin::code::Status;
use ravelin::db::{AddrRange, PacketKey, PortRange, TrafficSelector};
use ravelin::{DropReason, Now, OuterInfo, Path, UnixTime};
use std::ffi::c_char;
use std::net::{IpAddr, SocketAddr};

/// Version of this ABI: major in the upper 16 bits, minor in the lower. A program goes on when the majors are the same
/// and the library's minor is not lower than its own.
pub const RAVELIN_ABI_VERSION: u32 = 0x0001_0000;

/// What a call came to; 0 is success. `ravelin_status_name` gives words.
#[allow(non_camel_case_types, reason = "the C name")]
pub type ravelin_status = i32;

/// The values of `ravelin_status`; the numbers are those of `ravelin::code`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(non_camel_case_types, reason = "the C name")]
pub enum ravelin_status_code {
    /// Done.
    Ok = 0,
    /// A pointer that must not be NULL is NULL.
    NullPointer = 1,
    /// A length, a number or a text is outside its range.
    InvalidArgument = 2,
    /// A configuration value is not acceptable: `ravelin_config_error`.
    Configuration = 3,
    /// The buffer is too small; nothing was done.
    BufferTooSmall = 4,
    /// There is nothing.
    Nothing = 5,
    /// Another thread uses the handle, against the rule.
    Busy = 6,
    /// A bug of the library; free the handle.
    Panic = 7,
    /// Not a live handle of this kind: freed before, or never made.
    NoHandle = 8,
    /// No IKE SA has this id.
    UnknownSa = 16,
    /// No Child SA has this id.
    UnknownChild = 17,
    /// No peer has this id.
    UnknownPeer = 18,
    /// No protect policy of that peer has this id.
    UnknownPolicy = 19,
    /// The peer has no remote address.
    NoRemoteAddress = 20,
    /// The peer has no local address.
    NoLocalAddress = 21,
    /// No proposal is usable.
    NoProposal = 22,
    /// The IKE SA is not established.
    NotEstablished = 23,
    /// The ticket is unknown or expired.
    UnknownTicket = 24,
    /// Not allowed now.
    NotAllowed = 25,
    /// The answer is of another kind than the question.
    WrongAnswer = 26,
    /// The provider has no such transform.
    UnsupportedTransform = 32,
    /// The key material has another length than the transform takes.
    KeyLength = 33,
    /// Packets would not be protected.
    NoProtection = 34,
    /// The SPI is reserved or another SA has it.
    SpiTaken = 35,
    /// The octets are no message: `ravelin_message_error`.
    Malformed = 48,
}

/// An address and a port.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_endpoint {
    /// 4 or 6.
    pub family: u8,
    /// Host order.
    pub port: u16,
    /// Network order; the first four octets for IPv4.
    pub addr: [u8; 16],
}

/// Where a datagram goes between.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_path {
    /// This host.
    pub local: ravelin_endpoint,
    /// The peer.
    pub remote: ravelin_endpoint,
}

/// Both times, as the caller read them just before the call.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_now {
    /// Monotonic, microseconds from any fixed origin; never goes back between calls on one handle.
    pub mono_us: u64,
    /// Wall time, seconds since 1970-01-01 UTC; 0 when unknown (certificates then do not verify).
    pub wall_s: u64,
}

/// Octets that are lent or handed in. `data` may be NULL when `len` is 0.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_octets {
    /// The first.
    pub data: *const u8,
    /// How many.
    pub len: usize,
}

/// What an outer IP header said, as far as the driver knows; zero: unknown.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_outer {
    /// DSCP (upper six bits) and ECN (lower two).
    pub traffic_class: u8,
    /// TTL or hop limit.
    pub hop_limit: u8,
}

/// One side of a flow (RFC 7296 §3.13.1): a range of addresses, a protocol, a range of ports.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_selector {
    /// 4 or 6.
    pub family: u8,
    /// IP protocol; 0: any.
    pub protocol: u8,
    /// Ports are not available (RFC 4301 OPAQUE); the two ports are then of no meaning.
    pub opaque_ports: bool,
    /// First port, or ICMP type and code.
    pub first_port: u16,
    /// Last port.
    pub last_port: u16,
    /// First address, network order.
    pub first: [u8; 16],
    /// Last address.
    pub last: [u8; 16],
}

/// What a packet is to the policies: two ends and a protocol.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_packet_key {
    /// Our side.
    pub local: ravelin_endpoint,
    /// The peer's side.
    pub remote: ravelin_endpoint,
    /// IP protocol.
    pub protocol: u8,
    /// The ports are known.
    pub has_ports: bool,
}

impl ravelin_octets {
    pub(crate) const NONE: Self = Self { data: std::ptr::null(), len: 0 };

    pub(crate) fn of(octets: &[u8]) -> Self {
        Self { data: octets.as_ptr(), len: octets.len() }
    }

    /// # Safety
    /// As `guard::bytes`.
    pub(crate) unsafe fn get<'a>(self) -> Result<&'a [u8], Status> {
        // SAFETY: handed on.
        unsafe { crate::guard::bytes(self.data, self.len) }
    }
}

impl ravelin_now {
    pub(crate) fn get(self) -> Now {
        Now { mono: ravelin::Instant(self.mono_us), wall: UnixTime(self.wall_s) }
    }
}

impl ravelin_outer {
    /// # Safety
    /// `outer` is NULL or readable.
    pub(crate) unsafe fn get(outer: *const Self) -> OuterInfo {
        // SAFETY: NULL or readable.
        let o = unsafe { outer.as_ref() }.copied().unwrap_or_default();
        OuterInfo { traffic_class: o.traffic_class, hop_limit: o.hop_limit }
    }
}

fn ip(family: u8, addr: [u8; 16]) -> Result<IpAddr, Status> {
    let [a, b, c, d, ..] = addr;
    match family {
        4 => Ok([a, b, c, d].into()),
        6 => Ok(addr.into()),
        _ => Err(Status::InvalidArgument),
    }
}

fn octets_of(addr: IpAddr) -> (u8, [u8; 16]) {
    match addr {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            (4, [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        }
        IpAddr::V6(v6) => (6, v6.octets()),
    }
}

impl ravelin_endpoint {
    pub(crate) fn get(self) -> Result<SocketAddr, Status> {
        Ok(SocketAddr::new(ip(self.family, self.addr)?, self.port))
    }

    pub(crate) fn of(at: SocketAddr) -> Self {
        let (family, addr) = octets_of(at.ip());
        Self { family, port: at.port(), addr }
    }
}

impl ravelin_path {
    pub(crate) fn get(self) -> Result<Path, Status> {
        Ok(Path { local: self.local.get()?, remote: self.remote.get()? })
    }

    pub(crate) fn of(path: Path) -> Self {
        Self { local: ravelin_endpoint::of(path.local), remote: ravelin_endpoint::of(path.remote) }
    }
}

impl ravelin_selector {
    pub(crate) fn get(self) -> Result<TrafficSelector, Status> {
        let (first, last) = (ip(self.family, self.first)?, ip(self.family, self.last)?);
        let addrs = AddrRange::new(first, last).ok_or(Status::InvalidArgument)?;
        let ports = match self.opaque_ports {
            true => PortRange::Opaque,
            false => PortRange::new(self.first_port, self.last_port).ok_or(Status::InvalidArgument)?,
        };
        Ok(TrafficSelector { addrs, protocol: self.protocol, ports })
    }

    pub(crate) fn of(ts: &TrafficSelector) -> Self {
        let (family, first) = octets_of(ts.addrs.first());
        let (_, last) = octets_of(ts.addrs.last());
        let (first_port, last_port, opaque_ports) = match ts.ports {
            PortRange::Range(a, b) => (a, b, false),
            PortRange::Opaque => (0, 0, true),
        };
        Self { family, protocol: ts.protocol, opaque_ports, first_port, last_port, first, last }
    }

    pub(crate) fn list(list: &[TrafficSelector]) -> Vec<Self> {
        list.iter().map(Self::of).collect()
    }
}

impl ravelin_packet_key {
    pub(crate) fn get(self) -> Result<PacketKey, Status> {
        let (local, remote) = (self.local.get()?, self.remote.get()?);
        let port = |p: u16| self.has_ports.then_some(p);
        Ok(PacketKey {
            local: local.ip(),
            remote: remote.ip(),
            protocol: self.protocol,
            local_port: port(local.port()),
            remote_port: port(remote.port()),
        })
    }

    pub(crate) fn of(key: &PacketKey) -> Self {
        let end = |addr, port: Option<u16>| ravelin_endpoint::of(SocketAddr::new(addr, port.unwrap_or(0)));
        Self {
            local: end(key.local, key.local_port),
            remote: end(key.remote, key.remote_port),
            protocol: key.protocol,
            has_ports: key.local_port.is_some(),
        }
    }
}

/// The version of the ABI that this library was built with; see `RAVELIN_ABI_VERSION`. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn ravelin_abi_version() -> u32 {
    RAVELIN_ABI_VERSION
}

/// The library's own version, as in "0.1.0"; valid for ever. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn ravelin_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Words for a status, never NULL, valid for ever. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn ravelin_status_name(status: ravelin_status) -> *const c_char {
    macro_rules! names {
        ($($number:literal => $text:literal),* $(,)?) => {
            match status { $($number => concat!($text, "\0"),)* _ => "unknown status\0" }
        };
    }
    let text = names! {
        0 => "ok", 1 => "null pointer", 2 => "invalid argument", 3 => "configuration not acceptable",
        4 => "buffer too small", 5 => "nothing there", 6 => "handle in use by another thread", 7 => "internal error",
        8 => "not a live handle",
        16 => "no IKE SA has this id", 17 => "no Child SA has this id", 18 => "no peer has this id",
        19 => "no protect policy of this peer has this id", 20 => "the peer has no remote address",
        21 => "the peer has no local address", 22 => "no proposal is usable", 23 => "the IKE SA is not established",
        24 => "the ticket is unknown or expired", 25 => "not allowed now",
        26 => "the answer is of another kind than the question",
        32 => "the provider has no such transform", 33 => "the transform takes keys of another length",
        34 => "packets would not be protected", 35 => "the SPI is reserved or taken", 48 => "malformed message",
    };
    text.as_ptr().cast()
}

/// Writes words for a drop reason into `text`, NUL-terminated. Any thread.
///
/// # Safety
/// `text` is NULL or points to `cap` octets that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_drop_reason_text(reason: u8, text: *mut c_char, cap: usize) -> ravelin_status {
    crate::guard::entry(|| {
        let known = DropReason::ALL.iter().find(|r| **r as u8 == reason).ok_or(Status::InvalidArgument)?;
        // SAFETY: handed on.
        unsafe { crate::guard::wanted(text).and_then(|()| write_text(known.text(), text, cap)) }
    })
}

/// Copies a text with its terminator.
///
/// # Safety
/// `to` points to `cap` octets that may be written.
unsafe fn write_text(text: &str, to: *mut c_char, cap: usize) -> Result<(), Status> {
    // SAFETY: the caller vouches for the room.
    let room = unsafe { crate::guard::array_mut(to.cast::<u8>(), cap)? };
    let (words, end) = room.split_at_mut_checked(text.len()).ok_or(Status::BufferTooSmall)?;
    let end = end.first_mut().ok_or(Status::BufferTooSmall)?;
    words.copy_from_slice(text.as_bytes());
    *end = 0;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    #[test]
    fn names_are_those_of_the_core() {
        for (status, name) in Status::ALL {
            let text = ravelin_status_name(*status as i32);
            // SAFETY: the function returns a NUL-terminated literal.
            assert_eq!(unsafe { CStr::from_ptr(text) }.to_str(), Ok(*name));
        }
        // and none that the core does not have
        for n in -1..300 {
            // SAFETY: as above.
            let known = unsafe { CStr::from_ptr(ravelin_status_name(n)) } != c"unknown status";
            assert_eq!(known, Status::from_code(n).is_some(), "{n}");
        }
    }

    #[test]
    fn selectors_go_both_ways() {
        for text in ["10.0.0.0/8", "fd00::1-fd00::9", "10.1.1.1[udp/53]"] {
            let ts: TrafficSelector = text.parse().unwrap();
            assert_eq!(ravelin_selector::of(&ts).get(), Ok(ts));
        }
        let bad = ravelin_selector { family: 5, ..ravelin_selector::default() };
        assert_eq!(bad.get(), Err(Status::InvalidArgument));
    }
}
