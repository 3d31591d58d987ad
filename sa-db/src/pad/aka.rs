//! Where EAP-AKA (RFC 4187) and EAP-AKA′ (RFC 9048) get their numbers from: as server from whoever knows the subscribers
//! (an HSS), as client from the SIM. Neither Milenage nor another algorithm is here: the caller brings it.

use ravelin_crypto::Secret;

/// What a server challenges a subscriber with, and what it then expects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quintet {
    /// The challenge.
    pub rand: [u8; 16],
    /// The network's proof.
    pub autn: [u8; 16],
    /// The answer that is expected: 4 to 16 octets.
    pub res: Secret,
    /// Cipher key, 16 octets.
    pub ck: Secret,
    /// Integrity key, 16 octets.
    pub ik: Secret,
}

/// What a SIM makes of a challenge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SimAnswer {
    /// The network is proved.
    Proved {
        /// RES, 4 to 16 octets.
        res: Secret,
        /// Cipher key, 16 octets.
        ck: Secret,
        /// Integrity key, 16 octets.
        ik: Secret,
    },
    /// The sequence number is not fresh: AUTS.
    Resynchronize([u8; 14]),
    /// AUTN is wrong.
    Refused,
}

/// The caller's source. Calls must return at once; who has to ask somebody far away fetches beforehand.
pub trait AkaSource: Send + Sync {
    /// As server: a fresh quintet for a user; `None`: nobody has this name.
    fn quintet(&self, user: &[u8]) -> Option<Quintet>;

    /// As server: the SIM says that the sequence number of `rand` is stale. True when a new quintet may work.
    fn resynchronize(&self, user: &[u8], rand: &[u8; 16], auts: &[u8; 14]) -> bool;

    /// As client: what the SIM says.
    fn sim(&self, rand: &[u8; 16], autn: &[u8; 16]) -> SimAnswer;
}
