//! What many SAs of one endpoint have in common and keep once: the algorithms of an IKE SA, the name of a Child SA's
//! suite, our side of its selectors. A hundred thousand peers of one policy share each of them.
//!
//! Each list is short and forgets its oldest member; who holds that keeps it. To share one more thing: a list and a
//! method here, and an `Arc` where it is kept.

use super::IkeSuite;
use super::nat_transport::Translated;
use crate::negotiate::{ChildAlgorithms, Chosen};
use alloc::collections::VecDeque;
use alloc::string::ToString;
use alloc::sync::Arc;
use ravelin_sa_db::TrafficSelector;

/// Members of each list: local proposals and policies, of which there are few, make them.
const MAX: usize = 32;

/// The lists.
#[derive(Default)]
pub struct Common {
    /// With what they are called.
    suites: VecDeque<(Arc<IkeSuite>, Arc<str>)>,
    children: VecDeque<(ChildAlgorithms, Arc<str>)>,
    sides: VecDeque<Arc<[TrafficSelector]>>,
    /// Child SAs whose peers look the same behind one NAT (RFC 7296 §2.23.1); as many as there are.
    pub(super) translated: Translated,
}

fn share<T: Clone>(list: &mut VecDeque<T>, same: impl Fn(&T) -> bool, make: impl FnOnce() -> T) -> T {
    if let Some(there) = list.iter().find(|t| same(t)) {
        return there.clone();
    }
    if list.len() >= MAX {
        list.pop_front();
    }
    let new = make();
    list.push_back(new.clone());
    new
}

impl Common {
    /// The algorithms of an IKE SA.
    pub fn suite(&mut self, suite: &IkeSuite) -> Arc<IkeSuite> {
        self.named_suite(suite).0
    }

    /// The same in words.
    pub fn suite_name(&mut self, suite: &IkeSuite) -> Arc<str> {
        self.named_suite(suite).1
    }

    fn named_suite(&mut self, suite: &IkeSuite) -> (Arc<IkeSuite>, Arc<str>) {
        let make = || (Arc::new(suite.clone()), Arc::from(suite.to_string()));
        share(&mut self.suites, |(s, _)| s.name() == suite.name(), make)
    }

    /// The algorithms of a Child SA in words.
    pub fn child_name(&mut self, chosen: &Chosen) -> Arc<str> {
        let make = || (chosen.algorithms(), Arc::from(chosen.to_string()));
        share(&mut self.children, |(have, _)| chosen.has(have), make).1
    }

    /// A list of selectors.
    pub fn side(&mut self, side: &[TrafficSelector]) -> Arc<[TrafficSelector]> {
        share(&mut self.sides, |s| **s == *side, || Arc::from(side))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{ProtocolId, TransformType};
    use crate::wire::payload::Proposal;
    use alloc::vec::Vec;
    use ravelin_crypto::{EncrId, IntegId, KeId, SnId};
    use ravelin_sa_db::proposal::EncrAlg;

    #[test]
    fn equal_ones_are_one_and_the_oldest_goes() {
        let mut common = Common::default();
        let side = |n: usize| [alloc::format!("10.0.{n}.0/24").parse::<TrafficSelector>().unwrap()];
        let first = common.side(&side(0));
        assert!(Arc::ptr_eq(&first, &common.side(&side(0))));
        (0..MAX).for_each(|n| drop(common.side(&side(n + 1))));
        assert_eq!(common.sides.len(), MAX);
        let again = common.side(&side(0));
        assert!(first == again && !Arc::ptr_eq(&first, &again));
        assert_eq!(&*common.side(&side(40)), side(40));
    }

    /// Every algorithm tells one Child SA's name from another's.
    #[test]
    fn each_choice_has_its_own_name() {
        let mut common = Common::default();
        let gcm = Chosen {
            encr: Some(EncrAlg { id: EncrId::AES_GCM_16, key_bits: Some(128) }),
            prf: None,
            integ: IntegId::NONE,
            ke: None,
            sn: None,
            addke: Vec::new(),
            peer_spi: Vec::new(),
            answer: Proposal::new(1, ProtocolId::ESP, Vec::new(), Vec::new()),
        };
        let name = common.child_name(&gcm);
        assert_eq!(&*name, gcm.to_string());
        assert!(Arc::ptr_eq(&name, &common.child_name(&Chosen { peer_spi: alloc::vec![1; 4], ..gcm.clone() })));
        let longer = Some(EncrAlg { id: EncrId::AES_GCM_16, key_bits: Some(256) });
        for other in [
            Chosen { encr: longer, ..gcm.clone() },
            Chosen { encr: None, integ: IntegId::HMAC_SHA2_256_128, ..gcm.clone() },
            Chosen { integ: IntegId::HMAC_SHA2_256_128, ..gcm.clone() },
            Chosen { ke: Some(KeId::CURVE25519), ..gcm.clone() },
            Chosen { sn: Some(SnId::PARTIAL_64), ..gcm.clone() },
            Chosen { addke: alloc::vec![(TransformType::ADDKE1, KeId::ML_KEM_768)], ..gcm.clone() },
        ] {
            let named = common.child_name(&other);
            assert!(*named == *other.to_string() && named != name, "{named}");
        }
    }
}
