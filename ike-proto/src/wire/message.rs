//! Whole messages (RFC 7296 §3): a datagram to a header and payloads, and back.
//!
//! The engine reads an [`Envelope`] (nothing of the ciphertext is copied), opens it with `seal`, and reads what was
//! inside with [`decode_payloads`]. It writes with [`encode_clear`], or with [`encode_payloads`] and
//! [`begin_protected`]. [`Message`] owns everything and is for tools and tests.
use super::chain::{Chain, GENERIC_LEN};
use super::error::{Fault, Place, WireError};
use super::header::{HEADER_LEN, Header};
use super::payload::skf::FRAGMENT_LEN;
use super::payload::{Fragment, Payload, Payloads};
use super::write::{patch_len, short};
use crate::registry::PayloadType;
use alloc::vec::Vec;
use core::ops::Range;

/// Where the SK or SKF payload of a datagram lies. Offsets count from the first octet of the IKE header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Protected {
    /// Kind of the first payload inside (NONE: empty, or not the first fragment).
    pub first: PayloadType,
    /// The critical and reserved bits of the generic header, as they came.
    pub flags: u8,
    /// `Some` for SKF: which piece it is.
    pub fragment: Option<Fragment>,
    /// IV, ciphertext and integrity data, up to the end of the datagram. Everything before, `0..body.start`, is the
    /// associated data of AEAD ciphers (RFC 5282 §5.1, RFC 7383 §2.5).
    pub body: Range<usize>,
}

/// A datagram, looked at from outside: header, clear payloads, and where the protected part lies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Envelope {
    /// The IKE header.
    pub header: Header,
    /// The payloads that are not encrypted: all of them in IKE_SA_INIT, usually none elsewhere.
    pub clear: Payloads,
    /// The SK or SKF payload, if the message ends with one.
    pub protected: Option<Protected>,
}

impl Envelope {
    /// Reads a datagram (without the non-ESP marker) from its IKE header on. The header's own check is included:
    /// major version 2, a Length that is the datagram's.
    pub fn parse(datagram: &[u8]) -> Result<Self, WireError> {
        let header = Header::parse(datagram)?;
        header.check(datagram.len())?;
        let rest = datagram.get(HEADER_LEN..).unwrap_or_default();
        let mut clear = Payloads::default();
        let mut protected = None;
        for raw in Chain::new(header.next_payload, rest, HEADER_LEN) {
            let raw = raw?;
            if !raw.kind.is_protected() {
                clear.push(Payload::parse(&raw)?, raw.flags);
                continue;
            }
            let mut start = raw.offset;
            let mut fragment = None;
            if raw.kind == PayloadType::SKF {
                fragment = Some(Fragment::parse(raw.body).map_err(|e| e.shifted(raw.offset))?);
                start = start.saturating_add(FRAGMENT_LEN);
            }
            protected = Some(Protected { first: raw.next, flags: raw.flags, fragment, body: start..datagram.len() });
        }
        Ok(Self { header, clear, protected })
    }
}

/// A message that owns all its parts; SK and SKF stand in it unopened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// The IKE header.
    pub header: Header,
    /// Every payload.
    pub payloads: Payloads,
}

impl Message {
    /// Reads a datagram. `Message::decode(x)?.encode()` gives `x` again, whatever reserved bits it has.
    pub fn decode(datagram: &[u8]) -> Result<Self, WireError> {
        let header = Header::parse(datagram)?;
        header.check(datagram.len())?;
        let mut payloads = Payloads::default();
        for raw in Chain::new(header.next_payload, datagram.get(HEADER_LEN..).unwrap_or_default(), HEADER_LEN) {
            let raw = raw?;
            payloads.push(Payload::parse(&raw)?, raw.flags);
        }
        Ok(Self { header, payloads })
    }

    /// Writes the message; `next_payload` and `length` of the header are set from the payloads.
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        let mut out = Vec::with_capacity(512);
        self.header.emit(&mut out);
        let first = emit_chain(&self.payloads, |i| self.payloads.flags(i), PayloadType::NONE, &mut out)?;
        finish_header(&mut out, first, 0)?;
        Ok(out)
    }
}

/// Reads the payloads of an opened SK payload (or of the joined plaintexts of SKF), without padding. Offsets of errors
/// count from the start of `plain`. SK and SKF may not stand inside (RFC 7296 §3.14).
pub fn decode_payloads(first: PayloadType, plain: &[u8]) -> Result<Payloads, WireError> {
    let mut payloads = Payloads::default();
    for raw in Chain::new(first, plain, 0) {
        let raw = raw?;
        if raw.kind.is_protected() {
            let fault = Fault::Value { field: "payload type", expected: "not SK or SKF here", came: raw.kind.0.into() };
            return Err(WireError { place: Place::Sk, offset: raw.offset.saturating_sub(GENERIC_LEN), fault });
        }
        payloads.push(Payload::parse(&raw)?, raw.flags);
    }
    Ok(payloads)
}

