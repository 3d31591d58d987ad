//! TICKET_LT_OPAQUE (RFC 5723 §7.2): a resumption ticket and how long it is good.
use super::{NotifyData, octets, reader};
use crate::registry::NotifyType;
use crate::wire::error::WireError;
use alloc::vec::Vec;

/// A ticket for a later IKE_SESSION_RESUME.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TicketLtOpaque {
    /// Seconds the ticket may be used from now on.
    pub lifetime: u32,
    /// Opaque to the client; at least one octet.
    pub ticket: Vec<u8>,
}

impl NotifyData for TicketLtOpaque {
    const KIND: NotifyType = NotifyType::TICKET_LT_OPAQUE;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        let mut r = reader(data);
        Ok(Self { lifetime: r.u32()?, ticket: octets(r.rest(), 1, 65535)? })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.lifetime.to_be_bytes());
        out.extend_from_slice(&self.ticket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        super::super::check::<TicketLtOpaque>(&[&[0, 0, 14, 16, 1, 2]], &[&[], &[0, 0, 14, 16]]);
    }
}
