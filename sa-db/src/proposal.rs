//! What a side offers or accepts: transforms of one proposal for an IKE SA or a Child SA (RFC 7296 §3.3, RFC 9370),
//! and the text form that operators know ("aes256gcm16-prfsha384-x25519-ke1_mlkem768-ke1_none").
//!
//! To add an algorithm: one line in the table of its transform type in `tokens.rs`.

mod tokens;

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use ravelin_crypto::{EncrId, IntegId, KeId, PrfId, Provider, SnId};
use tokens::Token;

/// Security protocol of a proposal (RFC 7296 §3.3.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum ProposalProtocol {
    /// The IKE SA itself.
    Ike,
    /// RFC 4303.
    Esp,
    /// RFC 4302.
    Ah,
}

impl ProposalProtocol {
    /// The Security Protocol Identifier on the wire: 1 IKE, 2 AH, 3 ESP.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::Ike => 1,
            Self::Ah => 2,
            Self::Esp => 3,
        }
    }

    /// From the wire; `None` for protocols we cannot offer.
    #[must_use]
    pub const fn from_id(id: u8) -> Option<Self> {
        match id {
            1 => Some(Self::Ike),
            2 => Some(Self::Ah),
            3 => Some(Self::Esp),
            _ => None,
        }
    }
}

impl fmt::Display for ProposalProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ike => "IKE",
            Self::Esp => "ESP",
            Self::Ah => "AH",
        })
    }
}

/// An encryption transform with its Key Length attribute.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EncrAlg {
    /// Transform ID.
    pub id: EncrId,
    /// Key length in bits; `None` exactly when the size is fixed ([`EncrId::needs_key_length`]).
    pub key_bits: Option<u16>,
}

impl EncrAlg {
    /// A transform with a Key Length attribute, in bits.
    #[must_use]
    pub const fn new(id: EncrId, key_bits: u16) -> Self {
        Self { id, key_bits: Some(key_bits) }
    }

    /// A transform of fixed key size.
    #[must_use]
    pub const fn fixed(id: EncrId) -> Self {
        Self { id, key_bits: None }
    }
}

/// One proposal: for every transform type the acceptable transforms, best first. An empty list means that the type
/// is not in the proposal.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Proposal {
    /// What it is for.
    pub protocol: ProposalProtocol,
    /// Type 1. AEAD and other ciphers never stand in one proposal (RFC 7296 §3.3).
    pub encr: Vec<EncrAlg>,
    /// Type 2, IKE only.
    pub prf: Vec<PrfId>,
    /// Type 3; empty with AEAD ciphers.
    pub integ: Vec<IntegId>,
    /// Type 4. In a Child SA proposal it asks for a fresh key exchange (PFS).
    pub ke: Vec<KeId>,
    /// Type 5, ESP and AH only.
    pub sn: Vec<SnId>,
    /// Types 6 to 12, additional key exchanges (RFC 9370); [`KeId::NONE`] makes one optional.
    pub addke: [Vec<KeId>; 7],
}

impl Proposal {
    /// A proposal without transforms.
    #[must_use]
    pub fn empty(protocol: ProposalProtocol) -> Self {
        Self {
            protocol,
            encr: Vec::new(),
            prf: Vec::new(),
            integ: Vec::new(),
            ke: Vec::new(),
            sn: Vec::new(),
            addke: Default::default(),
        }
    }

    /// A fair offer for an IKE SA (RFC 8247 as changed by RFC 9395): AES-GCM, then AES-CBC with HMAC; ML-KEM-768 as
    /// an optional additional key exchange (RFC 9370).
    #[must_use]
    pub fn default_ike() -> Vec<Self> {
        let ke =
            vec![KeId::CURVE25519, KeId::ECP_256, KeId::ECP_384, KeId::MODP_2048, KeId::MODP_3072, KeId::MODP_4096];
        let mut aead = Self::empty(ProposalProtocol::Ike);
        aead.encr = vec![EncrAlg::new(EncrId::AES_GCM_16, 256), EncrAlg::new(EncrId::AES_GCM_16, 128)];
        aead.encr.push(EncrAlg::fixed(EncrId::CHACHA20_POLY1305));
        aead.prf = vec![PrfId::HMAC_SHA2_384, PrfId::HMAC_SHA2_256];
        aead.ke = ke.clone();
        aead.addke[0] = vec![KeId::ML_KEM_768, KeId::NONE];
        let mut cbc = Self::empty(ProposalProtocol::Ike);
        cbc.encr = vec![EncrAlg::new(EncrId::AES_CBC, 256), EncrAlg::new(EncrId::AES_CBC, 128)];
        cbc.integ = vec![IntegId::HMAC_SHA2_256_128, IntegId::HMAC_SHA2_384_192];
        cbc.prf = vec![PrfId::HMAC_SHA2_256, PrfId::HMAC_SHA2_384];
        cbc.ke = ke;
        cbc.addke[0] = vec![KeId::ML_KEM_768, KeId::NONE];
        vec![aead, cbc]
    }