/// Writes payloads one after another, as the plaintext of SK: kind of the first one, and the octets.
pub fn encode_payloads(payloads: &[Payload]) -> Result<(PayloadType, Vec<u8>), WireError> {
    let mut out = Vec::with_capacity(512);
    let first = emit_chain(payloads, unknown_flags(payloads), PayloadType::NONE, &mut out)?;
    Ok((first, out))
}

/// [`encode_payloads`] for a decoded list, with the bits of its generic headers.
pub fn encode_payload_list(payloads: &Payloads) -> Result<(PayloadType, Vec<u8>), WireError> {
    let mut out = Vec::with_capacity(512);
    let first = emit_chain(payloads, |i| payloads.flags(i), PayloadType::NONE, &mut out)?;
    Ok((first, out))
}

/// Writes a whole message without SK. `next_payload` and `length` of the header are set from the payloads.
pub fn encode_clear(header: &Header, payloads: &[Payload]) -> Result<Vec<u8>, WireError> {
    let mut out = Vec::with_capacity(512);
    header.emit(&mut out);
    let first = emit_chain(payloads, unknown_flags(payloads), PayloadType::NONE, &mut out)?;
    finish_header(&mut out, first, 0)?;
    Ok(out)
}

/// Writes everything of a protected message that stands before the IV: header, clear payloads, the generic header of
/// SK (or SKF with its two numbers), all with their final lengths. `body_len` is the size of IV, ciphertext and
/// integrity data together; room for it is reserved. The result is the associated data of AEAD ciphers, and the
/// caller appends `body_len` octets to it.
///
/// With the plaintext's length as `body_len` it is part `A` of RFC 9242 §3.3.2.
pub fn begin_protected(
    header: &Header,
    clear: &[Payload],
    first: PayloadType,
    fragment: Option<Fragment>,
    body_len: usize,
) -> Result<Vec<u8>, WireError> {
    let (kind, place, extra) = match fragment {
        Some(_) => (PayloadType::SKF, Place::Skf, FRAGMENT_LEN),
        None => (PayloadType::SK, Place::Sk, 0),
    };
    let sk_len = short(place, body_len.saturating_add(extra).saturating_add(GENERIC_LEN))?;
    let clear_room = if clear.is_empty() { 0 } else { 256 };
    let mut out = Vec::with_capacity(HEADER_LEN.saturating_add(usize::from(sk_len)).saturating_add(clear_room));
    header.emit(&mut out);
    let outer = emit_chain(clear, unknown_flags(clear), kind, &mut out)?;
    out.extend_from_slice(&[first.0, 0]);
    out.extend_from_slice(&sk_len.to_be_bytes());
    if let Some(fragment) = fragment {
        fragment.emit(&mut out);
    }
    finish_header(&mut out, outer, body_len)?;
    Ok(out)
}

fn unknown_flags(payloads: &[Payload]) -> impl Fn(usize) -> u8 + '_ {
    |i| if let Some(Payload::Unknown(u)) = payloads.get(i) { u.flags } else { 0 }
}

/// Appends payloads with their generic headers, the last one naming `after`; gives the kind of the first one.
fn emit_chain(
    payloads: &[Payload],
    flags: impl Fn(usize) -> u8,
    after: PayloadType,
    out: &mut Vec<u8>,
) -> Result<PayloadType, WireError> {
    for (i, payload) in payloads.iter().enumerate() {
        let next = match (payload, payloads.get(i.saturating_add(1))) {
            (Payload::Encrypted(p), _) => p.first,
            (Payload::EncryptedFragment(p), _) => p.first,
            (_, Some(next)) => next.kind(),
            (_, None) => after,
        };
        let start = out.len();
        out.extend_from_slice(&[next.0, flags(i), 0, 0]);
        payload.emit(out)?;
        patch_len(Place::Chain, out, start.saturating_add(2), start)?;
    }
    Ok(payloads.first().map_or(after, Payload::kind))
}

/// Sets Next Payload and Length of the header at the front of `out`; `more` octets will still be appended.
fn finish_header(out: &mut [u8], first: PayloadType, more: usize) -> Result<(), WireError> {
    let len = out.len().saturating_add(more);
    let Ok(length) = u32::try_from(len) else {
        let fault = Fault::Length { came: len, min: HEADER_LEN, max: usize::MAX };
        return Err(WireError { place: Place::Header, offset: 0, fault });
    };
    if let Some(next) = out.get_mut(16) {
        *next = first.0;
    }
    if let Some(field) = out.get_mut(24..28) {
        field.copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
