//! The PAD in a snapshot: entries in order with their ids, certificates and revocation lists, and the secrets if they
//! were asked for. Private keys stay where they are.

use super::{Credential, Credentials, Identity, Pad, Peer, STEP, Secrets};
use crate::PeerId;
use crate::snapshot::{Include, Octets, SnapshotError};
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use ravelin_crypto::{AuthHashId, Secret, sign::SignatureScheme};
use serde::{Deserialize, Serialize};

/// All entries and what they refer to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PadSnapshot {
    /// In the order in which they are judged.
    pub peers: Vec<PeerSnapshot>,
    /// The last id that was given.
    pub last_id: u32,
    /// What we prove ourselves with, without private keys.
    pub credentials: Vec<CredentialSnapshot>,
    /// Names and certificates (DER) of the CAs that are trusted.
    pub anchors: Vec<(String, Octets)>,
    /// Revocation lists (DER).
    pub crls: Vec<Octets>,
    /// Pre-shared keys and passwords; `None`: left out.
    pub secrets: Option<SecretsSnapshot>,
}

/// One entry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PeerSnapshot {
    /// Its id.
    pub id: PeerId,
    /// The entry.
    pub peer: Peer,
}

/// A credential. Restored, its private key is elsewhere: the driver is asked to sign until it adds the key again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CredentialSnapshot {
    /// Its name.
    pub name: String,
    /// Certificates (DER), our own first.
    pub chain: Vec<Octets>,
    /// SHA-1 hashes of the public keys of the CAs.
    pub authorities: Vec<Octets>,
    /// The public key, DER SubjectPublicKeyInfo.
    pub public_key: Octets,
    /// What the private key can sign: family and hash algorithm number.
    pub schemes: Vec<(String, u16)>,
}

/// Secrets, readable: to be kept as they are.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretsSnapshot {
    /// Pre-shared keys.
    pub psks: Vec<PskSnapshot>,
    /// Post-quantum pre-shared keys by PPK_ID.
    pub ppks: Vec<(Octets, SecretSnapshot)>,
    /// Passwords by EAP user.
    pub eap: Vec<(Octets, SecretSnapshot)>,
}

impl fmt::Debug for SecretsSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretsSnapshot({} PSKs, {} PPKs, {} users)", self.psks.len(), self.ppks.len(), self.eap.len())
    }
}

/// One secret.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretSnapshot(#[serde(with = "crate::snapshot::secret")] pub Secret);

/// A pre-shared key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PskSnapshot {
    /// Our identity; `None`: any.
    pub local: Option<Identity>,
    /// The peer's identity; `None`: any.
    pub remote: Option<Identity>,
    /// The key.
    pub psk: SecretSnapshot,
}

