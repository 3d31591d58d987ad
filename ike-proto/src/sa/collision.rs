//! Requests that cross (RFC 7296 §2.8.1, §2.8.2, §2.25.1, §2.25.2), as tables. Pure: from what the peer asks for and
//! what we are doing, to what it is answered; from how our own request ended and what happened meanwhile, to what we
//! do next. `docs/collisions.md` is generated from these tables and from the test that plays them out.
//!
//! To add a case: a row in a `match` here; the tests and the document follow.

use crate::exchange::ChildState;
use crate::registry::NotifyType;

/// What the peer asks for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Asked {
    /// A new Child SA.
    NewChild,
    /// A Child SA in place of another.
    RekeyChild,
    /// The end of a Child SA.
    DeleteChild,
    /// A new IKE SA in place of this one.
    RekeyIke,
    /// The end of the IKE SA.
    DeleteIke,
}

/// What we are doing with the IKE SA.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Ike {
    /// Nothing.
    Idle,
    /// Our request to make, rekey or delete one of its Child SAs is on the wire.
    Busy,
    /// Our CREATE_CHILD_SA request to rekey it is on the wire.
    Rekeying,
    /// We rekey it, and an IKE_FOLLOWUP_KE of ours is on the wire (RFC 9370 §2.2.4).
    Following,
    /// The peer rekeys it, and its IKE_FOLLOWUP_KE is awaited.
    Awaiting,
    /// It is rekeyed; the old one waits for its Delete, ours or the peer's.
    Replaced,
    /// Our Delete is on the wire.
    Closing,
}

/// What we are doing with the Child SA that the peer names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Child {
    /// There is none by that SPI.
    Absent,
    /// Nothing.
    Idle,
    /// Our CREATE_CHILD_SA request to rekey it is on the wire.
    Rekeying,
    /// We rekey it, and an IKE_FOLLOWUP_KE of ours is on the wire (RFC 9370 §2.2.4).
    Following,
    /// The peer rekeys it, and its IKE_FOLLOWUP_KE is awaited.
    Awaiting,
    /// It is rekeyed; the old one waits for its Delete, ours or the peer's.
    Replaced,
    /// Our Delete is on the wire.
    Deleting,
}

/// How a request is answered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Answer {
    /// As if nothing had crossed.
    Usual,
    /// As usual; which of the two new SAs lives on is seen from the nonces when our own answer comes.
    Compare,
    /// As usual, and our own request is forgotten.
    Yield,
    /// As usual, without a Delete payload of our own.
    WithoutSpi,
    /// TEMPORARY_FAILURE.
    Later,
    /// CHILD_SA_NOT_FOUND.
    NotFound,
}

/// How to answer a request. `child` counts only where the request names one.
#[must_use]
pub fn answer(asked: Asked, ike: Ike, child: Child) -> Answer {
    match (asked, ike, child) {
        (Asked::DeleteIke, Ike::Idle, _) => Answer::Usual,
        (Asked::DeleteIke, _, _) => Answer::Yield,
        // The peer may not have seen that we are about to close, or have closed our eyes to it (§2.8.2).
        (Asked::RekeyIke, Ike::Replaced | Ike::Closing, _) => Answer::Later,
        // Our CREATE_CHILD_SA is over, so there is nothing to compare any more (RFC 9370 §2.2.4).
        (Asked::RekeyIke, Ike::Following, _) => Answer::Later,
        // The peer lost its state and begins anew; what it had begun is forgotten.
        (Asked::RekeyIke, Ike::Awaiting, _) => Answer::Usual,
        // A Child SA between two IKE SAs would belong to neither.
        (Asked::RekeyIke, Ike::Busy, _) => Answer::Later,
        (Asked::RekeyIke, Ike::Rekeying, _) => Answer::Compare,
        (Asked::RekeyIke, Ike::Idle, _) => Answer::Usual,
        (
            Asked::NewChild | Asked::RekeyChild,
            Ike::Rekeying | Ike::Following | Ike::Awaiting | Ike::Replaced | Ike::Closing,
            _,
        ) => Answer::Later,
        (Asked::NewChild, Ike::Idle | Ike::Busy, _) => Answer::Usual,
        // It may be the one whose making the peer has answered, and the answer is still on its way.
        (Asked::RekeyChild, Ike::Busy, Child::Absent) => Answer::Later,
        (Asked::RekeyChild, _, Child::Absent) => Answer::NotFound,
        (Asked::RekeyChild, _, Child::Following | Child::Replaced | Child::Deleting) => Answer::Later,
        (Asked::RekeyChild, _, Child::Rekeying) => Answer::Compare,
        (Asked::RekeyChild, _, Child::Idle | Child::Awaiting) => Answer::Usual,
        (Asked::DeleteChild, _, Child::Absent | Child::Deleting) => Answer::WithoutSpi,
        (Asked::DeleteChild, _, _) => Answer::Usual,
    }
}

