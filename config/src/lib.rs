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
#[cfg(test)]
mod tests;
mod words;

pub use document::ConfigError;
use document::{Document, Field, Result, Section};
use ravelin::crypto::{Provider, Secret};
use ravelin::db::pad::{NatTraversal, PpkMethod, TranscriptAuth};
use ravelin::db::proposal::{Proposal, ProposalProtocol};
use ravelin::db::spd::StartAction;
use ravelin::db::{AddrRange, Db, IdPattern, Identity, Peer, PeerId, Policy, Protect, TrafficSelector};
use ravelin::ike::config::{Config as IkeConfig, Ports, Retransmit};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The whole file.
#[derive(Debug)]
pub struct Config {
    /// What is not a database.
    pub gateway: Gateway,
    /// One PAD entry per `[[peer]]`, one policy named `PEER/CHILD` per `[[peer.child]]`.
    pub db: Db,
}

/// Table `[gateway]`: what the daemon takes from the system.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// Unix socket of `gateway show` and the other commands.
    pub control: PathBuf,
    /// Name of the TUN device.
    pub tun: String,
    /// Its MTU in octets: what fits into the outer MTU after ESP, UDP and IP.
    pub mtu: u16,
    /// UDP port of IKE.
    pub ike_port: u16,
    /// UDP port of IKE and ESP behind NATs (RFC 3948).
    pub nat_port: u16,
    /// Routing table for the routes into the tunnels.
    pub route_table: u32,
    /// Mark on our own packets, so that they never enter a tunnel.
    pub mark: u32,
    /// Wait for the first answer; each further wait is 1.8 times the one before.
    pub retransmit: Duration,
    /// Retransmissions before the peer counts as dead.
    pub retransmit_tries: u32,
}

const ADDRESS: &str = "an IP address such as \"192.0.2.1\" or \"2001:db8::1\"";
const NAME: &str = "a name of letters, digits, '-', '_' and '.'";
const IDENTITY: &str = "an identity such as \"vpn.example.org\"";
const SELECTOR: &str = "a traffic selector such as \"10.1.0.0/16\"";

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

    /// What a node is told besides its databases: ports and times of `[gateway]`, the rest by default.
    #[must_use]
    pub fn node(&self) -> ravelin::Config {
        let g = &self.gateway;
        let ike = IkeConfig {
            ports: Ports { ike: g.ike_port, nat_t: g.nat_port, ..Ports::default() },
            retransmit: Retransmit { timeout: g.retransmit, tries: g.retransmit_tries, ..Retransmit::default() },
            ..IkeConfig::default()
        };
        ravelin::Config { ike, ..ravelin::Config::default() }
    }
}

fn read<'d>(
    document: &'d Document<'d>,
    table: &'d toml::Spanned<toml::de::DeTable<'d>>,
    provider: &Provider,
) -> Result<Config> {
    let root = Section::root(document, table);
    let gateway = gateway(root.table("gateway")?)?;
    let mut db = Db::new();
    let peers = root.tables("peer")?;
    if peers.is_empty() {
        return Err(root.missing("peer", "at least one [[peer]]"));
    }
    for section in peers {
        let folder = document.file().parent().unwrap_or(Path::new("."));
        peer(section, folder, &gateway, provider, &mut db)?;
    }
    root.finish()?;
    Ok(Config { gateway, db })
}

