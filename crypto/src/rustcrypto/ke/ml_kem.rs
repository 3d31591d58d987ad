//! ML-KEM-512, 768, 1024 (FIPS 203; draft-ietf-ipsecme-ikev2-mlkem): the initiator's KE data is the encapsulation
//! key, the responder's the ciphertext, the shared secret 32 octets. Fresh randomness for every key and ciphertext.
//! The responder checks length and modulus of the key (§7.2), the initiator the length of the ciphertext (§7.3); a
//! ciphertext of right length never fails, a wrong one yields an unrelated secret (implicit rejection).

use crate::ke::{KeSecret, KeyExchange};
use crate::{CryptoError, CryptoRng, KeId, Secret};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::marker::PhantomData;
use ml_kem::array::typenum::Unsigned;
use ml_kem::kem::Decapsulator;
use ml_kem::{
    Decapsulate, Encapsulate, Generate, Kem, KeyExport, KeySizeUser, MlKem512, MlKem768, MlKem1024, TryKeyInit,
};
use zeroize::Zeroize;

/// One parameter set.
pub(crate) struct MlKem<K> {
    id: KeId,
    types: PhantomData<fn() -> K>,
}

const fn ml_kem<K>(id: KeId) -> MlKem<K> {
    MlKem { id, types: PhantomData }
}

pub(crate) static ML_KEM_512: MlKem<MlKem512> = ml_kem(KeId::ML_KEM_512);
pub(crate) static ML_KEM_768: MlKem<MlKem768> = ml_kem(KeId::ML_KEM_768);
pub(crate) static ML_KEM_1024: MlKem<MlKem1024> = ml_kem(KeId::ML_KEM_1024);

impl<K> KeyExchange for MlKem<K>
where
    K: Kem,
    K::DecapsulationKey: Decapsulate<Kem = K> + Send + Sync + 'static,
{
    fn id(&self) -> KeId {
        self.id
    }
    fn initiator_len(&self) -> usize {
        K::EncapsulationKey::key_size()
    }
    fn responder_len(&self) -> usize {
        K::CiphertextSize::USIZE
    }
    fn initiate(&self, rng: &mut dyn CryptoRng) -> Result<(Box<dyn KeSecret>, Vec<u8>), CryptoError> {
        let key = Box::new(K::DecapsulationKey::generate_from_rng(rng));
        let public = key.encapsulation_key().to_bytes().to_vec();
        Ok((Box::new(Private::<K> { id: self.id, key }), public))
    }
    fn respond(&self, rng: &mut dyn CryptoRng, peer: &[u8]) -> Result<(Vec<u8>, Secret), CryptoError> {
        let peer = peer.try_into().map_err(|_| CryptoError::Length)?;
        let key = <K::EncapsulationKey as TryKeyInit>::new(peer).map_err(|_| CryptoError::PublicValue)?;
        let (ciphertext, mut shared) = key.encapsulate_with_rng(rng);
        let secret = Secret::from(shared.as_slice());
        shared.as_mut_slice().zeroize();
        Ok((ciphertext.to_vec(), secret))
    }
}

struct Private<K: Kem> {
    id: KeId,
    key: Box<K::DecapsulationKey>,
}

impl<K> KeSecret for Private<K>
where
    K: Kem,
    K::DecapsulationKey: Decapsulate<Kem = K> + Send + Sync,
{
    fn id(&self) -> KeId {
        self.id
    }
    fn finish(self: Box<Self>, peer: &[u8]) -> Result<Secret, CryptoError> {
        let ciphertext = peer.try_into().map_err(|_| CryptoError::Length)?;
        let mut shared = self.key.decapsulate(ciphertext);
        let secret = Secret::from(shared.as_slice());
        shared.as_mut_slice().zeroize();
        Ok(secret)
    }
}
