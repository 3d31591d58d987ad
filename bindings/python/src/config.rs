//! The configuration of a node under construction: settings by keyword, then peers with their children, bypass and
//! discard policies, pools. Every call checks. To add a setting: an arm in `set`, its line in `_ravelin.pyi`; to
//! add a field of a peer or child: its class in `python/ravelin/config.py` and a line here.

use crate::convert::{self, Octets, ip, parse_selectors};
use crate::error::{invalid, unacceptable};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use ravelin::crypto::{AuthHashId, Provider, SignatureScheme};
use ravelin::db::pad::{
    AuthMethod, Childless, Credential, EapMethod, IdPattern, Identity, NatTraversal, Peer, PpkMethod, PpkSource,
    Revocation, Uniqueness,
};
use ravelin::db::proposal::{Proposal, ProposalProtocol};
use ravelin::db::snapshot::Snapshot;
use ravelin::db::spd::{Action, CloseAction, Policy, Priority, Protect, StartAction};
use ravelin::db::{AddrRange, Limits, PeerId, Pool};
use ravelin::ike::config::CookiePolicy;
use ravelin::{Config as Settings, DataPlane, Db, Secret};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

type Object<'py> = Bound<'py, PyAny>;

/// The provider of this name.
pub(crate) fn provider(name: &str) -> PyResult<Arc<Provider>> {
    Ok(Arc::new(match name {
        "fast" => ravelin::crypto::awslc::provider(),
        "portable" => ravelin::crypto::rustcrypto::provider(),
        "fast+legacy" => ravelin::crypto::awslc::provider_with_legacy(),
        "portable+legacy" => ravelin::crypto::rustcrypto::provider_with_legacy(),
        _ => {
            let text = "expected \"fast\", \"portable\", \"fast+legacy\" or \"portable+legacy\"";
            return Err(invalid(format!("{text}, found {name:?}")));
        }
    }))
}

struct State {
    settings: Settings,
    db: Db,
    provider: Arc<Provider>,
}

/// What a node is told. Nodes take a copy: one configuration may serve several.
#[pyclass(frozen, module = "ravelin")]
pub(crate) struct Config {
    state: Mutex<State>,
}

impl Config {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies for a node.
    pub(crate) fn parts(&self) -> PyResult<(Settings, Db, Arc<Provider>)> {
        let state = self.lock();
        Ok((state.settings.clone(), state.db.clone(), Arc::clone(&state.provider)))
    }
}

/// Seconds; None and 0 turn a timer off.
fn duration(value: &Object<'_>) -> PyResult<Duration> {
    let seconds = value.extract::<Option<f64>>()?.unwrap_or(0.0);
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| unacceptable(format!("expected seconds from 0 on, found {seconds}")))
}

fn one_of<T: Copy>(what: &str, word: &str, words: &[(&str, T)]) -> PyResult<T> {
    words.iter().find(|(w, _)| *w == word).map(|(_, v)| *v).ok_or_else(|| {
        let known: Vec<_> = words.iter().map(|(w, _)| format!("{w:?}")).collect();
        unacceptable(format!("{what}: expected one of {}, found {word:?}", known.join(", ")))
    })
}

fn cookies(value: &Object<'_>) -> PyResult<CookiePolicy> {
    if let Ok(threshold) = value.extract::<u32>() {
        return Ok(CookiePolicy::Threshold(threshold));
    }
    let words = [("never", CookiePolicy::Never), ("always", CookiePolicy::Always)];
    one_of("cookies", &value.extract::<String>()?, &words)
}

