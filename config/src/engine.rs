//! Table `[gateway]`: what the daemon takes from the system, and what holds for all peers. To add a key: one line here,
//! one in docs/gateway.md.

use super::document::{Result, Section};
use super::{is_name, words};
use ravelin::ike::config::{Config as IkeConfig, CookiePolicy, Ports, Retransmit};
use std::path::PathBuf;
use std::time::Duration;

/// What stands there.
#[derive(Debug, Clone, PartialEq)]
pub struct Gateway {
    /// Unix socket of `gateway show` and the other commands.
    pub control: PathBuf,
    /// Name of the TUN device.
    pub tun: String,
    /// Its MTU in octets: what fits into the outer MTU after ESP, UDP and IP.
    pub mtu: u16,
    /// Threads that carry packets; `None`: one for each core.
    pub workers: Option<u8>,
    /// Segmentation offloads of the TUN device and of UDP sockets, where the kernel has them.
    pub offload: bool,
    /// Routing table for the routes into the tunnels.
    pub route_table: u32,
    /// Mark on our own packets, so that they never enter a tunnel.
    pub mark: u32,
    /// Interfaces whose addresses peers may know (MOBIKE); empty: all but loopback and the TUN device.
    pub interfaces: Vec<String>,
    /// File that gets the name servers that peers assign.
    pub resolv_conf: Option<PathBuf>,
    /// What the endpoint is told.
    pub ike: IkeConfig,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            control: "/run/ravelin/gateway.sock".into(),
            tun: "ravelin0".into(),
            mtu: 1400,
            workers: None,
            offload: true,
            route_table: 220,
            mark: 0x7276,
            interfaces: Vec::new(),
            resolv_conf: None,
            ike: IkeConfig::default(),
        }
    }
}

impl Gateway {
    /// The keys whose values differ from those of `new`.
    #[must_use]
    pub fn differences(&self, new: &Self) -> Vec<&'static str> {
        let (a, b) = (&self.ike, &new.ike);
        let (r, s) = (&a.retransmit, &b.retransmit);
        let same = [
            ("control", self.control == new.control),
            ("tun", self.tun == new.tun),
            ("mtu", self.mtu == new.mtu),
            ("workers", self.workers == new.workers),
            ("offload", self.offload == new.offload),
            ("ike_port", a.ports.ike == b.ports.ike),
            ("nat_port", a.ports.nat_t == b.ports.nat_t),
            ("route_table", self.route_table == new.route_table),
            ("mark", self.mark == new.mark),
            ("interfaces", self.interfaces == new.interfaces),
            ("resolv_conf", self.resolv_conf == new.resolv_conf),
            ("retransmit", r.timeout == s.timeout),
            ("retransmit_base", r.base_percent == s.base_percent),
            ("retransmit_cap", r.cap == s.cap),
            ("retransmit_jitter", r.jitter_percent == s.jitter_percent),
            ("retransmit_tries", r.tries == s.tries),
            ("retry_first", a.retry_first == b.retry_first),
            ("retry_cap", a.retry_cap == b.retry_cap),
            ("cookies", a.cookies == b.cookies),
            ("puzzle_threshold", a.puzzle_threshold == b.puzzle_threshold),
            ("puzzle_difficulty", a.puzzle_difficulty == b.puzzle_difficulty),
            ("half_open_max", a.half_open_max == b.half_open_max),
            ("half_open_per_source", a.half_open_per_source == b.half_open_per_source),
            ("half_open_lifetime", a.half_open_lifetime == b.half_open_lifetime),
            ("max_sas", a.max_sas == b.max_sas),
            ("max_children", a.max_children == b.max_children),
            ("window", a.window == b.window),
            ("initiator_only", a.initiator_only == b.initiator_only),
            ("fragment_size", a.fragment_size == b.fragment_size),
            ("return_routability", a.return_routability == b.return_routability),
            ("prefer_best_path", a.prefer_best_path == b.prefer_best_path),
            ("make_before_break", a.make_before_break == b.make_before_break),
            ("application_version", a.application_version == b.application_version),
        ];
        same.into_iter().filter(|(_, same)| !same).map(|(key, _)| key).collect()
    }
}

