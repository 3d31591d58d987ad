//! Who is let in (RFC 7296 §2.6): cookies without state, limits on half-open SAs in total and per source, and a rate
//! limit on answers outside an SA. Nothing is kept of a stranger that is sent away.

use crate::config::{Config, CookiePolicy};
use crate::ext::puzzle;
use crate::wire::notify::Puzzle;
use crate::wire::payload::PuzzleSolution;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;
use ravelin_crypto::{CryptoRng, PrfId, Provider, Secret};
use ravelin_sa_db::Instant;
use subtle::ConstantTimeEq;

/// How long a cookie secret is used before the next one; the last one is still taken for as long again.
const SECRET_LIFETIME: Duration = Duration::from_secs(60);
/// Octets of a cookie: version, difficulty, a MAC.
const COOKIE_LEN: usize = 34;
/// The function that puzzles are made of.
const PUZZLE_PRF: PrfId = PrfId::HMAC_SHA2_256;

/// What the gate says to an IKE_SA_INIT request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Go on.
    Pass,
    /// Ask for this cookie.
    Demand(Vec<u8>),
    /// It came with a cookie that is not ours: ask for this one.
    WrongCookie(Vec<u8>),
    /// Ask for the solution of a puzzle over this cookie (RFC 8019).
    Puzzle(Puzzle),
    /// Too many already: silence.
    Full,
}

/// State of the gate: two secrets and some counts.
#[derive(Debug, Default)]
pub struct Gate {
    secrets: Option<Secrets>,
    half_open: u32,
    per_source: BTreeMap<IpAddr, u32>,
    stray_second: u64,
    stray_sent: u32,
}

#[derive(Debug)]
struct Secrets {
    version: u8,
    current: Secret,
    previous: Option<Secret>,
    renewed: Instant,
}

/// What a cookie is bound to.
#[derive(Clone, Copy, Debug)]
pub struct Stranger<'a> {
    /// Where the request came from.
    pub source: IpAddr,
    /// The initiator's SPI.
    pub spi_i: u64,
    /// The initiator's nonce.
    pub ni: &'a [u8],
    /// The cookie that it brought.
    pub cookie: Option<&'a [u8]>,
    /// The solution of a puzzle that it brought.
    pub solution: Option<&'a PuzzleSolution>,
}

impl Gate {
    /// Half-open SAs now.
    #[must_use]
    pub fn half_open(&self) -> u32 {
        self.half_open
    }

    /// Judges a request.
    pub fn judge(
        &mut self,
        config: &Config,
        crypto: &Provider,
        rng: &mut dyn CryptoRng,
        now: Instant,
        stranger: Stranger<'_>,
    ) -> Verdict {
        let wants = match config.cookies {
            CookiePolicy::Never => false,
            CookiePolicy::Threshold(n) => self.half_open >= n,
            CookiePolicy::Always => true,
        };
        let puzzle = self.wants_puzzle(config);
        if wants || puzzle || stranger.cookie.is_some() {
            self.renew(rng, now);
            let right = self.cookie_is_right(crypto, stranger);
            if puzzle && !(right && (solved(crypto, config, stranger) || lucky(rng))) {
                let cookie = self.cookie(crypto, stranger, config.puzzle_difficulty);
                return Verdict::Puzzle(Puzzle { prf: PUZZLE_PRF, difficulty: config.puzzle_difficulty, cookie });
            }
            // A wrong one is refused even when none was needed: it proves nothing about the source.
            if !right && config.cookies != CookiePolicy::Never {
                let fresh = self.cookie(crypto, stranger, 0);
                return if stranger.cookie.is_some() { Verdict::WrongCookie(fresh) } else { Verdict::Demand(fresh) };
            }
        }
        let from_source = self.per_source.get(&prefix(stranger.source)).copied().unwrap_or(0);
        if self.half_open >= config.half_open_max || from_source >= config.half_open_per_source {
            return Verdict::Full;
        }
        Verdict::Pass
    }

    /// A cookie for a stranger that needs one for a reason of its own.
    pub fn demand(
        &mut self,
        crypto: &Provider,
        rng: &mut dyn CryptoRng,
        now: Instant,
        stranger: Stranger<'_>,
    ) -> Vec<u8> {
        self.renew(rng, now);
        self.cookie(crypto, stranger, 0)
    }

    /// Puzzles are the last line: cookies alone do not stop strangers with many real addresses.
    fn wants_puzzle(&self, config: &Config) -> bool {
        let on = config.cookies != CookiePolicy::Never && config.puzzle_difficulty > 0;
        on && self.half_open >= config.puzzle_threshold
    }

    /// A half-open SA was made.
    pub fn entered(&mut self, source: IpAddr) {
        self.half_open = self.half_open.saturating_add(1);
        let count = self.per_source.entry(prefix(source)).or_default();
        *count = count.saturating_add(1);
    }

