//! Messages as text for people: one line per payload, proposals, selectors and attributes one line each below.
//!
//! Strings of the peer are escaped, long octet strings cut. Values that help an attacker who reads logs (AUTH data,
//! tickets, crash-detection tokens, EAP data) are named by their length only.
use super::header::Header;
use super::message::{Envelope, Message};
use super::payload::{
    ConfigAttribute, ConfigValue, Identification, Notify, Payload, Proposal, SecurityAssociation, Transform, Ts,
};
use crate::registry::{EncrId, GcAuthId, IdType, IntegId, KeId, KwaId, NotifyType, PrfId, ProtocolId, SnId};
use crate::registry::{PayloadType, TransformType};
use core::fmt::{Display, Formatter, Result, Write};

/// The first octets in hex, and how many there are.
struct Octets<'a>(&'a [u8]);

impl Display for Octets<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} octets", self.0.len())?;
        if !self.0.is_empty() {
            f.write_char(' ')?;
        }
        self.0.iter().take(8).try_for_each(|b| write!(f, "{b:02x}"))?;
        if self.0.len() > 8 { f.write_str("..") } else { Ok(()) }
    }
}

/// All octets in hex.
struct Hex<'a>(&'a [u8]);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl Display for Header {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let direction = if self.is_response() { "response" } else { "request" };
        let role = if self.flags.initiator() { "initiator" } else { "responder" };
        write!(f, "{} {direction} {} of the {role}, ", self.exchange, self.message_id)?;
        write!(f, "SPIs {} {}, {} octets", self.initiator_spi, self.responder_spi, self.length)
    }
}

impl Display for Message {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.header.fmt(f)?;
        self.payloads.iter().try_for_each(|p| write!(f, "\n  {p}"))
    }
}

impl Display for Envelope {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.header.fmt(f)?;
        self.clear.iter().try_for_each(|p| write!(f, "\n  {p}"))?;
        let Some(p) = &self.protected else { return Ok(()) };
        match p.fragment {
            Some(part) => write!(f, "\n  SKF {} of {}, {} octets", part.number, part.total, p.body.len()),
            None => write!(f, "\n  SK {} octets, first payload {}", p.body.len(), p.first),
        }
    }
}

impl Display for Payload {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let kind = self.kind();
        match self {
            Self::Sa(sa) => sa.fmt(f),
            Self::Ke(p) => write!(f, "KE {}, {}", p.method, Octets(&p.data)),
            Self::IdInitiator(p) | Self::IdResponder(p) => write!(f, "{kind} {p}"),
            Self::Cert(p) => write!(f, "CERT {}, {}", p.encoding, Octets(&p.data)),
            Self::CertReq(p) => write!(f, "CERTREQ {}, {}", p.encoding, Octets(&p.data)),
            Self::Auth(p) => write!(f, "AUTH {}, {} octets", p.method, p.data.len()),
            Self::Nonce(p) => write!(f, "Nonce {}", Octets(&p.data)),
            Self::Notify(p) => p.fmt(f),
            Self::Delete(p) => {
                write!(f, "D {}", p.protocol)?;
                p.spis().take(16).try_for_each(|spi| write!(f, " {}", Hex(spi)))?;
                if p.count() > 16 { write!(f, " and {} more", p.count().saturating_sub(16)) } else { Ok(()) }
            }
            Self::VendorId(p) => write!(f, "V {}", Octets(&p.data)),
            Self::TsInitiator(p) | Self::TsResponder(p) => {
                kind.fmt(f)?;
                p.selectors.iter().try_for_each(|ts| write!(f, "\n    {ts}"))
            }
            Self::Encrypted(p) => write!(f, "SK {} octets, first payload {}", p.body.len(), p.first),
            Self::Cp(p) => {
                write!(f, "CP {}", p.kind)?;
                p.attributes.iter().try_for_each(|a| write!(f, "\n    {a}"))
            }
            Self::Eap(p) => {
                write!(f, "EAP {} {}", p.code(), p.identifier())?;
                let Some((method, data)) = p.kind_and_data() else { return Ok(()) };
                write!(f, ", {method}, {} octets", data.len())
            }
            Self::Gspm(p) => write!(f, "GSPM {} octets", p.data.len()),
            Self::EncryptedFragment(p) => {
                write!(f, "SKF {} of {}, {} octets", p.fragment.number, p.fragment.total, p.body.len())
            }
            Self::PuzzleSolution(p) => {
                f.write_str("PS")?;
                p.keys().try_for_each(|key| write!(f, " {}", Hex(key.get(..8).unwrap_or(key))))
            }
            Self::Unknown(p) => {
                let critical = if p.critical() { "critical, " } else { "" };
                write!(f, "payload {} (not understood), {critical}{}", p.kind, Octets(&p.body))
            }
        }
    }
}

