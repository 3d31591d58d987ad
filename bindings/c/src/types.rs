//! Plain values that cross the boundary: status, addresses, paths.

use ravelin::code::Status;
use ravelin::{Now, Path, UnixTime};
use std::ffi::c_char;
use std::net::{IpAddr, SocketAddr};

/// Version of this ABI. A program compiled against another major version must not go on.
pub const RAVELIN_ABI_VERSION: u32 = 0x0000_0100;

/// What a call came to; 0 is success. `ravelin_status_name` gives words.
#[allow(non_camel_case_types, reason = "the C name")]
pub type ravelin_status = i32;

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
    /// Monotonic, microseconds from any fixed origin.
    pub mono_us: u64,
    /// Wall time, seconds since 1970-01-01 UTC.
    pub wall_s: u64,
}

impl ravelin_now {
    pub(crate) fn get(self) -> Now {
        Now { mono: ravelin::Instant(self.mono_us), wall: UnixTime(self.wall_s) }
    }
}

impl ravelin_endpoint {
    pub(crate) fn get(self) -> Result<SocketAddr, Status> {
        let [a, b, c, d, ..] = self.addr;
        let ip: IpAddr = match self.family {
            4 => [a, b, c, d].into(),
            6 => self.addr.into(),
            _ => return Err(Status::InvalidArgument),
        };
        Ok(SocketAddr::new(ip, self.port))
    }

    pub(crate) fn of(at: SocketAddr) -> Self {
        let mut addr = [0; 16];
        let family = match at.ip() {
            IpAddr::V4(v4) => {
                addr.iter_mut().zip(v4.octets()).for_each(|(to, from)| *to = from);
                4
            }
            IpAddr::V6(v6) => {
                addr = v6.octets();
                6
            }
        };
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

/// The version of the ABI that this library was built with; compare with `RAVELIN_ABI_VERSION`. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn ravelin_abi_version() -> u32 {
    RAVELIN_ABI_VERSION
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
    }
}