    /// A half-open SA was completed or given up.
    pub fn left(&mut self, source: Option<IpAddr>) {
        self.half_open = self.half_open.saturating_sub(1);
        let Some(key) = source.map(prefix) else { return };
        if let Some(count) = self.per_source.get_mut(&key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.per_source.remove(&key);
            }
        }
    }

    /// True when one more answer outside an SA may be sent in this second.
    pub fn may_answer_stray(&mut self, now: Instant, per_second: u32) -> bool {
        let second = now.micros() / 1_000_000;
        if second != self.stray_second {
            self.stray_second = second;
            self.stray_sent = 0;
        }
        let may = self.stray_sent < per_second;
        self.stray_sent = self.stray_sent.saturating_add(1);
        may
    }

    fn renew(&mut self, rng: &mut dyn CryptoRng, now: Instant) {
        let fresh = |rng: &mut dyn CryptoRng| {
            let mut s = Secret::zeroed(32);
            rng.fill_bytes(s.expose_mut());
            s
        };
        match &mut self.secrets {
            None => self.secrets = Some(Secrets { version: 0, current: fresh(rng), previous: None, renewed: now }),
            Some(s) if now.since(s.renewed) >= SECRET_LIFETIME => {
                let stale = now.since(s.renewed) >= SECRET_LIFETIME.saturating_mul(2);
                let last = core::mem::replace(&mut s.current, fresh(rng));
                s.previous = (!stale).then_some(last);
                s.version = s.version.wrapping_add(1);
                s.renewed = now;
            }
            Some(_) => {}
        }
    }

    fn cookie(&self, crypto: &Provider, stranger: Stranger<'_>, difficulty: u8) -> Vec<u8> {
        self.secrets.as_ref().map(|s| make(crypto, &s.current, [s.version, difficulty], stranger)).unwrap_or_default()
    }

    fn cookie_is_right(&self, crypto: &Provider, stranger: Stranger<'_>) -> bool {
        let (Some(s), Some(cookie)) = (&self.secrets, stranger.cookie) else { return false };
        let Some([version, difficulty]) = cookie.first_chunk::<2>().filter(|_| cookie.len() == COOKIE_LEN) else {
            return false;
        };
        let secret = if *version == s.version {
            Some(&s.current)
        } else if *version == s.version.wrapping_sub(1) {
            s.previous.as_ref()
        } else {
            None
        };
        secret.is_some_and(|s| make(crypto, s, [*version, *difficulty], stranger).as_slice().ct_eq(cookie).into())
    }
}

/// One request in eight passes without a solution, so that initiators that know no puzzles have a chance (RFC 8019
/// §7.1.1).
fn lucky(rng: &mut dyn CryptoRng) -> bool {
    rng.next_u32().is_multiple_of(8)
}

/// True when the solution that came fits the cookie that came. The cookie is right: its second octet is ours, and says
/// how hard the puzzle was.
fn solved(crypto: &Provider, config: &Config, stranger: Stranger<'_>) -> bool {
    let (Some(cookie), Some(solution)) = (stranger.cookie, stranger.solution) else { return false };
    let hard = cookie.get(1).is_some_and(|d| *d >= config.puzzle_difficulty);
    hard && puzzle::verify(crypto, PUZZLE_PRF, config.puzzle_difficulty, cookie, solution)
}

/// version | difficulty of its puzzle, 0: none | prf(secret, Ni | source | SPIi | difficulty), near to what RFC 7296
/// §2.6 suggests.
fn make(crypto: &Provider, secret: &Secret, head: [u8; 2], stranger: Stranger<'_>) -> Vec<u8> {
    let mut out = head.to_vec();
    let [_, difficulty] = head;
    let Some(prf) = crypto.prf(PrfId::HMAC_SHA2_256) else { return out };
    let spi = stranger.spi_i.to_be_bytes();
    let mac = match stranger.source {
        IpAddr::V4(a) => prf.prf(secret.expose(), &[stranger.ni, &a.octets(), &spi, &[difficulty]]),
        IpAddr::V6(a) => prf.prf(secret.expose(), &[stranger.ni, &a.octets(), &spi, &[difficulty]]),
    };
    out.extend_from_slice(mac.expose());
    out
}

