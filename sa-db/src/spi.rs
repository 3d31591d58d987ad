//! The 32-bit SPI of ESP and AH (RFC 4303 §2.1). Values 0 to 255 are reserved and never allocated.

use core::fmt;

/// A Security Parameters Index of ESP or AH, in host order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spi(pub u32);

impl Spi {
    /// The lowest value that may be allocated (RFC 4303 §2.1).
    pub const MIN: u32 = 256;

    /// From wire octets.
    #[must_use]
    pub const fn from_be_bytes(b: [u8; 4]) -> Self {
        Self(u32::from_be_bytes(b))
    }

    /// As wire octets.
    #[must_use]
    pub const fn to_be_bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }

    /// True for 0 to 255, which no SA may have.
    #[must_use]
    pub const fn is_reserved(self) -> bool {
        self.0 < Self::MIN
    }
}

impl fmt::Display for Spi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Debug for Spi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spi({:08x})", self.0)
    }
}