impl Display for SecurityAssociation {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("SA")?;
        self.proposals.iter().try_for_each(|p| write!(f, "\n    {p}"))
    }
}

impl Display for Proposal {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "proposal {} {}", self.number, self.protocol)?;
        if !self.spi.is_empty() {
            write!(f, " SPI {}", Hex(&self.spi))?;
        }
        f.write_char(':')?;
        let mut before: Option<TransformType> = None;
        for t in &self.transforms {
            match before {
                Some(kind) if kind == t.kind => f.write_str(" | ")?,
                Some(_) => write!(f, ", {} ", t.kind)?,
                None => write!(f, " {} ", t.kind)?,
            }
            t.fmt(f)?;
            before = Some(t.kind);
        }
        Ok(())
    }
}

/// The algorithm's name, with its key length in bits: `AES_GCM_16-256`.
impl Display for Transform {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.kind {
            TransformType::ENCR => EncrId(self.id).fmt(f)?,
            TransformType::PRF => PrfId(self.id).fmt(f)?,
            TransformType::INTEG => IntegId(self.id).fmt(f)?,
            TransformType::KE | TransformType(6..=12) => KeId(self.id).fmt(f)?,
            TransformType::SN => SnId(self.id).fmt(f)?,
            TransformType::KWA => KwaId(self.id).fmt(f)?,
            TransformType::GCAUTH => GcAuthId(self.id).fmt(f)?,
            _ => self.id.fmt(f)?,
        }
        self.key_length().map_or(Ok(()), |bits| write!(f, "-{bits}"))
    }
}

impl Display for Identification {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} ", self.kind)?;
        if let Some(a) = self.ipv4() {
            return a.fmt(f);
        }
        if let Some(a) = self.ipv6() {
            return a.fmt(f);
        }
        match self.kind {
            IdType::FQDN | IdType::RFC822_ADDR | IdType::KEY_ID => self.data.escape_ascii().fmt(f),
            _ => Hex(&self.data).fmt(f),
        }
    }
}

impl Display for Notify {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "N {}", self.kind)?;
        if self.protocol != ProtocolId::NONE || !self.spi.is_empty() {
            write!(f, " {} {}", self.protocol, Hex(&self.spi))?;
        }
        let hidden = matches!(
            self.kind,
            NotifyType::TICKET_LT_OPAQUE
                | NotifyType::TICKET_OPAQUE
                | NotifyType::QUICK_CRASH_DETECTION
                | NotifyType::NO_PPK_AUTH
        );
        match (self.kind, self.data.as_slice()) {
            (_, []) => Ok(()),
            (_, data) if hidden => write!(f, ", {} octets", data.len()),
            (NotifyType::INVALID_KE_PAYLOAD, &[a, b]) => write!(f, ", wanted {}", KeId(u16::from_be_bytes([a, b]))),
            (NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD, &[kind]) => write!(f, ", payload {}", PayloadType(kind)),
            (_, data) => write!(f, ", {}", Octets(data)),
        }
    }
}

impl Display for Ts {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let (protocol, ports) = match self {
            Self::Ipv4Range { protocol, start_port, end_port, start, end } => {
                write!(f, "{start}-{end}")?;
                (*protocol, (*start_port, *end_port))
            }
            Self::Ipv6Range { protocol, start_port, end_port, start, end } => {
                write!(f, "{start}-{end}")?;
                (*protocol, (*start_port, *end_port))
            }
            Self::SecLabel { label, .. } => return write!(f, "label {}", label.escape_ascii()),
            Self::Unknown { kind, body, .. } => return write!(f, "selector type {kind}, {}", Octets(body)),
        };
        if protocol == 0 {
            f.write_str(" any protocol")?
        } else {
            write!(f, " protocol {protocol}")?
        }
        match ports {
            (0, 65535) => f.write_str(" any port"),
            (65535, 0) => f.write_str(" opaque ports"),
            (from, to) => write!(f, " ports {from}-{to}"),
        }
    }
}

impl Display for ConfigAttribute {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.kind.fmt(f)?;
        match self.typed() {
            Ok(ConfigValue::Empty) => Ok(()),
            Ok(ConfigValue::Ip4(a)) => write!(f, " {a}"),
            Ok(ConfigValue::Ip4Subnet(a, mask)) => write!(f, " {a} mask {mask}"),
            Ok(ConfigValue::Ip6(a)) => write!(f, " {a}"),
            Ok(ConfigValue::Ip6Prefix(a, len)) => write!(f, " {a}/{len}"),
            Ok(ConfigValue::Text(text)) => write!(f, " {}", text.as_bytes().escape_ascii()),
            Ok(ConfigValue::Seconds(s)) => write!(f, " {s} s"),
            Ok(_) => write!(f, " {}", Octets(&self.value)),
            Err(e) => write!(f, " {} (wrong: {e})", Octets(&self.value)),
        }
    }
}

#[cfg(test)]
mod tests;