/// What counts as one source: an IPv4 address, an IPv6 /64.
fn prefix(addr: IpAddr) -> IpAddr {
    match addr {
        IpAddr::V4(_) => addr,
        IpAddr::V6(a) => IpAddr::V6(core::net::Ipv6Addr::from_bits(a.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ravelin_crypto::rustcrypto;

    /// Never lucky: 1 is no multiple of 8.
    struct Ones(u8);
    impl rand_core::TryRng for Ones {
        type Error = core::convert::Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            Ok(1)
        }
        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            Ok(1)
        }
        fn try_fill_bytes(&mut self, b: &mut [u8]) -> Result<(), Self::Error> {
            self.0 = self.0.wrapping_add(1);
            b.fill(self.0);
            Ok(())
        }
    }
    impl rand_core::TryCryptoRng for Ones {}

    struct World {
        gate: Gate,
        config: Config,
        crypto: Provider,
        rng: Ones,
    }

    impl World {
        fn new(cookies: CookiePolicy) -> Self {
            let config = Config { cookies, ..Config::default() };
            Self { gate: Gate::default(), config, crypto: rustcrypto::provider(), rng: Ones(0) }
        }

        fn judge(&mut self, at: u64, stranger: Stranger<'_>) -> Verdict {
            self.gate.judge(&self.config, &self.crypto, &mut self.rng, Instant(at * 1_000_000), stranger)
        }

        fn cookie(&mut self, at: u64, stranger: Stranger<'_>) -> Vec<u8> {
            match self.judge(at, stranger) {
                Verdict::Demand(cookie) => cookie,
                other => panic!("{other:?}"),
            }
        }
    }

    const HERE: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 9));

    fn stranger(cookie: Option<&[u8]>) -> Stranger<'_> {
        Stranger { source: HERE, spi_i: 7, ni: &[1; 32], cookie, solution: None }
    }

    #[test]
    fn a_cookie_is_good_for_who_got_it_and_for_nobody_else() {
        let mut w = World::new(CookiePolicy::Always);
        let cookie = w.cookie(0, stranger(None));
        assert_eq!(w.judge(0, stranger(Some(&cookie))), Verdict::Pass);
        for s in [
            Stranger { source: THERE, ..stranger(None) },
            Stranger { spi_i: 8, ..stranger(None) },
            Stranger { ni: &[2; 32], ..stranger(None) },
        ] {
            let s = Stranger { cookie: Some(&cookie), ..s };
            assert!(matches!(w.judge(0, s), Verdict::WrongCookie(_)), "{s:?}");
        }
        for bit in 0..cookie.len() * 8 {
            let mut wrong = cookie.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(w.judge(0, stranger(Some(&wrong))), Verdict::WrongCookie(_)), "bit {bit}");
        }
        assert!(matches!(w.judge(0, stranger(Some(&cookie[..33]))), Verdict::WrongCookie(_)));
    }

    #[test]
    fn secrets_are_renewed_and_the_last_one_counts_for_a_while() {
        let mut w = World::new(CookiePolicy::Always);
        let first = w.cookie(0, stranger(None));
        assert_eq!(w.judge(59, stranger(Some(&first))), Verdict::Pass);
        let second = w.cookie(61, stranger(None));
        assert_ne!(first, second, "another secret");
        assert_eq!(w.judge(61, stranger(Some(&first))), Verdict::Pass);
        assert!(matches!(w.judge(125, stranger(Some(&first))), Verdict::WrongCookie(_)), "two secrets later");
        assert_eq!(w.judge(125, stranger(Some(&second))), Verdict::Pass);
        // After a long silence the last secret is too old as well.
        let third = w.cookie(125, stranger(None));
        assert!(matches!(w.judge(900, stranger(Some(&third))), Verdict::WrongCookie(_)));
    }

    #[test]
    fn limits_in_total_and_per_source_come_and_go() {
        let mut w = World::new(CookiePolicy::Never);
        (w.config.half_open_max, w.config.half_open_per_source) = (5, 3);
        let v6 = |host: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, host]);
        for host in 1..=3 {
            w.gate.entered(v6(host));
        }
        assert_eq!(w.judge(0, Stranger { source: v6(9), ..stranger(None) }), Verdict::Full, "one /64 is one source");
        assert_eq!(w.judge(0, stranger(None)), Verdict::Pass);
        w.gate.left(Some(v6(2)));
        assert_eq!(w.judge(0, Stranger { source: v6(9), ..stranger(None) }), Verdict::Pass);
        for _ in 0..3 {
            w.gate.entered(THERE);
        }
        assert_eq!(w.judge(0, stranger(None)), Verdict::Full, "five in total");
        assert_eq!(w.gate.half_open(), 5);
    }

    #[test]
    fn answers_to_strangers_are_limited_per_second() {
        let mut gate = Gate::default();
        let mut sent = |at: u64| (0..20).filter(|_| gate.may_answer_stray(Instant(at), 3)).count();
        assert_eq!([sent(1_000_000), sent(1_900_000), sent(2_000_000)], [3, 0, 3]);
    }

    #[test]
    fn a_puzzle_needs_its_solution() {
        let mut w = World::new(CookiePolicy::Threshold(64));
        (w.config.puzzle_threshold, w.config.puzzle_difficulty) = (0, 6);
        let Verdict::Puzzle(set) = w.judge(0, stranger(None)) else { panic!("no puzzle") };
        assert_eq!(set.difficulty, 6);
        let with = Stranger { cookie: Some(&set.cookie), ..stranger(None) };
        assert!(matches!(w.judge(0, with), Verdict::Puzzle(_)), "the cookie alone");
        let solution = puzzle::solve(&w.crypto, &set).unwrap();
        let solved = Stranger { solution: Some(&solution), ..with };
        assert_eq!(w.judge(0, solved), Verdict::Pass);
        let other = PuzzleSolution::new([&[0; 8], &[1; 8], &[2; 8], &[3; 8]]).unwrap();
        assert!(matches!(w.judge(0, Stranger { solution: Some(&other), ..with }), Verdict::Puzzle(_)));
        w.config.puzzle_difficulty = 9;
        assert!(matches!(w.judge(0, solved), Verdict::Puzzle(_)), "an easier one does not do");
    }
}
