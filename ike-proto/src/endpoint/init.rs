//! Unprotected messages: IKE_SA_INIT requests of strangers, and answers to ours (RFC 7296 §1.2, §2.6).

use super::Endpoint;
use super::gate::{Stranger, Verdict};
use crate::config::CookiePolicy;
use crate::error::Reason;
use crate::event::Event;
use crate::exchange::sa_init::Refusal;
use crate::exchange::{Inbound, notify};
use crate::ids::IkeSaId;
use crate::registry::{ExchangeType, NotifyType};
use crate::sa::{Birth, IkeSa, codec};
use crate::wire::message::encode_clear;
use crate::wire::notify::NotifyData;
use crate::wire::payload::Payload;
use crate::wire::{Envelope, Flags, Header, rules};
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ravelin_sa_db::pad::Peer;
use ravelin_sa_db::{Db, Now, Path};

impl Endpoint {
    pub(super) fn handle_init(&mut self, now: Now, db: &Db, path: Path, envelope: Envelope, raw: &[u8]) {
        let header = envelope.header;
        if header.is_response() {
            let known = self
                .index
                .by_spi(header.initiator_spi.0)
                .filter(|_| !header.flags.initiator() && header.message_id == 0);
            let outcome =
                known.and_then(|id| self.with(now, db, id, |sa, cx| sa.handle_init_response(cx, path, envelope, raw)));
            return self.count(outcome);
        }
        let fresh = header.flags.initiator()
            && header.message_id == 0
            && header.responder_spi.is_zero()
            && envelope.protected.is_none();
        if !fresh || header.exchange != ExchangeType::IKE_SA_INIT {
            self.counters.unexpected = self.counters.unexpected.saturating_add(1);
            return;
        }
        if let Some(id) = self.index.by_init(header.initiator_spi.0, path.remote, raw) {
            match self.index.folded(id) {
                Some(f) => self.out.transmit(f.path, codec::with_marker(&self.config, f.path, f.answer())),
                None => {
                    self.with(now, db, id, |sa, cx| sa.repeat_init(cx, raw));
                }
            }
            self.counters.repeated = self.counters.repeated.saturating_add(1);
            return;
        }
        self.handle_stranger(now, db, path, envelope, raw);
    }

    fn handle_stranger(&mut self, now: Now, db: &Db, path: Path, envelope: Envelope, raw: &[u8]) {
        let header = envelope.header;
        if let Some(kind) = envelope.clear.unsupported_critical() {
            return self.refuse_init(
                now,
                path,
                &header,
                notify(NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD, alloc::vec![kind.0]),
            );
        }
        let Some(ni) = envelope.clear.nonce().filter(|_| rules::check(header.exchange, false, &envelope.clear).is_ok())
        else {
            self.counters.malformed = self.counters.malformed.saturating_add(1);
            return self.refuse_init(now, path, &header, notify(NotifyType::INVALID_SYNTAX, Vec::new()));
        };
        if self.closing
            || self.config.initiator_only
            || u32::try_from(self.index.len()).unwrap_or(u32::MAX) >= self.config.max_sas
        {
            self.counters.over_limit = self.counters.over_limit.saturating_add(1);
            return;
        }
        let cookie = envelope.clear.notify(NotifyType::COOKIE).map(|n| n.data.as_slice());
        let solution =
            envelope.clear.iter().find_map(|p| if let Payload::PuzzleSolution(s) = p { Some(s) } else { None });
        let (source, spi_i) = (path.remote.ip(), header.initiator_spi.0);
        let stranger = Stranger { source, spi_i, ni: &ni.data, cookie, solution };
        let proved = self.config.cookies == CookiePolicy::Never || stranger.cookie.is_some();
        let verdict = self.gate.judge(&self.config, &self.crypto, self.rng.as_mut(), now.mono, stranger);
        match verdict {
            Verdict::Pass => {}
            Verdict::Demand(cookie) => {
                self.counters.cookies_demanded = self.counters.cookies_demanded.saturating_add(1);
                return self.answer_init(path, &header, &[notify(NotifyType::COOKIE, cookie)]);
            }
            Verdict::WrongCookie(cookie) => {
                self.counters.cookies_wrong = self.counters.cookies_wrong.saturating_add(1);
                return self.answer_init(path, &header, &[notify(NotifyType::COOKIE, cookie)]);
            }
            Verdict::Puzzle(puzzle) => {
                self.counters.puzzles_set = self.counters.puzzles_set.saturating_add(1);
                // The cookie by itself is for initiators that know no puzzles (RFC 8019 §7.1.1).
                let payloads = [notify(NotifyType::COOKIE, puzzle.cookie.clone()), Payload::Notify(puzzle.to_notify())];
                return self.answer_init(path, &header, &payloads);
            }
            Verdict::Full => {
                self.counters.over_limit = self.counters.over_limit.saturating_add(1);
                return;
            }
        }
        self.admit(now, db, path, envelope, raw, proved);
    }

