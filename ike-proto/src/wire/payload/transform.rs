//! Transform substructure and its attributes (RFC 7296 §3.3.2, §3.3.5).
use crate::registry::{AttributeType, EncrId, IntegId, KeId, PrfId, SnId, TransformType};
use crate::wire::error::{Fault, Place, WireError};
use crate::wire::read::Reader;
use crate::wire::write::{patch_len, put16, short};
use alloc::vec::Vec;
use smallvec::SmallVec;

/// The value of an attribute, in the form it has on the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AttributeValue {
    /// Type/Value form: the AF bit is set and the value has two octets.
    Short(u16),
    /// Type/Length/Value form.
    Long(Vec<u8>),
}

/// A transform attribute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attribute {
    /// What it is; fifteen bits.
    pub kind: AttributeType,
    /// Its value.
    pub value: AttributeValue,
}

/// Attributes of a transform: one, Key Length, is the rule.
pub type Attributes = SmallVec<[Attribute; 1]>;

/// One algorithm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transform {
    /// What the algorithm is for.
    pub kind: TransformType,
    /// Its number in the registry of `kind`.
    pub id: u16,
    /// Attributes; only Key Length has a meaning to IKEv2.
    pub attributes: Attributes,
    /// The two RESERVED octets as they came; zero in own messages.
    pub reserved: [u8; 2],
}

impl Transform {
    /// A transform without attributes.
    #[must_use]
    pub fn new(kind: TransformType, id: u16) -> Self {
        Self { kind, id, attributes: Attributes::new(), reserved: [0; 2] }
    }

    /// Encryption, with a Key Length in bits where the cipher has several (RFC 7296 §3.3.5).
    #[must_use]
    pub fn encr(id: EncrId, key_bits: Option<u16>) -> Self {
        let attribute = |bits| Attribute { kind: AttributeType::KEY_LENGTH, value: AttributeValue::Short(bits) };
        let attributes = key_bits.map(attribute).into_iter().collect();
        Self { attributes, ..Self::new(TransformType::ENCR, id.0) }
    }

    /// Pseudorandom function.
    #[must_use]
    pub fn prf(id: PrfId) -> Self {
        Self::new(TransformType::PRF, id.0)
    }

    /// Integrity.
    #[must_use]
    pub fn integ(id: IntegId) -> Self {
        Self::new(TransformType::INTEG, id.0)
    }

    /// Key exchange.
    #[must_use]
    pub fn ke(id: KeId) -> Self {
        Self::new(TransformType::KE, id.0)
    }

    /// Additional key exchange `ADDKE1`..`ADDKE7` (RFC 9370); `kind` is one of those types.
    #[must_use]
    pub fn addke(kind: TransformType, id: KeId) -> Self {
        Self::new(kind, id.0)
    }

    /// Sequence numbers.
    #[must_use]
    pub fn sn(id: SnId) -> Self {
        Self::new(TransformType::SN, id.0)
    }

    /// Key length in bits, when the attribute is there in its only legal form (TV).
    #[must_use]
    pub fn key_length(&self) -> Option<u16> {
        self.attributes.iter().find_map(|a| match (a.kind, &a.value) {
            (AttributeType::KEY_LENGTH, AttributeValue::Short(bits)) => Some(*bits),
            _ => None,
        })
    }

    /// True when every attribute is one that this stack understands, once and in its legal form. A transform with
    /// any other attribute must not be chosen (RFC 7296 §3.3.6).
    #[must_use]
    pub fn attributes_understood(&self) -> bool {
        match self.attributes.as_slice() {
            [] => true,
            [one] => one.kind == AttributeType::KEY_LENGTH && matches!(one.value, AttributeValue::Short(_)),
            _ => false,
        }
    }

    /// Reads one transform from the front of `data`, and says how many octets it had.
    pub(crate) fn parse(data: &[u8], more: bool) -> Result<(Self, usize), WireError> {
        let mut r = Reader::new(Place::Transform, data);
        let marker = r.u8()?;
        if marker != if more { 3 } else { 0 } {
            let expected = if more { "3 (more follow)" } else { "0 (the last of the count)" };
            return Err(r.fail_back(1, Fault::Value { field: "Last Substruc", expected, came: marker.into() }));
        }
        let r1 = r.u8()?;
        let length = usize::from(r.u16()?);
        if length < 8 || length > data.len() {
            return Err(r.fail_back(2, Fault::Length { came: length, min: 8, max: data.len() }));
        }
        let kind = TransformType(r.u8()?);
        let r2 = r.u8()?;
        let id = r.u16()?;
        let attributes = data.get(8..length).unwrap_or_default();
        let attributes = Attribute::parse_all(attributes).map_err(|e| e.shifted(8))?;
        Ok((Self { kind, id, attributes, reserved: [r1, r2] }, length))
    }

    /// Appends the transform; `more` says whether another follows.
    pub(crate) fn emit(&self, more: bool, out: &mut Vec<u8>) -> Result<(), WireError> {
        let start = out.len();
        let [r1, r2] = self.reserved;
        out.extend_from_slice(&[if more { 3 } else { 0 }, r1, 0, 0, self.kind.0, r2]);
        put16(out, self.id);
        self.attributes.iter().try_for_each(|a| a.emit(out))?;
        patch_len(Place::Transform, out, start.saturating_add(2), start)
    }
}

impl Attribute {
    const AF: u16 = 0x8000;

    fn parse_all(data: &[u8]) -> Result<Attributes, WireError> {
        let mut r = Reader::new(Place::Attribute, data);
        let mut out = Attributes::new();
        while !r.is_empty() {
            let kind = r.u16()?;
            let second = r.u16()?;
            let value = if kind & Self::AF != 0 {
                AttributeValue::Short(second)
            } else {
                AttributeValue::Long(r.take(usize::from(second))?.to_vec())
            };
            out.push(Self { kind: AttributeType(kind & !Self::AF), value });
        }
        Ok(out)
    }

    fn emit(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        match &self.value {
            AttributeValue::Short(value) => {
                put16(out, self.kind.0 | Self::AF);
                put16(out, *value);
            }
            AttributeValue::Long(value) => {
                put16(out, self.kind.0 & !Self::AF);
                put16(out, short(Place::Attribute, value.len())?);
                out.extend_from_slice(value);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_attributes_make_the_round_trip() {
        let mut t = Transform::encr(EncrId::AES_CBC, Some(128));
        assert!(t.attributes_understood());
        t.attributes.push(Attribute { kind: AttributeType(17), value: AttributeValue::Long(alloc::vec![1, 2, 3]) });
        let mut out = Vec::new();
        t.emit(true, &mut out).unwrap();
        assert_eq!(out, [3, 0, 0, 19, 1, 0, 0, 12, 0x80, 14, 0, 128, 0, 17, 0, 3, 1, 2, 3]);
        assert_eq!(Transform::parse(&out, true).unwrap(), (t.clone(), 19));
        assert_eq!(t.key_length(), Some(128));
        assert!(!t.attributes_understood());
    }

    #[test]
    fn an_attribute_may_not_reach_out_of_its_transform() {
        let raw = [0, 0, 0, 12, 1, 0, 0, 12, 0, 14, 0, 4, 9, 9, 9, 9];
        let e = Transform::parse(&raw, false).unwrap_err();
        assert_eq!((e.place, e.offset), (Place::Attribute, 12));
        assert_eq!(e.fault, Fault::Truncated { need: 4, have: 0 });
        assert!(Transform::parse(&raw, true).is_err(), "the marker is checked against the count");
    }
}