    /// A fair offer for ESP (RFC 8221): AES-GCM and ChaCha20-Poly1305, then AES-CBC with HMAC; ESN preferred.
    #[must_use]
    pub fn default_esp() -> Vec<Self> {
        let sn = vec![SnId::PARTIAL_64, SnId::SEQUENTIAL_32];
        let mut aead = Self::empty(ProposalProtocol::Esp);
        aead.encr = vec![EncrAlg::new(EncrId::AES_GCM_16, 256), EncrAlg::new(EncrId::AES_GCM_16, 128)];
        aead.encr.push(EncrAlg::fixed(EncrId::CHACHA20_POLY1305));
        aead.sn = sn.clone();
        let mut cbc = Self::empty(ProposalProtocol::Esp);
        cbc.encr = vec![EncrAlg::new(EncrId::AES_CBC, 256), EncrAlg::new(EncrId::AES_CBC, 128)];
        cbc.integ = vec![IntegId::HMAC_SHA2_256_128, IntegId::HMAC_SHA2_512_256];
        cbc.sn = sn;
        vec![aead, cbc]
    }

    /// True when every cipher is an AEAD.
    #[must_use]
    pub fn is_aead(&self) -> bool {
        !self.encr.is_empty() && self.encr.iter().all(|e| e.id.is_aead())
    }

    /// True when an additional key exchange (RFC 9370) is named.
    #[must_use]
    pub fn has_addke(&self) -> bool {
        self.addke.iter().any(|k| !k.is_empty())
    }

    /// The same offer without additional key exchanges. `None` when one of them is mandatory (no NONE in its list).
    #[must_use]
    pub fn without_addke(&self) -> Option<Self> {
        let optional = self.addke.iter().all(|k| k.is_empty() || k.contains(&KeId::NONE));
        optional.then(|| Self { addke: Default::default(), ..self.clone() })
    }

    /// True when `provider` implements all of it, so that [`Proposal::supported_by`] would change nothing.
    #[must_use]
    pub fn is_supported_by(&self, provider: &Provider) -> bool {
        let ke = |id: &KeId| *id == KeId::NONE || provider.ke(*id).is_some();
        self.encr.iter().all(|e| has_cipher(provider, *e))
            && self.prf.iter().all(|id| provider.prf(*id).is_some())
            && self.integ.iter().all(|id| *id == IntegId::NONE || provider.integ(*id).is_some())
            && self.ke.iter().all(ke)
            && self.addke.iter().all(|k| k.iter().all(ke) && (k.is_empty() || k.iter().any(|id| *id != KeId::NONE)))
    }

    /// The same offer reduced to what `provider` implements; `None` when a transform type loses its last member.
    #[must_use]
    pub fn supported_by(&self, provider: &Provider) -> Option<Self> {
        let mut p = self.clone();
        p.encr.retain(|e| has_cipher(provider, *e));
        p.prf.retain(|id| provider.prf(*id).is_some());
        p.integ.retain(|id| *id == IntegId::NONE || provider.integ(*id).is_some());
        p.ke.retain(|id| *id == KeId::NONE || provider.ke(*id).is_some());
        for k in &mut p.addke {
            k.retain(|id| *id == KeId::NONE || provider.ke(*id).is_some());
        }
        // An additional exchange that only NONE is left of is no exchange.
        for k in p.addke.iter_mut().filter(|k| k.iter().all(|id| *id == KeId::NONE)) {
            k.clear();
        }
        let kept = |before: bool, after: bool| before || !after;
        let whole = kept(self.encr.is_empty(), p.encr.is_empty())
            && kept(self.prf.is_empty(), p.prf.is_empty())
            && kept(self.integ.is_empty(), p.integ.is_empty())
            && kept(self.ke.is_empty(), p.ke.is_empty())
            && self.addke.iter().zip(&p.addke).all(|(b, a)| b.is_empty() || b.contains(&KeId::NONE) || !a.is_empty());
        whole.then_some(p)
    }

