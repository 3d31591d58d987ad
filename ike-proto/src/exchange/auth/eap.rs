//! EAP as responder (RFC 7296 §2.16, RFC 5998): from the request without AUTH to the AUTH made with the key of the
//! method. Each stage takes one kind of request and refuses every other; the IKE SA is established only by the last.

use super::super::{Cx, Draft, Inbound, SaCore, notify};
use super::initiator::alone;
use super::rounds::Round;
use super::{from_wire, malformed, ppk, proof, responder, rounds, to_wire};
use crate::ask::{Answer, Ask, Granted, Halt};
use crate::eap::{Server, ServerVerdict};
use crate::error::Reason;
use crate::ext::ppk::PpkUse;
use crate::ids::Role;
use crate::registry::{EapCode, NotifyType};
use crate::wire::payload::{Eap, Identification, Payload};
use crate::wire::{Header, Payloads};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use ravelin_crypto::Secret;
use ravelin_sa_db::pad::{AuthMethod, EapMethod, Identity, Peer};
use ravelin_sa_db::{Path, PeerId};

/// EAP under way.
#[derive(Debug)]
pub struct EapServer {
    /// The first request: its Child SA is answered with the last response.
    header: Header,
    payloads: Payloads,
    path: Path,
    idi: Identification,
    /// Who we said last that we are.
    idr: Identity,
    /// Who the client then is: `idi`, or with two authentications who it proved to be before.
    remote: Identity,
    id: PeerId,
    peer: Arc<Peer>,
    stage: Stage,
    last_identifier: u8,
    /// EAP is our only proof.
    only: bool,
    granted: Option<Granted>,
}

#[derive(Debug)]
enum Stage {
    /// A method of our own runs.
    Method(Box<Server>),
    /// Another server runs one.
    Relay { rounds: u32 },
    /// EAP succeeded; the client's AUTH is awaited. The MSK, where the method made one.
    Proof(Option<Secret>),
    /// Over: nothing more is taken.
    Over,
}

/// Rounds of a relayed conversation.
const MAX_ROUNDS: u32 = 64;

/// Answers a request without AUTH: our own proof, unless EAP alone is wanted and allowed, and the first EAP packet.
pub(super) fn begin(
    cx: &mut Cx<'_>,
    core: &mut SaCore,
    msg: &Inbound<'_>,
    idi: &Identification,
) -> Result<Draft, Halt> {
    let (id, peer) = responder::entry(cx, core, msg, idi, |p| p.remote_auth.contains(&AuthMethod::Eap))?;
    if !peer.remote_auth.contains(&AuthMethod::Eap) {
        return Err(responder::no_eap(&peer).into());
    }
    if peer.second.is_wanted() {
        return Err(rounds::unfit(&peer, "the first is EAP; expected another method first").into());
    }
    // RFC 8784's comes with the last AUTH; RFC 9867's has come.
    ppk::satisfied(core.ppk_used || core.agreed.ppk == PpkUse::Auth, &peer)?;
    let mut draft = alloc::vec![Payload::IdResponder(to_wire(&peer.local_id))];
    let only = peer.eap.alone && msg.notify(NotifyType::EAP_ONLY_AUTHENTICATION).is_some();
    if !only {
        draft.extend(proof::make(cx, core, &core.keys, &peer, Role::Responder, Some(&from_wire(idi)))?);
    }
    let (stage, packet) = start(cx, core, &peer, idi, only)?;
    let last_identifier = packet.identifier();
    draft.push(Payload::Eap(packet));
    let idr = peer.local_id.clone();
    core.path = msg.path;
    core.eap = Some(Box::new(EapServer {
        header: msg.header,
        payloads: msg.payloads.clone(),
        path: msg.path,
        remote: from_wire(idi),
        idi: idi.clone(),
        idr,
        id,
        peer,
        stage,
        last_identifier,
        only,
        granted: None,
    }));
    Ok(draft)
}

/// EAP as the second authentication of two (RFC 4739): we are proved already. `draft` is our own second proof, as `idr`.
pub(super) fn again(
    cx: &mut Cx<'_>,
    core: &mut SaCore,
    round: &Round,
    idi: &Identification,
    mut draft: Draft,
    idr: Identity,
) -> Result<Draft, Halt> {
    let (stage, packet) = start(cx, core, &round.peer, idi, false)?;
    core.eap = Some(Box::new(EapServer {
        header: round.header,
        payloads: round.payloads.clone(),
        path: round.path,
        remote: round.remote.clone(),
        idi: idi.clone(),
        idr,
        id: round.id,
        peer: Arc::clone(&round.peer),
        stage,
        last_identifier: packet.identifier(),
        only: false,
        granted: None,
    }));
    draft.push(Payload::Eap(packet));
    Ok(draft)
}

/// The first packet of a server of ours, or of another one.
fn start(cx: &mut Cx<'_>, core: &SaCore, peer: &Peer, idi: &Identification, only: bool) -> Result<(Stage, Eap), Halt> {
    Ok(if peer.eap.methods.contains(&EapMethod::Relay) {
        (Stage::Relay { rounds: 0 }, relayed(core, idi, &[])?.0)
    } else {
        let (mut server, packet) = Server::new(&peer.eap.methods, only, cx.rng)
            .ok_or_else(|| Reason::Configuration { detail: "no usable EAP method is configured".to_string() })?;
        server = server.with_ttls(&peer.eap.ttls);
        if let Some(user) = &peer.eap.identity {
            server = server.with_user(user.as_bytes());
        }
        if let Some(source) = cx.db.pad.secrets.aka() {
            server = server.with_aka(source, cx.crypto, &peer.eap.network);
        }
        #[cfg(feature = "tls")]
        {
            server = server.with_tls(super::credential::tls(cx, core, peer, None));
        }
        (Stage::Method(Box::new(server)), packet)
    })
}

