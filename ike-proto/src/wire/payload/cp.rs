//! Configuration payload (RFC 7296 §3.15). Typed values of its attributes are in `cp_value.rs`.
use crate::registry::{ConfigAttributeType, ConfigType};
use crate::wire::error::{Fault, Place, WireError};
use crate::wire::read::Reader;
use crate::wire::write::{put16, short};
use alloc::vec::Vec;

/// Most attributes taken from one payload: they are small, and each costs an allocation.
pub const MAX_ATTRIBUTES: usize = 1024;

/// One configuration attribute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigAttribute {
    /// What it is; fifteen bits.
    pub kind: ConfigAttributeType,
    /// Its value; empty when something is asked for without a wish.
    pub value: Vec<u8>,
    /// The reserved bit above the type as it came; false in own messages.
    pub reserved: bool,
}

impl ConfigAttribute {
    /// An attribute of our own.
    #[must_use]
    pub fn new(kind: ConfigAttributeType, value: Vec<u8>) -> Self {
        Self { kind, value, reserved: false }
    }
}

/// A question for, or a grant of, configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Configuration {
    /// Request, reply, set or acknowledgement.
    pub kind: ConfigType,
    /// The attributes in order; some may stand several times.
    pub attributes: Vec<ConfigAttribute>,
    /// The RESERVED octets as they came; zero in own messages.
    pub reserved: [u8; 3],
}

impl Configuration {
    /// A payload of our own.
    #[must_use]
    pub fn new(kind: ConfigType, attributes: Vec<ConfigAttribute>) -> Self {
        Self { kind, attributes, reserved: [0; 3] }
    }

    /// Reads a body.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(Place::Cp, body);
        let kind = ConfigType(r.u8()?);
        let reserved = r.array()?;
        let at = r.at();
        let mut r = Reader::new(Place::CpAttribute, r.rest());
        let mut attributes = Vec::new();
        while !r.is_empty() {
            if attributes.len() == MAX_ATTRIBUTES {
                let fault = Fault::TooMany { what: "configuration attributes", limit: MAX_ATTRIBUTES };
                return Err(r.fail(fault).shifted(at));
            }
            attributes.push(Self::attribute(&mut r).map_err(|e| e.shifted(at))?);
        }
        Ok(Self { kind, attributes, reserved })
    }

    fn attribute(r: &mut Reader<'_>) -> Result<ConfigAttribute, WireError> {
        let kind = r.u16()?;
        let length = usize::from(r.u16()?);
        let value = r.take(length)?.to_vec();
        Ok(ConfigAttribute { kind: ConfigAttributeType(kind & 0x7fff), reserved: kind & 0x8000 != 0, value })
    }

    /// Appends the body.
    pub fn emit(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        out.push(self.kind.0);
        out.extend_from_slice(&self.reserved);
        for a in &self.attributes {
            put16(out, (a.kind.0 & 0x7fff) | if a.reserved { 0x8000 } else { 0 });
            put16(out, short(Place::CpAttribute, a.value.len())?);
            out.extend_from_slice(&a.value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_keeps_reserved_bits() {
        let raw = [1, 7, 8, 9, 0x80, 1, 0, 0, 0, 3, 0, 4, 8, 8, 8, 8];
        let cp = Configuration::parse(&raw).unwrap();
        assert_eq!(cp.attributes.len(), 2);
        assert!(cp.attributes[0].reserved && cp.attributes[0].kind == ConfigAttributeType::INTERNAL_IP4_ADDRESS);
        assert_eq!(cp.attributes[1].value, [8, 8, 8, 8]);
        let mut out = Vec::new();
        cp.emit(&mut out).unwrap();
        assert_eq!(out, raw);
    }

    #[test]
    fn lengths_and_numbers_are_bounded() {
        let e = Configuration::parse(&[1, 0, 0, 0, 0, 3, 0, 4, 8]).unwrap_err();
        assert_eq!((e.offset, e.fault), (8, Fault::Truncated { need: 4, have: 1 }));
        let mut many = alloc::vec![1, 0, 0, 0];
        many.extend([0, 1, 0, 0].repeat(MAX_ATTRIBUTES + 1));
        assert!(matches!(Configuration::parse(&many).unwrap_err().fault, Fault::TooMany { .. }));
    }
}
