//! A checked cursor over octets; every failure says where it stood.
use super::error::{Fault, Place, WireError};

/// Reads big-endian fields from the front of a slice.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    data: &'a [u8],
    at: usize,
    place: Place,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(place: Place, data: &'a [u8]) -> Self {
        Self { data, at: 0, place }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Octets read so far.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Octets not read yet.
    pub(crate) fn left(&self) -> usize {
        self.data.len()
    }

    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let Some((head, tail)) = self.data.split_at_checked(n) else {
            return Err(self.fail(Fault::Truncated { need: n, have: self.data.len() }));
        };
        self.data = tail;
        self.at = self.at.saturating_add(n);
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let Some((head, tail)) = self.data.split_first_chunk::<N>() else {
            return Err(self.fail(Fault::Truncated { need: N, have: self.data.len() }));
        };
        self.data = tail;
        self.at = self.at.saturating_add(N);
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        self.array::<1>().map(|[b]| b)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_be_bytes)
    }

    /// Everything that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        let out = self.data;
        self.at = self.at.saturating_add(out.len());
        self.data = &[];
        out
    }

    /// Refuses octets that nobody read.
    pub(crate) fn finish(&self) -> Result<(), WireError> {
        if self.data.is_empty() { Ok(()) } else { Err(self.fail(Fault::Trailing { extra: self.data.len() })) }
    }

    /// An error that stands where the cursor stands.
    pub(crate) fn fail(&self, fault: Fault) -> WireError {
        WireError { place: self.place, offset: self.at, fault }
    }

    /// An error `back` octets before the cursor, where the field that was just read begins.
    pub(crate) fn fail_back(&self, back: usize, fault: Fault) -> WireError {
        WireError { place: self.place, offset: self.at.saturating_sub(back), fault }
    }
}
