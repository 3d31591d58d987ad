//! Local names of things: small integers that never travel on the wire and are never used twice in a node.

use core::fmt;

macro_rules! local_id {
    ($(#[$meta:meta])* $name:ident($int:ty), $prefix:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub struct $name(pub $int);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, concat!($prefix, "{}"), self.0) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, concat!($prefix, "{}"), self.0) }
        }
    };
}

local_id!(
    /// One Child SA pair (inbound and outbound). A rekeyed Child SA is a new pair with a new id.
    ChildId(u64),
    "child-"
);
local_id!(
    /// One entry of the SPD.
    PolicyId(u32),
    "policy-"
);
local_id!(
    /// One entry of the PAD.
    PeerId(u32),
    "peer-"
);
