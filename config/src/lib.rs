//! A node's configuration from TOML (docs/gateway.md lists the keys): a text in, databases out, everything checked
//! here so that the rest of a program never sees a bad value. An error names file, line, key and what was expected.
//! The gateway and the bindings read the same texts.
//!
//! ```
//! let text = r#"
//!     [[peer]]
//!     name = "office"
//!     local = "192.0.2.1"
//!     remote = "192.0.2.2"
//!     psk = "a secret"
//!     [[peer.child]]
//!     name = "net"
//!     local_ts = "10.1.0.0/16"
//!     remote_ts = "10.2.0.0/16"
//! "#;
//! let provider = ravelin::crypto::rustcrypto::provider();
//! let config = ravelin_config::Config::parse("node.toml".as_ref(), text, &provider).unwrap();
//! assert_eq!(config.node().ike.ports.ike, 500);
//! let wrong = ravelin_config::Config::parse("node.toml".as_ref(), "[[peer]]\nnam = 1", &provider).unwrap_err();
//! assert_eq!((wrong.line, wrong.key.as_str()), (1, "peer[0].name"));
//! ```
//!
//! To add a key: one line in the reader of its table, one in the docs.

mod credentials;
mod document;
mod engine;
mod life;
#[cfg(feature = "pkcs12")]
pub mod pkcs12;
mod pools;
mod radius;
#[cfg(test)]
mod tests;
mod words;

pub use document::ConfigError;
use document::{Document, Field, Result, Section};
pub use engine::Gateway;
pub use radius::Radius;
use ravelin::crypto::{Provider, Secret};
use ravelin::db::pad::{EapMethod, PpkMethod, TranscriptAuth};
use ravelin::db::proposal::{Proposal, ProposalProtocol};
use ravelin::db::spd::StartAction;
use ravelin::db::{AddrRange, Db, IdPattern, Identity, Mode, Peer, PeerId, Policy, Protect, TrafficSelector};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// The whole file.
#[derive(Debug)]
pub struct Config {
    /// What is not a database.
    pub gateway: Gateway,
    /// `[[radius]]`: servers for peers with `eap = "radius"`.
    pub radius: Vec<Radius>,
    /// One PAD entry per `[[peer]]`, one policy named `PEER/CHILD` per `[[peer.child]]`.
    pub db: Db,
}

const ADDRESS: &str = "an IP address such as \"192.0.2.1\" or \"2001:db8::1\"";
const NAME: &str = "a name of letters, digits, '-', '_' and '.'";
const IDENTITY: &str = "an identity such as \"vpn.example.org\"";
const MODE: &str = "\"tunnel\" or \"transport\"";
const SELECTOR: &str = "a traffic selector such as \"10.1.0.0/16\", or \"dynamic\" for a leased address";

impl Config {
    /// Reads and checks the file at `path`; files it names are relative to its folder. What `provider` does not
    /// implement is refused.
    ///
    /// # Errors
    /// [`ConfigError`] for the first thing that is wrong.
    pub fn load(path: &Path, provider: &Provider) -> Result<Self> {
        let unreadable = |e: std::io::Error| ConfigError {
            file: path.to_owned(),
            line: 0,
            column: 0,
            key: String::new(),
            problem: format!("cannot be read: {e}"),
        };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(path, &text, provider)
    }

    /// The same for a text that was read already; `path` is its name in errors.
    ///
    /// # Errors
    /// [`ConfigError`] for the first thing that is wrong.
    pub fn parse(path: &Path, text: &str, provider: &Provider) -> Result<Self> {
        let document = Document::new(path, text);
        let table = document.parse()?;
        read(&document, &table, provider)
    }

    /// What a node is told besides its databases: what `[gateway]` says about IKE, the rest by default.
    #[must_use]
    pub fn node(&self) -> ravelin::Config {
        ravelin::Config { ike: self.gateway.ike.clone(), ..ravelin::Config::default() }
    }
}

fn read<'d>(
    document: &'d Document<'d>,
    table: &'d toml::Spanned<toml::de::DeTable<'d>>,
    provider: &Provider,
) -> Result<Config> {
    let root = Section::root(document, table);
    let gateway = engine::read(root.table("gateway")?)?;
    let mut db = Db::new();
    let radius = root.tables("radius")?.into_iter().map(radius::read).collect::<Result<Vec<_>>>()?;
    for section in root.tables("pool")? {
        pools::read(section, &mut db)?;
    }
    let peers = root.tables("peer")?;
    if peers.is_empty() {
        return Err(root.missing("peer", "at least one [[peer]]"));
    }
    for section in peers {
        let folder = document.file().parent().unwrap_or(Path::new("."));
        peer(section, folder, &gateway, provider, &mut db)?;
    }
    let relays = db.pad.iter().any(|(_, p)| p.eap.methods.contains(&EapMethod::Relay));
    if relays && radius.is_empty() {
        return Err(root.missing("radius", "at least one [[radius]], since a peer has eap = \"radius\""));
    }
    root.finish()?;
    Ok(Config { gateway, radius, db })
}

