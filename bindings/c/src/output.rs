//! Outputs: one call takes the oldest, one accessor per kind reads it. What is lent lives until the next
//! `ravelin_node_poll_output` on that node; accessors do not end it.

use crate::ask::LentAsk;
use crate::config::c_text;
use crate::guard::{put, wanted, with};
use crate::node::ravelin_node;
use crate::sa::{LentChange, Selectors, encapsulation, mode, ravelin_change};
use crate::types::{ravelin_endpoint, ravelin_path, ravelin_selector, ravelin_status};
use ravelin::code::{Status, output_kind};
use ravelin::ike::event::Assigned;
use ravelin::{Event, Output, Reason, Role, keylog};
use std::ffi::{CString, c_char};
use std::net::SocketAddr;
use std::sync::Arc;

/// Kinds of output; the numbers are those of `ravelin::code`. A kind that the program does not know is newer than it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(non_camel_case_types, reason = "the C name")]
pub enum ravelin_output {
    /// A datagram of IKE or a NAT keepalive, to be sent: `ravelin_node_output_datagram`.
    Transmit = 1,
    /// A packet of ESP that had waited, to be sent: `ravelin_node_output_datagram`.
    Esp = 2,
    /// A step for an external data plane: `ravelin_node_output_change`.
    Change = 3,
    /// A question: `ravelin_node_output_ask`.
    Ask = 4,
    /// An IKE SA is up. This and all below: `ravelin_node_output_event`.
    Established = 32,
    /// A Child SA is up.
    ChildEstablished = 33,
    /// A Child SA is gone.
    ChildClosed = 34,
    /// A Child SA could not be made.
    ChildRefused = 35,
    /// An IKE SA was rekeyed: `old` is now `sa`.
    Rekeyed = 36,
    /// A Child SA was rekeyed: `old` is now `child`.
    ChildRekeyed = 37,
    /// Addresses changed.
    Moved = 38,
    /// The peer is alive.
    Alive = 39,
    /// An attempt or IKE SA ended; its id never appears again.
    Closed = 40,
    /// Something of note that ended nothing.
    Noted = 41,
    /// Keys of an IKE SA: `ravelin_node_output_keylog`.
    IkeKeys = 42,
    /// Keys of a Child SA: `ravelin_node_output_keylog`.
    ChildKeys = 43,
    /// The peer gave us inner addresses.
    Assigned = 44,
    /// The peer was given inner addresses.
    Leased = 45,
    /// The peer suggests settings.
    Suggested = 46,
    /// Keys of an IKE SA that is not authenticated yet, each time they change: `ravelin_node_output_keylog`. `IkeKeys`
    /// follows when it is up.
    HandshakeKeys = 47,
}

/// An event. What an event does not have is 0 or NULL; texts and arrays are lent.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_event {
    /// `ravelin_output`.
    pub kind: u32,
    /// The peer.
    pub peer: u32,
    /// The IKE SA.
    pub sa: u64,
    /// The Child SA.
    pub child: u64,
    /// Rekeying: the one before.
    pub old: u64,
    /// The policy.
    pub policy: u32,
    /// Established: we are 0 initiator, 1 responder.
    pub role: u8,
    /// ChildEstablished: 0 tunnel, 1 transport, 2 BEET.
    pub mode: u8,
    /// Established: a NAT is before us.
    pub nat_local: bool,
    /// Established: a NAT is before the peer.
    pub nat_remote: bool,
    /// IKE SPI of the initiator.
    pub spi_i: u64,
    /// IKE SPI of the responder.
    pub spi_r: u64,
    /// Our inbound SPI.
    pub spi_in: u32,
    /// The peer's inbound SPI.
    pub spi_out: u32,
    /// Where it runs or happened.
    pub path: ravelin_path,
    /// Who we are.
    pub local_id: *const c_char,
    /// Who the peer proved to be.
    pub remote_id: *const c_char,
    /// The chosen proposal.
    pub proposal: *const c_char,
    /// Why, for an operator.
    pub reason: *const c_char,
    /// ChildEstablished: our side.
    pub local_ts: *const ravelin_selector,
    /// How many.
    pub local_ts_len: usize,
    /// ChildEstablished: the peer's side.
    pub remote_ts: *const ravelin_selector,
    /// How many.
    pub remote_ts_len: usize,
    /// Assigned, Leased, Suggested: inner addresses; `port` is the prefix length.
    pub addresses: *const ravelin_endpoint,
    /// How many.
    pub addresses_len: usize,
    /// Assigned, Suggested: DNS servers.
    pub dns: *const ravelin_endpoint,
    /// How many.
    pub dns_len: usize,
}

/// What was handed out last, and what its accessors lent of it.
#[derive(Default)]
pub(crate) struct Lent {
    pub(crate) output: Option<Output>,
    change: Option<LentChange>,
    pub(crate) ask: Option<LentAsk>,
    event: Option<LentEvent>,
    keylog: Vec<(CString, CString)>,
}

struct LentEvent {
    _texts: Vec<CString>,
    _selectors: (Selectors, Selectors),
    _addresses: (Vec<ravelin_endpoint>, Vec<ravelin_endpoint>),
    c: ravelin_event,
}

