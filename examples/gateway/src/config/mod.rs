//! The configuration file (docs/gateway.md): TOML in, plain values out, everything checked here so that the rest of
//! the daemon never sees a bad value. To add a key: a field, one line in the reader of its table, one in the docs.

mod document;
mod proposal;
#[cfg(test)]
mod tests;
mod words;

pub(crate) use document::ConfigError;
use document::{Document, Field, Result, Section};
pub(crate) use proposal::Proposal;
use proposal::Protocol;
use ravelin_crypto::Secret;
use ravelin_sa_db::TrafficSelector;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
pub(crate) use words::Identity;

/// The whole file.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) gateway: Gateway,
    pub(crate) peers: Vec<Peer>,
}

/// Table `[gateway]`: what the daemon takes from the system.
#[derive(Debug)]
pub(crate) struct Gateway {
    /// Unix socket of `gateway show` and the other commands.
    pub(crate) control: PathBuf,
    /// Name of the TUN device.
    pub(crate) tun: String,
    /// Its MTU in octets: what fits into the outer MTU after ESP, UDP and IP.
    pub(crate) mtu: u16,
    /// UDP port of IKE.
    pub(crate) ike_port: u16,
    /// UDP port of IKE and ESP behind NATs (RFC 3948).
    pub(crate) nat_port: u16,
    /// Routing table for the routes into the tunnels.
    pub(crate) route_table: u32,
    /// Mark on our own packets, so that they never enter a tunnel.
    pub(crate) mark: u32,
}

/// One `[[peer]]`: a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: String,
    /// Our address; `None`: whichever the routing table gives.
    pub(crate) local: Option<IpAddr>,
    /// The peer's address; `None`: any, it starts.
    pub(crate) remote: Option<IpAddr>,
    pub(crate) local_id: Identity,
    pub(crate) remote_id: Identity,
    pub(crate) psk: Secret,
    pub(crate) ike: Vec<Proposal>,
    /// Silence after which the peer is asked whether it lives; zero: never.
    pub(crate) dpd_delay: Duration,
    /// UDP encapsulation even where there is no NAT.
    pub(crate) force_encapsulation: bool,
    pub(crate) children: Vec<Child>,
}

/// One `[[peer.child]]`: traffic to protect.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) name: String,
    pub(crate) local_ts: Vec<TrafficSelector>,
    pub(crate) remote_ts: Vec<TrafficSelector>,
    pub(crate) esp: Vec<Proposal>,
    pub(crate) start: Start,
    /// Packets; 0 turns replay protection off.
    pub(crate) replay_window: u32,
}

/// When a child is brought up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// When the peer or the operator asks.
    None,
    /// At once.
    Now,
    /// By the first packet that wants it.
    Trap,
}

const DEFAULT_IKE: &[&str] = &[
    "aes256gcm16-aes128gcm16-chacha20poly1305-prfsha384-prfsha256-x25519-ecp384-ecp256-modp3072-modp2048",
    "aes256-aes128-sha384-sha256-x25519-ecp384-ecp256-modp3072-modp2048",
];
const DEFAULT_ESP: &[&str] = &["aes256gcm16-aes128gcm16-chacha20poly1305", "aes256-aes128-sha256"];
const ADDRESS: &str = "an IP address such as \"192.0.2.1\" or \"2001:db8::1\"";
const NAME: &str = "a name of letters, digits, '-', '_' and '.'";

impl Config {
    /// Reads and checks the file at `path`; files it names are relative to its folder.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let unreadable = |e: std::io::Error| ConfigError {
            file: path.to_owned(),
            line: 0,
            column: 0,
            key: String::new(),
            problem: format!("cannot be read: {e}"),
        };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(path, &text)
    }

    /// The same for a text that was read already.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self> {
        let document = Document::new(path, text);
        let table = document.parse()?;
        read(&document, &table)
    }
}

fn read<'d>(document: &'d Document<'d>, table: &'d toml::Spanned<toml::de::DeTable<'d>>) -> Result<Config> {
    let root = Section::root(document, table);
    let gateway = gateway(root.table("gateway")?)?;
    let mut peers: Vec<Peer> = Vec::new();
    for section in root.tables("peer")? {
        let name = section.needed("name", NAME)?;
        if peers.iter().any(|p| p.name == name.value) {
            return Err(name.error(format!("a second peer \"{}\"; expected a name of its own", name.value)));
        }
        let folder = document.file().parent().unwrap_or(Path::new("."));
        peers.push(peer(section, &name, folder)?);
    }
    if peers.is_empty() {
        return Err(root.missing("peer", "at least one [[peer]]"));
    }
    root.finish()?;
    Ok(Config { gateway, peers })
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
    if g.ike_port == g.nat_port {
        return Err(s.missing("nat_port", "another port than ike_port"));
    }
    s.finish()?;
    Ok(g)
}