pub(super) fn read(section: Option<Section<'_>>) -> Result<Gateway> {
    let mut g = Gateway::default();
    let Some(s) = section else { return Ok(g) };
    let path = |t: &str| (!t.is_empty()).then(|| PathBuf::from(t));
    let device = |t: &str| (is_name(t) && t.len() < 16).then(|| t.to_owned());
    g.control = s.parsed("control", "the path of a Unix socket", g.control, path)?;
    g.tun = s.parsed("tun", "a device name of at most 15 characters", g.tun, device)?;
    g.mtu = s.integer("mtu", 576..=65_535, g.mtu)?;
    let workers = s.integer("workers", 0..=64, 0)?;
    g.workers = (workers != 0).then_some(workers);
    g.offload = s.parsed("offload", words::YES_NO, g.offload, words::yes_no)?;
    let ports = Ports::default();
    g.ike.ports = Ports {
        ike: s.integer("ike_port", 1..=65_535, ports.ike)?,
        nat_t: s.integer("nat_port", 1..=65_535, ports.nat_t)?,
        ..ports
    };
    g.route_table = s.integer("route_table", 1..=i64::from(u32::MAX), g.route_table)?;
    g.mark = s.integer("mark", 1..=i64::from(u32::MAX), g.mark)?;
    let what = "names of interfaces, such as \"eth0\"";
    g.interfaces = s.texts("interfaces", what)?.iter().map(|f| f.parse(what, device)).collect::<Result<_>>()?;
    g.resolv_conf = s.text("resolv_conf", "the path of a file such as \"/etc/resolv.conf\"")?.map(|f| f.value.into());
    g.ike.retransmit = retransmit(&s)?;
    limits(&s, &mut g.ike)?;
    habits(&s, &mut g.ike)?;
    if g.ike.ports.ike == g.ike.ports.nat_t {
        return Err(s.missing("nat_port", "another port than ike_port"));
    }
    s.finish()?;
    Ok(g)
}

/// When requests are sent again (RFC 7296 §2.4), and failed attempts made anew.
fn retransmit(s: &Section<'_>) -> Result<Retransmit> {
    let mut r = Retransmit::default();
    let wait = |t: &str| words::duration(t).filter(|d| !d.is_zero());
    r.timeout = s.parsed("retransmit", "a duration such as \"500ms\" or \"4s\"", r.timeout, wait)?;
    r.tries = s.integer("retransmit_tries", 0..=64, r.tries)?;
    r.base_percent = s.integer("retransmit_base", 100..=1000, r.base_percent)?;
    r.cap = s.parsed("retransmit_cap", words::DURATION, r.cap, words::duration)?;
    r.jitter_percent = s.integer("retransmit_jitter", 0..=100, r.jitter_percent)?;
    Ok(r)
}

/// What strangers and peers may cost.
fn limits(s: &Section<'_>, c: &mut IkeConfig) -> Result<()> {
    let many = 1..=i64::from(u32::MAX);
    let threshold = s.integer("cookie_threshold", 0..=i64::from(u32::MAX), 64)?;
    let what = "\"threshold\", \"always\" or \"never\"";
    c.cookies = s.parsed("cookies", what, CookiePolicy::Threshold(threshold), |t| match t {
        "threshold" => Some(CookiePolicy::Threshold(threshold)),
        "always" => Some(CookiePolicy::Always),
        "never" => Some(CookiePolicy::Never),
        _ => None,
    })?;
    c.puzzle_threshold = s.integer("puzzle_threshold", 0..=i64::from(u32::MAX), c.puzzle_threshold)?;
    c.puzzle_difficulty = s.integer("puzzle_difficulty", 0..=32, c.puzzle_difficulty)?;
    c.half_open_max = s.integer("half_open_max", many.clone(), c.half_open_max)?;
    c.half_open_per_source = s.integer("half_open_per_source", many.clone(), c.half_open_per_source)?;
    let time = |t: &str| words::duration(t).filter(|d| !d.is_zero());
    c.half_open_lifetime = s.parsed("half_open_lifetime", "a duration such as \"30s\"", c.half_open_lifetime, time)?;
    c.max_sas = s.integer("max_sas", many, c.max_sas)?;
    c.max_children = s.integer("max_children", 1..=65_535, c.max_children)?;
    c.window = s.integer("window", 1..=64, c.window)?;
    Ok(())
}

/// What else holds for all.
fn habits(s: &Section<'_>, c: &mut IkeConfig) -> Result<()> {
    c.initiator_only = s.parsed("initiator_only", words::YES_NO, c.initiator_only, words::yes_no)?;
    let time = |t: &str| words::duration(t).filter(|d| !d.is_zero() && *d <= Duration::from_secs(86_400));
    let what = "a duration from \"1ms\" to \"1d\"";
    c.retry_first = s.parsed("retry_first", what, c.retry_first, time)?;
    c.retry_cap = s.parsed("retry_cap", what, c.retry_cap, time)?;
    c.fragment_size = s.integer("fragment_size", 576..=65_535, c.fragment_size)?;
    c.return_routability = s.parsed("return_routability", words::YES_NO, c.return_routability, words::yes_no)?;
    c.prefer_best_path = s.parsed("prefer_best_path", words::YES_NO, c.prefer_best_path, words::yes_no)?;
    c.make_before_break = s.parsed("make_before_break", words::YES_NO, c.make_before_break, words::yes_no)?;
    let text = |t: &str| (t.len() <= 255).then(|| t.to_owned());
    c.application_version = s.parsed("application_version", "a text of at most 255 octets", String::new(), text)?;
    Ok(())
}