fn set(state: &mut State, name: &str, value: &Object<'_>) -> PyResult<()> {
    let ike = &mut state.settings.ike;
    match name {
        "ike_port" => ike.ports.ike = value.extract()?,
        "nat_port" => ike.ports.nat_t = value.extract()?,
        "remote_nat_port" => ike.ports.remote_nat_t = value.extract()?,
        "export_keys" => ike.export_keys = value.extract()?,
        "asks" => ike.asks = value.extract()?,
        "ask_timeout" => ike.ask_timeout = duration(value)?,
        "cookies" => ike.cookies = cookies(value)?,
        "retransmit_timeout" => ike.retransmit.timeout = duration(value)?,
        "retransmit_tries" => ike.retransmit.tries = value.extract()?,
        "retransmit_base" => {
            let percent = value.extract::<f64>()? * 100.0;
            if !(100.0..=10_000.0).contains(&percent) {
                return Err(unacceptable("retransmit_base: expected a factor from 1 to 100"));
            }
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked")]
            let percent = percent.round() as u32;
            ike.retransmit.base_percent = percent;
        }
        "half_open_max" => ike.half_open_max = value.extract()?,
        "half_open_per_source" => ike.half_open_per_source = value.extract()?,
        "half_open_lifetime" => ike.half_open_lifetime = duration(value)?,
        "max_sas" => ike.max_sas = value.extract()?,
        "max_children" => ike.max_children = value.extract()?,
        "fragment_size" => ike.fragment_size = value.extract()?,
        "window" => ike.window = value.extract()?,
        "prefer_own" => ike.prefer_own = value.extract()?,
        "make_before_break" => ike.make_before_break = value.extract()?,
        "application_version" => ike.application_version = value.extract()?,
        "data_plane" => {
            let words = [("inline", DataPlane::Inline), ("external", DataPlane::External)];
            state.settings.data_plane = one_of("data_plane", &value.extract::<String>()?, &words)?;
        }
        "tfc_min" => state.settings.plane.tfc_min = value.extract()?,
        "mss_clamp" => state.settings.plane.mss_clamp = value.extract()?,
        "provider" => state.provider = provider(&value.extract::<String>()?)?,
        _ => return Err(pyo3::exceptions::PyTypeError::new_err(format!("unknown setting {name:?}"))),
    }
    let ports = state.settings.ike.ports;
    if ports.ike == 0 || ports.nat_t == 0 || ports.remote_nat_t == 0 {
        return Err(unacceptable("ports must not be 0"));
    }
    Ok(())
}

#[pymethods]
impl Config {
    #[new]
    #[pyo3(signature = (**settings))]
    fn new(settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let mut state = State { settings: Settings::default(), db: Db::default(), provider: provider("fast")? };
        for (name, value) in settings.into_iter().flatten() {
            set(&mut state, &name.extract::<String>()?, &value)?;
        }
        if state.settings.ike.ports.ike == state.settings.ike.ports.nat_t {
            return Err(unacceptable("ike_port and nat_port must differ"));
        }
        Ok(Self { state: Mutex::new(state) })
    }

    /// Reads a configuration in TOML, in the form of the gateway's (docs/gateway.md). Files that it names are relative to
    /// `folder`; `name` is what errors call it. Settings by keyword come on top.
    #[staticmethod]
    #[pyo3(signature = (text, *, folder=".", name="config.toml", **settings))]
    fn from_toml(text: &str, folder: &str, name: &str, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let word = settings.map(|s| s.get_item("provider")).transpose()?.flatten();
        let provider = provider(&word.map_or(Ok("fast".to_owned()), |w| w.extract::<String>())?)?;
        let path = std::path::Path::new(folder).join(name);
        let read = ravelin_config::Config::parse(&path, text, &provider).map_err(|e| unacceptable(e.to_string()))?;
        let mut state = State { settings: read.node(), db: read.db, provider };
        for (name, value) in settings.into_iter().flatten() {
            set(&mut state, &name.extract::<String>()?, &value)?;
        }
        Ok(Self { state: Mutex::new(state) })
    }

    /// Takes the databases that `Node.save` wrote, with the same ids and leases. Settings are by keyword. What does not fit
    /// is refused as a whole.
    #[staticmethod]
    #[pyo3(signature = (text, **settings))]
    fn restore(text: &str, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let saved: Snapshot = serde_json::from_str(text).map_err(|e| unacceptable(e.to_string()))?;
        let db = saved.restore().map_err(|e| unacceptable(e.to_string()))?;
        let made = Self::new(settings)?;
        made.lock().db = db;
        Ok(made)
    }

    /// The id of a peer by its name, or None.
    fn peer(&self, name: &str) -> Option<u32> {
        self.lock().db.pad.find_by_name(name).map(|p| p.0)
    }

    /// Adds a `Peer` with its children; gives the peer's id.
    fn add_peer(&self, peer: &Object<'_>) -> PyResult<u32> {
        // Worked on in a copy: what is refused half way leaves nothing behind.
        let mut state = self.lock();
        let mut db = state.db.clone();
        let entry = read_peer(peer, &state.provider, &mut db)?;
        let name = entry.name.clone();
        let id = db.pad.add(entry).map_err(|e| unacceptable(e.to_string()))?;
        for child in peer.getattr("children")?.try_iter()? {
            read_child(&child?, id, &name, &mut db)?;
        }
        state.db = db;
        Ok(id.0)
    }

