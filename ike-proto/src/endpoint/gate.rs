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
