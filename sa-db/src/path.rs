//! Where a datagram goes between: local and remote address and port, as UDP sees them.

use core::fmt;
use core::net::SocketAddr;

/// A pair of endpoints. For bare ESP (protocol 50) the ports are 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Path {
    /// This host's end.
    pub local: SocketAddr,
    /// The peer's end.
    pub remote: SocketAddr,
}

impl Path {
    /// The same addresses with other ports.
    #[must_use]
    pub fn with_ports(mut self, local: u16, remote: u16) -> Self {
        self.local.set_port(local);
        self.remote.set_port(remote);
        self
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.local, self.remote)
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