    /// Adds a `Child` of a peer; gives the id of its policy.
    fn add_child(&self, peer: u32, child: &Object<'_>) -> PyResult<u32> {
        let mut state = self.lock();
        let Some(name) = state.db.pad.peer(PeerId(peer)).map(|p| p.name.clone()) else {
            return Err(crate::error::misuse(ravelin::ApiError::UnknownPeer));
        };
        read_child(child, PeerId(peer), &name, &mut state.db)
    }

    /// Adds a policy that lets traffic pass in the clear ("bypass") or drops it ("discard"); gives its id.
    #[pyo3(signature = (name, local, remote, action, *, priority=None))]
    fn add_policy(
        &self,
        name: &str,
        local: Vec<String>,
        remote: Vec<String>,
        action: &str,
        priority: Option<u32>,
    ) -> PyResult<u32> {
        let discard = one_of("action", action, &[("bypass", false), ("discard", true)])?;
        let action = if discard { Action::Discard } else { Action::Bypass };
        let mut policy = Policy::new(name, parse_selectors(&local)?, parse_selectors(&remote)?, action);
        policy.priority = priority.map_or(Priority::Specific, Priority::At);
        self.lock().db.spd.add(policy).map(|p| p.0).map_err(|e| unacceptable(e.to_string()))
    }

    /// Adds a pool of inner addresses for peers that ask.
    #[pyo3(signature = (name, ranges, *, dns=Vec::new()))]
    fn add_pool(&self, name: &str, ranges: Vec<String>, dns: Vec<String>) -> PyResult<()> {
        let range = |r: &String| match r.split_once('/') {
            Some((addr, len)) => Pool::hosts(addr.parse().ok()?, len.parse().ok()?),
            None => AddrRange::parse(r),
        };
        let ranges: Option<Vec<_>> = ranges.iter().map(range).collect();
        let mut pool =
            Pool::new(name, ranges.ok_or_else(|| unacceptable("ranges: expected addresses such as \"10.3.0.0/24\""))?);
        pool.info.dns = dns.iter().map(|a| ip(a)).collect::<PyResult<_>>()?;
        if self.lock().db.pools.add(pool) {
            Ok(())
        } else {
            Err(unacceptable(format!("two pools are called {name:?}")))
        }
    }

    fn __repr__(&self) -> String {
        let state = self.lock();
        format!("<Config with {} peers and {} policies>", state.db.pad.len(), state.db.spd.len())
    }
}

/// Reads attributes of a `Peer` or `Child`.
struct Fields<'a, 'py>(&'a Object<'py>);

impl<'py> Fields<'_, 'py> {
    fn any(&self, name: &str) -> PyResult<Object<'py>> {
        self.0.getattr(name)
    }

    fn text(&self, name: &str) -> PyResult<String> {
        self.any(name)?.extract()
    }

    fn word(&self, name: &str) -> PyResult<Option<String>> {
        self.any(name)?.extract()
    }

    fn flag(&self, name: &str) -> PyResult<bool> {
        self.any(name)?.extract()
    }

    fn texts(&self, name: &str) -> PyResult<Vec<String>> {
        self.any(name)?.extract()
    }

    fn octets(&self, name: &str) -> PyResult<Option<Vec<u8>>> {
        Ok(self.any(name)?.extract::<Option<Octets>>()?.map(|o| o.0))
    }

    fn all_octets(&self, name: &str) -> PyResult<Vec<Vec<u8>>> {
        Ok(self.any(name)?.extract::<Vec<Octets>>()?.into_iter().map(|o| o.0).collect())
    }

    fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(&self, name: &str) -> PyResult<T> {
        self.text(name)?.parse().map_err(|e: T::Err| unacceptable(format!("{name}: {e}")))
    }

    fn time(&self, name: &str, to: &mut Duration) -> PyResult<()> {
        let value = self.any(name)?;
        if !value.is_none() {
            *to = duration(&value)?;
        }
        Ok(())
    }

    fn choice<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> PyResult<T> {
        one_of(name, &self.text(name)?, words)
    }
}

const METHODS: &[(&str, AuthMethod)] =
    &[("psk", AuthMethod::Psk), ("pubkey", AuthMethod::Pubkey), ("eap", AuthMethod::Eap), ("null", AuthMethod::Null)];