/// Collects what an event points to.
struct Scribe {
    texts: Vec<CString>,
}

impl Scribe {
    fn text(&mut self, text: impl std::fmt::Display) -> *const c_char {
        let text = c_text(text);
        // The octets stay where they are when the vector moves its entries.
        let at = text.as_ptr();
        self.texts.push(text);
        at
    }
}

impl LentEvent {
    fn of(event: &Event, kind: u32) -> Self {
        let mut scribe = Scribe { texts: Vec::new() };
        let (mut selectors, mut addresses) = ((Selectors::default(), Selectors::default()), (Vec::new(), Vec::new()));
        // SAFETY: all fields are integers, bools and pointers, for which zero is a value.
        let mut c: ravelin_event = unsafe { std::mem::zeroed() };
        c.kind = kind;
        let mut why = |c: &mut ravelin_event, reason: &Reason| c.reason = scribe.text(reason);
        match event {
            Event::ChildClosed { sa, child, reason } => {
                (c.sa, c.child) = (sa.0, child.0);
                why(&mut c, reason);
            }
            Event::ChildRefused { sa, policy, reason } => {
                (c.sa, c.policy) = (sa.0, policy.map_or(0, |p| p.0));
                why(&mut c, reason);
            }
            Event::Closed { sa, peer, reason } => {
                (c.sa, c.peer) = (sa.0, peer.map_or(0, |p| p.0));
                why(&mut c, reason);
            }
            Event::Noted { sa, path, reason } => {
                (c.sa, c.path) = (sa.map_or(0, |s| s.0), ravelin_path::of(*path));
                why(&mut c, reason);
            }
            Event::Established(e) => {
                (c.sa, c.peer, c.path) = (e.sa.0, e.peer.0, ravelin_path::of(e.path));
                c.role = u8::from(e.role == Role::Responder);
                (c.nat_local, c.nat_remote) = e.nat;
                (c.spi_i, c.spi_r) = e.spis;
                (c.local_id, c.remote_id) = (scribe.text(&e.local_id), scribe.text(&e.remote_id));
                c.proposal = scribe.text(&e.proposal);
            }
            Event::ChildEstablished(e) => {
                (c.sa, c.child, c.policy) = (e.sa.0, e.child.0, e.policy.0);
                (c.spi_in, c.spi_out, c.mode) = (e.spi_in.0, e.spi_out.0, mode(e.mode));
                c.proposal = scribe.text(&e.proposal);
                selectors = (Selectors::of(&e.local_ts), Selectors::of(&e.remote_ts));
            }
            Event::Rekeyed { old, new } => (c.old, c.sa) = (old.0, new.0),
            Event::ChildRekeyed { sa, old, new } => (c.sa, c.old, c.child) = (sa.0, old.0, new.0),
            Event::Moved { sa, path } => (c.sa, c.path) = (sa.0, ravelin_path::of(*path)),
            Event::Alive { sa } => c.sa = sa.0,
            Event::IkeKeys(k) | Event::HandshakeKeys(k) => (c.sa, c.spi_i, c.spi_r) = (k.sa.0, k.spis.0, k.spis.1),
            Event::ChildKeys { inbound, outbound } => {
                (c.child, c.spi_in, c.spi_out) = (inbound.child.0, inbound.spi.0, outbound.spi.0);
            }
            Event::Assigned { sa, assigned } | Event::Suggested { sa, assigned } => {
                c.sa = sa.0;
                addresses = settings(assigned);
            }
            Event::Leased { sa, addrs } => {
                c.sa = sa.0;
                let whole = |a: &std::net::IpAddr| {
                    ravelin_endpoint::of(SocketAddr::new(*a, if a.is_ipv4() { 32 } else { 128 }))
                };
                addresses.0 = addrs.iter().map(whole).collect();
            }
            _ => {}
        }
        (c.local_ts, c.local_ts_len) = selectors.0.lend();
        (c.remote_ts, c.remote_ts_len) = selectors.1.lend();
        (c.addresses, c.addresses_len) = (addresses.0.as_ptr(), addresses.0.len());
        (c.dns, c.dns_len) = (addresses.1.as_ptr(), addresses.1.len());
        Self { _texts: scribe.texts, _selectors: selectors, _addresses: addresses, c }
    }
}

/// Inner addresses with their prefix lengths, DNS servers.
fn settings(a: &Arc<Assigned>) -> (Vec<ravelin_endpoint>, Vec<ravelin_endpoint>) {
    let at = |addr, number: u8| ravelin_endpoint::of(SocketAddr::new(addr, number.into()));
    (a.addrs.iter().map(|(ip, bits)| at(*ip, *bits)).collect(), a.dns.iter().map(|ip| at(*ip, 0)).collect())
}