/// True when the answer to a Delete of a Child SA in that state names our SPI.
pub(super) fn names_ours(state: Option<ChildState>) -> bool {
    let child = match state {
        None => Child::Absent,
        Some(ChildState::Installed) => Child::Idle,
        Some(ChildState::Replaced) => Child::Replaced,
        Some(ChildState::Deleting) => Child::Deleting,
    };
    answer(Asked::DeleteChild, Ike::Idle, child) == Answer::Usual
}

/// What happened meanwhile to the SA that our request was to replace.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Meanwhile {
    /// Nothing.
    Nothing,
    /// The peer made an SA in its place too; the lowest of the four nonces is one of ours.
    RivalAndOursLowest,
    /// The peer made an SA in its place too; the lowest of the four nonces is one of its own.
    RivalAndTheirsLowest,
    /// It is gone, and nothing of the peer's is in its place.
    Gone,
}

/// How our request to rekey was answered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Ended {
    /// A new SA was made.
    Made,
    /// The first key exchange is done; it takes IKE_FOLLOWUP_KE to make the new SA (RFC 9370 §2.2.4).
    Begun,
    /// TEMPORARY_FAILURE.
    Later,
    /// CHILD_SA_NOT_FOUND.
    NotFound,
    /// NO_ADDITIONAL_SAS: the peer does not rekey.
    NoMore,
    /// Another error.
    Refused,
}

impl Ended {
    /// Sorts an error notify.
    #[must_use]
    pub fn by(notify: NotifyType) -> Self {
        match notify {
            NotifyType::TEMPORARY_FAILURE => Self::Later,
            NotifyType::CHILD_SA_NOT_FOUND => Self::NotFound,
            NotifyType::NO_ADDITIONAL_SAS => Self::NoMore,
            _ => Self::Refused,
        }
    }
}

/// What we do next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Next {
    /// Ours takes over, and we delete the old SA.
    TakeOver,
    /// Ours takes over and we delete the old SA; the peer deletes its own new one.
    Win,
    /// The peer's takes over; we delete our own new one.
    Lose,
    /// Ours stays; there is no old SA to delete any more.
    Stay,
    /// IKE_FOLLOWUP_KE goes out; what the peer began is forgotten, since it stops.
    GoOn,
    /// Ours stops before IKE_FOLLOWUP_KE: there is nothing to delete. The peer's takes over.
    Stop,
    /// The peer's takes over; of ours nothing was made.
    Follow,
    /// Nothing: there is nothing left to rekey.
    Forget,
    /// Try again after a while.
    Retry,
    /// The peer does not have it any more: drop it and make a new one.
    StartAnew,
    /// Authenticate anew, with a new IKE SA.
    Reauth,
}

/// What to do when our request to rekey an SA was answered.
#[must_use]
pub fn next(ended: Ended, meanwhile: Meanwhile) -> Next {
    use Meanwhile as M;
    match (ended, meanwhile) {
        (Ended::Made, M::Nothing) => Next::TakeOver,
        (Ended::Made, M::RivalAndTheirsLowest) => Next::Win,
        (Ended::Made, M::RivalAndOursLowest) => Next::Lose,
        (Ended::Made, M::Gone) => Next::Stay,
        (Ended::Begun, M::RivalAndOursLowest) => Next::Stop,
        (Ended::Begun, M::Nothing | M::RivalAndTheirsLowest | M::Gone) => Next::GoOn,
        // The peer did not notice that ours crossed its own (§2.8.1, §2.8.2).
        (_, M::RivalAndOursLowest | M::RivalAndTheirsLowest) => Next::Follow,
        (_, M::Gone) => Next::Forget,
        (Ended::Later | Ended::Refused, M::Nothing) => Next::Retry,
        (Ended::NotFound, M::Nothing) => Next::StartAnew,
        (Ended::NoMore, M::Nothing) => Next::Reauth,
    }
}

