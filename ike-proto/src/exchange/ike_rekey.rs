//! Rekeying of IKE SAs (RFC 7296 §1.3.2, §2.8, §2.18): new SPIs in the SA payloads, SKEYSEED by the PRF and SK_d of the
//! old SA, message ids and window from the start, and all Child SAs inherited. Who wins when both sides do this at
//! once is decided in `sa/collision.rs`.

use super::auth::export_keys;
use super::child::{ChildFailure, Material};
use super::child_create::{peers_nonce, refuse};
use super::followup_ke::{Chain, Turn, Unfinished, What};
use super::ppk::Ppk;
use super::rare::Rare;
use super::sa_init::{NONCE_LEN, SecretHalf, key_pair, offers};
use super::{Cx, Draft, IkeSuite, InFlight, Inbound, Reply, SaCore, Schedule, create_ppk};
use crate::error::Reason;
use crate::ext::ppk::mix_root;
use crate::ids::{IkeSaId, Role};
use crate::keys::sk_schedule::{Seeds, SkKeys, skeyseed_rekey};
use crate::negotiate;
use crate::registry::NotifyType;
use crate::wire::payload::{KeyExchange, Nonce, Notify, Payload, SecurityAssociation};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::mem;
use ravelin_crypto::{CryptoError, KeId, Secret};
use ravelin_sa_db::proposal::Proposal;

/// Retries with another key exchange method before the attempt is given up.
const MAX_RETRIES: u8 = 4;

/// The IKE SA that the peer made, or began, in place of the same one while our request was on the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rival {
    /// The lower nonce of its exchange.
    pub lowest: Vec<u8>,
    /// Its IKE SA; none while IKE_FOLLOWUP_KE is awaited.
    pub sa: Option<IkeSaId>,
}

/// Our request on the wire.
#[derive(Debug)]
pub struct RekeyIke {
    spi: u64,
    ni: Vec<u8>,
    ppk: Option<Ppk>,
    stage: Stage,
    /// Set when the peer does the same.
    pub rival: Option<Rival>,
    /// The nonces were compared, and ours goes on.
    pub decided: bool,
    /// The peer uses its own new SA, so ours has lost whatever the nonces say.
    pub conceded: bool,
}

/// What is on the wire.
#[derive(Debug)]
enum Stage {
    /// CREATE_CHILD_SA.
    Asked { offered: Vec<Proposal>, group: KeId, secret: SecretHalf, retries: u8 },
    /// IKE_FOLLOWUP_KE (RFC 9370 §2.2.4).
    Follows { suite: Box<IkeSuite>, spi_r: u64, nr: Vec<u8>, chain: Chain },
    /// Nothing; only while an answer is taken.
    Over,
}

/// What came of our request.
#[derive(Debug)]
pub enum Rekeyed {
    /// The facts of the new IKE SA, and the lower nonce of the exchange.
    Made(Box<SaCore>, Vec<u8>),
    /// An additional key exchange is due; with the lower nonce of the exchange.
    More(Box<RekeyIke>, Draft, Vec<u8>),
    /// The peer wants another key exchange method.
    Again(Box<RekeyIke>, Draft),
    /// It was not made; the old SA lives on.
    Refused(NotifyType, Reason),
    /// The peer broke the protocol; the old SA cannot go on.
    Broken(Reason),
}

impl RekeyIke {
    /// Asks for a new IKE SA in place of `core`'s.
    ///
    /// # Errors
    /// When no configured proposal is usable with the provider.
    pub fn request(cx: &mut Cx<'_>, core: &SaCore, ppk: Option<Ppk>) -> Result<(InFlight, Draft), Reason> {
        let offered = offers(cx, &core.profile.proposals);
        let now = core.suite.as_ref().map(|s| s.ke);
        let has = |k: &KeId| offered.iter().any(|p| p.ke.contains(k));
        let group = now.filter(has).or_else(|| offered.iter().flat_map(|p| p.ke.iter().copied()).next());
        let group = group.filter(|k| *k != KeId::NONE).ok_or_else(|| Reason::Configuration {
            detail: "no IKE proposal is usable with this provider".to_string(),
        })?;
        let (secret, public) = key_pair(cx, group)?;
        let (spi, ni) = (cx.ike_spi(), cx.random(NONCE_LEN));
        let stage = Stage::Asked { offered, group, secret, retries: 0 };
        let own = Self { spi, ni, ppk, stage, rival: None, decided: false, conceded: false };
        let draft = own.draft(core, public);
        Ok((InFlight::RekeyIke(Box::new(own)), draft))
    }

