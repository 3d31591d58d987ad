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

/// What was chosen, without what belongs to one SA.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChildAlgorithms {
    single: (Option<EncrAlg>, Option<PrfId>, IntegId, Option<KeId>, Option<SnId>),
    addke: Vec<(TransformType, KeId)>,
}

impl Chosen {
    fn single(&self) -> (Option<EncrAlg>, Option<PrfId>, IntegId, Option<KeId>, Option<SnId>) {
        (self.encr, self.prf, self.integ, self.ke, self.sn)
    }

    /// The algorithms alone.
    pub(crate) fn algorithms(&self) -> ChildAlgorithms {
        ChildAlgorithms { single: self.single(), addke: self.addke.clone() }
    }

    /// True when these are its algorithms.
    pub(crate) fn has(&self, algorithms: &ChildAlgorithms) -> bool {
        self.single() == algorithms.single && self.addke == algorithms.addke
    }
}

impl core::fmt::Display for Chosen {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut slash = "";
        let mut word = |text: core::fmt::Arguments<'_>| {
            f.write_str(core::mem::replace(&mut slash, "/"))?;
            f.write_fmt(text)
        };
        match self.encr {
            Some(EncrAlg { id, key_bits: Some(bits) }) => word(format_args!("{id}_{bits}"))?,
            Some(EncrAlg { id, key_bits: None }) => word(format_args!("{id}"))?,
            None => {}
        }
        if self.integ != IntegId::NONE {
            word(format_args!("{}", self.integ))?;
        }
        self.prf.map_or(Ok(()), |p| word(format_args!("PRF_{p}")))?;
        self.ke.map_or(Ok(()), |k| word(format_args!("{k}")))?;
        self.addke.iter().try_for_each(|(t, k)| word(format_args!("{t}:{k}")))?;
        if self.sn == Some(SnId::PARTIAL_64) { word(format_args!("ESN")) } else { Ok(()) }
    }
}

/// Proposals that are in use: those of the configuration as they stand, or others made from them.
#[derive(Clone, Debug)]
pub struct Offered(Option<Vec<Proposal>>);

impl Offered {
    /// `configured` itself when `as_they_are` holds for each, else what `make` makes of them.
    pub fn of(
        configured: &[Proposal],
        as_they_are: impl FnMut(&Proposal) -> bool,
        make: impl FnOnce() -> Vec<Proposal>,
    ) -> Self {
        Self((!configured.iter().all(as_they_are)).then(make))
    }

    /// The proposals. `configured` is what [`Offered::of`] got.
    #[must_use]
    pub fn get<'a>(&'a self, configured: &'a [Proposal]) -> &'a [Proposal] {
        self.0.as_deref().unwrap_or(configured)
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
    let lists = [p.encr.len(), p.prf.len(), p.integ.len(), p.ke.len(), p.sn.len()];
    let mut out = Vec::with_capacity(lists.iter().chain(p.addke.each_ref().map(Vec::len).iter()).sum());
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
    let (mut mine, mut yours) = (ours.iter(), theirs.proposals.iter());
    let fits = |o: &Proposal, t: &WireProposal| match_one(o, t, group, prefer_own);
    let found = if prefer_own {
        mine.find_map(|o| theirs.proposals.iter().find_map(|t| fits(o, t)))
    } else {
        yours.find_map(|t| ours.iter().find_map(|o| fits(o, t)))
    };
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
    let pick = |kind, ours, optional: bool| pick(kind, ours, theirs, None, optional, prefer_own);
    let encr = pick(TransformType::ENCR, Ours::Encr(&ours.encr), false)?;
    let prf = pick(TransformType::PRF, Ours::Prf(&ours.prf), false)?;
    let aead = encr.is_some_and(|e| EncrId(e.id).is_aead());
    let integs = if aead && ours.integ.is_empty() { &[IntegId::NONE][..] } else { &ours.integ };
    let integ = pick(TransformType::INTEG, Ours::Integ(integs), aead)?;
    let optional = ours.protocol != ProposalProtocol::Ike;
    let ke = self::pick(TransformType::KE, Ours::Ke(&ours.ke), theirs, group, optional, prefer_own)?;
    let sn = pick(TransformType::SN, Ours::Sn(&ours.sn), false)?;
    let mut chosen = Vec::with_capacity(theirs.transforms.len().min(12));
    chosen.extend([encr, prf, integ, ke, sn].into_iter().flatten().map(plain));
    let mut addke = Vec::new();
    for (kind, list) in ADDKE.iter().zip(&ours.addke) {
        let optional = list.is_empty() || list.contains(&KeId::NONE);
        if let Some(t) = pick(*kind, Ours::Ke(list), optional)? {
            if t.id != KeId::NONE.0 {
                addke.push((*kind, KeId(t.id)));
            }
            chosen.push(plain(t));
        }
    }
    Some(assemble(theirs, chosen, addke))
}

/// What we can take of one transform type.
#[derive(Clone, Copy)]
enum Ours<'a> {
    Encr(&'a [EncrAlg]),
    Prf(&'a [PrfId]),
    Integ(&'a [IntegId]),
    Ke(&'a [KeId]),
    Sn(&'a [SnId]),
}

impl Ours<'_> {
    /// Number and key length in bits of the one at this place.
    fn at(self, n: usize) -> Option<(u16, Option<u16>)> {
        match self {
            Self::Encr(list) => list.get(n).map(|e| (e.id.0, e.key_bits)),
            Self::Prf(list) => list.get(n).map(|x| (x.0, None)),
            Self::Integ(list) => list.get(n).map(|x| (x.0, None)),
            Self::Ke(list) => list.get(n).map(|x| (x.0, None)),
            Self::Sn(list) => list.get(n).map(|x| (x.0, None)),
        }
    }

    fn all(self) -> impl Iterator<Item = (u16, Option<u16>)> {
        (0..).map_while(move |n| self.at(n))
    }
}

/// Takes one transform of a type. `Some(None)`: neither side names the type, or it is optional and left out.
fn pick<'t>(
    kind: TransformType,
    ours: Ours<'_>,
    theirs: &'t WireProposal,
    wish: Option<KeId>,
    optional: bool,
    prefer_own: bool,
) -> Option<Option<&'t Transform>> {
    let mut offered = theirs.of(kind);
    let none = |id: u16| id == 0 && kind != TransformType::SN && kind != TransformType::ENCR;
    if theirs.of(kind).next().is_none() {
        return (optional || ours.all().all(|(id, _)| none(id))).then_some(None);
    }
    if ours.at(0).is_none() {
        // The peer names a type that we do not: fine only when "none" is among its choices (RFC 7296 §3.3.3).
        return offered.find(|t| none(t.id)).map(Some);
    }
    let same = |(id, bits): (u16, Option<u16>), t: &Transform| {
        id == t.id && bits == t.key_length() && t.attributes_understood()
    };
    let taken = |t: &&Transform| ours.all().any(|o| same(o, t));
    if let Some(wish) = wish
        && let Some(t) = theirs.of(kind).find(|t| t.id == wish.0 && taken(t))
    {
        return Some(Some(t));
    }
    if prefer_own {
        ours.all().find_map(|o| theirs.of(kind).find(|t| same(o, t))).map(Some)
    } else {
        offered.find(taken).map(Some)
    }
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
