//! The message codec alone: octets to a tree that people can read and programs can walk, and back. Nothing is encrypted
//! or decrypted here; SK stands in a message unopened, and its plaintext is decoded by `ravelin_message_decode_inner`.

use crate::config::c_text;
use crate::guard::{Handle, Kind, bytes, free, give, put, read, wanted, with};
use crate::types::{ravelin_octets, ravelin_status};
use ravelin::code::Status;
use ravelin::ike::registry::{ExchangeType, PayloadType};
use ravelin::ike::wire::chain::RawPayload;
use ravelin::ike::wire::message::{decode_payloads, encode_payload_list};
use ravelin::ike::wire::{Flags, Header, IkeSpi, Message, Payload, Payloads, WireError};
use std::ffi::{CString, c_char};

/// A message of IKE, or the payloads of an opened SK payload. Made by `ravelin_message_new`, freed by
/// `ravelin_message_free`. One thread at a time.
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_message {
    /// `None`: payloads without a header (the plaintext of SK).
    header: Option<Header>,
    payloads: Payloads,
    error: CString,
    text: CString,
    encoded: Vec<u8>,
    body: Vec<u8>,
}

impl Handle for ravelin_message {
    const KIND: Kind = Kind::Message;
}

/// The IKE header (RFC 7296 §3.1), without Next Payload and Length, which follow from the payloads.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_header {
    /// SPI of the initiator.
    pub spi_i: u64,
    /// SPI of the responder; 0 in the first request.
    pub spi_r: u64,
    /// Major in the upper, minor in the lower half: 0x20.
    pub version: u8,
    /// Exchange type: 34 IKE_SA_INIT, 35 IKE_AUTH, …
    pub exchange: u8,
    /// 0x08 initiator, 0x10 version, 0x20 response.
    pub flags: u8,
    /// Message ID.
    pub message_id: u32,
}

/// One payload.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_payload {
    /// Its number: 33 SA, 34 KE, …
    pub kind: u8,
    /// Second octet of its generic header: 0x80 critical, the rest reserved.
    pub flags: u8,
    /// SK (46) and SKF (53): kind of the first payload inside.
    pub first: u8,
    /// Its content, without the generic header.
    pub body: ravelin_octets,
}

impl ravelin_message {
    fn fail(&mut self, e: &WireError) -> Status {
        self.error = c_text(e);
        Status::Malformed
    }
}

/// An empty message: a zero header of version 2, no payloads. Any thread.
///
/// # Safety
/// `out` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_message_new(out: *mut *mut ravelin_message) -> ravelin_status {
    crate::guard::entry(|| {
        wanted(out)?;
        let none = IkeSpi(0);
        let new = ravelin_message {
            header: Some(Header::new(none, none, ExchangeType(0), Flags(0), 0)),
            payloads: Payloads::default(),
            error: CString::default(),
            text: CString::default(),
            encoded: Vec::new(),
            body: Vec::new(),
        };
        // SAFETY: handed on.
        unsafe { give(out, new) }
    })
}

/// Frees a message; what it lent ends. NULL is nothing to do. No thread may use it any more.
///
/// # Safety
/// `message` is NULL or came from `ravelin_message_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_message_free(message: *mut ravelin_message) -> ravelin_status {
    // SAFETY: handed on.
    unsafe { free(message) }
}

/// Reads a datagram from the IKE header on (no non-ESP marker), in place of what was there. `malformed message` when it
/// is none: `ravelin_message_error`. One thread at a time.
///
/// # Safety
/// `message` is NULL or live; `data` points to `len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_message_decode(
    message: *mut ravelin_message,
    data: *const u8,
    len: usize,
) -> ravelin_status {
    let decode = |m: &mut ravelin_message| {
        // SAFETY: the caller vouches for the octets.
        let read = Message::decode(unsafe { bytes(data, len)? }).map_err(|e| m.fail(&e))?;
        (m.header, m.payloads) = (Some(read.header), read.payloads);
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { with(message, decode) }
}

/// Reads the plaintext of SK, without padding, in place of what was there; `first` is the kind of its first payload. The
/// message then has no header. One thread at a time.
///
/// # Safety
/// As `ravelin_message_decode`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_message_decode_inner(
    message: *mut ravelin_message,
    first: u8,
    data: *const u8,
    len: usize,
) -> ravelin_status {
    let decode = |m: &mut ravelin_message| {
        // SAFETY: the caller vouches for the octets.
        let octets = unsafe { bytes(data, len)? };
        let payloads = decode_payloads(PayloadType(first), octets).map_err(|e| m.fail(&e))?;
        (m.header, m.payloads) = (None, payloads);
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { with(message, decode) }
}

/// Why the last call said `malformed message`: where, what was expected, what came (lent until the next call on this
/// message). One thread at a time.
///
/// # Safety
/// `message` is NULL or live; `text` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_message_error(
    message: *mut ravelin_message,
    text: *mut *const c_char,
) -> ravelin_status {
    // SAFETY: handed on.
    unsafe { with(message, |m| put(text, m.error.as_ptr())) }
}

