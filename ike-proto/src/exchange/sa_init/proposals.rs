//! Which proposals of a PAD entry are offered and taken (RFC 7296 §2.7): what the provider has; additional key exchanges
//! only where IKE_INTERMEDIATE carries them (RFC 9370).

use crate::exchange::Cx;
use crate::negotiate::Offered;
use alloc::vec::Vec;
use ravelin_crypto::KeId;
use ravelin_sa_db::proposal::Proposal;

/// [`offers`], as they are taken along.
pub(super) fn offered(cx: &Cx<'_>, proposals: &[Proposal]) -> Offered {
    Offered::of(proposals, |p| !p.has_addke() && p.is_supported_by(cx.crypto), || offers(cx, proposals))
}

/// Our offer: what the provider has. A proposal with optional additional key exchanges stands twice, with them and
/// without, since peers before RFC 9370 refuse transform types that they do not know.
pub(in crate::exchange) fn offers(cx: &Cx<'_>, proposals: &[Proposal]) -> Vec<Proposal> {
    let mut out = Vec::new();
    for p in proposals.iter().filter_map(|p| p.supported_by(cx.crypto)) {
        let plain = p.without_addke();
        if p.has_addke() {
            let mut with = p;
            with.addke.iter_mut().for_each(|list| list.retain(|k| *k != KeId::NONE));
            out.push(with);
        }
        out.extend(plain);
    }
    out
}

/// What we take as responder; without IKE_INTERMEDIATE there are no additional key exchanges.
pub(super) fn acceptable(cx: &Cx<'_>, proposals: &[Proposal], intermediate: bool) -> Offered {
    let keep = |p: &Proposal| {
        if intermediate { p.supported_by(cx.crypto) } else { p.without_addke()?.supported_by(cx.crypto) }
    };
    let whole = |p: &Proposal| (intermediate || !p.has_addke()) && p.is_supported_by(cx.crypto);
    Offered::of(proposals, whole, || proposals.iter().filter_map(keep).collect())
}