/// What happened meanwhile, from the lower nonce of each exchange. Nonces are compared octet by octet, and a shorter
/// one that is the beginning of a longer one is lower (RFC 7296 §2.8.1).
#[must_use]
pub fn meanwhile(ours: Option<&[u8]>, rival: Option<&[u8]>, gone: bool) -> Meanwhile {
    match (ours, rival) {
        (Some(ours), Some(theirs)) if ours < theirs => Meanwhile::RivalAndOursLowest,
        (_, Some(_)) => Meanwhile::RivalAndTheirsLowest,
        (_, None) if gone => Meanwhile::Gone,
        (_, None) => Meanwhile::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IKES: [Ike; 5] = [Ike::Idle, Ike::Busy, Ike::Rekeying, Ike::Replaced, Ike::Closing];
    const CHILDREN: [Child; 5] = [Child::Absent, Child::Idle, Child::Rekeying, Child::Replaced, Child::Deleting];

    #[test]
    fn rfc_9370_section_2_2_4_word_by_word() {
        use Answer::*;
        // "a TEMPORARY_FAILURE notification MUST be sent in response to such a request"
        assert_eq!(answer(Asked::RekeyChild, Ike::Idle, Child::Following), Later);
        assert_eq!(answer(Asked::RekeyIke, Ike::Following, Child::Idle), Later);
        // "the initiator of this exchange just stops the rekeying process"
        let ours_is_lowest = meanwhile(Some(&[1]), Some(&[2]), false);
        assert_eq!(next(Ended::Begun, ours_is_lowest), Next::Stop);
        assert_eq!(next(Ended::Begun, meanwhile(Some(&[2]), Some(&[1]), false)), Next::GoOn);
        assert_eq!(next(Ended::Begun, Meanwhile::Nothing), Next::GoOn);
        for ike in [Ike::Following, Ike::Awaiting] {
            assert_eq!(answer(Asked::NewChild, ike, Child::Absent), Later);
            assert_eq!(answer(Asked::DeleteChild, ike, Child::Idle), Usual);
            assert_eq!(answer(Asked::DeleteIke, ike, Child::Idle), Yield);
        }
        // A peer that lost its state may begin anew.
        assert_eq!(answer(Asked::RekeyIke, Ike::Awaiting, Child::Idle), Usual);
        assert_eq!(answer(Asked::RekeyChild, Ike::Busy, Child::Awaiting), Usual);
    }

    #[test]
    fn section_2_25_1_word_by_word() {
        use Answer::*;
        let rekey = |c| answer(Asked::RekeyChild, Ike::Idle, c);
        let delete = |c| answer(Asked::DeleteChild, Ike::Idle, c);
        assert_eq!(CHILDREN.map(rekey), [NotFound, Usual, Compare, Later, Later]);
        assert_eq!(answer(Asked::RekeyChild, Ike::Busy, Child::Absent), Later);
        assert_eq!(CHILDREN.map(delete), [WithoutSpi, Usual, Usual, Usual, WithoutSpi]);
    }

    #[test]
    fn section_2_25_2_word_by_word() {
        use Answer::*;
        let all = |asked| IKES.map(|ike| answer(asked, ike, Child::Idle));
        assert_eq!(all(Asked::RekeyIke), [Usual, Later, Compare, Later, Later]);
        assert_eq!(all(Asked::DeleteIke), [Usual, Yield, Yield, Yield, Yield]);
        assert_eq!(all(Asked::NewChild), [Usual, Usual, Later, Later, Later]);
        assert_eq!(all(Asked::RekeyChild), [Usual, Usual, Later, Later, Later]);
        assert_eq!(all(Asked::DeleteChild), [Usual; 5]);
    }

    #[test]
    fn the_lowest_nonce_loses_and_both_sides_agree_on_it() {
        for (a, b) in [(&[1u8, 2][..], &[1u8, 3][..]), (&[1], &[1, 0]), (&[0; 16], &[0; 17])] {
            assert_eq!(next(Ended::Made, meanwhile(Some(a), Some(b), false)), Next::Lose);
            assert_eq!(next(Ended::Made, meanwhile(Some(b), Some(a), false)), Next::Win);
            assert_eq!(next(Ended::Made, meanwhile(Some(b), Some(a), true)), Next::Win);
        }
    }

    #[test]
    fn errors_after_a_crossing_are_ignored() {
        for ended in [Ended::Later, Ended::NotFound, Ended::NoMore, Ended::Refused] {
            assert_eq!(next(ended, meanwhile(None, Some(&[1]), false)), Next::Follow);
            assert_eq!(next(ended, meanwhile(None, Some(&[1]), true)), Next::Follow);
            assert_eq!(next(ended, Meanwhile::Gone), Next::Forget);
        }
        assert_eq!(next(Ended::by(NotifyType::TEMPORARY_FAILURE), Meanwhile::Nothing), Next::Retry);
        assert_eq!(next(Ended::by(NotifyType::CHILD_SA_NOT_FOUND), Meanwhile::Nothing), Next::StartAnew);
        assert_eq!(next(Ended::by(NotifyType::NO_ADDITIONAL_SAS), Meanwhile::Nothing), Next::Reauth);
        assert_eq!(next(Ended::by(NotifyType::TS_UNACCEPTABLE), Meanwhile::Nothing), Next::Retry);
    }
}
