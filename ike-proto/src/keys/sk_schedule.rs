//! SKEYSEED and the seven SK_* keys (RFC 7296 §2.14, §2.18; RFC 9370 §2.2.2 for additional key exchanges).

use super::prf_plus;
use alloc::vec::Vec;
use ravelin_crypto::prf::Prf;
use ravelin_crypto::{CryptoError, Secret};
use smallvec::SmallVec;

/// Key lengths that the negotiated IKE suite asks for, in octets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SkKeyLengths {
    /// SK_ei and SK_er: cipher key and salt.
    pub encr: usize,
    /// SK_ai and SK_ar; 0 with an AEAD.
    pub integ: usize,
}

/// The keys of one IKE SA, in one piece of memory that is wiped on drop: an IKE SA is kept by the hundred thousand.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SkKeys {
    /// SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr, the last two until they are forgotten.
    stream: Secret,
    /// Octets of SK_d, SK_pi and SK_pr each, of SK_ai and SK_ar, of SK_ei and SK_er.
    lens: [u16; 3],
}

impl SkKeys {
    fn lens(&self) -> [usize; 3] {
        self.lens.map(usize::from)
    }

    fn cut(&self, at: usize, len: usize) -> &[u8] {
        self.stream.expose().get(at..at.saturating_add(len)).unwrap_or_default()
    }

    /// SK_d, the root of all Child SA keys and of the next IKE SA.
    #[must_use]
    pub fn d(&self) -> &[u8] {
        let [p, _, _] = self.lens();
        self.cut(0, p)
    }

    /// SK_ai: integrity, initiator to responder. Empty with an AEAD.
    #[must_use]
    pub fn ai(&self) -> &[u8] {
        let [p, a, _] = self.lens();
        self.cut(p, a)
    }

    /// SK_ar: integrity, responder to initiator. Empty with an AEAD.
    #[must_use]
    pub fn ar(&self) -> &[u8] {
        let [p, a, _] = self.lens();
        self.cut(p.saturating_add(a), a)
    }

    /// SK_ei: encryption (and salt), initiator to responder.
    #[must_use]
    pub fn ei(&self) -> &[u8] {
        let [p, a, e] = self.lens();
        self.cut(sum(&[p, a, a]), e)
    }

    /// SK_er: encryption (and salt), responder to initiator.
    #[must_use]
    pub fn er(&self) -> &[u8] {
        let [p, a, e] = self.lens();
        self.cut(sum(&[p, a, a, e]), e)
    }

    /// SK_pi: AUTH of the initiator. Empty once [`SkKeys::forget_auth`] was called.
    #[must_use]
    pub fn pi(&self) -> &[u8] {
        let [p, a, e] = self.lens();
        self.cut(sum(&[p, a, a, e, e]), p)
    }

    /// SK_pr: AUTH of the responder. Empty once [`SkKeys::forget_auth`] was called.
    #[must_use]
    pub fn pr(&self) -> &[u8] {
        let [p, a, e] = self.lens();
        self.cut(sum(&[p, a, a, e, e, p]), p)
    }

    /// Forgets SK_pi and SK_pr: nobody proves anything with them any more.
    pub fn forget_auth(&mut self) {
        let [p, a, e] = self.lens();
        self.stream = Secret::from(self.cut(0, sum(&[p, a, a, e, e])));
    }

    /// The same with other SK_d, SK_pi and SK_pr, each as long as they were (RFC 8784 §3).
    #[must_use]
    pub fn with_auth(&self, d: &Secret, pi: &Secret, pr: &Secret) -> Self {
        let parts = [d.expose(), self.ai(), self.ar(), self.ei(), self.er(), pi.expose(), pr.expose()];
        Self { stream: Secret::new(parts.concat()), lens: self.lens }
    }
}

fn sum(lens: &[usize]) -> usize {
    lens.iter().fold(0, |all, len| all.saturating_add(*len))
}

/// Nonces and SPIs that enter every derivation of one IKE SA.
#[derive(Clone, Copy, Debug)]
pub struct Seeds<'a> {
    /// Initiator's nonce.
    pub ni: &'a [u8],
    /// Responder's nonce.
    pub nr: &'a [u8],
    /// Initiator's IKE SPI.
    pub spi_i: u64,
    /// Responder's IKE SPI.
    pub spi_r: u64,
}

