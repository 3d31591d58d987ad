//! A thin IPsec gateway on Ravelin: it owns the sockets, the TUN device, the clock and the operating system's
//! randomness, and carries what they bring to `ravelin::Node` and back. All protocol logic is in the crates;
//! `drive.rs`, `operate.rs` and `reload.rs` talk to the node. Manual: docs/gateway.md.

mod addresses;
mod clock;
mod control;
mod daemon;
mod drive;
mod fast;
mod history;
mod host;
mod keylog;
mod operate;
mod radius;
mod reload;
mod report;
mod resolv;
mod routes;
mod sockets;
mod tun;

use clap::{Parser, Subcommand};
use ravelin::crypto::awslc::provider;
use ravelin_config::Config;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Parser)]
#[command(version, about = "A thin IPsec gateway (IKEv2 and ESP in user space)")]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Run in the foreground until SIGTERM or SIGINT
    Run(Run),
    /// Check a configuration file and say what it means
    Check {
        /// The TOML file
        config: PathBuf,
    },
    /// Show the SAs, policies, address pools and counters of a running gateway
    Show(Show),
    /// Read the configuration again
    Reload(Client),
    /// Delete all SAs with all peers
    Flush(Client),
    /// Move the IKE SAs of a peer to another address of this host (MOBIKE)
    Roam(Roam),
    /// Bring up a child, or all children of a peer
    Initiate(Named),
    /// Delete the IKE SAs of a peer, with the children in them
    Terminate(Named),
    /// Ask a peer whether it lives
    Probe(Named),
    /// Rekey the IKE SAs of a peer, or the Child SAs of a child
    Rekey(Named),
    /// Authenticate a peer anew: a new IKE SA takes the place of the old one
    Reauth(Named),
}

#[derive(clap::Args)]
pub(crate) struct Run {
    /// The TOML file (docs/gateway.md)
    config: PathBuf,
    /// Write all keys to Wireshark tables in this folder; whoever reads them reads the traffic
    #[arg(long, value_name = "DIR")]
    keylog: Option<PathBuf>,
    /// What to log, as in `info`, `debug`, `gateway=debug,ravelin=trace`
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,
    /// Predictable randomness, for tests only: every key can then be guessed
    #[arg(long, hide = true)]
    seed: Option<u64>,
}

#[derive(clap::Args)]
struct Client {
    /// The gateway's control socket
    #[arg(long, value_name = "PATH", default_value = "/run/ravelin/gateway.sock")]
    control: PathBuf,
}

#[derive(clap::Args)]
struct Show {
    /// Only these
    #[arg(value_parser = ["sas", "policies", "pools", "counters"])]
    what: Option<String>,
    #[command(flatten)]
    client: Client,
}

#[derive(clap::Args)]
struct Roam {
    /// Name of a peer in the configuration
    name: String,
    /// One of this host's addresses
    address: std::net::IpAddr,
    #[command(flatten)]
    client: Client,
}

#[derive(clap::Args)]
struct Named {
    /// Name of a peer or child in the configuration
    name: String,
    #[command(flatten)]
    client: Client,
}

fn main() -> ExitCode {
    let result = match Args::parse().what {
        What::Run(run) => start(&run),
        What::Check { config } => {
            Config::load(&config, &provider()).map(|c| summary(&config, &c)).map_err(|e| e.to_string())
        }
        What::Show(s) => ask(&s.client, &format!("show {}", s.what.unwrap_or_default())),
        What::Reload(client) => ask(&client, "reload"),
        What::Flush(client) => ask(&client, "flush"),
        What::Roam(r) => ask(&r.client, &format!("roam {} {}", r.name, r.address)),
        What::Initiate(n) => ask(&n.client, &format!("initiate {}", n.name)),
        What::Terminate(n) => ask(&n.client, &format!("terminate {}", n.name)),
        What::Probe(n) => ask(&n.client, &format!("probe {}", n.name)),
        What::Rekey(n) => ask(&n.client, &format!("rekey {}", n.name)),
        What::Reauth(n) => ask(&n.client, &format!("reauth {}", n.name)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("gateway: {e}");
            ExitCode::FAILURE
        }
    }
}

fn start(run: &Run) -> Result<(), String> {
    let config = Config::load(&run.config, &provider()).map_err(|e| e.to_string())?;
    let filter = tracing_subscriber::EnvFilter::try_new(&run.log).map_err(|e| format!("--log {}: {e}", run.log))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    daemon::run(config, run, provider()).map_err(|e| e.to_string())
}

fn ask(client: &Client, line: &str) -> Result<(), String> {
    let answer = control::ask(&client.control, line).map_err(|e| e.to_string())?;
    match answer.strip_prefix("error: ") {
        Some(e) => Err(e.trim_end().to_owned()),
        None => {
            print!("{answer}");
            Ok(())
        }
    }
}

fn summary(path: &Path, config: &Config) {
    let db = &config.db;
    println!("{}: good; {} peers, {} children", path.display(), db.pad.len(), db.spd.len());
    for (id, p) in db.pad.iter() {
        let remote = p.remote.map_or("any address".to_owned(), |a| a.ip().to_string());
        println!("peer {} at {remote}, {} === {}", p.name, p.local_id, p.remote_id);
        for c in db.spd.policies_of(id) {
            println!("  child {}: {} === {}", c.name, list(&c.local), list(&c.remote));
        }
    }
}

fn list<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
