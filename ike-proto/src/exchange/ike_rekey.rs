//! Rekeying of IKE SAs (RFC 7296 §1.3.2, §2.8, §2.18): new SPIs in the SA payloads, SKEYSEED by the PRF and SK_d of the
//! old SA, message ids and window from the start, and all Child SAs inherited. Who wins when both sides do this at
//! once is decided in `sa/collision.rs`.

use super::auth::export_keys;
use super::child::ChildFailure;
use super::child_create::{peers_nonce, refuse};
use super::sa_init::{NONCE_LEN, SecretHalf, key_pair};
use super::{Cx, Draft, IkeSuite, InFlight, Inbound, Opening, Pending, Reply, SaCore, Schedule};
use crate::ask::Answers;
use crate::error::Reason;
use crate::ext::int_auth::IntAuth;
use crate::ids::{IkeSaId, Role};
use crate::keys::sk_schedule::{Seeds, SkKeys, skeyseed_rekey};
use crate::negotiate;
use crate::registry::NotifyType;
use crate::wire::payload::{KeyExchange, Nonce, Payload, SecurityAssociation};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use ravelin_crypto::{CryptoError, KeId, Secret};
use ravelin_sa_db::proposal::Proposal;

/// Retries with another key exchange method before the attempt is given up.
const MAX_RETRIES: u8 = 4;

/// The IKE SA that the peer made in place of the same one while our request was on the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rival {
    /// The lower nonce of its exchange.
    pub lowest: Vec<u8>,
    /// Its IKE SA.
    pub sa: IkeSaId,
}

/// Our request on the wire.
#[derive(Debug)]
pub struct RekeyIke {
    spi: u64,
    offered: Vec<Proposal>,
    group: KeId,
    secret: SecretHalf,
    ni: Vec<u8>,
    retries: u8,
    /// Set when the peer does the same.
    pub rival: Option<Rival>,
    /// The peer uses its own new SA, so ours has lost whatever the nonces say.
    pub conceded: bool,
}

/// What came of our request.
#[derive(Debug)]
pub enum Rekeyed {
    /// The facts of the new IKE SA, and the lower nonce of the exchange.
    Made(Box<SaCore>, Vec<u8>),
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
    pub fn request(cx: &mut Cx<'_>, core: &SaCore) -> Result<(InFlight, Draft), Reason> {
        let offered = usable(cx, &core.profile.proposals);
        let now = core.suite.as_ref().map(|s| s.ke);
        let has = |k: &KeId| offered.iter().any(|p| p.ke.contains(k));
        let group = now.filter(has).or_else(|| offered.iter().flat_map(|p| p.ke.iter().copied()).next());
        let group = group.filter(|k| *k != KeId::NONE).ok_or_else(|| Reason::Configuration {
            detail: "no IKE proposal is usable with this provider".to_string(),
        })?;
        let (secret, public) = key_pair(cx, group)?;
        let (spi, ni) = (cx.ike_spi(), cx.random(NONCE_LEN));
        let own = Self { spi, offered, group, secret, ni, retries: 0, rival: None, conceded: false };
        let draft = own.draft(public);
        Ok((InFlight::RekeyIke(Box::new(own)), draft))
    }

    fn draft(&self, public: Vec<u8>) -> Draft {
        alloc::vec![
            Payload::Sa(negotiate::offer(&self.offered, &self.spi.to_be_bytes())),
            Payload::Nonce(Nonce { data: self.ni.clone() }),
            Payload::Ke(KeyExchange::new(self.group, public)),
        ]
    }

    /// Takes the answer.
    pub fn finish(mut self: Box<Self>, cx: &mut Cx<'_>, core: &SaCore, msg: &Inbound<'_>) -> Rekeyed {
        let p = &msg.payloads;
        if let Some(error) = p.error().filter(|_| p.sa().is_none()) {
            let group = error.data.as_slice().try_into().ok().map(u16::from_be_bytes).map(KeId);
            let offered = |g: &KeId| *g != self.group && self.offered.iter().any(|p| p.ke.contains(g));
            let group = group.filter(|_| error.kind == NotifyType::INVALID_KE_PAYLOAD && self.retries < MAX_RETRIES);
            if let Some((group, Ok((secret, public)))) = group.filter(offered).map(|g| (g, key_pair(cx, g))) {
                self.retries = self.retries.saturating_add(1);
                (self.group, self.secret) = (group, secret);
                let draft = self.draft(public);
                return Rekeyed::Again(self, draft);
            }
            let during = "the rekeying of the IKE SA";
            return Rekeyed::Refused(
                error.kind,
                Reason::PeerRefused { notify: error.kind, authenticated: true, during },
            );
        }
        match self.accept(cx, core, msg) {
            Ok((heir, lowest)) => Rekeyed::Made(Box::new(heir), lowest),
            Err(reason) => Rekeyed::Broken(reason),
        }
    }

