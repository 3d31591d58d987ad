//! Choosing a proposal (RFC 7296 §2.7, §3.3.6): one proposal, one transform of each type that it names.
//!
//! Rules: a proposal of the peer with a transform type that we do not know or that our side does not name (other than
//! as "none") is not acceptable (§3.3.3); a transform with attributes we do not understand is passed over (§3.3.6).

use crate::error::Reason;
use crate::registry::{EncrId, IntegId, KeId, PrfId, ProtocolId, SnId, TransformType};
use crate::wire::payload::{Proposal as WireProposal, SecurityAssociation, Transform};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use ravelin_sa_db::proposal::{EncrAlg, Proposal, ProposalProtocol};

/// Transform types 6 to 12.
const ADDKE: [TransformType; 7] = [
    TransformType::ADDKE1,
    TransformType::ADDKE2,
    TransformType::ADDKE3,
    TransformType::ADDKE4,
    TransformType::ADDKE5,
    TransformType::ADDKE6,
    TransformType::ADDKE7,
];

/// What both sides agreed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chosen {
    /// Encryption; none with AH.
    pub encr: Option<EncrAlg>,
    /// PRF; IKE only.
    pub prf: Option<PrfId>,
    /// Integrity; NONE with an AEAD.
    pub integ: IntegId,
    /// Key exchange; in a Child SA none means no exchange of its own.
    pub ke: Option<KeId>,
    /// Sequence numbers; ESP and AH only.
    pub sn: Option<SnId>,
    /// Additional key exchanges that were chosen and are not NONE, in order (RFC 9370).
    pub addke: Vec<(TransformType, KeId)>,
    /// The peer's SPI.
    pub peer_spi: Vec<u8>,
    /// The proposal as the responder answers it; the SPI is the peer's until the answer is made.
    pub answer: WireProposal,
}

impl core::fmt::Display for Chosen {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut words: Vec<String> = Vec::new();
        words.extend(self.encr.map(|e| e.key_bits.map_or_else(|| e.id.to_string(), |b| format!("{}_{b}", e.id))));
        words.extend((self.integ != IntegId::NONE).then(|| self.integ.to_string()));
        words.extend(self.prf.map(|p| format!("PRF_{p}")));
        words.extend(self.ke.map(|k| k.to_string()));
        words.extend(self.addke.iter().map(|(t, k)| format!("{t}:{k}")));
        words.extend((self.sn == Some(SnId::PARTIAL_64)).then(|| "ESN".to_string()));
        f.write_str(&words.join("/"))
    }
}

/// Our proposals as an SA payload. `spi` is empty for IKE_SA_INIT, 8 octets for an IKE rekey, 4 for ESP and AH.
#[must_use]
pub fn offer(proposals: &[Proposal], spi: &[u8]) -> SecurityAssociation {
    let numbered = (1u8..).zip(proposals);
    SecurityAssociation::new(
        numbered.map(|(n, p)| WireProposal::new(n, wire_protocol(p.protocol), spi.to_vec(), transforms(p))).collect(),
    )
}

fn wire_protocol(p: ProposalProtocol) -> ProtocolId {
    ProtocolId(p.id())
}

/// All transforms of a proposal, by type.
fn transforms(p: &Proposal) -> Vec<Transform> {
    let mut out = Vec::new();
    out.extend(p.encr.iter().map(|e| Transform::encr(e.id, e.key_bits)));
    out.extend(p.prf.iter().map(|x| Transform::prf(*x)));
    out.extend(p.integ.iter().map(|x| Transform::integ(*x)));
    out.extend(p.ke.iter().map(|x| Transform::ke(*x)));
    out.extend(p.sn.iter().map(|x| Transform::sn(*x)));
    for (kind, list) in ADDKE.iter().zip(&p.addke) {
        out.extend(list.iter().map(|x| Transform::addke(*kind, *x)));
    }
    out
}

