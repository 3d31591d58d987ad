//! The IKE header (RFC 7296 §3.1): 28 octets in front of every message.
use super::error::{Fault, Place, WireError};
use super::read::Reader;
use crate::registry::{ExchangeType, PayloadType};
use alloc::vec::Vec;
use core::fmt;

/// Octets of the IKE header.
pub const HEADER_LEN: usize = 28;

/// Version 2.0 as its octet: major in the high half, minor in the low one.
pub const VERSION_2: u8 = 0x20;

/// One side's IKE SPI. Zero only stands for the responder's in the first request (RFC 7296 §3.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct IkeSpi(pub u64);

impl IkeSpi {
    /// No SPI chosen yet.
    pub const ZERO: Self = Self(0);

    /// True for the SPI that means "none".
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The eight octets as they stand on the wire.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// Reads an SPI of exactly eight octets (a proposal's SPI field, say).
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|b| Self(u64::from_be_bytes(b)))
    }
}

impl fmt::Display for IkeSpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for IkeSpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IkeSpi({:016x})", self.0)
    }
}

/// The flags octet. Bits without a name are kept as they came.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// Set in every message of the original initiator of the IKE SA.
    pub const INITIATOR: u8 = 0x08;
    /// Set when the sender can speak a higher major version.
    pub const VERSION: u8 = 0x10;
    /// Set in responses.
    pub const RESPONSE: u8 = 0x20;

    /// The flags of an own message.
    #[must_use]
    pub fn new(initiator: bool, response: bool) -> Self {
        let i = if initiator { Self::INITIATOR } else { 0 };
        let r = if response { Self::RESPONSE } else { 0 };
        Self(i | r)
    }

    /// The sender is the original initiator of this IKE SA.
    #[must_use]
    pub fn initiator(self) -> bool {
        self.0 & Self::INITIATOR != 0
    }

    /// The sender could speak a higher major version.
    #[must_use]
    pub fn version(self) -> bool {
        self.0 & Self::VERSION != 0
    }

    /// The message is a response.
    #[must_use]
    pub fn response(self) -> bool {
        self.0 & Self::RESPONSE != 0
    }
}

/// The IKE header, field by field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// SPI of the original initiator; never zero in a legal message.
    pub initiator_spi: IkeSpi,
    /// SPI of the original responder; zero until it answered.
    pub responder_spi: IkeSpi,
    /// Kind of the first payload. Encoders set it from the payloads they are given.
    pub next_payload: PayloadType,
    /// `major << 4 | minor`.
    pub version: u8,
    /// Exchange type.
    pub exchange: ExchangeType,
    /// Flags, unnamed bits included.
    pub flags: Flags,
    /// Message ID.
    pub message_id: u32,
    /// Octets of the whole message, header included. Encoders set it.
    pub length: u32,
}

impl Header {
    /// A version 2.0 header for an own message; `next_payload` and `length` are set by the encoder.
    #[must_use]
    pub fn new(
        initiator_spi: IkeSpi,
        responder_spi: IkeSpi,
        exchange: ExchangeType,
        flags: Flags,
        message_id: u32,
    ) -> Self {
        Self {
            initiator_spi,
            responder_spi,
            next_payload: PayloadType::NONE,
            version: VERSION_2,
            exchange,
            flags,
            message_id,
            length: 0,
        }
    }

    /// Reads the first 28 octets of a datagram. Judges nothing: an unknown version has to be answered (RFC 7296
    /// §2.5), so it must be readable. [`Header::check`] judges.
    pub fn parse(datagram: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(Place::Header, datagram);
        Ok(Self {
            initiator_spi: IkeSpi(r.u64()?),
            responder_spi: IkeSpi(r.u64()?),
            next_payload: PayloadType(r.u8()?),
            version: r.u8()?,
            exchange: ExchangeType(r.u8()?),
            flags: Flags(r.u8()?),
            message_id: r.u32()?,
            length: r.u32()?,
        })
    }

    /// Checks the header against a datagram of `len` octets: major version 2, an initiator SPI, and a Length that is
    /// the datagram's.
    pub fn check(&self, len: usize) -> Result<(), WireError> {
        let fail = |offset, fault| Err(WireError { place: Place::Header, offset, fault });
        if self.major() != 2 {
            return fail(17, Fault::Value { field: "major version", expected: "2", came: u32::from(self.major()) });
        }
        if self.initiator_spi.is_zero() {
            return fail(0, Fault::Value { field: "initiator SPI", expected: "not zero", came: 0 });
        }
        let said = usize::try_from(self.length).unwrap_or(usize::MAX);
        if said < HEADER_LEN {
            return fail(24, Fault::Length { came: said, min: HEADER_LEN, max: len });
        }
        if said > len {
            return fail(24, Fault::Truncated { need: said, have: len });
        }
        if said < len {
            return fail(said, Fault::Trailing { extra: len.saturating_sub(said) });
        }
        Ok(())
    }

    /// Appends the 28 octets.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.initiator_spi.to_bytes());
        out.extend_from_slice(&self.responder_spi.to_bytes());
        out.extend_from_slice(&[self.next_payload.0, self.version, self.exchange.0, self.flags.0]);
        out.extend_from_slice(&self.message_id.to_be_bytes());
        out.extend_from_slice(&self.length.to_be_bytes());
    }

    /// Major version.
    #[must_use]
    pub fn major(&self) -> u8 {
        self.version >> 4
    }

    /// Minor version; to be ignored (RFC 7296 §2.5).
    #[must_use]
    pub fn minor(&self) -> u8 {
        self.version & 0x0f
    }

    /// The message is a response.
    #[must_use]
    pub fn is_response(&self) -> bool {
        self.flags.response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: [u8; 28] = [
        0x8f, 0x54, 0xbf, 0x6d, 0x8b, 0x48, 0xe6, 0xe1, 0, 0, 0, 0, 0, 0, 0, 1, 33, 0x21, 34, 0xc8, 0, 0, 0, 7, 0, 0,
        0, 28,
    ];

    #[test]
    fn every_field_and_every_reserved_bit_survives() {
        let h = Header::parse(&RAW).unwrap();
        assert_eq!(h.initiator_spi, IkeSpi(0x8f54_bf6d_8b48_e6e1));
        assert_eq!((h.responder_spi, h.next_payload, h.message_id), (IkeSpi(1), PayloadType::SA, 7));
        assert_eq!((h.major(), h.minor(), h.exchange), (2, 1, ExchangeType::IKE_SA_INIT));
        assert!(h.flags.initiator() && !h.flags.response() && !h.flags.version());
        let mut out = Vec::new();
        h.emit(&mut out);
        assert_eq!(out, RAW);
    }

    #[test]
    fn the_check_names_what_is_wrong() {
        let h = Header::parse(&RAW).unwrap();
        h.check(28).unwrap();
        assert_eq!(h.check(27).unwrap_err().fault, Fault::Truncated { need: 28, have: 27 });
        assert_eq!(h.check(30).unwrap_err().fault, Fault::Trailing { extra: 2 });
        assert_eq!(Header { version: 0x10, ..h }.check(28).unwrap_err().offset, 17);
        assert!(Header { initiator_spi: IkeSpi::ZERO, ..h }.check(28).is_err());
        assert!(Header { length: 27, ..h }.check(27).is_err());
        assert_eq!(Header::parse(&RAW[..27]).unwrap_err().fault, Fault::Truncated { need: 4, have: 3 });
    }
}
