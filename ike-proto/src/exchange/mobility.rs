//! Where an IKE SA and its Child SAs run, and how that changes: MOBIKE (RFC 4555) on INFORMATIONAL, and following a
//! peer behind a NAT without it (RFC 7296 §2.23).
//!
//! The initiator alone decides about the path. The responder says which addresses it has, takes what an
//! UPDATE_SA_ADDRESSES came on, and makes sure that the peer is there before it sends traffic.

use super::nat_transport;
use super::rare::{Blank, Rare};
use super::{Cx, Draft, InFlight, Inbound, SaCore, Step, notify};
use crate::error::Reason;
use crate::event::Event;
use crate::ext::natd::NatState;
use crate::ext::{mobike, natd};
use crate::ids::Role;
use crate::registry::NotifyType;
use crate::wire::payload::Payload;
use ::core::net::IpAddr;
use alloc::boxed::Box;
use alloc::vec::Vec;
use ravelin_sa_db::pad::NatTraversal;
use ravelin_sa_db::{Change, Path};

/// Octets of COOKIE2.
const COOKIE_LEN: usize = 16;

/// What is known about addresses beyond the path in use.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Mobility {
    /// The peer's other addresses.
    pub peer_addrs: Vec<IpAddr>,
    /// What we told the peer of ours.
    pub told: Vec<IpAddr>,
    /// Child SAs run here and not on the path of the IKE SA: the new path is not proved yet, or the peer's ESP comes
    /// from elsewhere.
    pub esp_path: Option<Path>,
    /// The NAT before us as the peer saw it last: its NAT_DETECTION_DESTINATION_IP.
    pub mapping: Vec<u8>,
    /// The mapping was asked for; until then a rebinding would go unnoticed.
    pub mapping_asked: bool,
    /// An UPDATE_SA_ADDRESSES is due.
    pub update_due: bool,
    /// As responder: NAT state of the path whose check is due.
    pub check_due: Option<Option<NatState>>,
    /// As responder: message id of the newest UPDATE_SA_ADDRESSES.
    pub newest_update: Option<u32>,
}

/// What a rekeyed IKE SA starts with: all of it but the count of updates, since its message ids begin anew.
#[must_use]
pub fn inherited(old: &Rare<Mobility>) -> Rare<Mobility> {
    let mut heir = old.clone();
    if heir.newest_update.is_some() {
        heir.newest_update = None;
    }
    heir
}

impl Blank for Mobility {
    fn blank() -> &'static Self {
        static BLANK: Mobility = Mobility {
            peer_addrs: Vec::new(),
            told: Vec::new(),
            esp_path: None,
            mapping: Vec::new(),
            mapping_asked: false,
            update_due: false,
            check_due: None,
            newest_update: None,
        };
        &BLANK
    }
}

/// A question of ours about paths, on the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    /// UPDATE_SA_ADDRESSES.
    Update {
        /// Where to.
        path: Path,
        /// COOKIE2 that must come back.
        cookie: Vec<u8>,
    },
    /// Return routability (RFC 4555 §3.7).
    Route {
        /// The path being checked.
        path: Path,
        /// COOKIE2 that must come back.
        cookie: Vec<u8>,
        /// NAT state of that path, when the peer said it.
        nat: Option<NatState>,
        /// The update that it is about.
        update: Option<u32>,
    },
    /// Our list of addresses.
    List,
}

/// Moves everything to `path`; `nat` when it was detected anew.
pub fn relocate(cx: &mut Cx<'_>, core: &mut SaCore, path: Path, nat: Option<NatState>) {
    let (from, before) = (core.path, (core.child_path(), core.encapsulation()));
    core.path = path;
    core.mobility.esp_path = None;
    if let Some(nat) = nat {
        core.agreed.nat = NatState { supported: core.agreed.nat.supported, ..nat };
    }
    let moved = move_children(cx, core, before);
    if moved || from != path {
        cx.out.event(Event::Moved { sa: core.id, path });
    }
}

/// Tells the data plane when the outer path of Child SAs is not what it was `before`.
fn move_children(cx: &mut Cx<'_>, core: &mut SaCore, before: (Path, ravelin_sa_db::Encapsulation)) -> bool {
    let (path, encapsulation) = (core.child_path(), core.encapsulation());
    if before == (path, encapsulation) {
        return false;
    }
    for child in &mut core.children {
        if nat_transport::stays_behind(child, &before.0, &path) {
            // Its selectors are the old addresses, and nobody has judged the new ones (RFC 7296 §2.23.1).
            (child.stranded, child.expire_at) = (true, child.expire_at.min(cx.now.mono));
            continue;
        }
        child.encapsulation = encapsulation;
        cx.out.change(Change::Move { child: child.id, path, encapsulation });
    }
    true
}