/// As responder: the first of our proposals (or, unless `prefer_own`, of the peer's) that both sides can live with.
/// `group` is the method of the peer's KE payload; where it is acceptable it is taken, to save a round trip.
///
/// # Errors
/// [`Reason::NoProposal`] with both sides in words.
pub fn choose(
    ours: &[Proposal],
    theirs: &SecurityAssociation,
    group: Option<KeId>,
    prefer_own: bool,
) -> Result<Chosen, Reason> {
    let pairs: Vec<(&Proposal, &WireProposal)> = if prefer_own {
        ours.iter().flat_map(|o| theirs.proposals.iter().map(move |t| (o, t))).collect()
    } else {
        theirs.proposals.iter().flat_map(|t| ours.iter().map(move |o| (o, t))).collect()
    };
    let found = pairs.into_iter().find_map(|(o, t)| match_one(o, t, group, prefer_own));
    found.ok_or_else(|| no_proposal(ours, theirs))
}

/// As initiator: checks that the answer is one proposal of ours with one transform of each type (RFC 7296 §2.7).
///
/// # Errors
/// [`Reason::NoProposal`] when it is not.
pub fn verify_answer(ours: &[Proposal], answer: &SecurityAssociation) -> Result<Chosen, Reason> {
    let refuse = || no_proposal(ours, answer);
    let [one] = answer.proposals.as_slice() else { return Err(refuse()) };
    let offered = usize::from(one.number).checked_sub(1).and_then(|n| ours.get(n)).ok_or_else(refuse)?;
    let doubled = one
        .transforms
        .iter()
        .enumerate()
        .any(|(n, t)| one.transforms.iter().skip(n.saturating_add(1)).any(|u| u.kind == t.kind));
    if doubled {
        return Err(refuse());
    }
    match_one(offered, one, None, true).ok_or_else(refuse)
}

/// Matches one proposal of ours against one of the peer's.
fn match_one(ours: &Proposal, theirs: &WireProposal, group: Option<KeId>, prefer_own: bool) -> Option<Chosen> {
    if wire_protocol(ours.protocol) != theirs.protocol {
        return None;
    }
    let known = |t: &Transform| (1..=12).contains(&t.kind.0);
    if !theirs.transforms.iter().all(known) {
        return None;
    }
    let pick = |kind, ours: Vec<Transform>, optional: bool| pick(kind, &ours, theirs, None, optional, prefer_own);
    let encr = pick(TransformType::ENCR, ours.encr.iter().map(|e| Transform::encr(e.id, e.key_bits)).collect(), false)?;
    let prf = pick(TransformType::PRF, ours.prf.iter().map(|x| Transform::prf(*x)).collect(), false)?;
    let aead = encr.as_ref().is_some_and(|e| EncrId(e.id).is_aead());
    let mut integs: Vec<Transform> = ours.integ.iter().map(|x| Transform::integ(*x)).collect();
    if aead && integs.is_empty() {
        integs.push(Transform::integ(IntegId::NONE));
    }
    let integ = pick(TransformType::INTEG, integs, aead)?;
    let kes: Vec<Transform> = ours.ke.iter().map(|x| Transform::ke(*x)).collect();
    let ke = self::pick(TransformType::KE, &kes, theirs, group, ours.protocol != ProposalProtocol::Ike, prefer_own)?;
    let sns: Vec<Transform> = ours.sn.iter().map(|x| Transform::sn(*x)).collect();
    let sn = pick(TransformType::SN, sns, false)?;
    let mut chosen: Vec<Transform> = [encr, prf, integ, ke, sn].into_iter().flatten().collect();
    let mut addke = Vec::new();
    for (kind, list) in ADDKE.iter().zip(&ours.addke) {
        let list: Vec<Transform> = list.iter().map(|x| Transform::addke(*kind, *x)).collect();
        let optional = list.is_empty() || list.iter().any(|t| t.id == KeId::NONE.0);
        if let Some(t) = self::pick(*kind, &list, theirs, None, optional, prefer_own)? {
            if t.id != KeId::NONE.0 {
                addke.push((*kind, KeId(t.id)));
            }
            chosen.push(t);
        }
    }
    Some(assemble(theirs, chosen, addke))
}

