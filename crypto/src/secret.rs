//! Octets that are wiped on drop, compared in constant time and never printed.
//! Every key, shared secret and password of the stack travels in a [`Secret`].

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Secret octets on the heap. `Debug` prints the length only; equality takes constant time in the content.
#[derive(Clone, Default, Zeroize, ZeroizeOnDrop)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Takes ownership of `bytes`; they are wiped when the value is dropped.
    #[must_use]
    pub fn new(mut bytes: Vec<u8>) -> Self {
        if bytes.len() == bytes.capacity() {
            return Self(bytes.into_boxed_slice());
        }
        // A smaller block may be elsewhere, and the old one would keep what was in it.
        let secret = Self::from(bytes.as_slice());
        bytes.zeroize();
        secret
    }

    /// `len` zero octets, to be filled by [`Secret::expose_mut`].
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        Self(alloc::vec![0; len].into_boxed_slice())
    }

    /// The octets themselves. Whoever calls this must not copy them into anything that is printed or kept.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The octets themselves, writable.
    pub fn expose_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// Length in octets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when there are no octets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&[u8]> for Secret {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}
impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} octets)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_printed() {
        let s = Secret::new(alloc::vec![0xAB; 4]);
        assert_eq!(alloc::format!("{s:?}"), "Secret(4 octets)");
    }
}
