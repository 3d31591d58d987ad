//! What many SAs of one endpoint have in common and keep once: the algorithms of an IKE SA, the name of a Child SA's
//! suite, our side of its selectors. A hundred thousand peers of one policy share each of them.
//!
//! Each list is short and forgets its oldest member; who holds that keeps it. To share one more thing: a list and a
//! method here, and an `Arc` where it is kept.

use super::IkeSuite;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt::{Display, Write as _};
use ravelin_sa_db::TrafficSelector;

/// Members of each list: local proposals and policies, of which there are few, make them.
const MAX: usize = 32;

/// The lists.
#[derive(Default)]
pub struct Common {
    suites: VecDeque<Arc<IkeSuite>>,
    names: VecDeque<Arc<str>>,
    sides: VecDeque<Arc<[TrafficSelector]>>,
    scratch: String,
}

fn share<T: ?Sized>(list: &mut VecDeque<Arc<T>>, same: impl Fn(&T) -> bool, make: impl FnOnce() -> Arc<T>) -> Arc<T> {
    if let Some(there) = list.iter().find(|t| same(t)) {
        return Arc::clone(there);
    }
    if list.len() >= MAX {
        list.pop_front();
    }
    let new = make();
    list.push_back(Arc::clone(&new));
    new
}

impl Common {
    /// The algorithms of an IKE SA.
    pub fn suite(&mut self, suite: IkeSuite) -> Arc<IkeSuite> {
        let name = suite.name();
        share(&mut self.suites, |s| s.name() == name, || Arc::new(suite.clone()))
    }

    /// What `named` is called.
    pub fn name(&mut self, named: &dyn Display) -> Arc<str> {
        self.scratch.clear();
        // A string takes everything.
        let _ = write!(self.scratch, "{named}");
        let name = self.scratch.as_str();
        share(&mut self.names, |n| n == name, || Arc::from(name))
    }

    /// A list of selectors.
    pub fn side(&mut self, side: &[TrafficSelector]) -> Arc<[TrafficSelector]> {
        share(&mut self.sides, |s| s == side, || Arc::from(side))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ones_are_one_and_the_oldest_goes() {
        let mut common = Common::default();
        let first = common.name(&0);
        assert!(Arc::ptr_eq(&first, &common.name(&"0")));
        (0..MAX).for_each(|n| drop(common.name(&(n + 1))));
        assert_eq!(common.names.len(), MAX);
        let again = common.name(&0);
        assert!(first == again && !Arc::ptr_eq(&first, &again));
        let side = |text: &str| [text.parse::<TrafficSelector>().unwrap()];
        let one = common.side(&side("10.0.0.0/8"));
        assert!(Arc::ptr_eq(&one, &common.side(&side("10.0.0.0/8"))));
        assert_eq!(&*common.side(&side("10.0.0.0/9")), side("10.0.0.0/9"));
    }
}