fn read_peer(given: &Object<'_>, provider: &Provider, db: &mut Db) -> PyResult<Peer> {
    let f = Fields(given);
    let (local, remote): (Identity, IdPattern) = (f.parsed("local_id")?, f.parsed("remote_id")?);
    let mut peer = Peer::new(f.text("name")?, local, remote);
    peer.local = f.word("local")?.map(|a| ip(&a)).transpose()?;
    let port: u16 = f.any("remote_port")?.extract()?;
    peer.remote = f.word("remote")?.map(|a| ip(&a)).transpose()?.map(|a| (a, port).into());
    peer.proposals = match f.word("ike")? {
        Some(words) => {
            Proposal::parse_list(ProposalProtocol::Ike, &words).map_err(|e| unacceptable(format!("ike: {e}")))?
        }
        None => peer.proposals.iter().filter_map(|p| p.supported_by(provider)).collect(),
    };
    peer.nat_traversal = f.choice(
        "nat_traversal",
        &[
            ("auto", NatTraversal::Auto),
            ("force", NatTraversal::Force),
            ("never", NatTraversal::Never),
            ("forbid", NatTraversal::Forbid),
        ],
    )?;
    peer.uniqueness = f.choice(
        "uniqueness",
        &[
            ("initial-contact", Uniqueness::InitialContact),
            ("replace", Uniqueness::Replace),
            ("keep", Uniqueness::Keep),
            ("never", Uniqueness::Never),
        ],
    )?;
    (peer.fragmentation, peer.mobike) = (f.flag("fragmentation")?, f.flag("mobike")?);
    let childless = [("never", Childless::Never), ("allow", Childless::Allow), ("prefer", Childless::Prefer)];
    peer.childless = f.choice("childless", &childless)?;
    peer.keying_tries = f.any("keying_tries")?.extract()?;
    (peer.request_v4, peer.request_v6) = (f.flag("request_v4")?, f.flag("request_v6")?);
    peer.pools = f.texts("pools")?;
    peer.child_constraints = parse_selectors(&f.texts("child_constraints")?)?;
    f.time("rekey", &mut peer.times.rekey)?;
    f.time("reauth", &mut peer.times.reauth)?;
    f.time("dpd", &mut peer.times.dpd)?;
    f.time("keepalive", &mut peer.times.keepalive)?;
    // Small times with the default jitter would be no times at all.
    let least = [peer.times.rekey, peer.times.reauth].into_iter().filter(|t| !t.is_zero()).min();
    peer.times.jitter = peer.times.jitter.min(least.unwrap_or(peer.times.jitter) / 10);
    authentication(&f, provider, &mut peer, db)?;
    post_quantum(&f, &mut peer, db)?;
    Ok(peer)
}

fn authentication(f: &Fields<'_, '_>, provider: &Provider, peer: &mut Peer, db: &mut Db) -> PyResult<()> {
    peer.local_auth = f.choice("auth", METHODS)?;
    let remote = f.texts("remote_auth")?;
    peer.remote_auth = match (remote.is_empty(), peer.local_auth) {
        (true, AuthMethod::Eap) => vec![AuthMethod::Pubkey],
        (true, same) => vec![same],
        (false, _) => remote.iter().map(|m| one_of("remote_auth", m, METHODS)).collect::<PyResult<_>>()?,
    };
    if let Some(psk) = f.octets("psk")? {
        if psk.is_empty() {
            return Err(unacceptable("psk: the pre-shared key is empty"));
        }
        db.pad.secrets.add_psk(Some(&peer.local_id), peer.remote_id.exact(), Secret::new(psk));
    }
    let chain = f.all_octets("certificates")?;
    if let Some(key) = f.octets("key")? {
        let key = provider.signing_key(&key).map_err(|e| unacceptable(format!("key: {e} (expected PKCS#8, DER)")))?;
        db.pad.credentials.add(peer.name.clone(), Credential::new(chain, key.into()));
        peer.credential = Some(peer.name.clone());
    } else if let Some(public) = f.octets("public_key")? {
        let schemes = f.texts("schemes")?.iter().map(|s| scheme(s)).collect::<PyResult<_>>()?;
        db.pad.credentials.add(peer.name.clone(), Credential::elsewhere(chain, public, schemes));
        peer.credential = Some(peer.name.clone());
    }
    for (at, der) in f.all_octets("anchors")?.iter().enumerate() {
        let name = format!("{}#{at}", peer.name);
        db.pad.credentials.add_anchor(name.clone(), der);
        peer.anchors.push(name);
    }
    f.all_octets("crls")?.iter().for_each(|crl| db.pad.credentials.add_crl(crl));
    peer.raw_keys = f.all_octets("raw_keys")?;
    let revocation =
        [("off", Revocation::Off), ("if-present", Revocation::IfPresent), ("required", Revocation::Required)];
    peer.revocation = f.choice("revocation", &revocation)?;
    let methods = [
        ("mschapv2", EapMethod::MsChapV2),
        ("gtc", EapMethod::Gtc),
        ("md5", EapMethod::Md5),
        ("relay", EapMethod::Relay),
    ];
    peer.eap.methods = f.texts("eap")?.iter().map(|m| one_of("eap", m, &methods)).collect::<PyResult<_>>()?;
    peer.eap.identity = f.word("eap_id")?;
    if let (Some(user), Some(password)) = (&peer.eap.identity, f.octets("eap_password")?) {
        db.pad.secrets.add_eap(user.as_bytes(), Secret::new(password));
    }
    Ok(())
}

