//! What an endpoint may be told about this host: ports, limits, retransmission. What is negotiated with whom and for how
//! long stands in the PAD (`sa_db::pad::Peer`) and SPD. Everything has a default that an operator could run. Times are `Duration`s; zero turns a timer off.

use alloc::string::String;
use core::time::Duration;
use ravelin_sa_db::sad::Shard;

/// When to demand a cookie of initiators (RFC 7296 §2.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CookiePolicy {
    /// Never.
    Never,
    /// From this many half-open SAs on.
    Threshold(u32),
    /// Always.
    Always,
}

/// Retransmission of requests: timeout × base^try (RFC 7296 §2.4).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Retransmit {
    /// Wait after the first transmission.
    pub timeout: Duration,
    /// Factor from one wait to the next, in hundredths (180 is 1.8).
    pub base_percent: u32,
    /// Retransmissions before giving up.
    pub tries: u32,
    /// Longest wait; zero: no cap.
    pub cap: Duration,
    /// Random reduction of each wait, 0 to 100 per cent.
    pub jitter_percent: u32,
}

impl Default for Retransmit {
    /// 4, 7, 13, 23, 42, 76 s: 165 s in all.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(4), base_percent: 180, tries: 5, cap: Duration::ZERO, jitter_percent: 0 }
    }
}

impl Retransmit {
    /// The wait after transmission number `sent` (0: the first), without jitter.
    #[must_use]
    pub fn wait(&self, sent: u32) -> Duration {
        let mut wait = self.timeout;
        for _ in 0..sent.min(64) {
            wait = wait.saturating_mul(self.base_percent) / 100;
            if !self.cap.is_zero() && wait > self.cap {
                return self.cap;
            }
        }
        wait
    }
}

/// UDP ports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ports {
    /// Ours, for IKE without the non-ESP marker.
    pub ike: u16,
    /// Ours, for IKE with the marker and ESP in UDP (RFC 3948).
    pub nat_t: u16,
    /// The port of peers for IKE with the marker and ESP in UDP.
    pub remote_nat_t: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self { ike: 500, nat_t: 4500, remote_nat_t: 4500 }
    }
}

/// Everything an endpoint is told.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// Local ports.
    pub ports: Ports,
    /// Retransmission of requests.
    pub retransmit: Retransmit,
    /// Cookies.
    pub cookies: CookiePolicy,
    /// Half-open SAs from which on strangers have to solve a puzzle (RFC 8019); those that know none have one chance in
    /// eight. Not with [`CookiePolicy::Never`].
    pub puzzle_threshold: u32,
    /// Zero bits that a solution must show; 0: no puzzles. We solve puzzles up to 14.
    pub puzzle_difficulty: u8,
    /// Half-open SAs as responder, in total.
    pub half_open_max: u32,
    /// Half-open SAs per source: IPv4 address or IPv6 /64.
    pub half_open_per_source: u32,
    /// How long a half-open SA may take.
    pub half_open_lifetime: Duration,
    /// IKE SAs in total.
    pub max_sas: u32,
    /// Answers outside an SA (INVALID_IKE_SPI, INVALID_MAJOR_VERSION) per second.
    pub stray_answers_per_second: u32,
    /// Largest IP packet that carries an IKE fragment, in octets (RFC 7383 §2.5.1).
    pub fragment_size: u16,
    /// As responder, follow our order of algorithms and not the initiator's.
    pub prefer_own: bool,
    /// Child SAs per IKE SA.
    pub max_children: u16,
    /// Requests that we answer at once on one IKE SA (SET_WINDOW_SIZE).
    pub window: u32,
    /// Never answer a stranger: this host only initiates.
    pub initiator_only: bool,
    /// The part of the SPI space that belongs to this endpoint, when several share a host (`endpoint::shard`). The
    /// allocator of Child SA SPIs must have the same (`SpiAllocator::with_shard`).
    pub shard: Option<Shard>,
    /// Wait before the second attempt to bring an IKE SA up; doubles with each one up to `retry_cap`.
    pub retry_first: Duration,
    /// Longest wait between attempts.
    pub retry_cap: Duration,
    /// As responder, make sure that a peer is reachable at its new address before its traffic goes there (RFC 4555
    /// §3.7).
    pub return_routability: bool,
    /// With MOBIKE, move to the best address as soon as it is there, not only when the present one is gone.
    pub prefer_best_path: bool,
    /// Our APPLICATION_VERSION for peers that ask (RFC 7296 §3.15.1); empty: not told.
    pub application_version: String,
    /// Reauthentication makes the new IKE SA before it ends the old one; else after.
    pub make_before_break: bool,
    /// Whoever drives the endpoint answers [`crate::Ask`]s about what the PAD does not hold: shared secrets, certificate
    /// chains. Off: that is refused. Private keys that are elsewhere and relayed EAP are asked for in any case.
    pub asks: bool,
    /// How long an answer may take.
    pub ask_timeout: Duration,
    /// How long we wait as responder for the peer's next IKE_FOLLOWUP_KE request before we forget what it began
    /// (RFC 9370 §2.2.4 suggests 5 to 20 s). Longer than the first retransmissions of a request.
    pub followup_timeout: Duration,
    /// Emit `Event::IkeKeys` and `Event::ChildKeys` for Wireshark. Off unless somebody debugs.
    pub export_keys: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ports: Ports::default(),
            retransmit: Retransmit::default(),
            cookies: CookiePolicy::Threshold(64),
            puzzle_threshold: 2048,
            puzzle_difficulty: 10,
            half_open_max: 4096,
            half_open_per_source: 64,
            half_open_lifetime: Duration::from_secs(30),
            max_sas: 1_000_000,
            stray_answers_per_second: 10,
            fragment_size: 1280,
            prefer_own: true,
            max_children: 64,
            window: 1,
            initiator_only: false,
            shard: None,
            retry_first: Duration::from_secs(2),
            retry_cap: Duration::from_secs(60),
            return_routability: true,
            prefer_best_path: false,
            application_version: String::new(),
            make_before_break: true,
            asks: false,
            ask_timeout: Duration::from_secs(20),
            followup_timeout: Duration::from_secs(20),
            export_keys: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_waits_are_those_of_the_field() {
        let r = Retransmit::default();
        let waits: alloc::vec::Vec<u64> = (0..6).map(|n| (r.wait(n).as_millis() as u64 + 500) / 1000).collect();
        assert_eq!(waits, [4, 7, 13, 23, 42, 76]);
        assert_eq!(waits.iter().sum::<u64>(), 165);
    }

    #[test]
    fn cap_holds() {
        let r = Retransmit { cap: Duration::from_secs(10), ..Retransmit::default() };
        assert_eq!(r.wait(50), Duration::from_secs(10));
    }
}
