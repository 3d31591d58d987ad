//! TTLS as server: the handshake, then what the client says inside.

use super::super::method::{Progress, Turn};
use super::super::mschapv2::formulas::{self, RESPONSE};
use super::super::server::{Server, ServerVerdict};
use super::super::tls::engine::Engine;
use super::super::tls::framing::{Came, Framing, START};
use super::super::tls::{Settings, msk};
use super::avp::{self, Avp};
use super::{CHALLENGE, LABEL, NUMBER};
use crate::wire::payload::Eap;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use ravelin_sa_db::pad::{EapMethod, TtlsInner};
use subtle::ConstantTimeEq;

/// Server.
#[derive(Debug)]
pub(in crate::eap) struct ServerSide {
    engine: Engine,
    framing: Framing,
    allowed: Vec<TtlsInner>,
    methods: Vec<EapMethod>,
    inside: Inside,
}

#[derive(Debug)]
enum Inside {
    /// Nothing was said yet.
    Start,
    /// EAP runs.
    Eap(Box<Server>),
    /// MSCHAPv2: our proof is out, its confirmation is awaited.
    Confirm,
}

/// What follows data of the client.
enum Then {
    Say(Vec<u8>),
    Done,
}

impl ServerSide {
    pub(in crate::eap) fn start(
        settings: &Settings,
        allowed: &[TtlsInner],
        methods: &[EapMethod],
    ) -> Result<(Self, Vec<u8>), String> {
        let engine = Engine::server(settings, None)?;
        let methods = methods.iter().copied().filter(|m| inner_method(*m)).collect();
        let side =
            Self { engine, framing: Framing::default(), allowed: allowed.to_vec(), methods, inside: Inside::Start };
        Ok((side, alloc::vec![START]))
    }

    pub(in crate::eap) fn take(&mut self, turn: Turn<'_>) -> Progress {
        self.step(turn).unwrap_or_else(Progress::Failed)
    }

    fn step(&mut self, turn: Turn<'_>) -> Result<Progress, String> {
        match self.framing.take(turn.data)? {
            Came::Piece => {}
            Came::Nothing if self.framing.is_pending() => {}
            Came::Nothing => match self.inside {
                Inside::Confirm => return self.done(),
                // After our part of the handshake the client speaks, at once or by what comes next.
                Inside::Start if self.engine.is_done() => {}
                _ => return Err("the client goes silent in TTLS".to_string()),
            },
            Came::Whole(octets) => {
                self.engine.feed(&octets)?;
                let said = self.engine.read();
                if !said.is_empty() {
                    if !self.engine.is_done() {
                        return Err("data before the TLS handshake is done".to_string());
                    }
                    let all = avp::parse(&said)?;
                    avp::understood(&all)?;
                    match self.inner(&all, turn)? {
                        Then::Done => return self.done(),
                        Then::Say(data) => self.engine.write(&data)?,
                    }
                }
                self.framing.put(self.engine.flush());
            }
        }
        Ok(Progress::Next(self.framing.next()))
    }

    fn done(&self) -> Result<Progress, String> {
        Ok(Progress::Done(Some(msk(&self.engine, LABEL, NUMBER)?)))
    }