/// Authenticated traffic of the peer came from another address. Followed when the peer is behind a NAT and we are not
/// (RFC 7296 §2.23). With MOBIKE only ESP moves, and only by ESP (RFC 4555 §3.8).
pub fn follow(cx: &mut Cx<'_>, core: &mut SaCore, path: Path, esp: bool) {
    let nat = core.agreed.nat;
    if !nat.remote || nat.local || core.established.is_none() {
        return;
    }
    let path = Path { local: core.path.local, remote: path.remote };
    match (core.agreed.mobike, esp) {
        (false, _) if path != core.path => relocate(cx, core, path, None),
        (true, true) if path != core.mobility.esp_path.unwrap_or(core.path) => {
            let before = (core.child_path(), core.encapsulation());
            core.mobility.esp_path = Some(path);
            if move_children(cx, core, before) {
                cx.out.event(Event::Moved { sa: core.id, path });
            }
        }
        _ => {}
    }
}

/// MOBIKE_SUPPORTED and our other addresses, for IKE_AUTH (RFC 4555 §3.3, §3.4).
pub(super) fn offer(cx: &Cx<'_>, core: &mut SaCore) -> Draft {
    let mut draft = alloc::vec![notify(NotifyType::MOBIKE_SUPPORTED, Vec::new())];
    core.mobility.told = cx.addresses.to_vec();
    if cx.addresses.iter().any(|a| *a != core.path.local.ip()) {
        draft.extend(mobike::list(cx.addresses, core.path.local.ip()));
    }
    if core.first_role == Role::Initiator && core.profile.nat_traversal == NatTraversal::Forbid {
        draft.extend(mobike::no_nats(core.path));
    }
    draft
}

/// The peer's other addresses.
pub(super) fn learn(core: &mut SaCore, msg: &Inbound<'_>) -> bool {
    let list = mobike::read_list(msg.payloads.notifies());
    let said = list.is_some();
    if let Some(list) = list {
        core.mobility.peer_addrs = list;
    }
    said
}

/// What a liveness check carries: NAT detection, when a NAT before us may change its mind (RFC 4555 §3.8).
#[must_use]
pub fn liveness(cx: &Cx<'_>, core: &SaCore) -> Draft {
    if core.agreed.mobike && core.first_role == Role::Initiator && core.agreed.nat.local {
        return detection(cx, core, core.path);
    }
    Draft::new()
}

fn detection(cx: &Cx<'_>, core: &SaCore, path: Path) -> Draft {
    natd::offer(cx.crypto, core.spi_i, core.spi_r, path, core.forces_encapsulation()).into()
}

/// Reads the answer to [`liveness`]: another mapping than last time makes an update due.
pub fn watch_mapping(core: &mut SaCore, msg: &Inbound<'_>) {
    let Some(seen) = msg.notify(NotifyType::NAT_DETECTION_DESTINATION_IP).filter(|_| core.agreed.mobike) else {
        return;
    };
    let known = !core.mobility.mapping.is_empty();
    if known && core.mobility.mapping != seen.data && core.first_role == Role::Initiator {
        core.mobility.update_due = true;
    }
    core.mobility.mapping.clone_from(&seen.data);
}

/// Our UPDATE_SA_ADDRESSES for the path that the IKE SA has already (RFC 4555 §3.5).
#[must_use]
pub fn update(cx: &mut Cx<'_>, core: &mut SaCore) -> (InFlight, Draft) {
    core.mobility.update_due = false;
    let cookie = cx.random(COOKIE_LEN);
    let mut draft =
        alloc::vec![notify(NotifyType::UPDATE_SA_ADDRESSES, Vec::new()), notify(NotifyType::COOKIE2, cookie.clone())];
    draft.extend(detection(cx, core, core.path));
    if core.profile.nat_traversal == NatTraversal::Forbid {
        draft.extend(mobike::no_nats(core.path));
    }
    // The list stands for everything but the source address, which just changed (RFC 4555 §3.6).
    core.mobility.told = cx.addresses.to_vec();
    if !cx.addresses.is_empty() {
        draft.extend(mobike::list(cx.addresses, core.path.local.ip()));
    }
    (InFlight::Mobike(Box::new(Ask::Update { path: core.path, cookie })), draft)
}

/// As responder: asks for a COOKIE2 to come back from the new address.
#[must_use]
pub fn check_route(cx: &mut Cx<'_>, core: &mut SaCore) -> (InFlight, Draft) {
    let nat = core.mobility.check_due.take().flatten();
    let cookie = cx.random(COOKIE_LEN);
    let draft = alloc::vec![notify(NotifyType::COOKIE2, cookie.clone())];
    let update = core.mobility.newest_update;
    (InFlight::Mobike(Box::new(Ask::Route { path: core.path, cookie, nat, update })), draft)
}

/// Tells which addresses we have.
#[must_use]
pub fn announce(cx: &mut Cx<'_>, core: &mut SaCore) -> (InFlight, Draft) {
    core.mobility.told = cx.addresses.to_vec();
    (InFlight::Mobike(Box::new(Ask::List)), mobike::list(cx.addresses, core.path.local.ip()))
}

