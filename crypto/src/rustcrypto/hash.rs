//! SHA-1 and SHA-2 (FIPS 180-4). To add a hash: one static, one line in [`super::provider`].

use crate::AuthHashId;
use crate::hash::Hash;
use alloc::vec::Vec;
use core::marker::PhantomData;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

/// The hash `D` under its RFC 7427 id.
pub(crate) struct DigestHash<D> {
    id: AuthHashId,
    types: PhantomData<fn() -> D>,
}

const fn hash<D>(id: AuthHashId) -> DigestHash<D> {
    DigestHash { id, types: PhantomData }
}

pub(crate) static SHA1: DigestHash<Sha1> = hash(AuthHashId::SHA1);
pub(crate) static SHA2_256: DigestHash<Sha256> = hash(AuthHashId::SHA2_256);
pub(crate) static SHA2_384: DigestHash<Sha384> = hash(AuthHashId::SHA2_384);
pub(crate) static SHA2_512: DigestHash<Sha512> = hash(AuthHashId::SHA2_512);

impl<D: Digest> Hash for DigestHash<D> {
    fn id(&self) -> AuthHashId {
        self.id
    }
    fn output_len(&self) -> usize {
        <D as Digest>::output_size()
    }
    fn hash(&self, parts: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        self.hash_with(parts, &mut |hash| out.extend_from_slice(hash));
        out
    }
    fn hash_with(&self, parts: &[&[u8]], then: &mut dyn FnMut(&[u8])) {
        let mut state = D::new();
        for part in parts {
            state.update(part);
        }
        then(&state.finalize());
    }
}
