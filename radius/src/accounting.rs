//! Accounting (RFC 2866): what a session used, when it starts, in between and when it ends.

use crate::attribute::{kind, put};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

/// Acct-Status-Type (RFC 2866 §5.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The session begins.
    Start,
    /// It ended.
    Stop,
    /// It goes on.
    Interim,
}

/// Acct-Terminate-Cause (RFC 2866 §5.10).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The user asked for it.
    UserRequest,
    /// The peer is gone.
    LostCarrier,
    /// Session-Timeout.
    SessionTimeout,
    /// An operator.
    AdminReset,
    /// We go down.
    NasReboot,
}

impl Cause {
    fn number(self) -> u32 {
        match self {
            Self::UserRequest => 1,
            Self::LostCarrier => 2,
            Self::SessionTimeout => 5,
            Self::AdminReset => 6,
            Self::NasReboot => 11,
        }
    }
}

/// One report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Which.
    pub kind: Kind,
    /// Names the session; unique while the server remembers.
    pub session: String,
    /// User-Name.
    pub user: Vec<u8>,
    /// Inner addresses.
    pub addresses: Vec<IpAddr>,
    /// Where the client is.
    pub calling: String,
    /// Class attributes of the Access-Accept.
    pub class: Vec<Vec<u8>>,
    /// How long it lasts.
    pub time: Duration,
    /// Octets and packets from the client.
    pub input: (u64, u64),
    /// Octets and packets to the client.
    pub output: (u64, u64),
    /// Why it ended.
    pub cause: Option<Cause>,
}

impl Record {
    /// Its attributes.
    pub(crate) fn attributes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut number = |kind, n: u32| put(&mut out, kind, &n.to_be_bytes());
        number(
            kind::ACCT_STATUS_TYPE,
            match self.kind {
                Kind::Start => 1,
                Kind::Stop => 2,
                Kind::Interim => 3,
            },
        );
        let low = |n: u64| u32::try_from(n & 0xFFFF_FFFF).unwrap_or(u32::MAX);
        let high = |n: u64| u32::try_from(n >> 32).unwrap_or(u32::MAX);
        if self.kind != Kind::Start {
            number(kind::ACCT_SESSION_TIME, u32::try_from(self.time.as_secs()).unwrap_or(u32::MAX));
            number(kind::ACCT_INPUT_OCTETS, low(self.input.0));
            number(kind::ACCT_OUTPUT_OCTETS, low(self.output.0));
            number(kind::ACCT_INPUT_GIGAWORDS, high(self.input.0));
            number(kind::ACCT_OUTPUT_GIGAWORDS, high(self.output.0));
            number(kind::ACCT_INPUT_PACKETS, low(self.input.1));
            number(kind::ACCT_OUTPUT_PACKETS, low(self.output.1));
        }
        if let (Kind::Stop, Some(cause)) = (self.kind, self.cause) {
            number(kind::ACCT_TERMINATE_CAUSE, cause.number());
        }
        put(&mut out, kind::ACCT_SESSION_ID, self.session.as_bytes());
        put(&mut out, kind::USER_NAME, &self.user);
        put(&mut out, kind::CALLING_STATION_ID, self.calling.as_bytes());
        for address in &self.addresses {
            match address {
                IpAddr::V4(a) => put(&mut out, kind::FRAMED_IP_ADDRESS, &a.octets()),
                IpAddr::V6(a) => put(&mut out, kind::FRAMED_IPV6_ADDRESS, &a.octets()),
            }
        }
        self.class.iter().take(16).for_each(|c| put(&mut out, kind::CLASS, c));
        out
    }
}
