//! ECP groups 19, 20, 21 (RFC 5903): KE data is x then y without a point format octet, the shared secret is x alone.
//! Peer points must lie on the curve and not be the point at infinity (RFC 6989 §2.3). To add a curve: one static.

use crate::ke::{KeSecret, KeyExchange};
use crate::{CryptoError, CryptoRng, KeId, Secret};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::marker::PhantomData;
use p256::elliptic_curve::array::typenum::Unsigned;
use p256::elliptic_curve::ecdh::EphemeralSecret;
use p256::elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use p256::elliptic_curve::{AffinePoint, Curve, CurveArithmetic, FieldBytesSize, Generate, PublicKey};

/// ECDH on the curve `C`.
pub(crate) struct Ecp<C> {
    id: KeId,
    types: PhantomData<fn() -> C>,
}

pub(super) const fn ecp<C>(id: KeId) -> Ecp<C> {
    Ecp { id, types: PhantomData }
}

pub(crate) static ECP_256: Ecp<p256::NistP256> = ecp(KeId::ECP_256);
pub(crate) static ECP_384: Ecp<p384::NistP384> = ecp(KeId::ECP_384);
pub(crate) static ECP_521: Ecp<p521::NistP521> = ecp(KeId::ECP_521);

/// Octets of one coordinate.
fn coordinate_len<C: Curve>() -> usize {
    FieldBytesSize::<C>::USIZE
}

impl<C> KeyExchange for Ecp<C>
where
    C: CurveArithmetic,
    FieldBytesSize<C>: ModulusSize,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
{
    fn id(&self) -> KeId {
        self.id
    }
    fn initiator_len(&self) -> usize {
        2 * coordinate_len::<C>()
    }
    fn responder_len(&self) -> usize {
        2 * coordinate_len::<C>()
    }
    fn initiate(&self, rng: &mut dyn CryptoRng) -> Result<(Box<dyn KeSecret>, Vec<u8>), CryptoError> {
        let secret = EphemeralSecret::<C>::generate_from_rng(rng);
        let public = encode(&secret.public_key());
        Ok((Box::new(Private { id: self.id, secret }), public))
    }
    fn respond(&self, rng: &mut dyn CryptoRng, peer: &[u8]) -> Result<(Vec<u8>, Secret), CryptoError> {
        let peer = decode::<C>(peer)?;
        let secret = EphemeralSecret::<C>::generate_from_rng(rng);
        Ok((encode(&secret.public_key()), agree(&secret, &peer)))
    }
}

struct Private<C: CurveArithmetic> {
    id: KeId,
    secret: EphemeralSecret<C>,
}

impl<C> KeSecret for Private<C>
where
    C: CurveArithmetic,
    FieldBytesSize<C>: ModulusSize,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
{
    fn id(&self) -> KeId {
        self.id
    }
    fn finish(self: Box<Self>, peer: &[u8]) -> Result<Secret, CryptoError> {
        Ok(agree(&self.secret, &decode::<C>(peer)?))
    }
}

fn agree<C: CurveArithmetic>(secret: &EphemeralSecret<C>, peer: &PublicKey<C>) -> Secret {
    Secret::from(secret.diffie_hellman(peer).raw_secret_bytes().as_slice())
}

fn encode<C>(public: &PublicKey<C>) -> Vec<u8>
where
    C: CurveArithmetic,
    FieldBytesSize<C>: ModulusSize,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
{
    let point = public.as_affine().to_sec1_point(false);
    point.as_bytes().iter().skip(1).copied().collect()
}

fn decode<C>(xy: &[u8]) -> Result<PublicKey<C>, CryptoError>
where
    C: CurveArithmetic,
    FieldBytesSize<C>: ModulusSize,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
{
    if xy.len() != 2 * coordinate_len::<C>() {
        return Err(CryptoError::Length);
    }
    let mut sec1 = Vec::with_capacity(1 + xy.len());
    sec1.push(4); // SEC 1: uncompressed
    sec1.extend_from_slice(xy);
    PublicKey::from_sec1_bytes(&sec1).map_err(|_| CryptoError::PublicValue)
}
