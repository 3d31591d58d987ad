//! How single values look in a snapshot: what has a text form is that text, octets are hex digits.

use crate::pad::Identity;
use crate::proposal::{Proposal, ProposalProtocol};
use crate::{AddrRange, TrafficSelector};
use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;
use ravelin_crypto::Secret;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// Octets that are written as hex digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Octets(pub Vec<u8>);

fn to_hex(octets: &[u8]) -> Zeroizing<String> {
    // Room for all of it, so that no copy of a secret stays behind when the text grows.
    let mut text = Zeroizing::new(String::with_capacity(octets.len().saturating_mul(2)));
    for b in octets {
        let _ = write!(text, "{b:02x}");
    }
    text
}

fn from_hex<E: Error>(text: &str) -> Result<Vec<u8>, E> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let octets: Option<Vec<u8>> = pairs.iter().map(|[h, l]| Some((digit(*h)? << 4) | digit(*l)?)).collect();
    octets.filter(|_| rest.is_empty()).ok_or_else(|| E::custom("expected pairs of hex digits"))
}

impl Serialize for Octets {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&to_hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        from_hex(&Cow::<str>::deserialize(d)?).map(Self)
    }
}

/// `#[serde(with)]` for octets.
pub(crate) mod hex {
    use super::{Deserialize, Deserializer, Octets, Serializer, Vec, to_hex};

    pub(crate) fn serialize<S: Serializer>(octets: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&to_hex(octets))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        Octets::deserialize(d).map(|o| o.0)
    }
}

/// `#[serde(with)]` for octets that may be missing.
pub(crate) mod hex_option {
    use super::{Deserialize, Deserializer, Octets, Serialize, Serializer, Vec};

    #[allow(clippy::ref_option, reason = "serde calls it with a reference to the field")]
    pub(crate) fn serialize<S: Serializer>(octets: &Option<Vec<u8>>, s: S) -> Result<S::Ok, S::Error> {
        octets.clone().map(Octets).serialize(s)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Vec<u8>>, D::Error> {
        Ok(Option::<Octets>::deserialize(d)?.map(|o| o.0))
    }
}

/// `#[serde(with)]` for a list of octet strings.
pub(crate) mod hex_list {
    use super::{Deserialize, Deserializer, Octets, Serializer, Vec};

    pub(crate) fn serialize<S: Serializer>(list: &[Vec<u8>], s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(list.iter().map(|o| Octets(o.clone())))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Vec<u8>>, D::Error> {
        Ok(Vec::<Octets>::deserialize(d)?.into_iter().map(|o| o.0).collect())
    }
}

/// `#[serde(with)]` for secrets; only types that hold secrets on purpose use it.
pub(crate) mod secret {
    use super::{Deserialize, Deserializer, Secret, Serializer, String, Zeroizing, from_hex, to_hex};

    pub(crate) fn serialize<S: Serializer>(secret: &Secret, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&to_hex(secret.expose()))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Secret, D::Error> {
        from_hex(&Zeroizing::new(String::deserialize(d)?)).map(Secret::new)
    }
}

/// Written by `Display`, read by `FromStr`.
macro_rules! as_text {
    ($name:ty, $read:expr) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let read: fn(&str) -> Result<Self, String> = $read;
                read(&Cow::<str>::deserialize(d)?).map_err(D::Error::custom)
            }
        }
    };
}

as_text!(Identity, |t| t.parse().map_err(|e: crate::pad::IdentityError| e.to_string()));
as_text!(TrafficSelector, |t| t.parse().map_err(|e: crate::selector::SelectorError| e.to_string()));
as_text!(AddrRange, |t| Self::parse(t).ok_or_else(|| alloc::format!("\"{t}\" is no address, prefix or range")));

#[derive(Serialize, Deserialize)]
struct ProposalText {
    protocol: ProposalProtocol,
    transforms: String,
}

impl Serialize for Proposal {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        ProposalText { protocol: self.protocol, transforms: self.to_string() }.serialize(s)
    }
}

impl<'de> Deserialize<'de> for Proposal {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = ProposalText::deserialize(d)?;
        Self::parse(text.protocol, &text.transforms).map_err(D::Error::custom)
    }
}