    /// Reads "aes128gcm16-prfsha256-ecp256" and the like. What is left out is filled in as strongSwan does: an IKE
    /// proposal without PRF takes the PRFs of its integrity algorithms, an ESP or AH proposal without `esn` or
    /// `noesn` has 32-bit sequence numbers.
    ///
    /// # Errors
    /// Names the token and what was expected in its place.
    pub fn parse(protocol: ProposalProtocol, text: &str) -> Result<Self, ProposalError> {
        let mut p = Self::empty(protocol);
        for word in text.split('-') {
            let word = word.trim();
            let wrong = |problem| ProposalError { token: word.to_string(), protocol, problem };
            match tokens::token(word).ok_or_else(|| wrong(Problem::Unknown))? {
                Token::Encr(a) if protocol != ProposalProtocol::Ah => push(&mut p.encr, a),
                Token::Prf(a) if protocol == ProposalProtocol::Ike => push(&mut p.prf, a),
                Token::Integ(a) => push(&mut p.integ, a),
                Token::Ke(a) => push(&mut p.ke, a),
                Token::Sn(a) if protocol != ProposalProtocol::Ike => push(&mut p.sn, a),
                Token::AddKe(n, a) => p.addke.get_mut(n).into_iter().for_each(|list| push(list, a)),
                Token::Encr(_) | Token::Prf(_) | Token::Sn(_) => return Err(wrong(Problem::WrongProtocol)),
            }
        }
        if protocol == ProposalProtocol::Ike && p.prf.is_empty() {
            p.prf = p.integ.iter().filter_map(|i| tokens::prf_of(*i)).collect();
        }
        if protocol != ProposalProtocol::Ike && p.sn.is_empty() {
            p.sn.push(SnId::SEQUENTIAL_32);
        }
        p.validate().map_err(|problem| ProposalError { token: text.to_string(), protocol, problem })?;
        Ok(p)
    }

    /// [`Proposal::validate`] with an error that shows the whole proposal.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), ProposalError> {
        self.validate().map_err(|problem| ProposalError { token: self.to_string(), protocol: self.protocol, problem })
    }

    /// Reads proposals separated by commas.
    ///
    /// # Errors
    /// The first proposal that cannot be read.
    pub fn parse_list(protocol: ProposalProtocol, text: &str) -> Result<Vec<Self>, ProposalError> {
        text.split(',').map(|one| Self::parse(protocol, one.trim())).collect()
    }

    /// Checks what RFC 7296 §3.3.3 asks of a proposal.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn validate(&self) -> Result<(), Problem> {
        let ike = self.protocol == ProposalProtocol::Ike;
        let aeads = self.encr.iter().filter(|e| e.id.is_aead()).count();
        if self.encr.is_empty() && self.protocol != ProposalProtocol::Ah {
            return Err(Problem::NoCipher);
        }
        if aeads != 0 && aeads != self.encr.len() {
            return Err(Problem::MixedAead);
        }
        if self.encr.iter().any(|e| e.id.name().is_some() && e.id.needs_key_length() != e.key_bits.is_some()) {
            return Err(Problem::KeyLength);
        }
        if ike && self.encr.iter().any(|e| e.id.is_implicit_iv() || e.id == EncrId::NULL) {
            return Err(Problem::NotForIke);
        }
        let named_integ = self.integ.iter().any(|i| *i != IntegId::NONE);
        if aeads != 0 && named_integ {
            return Err(Problem::AeadWithIntegrity);
        }
        if aeads == 0 && (!named_integ || self.integ.contains(&IntegId::NONE)) {
            return Err(Problem::NoIntegrity);
        }
        if ike && self.prf.is_empty() {
            return Err(Problem::NoPrf);
        }
        if ike && !self.ke.iter().any(|k| *k != KeId::NONE) {
            return Err(Problem::NoKeyExchange);
        }
        if self.ke.iter().all(|k| *k == KeId::NONE) && self.has_addke() {
            return Err(Problem::NoKeyExchange);
        }
        Ok(())
    }
}

fn has_cipher(provider: &Provider, e: EncrAlg) -> bool {
    e.id == EncrId::NULL || provider.aead(e.id, e.key_bits).is_some() || provider.cipher(e.id, e.key_bits).is_some()
}

