//! Questions and answers: what the configuration does not hold, or what another place decides. A question is answered by
//! the call of its kind, or refused; each names its ticket.

use crate::config::c_text;
use crate::guard::{bytes, put, text, wanted, with};
use crate::node::ravelin_node;
use crate::types::{ravelin_now, ravelin_octets, ravelin_status};
use ravelin::code::{Status, ask_kind, scheme};
use ravelin::ike::{Answer, Ask, Ticket};
use ravelin::{IkeSaId, Output, Secret};
use std::ffi::{CString, c_char};

/// Kinds of questions.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(non_camel_case_types, reason = "the C name")]
pub enum ravelin_ask_kind {
    /// Sign `octets` with the private key of `public_key` by `scheme`: `ravelin_node_answer_signature`.
    Sign = 1,
    /// Is `chain` good, and about `remote_id`? `ravelin_node_answer_public_key`.
    VerifyChain = 2,
    /// The pre-shared key between `local_id` and `remote_id`: `ravelin_node_answer_secret`.
    SharedSecret = 3,
    /// The post-quantum key whose PPK_ID is `octets`: `ravelin_node_answer_secret`.
    Ppk = 4,
    /// What an EAP server says to the packet `octets` of `remote_id` (empty at the start): `ravelin_node_answer_eap`.
    Eap = 5,
    /// The next post-quantum key for the peer `peer_name` of a key-distribution system: `ravelin_node_answer_ppk`.
    NextPpk = 6,
}

/// Names one question. Good for one answer.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_ticket {
    /// The IKE SA that asks.
    pub sa: u64,
    /// Which of its questions.
    pub number: u32,
}

/// A question. What it does not have is 0, NULL or empty; all pointers are lent.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_ask {
    /// `ravelin_ask_kind`.
    pub kind: u32,
    /// To be named in the answer.
    pub ticket: ravelin_ticket,
    /// Sign: the scheme, as in `ravelin_scheme`.
    pub scheme: u32,
    /// Sign: its hash.
    pub hash: u16,
    /// Sign: DER SubjectPublicKeyInfo.
    pub public_key: ravelin_octets,
    /// Sign: what to sign. Ppk: the PPK_ID. Eap: the client's packet.
    pub octets: ravelin_octets,
    /// VerifyChain: certificates (DER), the peer's own first.
    pub chain: *const ravelin_octets,
    /// How many.
    pub chain_len: usize,
    /// SharedSecret: who we are.
    pub local_id: *const c_char,
    /// Who the peer says that it is.
    pub remote_id: *const c_char,
    /// NextPpk: name of the peer.
    pub peer_name: *const c_char,
}

/// A question and what its C form points to.
pub(crate) struct LentAsk {
    _texts: Vec<CString>,
    _chain: Vec<ravelin_octets>,
    c: ravelin_ask,
}

impl LentAsk {
    /// Points into `ask`, which must stay.
    fn of(ticket: Ticket, ask: &Ask) -> Self {
        let mut texts: Vec<CString> = Vec::new();
        let mut list = Vec::new();
        let mut c = ravelin_ask {
            kind: ask_kind(ask),
            ticket: ravelin_ticket { sa: ticket.sa().0, number: ticket.number() },
            scheme: 0,
            hash: 0,
            public_key: ravelin_octets::NONE,
            octets: ravelin_octets::NONE,
            chain: std::ptr::null(),
            chain_len: 0,
            local_id: std::ptr::null(),
            remote_id: std::ptr::null(),
            peer_name: std::ptr::null(),
        };
        let mut name = |id: &dyn std::fmt::Display| {
            let text = c_text(id);
            let at = text.as_ptr();
            texts.push(text);
            at
        };
        match ask {
            Ask::Sign { public_key, scheme: how, octets } => {
                (c.scheme, c.hash) = scheme(*how);
                (c.public_key, c.octets) = (ravelin_octets::of(public_key), ravelin_octets::of(octets));
            }
            Ask::VerifyChain { chain, id } => {
                list = chain.iter().map(|der| ravelin_octets::of(der)).collect();
                (c.chain, c.chain_len) = (list.as_ptr(), list.len());
                c.remote_id = name(id);
            }
            Ask::SharedSecret { local, remote } => (c.local_id, c.remote_id) = (name(local), name(remote)),
            Ask::Ppk { id } => c.octets = ravelin_octets::of(id),
            Ask::Eap { id, packet } => (c.remote_id, c.octets) = (name(id), ravelin_octets::of(packet)),
            Ask::NextPpk { local, remote, peer } => {
                (c.local_id, c.peer_name) = (name(local), name(peer));
                c.remote_id = remote.as_ref().map_or(std::ptr::null(), |id| name(id));
            }
            _ => {}
        }
        Self { _texts: texts, _chain: list, c }
    }
}

