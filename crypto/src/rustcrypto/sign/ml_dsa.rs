//! ML-DSA-44, 65, 87 (FIPS 204; draft-ietf-ipsecme-ikev2-pqc-auth): pure mode, empty context, hedged signing. Private keys
//! are seeds (RFC 9881 §6). The `ml-dsa` crate is not audited: feature `pqc-sign`, off by default.

use crate::sign::{SignatureFamily, SignatureScheme, SigningKey};
use crate::{CryptoError, CryptoRng};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::marker::PhantomData;
use ml_dsa::{Keypair, MlDsa44, MlDsa65, MlDsa87, MlDsaParams, Signature, SigningKey as Private, VerifyingKey};
use pkcs8::PrivateKeyInfoRef;
use pkcs8::der::AnyRef;
use pkcs8::spki::{AssociatedAlgorithmIdentifier, EncodePublicKey, SubjectPublicKeyInfoRef};

/// One parameter set.
pub(crate) struct MlDsa<P> {
    schemes: &'static [SignatureScheme],
    types: PhantomData<fn() -> P>,
}

pub(crate) static ML_DSA_44: MlDsa<MlDsa44> = MlDsa { schemes: &[SignatureScheme::MlDsa44], types: PhantomData };
pub(crate) static ML_DSA_65: MlDsa<MlDsa65> = MlDsa { schemes: &[SignatureScheme::MlDsa65], types: PhantomData };
pub(crate) static ML_DSA_87: MlDsa<MlDsa87> = MlDsa { schemes: &[SignatureScheme::MlDsa87], types: PhantomData };

impl<P> SignatureFamily for MlDsa<P>
where
    P: MlDsaParams + AssociatedAlgorithmIdentifier<Params = AnyRef<'static>> + Send + Sync + 'static,
{
    fn schemes(&self) -> &'static [SignatureScheme] {
        self.schemes
    }

    fn verify(
        &self,
        scheme: SignatureScheme,
        spki: &[u8],
        message: &[&[u8]],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        if !self.schemes.contains(&scheme) {
            return Err(CryptoError::Unsupported);
        }
        let spki = SubjectPublicKeyInfoRef::try_from(spki).map_err(|_| CryptoError::Key)?;
        let key = VerifyingKey::<P>::try_from(spki).map_err(|_| CryptoError::Key)?;
        let signature = Signature::<P>::try_from(signature).map_err(|_| CryptoError::Integrity)?;
        if key.verify_with_context(&message.concat(), &[], &signature) { Ok(()) } else { Err(CryptoError::Integrity) }
    }

    fn signing_key(&self, pkcs8: &[u8]) -> Result<Box<dyn SigningKey>, CryptoError> {
        let info = PrivateKeyInfoRef::try_from(pkcs8).map_err(|_| CryptoError::Key)?;
        let own = P::ALGORITHM_IDENTIFIER.oid;
        info.algorithm.assert_algorithm_oid(own).map_err(|_| CryptoError::Unsupported)?;
        let private = Box::new(Private::<P>::try_from(info).map_err(|_| CryptoError::Key)?);
        let public = private.verifying_key().to_public_key_der().map_err(|_| CryptoError::Key)?.into_vec();
        Ok(Box::new(Key { private, public, schemes: self.schemes }))
    }
}

struct Key<P: MlDsaParams> {
    private: Box<Private<P>>,
    public: Vec<u8>,
    schemes: &'static [SignatureScheme],
}

impl<P: MlDsaParams + Send + Sync> SigningKey for Key<P> {
    fn public_key(&self) -> &[u8] {
        &self.public
    }
    fn schemes(&self) -> &[SignatureScheme] {
        self.schemes
    }
    fn sign(
        &self,
        scheme: SignatureScheme,
        rng: &mut dyn CryptoRng,
        message: &[&[u8]],
    ) -> Result<Vec<u8>, CryptoError> {
        if !self.schemes.contains(&scheme) {
            return Err(CryptoError::Unsupported);
        }
        let signature = self.private.expanded_key().sign_randomized(&message.concat(), &[], rng);
        Ok(signature.map_err(|_| CryptoError::Internal)?.encode().to_vec())
    }
}
