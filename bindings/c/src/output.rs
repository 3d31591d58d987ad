//! Outputs: one call takes the oldest, one accessor per kind reads it. What is lent lives until the next call that
//! takes an output.

use crate::node::{ravelin_node, with};
use crate::types::{ravelin_path, ravelin_status};
use ravelin::code::{Status, output_kind};
use ravelin::{Event, Output};
use std::ffi::{CString, c_char};

/// Kinds of output; the numbers are those of `ravelin::code`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(non_camel_case_types, reason = "the C name")]
pub enum ravelin_output {
    /// A datagram of IKE: `ravelin_node_output_datagram`.
    Transmit = 1,
    /// A packet of ESP that had waited: `ravelin_node_output_datagram`.
    Esp = 2,
    /// A step for an external data plane.
    Change = 3,
    /// An IKE SA is up.
    Established = 32,
    /// A Child SA is up.
    ChildEstablished = 33,
    /// A Child SA is gone.
    ChildClosed = 34,
    /// A Child SA could not be made.
    ChildRefused = 35,
    /// An IKE SA was rekeyed.
    Rekeyed = 36,
    /// A Child SA was rekeyed.
    ChildRekeyed = 37,
    /// Addresses changed.
    Moved = 38,
    /// The peer is alive.
    Alive = 39,
    /// An attempt or IKE SA ended.
    Closed = 40,
    /// Something of note.
    Noted = 41,
    /// Keys of an IKE SA.
    IkeKeys = 42,
    /// Keys of a Child SA.
    ChildKeys = 43,
}

/// Takes the oldest output and writes its kind; `nothing there` when drained. What was lent before ends here.
///
/// # Safety
/// `node` is NULL or live; `kind` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_poll_output(node: *mut ravelin_node, kind: *mut u32) -> ravelin_status {
    let take = |n: &mut ravelin_node| {
        if kind.is_null() {
            return Err(Status::NullPointer);
        }
        n.lent = n.node.poll_output();
        let output = n.lent.as_ref().ok_or(Status::Nothing)?;
        // SAFETY: not NULL, and the caller vouches that it may be written.
        unsafe { kind.write(output_kind(output)) };
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { with(node, take) }
}

/// The datagram of a `Transmit` or `Esp` output: path, octets (lent), and how ESP is carried (0 bare protocol 50, 1 in
/// UDP, 2 in TCP; 1 for IKE).
///
/// # Safety
/// `node` is NULL or live; all out-parameters are NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_output_datagram(
    node: *mut ravelin_node,
    path: *mut ravelin_path,
    data: *mut *const u8,
    len: *mut usize,
    encapsulation: *mut u8,
) -> ravelin_status {
    let read = |n: &mut ravelin_node| {
        if path.is_null() || data.is_null() || len.is_null() || encapsulation.is_null() {
            return Err(Status::NullPointer);
        }
        let (to, octets, how) = match n.lent.as_ref() {
            Some(Output::Transmit(t)) => (t.path, &t.bytes, 1),
            Some(Output::Esp(p)) => (p.meta.path, &p.bytes, p.meta.encapsulation as u8),
            _ => return Err(Status::Nothing),
        };
        // SAFETY: none is NULL, and the caller vouches that they may be written.
        unsafe {
            path.write(ravelin_path::of(to));
            data.write(octets.as_ptr());
            len.write(octets.len());
            encapsulation.write(how);
        }
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { with(node, read) }
}

/// The ids of an event: IKE SA and Child SA, 0 where it has none.
///
/// # Safety
/// `node` is NULL or live; out-parameters are NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_output_ids(
    node: *mut ravelin_node,
    sa: *mut u64,
    child: *mut u64,
) -> ravelin_status {
    let read = |n: &mut ravelin_node| {
        if sa.is_null() || child.is_null() {
            return Err(Status::NullPointer);
        }
        let Some(Output::Event(event)) = n.lent.as_ref() else { return Err(Status::Nothing) };
        let (s, c) = match event {
            Event::Established(e) => (e.sa.0, 0),
            Event::ChildEstablished(e) => (e.sa.0, e.child.0),
            Event::ChildClosed { sa, child, .. } => (sa.0, child.0),
            Event::ChildRekeyed { sa, new, .. } => (sa.0, new.0),
            Event::ChildRefused { sa, .. }
            | Event::Moved { sa, .. }
            | Event::Alive { sa }
            | Event::Closed { sa, .. } => (sa.0, 0),
            Event::Rekeyed { new, .. } => (new.0, 0),
            Event::Noted { sa, .. } => (sa.map_or(0, |s| s.0), 0),
            Event::IkeKeys(k) => (k.sa.0, 0),
            Event::ChildKeys { inbound, .. } => (0, inbound.child.0),
            _ => (0, 0),
        };
        // SAFETY: none is NULL, and the caller vouches that they may be written.
        unsafe {
            sa.write(s);
            child.write(c);
        }
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { with(node, read) }
}

/// The reason of an event in words (lent, NUL-terminated): of closed and refused SAs and of what is noted.
///
/// # Safety
/// `node` is NULL or live; `text` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_output_reason(
    node: *mut ravelin_node,
    text: *mut *const c_char,
) -> ravelin_status {
    let read = |n: &mut ravelin_node| {
        if text.is_null() {
            return Err(Status::NullPointer);
        }
        let reason = match n.lent.as_ref() {
            Some(Output::Event(
                Event::Closed { reason, .. }
                | Event::ChildClosed { reason, .. }
                | Event::ChildRefused { reason, .. }
                | Event::Noted { reason, .. },
            )) => reason.to_string(),
            _ => return Err(Status::Nothing),
        };
        n.text = CString::new(reason).map_err(|_| Status::Panic)?;
        // SAFETY: not NULL, and the caller vouches that it may be written.
        unsafe { text.write(n.text.as_ptr()) };
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { with(node, read) }
}