fn push<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words: Vec<String> = Vec::new();
        words.extend(self.encr.iter().map(|a| tokens::encr_name(*a)));
        words.extend(self.integ.iter().filter(|i| **i != IntegId::NONE).map(|a| tokens::integ_name(*a)));
        words.extend(self.prf.iter().map(|a| tokens::prf_name(*a)));
        words.extend(self.ke.iter().map(|a| tokens::ke_name(*a)));
        for (n, list) in (1..).zip(&self.addke) {
            words.extend(list.iter().map(|a| alloc::format!("ke{n}_{}", tokens::ke_name(*a))));
        }
        words.extend(self.sn.iter().map(|a| tokens::sn_name(*a)));
        f.write_str(&words.join("-"))
    }
}

/// What is wrong with a proposal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Problem {
    /// Not a known word.
    Unknown,
    /// A transform type that the protocol does not have.
    WrongProtocol,
    /// No encryption transform.
    NoCipher,
    /// AEAD and other ciphers together.
    MixedAead,
    /// A Key Length attribute is missing or too much.
    KeyLength,
    /// A cipher that protects no IKE SA.
    NotForIke,
    /// An integrity algorithm beside an AEAD.
    AeadWithIntegrity,
    /// A cipher that is no AEAD without integrity.
    NoIntegrity,
    /// An IKE proposal without PRF.
    NoPrf,
    /// An IKE proposal without key exchange, or additional ones without the first.
    NoKeyExchange,
}

/// Why a proposal was refused; prints the token and what was expected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProposalError {
    /// The word, or the whole text when a rule about the whole is broken.
    pub token: String,
    /// What the proposal was for.
    pub protocol: ProposalProtocol,
    /// The rule.
    pub problem: Problem,
}

impl core::error::Error for ProposalError {}

impl fmt::Display for ProposalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (token, protocol) = (&self.token, self.protocol);
        match self.problem {
            Problem::Unknown => write!(
                f,
                "\"{token}\" is no algorithm of an {protocol} proposal; expected words like {} joined by '-'",
                match protocol {
                    ProposalProtocol::Ike => "aes256gcm16, aes256, sha256, prfsha256, x25519, ecp256, ke1_mlkem768",
                    ProposalProtocol::Esp => "aes256gcm16, chacha20poly1305, aes256, null, sha256, x25519, esn, noesn",
                    ProposalProtocol::Ah => "sha256, sha384, sha512, aescmac, x25519, esn, noesn",
                }
            ),
            Problem::WrongProtocol => write!(
                f,
                "\"{token}\" does not belong in an {protocol} proposal (RFC 7296 §3.3.3): {}",
                match protocol {
                    ProposalProtocol::Ike => "esn and noesn are for ESP and AH",
                    ProposalProtocol::Esp => "PRFs are for IKE; integrity is written without prf, as in sha256",
                    ProposalProtocol::Ah => "AH takes an integrity algorithm, key exchanges, esn and noesn",
                }
            ),
            Problem::NoCipher => write!(f, "\"{token}\" names no cipher; expected one, as in aes256gcm16 or aes256"),
            Problem::MixedAead => write!(
                f,
                "\"{token}\" mixes AEAD and other ciphers; expected two proposals, one for each (RFC 7296 §3.3)"
            ),
            Problem::KeyLength => {
                write!(f, "\"{token}\": Key Length must be given for some ciphers and not for others (RFC 7296 §3.3.5)")
            }
            Problem::NotForIke => write!(f, "\"{token}\": NULL and implicit-IV ciphers are for ESP only (RFC 8750 §4)"),
            Problem::AeadWithIntegrity => write!(
                f,
                "\"{token}\" names an integrity algorithm beside an AEAD cipher (RFC 7296 §3.3); expected none, or a \
                 PRF such as prfsha256"
            ),
            Problem::NoIntegrity => {
                write!(f, "\"{token}\" has no integrity; expected an AEAD cipher or an algorithm such as sha256")
            }
            Problem::NoPrf => write!(f, "\"{token}\" names no PRF; expected one, such as prfsha256"),
            Problem::NoKeyExchange => {
                write!(f, "\"{token}\" names no key exchange; expected one, such as x25519 or ecp256")
            }
        }
    }
}

#[cfg(test)]
mod tests;