/// Takes one transform of a type. `Some(None)`: neither side names the type, or it is optional and left out.
fn pick(
    kind: TransformType,
    ours: &[Transform],
    theirs: &WireProposal,
    wish: Option<KeId>,
    optional: bool,
    prefer_own: bool,
) -> Option<Option<Transform>> {
    let offered: Vec<&Transform> = theirs.of(kind).collect();
    let none = |t: &Transform| t.id == 0 && kind != TransformType::SN && kind != TransformType::ENCR;
    if offered.is_empty() {
        return (ours.is_empty() || optional || ours.iter().all(none)).then_some(None);
    }
    if ours.is_empty() {
        // The peer names a type that we do not: fine only when "none" is among its choices (RFC 7296 §3.3.3).
        return offered.into_iter().find(|t| none(t)).map(|t| Some(plain(t)));
    }
    let same =
        |a: &Transform, b: &Transform| a.id == b.id && a.key_length() == b.key_length() && b.attributes_understood();
    if let Some(wish) = wish
        && let Some(t) = offered.iter().find(|t| t.id == wish.0 && ours.iter().any(|o| same(o, t)))
    {
        return Some(Some(plain(t)));
    }
    let found = if prefer_own {
        ours.iter().find_map(|o| offered.iter().find(|t| same(o, t)))
    } else {
        offered.iter().find(|t| ours.iter().any(|o| same(o, t)))
    };
    found.map(|t| Some(plain(t)))
}

/// The transform without a foreign peer's reserved bits.
fn plain(t: &Transform) -> Transform {
    Transform { reserved: [0; 2], ..t.clone() }
}

fn assemble(theirs: &WireProposal, transforms: Vec<Transform>, addke: Vec<(TransformType, KeId)>) -> Chosen {
    let get = |kind| transforms.iter().find(|t: &&Transform| t.kind == kind);
    Chosen {
        encr: get(TransformType::ENCR).map(|t| EncrAlg { id: EncrId(t.id), key_bits: t.key_length() }),
        prf: get(TransformType::PRF).map(|t| PrfId(t.id)),
        integ: get(TransformType::INTEG).map_or(IntegId::NONE, |t| IntegId(t.id)),
        ke: get(TransformType::KE).map(|t| KeId(t.id)).filter(|k| *k != KeId::NONE),
        sn: get(TransformType::SN).map(|t| SnId(t.id)),
        addke,
        peer_spi: theirs.spi.clone(),
        answer: WireProposal::new(theirs.number, theirs.protocol, theirs.spi.clone(), transforms),
    }
}

fn no_proposal(ours: &[Proposal], theirs: &SecurityAssociation) -> Reason {
    let ours = ours.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let theirs = theirs.proposals.iter().take(16).map(describe).collect::<Vec<_>>().join(", ");
    Reason::NoProposal { ours, theirs }
}

