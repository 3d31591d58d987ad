//! From payloads to datagrams and back, under the keys of one IKE SA: SK, and SKF where a message is too large for one
//! datagram (RFC 7383).

use super::IkeSa;
use crate::exchange::{Cx, Draft, SaCore, header_spis};
use crate::ids::Role;
use crate::registry::{ExchangeType, PayloadType};
use crate::seal::{self, Fragment as Opened, SealAlg};
use crate::wire::message::{begin_protected, encode_clear, encode_payloads};
use crate::wire::payload::{Fragment, Payload};
use crate::wire::{Envelope, Flags, Header};
use alloc::vec::Vec;
use ravelin_crypto::CryptoError;

/// Octets of IPv4 or IPv6 and UDP header and non-ESP marker around an IKE message.
fn outer_len(core: &SaCore) -> usize {
    let ip = if core.path.remote.is_ipv4() { 20usize } else { 40 };
    ip.saturating_add(12)
}

/// Octets that an IKE message may have in one datagram.
fn limit(cx: &Cx<'_>, core: &SaCore) -> usize {
    let size = if core.fragment_size == 0 { cx.config.fragment_size } else { core.fragment_size };
    usize::from(size).saturating_sub(outer_len(core))
}

/// Transmissions without an answer after which the path is suspected of being narrow.
const NARROW_AFTER: u32 = 3;

/// The same message in fragments for the smallest datagrams that every path carries (RFC 7383 §2.5.1, §2.5.2), once it
/// went out `sent` times in larger ones without an answer. Later messages start with that size.
#[must_use]
pub fn smaller(cx: &mut Cx<'_>, core: &mut SaCore, sent: u32, datagrams: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    let smallest = smallest(core);
    if sent < NARROW_AFTER || !core.agreed.fragmentation {
        return None;
    }
    let room = usize::from(smallest).saturating_sub(outer_len(core));
    if datagrams.iter().all(|d| d.len() <= room) {
        return None;
    }
    let (header, first, inner) = reopen(core, datagrams)?;
    core.fragment_size = smallest;
    let alg = core.suite.as_ref()?.seal;
    fragments(cx, core, &alg, &header, first, &inner, room)
}

/// IP packets of this size pass every path (RFC 7383 §2.5.1).
fn smallest(core: &SaCore) -> u16 {
    if core.path.remote.is_ipv4() { 576 } else { 1280 }
}

/// The peer splits its messages into pieces of this size: it found the path narrow, so ours are as small.
pub fn heed(core: &mut SaCore, piece: usize) {
    if piece.saturating_add(outer_len(core)) <= usize::from(smallest(core)) {
        core.fragment_size = smallest(core);
    }
}

/// The payloads of a message of our own.
fn reopen(core: &SaCore, datagrams: &[Vec<u8>]) -> Option<(Header, PayloadType, Vec<u8>)> {
    let alg = core.suite.as_ref()?.seal;
    let (mut head, mut inner) = (None, Vec::new());
    for datagram in datagrams {
        let envelope = Envelope::parse(datagram).ok()?;
        let part = envelope.protected?;
        let mut copy = datagram.clone();
        inner.extend_from_slice(seal::open(&alg, core.keys_out(), &mut copy, part.body.start).ok()?);
        head = head.or(Some((envelope.header, part.first)));
    }
    head.map(|(header, first)| (header, first, inner))
}

/// The header of a message of ours.
#[must_use]
pub fn header(core: &SaCore, exchange: ExchangeType, message_id: u32, response: bool) -> Header {
    let (i, r) = header_spis(core);
    Header::new(i, r, exchange, Flags::new(core.role == Role::Initiator, response), message_id)
}

/// An unprotected message; `None` when it does not fit the format, which no message of ours does.
#[must_use]
pub fn clear(header: &Header, draft: &Draft) -> Option<Vec<u8>> {
    encode_clear(header, draft).ok()
}

/// A protected message as one datagram, or as several when both sides fragment and it is too large for one.
#[must_use]
pub fn protected(cx: &mut Cx<'_>, core: &mut SaCore, header: &Header, draft: &Draft) -> Option<Vec<Vec<u8>>> {
    let alg = core.suite.as_ref()?.seal;
    let (first, inner) = encode_payloads(draft).ok()?;
    core.transcribe(header, first, &inner);
    let limit = limit(cx, core);
    let beside = solution(core, header).iter().map(solution_len).sum::<usize>();
    let whole = seal::body_len(&alg, inner.len()).saturating_add(32).saturating_add(beside);
    if !core.agreed.fragmentation || whole <= limit {
        return Some(alloc::vec![one(cx, core, &alg, header, first, None, &inner)?]);
    }
    fragments(cx, core, &alg, header, first, &inner, limit)
}