    fn draft(&self, core: &SaCore, public: Vec<u8>) -> Draft {
        let Stage::Asked { offered, group, .. } = &self.stage else { return Draft::new() };
        let mut draft = alloc::vec![
            Payload::Sa(negotiate::offer(offered, &self.spi.to_be_bytes())),
            Payload::Nonce(Nonce { data: self.ni.clone() }),
            Payload::Ke(KeyExchange::new(*group, public)),
        ];
        draft.extend(self.ppk.as_ref().and_then(|ppk| create_ppk::offer(core, ppk, &self.ni)));
        draft
    }

    /// True when IKE_FOLLOWUP_KE is on the wire.
    #[must_use]
    pub fn follows(&self) -> bool {
        matches!(self.stage, Stage::Follows { .. })
    }

    /// Takes the answer.
    pub fn finish(mut self: Box<Self>, cx: &mut Cx<'_>, core: &SaCore, msg: &Inbound<'_>) -> Rekeyed {
        let p = &msg.payloads;
        if let Some(error) = p.error().filter(|_| p.sa().is_none()) {
            if let Some(draft) = self.regroup(cx, core, error) {
                return Rekeyed::Again(self, draft);
            }
            let during = "the rekeying of the IKE SA";
            return Rekeyed::Refused(
                error.kind,
                Reason::PeerRefused { notify: error.kind, authenticated: true, during },
            );
        }
        let result = match mem::replace(&mut self.stage, Stage::Over) {
            Stage::Asked { offered, group, secret, .. } => self.accept(cx, core, msg, &offered, group, secret),
            Stage::Follows { suite, spi_r, nr, chain } => match chain.turn(cx, msg) {
                Ok(Turn::Done(shared)) => self.conclude(cx, core, *suite, spi_r, nr, &shared),
                Ok(Turn::Next(chain, draft)) => Ok(self.goes_on(*suite, spi_r, nr, chain, draft)),
                Err(reason) => Err(reason),
            },
            Stage::Over => Err(Reason::Unexpected { detail: "an answer after the last".to_string() }),
        };
        result.unwrap_or_else(Rekeyed::Broken)
    }

    /// Another public value, when the peer asks for a method that we offered.
    fn regroup(&mut self, cx: &mut Cx<'_>, core: &SaCore, error: &Notify) -> Option<Draft> {
        let Stage::Asked { offered, group, secret, retries } = &mut self.stage else { return None };
        if error.kind != NotifyType::INVALID_KE_PAYLOAD || *retries >= MAX_RETRIES {
            return None;
        }
        let wanted = error.data.as_slice().try_into().ok().map(u16::from_be_bytes).map(KeId)?;
        if wanted == *group || !offered.iter().any(|p| p.ke.contains(&wanted)) {
            return None;
        }
        let (half, public) = key_pair(cx, wanted).ok()?;
        (*group, *secret, *retries) = (wanted, half, retries.saturating_add(1));
        Some(self.draft(core, public))
    }

    fn accept(
        mut self: Box<Self>,
        cx: &mut Cx<'_>,
        core: &SaCore,
        msg: &Inbound<'_>,
        offered: &[Proposal],
        group: KeId,
        secret: SecretHalf,
    ) -> Result<Rekeyed, Reason> {
        let p = &msg.payloads;
        let (Some(sa), Some(ke), Some(nonce)) = (p.sa(), p.ke(), p.nonce()) else {
            let detail = "answer to an IKE rekeying without SA, KE or Nonce (RFC 7296 section 1.3.2)".to_string();
            return Err(Reason::Malformed { detail });
        };
        let chosen = negotiate::verify_answer(offered, sa)?;
        if chosen.ke != Some(group) || ke.method != group {
            let detail = format!("expected method {group}, the peer sent {}", ke.method);
            return Err(Reason::BadKeyExchange { detail });
        }
        self.ppk = create_ppk::confirmed(core, self.ppk.take(), msg)?;
        let spi_r = peer_spi(&chosen.peer_spi)?;
        let suite = IkeSuite::resolve(cx.crypto, &chosen).ok_or(Reason::Crypto(CryptoError::Unsupported))?;
        let shared = secret.0.finish(&ke.data);
        let shared = shared.map_err(|e| Reason::BadKeyExchange { detail: format!("{group}: {e}") })?;
        let nr = nonce.data.clone();
        if suite.addke.is_empty() {
            return self.conclude(cx, core, suite, spi_r, nr, &[shared]);
        }
        let (chain, draft) = Chain::begin(cx, suite.addke.clone(), alloc::vec![shared], msg)?;
        Ok(self.goes_on(suite, spi_r, nr, chain, draft))
    }

