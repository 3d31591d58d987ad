//! The replay window against a model that remembers everything (RFC 4303 §3.4.3, appendix A).

use arbitrary::{Arbitrary, Unstructured};
use ravelin::esp::replay::ReplayWindow;
use std::collections::BTreeSet;

#[derive(Arbitrary, Debug)]
enum Step {
    Near(i8),
    Far(i32),
    Low(u32),
    Jump(u32),
}

pub(crate) fn run(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok((size, esn)) = <(u16, bool)>::arbitrary(&mut u) else { return };
    let size = u32::from(size % 2049);
    if !ReplayWindow::size_is_valid(size) {
        return;
    }
    let Ok(steps) = Vec::<Step>::arbitrary_take_rest(u) else { return };
    let window = ReplayWindow::new(size, esn);
    let (mut top, mut seen) = (0u64, BTreeSet::new());
    let width = u64::from(window.size());
    for step in steps {
        let number = match step {
            Step::Near(d) => top.saturating_add_signed(i64::from(d)),
            Step::Far(d) => top.saturating_add_signed(i64::from(d)),
            Step::Low(low) => match window.infer(low) {
                Ok(n) => {
                    assert_eq!(n as u32, low, "the low half is what was on the wire");
                    n
                }
                Err(_) => continue,
            },
            Step::Jump(d) => top.saturating_add(u64::from(d)),
        };
        if !esn && number > u64::from(u32::MAX) {
            continue;
        }
        // Without a window every number passes.
        let fresh = size == 0 || (number > 0 && number.saturating_add(width) > top && !seen.contains(&number));
        let (check, commit) = (window.check(number), window.commit(number));
        assert_eq!(check.is_ok(), fresh, "check of {number} with top {top}, window {size}");
        assert_eq!(commit.is_ok(), fresh, "commit of {number} with top {top}, window {size}");
        if fresh && (size > 0 || esn) {
            top = top.max(number);
            seen.insert(number);
        }
        assert_eq!(window.top(), top);
    }
}
