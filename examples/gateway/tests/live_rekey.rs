//! Live: rekeying with strongSwan, Child SA and IKE SA, by either side and by both at once, under a steady stream of
//! pings of which none is lost; and reauthentication.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panic")]

mod live;
use live::{GCM, Gateway, Lab, SOON, Suite, config, wait};
use std::process::{Child, Stdio};

/// With a key exchange of its own in every Child SA but the first.
const PFS: Suite = Suite { esp: "aes128gcm16-ecp256", ..GCM };

fn tunnel(test: &str, suite: &Suite) -> Option<(Lab, Gateway)> {
    let lab = Lab::up(test, "direct")?;
    lab.strongswan("psk", "b", &suite.env());
    let gateway = lab.gateway("a", &config("a", "10.9.0.2", suite, "start"), &[]);
    gateway.wait("Child SA up");
    lab.ping("a");
    Some((lab, gateway))
}

/// Pings until told to stop.
struct Stream(Child);

impl Stream {
    fn start(lab: &Lab) -> Self {
        let mut ping = lab.inside("a", &["ping", "-i0.02", "-W5", "-I", "10.10.1.1", "10.10.2.1"]);
        Self(ping.stdout(Stdio::piped()).spawn().unwrap())
    }

    /// None was lost. The last one may still be on its way.
    #[track_caller]
    fn check(self) {
        let pid = self.0.id().to_string();
        std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
        let said = live::text(&self.0.wait_with_output().unwrap());
        let line = said.lines().find(|l| l.contains("packets transmitted")).unwrap_or_else(|| panic!("{said}"));
        let mut numbers = line.split_whitespace().filter_map(|w| w.parse::<u32>().ok());
        let (sent, came) = (numbers.next().unwrap(), numbers.next().unwrap());
        println!("{sent} pings, {} lost", sent - came);
        assert!(sent - came <= 1, "{line}");
    }
}

/// One Child SA in one IKE SA on both sides, which carries traffic.
#[track_caller]
fn one_of_each(lab: &Lab, gateway: &Gateway) {
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

fn strongswan_rekeys(lab: &Lab, what: &str, name: &str) {
    lab.ok("strongswan-peer.sh", &["ctl", "b", "--rekey", what, name], &[]);
}

#[test]
fn we_rekey() {
    for (test, suite) in [("we_rekey", &GCM), ("we_rekey_pfs", &PFS)] {
        let Some((lab, gateway)) = tunnel(test, suite) else { return };
        let stream = Stream::start(&lab);
        for _ in 0..3 {
            gateway.ask(&["rekey", "net"]);
            one_of_each(&lab, &gateway);
            gateway.ask(&["rekey", "t"]);
            one_of_each(&lab, &gateway);
        }
        stream.check();
    }
}

#[test]
fn they_rekey() {
    for (test, suite) in [("they_rekey", &GCM), ("they_rekey_pfs", &PFS)] {
        let Some((lab, gateway)) = tunnel(test, suite) else { return };
        let stream = Stream::start(&lab);
        for _ in 0..3 {
            strongswan_rekeys(&lab, "--child", "net");
            one_of_each(&lab, &gateway);
            strongswan_rekeys(&lab, "--ike", "t");
            one_of_each(&lab, &gateway);
        }
        stream.check();
    }
}

#[test]
fn both_rekey_at_once() {
    let Some((lab, gateway)) = tunnel("both_rekey", &PFS) else { return };
    let stream = Stream::start(&lab);
    for (ours, what, theirs) in [("net", "--child", "net"), ("t", "--ike", "t")].repeat(5) {
        std::thread::scope(|s| {
            s.spawn(|| strongswan_rekeys(&lab, what, theirs));
            gateway.ask(&["rekey", ours]);
        });
        one_of_each(&lab, &gateway);
    }
    stream.check();
}

#[test]
fn we_authenticate_anew() {
    let Some((lab, gateway)) = tunnel("we_reauth", &GCM) else { return };
    let established = || lab.charon_log("b").matches("established between").count();
    let before = established();
    gateway.ask(&["reauth", "t"]);
    wait(SOON, || established() > before).expect("a second IKE SA");
    one_of_each(&lab, &gateway);
}
