//! The databases that both planes look at. `Node` owns one and lends it to the IKE endpoint.

use crate::pad::Pad;
use crate::pool::Pools;
use crate::sad::SpiAllocator;
use crate::spd::Spd;

/// PAD, SPD, address pools and the SPIs that are taken. The SAs themselves live in a [`crate::sad::Sad`] of the data plane: only
/// [`crate::Change`]s write there.
#[derive(Clone, Default, Debug)]
pub struct Db {
    /// Who may speak, and the secrets.
    pub pad: Pad,
    /// Which traffic needs what.
    pub spd: Spd,
    /// Our SPIs; reservation works on `&self`.
    pub spis: SpiAllocator,
    /// Inner addresses for peers; leasing works on `&self`.
    pub pools: Pools,
}

impl Db {
    /// Empty databases.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}