fn fragments(
    cx: &mut Cx<'_>,
    core: &mut SaCore,
    alg: &SealAlg,
    header: &Header,
    first: PayloadType,
    inner: &[u8],
    limit: usize,
) -> Option<Vec<Vec<u8>>> {
    let beside = solution(core, header).iter().map(solution_len).sum::<usize>();
    let overhead = seal::body_len(alg, 0).saturating_add(36).saturating_add(alg.block_len()).saturating_add(beside);
    let room = limit.saturating_sub(overhead).max(64);
    let total = u16::try_from(inner.len().div_ceil(room)).ok()?;
    let mut out = Vec::with_capacity(usize::from(total));
    for (number, chunk) in (1u16..).zip(inner.chunks(room)) {
        let kind = if number == 1 { first } else { PayloadType::NONE };
        out.push(one(cx, core, alg, header, kind, Some(Fragment { number, total }), chunk)?);
    }
    Some(out)
}

fn one(
    cx: &mut Cx<'_>,
    core: &mut SaCore,
    alg: &SealAlg,
    header: &Header,
    first: PayloadType,
    fragment: Option<Fragment>,
    inner: &[u8],
) -> Option<Vec<u8>> {
    // Of a message in fragments only the first one has it (RFC 8019 §7.2.2).
    let clear = if fragment.is_none_or(|f| f.number == 1) { solution(core, header) } else { Vec::new() };
    let mut message = begin_protected(header, &clear, first, fragment, seal::body_len(alg, inner.len())).ok()?;
    let iv = next_iv(cx, core, alg);
    seal::seal(alg, core.keys_out(), &iv, &mut message, inner).ok()?;
    Some(message)
}

/// The solution of a puzzle, which goes beside the first IKE_AUTH request of ours (RFC 8019 §7.2.2).
fn solution(core: &mut SaCore, header: &Header) -> Vec<Payload> {
    if header.exchange != ExchangeType::IKE_AUTH || header.is_response() || core.opening.solution.is_none() {
        return Vec::new();
    }
    let Some((solution, id)) = &mut core.opening.solution else { return Vec::new() };
    if *id.get_or_insert(header.message_id) != header.message_id {
        return Vec::new();
    }
    alloc::vec![Payload::PuzzleSolution(solution.clone())]
}

/// Octets of that payload.
fn solution_len(payload: &Payload) -> usize {
    let mut out = Vec::new();
    payload.emit(&mut out).map_or(0, |()| out.len().saturating_add(4))
}

/// Counter-mode ciphers get a counter that belongs to the keys, CBC gets random octets.
fn next_iv(cx: &mut Cx<'_>, core: &mut SaCore, alg: &SealAlg) -> Vec<u8> {
    if alg.random_iv() {
        return cx.random(alg.iv_len());
    }
    core.sealed = core.sealed.saturating_add(1);
    let counter = core.sealed.to_be_bytes();
    counter.get(counter.len().saturating_sub(alg.iv_len())..).unwrap_or_default().to_vec()
}

/// What came out of a protected datagram.
pub enum Unsealed {
    /// A whole message: first payload type and plaintext.
    Whole(PayloadType, Vec<u8>),
    /// A fragment of one.
    Piece(Opened),
}

/// Opens the protected part of a datagram with the peer's keys.
///
/// # Errors
/// For anything that the peer did not seal.
pub fn open(core: &SaCore, envelope: &Envelope, datagram: &mut [u8]) -> Result<Unsealed, CryptoError> {
    let alg = core.suite.as_ref().ok_or(CryptoError::Unsupported)?.seal;
    let part = envelope.protected.as_ref().ok_or(CryptoError::Length)?;
    let plain = seal::open(&alg, core.keys_in(), datagram, part.body.start)?.to_vec();
    Ok(match part.fragment {
        None => Unsealed::Whole(part.first, plain),
        Some(f) => Unsealed::Piece(Opened { number: f.number, total: f.total, first: part.first, data: plain }),
    })
}

/// Tells a retransmission from another or a damaged message: a hash over all octets, eight at a time, in which one changed
/// word always shows. Who forges one learns no more than who repeats the message itself.
#[must_use]
pub fn fingerprint(datagram: &[u8]) -> [u8; 8] {
    let mix = |h: u64, word: u64| {
        let x = (h ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x ^ (x >> 32)
    };
    let (words, rest) = datagram.as_chunks::<8>();
    let h = words.iter().fold(datagram.len() as u64, |h, w| mix(h, u64::from_le_bytes(*w)));
    rest.iter().fold(h, |h, b| mix(h, u64::from(*b))).to_be_bytes()
}

impl IkeSa {
    /// Sends datagrams on the SA's path, with the non-ESP marker where the local port asks for it.
    pub(super) fn transmit(&mut self, cx: &mut Cx<'_>, path: ravelin_sa_db::Path, datagrams: &[Vec<u8>]) {
        for datagram in datagrams {
            cx.out.transmit(path, with_marker(cx.config, path, datagram));
        }
        self.last_sent = cx.now.mono;
    }
}

/// Prepends the non-ESP marker (RFC 3948 §2.2) on the NAT traversal port.
#[must_use]
pub fn with_marker(config: &crate::config::Config, path: ravelin_sa_db::Path, datagram: &[u8]) -> Vec<u8> {
    if path.local.port() == config.ports.nat_t { [&[0; 4], datagram].concat() } else { datagram.to_vec() }
}
