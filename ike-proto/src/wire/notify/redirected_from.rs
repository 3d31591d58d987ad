//! REDIRECTED_FROM (RFC 5685 §7.3): which gateway sent the initiator here.
use super::{Gateway, NotifyData, reader};
use crate::registry::NotifyType;
use crate::wire::error::WireError;
use alloc::vec::Vec;

/// The gateway that redirected the initiator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RedirectedFrom {
    /// The gateway.
    pub gateway: Gateway,
}

impl NotifyData for RedirectedFrom {
    const KIND: NotifyType = NotifyType::REDIRECTED_FROM;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        let mut r = reader(data);
        let gateway = Gateway::parse(&mut r)?;
        r.finish()?;
        Ok(Self { gateway })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        self.gateway.emit(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        super::super::check::<RedirectedFrom>(&[&[1, 4, 192, 0, 2, 1], b"\x03\x02gw"], &[&[], b"\x03\x02gwx"]);
    }
}