/// Packet, MSK, and what is granted besides.
type Relayed = (Eap, Option<Secret>, Option<Granted>);

/// What another server says to a packet.
fn relayed(core: &SaCore, idi: &Identification, packet: &[u8]) -> Result<Relayed, Halt> {
    let ask = Ask::Eap { id: from_wire(idi), packet: packet.to_vec() };
    let Answer::Eap { packet, msk, granted } = core.answers.to(ask)? else {
        return Err(Reason::Unanswered { why: "no EAP packet came".to_string() }.into());
    };
    let packet = Eap::parse(packet).map_err(|e| Reason::Unanswered { why: e.to_string() })?;
    Ok((packet, msk.clone(), granted.clone()))
}

impl EapServer {
    /// Answers a request after the first.
    pub(super) fn round(&mut self, cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>) -> Result<Draft, Halt> {
        let p = &msg.payloads;
        match &mut self.stage {
            Stage::Method(server) => {
                let packet = eap_alone(msg)?;
                let secrets = &cx.db.pad.secrets;
                let verdict = server.take(packet, &|user| secrets.eap(user).cloned(), cx.rng);
                self.judge(verdict)
            }
            Stage::Relay { rounds } => {
                let packet = eap_alone(msg)?;
                if *rounds >= MAX_ROUNDS {
                    return Err(Reason::Limit { what: "rounds of EAP" }.into());
                }
                if packet.code() != EapCode::RESPONSE {
                    return Err(malformed("EAP from a client must be a response").into());
                }
                let (answer, msk, granted) = relayed(core, &self.idi, packet.packet())?;
                *rounds = rounds.saturating_add(1);
                core.answers.clear();
                let verdict = match answer.code() {
                    EapCode::REQUEST => ServerVerdict::Send(answer),
                    // Without other proof of ours, the key must be the method's own (RFC 5998 §4).
                    EapCode::SUCCESS if self.only && msk.is_none() => {
                        ServerVerdict::Failure("EAP alone needs a method that makes a key (RFC 5998)".to_string())
                    }
                    EapCode::SUCCESS => {
                        self.granted = granted;
                        ServerVerdict::Success(answer, msk)
                    }
                    _ => ServerVerdict::Failure("the EAP server refused".to_string()),
                };
                self.judge(verdict)
            }
            Stage::Proof(msk) => {
                let (Some(auth), None, None) = (p.auth(), p.eap(), p.id_initiator()) else {
                    return Err(malformed("after EAP: expected AUTH alone").into());
                };
                let mixed = ppk::peers(cx, core, msg)?;
                let plain = ppk::plain(core, msg, auth).filter(|_| mixed.is_none());
                let (auth, keys) = (plain.as_ref().unwrap_or(auth), mixed.as_ref().unwrap_or(&core.keys));
                proof::verify_key(core, keys, Role::Initiator, &self.idi, auth, msk.as_ref())?;
                ppk::satisfied(core.ppk_used || mixed.is_some(), &self.peer)?;
                let idr = to_wire(&self.idr);
                let own = proof::make_key(core, keys, Role::Responder, &idr, msk.as_ref())?;
                let mut draft = alloc::vec![Payload::Auth(own)];
                if let Some(keys) = mixed {
                    draft.push(notify(NotifyType::PPK_IDENTITY, Vec::new()));
                    core.keys = keys;
                    core.ppk_used = true;
                }
                self.stage = Stage::Over;
                core.peer = Some(self.id);
                core.profile = Arc::clone(&self.peer);
                core.remote_id = Some(self.remote.clone());
                core.round = None;
                core.path = msg.path;
                core.granted = self.granted.take().map(Box::new);
                let payloads = core::mem::take(&mut self.payloads);
                let request = Inbound { header: self.header, payloads, raw: &[], path: self.path };
                responder::finish(cx, core, &request, draft)
            }
            Stage::Over => Err(malformed("nothing is awaited any more").into()),
        }
    }

    fn judge(&mut self, verdict: ServerVerdict) -> Result<Draft, Halt> {
        match verdict {
            ServerVerdict::Send(packet) => {
                self.last_identifier = packet.identifier();
                Ok(alone(packet))
            }
            ServerVerdict::Success(packet, msk) => {
                self.stage = Stage::Proof(msk);
                Ok(alone(packet))
            }
            ServerVerdict::Failure(detail) => Err(Reason::Eap { user: self.user(), detail }.into()),
        }
    }

    fn user(&self) -> String {
        match &self.stage {
            Stage::Method(server) => server.user().unwrap_or_else(|| from_wire(&self.idi).to_string()),
            _ => from_wire(&self.idi).to_string(),
        }
    }

    /// The EAP packet that goes with a refusal; the conversation is then over.
    pub(super) fn failure(&mut self) -> Option<Eap> {
        let running = matches!(self.stage, Stage::Method(_) | Stage::Relay { .. });
        self.stage = Stage::Over;
        running.then(|| Eap::outcome(EapCode::FAILURE, self.last_identifier))
    }
}

/// The EAP packet of a message that has nothing else.
fn eap_alone<'m>(msg: &'m Inbound<'_>) -> Result<&'m Eap, Reason> {
    let p = &msg.payloads;
    match (p.eap(), p.auth(), p.id_initiator()) {
        (Some(packet), None, None) => Ok(packet),
        _ => Err(malformed("during EAP: expected EAP alone")),
    }
}
