//! Rekeying of Child SAs (RFC 7296 §1.3.3, §2.8): CREATE_CHILD_SA with REKEY_SA makes a new pair with the selectors
//! of the old one; then the initiator sends on the new pair and deletes the old one. The responder goes on sending on
//! the old pair until it sees the new one in use or the old one deleted, so that no packet comes to an SA that is not
//! there. Who wins when both sides do this at once is decided in `sa/collision.rs`.

use super::child::{self, ChildFailure};
use super::child_create::{Made, Making, answer, peers_nonce, refuse};
use super::ppk::Ppk;
use super::{ChildState, Cx, Draft, InFlight, Inbound, Reply, SaCore, Successor};
use crate::error::Reason;
use crate::event::Event;
use crate::registry::ProtocolId;
use crate::wire::notify::RekeySa;
use crate::wire::payload::Payload;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;
use ravelin_sa_db::{Change, ChildId, PolicyId, Protocol, Spi};

/// How long a replaced SA waits for the Delete that the peer owes: longer than all its retransmissions.
pub const LINGER: Duration = Duration::from_secs(180);

/// What the peer made in place of the same Child SA while our request was on the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rival {
    /// The lower nonce of its exchange.
    pub lowest: Vec<u8>,
    /// Its pair; none while IKE_FOLLOWUP_KE is awaited.
    pub child: Option<ChildId>,
}

/// Our request on the wire.
#[derive(Debug)]
pub struct RekeyChild {
    making: Making,
    /// The pair to be replaced.
    pub old: ChildId,
    names: RekeySa,
    /// Set when the peer does the same.
    pub rival: Option<Rival>,
    /// The nonces were compared, and ours goes on.
    pub decided: bool,
}

/// What came of our request.
#[derive(Debug)]
pub enum Rekeyed {
    /// A new pair is installed and sends nothing yet; with the lower nonce of the exchange.
    Made(ChildId, Vec<u8>),
    /// An additional key exchange is due; with the lower nonce of the exchange.
    More(Box<RekeyChild>, Draft, Vec<u8>),
    /// The peer wants another key exchange method.
    Again(Box<RekeyChild>, Draft),
    /// It was not made.
    Failed(ChildFailure),
}

impl RekeyChild {
    /// Asks for a pair in place of `old`.
    ///
    /// # Errors
    /// When the pair or its policy is gone, or the policy is not usable.
    pub fn request(
        cx: &mut Cx<'_>,
        core: &SaCore,
        old: ChildId,
        ppk: Option<Ppk>,
    ) -> Result<(InFlight, Draft), Reason> {
        let (offer, draft) = child::offer_again(cx, core, old)?;
        let names = core.child(old).map(|c| RekeySa { protocol: wire_protocol(c.protocol), spi: c.spi_in.0 });
        let names = names.ok_or(Reason::Replaced)?;
        let (making, mut draft) = Making::begin(cx, core, offer, draft, ppk);
        draft.push(Payload::Notify(names.to_notify()));
        Ok((InFlight::RekeyChild(Box::new(Self { making, old, names, rival: None, decided: false })), draft))
    }

    /// The policy that it is for.
    #[must_use]
    pub fn policy(&self) -> PolicyId {
        self.making.policy()
    }

    /// True when IKE_FOLLOWUP_KE is on the wire.
    #[must_use]
    pub fn follows(&self) -> bool {
        self.making.follows()
    }

    /// Frees what was reserved for an attempt that ended.
    pub fn give_back(&self, cx: &Cx<'_>) {
        self.making.give_back(cx);
    }

    /// Takes the answer.
    pub fn finish(self, cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>) -> Rekeyed {
        let Self { making, old, names, rival, decided } = self;
        match making.finish(cx, core, msg) {
            Made::Child(child, lowest) => Rekeyed::Made(child, lowest),
            Made::More(making, draft, lowest) => {
                Rekeyed::More(Box::new(Self { making, old, names, rival, decided }), draft, lowest)
            }
            Made::Again(making, mut draft) => {
                draft.push(Payload::Notify(names.to_notify()));
                Rekeyed::Again(Box::new(Self { making, old, names, rival, decided }), draft)
            }
            Made::Failed(failure) => Rekeyed::Failed(failure),
        }
    }
}

fn wire_protocol(protocol: Protocol) -> ProtocolId {
    match protocol {
        Protocol::Esp => ProtocolId::ESP,
        Protocol::Ah => ProtocolId::AH,
    }
}

/// The pair that a REKEY_SA notify of the peer names by the SPI that it receives with; `None` when there is none.
#[must_use]
pub fn named(core: &SaCore, rekey: RekeySa) -> Option<ChildId> {
    let fits = |p: Protocol| wire_protocol(p) == rekey.protocol;
    core.children.iter().find(|c| fits(c.protocol) && c.spi_out == Spi(rekey.spi)).map(|c| c.id)
}

/// Answers a request to rekey `old`. The new pair, or none while IKE_FOLLOWUP_KE is awaited, comes beside the answer with
/// the lower nonce of the exchange.
pub fn respond(
    cx: &mut Cx<'_>,
    core: &mut SaCore,
    msg: &Inbound<'_>,
    old: ChildId,
    ppk: Option<Ppk>,
) -> (Reply, Option<Rival>) {
    let ni = match peers_nonce(msg) {
        Ok(ni) => ni,
        Err(reply) => return (reply, None),
    };
    match answer(cx, core, msg, ni, Some(old), ppk) {
        Ok((draft, child, lowest)) => (Reply::stay(draft), Some(Rival { lowest, child })),
        Err(failure) => (refuse(cx, core, failure), None),
    }
}

/// Puts `new` in the place of `old`. With `send` our traffic goes over at once; else when the peer uses `new` or
/// deletes `old`. What is gone already is passed over.
pub fn supersede(cx: &mut Cx<'_>, core: &mut SaCore, old: ChildId, new: ChildId, send: bool) {
    if stand_down(cx, core, old, new, send) {
        cx.out.event(Event::ChildRekeyed { sa: core.id, old, new });
    }
}

/// As [`supersede`], without a word to the outside: for the pair of the peer's that lost. False when nothing was done.
pub fn stand_down(cx: &mut Cx<'_>, core: &mut SaCore, old: ChildId, new: ChildId, send: bool) -> bool {
    let until = cx.now.mono + LINGER;
    if !core.child(new).is_some_and(|c| c.sends) {
        return false;
    }
    let Some(child) = core.child_mut(old) else { return false };
    if child.state == ChildState::Installed {
        child.state = ChildState::Replaced;
    }
    child.rekey_at = ravelin_sa_db::Instant::NEVER;
    child.expire_at = child.expire_at.min(until);
    let switched = child.successor == Some(Successor { child: new, switched: true });
    child.successor = Some(Successor { child: new, switched: switched || send });
    if send && !switched {
        cx.out.change(Change::Switch { from: old, to: new });
    }
    true
}

/// The peer sends on `new`: so may we (RFC 7296 §2.8).
pub fn follow_traffic(cx: &mut Cx<'_>, core: &mut SaCore, new: ChildId) {
    if !core.child(new).is_some_and(|c| c.sends) {
        return;
    }
    for child in &mut core.children {
        if let Some(next) = child.successor.as_mut().filter(|s| s.child == new && !s.switched) {
            next.switched = true;
            cx.out.change(Change::Switch { from: child.id, to: new });
        }
    }
}