fn post_quantum(f: &Fields<'_, '_>, peer: &mut Peer, db: &mut Db) -> PyResult<()> {
    let sources = [("configured", PpkSource::Configured), ("asked", PpkSource::Asked)];
    (peer.ppk_source, peer.ppk_rekey) = (f.choice("ppk_source", &sources)?, f.flag("ppk_rekey")?);
    peer.ppk_required = f.flag("ppk_required")?;
    let words = [("either", PpkMethod::Either), ("auth", PpkMethod::Auth), ("intermediate", PpkMethod::Intermediate)];
    peer.ppk_method = f.choice("ppk_method", &words)?;
    let Some(id) = f.octets("ppk_id")? else { return Ok(()) };
    // PPK_ID_FIXED (RFC 8784 §5.1)
    let id = [&[2u8][..], &id].concat();
    if let Some(secret) = f.octets("ppk")? {
        db.pad.secrets.add_ppk(id.clone(), Secret::new(secret));
    }
    peer.ppk = Some(id);
    Ok(())
}

fn read_child(given: &Object<'_>, peer: PeerId, peer_name: &str, db: &mut Db) -> PyResult<u32> {
    let f = Fields(given);
    let mut protect = Protect::new(peer);
    protect.protocol = convert::parse_protocol(&f.text("protocol")?)?;
    protect.mode = convert::parse_mode(&f.text("mode")?)?;
    if let Some(words) = f.word("esp")? {
        protect.proposals =
            Proposal::parse_list(ProposalProtocol::Esp, &words).map_err(|e| unacceptable(format!("esp: {e}")))?;
    }
    protect.replay_window = f.any("replay_window")?.extract()?;
    f.time("rekey", &mut protect.times.rekey)?;
    f.time("hard", &mut protect.times.hard)?;
    protect.times.jitter = protect.times.jitter.min(protect.times.rekey / 10);
    let limits =
        |soft: &str, hard: &str| -> PyResult<(u64, u64)> { Ok((f.any(soft)?.extract()?, f.any(hard)?.extract()?)) };
    let ((soft, hard), (soft_packets, hard_packets)) =
        (limits("rekey_bytes", "hard_bytes")?, limits("rekey_packets", "hard_packets")?);
    protect.lifetime.soft = Limits { bytes: soft, packets: soft_packets };
    protect.lifetime.hard = Limits { bytes: hard, packets: hard_packets };
    let actions = [("none", CloseAction::None), ("trap", CloseAction::Trap), ("start", CloseAction::Start)];
    protect.close = f.choice("close", &actions)?;
    protect.dpd = f.choice("dpd", &actions)?;
    let start = [("none", StartAction::None), ("trap", StartAction::Trap), ("start", StartAction::Start)];
    protect.start = f.choice("start", &start)?;
    let (local, remote) = (parse_selectors(&f.texts("local_ts")?)?, parse_selectors(&f.texts("remote_ts")?)?);
    let name = format!("{peer_name}/{}", f.text("name")?);
    let policy = Policy::new(name, local, remote, Action::Protect(Arc::new(protect)));
    db.spd.add(policy).map(|p| p.0).map_err(|e| unacceptable(e.to_string()))
}

/// A scheme by the word that `asks.Sign` has for it.
fn scheme(word: &str) -> PyResult<SignatureScheme> {
    use SignatureScheme as S;
    let mut all = vec![S::Ed25519, S::MlDsa44, S::MlDsa65, S::MlDsa87];
    for (hash, _) in AuthHashId::KNOWN {
        all.extend([S::RsaPkcs1(*hash), S::RsaPss(*hash), S::Ecdsa(*hash), S::EcdsaRaw(*hash)]);
    }
    let found = all.into_iter().find(|s| crate::event::scheme(*s) == word);
    found.ok_or_else(|| unacceptable(format!("schemes: expected a word such as \"ecdsa-sha2-256\", found {word:?}")))
}
