//! TICKET_OPAQUE (RFC 5723 §7.3): the ticket in IKE_SESSION_RESUME.
use super::{NotifyData, octets};
use crate::registry::NotifyType;
use crate::wire::error::WireError;
use alloc::vec::Vec;

/// A resumption ticket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TicketOpaque {
    /// Opaque to the client.
    pub ticket: Vec<u8>,
}

impl NotifyData for TicketOpaque {
    const KIND: NotifyType = NotifyType::TICKET_OPAQUE;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        octets(data, 1, 65535).map(|ticket| Self { ticket })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.ticket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_sizes() {
        super::super::check::<TicketOpaque>(&[&[7], &[7; 200]], &[&[]]);
    }
}