/// A proposal of the peer in words.
fn describe(p: &WireProposal) -> String {
    let word = |t: &Transform| {
        let name = match t.kind {
            TransformType::ENCR => EncrId(t.id).to_string(),
            TransformType::PRF => format!("PRF_{}", PrfId(t.id)),
            TransformType::INTEG => IntegId(t.id).to_string(),
            TransformType::SN => SnId(t.id).to_string(),
            TransformType::KE => KeId(t.id).to_string(),
            kind => format!("{kind}:{}", KeId(t.id)),
        };
        t.key_length().map_or(name.clone(), |bits| format!("{name}_{bits}"))
    };
    p.transforms.iter().take(64).map(word).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ike(s: &str) -> Vec<Proposal> {
        Proposal::parse_list(ProposalProtocol::Ike, s).unwrap()
    }
    fn esp(s: &str) -> Vec<Proposal> {
        Proposal::parse_list(ProposalProtocol::Esp, s).unwrap()
    }

    #[test]
    fn answer_passes_the_initiators_check() {
        let (i, r) = (
            ike("aes256gcm16-aes128gcm16-prfsha256-x25519-ecp256, aes256-sha256-modp2048"),
            ike("aes128gcm16-prfsha256-ecp256"),
        );
        let c = choose(&r, &offer(&i, &[]), Some(KeId::CURVE25519), true).unwrap();
        assert_eq!((c.encr.unwrap().key_bits, c.ke), (Some(128), Some(KeId::ECP_256)));
        let back = verify_answer(&i, &SecurityAssociation::new(alloc::vec![c.answer.clone()])).unwrap();
        assert_eq!(back.encr, c.encr);
    }

    #[test]
    fn the_group_in_hand_is_taken_when_both_like_it() {
        let (i, r) = (ike("aes128gcm16-prfsha256-ecp256-x25519"), ike("aes128gcm16-prfsha256-x25519-ecp256"));
        assert_eq!(choose(&r, &offer(&i, &[]), Some(KeId::ECP_256), true).unwrap().ke, Some(KeId::ECP_256));
        assert_eq!(choose(&r, &offer(&i, &[]), None, true).unwrap().ke, Some(KeId::CURVE25519));
        assert_eq!(choose(&r, &offer(&i, &[]), None, false).unwrap().ke, Some(KeId::ECP_256));
    }

    #[test]
    fn esp_without_ke_and_integ_none_variants() {
        let spi = [0, 0, 1, 1];
        let c = choose(&esp("aes128gcm16-esn-noesn"), &offer(&esp("aes128gcm16"), &spi), None, true).unwrap();
        assert_eq!(
            (c.sn, c.ke, c.integ, c.peer_spi.as_slice()),
            (Some(SnId::SEQUENTIAL_32), None, IntegId::NONE, &spi[..])
        );
        // A peer that spells "no integrity" and "no key exchange" out is understood.
        let mut o = offer(&esp("aes128gcm16"), &spi);
        o.proposals[0].transforms.push(Transform::integ(IntegId::NONE));
        o.proposals[0].transforms.push(Transform::ke(KeId::NONE));
        assert!(choose(&esp("aes128gcm16"), &o, None, true).is_ok());
    }

    #[test]
    fn unknown_types_and_missing_integrity_are_refused() {
        let mut o = offer(&esp("aes128gcm16"), &[0, 0, 1, 1]);
        o.proposals[0].transforms.push(Transform::new(TransformType(200), 1));
        assert!(choose(&esp("aes128gcm16"), &o, None, true).is_err());
        let mut o = offer(&esp("aes128-sha256"), &[0, 0, 1, 1]);
        o.proposals[0].transforms.retain(|t| t.kind != TransformType::INTEG);
        assert!(choose(&esp("aes128-sha256"), &o, None, true).is_err());
    }

    #[test]
    fn an_answer_with_two_transforms_of_a_type_or_a_foreign_one_is_refused() {
        let ours = ike("aes256gcm16-prfsha256-x25519");
        let mut two = offer(&ours, &[]);
        two.proposals[0].transforms.push(Transform::ke(KeId::ECP_256));
        assert!(verify_answer(&ours, &two).is_err());
        assert!(verify_answer(&ours, &offer(&ike("aes128gcm16-prfsha256-x25519"), &[])).is_err());
        assert!(verify_answer(&ours, &SecurityAssociation::default()).is_err());
    }

    #[test]
    fn refusal_names_both_sides() {
        let e = choose(&ike("aes256gcm16-prfsha384-ecp384"), &offer(&ike("aes128-sha256-modp2048"), &[]), None, true)
            .unwrap_err();
        let text = e.to_string();
        assert!(text.contains("aes256gcm16-prfsha384-ecp384") && text.contains("AES_CBC_128"), "{text}");
    }
}