    fn goes_on(mut self: Box<Self>, suite: IkeSuite, spi_r: u64, nr: Vec<u8>, chain: Chain, draft: Draft) -> Rekeyed {
        let lowest = self.ni.clone().min(nr.clone());
        self.stage = Stage::Follows { suite: Box::new(suite), spi_r, nr, chain };
        Rekeyed::More(self, draft, lowest)
    }

    fn conclude(
        self: Box<Self>,
        cx: &mut Cx<'_>,
        core: &SaCore,
        suite: IkeSuite,
        spi_r: u64,
        nr: Vec<u8>,
        shared: &[Secret],
    ) -> Result<Rekeyed, Reason> {
        let new = NewIke { role: Role::Initiator, suite, spi_i: self.spi, spi_r };
        let ppk = self.ppk.as_ref().map(|p| &*p.secret);
        let heir = heir(cx, core, new, &Material { ni: &self.ni, nr: &nr, shared, ppk })?;
        Ok(Rekeyed::Made(Box::new(heir), self.ni.min(nr)))
    }
}

/// A new IKE SA before there are keys.
#[derive(Debug)]
pub struct NewIke {
    role: Role,
    suite: IkeSuite,
    spi_i: u64,
    spi_r: u64,
}

/// The facts of a new IKE SA; none while IKE_FOLLOWUP_KE is awaited; and the lower nonce of the exchange.
pub type Heir = (Option<Box<SaCore>>, Vec<u8>);

/// Answers a request to rekey the IKE SA. The new SA, with the lower nonce of the exchange, comes beside the answer.
pub fn respond(cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>, ppk: Option<Ppk>) -> (Reply, Option<Heir>) {
    match answer(cx, core, msg, ppk) {
        Ok((draft, heir)) => (Reply::stay(draft), Some(heir)),
        Err(Refusal::Reply(reply)) => (reply, None),
        Err(Refusal::Failure(failure)) => (refuse(cx, core, failure), None),
    }
}

enum Refusal {
    Reply(Reply),
    Failure(ChildFailure),
}

fn failure(notify: NotifyType, data: Vec<u8>, reason: Reason) -> Refusal {
    Refusal::Failure(ChildFailure { notify, data, reason, must_delete: false })
}

fn answer(cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>, ppk: Option<Ppk>) -> Result<(Draft, Heir), Refusal> {
    let ni = peers_nonce(msg).map_err(Refusal::Reply)?;
    let syntax = |reason| failure(NotifyType::INVALID_SYNTAX, Vec::new(), reason);
    let (Some(sa), Some(ke)) = (msg.payloads.sa(), msg.payloads.ke()) else {
        let detail = "IKE rekeying without SA or KE payload (RFC 7296 section 1.3.2)".to_string();
        return Err(syntax(Reason::Malformed { detail }));
    };
    let ours: Vec<Proposal> = core.profile.proposals.iter().filter_map(|p| p.supported_by(cx.crypto)).collect();
    let chosen = negotiate::choose(&ours, sa, Some(ke.method), cx.config.prefer_own)
        .map_err(|r| failure(NotifyType::NO_PROPOSAL_CHOSEN, Vec::new(), r))?;
    let group = chosen.ke.unwrap_or(KeId::NONE);
    if ke.method != group {
        let reason = Reason::BadKeyExchange { detail: format!("asked for {group} instead of {}", ke.method) };
        return Err(failure(NotifyType::INVALID_KE_PAYLOAD, group.0.to_be_bytes().to_vec(), reason));
    }
    let spi_i = peer_spi(&chosen.peer_spi).map_err(syntax)?;
    let unsupported = || syntax(Reason::Crypto(CryptoError::Unsupported));
    let method = cx.crypto.ke(group).ok_or_else(unsupported)?;
    let suite = IkeSuite::resolve(cx.crypto, &chosen).ok_or_else(unsupported)?;
    let (public, shared) = method
        .respond(cx.rng, &ke.data)
        .map_err(|e| syntax(Reason::BadKeyExchange { detail: format!("{group}: {e}") }))?;
    let (spi_r, nr) = (cx.ike_spi(), cx.random(NONCE_LEN));
    let lowest = ni.clone().min(nr.clone());
    let mut answer = chosen.answer.clone();
    answer.spi = spi_r.to_be_bytes().to_vec();
    let mut draft = alloc::vec![
        Payload::Sa(SecurityAssociation::new(alloc::vec![answer])),
        Payload::Nonce(Nonce { data: nr.clone() }),
        Payload::Ke(KeyExchange::new(group, public)),
    ];
    draft.extend(ppk.as_ref().map(create_ppk::answer));
    let (methods, shared) = (suite.addke.clone(), alloc::vec![shared]);
    let new = NewIke { role: Role::Responder, suite, spi_i, spi_r };
    if methods.is_empty() {
        let ppk = ppk.as_ref().map(|p| &*p.secret);
        let heir = heir(cx, core, new, &Material { ni: &ni, nr: &nr, shared: &shared, ppk }).map_err(syntax)?;
        return Ok((draft, (Some(Box::new(heir)), lowest)));
    }
    let what = What::Ike(Box::new(new));
    let link = Unfinished::keep(cx, core, what, methods, (ni, nr), shared, ppk.map(|p| p.secret));
    draft.push(link.map_err(Refusal::Failure)?);
    Ok((draft, (None, lowest)))
}

