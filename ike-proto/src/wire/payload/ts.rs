//! Traffic Selector payloads TSi and TSr (RFC 7296 §3.13, RFC 9478 for labels).
//! To add a selector type: one variant of [`Ts`], one arm in `parse` and `emit`.
use crate::registry::TsType;
use crate::wire::error::{Fault, Place, WireError};
use crate::wire::read::Reader;
use crate::wire::write::{octet, patch_len, put16};
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

/// One traffic selector. Ranges are inclusive and may be empty or upside down: judging them is the negotiation's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ts {
    /// TS_IPV4_ADDR_RANGE.
    Ipv4Range {
        /// IP protocol; 0 is any.
        protocol: u8,
        /// First port (ICMP: type in the high octet, code in the low one).
        start_port: u16,
        /// Last port. OPAQUE is start 65535 and end 0.
        end_port: u16,
        /// First address.
        start: Ipv4Addr,
        /// Last address.
        end: Ipv4Addr,
    },
    /// TS_IPV6_ADDR_RANGE.
    Ipv6Range {
        /// IP protocol; 0 is any.
        protocol: u8,
        /// First port.
        start_port: u16,
        /// Last port.
        end_port: u16,
        /// First address.
        start: Ipv6Addr,
        /// Last address.
        end: Ipv6Addr,
    },
    /// TS_SECLABEL (RFC 9478): an opaque label of at least one octet.
    SecLabel {
        /// The RESERVED octet as it came; zero in own messages.
        reserved: u8,
        /// The label.
        label: Vec<u8>,
    },
    /// A type this stack does not know; skipped by narrowing, kept for re-encoding.
    Unknown {
        /// Its type.
        kind: TsType,
        /// The second octet (the IP protocol, in most types).
        protocol: u8,
        /// What follows the length field.
        body: Vec<u8>,
    },
}

impl Ts {
    /// The wire type.
    #[must_use]
    pub fn kind(&self) -> TsType {
        match self {
            Self::Ipv4Range { .. } => TsType::IPV4_ADDR_RANGE,
            Self::Ipv6Range { .. } => TsType::IPV6_ADDR_RANGE,
            Self::SecLabel { .. } => TsType::SECLABEL,
            Self::Unknown { kind, .. } => *kind,
        }
    }

    fn parse(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let kind = TsType(r.u8()?);
        let protocol = r.u8()?;
        let length = usize::from(r.u16()?);
        let (min, max) = match kind {
            TsType::IPV4_ADDR_RANGE => (16, 16),
            TsType::IPV6_ADDR_RANGE => (40, 40),
            TsType::SECLABEL => (5, 65535),
            _ => (4, 65535),
        };
        if !(min..=max).contains(&length) {
            return Err(r.fail_back(2, Fault::Length { came: length, min, max }));
        }
        let at = r.at();
        let mut b = Reader::new(Place::Selector, r.take(length.saturating_sub(4))?);
        Self::parse_body(kind, protocol, &mut b).map_err(|e| e.shifted(at))
    }

    fn parse_body(kind: TsType, protocol: u8, b: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(match kind {
            TsType::IPV4_ADDR_RANGE => Self::Ipv4Range {
                protocol,
                start_port: b.u16()?,
                end_port: b.u16()?,
                start: b.array::<4>()?.into(),
                end: b.array::<4>()?.into(),
            },
            TsType::IPV6_ADDR_RANGE => Self::Ipv6Range {
                protocol,
                start_port: b.u16()?,
                end_port: b.u16()?,
                start: b.array::<16>()?.into(),
                end: b.array::<16>()?.into(),
            },
            TsType::SECLABEL => Self::SecLabel { reserved: protocol, label: b.rest().to_vec() },
            kind => Self::Unknown { kind, protocol, body: b.rest().to_vec() },
        })
    }

