//! Puzzles (RFC 8019): what a stranger has to work for before it costs us a key exchange. A puzzle is a cookie, a PRF and
//! a number of bits; its solution is four different keys under which the PRF of the cookie ends in so many zero bits.
//! The responder keeps nothing: the cookie says by itself that it came with a puzzle, and how hard it was.
//!
//! A responder may also set one in its answer, to be solved before IKE_AUTH (§7.2), so that garbage does not make it
//! derive keys. We solve it as initiator. As responder we set none: our keys are derived with the answer to
//! IKE_SA_INIT, behind cookie and puzzle, and garbage costs one check value.

use crate::wire::notify::Puzzle;
use crate::wire::payload::PuzzleSolution;
use alloc::vec::Vec;
use ravelin_crypto::prf::Prf;
use ravelin_crypto::{PrfId, Provider};

/// The hardest puzzle that we solve, in bits: some 65,000 evaluations for all four keys.
pub const MAX_SOLVED: u8 = 14;
/// Solutions of one puzzle (RFC 8019 §4.4).
const SOLUTIONS: usize = 4;
/// Evaluations after which we give up, in multiples of what is expected.
const PATIENCE: u64 = 12;

/// Zero bits at the end of `mac`.
fn zero_bits(mac: &[u8]) -> u32 {
    let mut bits = 0u32;
    for octet in mac.iter().rev() {
        bits = bits.saturating_add(octet.trailing_zeros().min(8));
        if *octet != 0 {
            break;
        }
    }
    bits
}

fn solves(prf: &dyn Prf, key: &[u8], cookie: &[u8], difficulty: u8) -> bool {
    zero_bits(prf.prf(key, &[cookie]).expose()) >= u32::from(difficulty)
}

/// Finds four keys; `None` when the puzzle is harder than [`MAX_SOLVED`], its PRF is not ours, or luck was bad. Work is
/// bounded by the difficulty. A puzzle without a difficulty (0) is answered with what costs little.
#[must_use]
pub fn solve(crypto: &Provider, puzzle: &Puzzle) -> Option<PuzzleSolution> {
    let prf = crypto.prf(puzzle.prf)?;
    let wanted = if puzzle.difficulty == 0 { 8 } else { puzzle.difficulty };
    if wanted > MAX_SOLVED || puzzle.cookie.is_empty() {
        return None;
    }
    let tries = (1u64 << wanted).saturating_mul(PATIENCE);
    let mut found: Vec<[u8; 8]> = Vec::with_capacity(SOLUTIONS);
    for n in 0..tries {
        let mut key = n.to_be_bytes().to_vec();
        // A PRF with keys of one size gets keys of that size.
        if prf.fixed_key() {
            key.resize(prf.key_len().max(8), 0);
        }
        if solves(prf, &key, &puzzle.cookie, wanted) {
            found.push(n.to_be_bytes());
            if found.len() == SOLUTIONS {
                break;
            }
        }
    }
    let size = if prf.fixed_key() { prf.key_len().max(8) } else { 8 };
    let keys: Vec<Vec<u8>> = found.iter().map(|k| [&k[..], &alloc::vec![0; size.saturating_sub(8)]].concat()).collect();
    let [a, b, c, d] = keys.as_slice() else { return None };
    PuzzleSolution::new([a, b, c, d])
}

/// The puzzle of an answer to IKE_SA_INIT: it is solved over the responder's nonce and SPI (RFC 8019 §7.2.3).
#[must_use]
pub fn of_ike_auth(puzzle: Puzzle, nr: &[u8], spi_r: u64) -> Puzzle {
    Puzzle { cookie: [nr, &spi_r.to_be_bytes()].concat(), ..puzzle }
}

/// True when the four keys differ and each makes so many zero bits: four evaluations.
#[must_use]
pub fn verify(crypto: &Provider, prf: PrfId, difficulty: u8, cookie: &[u8], solution: &PuzzleSolution) -> bool {
    let Some(prf) = crypto.prf(prf) else { return false };
    let keys: Vec<&[u8]> = solution.keys().collect();
    let differ = keys.iter().enumerate().all(|(n, k)| !keys.iter().skip(n.saturating_add(1)).any(|o| o == k));
    keys.len() == SOLUTIONS && differ && keys.iter().all(|k| solves(prf, k, cookie, difficulty))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn puzzle(difficulty: u8) -> Puzzle {
        Puzzle { prf: PrfId::HMAC_SHA2_256, difficulty, cookie: alloc::vec![7; 33] }
    }

    #[test]
    fn a_solution_is_found_and_accepted() {
        let crypto = ravelin_crypto::rustcrypto::provider();
        for difficulty in [0, 1, 5, 10] {
            let p = puzzle(difficulty);
            let found = solve(&crypto, &p).unwrap();
            assert!(verify(&crypto, p.prf, difficulty, &p.cookie, &found));
            assert!(!verify(&crypto, p.prf, 40, &p.cookie, &found), "harder than what was solved");
            assert!(difficulty < 5 || !verify(&crypto, p.prf, difficulty, &[8; 33], &found), "another cookie");
        }
    }

    #[test]
    fn one_key_four_times_is_no_solution() {
        let crypto = ravelin_crypto::rustcrypto::provider();
        let p = puzzle(4);
        let found = solve(&crypto, &p).unwrap();
        let first = found.keys().next().unwrap();
        let same = PuzzleSolution::new([first; 4]).unwrap();
        assert!(!verify(&crypto, p.prf, 4, &p.cookie, &same));
    }

    #[test]
    fn too_hard_and_unknown_puzzles_are_declined_at_once() {
        let crypto = ravelin_crypto::rustcrypto::provider();
        assert!(solve(&crypto, &puzzle(MAX_SOLVED + 1)).is_none());
        assert!(solve(&crypto, &Puzzle { prf: PrfId(9999), ..puzzle(1) }).is_none());
        assert!(solve(&crypto, &Puzzle { cookie: Vec::new(), ..puzzle(1) }).is_none());
    }

    #[test]
    fn bits_are_counted_from_the_end() {
        assert_eq!([zero_bits(&[0, 1]), zero_bits(&[1, 0]), zero_bits(&[0x10]), zero_bits(&[0, 0])], [0, 8, 4, 16]);
    }
}