/// Takes the oldest output and writes its kind; `nothing there` when drained. What was lent of the one before ends here.
/// Drain it after every call on the node. One thread at a time.
///
/// # Safety
/// `node` is NULL or live; `kind` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_poll_output(node: *mut ravelin_node, kind: *mut u32) -> ravelin_status {
    let take = |n: &mut ravelin_node| {
        wanted(kind)?;
        let output = n.pieces.pop_front().or_else(|| n.node.poll_output());
        n.lent = Lent { output, ..Lent::default() };
        let output = n.lent.output.as_ref().ok_or(Status::Nothing)?;
        // SAFETY: handed on.
        unsafe { put(kind, output_kind(output)) }
    };
    // SAFETY: handed on.
    unsafe { with(node, take) }
}

/// The datagram of a `Transmit` or `Esp` output: path, octets (lent), and how ESP is carried (0 bare protocol 50, 1 in
/// UDP, 2 in TCP; 1 for IKE). `nothing there` for other kinds. One thread at a time.
///
/// # Safety
/// `node` is NULL or live; all out-parameters are NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_output_datagram(
    node: *mut ravelin_node,
    path: *mut ravelin_path,
    data: *mut *const u8,
    len: *mut usize,
    how: *mut u8,
) -> ravelin_status {
    let read = |n: &mut ravelin_node| {
        wanted(path).and_then(|()| wanted(data)).and_then(|()| wanted(len)).and_then(|()| wanted(how))?;
        let (to, octets, carried) = match n.lent.output.as_ref() {
            Some(Output::Transmit(t)) => (t.path, &t.bytes, 1),
            Some(Output::Esp(p)) => (p.meta.path, &p.bytes, encapsulation(p.meta.encapsulation)),
            _ => return Err(Status::Nothing),
        };
        // SAFETY: none is NULL, and the caller vouches that they may be written.
        unsafe {
            put(path, ravelin_path::of(to))?;
            put(data, octets.as_ptr())?;
            put(len, octets.len())?;
            put(how, carried)
        }
    };
    // SAFETY: handed on.
    unsafe { with(node, read) }
}

/// The step of a `Change` output; what it points to is lent. `nothing there` for other kinds. One thread at a time.
///
/// # Safety
/// `node` is NULL or live; `out` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_output_change(
    node: *mut ravelin_node,
    out: *mut ravelin_change,
) -> ravelin_status {
    let read = |n: &mut ravelin_node| {
        wanted(out)?;
        let Some(Output::Change(change)) = n.lent.output.as_ref() else { return Err(Status::Nothing) };
        let lent = n.lent.change.get_or_insert_with(|| LentChange::of(change));
        // SAFETY: handed on.
        unsafe { put(out, lent.c) }
    };
    // SAFETY: handed on.
    unsafe { with(node, read) }
}

/// The event of an output of kind `RAVELIN_OUTPUT_ESTABLISHED` and up; what it points to is lent. `nothing there` for
/// other kinds. One thread at a time.
///
/// # Safety
/// `node` is NULL or live; `out` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_output_event(node: *mut ravelin_node, out: *mut ravelin_event) -> ravelin_status {
    let read = |n: &mut ravelin_node| {
        wanted(out)?;
        let Some(output @ Output::Event(event)) = n.lent.output.as_ref() else { return Err(Status::Nothing) };
        let lent = n.lent.event.get_or_insert_with(|| LentEvent::of(event, output_kind(output)));
        // SAFETY: handed on.
        unsafe { put(out, lent.c) }
    };
    // SAFETY: handed on.
    unsafe { with(node, read) }
}

/// Line number `index` (from 0) that an `IkeKeys`, `HandshakeKeys` or `ChildKeys` output adds to Wireshark's tables: the
/// table's file name and the line with its line end, both lent. (`IkeKeys` says the last `HandshakeKeys` again.) `nothing there` behind the last, for other kinds, and for algorithms that
/// Wireshark cannot decrypt. Whoever has these lines reads the traffic. One thread at a time.
///
/// # Safety
/// `node` is NULL or live; out-parameters are NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_output_keylog(
    node: *mut ravelin_node,
    index: usize,
    table: *mut *const c_char,
    line: *mut *const c_char,
) -> ravelin_status {
    let read = |n: &mut ravelin_node| {
        wanted(table).and_then(|()| wanted(line))?;
        if n.lent.keylog.is_empty() {
            let entry = |table: &str, line: Option<String>| line.map(|l| (c_text(table), c_text(l)));
            let lines = match n.lent.output.as_ref() {
                Some(Output::Event(Event::IkeKeys(k) | Event::HandshakeKeys(k))) => {
                    vec![entry(keylog::IKE_TABLE, keylog::ike_line(k))]
                }
                Some(Output::Event(Event::ChildKeys { inbound, outbound })) => {
                    [inbound, outbound].map(|sa| entry(keylog::ESP_TABLE, keylog::esp_line(sa))).to_vec()
                }
                _ => Vec::new(),
            };
            n.lent.keylog = lines.into_iter().flatten().collect();
        }
        let (t, l) = n.lent.keylog.get(index).ok_or(Status::Nothing)?;
        // SAFETY: handed on.
        unsafe { put(table, t.as_ptr()).and_then(|()| put(line, l.as_ptr())) }
    };
    // SAFETY: handed on.
    unsafe { with(node, read) }
}