/// One `[[peer]]`: a PAD entry, its secret, and its policies.
fn peer(s: Section<'_>, folder: &Path, g: &Gateway, provider: &Provider, db: &mut Db) -> Result<()> {
    let name = s.needed("name", NAME)?;
    let address = |t: &str| t.parse::<IpAddr>().ok();
    let remote_what = "an IP address, or \"any\" for a peer that starts by itself";
    let local = s.text("local", ADDRESS)?.map(|f| f.parse(ADDRESS, address)).transpose()?;
    let remote_field = s.needed("remote", remote_what)?;
    let remote = match remote_field.value {
        "any" => None,
        _ => Some(remote_field.parse(remote_what, address)?),
    };
    if let (Some(l), Some(r)) = (local, remote)
        && l.is_ipv4() != r.is_ipv4()
    {
        return Err(remote_field.expected("an address of the same family as local"));
    }
    let local_id = match (s.text("local_id", IDENTITY)?, local) {
        (Some(field), _) => field.read()?,
        (None, Some(address)) => Identity::addr(address),
        (None, None) => return Err(s.missing("local_id", IDENTITY)),
    };
    let remote_id = match (s.text("remote_id", IDENTITY)?, remote) {
        (Some(field), _) => field.read()?,
        (None, Some(address)) => IdPattern::Exact(Identity::addr(address)),
        (None, None) => return Err(s.missing("remote_id", IDENTITY)),
    };
    let mut peer = Peer::new(name.parse(NAME, |t| is_name(t).then(|| t.to_owned()))?, local_id, remote_id);
    peer.local = local;
    peer.remote = remote.map(|a| SocketAddr::new(a, g.ike.ports.ike));
    // behind a NAT the peer's packets come from the NAT's address, which is the one given here
    peer.remote_addrs = remote.map(AddrRange::host).into_iter().collect();
    peer.proposals = proposals(&s, "ike", ProposalProtocol::Ike, &Proposal::default_ike(), provider)?;
    life::addresses(&s, &mut peer, db)?;
    life::of_peer(&s, &mut peer)?;
    credentials::read(&s, folder, provider, &mut peer, db)?;
    post_quantum(&s, &mut peer, db)?;
    let profile = peer.clone();
    let id = db.pad.add(peer).map_err(|e| name.error(e.to_string()))?;
    let children = s.tables("child")?;
    if children.is_empty() {
        return Err(s.missing("child", "at least one [[peer.child]]"));
    }
    for section in children {
        child(section, id, &profile, provider, db)?;
    }
    s.finish()
}

/// Keys of a `[[peer]]` against quantum computers: a PPK (RFC 8784, RFC 9867) and full-transcript AUTH.
fn post_quantum(s: &Section<'_>, peer: &mut Peer, db: &mut Db) -> Result<()> {
    let id = s.text("ppk_id", "the name of the post-quantum preshared key")?;
    let secret = s.hidden("ppk", words::SECRET, words::secret)?;
    match (id, secret) {
        (Some(id), Some(secret)) => {
            // Type 2: an identity fixed on both sides (RFC 8784 §5.1)
            let id = [&[2], id.value.as_bytes()].concat();
            db.pad.secrets.add_ppk(id.clone(), secret);
            peer.ppk = Some(id);
        }
        (Some(_), None) => return Err(s.missing("ppk", words::SECRET)),
        (None, Some(_)) => return Err(s.missing("ppk_id", "the name of the post-quantum preshared key")),
        (None, None) => {}
    }
    peer.ppk_required = s.parsed("ppk_required", words::YES_NO, peer.ppk.is_some(), words::yes_no)?;
    peer.ppk_rekey = s.parsed("ppk_rekey", words::YES_NO, false, words::yes_no)?;
    peer.ppk_method =
        s.parsed("ppk_method", "\"either\", \"auth\" or \"intermediate\"", PpkMethod::Either, |t| match t {
            "either" => Some(PpkMethod::Either),
            "auth" => Some(PpkMethod::Auth),
            "intermediate" => Some(PpkMethod::Intermediate),
            _ => None,
        })?;
    let what = "\"off\", \"offer\" or \"require\"";
    peer.transcript_auth = s.parsed("transcript_auth", what, TranscriptAuth::Offer, |t| match t {
        "off" => Some(TranscriptAuth::Off),
        "offer" => Some(TranscriptAuth::Offer),
        "require" => Some(TranscriptAuth::Require),
        _ => None,
    })?;
    Ok(())
}