/// The whole message as a tree for people, one line per payload, deeper parts indented (lent until the next call on this
/// message). Values that would help an attacker are named by their length only. One thread at a time.
///
/// # Safety
/// `message` is NULL or live; `text` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_message_text(
    message: *mut ravelin_message,
    text: *mut *const c_char,
) -> ravelin_status {
    let write = |m: &mut ravelin_message| {
        wanted(text)?;
        let head = m.header.map(|h| h.to_string());
        let lines: Vec<String> = head.into_iter().chain(m.payloads.iter().map(|p| format!("  {p}"))).collect();
        m.text = c_text(lines.join("\n"));
        // SAFETY: handed on.
        unsafe { put(text, m.text.as_ptr()) }
    };
    // SAFETY: handed on.
    unsafe { with(message, write) }
}

/// The header; `nothing there` for the plaintext of SK. One thread at a time.
///
/// # Safety
/// `message` is NULL or live; `out` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_message_header(
    message: *mut ravelin_message,
    out: *mut ravelin_header,
) -> ravelin_status {
    let read = |m: &mut ravelin_message| {
        let h = m.header.ok_or(Status::Nothing)?;
        let header = ravelin_header {
            spi_i: h.initiator_spi.0,
            spi_r: h.responder_spi.0,
            version: h.version,
            exchange: h.exchange.0,
            flags: h.flags.0,
            message_id: h.message_id,
        };
        // SAFETY: handed on.
        unsafe { put(out, header) }
    };
    // SAFETY: handed on.
    unsafe { with(message, read) }
}

/// Sets the header; NULL: none, as in the plaintext of SK. One thread at a time.
///
/// # Safety
/// `message` is NULL or live; `header` is NULL or readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_message_set_header(
    message: *mut ravelin_message,
    header: *const ravelin_header,
) -> ravelin_status {
    let set = |m: &mut ravelin_message| {
        // SAFETY: NULL or readable.
        m.header = unsafe { header.as_ref() }.map(|h| Header {
            version: h.version,
            ..Header::new(IkeSpi(h.spi_i), IkeSpi(h.spi_r), ExchangeType(h.exchange), Flags(h.flags), h.message_id)
        });
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { with(message, set) }
}

/// Payload number `index` (from 0); `nothing there` behind the last. Its body is lent until the next call on this message.
/// One thread at a time.
///
/// # Safety
/// `message` is NULL or live; `out` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_message_payload(
    message: *mut ravelin_message,
    index: usize,
    out: *mut ravelin_payload,
) -> ravelin_status {
    let read = |m: &mut ravelin_message| {
        wanted(out)?;
        let payload = m.payloads.get(index).ok_or(Status::Nothing)?;
        m.body.clear();
        payload.emit(&mut m.body).map_err(|_| Status::Malformed)?;
        let first = match payload {
            Payload::Encrypted(p) => p.first.0,
            Payload::EncryptedFragment(p) => p.first.0,
            _ => 0,
        };
        let (kind, flags) = (payload.kind().0, m.payloads.flags(index));
        // SAFETY: handed on.
        unsafe { put(out, ravelin_payload { kind, flags, first, body: ravelin_octets::of(&m.body) }) }
    };
    // SAFETY: handed on.
    unsafe { with(message, read) }
}

/// Adds a payload behind the others; its content is checked as on receipt. One thread at a time.
///
/// # Safety
/// `message` is NULL or live; `payload` is NULL or readable, and so are its octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_message_add(
    message: *mut ravelin_message,
    payload: *const ravelin_payload,
) -> ravelin_status {
    let add = |m: &mut ravelin_message| {
        // SAFETY: NULL or readable.
        let p = unsafe { read(payload)? };
        // SAFETY: the caller vouches for the octets.
        let body = unsafe { p.body.get()? };
        let (kind, next) = (PayloadType(p.kind), PayloadType(p.first));
        let raw = RawPayload { kind, flags: p.flags, next, body, offset: 0 };
        let parsed = Payload::parse(&raw).map_err(|e| m.fail(&e))?;
        m.payloads.push(parsed, p.flags);
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { with(message, add) }
}

/// Takes payload number `index` (from 0) out. One thread at a time.
///
/// # Safety
/// `message` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_message_remove(message: *mut ravelin_message, index: usize) -> ravelin_status {
    let remove = |m: &mut ravelin_message| {
        if index >= m.payloads.len() {
            return Err(Status::Nothing);
        }
        let mut left = Payloads::default();
        for (i, p) in m.payloads.iter().enumerate().filter(|(i, _)| *i != index) {
            left.push(p.clone(), m.payloads.flags(i));
        }
        m.payloads = left;
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { with(message, remove) }
}

/// Writes the message, or the plaintext of SK when it has no header: octets (lent until the next call on this message).
/// What was decoded and not changed gives the same octets again. One thread at a time.
///
/// # Safety
/// `message` is NULL or live; out-parameters are NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_message_encode(
    message: *mut ravelin_message,
    data: *mut *const u8,
    len: *mut usize,
) -> ravelin_status {
    let encode = |m: &mut ravelin_message| {
        wanted(data).and_then(|()| wanted(len))?;
        let octets = match m.header {
            Some(header) => Message { header, payloads: m.payloads.clone() }.encode(),
            None => encode_payload_list(&m.payloads).map(|(_, octets)| octets),
        };
        m.encoded = octets.map_err(|e| m.fail(&e))?;
        // SAFETY: handed on.
        unsafe { put(data, m.encoded.as_ptr()).and_then(|()| put(len, m.encoded.len())) }
    };
    // SAFETY: handed on.
    unsafe { with(message, encode) }
}
