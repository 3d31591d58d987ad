//! IPCOMP_SUPPORTED (RFC 7296 §2.22, §3.10.1): the sender can take compressed packets.
use super::{NotifyData, reader};
use crate::registry::{IpcompId, NotifyType};
use crate::wire::error::WireError;
use alloc::vec::Vec;

/// One compression algorithm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IpcompSupported {
    /// Compression parameter index the sender receives with.
    pub cpi: u16,
    /// The algorithm.
    pub transform: IpcompId,
    /// Its attributes; none are defined for the registered algorithms.
    pub attributes: Vec<u8>,
}

impl NotifyData for IpcompSupported {
    const KIND: NotifyType = NotifyType::IPCOMP_SUPPORTED;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        let mut r = reader(data);
        Ok(Self { cpi: r.u16()?, transform: IpcompId(r.u8()?), attributes: r.rest().to_vec() })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.cpi.to_be_bytes());
        out.push(self.transform.0);
        out.extend_from_slice(&self.attributes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        super::super::check::<IpcompSupported>(&[&[1, 2, 2], &[1, 2, 1, 9]], &[&[], &[1, 2]]);
        let ipcomp = IpcompSupported::parse(&[1, 2, 2]).unwrap();
        assert_eq!((ipcomp.cpi, ipcomp.transform), (258, IpcompId::DEFLATE));
    }
}