fn peer(s: Section<'_>, name: &Field<'_, &str>, folder: &Path) -> Result<Peer> {
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
    let peer = Peer {
        name: name.parse(NAME, |t| is_name(t).then(|| t.to_owned()))?,
        local,
        remote,
        local_id: identity(&s, "local_id", local)?,
        remote_id: identity(&s, "remote_id", remote)?,
        psk: psk(&s, folder)?,
        ike: proposals(&s, "ike", DEFAULT_IKE, Protocol::Ike)?,
        dpd_delay: s.parsed("dpd_delay", words::DURATION, Duration::from_secs(30), words::duration)?,
        force_encapsulation: s.parsed("encapsulation", "\"auto\" or \"always\"", false, |t| match t {
            "auto" => Some(false),
            "always" => Some(true),
            _ => None,
        })?,
        children: children(&s, remote.is_some())?,
    };
    s.finish()?;
    Ok(peer)
}

fn identity(s: &Section<'_>, key: &'static str, address: Option<IpAddr>) -> Result<Identity> {
    match (s.text(key, words::IDENTITY)?, address) {
        (Some(field), _) => field.parse(words::IDENTITY, words::identity),
        (None, Some(address)) => Ok(words::address_identity(address)),
        (None, None) => Err(s.missing(key, words::IDENTITY)),
    }
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

fn children(peer: &Section<'_>, has_address: bool) -> Result<Vec<Child>> {
    let mut children: Vec<Child> = Vec::new();
    for s in peer.tables("child")? {
        let name = s.needed("name", NAME)?;
        if children.iter().any(|c| c.name == name.value) {
            return Err(name.error(format!("a second child \"{}\"; expected a name of its own", name.value)));
        }
        let start_what = "\"none\", \"start\" or \"trap\"";
        let start = s.text("start", start_what)?;
        let child = Child {
            name: name.parse(NAME, |t| is_name(t).then(|| t.to_owned()))?,
            local_ts: selectors(&s, "local_ts")?,
            remote_ts: selectors(&s, "remote_ts")?,
            esp: proposals(&s, "esp", DEFAULT_ESP, Protocol::Esp)?,
            start: start.as_ref().map_or(Ok(Start::None), |f| f.parse(start_what, start_action))?,
            replay_window: s.integer("replay_window", 0..=65_536, 1024)?,
        };
        if let (false, Some(field), true) = (has_address, &start, child.start != Start::None) {
            return Err(field.error("the peer's remote is \"any\", so only it can start; expected \"none\""));
        }
        s.finish()?;
        children.push(child);
    }
    if children.is_empty() {
        return Err(peer.missing("child", "at least one [[peer.child]]"));
    }
    Ok(children)
}

fn start_action(t: &str) -> Option<Start> {
    match t {
        "none" => Some(Start::None),
        "start" => Some(Start::Now),
        "trap" => Some(Start::Trap),
        _ => None,
    }
}

fn selectors(s: &Section<'_>, key: &'static str) -> Result<Vec<TrafficSelector>> {
    let fields = s.texts(key, words::SELECTOR)?;
    if fields.is_empty() {
        return Err(s.missing(key, words::SELECTOR));
    }
    fields.iter().map(|f| f.parse(words::SELECTOR, words::selector)).collect()
}

fn proposals(s: &Section<'_>, key: &'static str, default: &[&str], protocol: Protocol) -> Result<Vec<Proposal>> {
    let what = match protocol {
        Protocol::Ike => "a proposal such as \"aes256gcm16-prfsha384-x25519\"",
        Protocol::Esp => "a proposal such as \"aes256gcm16\"",
    };
    let fields = s.texts(key, what)?;
    if fields.is_empty() {
        let built_in = |t: &&str| proposal::proposal(t, protocol).map_err(|why| s.missing(key, &why));
        return default.iter().map(built_in).collect();
    }
    fields.iter().map(|f| proposal::proposal(f.value, protocol).map_err(|why| f.error(why))).collect()
}

fn is_name(t: &str) -> bool {
    !t.is_empty() && t.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}