fn gateway(section: Option<Section<'_>>) -> Result<Gateway> {
    let mut g = Gateway {
        control: "/run/ravelin/gateway.sock".into(),
        tun: "ravelin0".into(),
        mtu: 1400,
        ike_port: 500,
        nat_port: 4500,
        route_table: 220,
        mark: 0x7276,
        retransmit: Duration::from_secs(4),
        retransmit_tries: 5,
    };
    let Some(s) = section else { return Ok(g) };
    let path = |t: &str| (!t.is_empty()).then(|| PathBuf::from(t));
    let device = |t: &str| (is_name(t) && t.len() < 16).then(|| t.to_owned());
    g.control = s.parsed("control", "the path of a Unix socket", g.control, path)?;
    g.tun = s.parsed("tun", "a device name of at most 15 characters", g.tun, device)?;
    g.mtu = s.integer("mtu", 576..=65_535, g.mtu)?;
    g.ike_port = s.integer("ike_port", 1..=65_535, g.ike_port)?;
    g.nat_port = s.integer("nat_port", 1..=65_535, g.nat_port)?;
    g.route_table = s.integer("route_table", 1..=i64::from(u32::MAX), g.route_table)?;
    g.mark = s.integer("mark", 1..=i64::from(u32::MAX), g.mark)?;
    let wait = |t: &str| words::duration(t).filter(|d| !d.is_zero());
    g.retransmit = s.parsed("retransmit", "a duration such as \"500ms\" or \"4s\"", g.retransmit, wait)?;
    g.retransmit_tries = s.integer("retransmit_tries", 0..=64, g.retransmit_tries)?;
    if g.ike_port == g.nat_port {
        return Err(s.missing("nat_port", "another port than ike_port"));
    }
    s.finish()?;
    Ok(g)
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
    peer.remote = remote.map(|a| SocketAddr::new(a, g.ike_port));
    // behind a NAT the peer's packets come from the NAT's address, which is the one given here
    peer.remote_addrs = remote.map(AddrRange::host).into_iter().collect();
    peer.proposals = proposals(&s, "ike", ProposalProtocol::Ike, &Proposal::default_ike(), provider)?;
    peer.times.dpd = s.parsed("dpd_delay", words::DURATION, Duration::from_secs(30), words::duration)?;
    peer.nat_traversal = s.parsed("encapsulation", "\"auto\" or \"always\"", NatTraversal::Auto, |t| match t {
        "auto" => Some(NatTraversal::Auto),
        "always" => Some(NatTraversal::Force),
        _ => None,
    })?;
    credentials::read(&s, folder, provider, &mut peer, db)?;
    post_quantum(&s, &mut peer, db)?;
    let peer_name = peer.name.clone();
    let id = db.pad.add(peer).map_err(|e| name.error(e.to_string()))?;
    let children = s.tables("child")?;
    if children.is_empty() {
        return Err(s.missing("child", "at least one [[peer.child]]"));
    }
    for section in children {
        child(section, id, &peer_name, remote.is_some(), provider, db)?;
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
    let inline = s.hidden("psk", words::SECRET, words::secret)?;
    let file = s.text("psk_file", "the path of a file with the secret")?;
    match (inline, file) {
        (Some(psk), None) => Ok(psk),
        (None, Some(field)) => {
            let path = folder.join(field.value);
            let text = std::fs::read_to_string(&path)
                .map_err(|e| field.error(format!("{} cannot be read: {e}", path.display())))?;
            words::secret(text.trim_end_matches(['\r', '\n']))
                .ok_or_else(|| field.error(format!("{}: expected {}", path.display(), words::SECRET)))
        }
        (Some(_), Some(field)) => Err(field.error("psk and psk_file stand together; expected one of them")),
        (None, None) => Err(s.missing("psk", "psk or psk_file")),
    }
}

/// One `[[peer.child]]`: a policy.
fn child(
    s: Section<'_>,
    peer: PeerId,
    peer_name: &str,
    has_address: bool,
    provider: &Provider,
    db: &mut Db,
) -> Result<()> {
    let name = s.needed("name", NAME)?;
    let full = name.parse(NAME, |t| is_name(t).then(|| format!("{peer_name}/{t}")))?;
    let mut protect = Protect::new(peer);
    protect.proposals = proposals(&s, "esp", ProposalProtocol::Esp, &Proposal::default_esp(), provider)?;
    protect.replay_window = s.integer("replay_window", 0..=65_536, 1024)?;
    let start_what = "\"none\", \"start\" or \"trap\"";
    let start = s.text("start", start_what)?;
    protect.start = start.as_ref().map_or(Ok(StartAction::None), |f| f.parse(start_what, start_action))?;
    if let (false, Some(field), true) = (has_address, &start, protect.start != StartAction::None) {
        return Err(field.error("the peer's remote is \"any\", so only it can start; expected \"none\""));
    }
    let policy = Policy::new(full, selectors(&s, "local_ts")?, selectors(&s, "remote_ts")?, protect.into());
    s.finish()?;
    db.spd.add(policy).map(drop).map_err(|e| name.error(e.to_string()))
}

fn start_action(t: &str) -> Option<StartAction> {
    match t {
        "none" => Some(StartAction::None),
        "start" => Some(StartAction::Start),
        "trap" => Some(StartAction::Trap),
        _ => None,
    }
}

fn selectors(s: &Section<'_>, key: &'static str) -> Result<Vec<TrafficSelector>> {
    let fields = s.texts(key, SELECTOR)?;
    if fields.is_empty() {
        return Err(s.missing(key, SELECTOR));
    }
    fields.iter().map(Field::read).collect()
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