/// SKEYSEED = prf(Ni | Nr, g^ir). PRFs with a fixed key size take the first half of it from each nonce.
#[must_use]
pub fn skeyseed(prf: &dyn Prf, ni: &[u8], nr: &[u8], shared: &Secret) -> Secret {
    let half = if prf.fixed_key() { prf.key_len() / 2 } else { usize::MAX };
    let front = |nonce: &[u8]| nonce.len().min(half);
    let mut key = SmallVec::<[u8; 128]>::new();
    key.extend_from_slice(ni.get(..front(ni)).unwrap_or_default());
    key.extend_from_slice(nr.get(..front(nr)).unwrap_or_default());
    prf.prf(&key, &[shared.expose()])
}

/// SKEYSEED of a rekeyed IKE SA: prf(SK_d (old), g^ir (new) | Ni | Nr | SK(1) | …), with the old SA's PRF.
#[must_use]
pub fn skeyseed_rekey(
    old_prf: &dyn Prf,
    old_d: &[u8],
    shared: &Secret,
    ni: &[u8],
    nr: &[u8],
    more: &[Secret],
) -> Secret {
    let mut parts: Vec<&[u8]> = Vec::with_capacity(more.len().saturating_add(3));
    parts.extend([shared.expose(), ni, nr]);
    parts.extend(more.iter().map(Secret::expose));
    old_prf.prf(old_d, &parts)
}

/// SKEYSEED(n) = prf(SK_d(n-1), SK(n) | Ni | Nr) after an additional key exchange (RFC 9370 §2.2.2).
#[must_use]
pub fn skeyseed_additional(prf: &dyn Prf, d: &[u8], shared: &Secret, ni: &[u8], nr: &[u8]) -> Secret {
    prf.prf(d, &[shared.expose(), ni, nr])
}

impl SkKeys {
    /// {SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr} = prf+(SKEYSEED, Ni | Nr | SPIi | SPIr).
    ///
    /// # Errors
    /// [`CryptoError::Length`] when the suite asks for more than prf+ can give; no registered suite does.
    pub fn derive(
        prf: &dyn Prf,
        lengths: SkKeyLengths,
        skeyseed: &Secret,
        seeds: Seeds<'_>,
    ) -> Result<Self, CryptoError> {
        let lens = [prf.key_len(), lengths.integ, lengths.encr];
        let [p, a, e] = lens;
        let small = |len: usize| u16::try_from(len).map_err(|_| CryptoError::Length);
        let lens = [small(p)?, small(a)?, small(e)?];
        let (i, r) = (seeds.spi_i.to_be_bytes(), seeds.spi_r.to_be_bytes());
        let parts: [&[u8]; 4] = [seeds.ni, seeds.nr, &i, &r];
        Ok(Self { stream: prf_plus(prf, skeyseed.expose(), &parts, sum(&[p, a, a, e, e, p, p]))?, lens })
    }
}

/// Hands out a key stream piece by piece.
pub(super) struct Cutter<'a>(pub(super) &'a [u8]);

impl Cutter<'_> {
    pub(super) fn take(&mut self, len: usize) -> Secret {
        let (head, tail) = self.0.split_at_checked(len).unwrap_or((self.0, &[]));
        self.0 = tail;
        Secret::from(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ravelin_crypto::PrfId;

    #[test]
    fn what_only_auth_needs_is_forgotten_and_the_rest_stays() {
        let crypto = ravelin_crypto::rustcrypto::provider();
        let prf = crypto.prf(PrfId::HMAC_SHA2_256).unwrap();
        let seeds = Seeds { ni: &[1; 16], nr: &[2; 16], spi_i: 3, spi_r: 4 };
        let lengths = SkKeyLengths { encr: 20, integ: 16 };
        let keys = SkKeys::derive(prf, lengths, &Secret::new(alloc::vec![5; 32]), seeds).unwrap();
        let all = |k: &SkKeys| [k.d(), k.ai(), k.ar(), k.ei(), k.er(), k.pi(), k.pr()].map(<[u8]>::to_vec);
        assert_eq!(all(&keys).map(|k| k.len()), [32, 16, 16, 20, 20, 32, 32]);
        let mut left = keys.clone();
        left.forget_auth();
        assert_eq!(all(&left)[..5], all(&keys)[..5]);
        assert!(left.pi().is_empty() && left.pr().is_empty());
        assert_eq!(left.stream.len(), 104);
        left.forget_auth();
        assert_eq!(left.stream.len(), 104);
        let other = |b: u8| Secret::new(alloc::vec![b; 32]);
        let mixed = keys.with_auth(&other(7), &other(8), &other(9));
        assert_eq!((mixed.d(), mixed.pi(), mixed.pr()), (&[7; 32][..], &[8; 32][..], &[9; 32][..]));
        assert_eq!(all(&mixed)[1..5], all(&keys)[1..5]);
        assert!(SkKeys::default().d().is_empty());
    }
}
