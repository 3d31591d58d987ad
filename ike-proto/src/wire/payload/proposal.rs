//! Proposal substructure (RFC 7296 §3.3.1): one protocol with its transforms.
use super::transform::Transform;
use crate::registry::{ProtocolId, TransformType};
use crate::wire::error::{Fault, Place, WireError};
use crate::wire::read::Reader;
use crate::wire::write::{octet, patch_len};
use alloc::vec::Vec;

/// One protocol's set of transforms. Several transforms of one type are alternatives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proposal {
    /// Number of the proposal; offers count from 1.
    pub number: u8,
    /// IKE, AH or ESP.
    pub protocol: ProtocolId,
    /// The sender's inbound SPI: empty in the first IKE SA, 8 octets when an IKE SA is rekeyed, 4 for AH and ESP.
    pub spi: Vec<u8>,
    /// The transforms in the order of preference.
    pub transforms: Vec<Transform>,
    /// The RESERVED octet as it came; zero in own messages.
    pub reserved: u8,
}

impl Proposal {
    /// A proposal of our own.
    #[must_use]
    pub fn new(number: u8, protocol: ProtocolId, spi: Vec<u8>, transforms: Vec<Transform>) -> Self {
        Self { number, protocol, spi, transforms, reserved: 0 }
    }

    /// The transforms of one type, in order.
    pub fn of(&self, kind: TransformType) -> impl Iterator<Item = &Transform> {
        self.transforms.iter().filter(move |t| t.kind == kind)
    }

    /// Reads one proposal from the front of `data`: the proposal, its octets, and whether another follows.
    pub(crate) fn parse(data: &[u8], before: Option<u8>) -> Result<(Self, usize, bool), WireError> {
        let mut r = Reader::new(Place::Proposal, data);
        let more = match r.u8()? {
            0 => false,
            2 => true,
            came => {
                let came = u32::from(came);
                return Err(r.fail_back(1, Fault::Value { field: "Last Substruc", expected: "0 or 2", came }));
            }
        };
        let reserved = r.u8()?;
        let length = usize::from(r.u16()?);
        if length > data.len() || length < 8 {
            return Err(r.fail_back(2, Fault::Length { came: length, min: 8, max: data.len() }));
        }
        if !more && length < data.len() {
            let extra = data.len().saturating_sub(length);
            return Err(WireError { place: Place::Proposal, offset: length, fault: Fault::Trailing { extra } });
        }
        let mut r = Reader::new(Place::Proposal, data.get(..length).unwrap_or_default());
        r.take(4)?;
        let number = r.u8()?;
        if before.is_some_and(|b| b.checked_add(1) != Some(number)) {
            let fault = Fault::Value { field: "Proposal Num", expected: "one more than before", came: number.into() };
            return Err(r.fail_back(1, fault));
        }
        let protocol = ProtocolId(r.u8()?);
        let spi_size = r.u8()?;
        let expected = match (protocol, spi_size) {
            (ProtocolId::IKE, 0 | 8) | (ProtocolId::AH | ProtocolId::ESP, 4) => None,
            (ProtocolId::IKE, _) => Some("0 or 8 for IKE"),
            (ProtocolId::AH | ProtocolId::ESP, _) => Some("4 for AH and ESP"),
            _ => None,
        };
        if let Some(expected) = expected {
            return Err(r.fail_back(1, Fault::Value { field: "SPI Size", expected, came: spi_size.into() }));
        }
        let count = r.u8()?;
        let spi = r.take(usize::from(spi_size))?.to_vec();
        let base = r.at();
        let transforms = Self::transforms(r.rest(), count).map_err(|e| e.shifted(base))?;
        Ok((Self { number, protocol, spi, transforms, reserved }, length, more))
    }

    fn transforms(mut data: &[u8], count: u8) -> Result<Vec<Transform>, WireError> {
        // A transform has at least 8 octets, so a large count cannot reserve more than the datagram is worth.
        let mut out = Vec::with_capacity(usize::from(count).min(data.len() / 8));
        let mut at = 0usize;
        for left in (0..count).rev() {
            let (transform, len) = Transform::parse(data, left > 0).map_err(|e| e.shifted(at))?;
            out.push(transform);
            at = at.saturating_add(len);
            data = data.get(len..).unwrap_or_default();
        }
        if data.is_empty() {
            return Ok(out);
        }
        Err(WireError { place: Place::Proposal, offset: at, fault: Fault::Trailing { extra: data.len() } })
    }

    /// Appends the proposal; `more` says whether another follows.
    pub(crate) fn emit(&self, more: bool, out: &mut Vec<u8>) -> Result<(), WireError> {
        let start = out.len();
        let spi_size = octet(Place::Proposal, self.spi.len())?;
        let count = octet(Place::Proposal, self.transforms.len())?;
        let marker = if more { 2 } else { 0 };
        out.extend_from_slice(&[marker, self.reserved, 0, 0, self.number, self.protocol.0, spi_size, count]);
        out.extend_from_slice(&self.spi);
        let last = self.transforms.len().saturating_sub(1);
        self.transforms.iter().enumerate().try_for_each(|(i, t)| t.emit(i < last, out))?;
        patch_len(Place::Proposal, out, start.saturating_add(2), start)
    }
}