    fn accept(self, cx: &mut Cx<'_>, core: &SaCore, msg: &Inbound<'_>) -> Result<(SaCore, Vec<u8>), Reason> {
        let p = &msg.payloads;
        let (Some(sa), Some(ke), Some(nonce)) = (p.sa(), p.ke(), p.nonce()) else {
            let detail = "answer to an IKE rekeying without SA, KE or Nonce (RFC 7296 section 1.3.2)".to_string();
            return Err(Reason::Malformed { detail });
        };
        let chosen = negotiate::verify_answer(&self.offered, sa)?;
        if chosen.ke != Some(self.group) || ke.method != self.group {
            let detail = format!("expected method {}, the peer sent {}", self.group, ke.method);
            return Err(Reason::BadKeyExchange { detail });
        }
        let spi_r = peer_spi(&chosen.peer_spi)?;
        let suite = IkeSuite::resolve(cx.crypto, &chosen).ok_or(Reason::Crypto(CryptoError::Unsupported))?;
        let shared = self.secret.0.finish(&ke.data);
        let shared = shared.map_err(|e| Reason::BadKeyExchange { detail: format!("{}: {e}", self.group) })?;
        let birth = Birth { role: Role::Initiator, spi_i: self.spi, spi_r, ni: &self.ni, nr: &nonce.data };
        let heir = heir(cx, core, &birth, suite, &shared)?;
        let lowest = self.ni.min(nonce.data.clone());
        Ok((heir, lowest))
    }
}

/// The facts of a new IKE SA, and the lower nonce of the exchange that made it.
pub type Heir = (Box<SaCore>, Vec<u8>);

/// Answers a request to rekey the IKE SA. The new SA, with the lower nonce of the exchange, comes beside the answer.
pub fn respond(cx: &mut Cx<'_>, core: &SaCore, msg: &Inbound<'_>) -> (Reply, Option<Heir>) {
    match answer(cx, core, msg) {
        Ok((draft, heir, lowest)) => (Reply::stay(draft), Some((Box::new(heir), lowest))),
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

fn answer(cx: &mut Cx<'_>, core: &SaCore, msg: &Inbound<'_>) -> Result<(Draft, SaCore, Vec<u8>), Refusal> {
    let ni = peers_nonce(msg).map_err(Refusal::Reply)?;
    let syntax = |reason| failure(NotifyType::INVALID_SYNTAX, Vec::new(), reason);
    let (Some(sa), Some(ke)) = (msg.payloads.sa(), msg.payloads.ke()) else {
        let detail = "IKE rekeying without SA or KE payload (RFC 7296 section 1.3.2)".to_string();
        return Err(syntax(Reason::Malformed { detail }));
    };
    let ours = usable(cx, &core.profile.proposals);
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
    let birth = Birth { role: Role::Responder, spi_i, spi_r, ni: &ni, nr: &nr };
    let heir = heir(cx, core, &birth, suite, &shared).map_err(syntax)?;
    let mut answer = chosen.answer.clone();
    answer.spi = spi_r.to_be_bytes().to_vec();
    let draft = alloc::vec![
        Payload::Sa(SecurityAssociation::new(alloc::vec![answer])),
        Payload::Nonce(Nonce { data: nr.clone() }),
        Payload::Ke(KeyExchange::new(group, public)),
    ];
    Ok((draft, heir, ni.min(nr)))
}

/// The peer's SPI of the new IKE SA.
fn peer_spi(octets: &[u8]) -> Result<u64, Reason> {
    let spi = octets.try_into().ok().map(u64::from_be_bytes).filter(|s| *s != 0);
    spi.ok_or_else(|| {
        let detail = format!("SPI of {} octets; expected 8, not all zero (RFC 7296 section 3.3.1)", octets.len());
        Reason::Malformed { detail }
    })
}

/// Configured proposals reduced to what the provider has.
fn usable(cx: &Cx<'_>, proposals: &[Proposal]) -> Vec<Proposal> {
    proposals.iter().filter_map(|p| p.without_addke()?.supported_by(cx.crypto)).collect()
}

/// What a new IKE SA is made from.
struct Birth<'n> {
    role: Role,
    spi_i: u64,
    spi_r: u64,
    ni: &'n [u8],
    nr: &'n [u8],
}

/// The facts of the new IKE SA: keys anew, everything that was agreed on and proved as in the old one. Child SAs
/// follow when it is sure that it is the one that lives on.
fn heir(cx: &mut Cx<'_>, old: &SaCore, birth: &Birth<'_>, suite: IkeSuite, shared: &Secret) -> Result<SaCore, Reason> {
    let old_suite =
        old.suite.as_ref().ok_or_else(|| Reason::Unexpected { detail: "rekeying before keys".to_string() })?;
    let Birth { role, spi_i, spi_r, ni, nr } = *birth;
    let seed = skeyseed_rekey(old_suite.prf, &old.keys.d, shared, ni, nr, &[]);
    let keys = SkKeys::derive(suite.prf, suite.key_lengths(), &seed, Seeds { ni, nr, spi_i, spi_r })?;
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
        suite: Some(suite),
        keys,
        next_keys: None,
        sealed: 0,
        agreed: old.agreed.clone(),
        pending: Pending::default(),
        int_auth: IntAuth::default(),
        ppk_used: old.ppk_used,
        opening: Opening::default(),
        answers: Answers::default(),
        eap: None,
        local_id: old.local_id.clone(),
        remote_id: old.remote_id.clone(),
        children: Vec::new(),
        leases: Vec::new(),
        assigned: old.assigned.clone(),
        mobility: old.mobility.clone(),
        fragment_size: old.fragment_size,
        created: cx.now.mono,
        established: Some(cx.now.mono),
        authenticated: old.authenticated,
        schedule,
        heir: None,
        early_deletes: Vec::new(),
    };
    if let Some(suite) = &heir.suite {
        export_keys(cx, &heir, suite);
    }
    Ok(heir)
}