    /// Tries the PAD entries that may speak from that address, in order; the first whose proposals meet is taken.
    fn admit(&mut self, now: Now, db: &Db, path: Path, envelope: Envelope, raw: &[u8], proved: bool) {
        let header = envelope.header;
        let candidates: Vec<Arc<Peer>> = db
            .pad
            .candidates(path.remote.ip())
            .filter(|(_, p)| p.local.is_none_or(|l| l == path.local.ip()))
            .take(MAX_CANDIDATES)
            .map(|(_, p)| Arc::clone(p))
            .collect();
        let msg = Inbound { header, payloads: envelope.clear, raw, path };
        let mut last = None;
        for profile in candidates {
            let birth = Birth { id: IkeSaId(self.next_sa), spi: self.free_spi(), profile, path };
            match self.birth(now, db, birth, &msg, proved) {
                Ok(()) => return,
                // Another entry may have other proposals; every other refusal is about the message itself.
                Err(refusal) => {
                    let again = matches!(refusal.reason, Reason::NoProposal { .. });
                    last = Some(refusal);
                    if !again {
                        break;
                    }
                }
            }
        }
        if last.as_ref().is_some_and(|r| r.reason == Refusal::amplifies()) {
            return self.demand_cookie(now, path, &msg);
        }
        self.counters.refused = self.counters.refused.saturating_add(1);
        let (answer, reason) = match last {
            Some(refusal) => (refusal.notify, refusal.reason),
            None => {
                let claimed = path.remote.ip().to_string();
                (
                    Some(notify(NotifyType::NO_PROPOSAL_CHOSEN, Vec::new())),
                    Reason::UnknownPeer { claimed, asked_for: None },
                )
            }
        };
        self.out.event(Event::Noted { sa: None, path, reason });
        match answer {
            // A wrong guess of the group is mended by the next request: every honest initiator needs this answer.
            Some(Payload::Notify(n)) if n.kind == NotifyType::INVALID_KE_PAYLOAD => {
                self.answer_init(path, &header, &[Payload::Notify(n)]);
            }
            Some(answer) => self.refuse_init(now, path, &header, answer),
            None => {}
        }
    }

    /// Our answer would be larger than the request, whose source may be a lie (RFC 7296 §2.6): first a cookie.
    fn demand_cookie(&mut self, now: Now, path: Path, msg: &Inbound<'_>) {
        let Some(ni) = msg.payloads.nonce() else { return };
        let (source, spi_i) = (path.remote.ip(), msg.header.initiator_spi.0);
        let stranger = Stranger { source, spi_i, ni: &ni.data, cookie: None, solution: None };
        let cookie = self.gate.demand(&self.crypto, self.rng.as_mut(), now.mono, stranger);
        self.counters.cookies_demanded = self.counters.cookies_demanded.saturating_add(1);
        self.answer_init(path, &msg.header, &[notify(NotifyType::COOKIE, cookie)]);
    }

    fn birth(
        &mut self,
        now: Now,
        db: &Db,
        birth: Birth,
        msg: &Inbound<'_>,
        proved: bool,
    ) -> Result<(), crate::exchange::sa_init::Refusal> {
        let sa = self.newborn(now, db, |cx| IkeSa::respond(cx, birth, msg, proved))?;
        self.next_sa = self.next_sa.saturating_add(1);
        self.gate.entered(msg.path.remote.ip());
        // Few at a time are kept as they are; in an onslaught, or a rush, the others take little memory.
        match (self.gate.half_open() > FOLD_FROM).then(|| sa.fold()).flatten() {
            Some(folded) => self.index.insert_folded(folded, &self.config),
            None => self.index.insert(Box::new(sa), &self.config),
        }
        Ok(())
    }

    /// A fresh SPI of ours, never 0 and never in use.
    pub(super) fn free_spi(&mut self) -> u64 {
        loop {
            let spi = crate::exchange::ike_spi(self.config.shard, self.rng.next_u64());
            if self.index.spi_is_free(spi) {
                return spi;
            }
        }
    }

    /// One unprotected answer to an IKE_SA_INIT request; nothing is kept.
    fn refuse_init(&mut self, now: Now, path: Path, header: &Header, payload: Payload) {
        if self.gate.may_answer_stray(now.mono, self.config.stray_answers_per_second) {
            self.answer_init(path, header, &[payload]);
        }
    }

    /// The same without a limit: cookies and other things that an honest initiator needs.
    /// Never more octets than came, since the source may be a lie.
    fn answer_init(&mut self, path: Path, header: &Header, payloads: &[Payload]) {
        let answer = Header::new(
            header.initiator_spi,
            header.responder_spi,
            ExchangeType::IKE_SA_INIT,
            Flags::new(false, true),
            0,
        );
        if let Ok(bytes) = encode_clear(&answer, payloads)
            && u32::try_from(bytes.len()).is_ok_and(|len| len <= header.length)
        {
            self.out.transmit(path, codec::with_marker(&self.config, path, &bytes));
        }
    }
}

/// From this many half-open SAs on they are folded up.
const FOLD_FROM: u32 = 64;
/// PAD entries tried for one IKE_SA_INIT request.
const MAX_CANDIDATES: usize = 16;