/// The peer's SPI of the new IKE SA.
fn peer_spi(octets: &[u8]) -> Result<u64, Reason> {
    let spi = octets.try_into().ok().map(u64::from_be_bytes).filter(|s| *s != 0);
    spi.ok_or_else(|| {
        let detail = format!("SPI of {} octets; expected 8, not all zero (RFC 7296 section 3.3.1)", octets.len());
        Reason::Malformed { detail }
    })
}

/// The facts of the new IKE SA: keys anew, everything that was agreed on and proved as in the old one. Child SAs
/// follow when it is sure that it is the one that lives on.
///
/// # Errors
/// When the old SA has no keys; never for a registered suite.
pub fn heir(cx: &mut Cx<'_>, old: &SaCore, new: NewIke, material: &Material<'_>) -> Result<SaCore, Reason> {
    let old_suite =
        old.suite.as_ref().ok_or_else(|| Reason::Unexpected { detail: "rekeying before keys".to_string() })?;
    let NewIke { role, suite, spi_i, spi_r } = new;
    let Material { ni, nr, shared, ppk } = *material;
    let (first, more) = shared.split_first().ok_or(Reason::Crypto(CryptoError::Internal))?;
    let mixed = ppk.map(|ppk| mix_root(old_suite.prf, ppk, old.keys.d())).transpose()?;
    let d = mixed.as_ref().map_or(old.keys.d(), Secret::expose);
    let seed = skeyseed_rekey(old_suite.prf, d, first, ni, nr, more);
    let mut keys = SkKeys::derive(suite.prf, suite.key_lengths(), &seed, Seeds { ni, nr, spi_i, spi_r })?;
    // Nobody proves anything with them: this SA is authenticated by the old one.
    keys.forget_auth();
    let times = old.profile.times;
    let schedule = Schedule {
        rekey_at: cx.due(times.rekey, times.jitter),
        // A new key is no new proof of identity.
        reauth_at: old.schedule.reauth_at,
        over_at: old.over_after_rekey(cx.now.mono),
    };
    let heir = SaCore {
        id: cx.sa_id(),
        role,
        first_role: old.first_role,
        peer: old.peer,
        profile: old.profile.clone(),
        spi_i,
        spi_r,
        path: old.path,
        suite: Some(cx.common.suite(&suite)),
        keys,
        next_keys: None,
        sealed: 0,
        agreed: old.agreed.clone(),
        pending: Rare::default(),
        int_auth: Rare::default(),
        ppk_used: old.ppk_used || ppk.is_some(),
        opening: Rare::default(),
        answers: Rare::default(),
        eap: None,
        remote_id: old.remote_id.clone(),
        children: Vec::new(),
        leases: Rare::default(),
        assigned: old.assigned.clone(),
        mobility: super::mobility::inherited(&old.mobility),
        fragment_size: old.fragment_size,
        created: cx.now.mono,
        established: Some(cx.now.mono),
        authenticated: old.authenticated,
        granted: old.granted.clone(),
        round: None,
        schedule,
        heir: None,
        early_deletes: Rare::default(),
        unfinished: Rare::default(),
        fresh_ppk: None,
        without_ppk: false,
    };
    if let Some(suite) = &heir.suite {
        export_keys(cx, &heir, suite);
    }
    Ok(heir)
}