    fn inner(&mut self, all: &[Avp<'_>], turn: Turn<'_>) -> Result<Then, String> {
        let state = core::mem::replace(&mut self.inside, Inside::Start);
        if let Inside::Confirm = state {
            return Err("the client goes on after the end of TTLS".to_string());
        }
        if let Some(packet) = avp::one(all, avp::EAP_MESSAGE)? {
            return self.eap(state, packet, turn);
        }
        if !matches!(state, Inside::Start) {
            return Err("the client changes the inner method of TTLS".to_string());
        }
        let name = avp::one(all, avp::USER_NAME)?.ok_or("TTLS: no User-Name inside (RFC 5281 section 11.2)")?;
        let secret = (turn.lookup)(name);
        let secret = secret.as_deref().filter(|s| !s.is_empty());
        if let Some(password) = avp::one(all, avp::USER_PASSWORD)? {
            self.permit(TtlsInner::Pap)?;
            let secret = secret.ok_or_else(|| nobody(name))?;
            // Zeros up to a multiple of 16 (RFC 5281 §11.2.5).
            let end = password.iter().rposition(|b| *b != 0).map_or(0, |at| at.saturating_add(1));
            let right = password.get(..end).is_some_and(|p| secret.expose().ct_eq(p).into());
            return if right { Ok(Then::Done) } else { Err("wrong password inside TTLS".to_string()) };
        }
        let challenge = avp::one(all, avp::MS_CHAP_CHALLENGE)?;
        let (Some(challenge), Some(response)) = (challenge, avp::one(all, avp::MS_CHAP2_RESPONSE)?) else {
            return Err("TTLS: neither PAP nor MSCHAPv2 nor EAP inside".to_string());
        };
        self.permit(TtlsInner::MsChapV2)?;
        let expected = self.engine.export(CHALLENGE, None, 17)?;
        let Some((ours, [ident])) = expected.expose().split_at_checked(16) else { return Err(String::new()) };
        if !bool::from(ours.ct_eq(challenge)) || response.first() != Some(ident) || response.len() != 50 {
            return Err("TTLS: the MSCHAPv2 challenge is not of this tunnel (RFC 5281 section 11.2.4)".to_string());
        }
        let secret = secret.ok_or_else(|| nobody(name))?;
        let hash = formulas::password_hash(secret).ok_or("its password is no UTF-8")?;
        let (Some(peer), Some(nt)) = (response.get(2..18), response.get(26..26 + RESPONSE)) else {
            return Err("TTLS: malformed MSCHAPv2 response".to_string());
        };
        if !bool::from(formulas::nt_response(ours, peer, name, &hash).ct_eq(nt)) {
            return Err("wrong password inside TTLS".to_string());
        }
        let proof = formulas::authenticator_response(&hash, nt, peer, ours, name);
        let mut data = alloc::vec![*ident];
        data.extend_from_slice(format!("S={}", super::super::mschapv2::hex(&proof)).as_bytes());
        let mut out = Vec::new();
        avp::put(&mut out, avp::MS_CHAP2_SUCCESS, &data);
        self.inside = Inside::Confirm;
        Ok(Then::Say(out))
    }

    fn eap(&mut self, state: Inside, packet: &[u8], turn: Turn<'_>) -> Result<Then, String> {
        self.permit(TtlsInner::Eap)?;
        let packet = Eap::parse(packet).map_err(|e| format!("TTLS: {e}"))?;
        let mut server = match state {
            Inside::Eap(server) => server,
            // The client begins with its identity, as if it had been asked with identifier 0 (RFC 5281 §11.2.1).
            _ => {
                Box::new(Server::asked(&self.methods, packet.identifier()).ok_or("no EAP method is left inside TTLS")?)
            }
        };
        let packet = match server.take(&packet, turn.lookup, turn.rng) {
            ServerVerdict::Send(packet) => packet,
            ServerVerdict::Success(..) => return Ok(Then::Done),
            ServerVerdict::Failure(why) => return Err(format!("inside TTLS: {why}")),
        };
        self.inside = Inside::Eap(server);
        let mut out = Vec::new();
        avp::put(&mut out, avp::EAP_MESSAGE, packet.packet());
        Ok(Then::Say(out))
    }

    fn permit(&self, inner: TtlsInner) -> Result<(), String> {
        if self.allowed.contains(&inner) {
            return Ok(());
        }
        Err(format!("{inner:?} inside TTLS is not allowed; expected {:?}", self.allowed))
    }
}

fn nobody(name: &[u8]) -> String {
    format!("nobody has the name \"{}\" (inside TTLS)", String::from_utf8_lossy(name).escape_debug())
}

/// Methods that may run inside: those that are no tunnels themselves.
pub(super) fn inner_method(method: EapMethod) -> bool {
    matches!(method, EapMethod::MsChapV2 | EapMethod::Gtc | EapMethod::Md5)
}
