//! A small mutator for the ordinary test run, which has no coverage feedback: seeds, dictionary words, bits, lengths,
//! splices. The same seed gives the same inputs. Campaigns use libFuzzer's.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Makes inputs from seeds.
pub struct Mutator {
    rng: ChaCha8Rng,
    seeds: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
    max_len: usize,
}

impl Mutator {
    /// A mutator over these seeds and dictionary words.
    #[must_use]
    pub fn new(seed: u64, seeds: Vec<Vec<u8>>, words: Vec<Vec<u8>>, max_len: usize) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), seeds, words, max_len }
    }

    fn below(&mut self, n: usize) -> usize {
        if n == 0 { 0 } else { (self.rng.next_u64() % n as u64) as usize }
    }

    /// The next input.
    pub fn next_input(&mut self) -> Vec<u8> {
        let (pick, fresh, len) = (self.below(self.seeds.len()), self.below(8), self.below(self.max_len.min(256)));
        let mut input = match self.seeds.get(pick) {
            Some(seed) if fresh != 0 => seed.clone(),
            _ => {
                let mut fresh = vec![0; len];
                self.rng.fill_bytes(&mut fresh);
                fresh
            }
        };
        for _ in 0..=self.below(4) {
            self.change(&mut input);
        }
        input.truncate(self.max_len);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let (at, len) = (self.below(input.len()), input.len());
        match self.below(9) {
            0 if len > 0 => input[at] ^= 1u8 << self.below(8),
            1 if len > 0 => input[at] = [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
            2 if len > 0 => input[at] = self.rng.next_u64() as u8,
            3 => input.truncate(at),
            4 if len > 0 => {
                let to = (at + 1 + self.below(8)).min(len);
                input.drain(at..to);
            }
            5 => {
                let fresh: Vec<u8> = (0..=self.below(8)).map(|_| self.rng.next_u64() as u8).collect();
                input.splice(at..at, fresh);
            }
            6 if len > 1 => {
                let value = [0u16, 1, 4, 0xffff, len as u16][self.below(5)].to_be_bytes();
                input[at.min(len - 2)..][..2].copy_from_slice(&value);
            }
            7 if !self.words.is_empty() => {
                let pick = self.below(self.words.len());
                let word = self.words[pick].clone();
                let to = if self.below(2) == 0 { at } else { (at + word.len()).min(len) };
                input.splice(at..to, word);
            }
            _ => {
                let pick = self.below(self.seeds.len());
                if let Some(other) = self.seeds.get(pick).cloned() {
                    let from = self.below(other.len());
                    input.truncate(at);
                    input.extend_from_slice(&other[from..]);
                }
            }
        }
    }
}

/// The words of a libFuzzer dictionary: lines `name="text with \xNN"`.
///
/// # Panics
/// When a line is no entry.
#[must_use]
pub fn dictionary(text: &str) -> Vec<Vec<u8>> {
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines
        .map(|line| {
            let quoted = line.split_once('"').and_then(|(_, rest)| rest.strip_suffix('"'));
            let mut rest = quoted.unwrap_or_else(|| panic!("no dictionary entry: {line}"));
            let mut word = Vec::new();
            while let Some(c) = rest.chars().next() {
                if let Some(hex) = rest.strip_prefix("\\x") {
                    word.push(u8::from_str_radix(&hex[..2], 16).expect("two hexadecimal digits"));
                    rest = &hex[2..];
                } else {
                    let escaped = rest.strip_prefix('\\');
                    let c = escaped.and_then(|r| r.chars().next()).unwrap_or(c);
                    word.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    rest = &escaped.unwrap_or(rest)[c.len_utf8()..];
                }
            }
            word
        })
        .collect()
}
