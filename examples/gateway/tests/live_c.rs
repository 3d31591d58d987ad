//! Live: the gateway in plain C (`examples/c/gateway.c`) holds a tunnel with strongSwan and with our Rust gateway: as it is,
//! under AddressSanitizer and UBSan, and under valgrind. What it prints ends in order, and a sanitizer's finding fails it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panic")]

mod live;
use live::{GCM, Lab, SOON, config, skip, text, wait};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::time::Duration;

/// Valgrind makes everything some thirty times slower.
const LONG: Duration = Duration::from_secs(120);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn has(tool: &str) -> bool {
    Command::new(tool).arg("--version").output().is_ok_and(|o| o.status.success())
}

/// The C gateway with these compiler flags, against an installed library; `None` without a C compiler.
fn build(test: &str, flags: &[&str]) -> Option<PathBuf> {
    static PREFIX: OnceLock<PathBuf> = OnceLock::new();
    if let Some(tool) = ["cc", "pkg-config", "objcopy"].into_iter().find(|t| !has(t)) {
        skip(test, &format!("no {tool}"));
        return None;
    }
    let prefix = PREFIX.get_or_init(|| {
        let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("c-prefix-{}", std::process::id()));
        let install = root().join("bindings/c/install.sh");
        let out = Command::new(install).args(["--profile", "dev", "--prefix"]).arg(&prefix).output().unwrap();
        assert!(out.status.success(), "{}", text(&out));
        prefix
    });
    let exe = prefix.join(format!("gateway-{test}"));
    let pc = Command::new("pkg-config")
        .args(["--cflags", "--libs", "ravelin"])
        .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"))
        .output()
        .unwrap();
    let out = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g", "-O1"])
        .args(flags)
        .arg(root().join("examples/c/gateway.c"))
        .args(String::from_utf8_lossy(&pc.stdout).split_whitespace())
        .arg(format!("-Wl,-rpath,{}", prefix.join("lib").display()))
        .arg("-o")
        .arg(&exe)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", text(&out));
    Some(exe)
}

struct CGateway {
    child: Child,
    log: PathBuf,
}

impl CGateway {
    fn start(lab: &Lab, side: &str, config: &str, command: &[&str]) -> Self {
        let file = lab.state.join(format!("c-{side}.toml"));
        let log = lab.state.join(format!("gateway-{side}.log"));
        std::fs::write(&file, format!("[gateway]\n{config}")).unwrap();
        let to = File::create(&log).unwrap();
        let mut command = lab.inside(side, command);
        let child = command.arg(&file).stdout(to.try_clone().unwrap()).stderr(to).spawn().unwrap();
        let gateway = Self { child, log };
        gateway.wait("running");
        gateway
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    #[track_caller]
    fn wait(&self, needle: &str) {
        wait(LONG, || self.log().contains(needle)).unwrap_or_else(|()| panic!("no \"{needle}\" in\n{}", self.log()));
    }

    #[track_caller]
    fn signal(&self, name: &str) {
        // `ip netns exec` becomes the program itself, so this is its number
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// SIGTERM; it must say goodbye to its peer and end with 0, which no sanitizer or valgrind does after a finding.
    #[track_caller]
    fn end(mut self) {
        self.signal("-TERM");
        let mut status = None;
        let _ = wait(LONG, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let status = status.unwrap_or_else(|| panic!("does not end\n{}", self.log()));
        assert!(status.success() && self.log().contains("ended in order"), "{status}\n{}", self.log());
    }
}

impl Drop for CGateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The C gateway starts a tunnel to strongSwan; pings both ways, 500 kB through it, and it ends in order.
fn with_strongswan(test: &str, flags: &[&str], before: &[&str]) {
    let Some(lab) = Lab::up(test, "direct") else { return };
    let Some(exe) = build(test, flags) else { return };
    lab.strongswan("psk", "b", &GCM.env());
    let command = [before, &[exe.to_str().unwrap()]].concat();
    let gateway = CGateway::start(&lab, "a", &config("a", "10.9.0.2", &GCM, "start"), &command);
    gateway.wait("Child SA up");
    lab.ping("a");
    lab.ping("b");
    println!("{}", lab.transfer(500_000));
    gateway.signal("-USR1");
    gateway.wait("a.lab.test === b.lab.test");
    assert!(lab.charon_sas("b").contains("INSTALLED"), "{}", lab.charon_sas("b"));
    gateway.end();
    wait(SOON, || !lab.charon_sas("b").contains("INSTALLED")).expect("strongSwan was told that it is over");
}

#[test]
fn c_strongswan() {
    with_strongswan("c_strongswan", &[], &[]);
}

#[test]
fn c_strongswan_asan() {
    let flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    with_strongswan("c_asan", &flags, &[]);
}

#[test]
fn c_strongswan_valgrind() {
    if !has("valgrind") {
        return skip("c_strongswan_valgrind", "no valgrind");
    }
    with_strongswan("c_valgrind", &[], &["valgrind", "-q", "--error-exitcode=9", "--leak-check=full"]);
}

/// Our Rust gateway starts; the C gateway answers. Bare ESP, and the C gateway ends the tunnel.
#[test]
fn c_with_our_gateway() {
    let Some(lab) = Lab::up("c_ours", "direct") else { return };
    let flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    let Some(exe) = build("c_ours", &flags) else { return };
    let c = CGateway::start(&lab, "b", &config("b", "any", &GCM, "none"), &[exe.to_str().unwrap()]);
    let rust = lab.gateway("a", &config("a", "10.9.0.2", &GCM, "start"), &[]);
    rust.wait("Child SA up");
    c.wait("Child SA up");
    lab.ping("a");
    lab.ping("b");
    println!("{}", lab.transfer(500_000));
    rust.ask(&["rekey", "t"]);
    c.wait("takes the place of ike-");
    lab.ping("a");
    c.end();
    rust.wait("deleted by the peer");
}
