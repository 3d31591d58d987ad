//! IKE_SA_INIT (RFC 7296 §1.2, §2.6, §2.7, §3.4): proposals, key exchange, nonces; with COOKIE and INVALID_KE_PAYLOAD
//! retries, NAT detection (§2.23) and the notifies of the extensions that begin here. Cut by role; a notify that both sides
//! say and answer goes into `extensions.rs`.
//!
//! Nothing in this exchange is authenticated. An error answer never ends an attempt at once (§2.21.1).

mod extensions;
mod initiator;
mod proposals;
mod responder;

pub use initiator::SaInit;
pub(super) use proposals::offers;
pub use responder::{Refusal, respond, resume};

use super::rare::Rare;
use super::{Cx, IkeSuite, Inbound, Pending, SaCore};
use crate::error::Reason;
use crate::ext::ppk::PpkUse;
use crate::ids::Role;
use crate::keys::sk_schedule::{Seeds, SkKeys, skeyseed};
use crate::wire::payload::{KeyExchange, SecurityAssociation};
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use ravelin_crypto::ke::KeSecret;
use ravelin_crypto::{KeId, Secret};

/// Octets of our nonces: at least half the key size of any PRF (RFC 7296 §2.10).
pub const NONCE_LEN: usize = 32;
/// Room for the payloads of a usual message.
const USUAL: usize = 12;

/// A private half whose `Debug` says nothing.
pub struct SecretHalf(pub Box<dyn KeSecret>);

impl ::core::fmt::Debug for SecretHalf {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        write!(f, "SecretHalf({})", self.0.id())
    }
}

/// The three payloads that every IKE_SA_INIT message has.
struct Parts<'m> {
    sa: &'m SecurityAssociation,
    ke: &'m KeyExchange,
    nonce: &'m [u8],
}

impl<'m> Parts<'m> {
    fn read(msg: &'m Inbound<'_>) -> Result<Self, Reason> {
        let (sa, ke, nonce) = (msg.payloads.sa(), msg.payloads.ke(), msg.payloads.nonce());
        match (sa, ke, nonce) {
            (Some(sa), Some(ke), Some(nonce)) => Ok(Self { sa, ke, nonce: &nonce.data }),
            _ => Err(Reason::Malformed {
                detail: "IKE_SA_INIT without SA, KE or Nonce payload (RFC 7296 section 1.2)".to_string(),
            }),
        }
    }
}

/// A fresh key pair of a method.
pub(crate) fn key_pair(cx: &mut Cx<'_>, group: KeId) -> Result<(SecretHalf, Vec<u8>), Reason> {
    let method = cx.crypto.ke(group).ok_or(Reason::Crypto(ravelin_crypto::CryptoError::Unsupported))?;
    let (secret, public) = method.initiate(cx.rng)?;
    Ok((SecretHalf(secret), public))
}

/// Derives SK_* of the initial IKE SA.
fn derive(cx: &mut Cx<'_>, core: &mut SaCore, suite: IkeSuite, shared: &Secret) -> Result<(), Reason> {
    let seed = skeyseed(suite.prf, &core.opening.ni, &core.opening.nr, shared);
    derive_from(cx, core, suite, seed)?;
    crate::exchange::auth::export_handshake_keys(cx, core);
    Ok(())
}

fn derive_from(cx: &mut Cx<'_>, core: &mut SaCore, suite: IkeSuite, seed: Secret) -> Result<(), Reason> {
    let (ni, nr) = (&core.opening.ni, &core.opening.nr);
    core.keys =
        SkKeys::derive(suite.prf, suite.key_lengths(), &seed, Seeds { ni, nr, spi_i: core.spi_i, spi_r: core.spi_r })?;
    let pending = Pending { ke: suite.addke.clone(), ppk: core.agreed.ppk == PpkUse::Intermediate };
    core.pending = if pending == Pending::default() { Rare::default() } else { pending.into() };
    core.suite = Some(cx.common.suite(&suite));
    if core.role == Role::Responder {
        core.opening.seed = Some(seed);
    }
    Ok(())
}
