//! What the live tests share: a lab of network namespaces per test (`lab/`), strongSwan in it, our gateway in it, and
//! waiting for what should happen, with a deadline. A test says `let Some(lab) = Lab::up(…) else { return };`.
//!
//! RAVELIN_LIVE: `off` passes over all of them, `required` makes a test fail that cannot run; else it says in one line
//! why it is skipped.
#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test helper fails by panic"
)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// For what takes a fraction of a second on an idle machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

pub(crate) struct Lab {
    name: String,
    pub(crate) state: PathBuf,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Says that a test is skipped; fails when that is not allowed.
pub(crate) fn skip(test: &str, why: &str) {
    assert_ne!(std::env::var("RAVELIN_LIVE").as_deref(), Ok("required"), "live test {test} cannot run: {why}");
    println!("live test {test} skipped: {why}");
}

/// Why this machine cannot run live tests.
fn obstacle() -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    if !std::fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0) {
        return Some("not root".into());
    }
    if !Path::new("/dev/net/tun").exists() {
        return Some("no /dev/net/tun".into());
    }
    let packages = Command::new(root().join("lab/packages.sh")).args(["missing", "core"]).output();
    match packages {
        Ok(o) if o.status.success() => None,
        Ok(o) => Some(format!("packages are missing: {}", String::from_utf8_lossy(&o.stdout).trim())),
        Err(e) => Some(format!("lab/packages.sh: {e}")),
    }
}

impl Lab {
    /// Namespaces of the given topology (`net.sh`), named after `test`.
    pub(crate) fn up(test: &str, topology: &str) -> Option<Self> {
        let live = std::env::var("RAVELIN_LIVE").unwrap_or_default();
        if live == "off" {
            return None;
        }
        let name = format!("rv{}-{test}", std::process::id());
        let state = std::env::temp_dir().join(&name);
        let lab = Self { name, state };
        let why = obstacle().or_else(|| {
            let up = lab.run("net.sh", &["up", topology], &[]);
            (!up.status.success()).then(|| format!("no network namespaces: {}", text(&up)))
        });
        match why {
            None => Some(lab),
            Some(why) => {
                skip(test, &why);
                None
            }
        }
    }

    pub(crate) fn ns(&self, side: &str) -> String {
        format!("{}-{side}", self.name)
    }

