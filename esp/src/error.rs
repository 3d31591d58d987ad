//! Why a packet was dropped and why a change was refused. Both are small `Copy` enums: nothing is allocated on
//! the packet path. Every cause has a counter of its own (RFC 4301 §4.4.2.1 asks for auditable events; the
//! sections are named at each variant). To add a cause: one line in the table below.

use core::fmt;

macro_rules! causes {
    ($($(#[$meta:meta])* $name:ident = $code:literal, $slug:literal, $text:literal;)*) => {
        /// One cause of a dropped packet. The numbers are stable.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum DropReason { $($(#[$meta])* $name = $code,)* }

        impl DropReason {
            /// Every cause, in the order of the counters.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Stable identifier for logs and metrics, in lower case with dashes.
            #[must_use]
            pub const fn name(self) -> &'static str { match self { $(Self::$name => $slug,)* } }

            /// What was expected and which rule says so, for an operator.
            #[must_use]
            pub const fn text(self) -> &'static str { match self { $(Self::$name => $text,)* } }
        }
    };
}

causes! {
    /// Shorter than ESP or AH header, IV, trailer and ICV.
    Runt = 0, "runt", "shorter than header, IV, trailer and ICV of its SA (RFC 4303 §2)";
    /// SPI 0 to 255.
    ReservedSpi = 1, "reserved-spi", "SPI below 256 is reserved and has no SA (RFC 4303 §2.1)";
    /// No SA has this SPI (auditable, RFC 4303 §3.4.2).
    UnknownSpi = 2, "unknown-spi", "no SA with this SPI (RFC 4303 §3.4.2)";
    /// ESP on an AH SA or the other way round.
    WrongProtocol = 3, "wrong-protocol", "protocol of the packet is not the protocol of the SA (RFC 4301 §4.1)";
    /// Seen before (RFC 4303 §3.4.3).
    Replay = 4, "replay", "sequence number seen before (RFC 4303 §3.4.3)";
    /// Left of the replay window.
    TooOld = 5, "too-old", "sequence number left of the replay window (RFC 4303 §3.4.3)";
    /// The ICV is wrong (RFC 4303 §3.4.4).
    Integrity = 6, "integrity", "integrity check failed (RFC 4303 §3.4.4)";
    /// The cipher refused lengths after a good ICV.
    Decrypt = 7, "decrypt", "ciphertext is not a whole number of blocks (RFC 4303 §2.4)";
    /// The cryptographic provider failed.
    Provider = 8, "provider", "the cryptographic provider failed";
    /// Pad Length or pad octets (RFC 4303 §2.4).
    Padding = 9, "padding", "padding is longer than the payload or not 1, 2, 3, … (RFC 4303 §2.4)";
    /// The Next Header is not one this mode carries.
    NextHeader = 10, "next-header", "next header is not what the mode of the SA carries (RFC 4303 §2.6)";
    /// The inner packet contradicts itself.
    InnerHeader = 11, "inner-header", "inner IP header is malformed or longer than the packet (RFC 4301 §5.2)";
    /// The inner packet is outside the SA's selectors (auditable, RFC 4301 §5.2 step 4).
    Selectors = 12, "selectors", "inner packet is outside the traffic selectors of its SA (RFC 4301 §5.2)";
    /// Congestion experienced outside, not ECN-capable inside.
    Congestion = 13, "congestion", "outer header says congestion, inner transport cannot hear it (RFC 6040 §4.2)";
    /// Next Header 59: meant to be thrown away.
    Dummy = 14, "dummy", "dummy packet, discarded as intended (RFC 4303 §2.6)";
    /// The hard lifetime by bytes or packets has passed.
    Expired = 15, "expired", "hard lifetime of the SA has passed (RFC 4301 §4.4.2.1)";
    /// The sequence number would wrap (auditable, RFC 4303 §3.3.3).
    SequenceExhausted = 16, "sequence-exhausted", "sequence number would wrap, a new SA is needed (RFC 4303 §3.3.3)";
    /// The sink had no room, or the buffer has too little head- or tailroom.
    NoRoom = 17, "no-room", "no buffer, or too little head- or tailroom";
    /// The result would not fit an IP packet.
    Oversized = 18, "oversized", "packet and protection together exceed 65535 octets";
    /// Sent for protection, but it is no IP packet.
    NotIp = 19, "not-ip", "not a well-formed IPv4 or IPv6 packet";
    /// No active SA covers the packet.
    NoSa = 20, "no-sa", "no active outbound SA covers the packet (RFC 4301 §5.1)";
    /// The SA went away between lookup and use.
    Removed = 21, "removed", "the SA was removed";
    /// A fragment where only whole packets are allowed.
    Fragment = 22, "fragment", "fragment where a whole packet is required (RFC 4301 §7, RFC 4303 §3.3.4)";
    /// Larger than the path carries, and it must not be fragmented.
    TooBig = 23, "too-big", "larger than the path MTU and must not be fragmented (RFC 4301 §8.2)";
    /// Outer headers that cannot be carried or built.
    OuterHeader = 24, "outer-header", "outer header cannot be built or parsed for this SA";
    /// This mode needs the outer IP header and the driver gave none.
    NeedsHeader = 25, "needs-header", "AH and IPv6 options need the whole IP packet (RFC 4302 §3.3.3)";
    /// A keepalive or non-ESP datagram on the ESP path.
    NotEsp = 26, "not-esp", "datagram is a NAT keepalive or IKE, not ESP (RFC 3948 §2)";
    /// Framing over TCP is broken.
    Framing = 27, "framing", "TCP frame is shorter than an SPI (RFC 9329 §3)";
    /// A bounded table of unfinished packets is full, or a set of fragments overlaps.
    Reassembly = 28, "reassembly", "fragments overlap or the bounded reassembly table is full (RFC 4301 §7)";
    /// Hop limit or TTL ran out at tunnel entry.
    HopLimit = 29, "hop-limit", "TTL or hop limit is zero (RFC 4301 §5.1.2)";
    /// No policy of the SPD matches.
    NoPolicy = 30, "no-policy", "no policy of the SPD matches (RFC 4301 §5.1 step 2: discard)";
    /// The matching policy says discard.
    PolicyDiscard = 31, "policy-discard", "the matching policy of the SPD says discard (RFC 4301 §5.1)";
}

impl DropReason {
    /// How many causes there are.
    pub const COUNT: usize = Self::ALL.len();
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for DropReason {}

/// Why a plane refused a [`ravelin_sa_db::Change`]. A mistake of the control side, never of the network.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum PlaneError {
    /// The provider has no such transform.
    UnsupportedTransform,
    /// The key material has another length than the transform takes.
    KeyLength,
    /// Neither cipher nor integrity would protect the packets.
    NoProtection,
    /// Encryption without integrity (RFC 8221 §4 forbids it).
    NoIntegrity,
    /// The SPI is reserved or another SA has it.
    Spi,
    /// No such Child SA.
    UnknownChild,
    /// The direction of the parameters is not that of the change.
    Direction,
    /// The replay window is larger than 2^20, or above 4096 and not a power of two.
    ReplayWindow,
    /// No traffic selectors, or selectors of no use to the mode.
    Selectors,
    /// This outbound key was installed before: its counters would start again and nonces would repeat.
    KeyReused,
    /// The mode is not possible with this protocol or encapsulation.
    Mode,
    /// A change of a kind this plane does not know.
    UnknownChange,
}

impl fmt::Display for PlaneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnsupportedTransform => "the provider does not offer this transform",
            Self::KeyLength => "key material does not have the length of the transform",
            Self::NoProtection => "NULL encryption and no integrity protect nothing (RFC 4303 §3.2)",
            Self::NoIntegrity => "encryption without integrity is not allowed (RFC 8221 §4)",
            Self::Spi => "SPI is reserved or in use",
            Self::UnknownChild => "no such Child SA in the plane",
            Self::Direction => "direction of the parameters does not fit the change",
            Self::ReplayWindow => "replay window must be 0 to 4096, or a power of two up to 2^20",
            Self::Selectors => "the SA has no usable traffic selectors",
            Self::KeyReused => "outbound key was used before; installing it again would repeat nonces (RFC 4106 §2)",
            Self::Mode => "mode, protocol and encapsulation do not go together",
            Self::UnknownChange => "change of an unknown kind",
        })
    }
}

impl core::error::Error for PlaneError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_their_index() {
        for (i, r) in DropReason::ALL.iter().enumerate() {
            assert_eq!(usize::from(*r as u8), i, "{r:?}");
        }
        assert_eq!(DropReason::UnknownSpi.name(), "unknown-spi");
    }
}