    fn emit(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        let from = out.len();
        let second = match self {
            Self::Ipv4Range { protocol, .. } | Self::Ipv6Range { protocol, .. } | Self::Unknown { protocol, .. } => {
                *protocol
            }
            Self::SecLabel { reserved, .. } => *reserved,
        };
        out.extend_from_slice(&[self.kind().0, second, 0, 0]);
        match self {
            Self::Ipv4Range { start_port, end_port, start, end, .. } => {
                put16(out, *start_port);
                put16(out, *end_port);
                out.extend_from_slice(&start.octets());
                out.extend_from_slice(&end.octets());
            }
            Self::Ipv6Range { start_port, end_port, start, end, .. } => {
                put16(out, *start_port);
                put16(out, *end_port);
                out.extend_from_slice(&start.octets());
                out.extend_from_slice(&end.octets());
            }
            Self::SecLabel { label, .. } => out.extend_from_slice(label),
            Self::Unknown { body, .. } => out.extend_from_slice(body),
        }
        patch_len(Place::Selector, out, from.saturating_add(2), from)
    }
}

/// The selectors of one side, at most 255.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TrafficSelectors {
    /// The selectors; traffic of any of them is meant.
    pub selectors: Vec<Ts>,
    /// The RESERVED octets as they came; zero in own messages.
    pub reserved: [u8; 3],
}

impl TrafficSelectors {
    /// A payload of our own.
    #[must_use]
    pub fn new(selectors: Vec<Ts>) -> Self {
        Self { selectors, reserved: [0; 3] }
    }

    /// Reads a body: at least one selector, exactly as many as the count says.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(Place::Ts, body);
        let count = r.u8()?;
        if count == 0 {
            let fault = Fault::Value { field: "Number of TSs", expected: "at least 1", came: 0 };
            return Err(r.fail_back(1, fault));
        }
        let reserved = r.array()?;
        // A selector has at least 4 octets, so a large count cannot reserve more than the datagram is worth.
        let mut selectors = Vec::with_capacity(usize::from(count).min(r.left() / 4));
        for _ in 0..count {
            selectors.push(Ts::parse(&mut r)?);
        }
        r.finish()?;
        Ok(Self { selectors, reserved })
    }

    /// Appends the body.
    pub fn emit(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        out.push(octet(Place::Ts, self.selectors.len())?);
        out.extend_from_slice(&self.reserved);
        self.selectors.iter().try_for_each(|s| s.emit(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn all() -> TrafficSelectors {
        TrafficSelectors {
            reserved: [1, 2, 3],
            selectors: vec![
                Ts::Ipv4Range {
                    protocol: 6,
                    start_port: 1,
                    end_port: 2,
                    start: Ipv4Addr::new(192, 0, 2, 0),
                    end: Ipv4Addr::new(192, 0, 2, 255),
                },
                Ts::Ipv6Range {
                    protocol: 0,
                    start_port: 0,
                    end_port: 65535,
                    start: Ipv6Addr::UNSPECIFIED,
                    end: Ipv6Addr::LOCALHOST,
                },
                Ts::SecLabel { reserved: 4, label: b"label".to_vec() },
                Ts::Unknown { kind: TsType(99), protocol: 5, body: vec![1, 2] },
            ],
        }
    }

    #[test]
    fn every_kind_makes_the_round_trip() {
        let mut out = Vec::new();
        all().emit(&mut out).unwrap();
        assert_eq!(out[..20], [4, 1, 2, 3, 7, 6, 0, 16, 0, 1, 0, 2, 192, 0, 2, 0, 192, 0, 2, 255]);
        assert_eq!(TrafficSelectors::parse(&out).unwrap(), all());
    }

    #[test]
    fn counts_and_lengths_must_fit() {
        let mut out = Vec::new();
        all().emit(&mut out).unwrap();
        let with = |at: usize, to: u8| {
            let mut b = out.clone();
            b[at] = to;
            TrafficSelectors::parse(&b).unwrap_err()
        };
        assert!(matches!(with(0, 3).fault, Fault::Trailing { extra: 6 }));
        assert!(matches!(with(0, 5).fault, Fault::Truncated { .. }));
        assert!(matches!(with(0, 0).fault, Fault::Value { .. }));
        let short = with(7, 12);
        assert_eq!((short.offset, short.fault), (6, Fault::Length { came: 12, min: 16, max: 16 }));
    }
}