/// Families of signatures by the names that snapshots have for them.
type Family = (&'static str, fn(AuthHashId) -> SignatureScheme);
const FAMILIES: &[Family] = &[
    ("rsa-pkcs1", SignatureScheme::RsaPkcs1),
    ("rsa-pss", SignatureScheme::RsaPss),
    ("ecdsa", SignatureScheme::Ecdsa),
    ("ecdsa-raw", SignatureScheme::EcdsaRaw),
    ("ed25519", |_| SignatureScheme::Ed25519),
    ("ml-dsa-44", |_| SignatureScheme::MlDsa44),
    ("ml-dsa-65", |_| SignatureScheme::MlDsa65),
    ("ml-dsa-87", |_| SignatureScheme::MlDsa87),
];

fn scheme_out(scheme: SignatureScheme) -> Option<(String, u16)> {
    let (name, _) = FAMILIES.iter().find(|(_, make)| make(scheme.hash()) == scheme)?;
    Some(((*name).into(), scheme.hash().0))
}

fn scheme_in((name, hash): &(String, u16)) -> Option<SignatureScheme> {
    FAMILIES.iter().find(|(n, _)| n == name).map(|(_, make)| make(AuthHashId(*hash)))
}

impl PadSnapshot {
    pub(crate) fn take(pad: &Pad, include: Include) -> Self {
        let octets = |list: &[Vec<u8>]| list.iter().cloned().map(Octets).collect();
        let credential = |(name, c): (&String, &Credential)| CredentialSnapshot {
            name: name.clone(),
            chain: octets(&c.chain),
            authorities: c.authorities.iter().map(|a| Octets(a.to_vec())).collect(),
            public_key: Octets(c.public_key.clone()),
            schemes: c.schemes.iter().filter_map(|s| scheme_out(*s)).collect(),
        };
        Self {
            peers: pad.iter().map(|(id, p)| PeerSnapshot { id, peer: Peer::clone(p) }).collect(),
            last_id: pad.last_id,
            credentials: pad.credentials.own.iter().map(|(n, c)| credential((n, c))).collect(),
            anchors: pad.credentials.anchors.iter().map(|(n, d)| (n.clone(), Octets(d.to_vec()))).collect(),
            crls: pad.credentials.crls().map(|d| Octets(d.to_vec())).collect(),
            secrets: (include == Include::Secrets).then(|| SecretsSnapshot::take(&pad.secrets)),
        }
    }

    pub(crate) fn restore(&self) -> Result<Pad, SnapshotError> {
        let mut pad = Pad { last_id: self.last_id, ..Pad::default() };
        let mut ids = BTreeSet::new();
        for PeerSnapshot { id, peer } in &self.peers {
            if id.0 == 0 || id.0 > self.last_id || !ids.insert(*id) {
                return Err(SnapshotError::Id(alloc::format!("peer \"{}\" ({id})", peer.name)));
            }
            pad.check(peer, None).map_err(SnapshotError::Pad)?;
            let rank = pad.entries.last_key_value().map_or(STEP, |(r, _)| r.saturating_add(STEP));
            pad.put(rank, *id, peer.clone());
        }
        pad.credentials = self.credentials();
        if let Some(secrets) = &self.secrets {
            pad.secrets = secrets.restore();
        }
        Ok(pad)
    }

    fn credentials(&self) -> Credentials {
        let mut credentials = Credentials::default();
        for c in &self.credentials {
            let chain = c.chain.iter().map(|o| o.0.clone()).collect();
            let schemes = c.schemes.iter().filter_map(scheme_in).collect();
            let mut own = Credential::elsewhere(chain, c.public_key.0.clone(), schemes);
            own.authorities = c.authorities.iter().filter_map(|a| a.0.as_slice().try_into().ok()).collect();
            credentials.add(c.name.clone(), own);
        }
        self.anchors.iter().for_each(|(name, der)| credentials.add_anchor(name.clone(), &der.0));
        self.crls.iter().for_each(|der| credentials.add_crl(&der.0));
        credentials
    }
}

impl SecretsSnapshot {
    fn take(secrets: &Secrets) -> Self {
        let psk = |(local, remote, psk): (Option<&Identity>, Option<&Identity>, &Secret)| PskSnapshot {
            local: local.cloned(),
            remote: remote.cloned(),
            psk: SecretSnapshot(psk.clone()),
        };
        Self {
            psks: secrets.psks().map(|(l, r, s)| psk((l, r, s))).collect(),
            ppks: secrets.ppks().map(|(id, s)| (Octets(id.to_vec()), SecretSnapshot(Secret::clone(s)))).collect(),
            eap: secrets.eap_users().map(|(u, s)| (Octets(u.to_vec()), SecretSnapshot(Secret::clone(s)))).collect(),
        }
    }

    fn restore(&self) -> Secrets {
        let mut secrets = Secrets::default();
        for p in &self.psks {
            secrets.add_psk(p.local.as_ref(), p.remote.as_ref(), p.psk.0.clone());
        }
        for (id, ppk) in &self.ppks {
            secrets.add_ppk(id.0.clone(), ppk.0.clone());
        }
        for (user, password) in &self.eap {
            secrets.add_eap(user.0.clone(), password.0.clone());
        }
        secrets
    }
}
