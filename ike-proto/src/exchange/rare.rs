//! A part of an IKE SA's facts that it has for a short time only, or never: nothing but a pointer while it is blank.
//! To make one rare: implement [`Blank`] for it, and call [`Rare::tidy`] where it is blank again.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};

/// A type with one blank value that is shared by all.
pub trait Blank: Default + 'static {
    /// The blank value, equal to the default.
    fn blank() -> &'static Self;
}

impl<T: 'static> Blank for Vec<T> {
    fn blank() -> &'static Self {
        const { &Vec::new() }
    }
}

/// A value that takes no memory while it is blank.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rare<T>(Option<Box<T>>);

impl<T> Default for Rare<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> From<T> for Rare<T> {
    fn from(value: T) -> Self {
        Self(Some(Box::new(value)))
    }
}

impl<T: Blank> Deref for Rare<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Some(value) => value,
            None => T::blank(),
        }
    }
}

impl<T: Blank> DerefMut for Rare<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_with(Box::default)
    }
}

impl<T: Blank> Rare<T> {
    /// Forgets the value.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// Takes the value out.
    pub fn take(&mut self) -> T {
        self.0.take().map(|value| *value).unwrap_or_default()
    }

    /// The value, when it is there: writing nothing into what is blank takes no memory.
    pub fn there_mut(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }

    /// Gives the memory back if the value is blank.
    pub fn tidy(&mut self)
    where
        T: PartialEq,
    {
        if **self == *T::blank() {
            self.0 = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Pending;

    #[test]
    fn nothing_while_blank() {
        let mut rare = Rare::<Pending>::default();
        assert!(!rare.ppk && rare.0.is_none());
        rare.ppk = true;
        rare.tidy();
        assert!(rare.ppk && rare.0.is_some());
        rare.ppk = false;
        rare.tidy();
        assert!(rare.0.is_none());
    }
}
