//! REKEY_SA (RFC 7296 §1.3.3, §3.10.1). It has no data: protocol and SPI in the Notify payload name the SA.
//! CHILD_SA_NOT_FOUND (RFC 7296 §2.25) answers in the same shape.
use crate::registry::{NotifyType, ProtocolId};
use crate::wire::payload::Notify;

/// The AH or ESP SA that is to be replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RekeySa {
    /// AH or ESP.
    pub protocol: ProtocolId,
    /// The SPI the sender of the request receives with.
    pub spi: u32,
}

impl RekeySa {
    /// Reads a REKEY_SA or CHILD_SA_NOT_FOUND notify; `None` when its SPI does not name an AH or ESP SA.
    #[must_use]
    pub fn of(notify: &Notify) -> Option<Self> {
        let named = matches!(notify.protocol, ProtocolId::AH | ProtocolId::ESP);
        let spi = notify.child_spi()?;
        named.then_some(Self { protocol: notify.protocol, spi })
    }

    /// The REKEY_SA notify.
    #[must_use]
    pub fn to_notify(self) -> Notify {
        Notify::for_child(NotifyType::REKEY_SA, self.protocol, self.spi, alloc::vec::Vec::new())
    }

    /// The CHILD_SA_NOT_FOUND notify that refuses it.
    #[must_use]
    pub fn not_found(self) -> Notify {
        Notify::for_child(NotifyType::CHILD_SA_NOT_FOUND, self.protocol, self.spi, alloc::vec::Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let sa = RekeySa { protocol: ProtocolId::ESP, spi: 0x2ad4_c0a2 };
        assert_eq!(RekeySa::of(&sa.to_notify()), Some(sa));
        assert_eq!(sa.to_notify(), Notify::parse(&[3, 4, 0x40, 9, 0x2a, 0xd4, 0xc0, 0xa2]).unwrap());
        assert_eq!(RekeySa::of(&sa.not_found()), Some(sa));
        assert_eq!(RekeySa::of(&Notify { protocol: ProtocolId::IKE, ..sa.to_notify() }), None);
        assert_eq!(RekeySa::of(&Notify::empty(NotifyType::REKEY_SA)), None);
    }
}