/// The question of an `Ask` output; what it points to is lent. `nothing there` for other kinds. One thread at a time.
///
/// # Safety
/// `node` is NULL or live; `out` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_output_ask(node: *mut ravelin_node, out: *mut ravelin_ask) -> ravelin_status {
    let read = |n: &mut ravelin_node| {
        wanted(out)?;
        let Some(Output::Ask(ticket, ask)) = n.lent.output.as_ref() else { return Err(Status::Nothing) };
        let lent = n.lent.ask.get_or_insert_with(|| LentAsk::of(*ticket, ask));
        // SAFETY: handed on.
        unsafe { put(out, lent.c) }
    };
    // SAFETY: handed on.
    unsafe { with(node, read) }
}

/// Gives an answer.
///
/// # Safety
/// `node` is NULL or live.
unsafe fn answer(
    node: *mut ravelin_node,
    now: ravelin_now,
    ticket: ravelin_ticket,
    make: impl FnOnce() -> Result<Answer, Status>,
) -> ravelin_status {
    let give = |n: &mut ravelin_node| {
        let ticket = Ticket::from_parts(IkeSaId(ticket.sa), ticket.number);
        Ok(n.node.handle_answer(now.get(), ticket, make()?)?)
    };
    // SAFETY: handed on.
    unsafe { with(node, give) }
}

/// Answers `Sign`. One thread at a time.
///
/// # Safety
/// `node` is NULL or live; `signature` points to `len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_answer_signature(
    node: *mut ravelin_node,
    now: ravelin_now,
    ticket: ravelin_ticket,
    signature: *const u8,
    len: usize,
) -> ravelin_status {
    // SAFETY: handed on.
    unsafe { answer(node, now, ticket, || Ok(Answer::Signature(bytes(signature, len)?.to_vec()))) }
}

/// Answers `VerifyChain`: the chain is good, and this is the public key of its first certificate (DER
/// SubjectPublicKeyInfo). One thread at a time.
///
/// # Safety
/// `node` is NULL or live; `spki` points to `len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_answer_public_key(
    node: *mut ravelin_node,
    now: ravelin_now,
    ticket: ravelin_ticket,
    spki: *const u8,
    len: usize,
) -> ravelin_status {
    // SAFETY: handed on.
    unsafe { answer(node, now, ticket, || Ok(Answer::PublicKey(bytes(spki, len)?.to_vec()))) }
}

/// Answers `SharedSecret` and `Ppk`. One thread at a time.
///
/// # Safety
/// `node` is NULL or live; `secret` points to `len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_answer_secret(
    node: *mut ravelin_node,
    now: ravelin_now,
    ticket: ravelin_ticket,
    secret: *const u8,
    len: usize,
) -> ravelin_status {
    let make = || {
        // SAFETY: the caller vouches for the octets.
        let secret = unsafe { bytes(secret, len)? };
        if secret.is_empty() { Err(Status::InvalidArgument) } else { Ok(Answer::Secret(Secret::new(secret.to_vec()))) }
    };
    // SAFETY: handed on.
    unsafe { answer(node, now, ticket, make) }
}

/// Answers `NextPpk`: PPK_ID (type octet and value) and key. One thread at a time.
///
/// # Safety
/// `node` is NULL or live; `id` and `key` point to as many octets as said.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_answer_ppk(
    node: *mut ravelin_node,
    now: ravelin_now,
    ticket: ravelin_ticket,
    id: *const u8,
    id_len: usize,
    key: *const u8,
    key_len: usize,
) -> ravelin_status {
    let make = || {
        // SAFETY: the caller vouches for the octets.
        let (id, key) = unsafe { (bytes(id, id_len)?, bytes(key, key_len)?) };
        if id.len() < 2 || key.is_empty() {
            return Err(Status::InvalidArgument);
        }
        Ok(Answer::Ppk { id: id.to_vec(), secret: Secret::new(key.to_vec()) })
    };
    // SAFETY: handed on.
    unsafe { answer(node, now, ticket, make) }
}

/// Answers `Eap`: the server's next packet; with EAP-Success also the MSK where the method makes one (else a length of
/// 0). One thread at a time.
///
/// # Safety
/// `node` is NULL or live; `packet` and `msk` point to as many octets as said.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_answer_eap(
    node: *mut ravelin_node,
    now: ravelin_now,
    ticket: ravelin_ticket,
    packet: *const u8,
    len: usize,
    msk: *const u8,
    msk_len: usize,
) -> ravelin_status {
    let make = || {
        // SAFETY: the caller vouches for the octets.
        let (packet, msk) = unsafe { (bytes(packet, len)?, bytes(msk, msk_len)?) };
        let msk = (!msk.is_empty()).then(|| Secret::new(msk.to_vec()));
        Ok(Answer::Eap { packet: packet.to_vec(), msk, granted: None })
    };
    // SAFETY: handed on.
    unsafe { answer(node, now, ticket, make) }
}

/// Answers any question with no; `why` is for the operator. One thread at a time.
///
/// # Safety
/// `node` is NULL or live; `why` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_answer_refused(
    node: *mut ravelin_node,
    now: ravelin_now,
    ticket: ravelin_ticket,
    why: *const c_char,
) -> ravelin_status {
    // SAFETY: handed on.
    unsafe { answer(node, now, ticket, || Ok(Answer::Refused(text(why)?.to_owned()))) }
}