/// Takes the answer to any of these.
pub fn answered(cx: &mut Cx<'_>, core: &mut SaCore, ask: Ask, msg: &Inbound<'_>) -> Step {
    let mut overtaken = false;
    let (path, cookie, nat) = match ask {
        Ask::List => return Step::Done,
        Ask::Update { path, cookie } => (path, cookie, None),
        Ask::Route { path, cookie, nat, update } => {
            overtaken = core.mobility.newest_update != update;
            (path, cookie, Some(nat))
        }
    };
    let refusal = [NotifyType::UNACCEPTABLE_ADDRESSES, NotifyType::UNEXPECTED_NAT_DETECTED];
    if let Some(no) = refusal.into_iter().find(|k| msg.notify(*k).is_some()) {
        let reason = Reason::PeerRefused { notify: no, authenticated: true, during: "an address update" };
        cx.out.event(Event::Noted { sa: Some(core.id), path, reason });
        return Step::Done;
    }
    if msg.notify(NotifyType::COOKIE2).is_none_or(|n| n.data != cookie) {
        // Somebody else answered, or the peer is broken: the SA must go (RFC 4555 §3.7).
        let detail = "COOKIE2 did not come back as it was sent (RFC 4555 section 3.7)".into();
        return Step::FailAndTell(Reason::Unexpected { detail }, Some(NotifyType::INVALID_SYNTAX));
    }
    if core.path != path || overtaken || core.mobility.update_due || core.mobility.check_due.is_some() {
        // The path changed again meanwhile; the next question is under way.
        return Step::Done;
    }
    match nat {
        Some(nat) => relocate(cx, core, path, nat),
        None => {
            watch_mapping(core, msg);
            core.mobility.update_due = false;
            let nat = natd::judge(cx.crypto, core.spi_i, core.spi_r, msg.path, msg.payloads.notifies());
            relocate(cx, core, path, nat.supported.then_some(nat));
        }
    }
    Step::Done
}

/// What a request of the peer says about paths, and what is answered (RFC 4555 §3.5 to §3.9).
pub(super) fn respond(cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>) -> Draft {
    if !core.agreed.mobike {
        return Draft::new();
    }
    let mut draft = Draft::new();
    draft.extend(msg.notify(NotifyType::COOKIE2).map(|n| notify(NotifyType::COOKIE2, n.data.clone())));
    let listed = learn(core, msg);
    let is_update = msg.notify(NotifyType::UPDATE_SA_ADDRESSES).is_some();
    if is_update && core.first_role == Role::Responder {
        if let Err(refusal) = take_update(cx, core, msg) {
            draft.push(refusal);
            return draft;
        }
    } else if listed && core.first_role == Role::Initiator {
        leave_gone_address(cx, core, msg.path);
    }
    if msg.notify(NotifyType::NAT_DETECTION_SOURCE_IP).is_some() {
        draft.extend(detection(cx, core, msg.path));
    }
    draft
}

/// False when the peer forbids NATs and there is one (RFC 4555 §3.9).
pub(super) fn nats_are_fine(msg: &Inbound<'_>) -> bool {
    mobike::nats_are_fine(msg.payloads.notifies(), msg.path)
}

fn take_update(cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>) -> Result<(), Payload> {
    let id = msg.header.message_id;
    if core.mobility.newest_update.is_some_and(|newest| newest > id) {
        return Ok(());
    }
    if !nats_are_fine(msg) {
        return Err(notify(NotifyType::UNEXPECTED_NAT_DETECTED, Vec::new()));
    }
    let (local, remote) = (msg.path.local.ip(), msg.path.remote.ip());
    if !core.profile.may_speak_from(remote)
        || core.profile.local.is_some_and(|l| l != local && !cx.addresses.contains(&local))
    {
        return Err(notify(NotifyType::UNACCEPTABLE_ADDRESSES, Vec::new()));
    }
    core.mobility.newest_update = Some(id);
    let nat = natd::judge(cx.crypto, core.spi_i, core.spi_r, msg.path, msg.payloads.notifies());
    let nat = nat.supported.then_some(nat);
    if cx.config.return_routability && remote != core.child_path().remote.ip() {
        // Traffic stays where it is until the peer answers from there; IKE moves at once.
        core.mobility.esp_path = Some(core.mobility.esp_path.unwrap_or(core.path));
        core.path = msg.path;
        core.mobility.check_due = Some(nat);
    } else {
        // A check that is still due is about an older update, and what that one said of NATs.
        core.mobility.check_due = None;
        relocate(cx, core, msg.path, nat);
    }
    Ok(())
}

/// As initiator: the responder told its addresses. When the one in use is not among them any more, or it speaks from
/// another one now, that one is taken.
fn leave_gone_address(cx: &mut Cx<'_>, core: &mut SaCore, came_on: Path) {
    if came_on.remote == core.path.remote {
        return;
    }
    if core.mobility.peer_addrs.contains(&core.path.remote.ip()) {
        return;
    }
    relocate(cx, core, came_on, None);
    core.mobility.update_due = true;
}
