//! A reference model of a responder's Child SAs (RFC 7296 §1.3, §1.4.1, §2.8), much simpler than the machine: it reads the
//! plaintext of a request and of its answer, and says which Child SAs there must be afterwards. Checked after every request
//! with valid keys that node 1 answers in one piece, whether node 0 made it or the fuzzer.

use crate::sk::provider;
use crate::world::{Flying, World, ike};
use ravelin::ike::event::IkeKeyLog;
use ravelin::ike::registry::{ExchangeType, NotifyType, ProtocolId};
use ravelin::ike::seal::{DirectionKeys, SealAlg, open};
use ravelin::ike::wire::message::decode_payloads;
use ravelin::ike::wire::payload::Payload;
use ravelin::ike::wire::{Envelope, Header, Payloads};
use ravelin::{Instant, Path};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

/// Answered requests that were judged, and those after which the Child SAs were others.
static JUDGED: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

/// How many answered requests the model has judged in this process, and after how many of them the Child SAs were others.
#[must_use]
pub fn judged() -> (u64, u64) {
    (JUDGED[0].load(Ordering::Relaxed), JUDGED[1].load(Ordering::Relaxed))
}

/// A Child SA by its two SPIs, as the node has them: inbound, outbound.
type Pair = (u32, u32);

/// What was there before a request.
pub(crate) struct Before {
    header: Header,
    request: Payloads,
    all: BTreeSet<Pair>,
    /// Those of the IKE SA that carries the request.
    own: BTreeSet<Pair>,
}

/// The plaintext of a datagram under one of these keys; nothing for fragments and for what does not open.
fn read(keys: &[std::sync::Arc<IkeKeyLog>], path: Path, bytes: &[u8]) -> Option<(Header, Payloads)> {
    let mut copy = ike(path, bytes)?.to_vec();
    let envelope = Envelope::parse(&copy).ok()?;
    let (header, part) = (envelope.header, envelope.protected?);
    if part.fragment.is_some() {
        return None;
    }
    let k = keys.iter().find(|k| k.spis == (header.initiator_spi.0, header.responder_spi.0))?;
    let alg = SealAlg::resolve(provider(), k.encr, k.integ)?;
    let (encr, integ) = if header.flags.initiator() { (&k.sk_ei, &k.sk_ai) } else { (&k.sk_er, &k.sk_ar) };
    let plain =
        open(&alg, DirectionKeys { encr: encr.expose(), integ: integ.expose() }, &mut copy, part.body.start).ok()?;
    Some((header, decode_payloads(part.first, plain).ok()?))
}

fn pairs(world: &World, of: Option<(u64, u64)>) -> BTreeSet<Pair> {
    let sas = world.nodes[1].snapshot(Instant(world.now));
    let of = sas.iter().filter(|s| of.is_none_or(|spis| s.spis == spis));
    of.flat_map(|s| &s.children).map(|c| (c.spi_in.0, c.spi_out.0)).collect()
}

/// SPIs of the ESP proposals of an SA payload.
fn spis(payloads: &Payloads) -> BTreeSet<u32> {
    let proposals = payloads.sa().into_iter().flat_map(|sa| sa.proposals.iter());
    let esp = proposals.filter(|p| p.protocol == ProtocolId::ESP);
    esp.filter_map(|p| Some(u32::from_be_bytes(p.spi.as_slice().try_into().ok()?))).collect()
}

impl World {
    /// To be called before a datagram is given to node 1.
    pub(crate) fn model_before(&self, flying: &Flying) -> Option<Before> {
        let (header, request) = read(&self.keys, flying.path, &flying.bytes).filter(|_| flying.to == 1)?;
        let spis = (header.initiator_spi.0, header.responder_spi.0);
        let fresh = !header.is_response() && !self.is_answered(1, spis, header.message_id);
        fresh.then(|| Before { header, request, all: pairs(self, None), own: pairs(self, Some(spis)) })
    }

    /// To be called afterwards; what node 1 has sent since begins at `from` on the wire.
    pub(crate) fn model_after(&self, before: &Before, from: usize) {
        let h = &before.header;
        let answers = self.wire.iter().skip(from).filter(|f| f.to == 0);
        let answer = answers.filter_map(|f| read(&self.keys, f.path, &f.bytes)).find(|(a, _)| {
            a.is_response()
                && (a.initiator_spi, a.responder_spi, a.message_id) == (h.initiator_spi, h.responder_spi, h.message_id)
        });
        let after = pairs(self, None);
        let Some((_, answer)) = answer else {
            return assert!(after.is_superset(&before.all), "a request without an answer took Child SAs away");
        };
        let error = answer.error().map(|n| n.kind);
        // These end the IKE SA, and what it carries (RFC 7296 §2.21.3).
        if matches!(error, Some(NotifyType::INVALID_SYNTAX | NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD)) {
            return assert!(after.is_subset(&before.all), "a broken request made a Child SA");
        }
        let new: BTreeSet<Pair> = after.difference(&before.all).copied().collect();
        let gone: BTreeSet<Pair> = before.all.difference(&after).copied().collect();
        JUDGED[0].fetch_add(1, Ordering::Relaxed);
        JUDGED[1].fetch_add(u64::from(!new.is_empty() || !gone.is_empty()), Ordering::Relaxed);
        match h.exchange {
            ExchangeType::INFORMATIONAL => self.informational(before, &new, &gone),
            ExchangeType::CREATE_CHILD_SA => {
                assert!(gone.is_empty(), "CREATE_CHILD_SA took {gone:x?} away");
                let later = answer.notify(NotifyType::ADDITIONAL_KEY_EXCHANGE).is_some();
                let (ours, theirs) = (spis(&answer), spis(&before.request));
                if error.is_some() || later || ours.is_empty() {
                    return assert!(new.is_empty(), "{new:x?} was refused, or is of no Child SA, and is there");
                }
                assert_eq!(new.len(), 1, "one Child SA was agreed on: {new:x?}");
                assert!(
                    new.iter().all(|(i, o)| ours.contains(i) && theirs.contains(o)),
                    "{new:x?}: {ours:x?} {theirs:x?}"
                );
            }
            _ => {}
        }
    }

    fn informational(&self, before: &Before, new: &BTreeSet<Pair>, gone: &BTreeSet<Pair>) {
        assert!(new.is_empty(), "INFORMATIONAL made {new:x?}");
        let deletes = || before.request.iter().filter_map(|p| if let Payload::Delete(d) = p { Some(d) } else { None });
        if before.request.error().is_some() {
            return;
        }
        if deletes().any(|d| d.protocol == ProtocolId::IKE) {
            return assert!(gone.is_subset(&before.own), "the end of one IKE SA took Child SAs of another");
        }
        let named: BTreeSet<u32> =
            deletes().filter(|d| d.protocol == ProtocolId::ESP).flat_map(|d| d.child_spis()).collect();
        let meant: BTreeSet<Pair> = before.own.iter().filter(|(_, o)| named.contains(o)).copied().collect();
        assert_eq!(*gone, meant, "Delete names {named:x?} of {:x?}", before.own);
    }
}