fn psk(s: &Section<'_>, folder: &Path) -> Result<Secret> {
    secret(s, folder, "psk", "psk_file")?.ok_or_else(|| s.missing("psk", "psk or psk_file"))
}

/// A secret that stands at `key`, or in the file that `key_file` names.
fn secret(s: &Section<'_>, folder: &Path, key: &'static str, key_file: &'static str) -> Result<Option<Secret>> {
    let inline = s.hidden(key, words::SECRET, words::secret)?;
    let file = s.text(key_file, "the path of a file with the secret")?;
    match (inline, file) {
        (found, None) => Ok(found),
        (None, Some(field)) => {
            let path = folder.join(field.value);
            let text = std::fs::read_to_string(&path)
                .map_err(|e| field.error(format!("{} cannot be read: {e}", path.display())))?;
            let found = words::secret(text.trim_end_matches(['\r', '\n']));
            found.map(Some).ok_or_else(|| field.error(format!("{}: expected {}", path.display(), words::SECRET)))
        }
        (Some(_), Some(field)) => {
            Err(field.error(format!("{key} and {key_file} stand together; expected one of them")))
        }
    }
}

/// One `[[peer.child]]`: a policy.
fn child(s: Section<'_>, id: PeerId, peer: &Peer, provider: &Provider, db: &mut Db) -> Result<()> {
    let name = s.needed("name", NAME)?;
    let full = name.parse(NAME, |t| is_name(t).then(|| format!("{}/{t}", peer.name)))?;
    let mut protect = Protect::new(id);
    protect.proposals = proposals(&s, "esp", ProposalProtocol::Esp, &Proposal::default_esp(), provider)?;
    protect.mode = s.parsed("mode", MODE, Mode::Tunnel, mode)?;
    protect.replay_window = s.integer("replay_window", 0..=65_536, 1024)?;
    life::of_child(&s, &mut protect)?;
    let (local, remote) = (selectors(&s, "local_ts")?, selectors(&s, "remote_ts")?);
    let start = s.text("start", life::START)?;
    protect.start = start.as_ref().map_or(Ok(StartAction::None), |f| f.parse(life::START, life::start_action))?;
    if let Some(field) = start.filter(|_| protect.start != StartAction::None) {
        if peer.remote.is_none() {
            return Err(field.error("the peer's remote is \"any\", so only it can start; expected \"none\""));
        }
        if protect.start == StartAction::Trap && (local.is_empty() || remote.is_empty()) {
            let why =
                "an address that is not known yet traps no packet; expected \"start\" or \"none\" beside \"dynamic\"";
            return Err(field.error(why));
        }
    }
    let policy = Policy::new(full, local, remote, protect.into());
    s.finish()?;
    db.spd.add(policy).map(drop).map_err(|e| name.error(e.to_string()))
}

fn mode(text: &str) -> Option<Mode> {
    match text {
        "tunnel" => Some(Mode::Tunnel),
        "transport" => Some(Mode::Transport),
        _ => None,
    }
}

/// The selectors of one side; empty for "dynamic", the address that the side is known or leased to have.
fn selectors(s: &Section<'_>, key: &'static str) -> Result<Vec<TrafficSelector>> {
    let fields = s.texts(key, SELECTOR)?;
    match fields.as_slice() {
        [] => Err(s.missing(key, SELECTOR)),
        [one] if one.value == "dynamic" => Ok(Vec::new()),
        all => all.iter().map(Field::read).collect(),
    }
}

/// The proposals under `key`; without it, what is implemented of `default`.
fn proposals(
    s: &Section<'_>,
    key: &'static str,
    protocol: ProposalProtocol,
    default: &[Proposal],
    provider: &Provider,
) -> Result<Vec<Proposal>> {
    let fields = s.texts(key, "a proposal such as \"aes256gcm16-prfsha384-x25519\" (IKE) or \"aes256gcm16\" (ESP)")?;
    if fields.is_empty() {
        return Ok(default.iter().filter_map(|p| p.supported_by(provider)).collect());
    }
    let one = |f: &Field<'_, &str>| {
        let p = Proposal::parse(protocol, f.value).map_err(|e| f.error(e.to_string()))?;
        match p.supported_by(provider) {
            Some(all) if all == p => Ok(p),
            _ => Err(f.expected(&format!("algorithms that the provider \"{}\" implements", provider.name))),
        }
    };
    fields.iter().map(one).collect()
}

fn is_name(t: &str) -> bool {
    !t.is_empty() && t.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}