    /// A script of `lab/` with its output.
    pub(crate) fn run(&self, script: &str, args: &[&str], env: &[(&str, &str)]) -> Output {
        let cache =
            std::env::var_os("LAB_CACHE").map_or_else(|| std::env::temp_dir().join("ravelin-lab-cache"), PathBuf::from);
        Command::new(root().join("lab").join(script))
            .args(args)
            .env("LAB", &self.name)
            .env("LAB_STATE", &self.state)
            .env("LAB_CACHE", cache)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|e| panic!("lab/{script}: {e}"))
    }

    /// The same; it must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, script: &str, args: &[&str], env: &[(&str, &str)]) -> String {
        let out = self.run(script, args, env);
        assert!(out.status.success(), "lab/{script} {}: {}", args.join(" "), text(&out));
        text(&out)
    }

    /// A program in the namespace of a side.
    pub(crate) fn inside(&self, side: &str, args: &[&str]) -> Command {
        let mut c = Command::new("ip");
        c.args(["netns", "exec", &self.ns(side)]).args(args).stdin(Stdio::null());
        c
    }

    /// strongSwan on a side, with `lab/conf/SCENARIO`.
    pub(crate) fn strongswan(&self, scenario: &str, side: &str, env: &[(&str, &str)]) {
        self.ok("strongswan-peer.sh", &["up", scenario, side], env);
    }

    /// What strongSwan has logged so far.
    pub(crate) fn charon_log(&self, side: &str) -> String {
        std::fs::read_to_string(self.state.join(format!("strongswan-{side}/charon.log"))).unwrap_or_default()
    }

    /// strongSwan's SAs.
    pub(crate) fn charon_sas(&self, side: &str) -> String {
        text(&self.run("strongswan-peer.sh", &["status", side], &[]))
    }

    #[track_caller]
    pub(crate) fn wait_charon_log(&self, side: &str, needle: &str) {
        let log = || self.charon_log(side);
        wait(SOON, || log().contains(needle)).unwrap_or_else(|()| panic!("not in charon's log: {needle}\n{}", log()));
    }

    /// Three pings from a's inner address to b's (or the other way), all answered.
    #[track_caller]
    pub(crate) fn ping(&self, from: &str) {
        let (source, to) = if from == "a" { ("10.10.1.1", "10.10.2.1") } else { ("10.10.2.1", "10.10.1.1") };
        self.ping_addresses(from, source, to);
    }

    #[track_caller]
    pub(crate) fn ping_addresses(&self, from: &str, source: &str, to: &str) {
        let out = self.inside(from, &["ping", "-c3", "-i0.1", "-W5", "-I", source, to]).output().unwrap();
        assert!(text(&out).contains(" 0% packet loss"), "{}\n{}", text(&out), self.both_logs());
    }

    /// One ping that is answered, sooner or later: for what needs a moment to find its way again.
    #[track_caller]
    pub(crate) fn ping_until(&self, from: &str, source: &str, to: &str) {
        let one = || {
            let args = ["ping", "-c1", "-W1", "-I", source, to];
            text(&self.inside(from, &args).output().unwrap()).contains(" 0% packet loss")
        };
        wait(SOON, one).unwrap_or_else(|()| panic!("no answer\n{}", self.both_logs()));
    }

    /// `ip ARGS` in the namespace of a side.
    #[track_caller]
    pub(crate) fn ip(&self, side: &str, args: &str) -> String {
        let out = Command::new("ip").args(["-n", &self.ns(side)]).args(args.split(' ')).output().unwrap();
        assert!(out.status.success(), "ip {args}: {}", text(&out));
        text(&out)
    }

    /// Sends a signal to strongSwan.
    #[track_caller]
    pub(crate) fn signal_charon(&self, side: &str, signal: &str) {
        let pid = std::fs::read_to_string(self.state.join(format!("strongswan-{side}/pid"))).unwrap();
        assert!(Command::new("kill").args([signal, pid.trim()]).status().unwrap().success());
    }

    /// `octets` over TCP from a's inner address to b's and back, compared; the rate as text.
    #[track_caller]
    pub(crate) fn transfer(&self, octets: usize) -> String {
        self.carry("serve", &["send", "10.10.1.1", "10.10.2.1", "7000", &octets.to_string()])
    }

    /// A command in the network namespace of a side, which must succeed.
    #[track_caller]
    pub(crate) fn ok_inside(&self, side: &str, command: &[&str]) {
        let out = self.inside(side, command).output().unwrap();
        assert!(out.status.success(), "{command:?}: {}", text(&out));
    }

    /// Runs of UDP datagrams of many sizes from a to b and back, each compared; says how many.
    pub(crate) fn datagrams(&self) -> String {
        self.carry("serve-udp", &["send-udp", "10.10.1.1", "10.10.2.1", "7000"])
    }

    fn carry(&self, serve: &str, send: &[&str]) -> String {
        let script = root().join("lab/transfer.py");
        let script = script.to_str().unwrap();
        let mut server =
            self.inside("b", &[script, serve, "10.10.2.1", "7000"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        let out = self.inside("a", &[&[script], send].concat()).output().unwrap();
        let _ = server.kill();
        let _ = server.wait();
        assert!(out.status.success(), "{}\n{}", text(&out), self.both_logs());
        text(&out).trim().to_owned()
    }

    /// What both sides have to say: SAs with their counters, and the ends of their logs.
    fn both_logs(&self) -> String {
        let mut all = String::new();
        for side in ["a", "b"] {
            let control = self.state.join(format!("gateway-{side}.sock"));
            if control.exists() {
                let show =
                    Command::new(env!("CARGO_BIN_EXE_gateway")).args(["show", "--control"]).arg(control).output();
                all += &format!("--- gateway {side}\n{}", show.map(|o| text(&o)).unwrap_or_default());
            }
            if self.state.join(format!("strongswan-{side}/pid")).exists() {
                all += &format!("--- strongSwan {side}\n{}", self.charon_sas(side));
            }
            for file in [format!("gateway-{side}.log"), format!("strongswan-{side}/charon.log")] {
                if let Ok(log) = std::fs::read_to_string(self.state.join(&file)) {
                    let lines: Vec<_> = log.lines().collect();
                    let from = lines.len().saturating_sub(40);
                    all += &format!("--- {file}\n{}\n", lines[from..].join("\n"));
                }
            }
        }
        all
    }

    /// Our gateway on a side, running.
    pub(crate) fn gateway(&self, side: &str, config: &str, args: &[&str]) -> Gateway {
        let file = self.state.join(format!("gateway-{side}.toml"));
        let control = self.state.join(format!("gateway-{side}.sock"));
        std::fs::write(&file, format!("[gateway]\ncontrol = \"{}\"\n{config}", control.display())).unwrap();
        let exe = env!("CARGO_BIN_EXE_gateway");
        let mut command = self.inside(side, &[exe, "run", file.to_str().unwrap(), "--log", "debug"]);
        let mut child = command.args(args).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new((Mutex::new(Log::default()), Condvar::new()));
        let (stderr, to, copy) =
            (child.stderr.take().unwrap(), log.clone(), self.state.join(format!("gateway-{side}.log")));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = to.0.lock().unwrap();
                log.text += &(line + "\n");
                let _ = std::fs::write(&copy, &log.text);
                to.1.notify_all();
            }
            to.0.lock().unwrap().ended = true;
            to.1.notify_all();
        });
        let gateway = Gateway { child, file, control, log };
        gateway.wait("running");
        gateway
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for side in ["a", "b"] {
            self.run("strongswan-peer.sh", &["down", side], &[]);
        }
        self.run("net.sh", &["down"], &[]);
        if std::thread::panicking() {
            eprintln!("{}files of the failed test: {}", self.both_logs(), self.state.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.state);
        }
    }
}

#[derive(Default)]
struct Log {
    text: String,
    ended: bool,
}

/// A running gateway of ours.
pub(crate) struct Gateway {
    child: Child,
    file: PathBuf,
    control: PathBuf,
    log: Arc<(Mutex<Log>, Condvar)>,
}

impl Gateway {
    /// Waits until the log has a line with `needle`.
    #[track_caller]
    pub(crate) fn wait(&self, needle: &str) {
        self.wait_for(needle, SOON);
    }

    #[track_caller]
    pub(crate) fn wait_for(&self, needle: &str, time: Duration) {
        let end = Instant::now() + time;
        let mut log = self.log.0.lock().unwrap();
        while !log.text.contains(needle) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!log.ended && !left.is_zero(), "not in the gateway's log: {needle}\n{}", log.text);
            log = self.log.1.wait_timeout(log, left).unwrap().0;
        }
    }

    pub(crate) fn log(&self) -> String {
        self.log.0.lock().unwrap().text.clone()
    }

    /// One of the control commands, with its answer.
    #[track_caller]
    pub(crate) fn ask(&self, args: &[&str]) -> String {
        let out = Command::new(env!("CARGO_BIN_EXE_gateway")).args(args).arg("--control").arg(&self.control).output();
        let out = out.unwrap();
        assert!(out.status.success(), "gateway {}: {}\n{}", args.join(" "), text(&out), self.log());
        text(&out)
    }

    /// Waits until `gateway show` is as wanted; gives it.
    #[track_caller]
    pub(crate) fn wait_show(&self, time: Duration, wanted: impl Fn(&str) -> bool) -> String {
        let mut show = String::new();
        let found = wait(time, || {
            show = self.ask(&["show"]);
            wanted(&show)
        });
        assert!(found.is_ok(), "gateway show:\n{show}\n{}", self.log());
        show
    }

    /// Another configuration file, not yet read.
    pub(crate) fn write_config(&self, config: &str) {
        std::fs::write(&self.file, format!("[gateway]\ncontrol = \"{}\"\n{config}", self.control.display())).unwrap();
    }

    /// A control command that must fail, with what it says.
    #[track_caller]
    pub(crate) fn ask_in_vain(&self, args: &[&str]) -> String {
        let out = Command::new(env!("CARGO_BIN_EXE_gateway")).args(args).arg("--control").arg(&self.control).output();
        let out = out.unwrap();
        assert!(!out.status.success(), "gateway {}: {}", args.join(" "), text(&out));
        text(&out)
    }

    #[track_caller]
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// How often a line with `needle` is in the log.
    pub(crate) fn count(&self, needle: &str) -> usize {
        self.log().matches(needle).count()
    }

    /// Waits until the log has `times` lines with `needle`.
    #[track_caller]
    pub(crate) fn wait_count(&self, needle: &str, times: usize, time: Duration) {
        let found = wait(time, || self.count(needle) >= times);
        assert!(found.is_ok(), "not {times} times in the gateway's log: {needle}\n{}", self.log());
    }

    /// SIGTERM; the gateway must end by itself, in order.
    #[track_caller]
    pub(crate) fn terminate(mut self) -> String {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(&pid).status().unwrap().success());
        let status = wait_child(&mut self.child).unwrap_or_else(|| panic!("does not end\n{}", self.log()));
        assert!(status.success(), "{status}\n{}", self.log());
        self.log()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_child(child: &mut Child) -> Option<std::process::ExitStatus> {
    let mut status = None;
    let _ = wait(SOON, || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status
}

/// Polls until `done`, or fails after `time`.
pub(crate) fn wait(time: Duration, mut done: impl FnMut() -> bool) -> Result<(), ()> {
    let end = Instant::now() + time;
    while !done() {
        if Instant::now() > end {
            return Err(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

pub(crate) fn text(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

/// Pings from a's inner net to b's until told to stop.
pub(crate) struct Stream(Child);

impl Stream {
    pub(crate) fn start(lab: &Lab) -> Self {
        let mut ping = lab.inside("a", &["ping", "-i0.02", "-W5", "-I", "10.10.1.1", "10.10.2.1"]);
        Self(ping.stdout(Stdio::piped()).spawn().unwrap())
    }

    /// None was lost. The last one may still be on its way.
    #[track_caller]
    pub(crate) fn check(self) {
        let pid = self.0.id().to_string();
        Command::new("kill").args(["-INT", &pid]).status().unwrap();
        let said = text(&self.0.wait_with_output().unwrap());
        let line = said.lines().find(|l| l.contains("packets transmitted")).unwrap_or_else(|| panic!("{said}"));
        let mut numbers = line.split_whitespace().filter_map(|w| w.parse::<u32>().ok());
        let (sent, came) = (numbers.next().unwrap(), numbers.next().unwrap());
        println!("{sent} pings, {} lost", sent - came);
        assert!(sent - came <= 1, "{line}");
    }
}

/// One Child SA in one IKE SA on both sides, which carries traffic; strongSwan is on side b.
#[track_caller]
pub(crate) fn one_of_each(lab: &Lab, gateway: &Gateway) {
    let count = |text: &str, what: &str| text.matches(what).count();
    let one = || {
        let sas = lab.charon_sas("b");
        count(&sas, "ESTABLISHED") == 1
            && count(&sas, "INSTALLED") == 1
            && !sas.contains("DELET")
            && !sas.contains("REKEY")
    };
    wait(SOON, one).unwrap_or_else(|()| panic!("{}\n{}", lab.charon_sas("b"), gateway.log()));
    gateway.wait_show(SOON, |s| count(s, "child-") == 1 && count(s, "ike-") == 1);
    lab.ping("a");
    lab.ping("b");
}

/// One algorithm suite, in words that strongSwan and our gateway share.
#[derive(Clone, Copy)]
pub(crate) struct Suite {
    pub(crate) ike: &'static str,
    pub(crate) esp: &'static str,
    /// How strongSwan shows the ESP suite.
    pub(crate) shown: &'static str,
}

pub(crate) const GCM: Suite =
    Suite { ike: "aes128gcm16-prfsha256-ecp256", esp: "aes128gcm16", shown: "ESP:AES_GCM_16-128" };
pub(crate) const CBC: Suite =
    Suite { ike: "aes256-sha256-modp2048", esp: "aes256-sha256", shown: "ESP:AES_CBC-256/HMAC_SHA2_256_128" };
pub(crate) const CHACHA: Suite =
    Suite { ike: "chacha20poly1305-prfsha256-x25519", esp: "chacha20poly1305", shown: "ESP:CHACHA20_POLY1305" };

impl Suite {
    /// For strongSwan's scenarios.
    pub(crate) fn env(&self) -> Vec<(&'static str, &'static str)> {
        vec![("LAB_IKE", self.ike), ("LAB_ESP", self.esp)]
    }
}

/// The configuration of our gateway on `side`, for the peer at `remote`; `start` as in the file.
pub(crate) fn config(side: &str, remote: &str, suite: &Suite, start: &str) -> String {
    let (peer, me_net, peer_net) = match side {
        "a" => ("b", "10.10.1.0/24", "10.10.2.0/24"),
        _ => ("a", "10.10.2.0/24", "10.10.1.0/24"),
    };
    format!(
        r#"
[[peer]]
name = "t"
remote = "{remote}"
local_id = "{side}.lab.test"
remote_id = "{peer}.lab.test"
psk = "labsecret-psk-0123456789"
ike = "{}"
dpd_delay = "off"

[[peer.child]]
name = "net"
local_ts = "{me_net}"
remote_ts = "{peer_net}"
esp = "{}"
start = "{start}"
"#,
        suite.ike, suite.esp
    )
}

/// The folder with certificates of a kind.
pub(crate) fn pki(lab: &Lab, kind: &str) -> String {
    let out = lab.ok("pki.sh", &[], &[]);
    format!("{}/{kind}", out.lines().last().unwrap().trim())
}

/// Our configuration with certificates in the place of the secret.
pub(crate) fn with_cert(lab: &Lab, kind: &str, side: &str, text: &str, more: &str) -> String {
    let folder = pki(lab, kind);
    let sub = format!("{folder}/sub.pem");
    let sub = if Path::new(&sub).exists() { format!(", \"{sub}\"") } else { String::new() };
    let keys = format!(
        "auth = \"pubkey\"\ncert = [\"{folder}/{side}.pem\"{sub}]\nkey = \"{folder}/{side}.key\"\nca = \"{folder}/ca.pem\"\n{more}"
    );
    assert!(text.contains(PSK));
    text.replace(PSK, &keys)
}

pub(crate) const PSK: &str = "psk = \"labsecret-psk-0123456789\"\n";
