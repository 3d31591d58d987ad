//! Packets exchanged with Scapy's IPsec layer (Python, from Debian's python3-scapy): every cipher, integrity
//! algorithm, mode, address family and encapsulation that both have. When Scapy is not there the test says so in one
//! line and returns.

use crate::plane::{Egress, Ingress, OutputForm, Plane, PlaneConfig};
use crate::testing::{Collect, NOW, params, reverse, suites, udp};
use alloc::sync::Arc;
use ravelin_crypto::{EncrId, IntegId, Provider};
use ravelin_sa_db::{Change, CipherSuite, Direction, Encapsulation, Mode, Path, Protocol, SaParams};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::string::String;
use std::vec::Vec;

/// Reads jobs as JSON, answers with what Scapy makes of them: our packet opened, and its own packet sealed.
const PEER: &str = r#"
import sys, json
try:
    from scapy.layers.ipsec import SecurityAssociation, ESP, AH
    from scapy.layers.inet import IP, UDP
    from scapy.layers.inet6 import IPv6
    from scapy.compat import raw
except Exception as e:
    print(json.dumps(str(e))); sys.exit(0)
out = []
def ip(b): return (IP if b[0] >> 4 == 4 else IPv6)(b)
for j in json.load(sys.stdin):
    try:
        args = dict(spi=j['spi'], seq_num=j['seq'], crypt_algo=j['crypt'], crypt_key=bytes.fromhex(j['ckey']),
                    crypt_icv_size=j['icv'], auth_algo=j['auth'], auth_key=bytes.fromhex(j['akey']),
                    esn_en=j['esn_en'], esn=j['esn'])
        if j['tunnel']:
            s, d = j['tunnel']
            args['tunnel_header'] = IPv6(src=s, dst=d) if ':' in s else IP(src=s, dst=d)
        if j['udp']: args['nat_t_header'] = UDP(sport=4500, dport=4500)
        if j['ah']:
            for k in ('crypt_algo', 'crypt_key', 'crypt_icv_size'): del args[k]
        sa = SecurityAssociation(AH if j['ah'] else ESP, **args)
        ours = raw(sa.decrypt(ip(bytes.fromhex(j['sealed']))))
        sa2 = SecurityAssociation(AH if j['ah'] else ESP, **{**args, 'seq_num': 7, 'esn': 0})
        theirs = raw(sa2.encrypt(ip(bytes.fromhex(j['plain']))))
        out.append([ours.hex(), theirs.hex()])
    except Exception as e:
        out.append(repr(e))
print(json.dumps(out))
"#;

fn names(s: &CipherSuite) -> Option<(&'static str, &'static str, usize)> {
    use EncrId as E;
    let (crypt, icv) = match s.encr {
        E::NULL => ("NULL", 0),
        E::AES_CBC => ("AES-CBC", 0),
        E::AES_CTR => ("AES-CTR", 0),
        E::TRIPLE_DES => ("3DES", 0),
        // Not AES-GCM-8 and -12: Scapy 2.5 asks its library for a full tag and truncates nothing.
        E::AES_GCM_16 => ("AES-GCM", 16),
        E::AES_CCM_8 => ("AES-CCM", 8),
        E::AES_CCM_12 => ("AES-CCM", 12),
        E::AES_CCM_16 => ("AES-CCM", 16),
        E::CHACHA20_POLY1305 => ("CHACHA20-POLY1305", 16),
        _ => return None,
    };
    let auth = match s.integ {
        IntegId::NONE => "NULL",
        IntegId::HMAC_SHA1_96 => "HMAC-SHA1-96",
        IntegId::HMAC_SHA2_256_128 => "SHA2-256-128",
        IntegId::HMAC_SHA2_384_192 => "SHA2-384-192",
        IntegId::HMAC_SHA2_512_256 => "SHA2-512-256",
        IntegId::AES_CMAC_96 => "AES-CMAC-96",
        _ => return None,
    };
    Some((crypt, auth, icv))
}

/// 3DES is among what both have.
fn provider() -> Arc<Provider> {
    Arc::new(ravelin_crypto::rustcrypto::provider_with_legacy())
}

fn hex(b: &[u8]) -> String {
    b.iter().map(|x| std::format!("{x:02x}")).collect()
}

fn unhex(s: &str) -> Vec<u8> {
    (0..s.len() / 2).map(|i| u8::from_str_radix(&s[2 * i..2 * i + 2], 16).unwrap()).collect()
}

struct Case {
    label: String,
    inbound: Plane,
    plain: Vec<u8>,
    job: Value,
}

fn case(
    suite: &CipherSuite,
    mode: Mode,
    outer6: bool,
    inner6: bool,
    udp_encap: bool,
    esn: bool,
    ah: bool,
) -> Option<Case> {
    let (crypt, auth, icv) = names(suite)?;
    let (s, d) = if outer6 { ("2001:db8::1", "2001:db8::2") } else { ("192.0.2.1", "192.0.2.2") };
    let port = if udp_encap { 4500 } else { 0 };
    let end = |a: &str| core::net::SocketAddr::new(a.parse().unwrap(), port);
    let edit = |p: &mut SaParams| {
        p.mode = mode;
        p.esn = esn;
        p.path = Path { local: end(s), remote: end(d) };
        p.encapsulation = if udp_encap { Encapsulation::Udp } else { Encapsulation::None };
        p.protocol = if ah { Protocol::Ah } else { Protocol::Esp };
    };
    let (mut out, mut inb) =
        (params(1, Direction::Outbound, suite.clone()), params(1, Direction::Inbound, suite.clone()));
    edit(&mut out);
    edit(&mut inb);
    inb.path = reverse(inb.path);
    let plain = match (mode, inner6) {
        (Mode::Tunnel, true) => udp("fd01::1", "fd02::2", 41),
        (Mode::Tunnel, false) => udp("10.1.0.1", "10.2.0.2", 41),
        _ => udp(s, d, 41),
    };
    let a = Plane::with_config(provider(), PlaneConfig { output: OutputForm::Ip, ..PlaneConfig::default() });
    // Beyond 2^32 with ESN, so that the high half matters.
    let used = if esn { (3 << 32) + 4 } else { 4 };
    a.install_outbound(NOW, &Arc::new(out.clone()), used).unwrap();
    let inbound = Plane::new(provider());
    inbound.apply(NOW, &Change::InstallInbound(Arc::new(inb))).unwrap();
    let mut sink = Collect::default();
    assert_eq!(a.egress(NOW, out.child, &plain, &mut sink), Egress::Sent);
    let sealed = sink.sent.pop().unwrap().1;
    let tunnel = if mode == Mode::Tunnel { json!([s, d]) } else { Value::Null };
    let job = json!({
        "spi": out.spi.0, "seq": 5, "crypt": crypt, "ckey": hex(suite.encr_key.expose()), "icv": icv,
        "auth": auth, "akey": hex(suite.integ_key.expose()), "esn_en": esn, "esn": if esn { 3 } else { 0 },
        "tunnel": tunnel, "udp": udp_encap, "ah": ah, "sealed": hex(&sealed), "plain": hex(&plain),
    });
    let label = std::format!(
        "{} {:?} {} {mode:?} outer6 {outer6} inner6 {inner6} udp {udp_encap} esn {esn} ah {ah}",
        suite.encr,
        suite.key_bits,
        suite.integ
    );
    Some(Case { label, inbound, plain, job })
}

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for suite in suites(&provider()) {
        for esn in [false, true] {
            // For ESP, Scapy 2.5 knows the high half as part of the AAD of combined modes only; AH follows below.
            if esn && !suite.encr.is_aead() {
                continue;
            }
            for (outer6, inner6) in [(false, false), (false, true), (true, false), (true, true)] {
                all.extend(case(&suite, Mode::Tunnel, outer6, inner6, false, esn, false));
            }
            for v6 in [false, true] {
                all.extend(case(&suite, Mode::Transport, v6, v6, false, esn, false));
            }
            for outer6 in [false, true] {
                for inner6 in [false, true] {
                    all.extend(case(&suite, Mode::Tunnel, outer6, inner6, true, esn, false));
                }
            }
            // In transport mode Scapy 2.5 takes UDP out of IPv4 only.
            all.extend(case(&suite, Mode::Transport, false, false, true, esn, false));
        }
        if suite.encr == EncrId::NULL {
            for esn in [false, true] {
                for (outer6, inner6) in [(false, false), (false, true), (true, false), (true, true)] {
                    all.extend(case(&suite, Mode::Tunnel, outer6, inner6, false, esn, true));
                }
                for v6 in [false, true] {
                    all.extend(case(&suite, Mode::Transport, v6, v6, false, esn, true));
                }
            }
        }
    }
    all
}

#[test]
fn scapy_opens_ours_and_we_open_scapys() {
    let python = Command::new("/usr/bin/python3")
        .args(["-W", "ignore", "-c", PEER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut python) = python else {
        std::println!("skipped: no /usr/bin/python3");
        return;
    };
    let cases = cases();
    let jobs: Vec<_> = cases.iter().map(|c| &c.job).collect();
    let text = serde_json::to_string(&jobs).unwrap();
    let mut stdin = python.stdin.take().unwrap();
    // Without Scapy the script ends before it reads.
    let _ = stdin.write_all(text.as_bytes());
    drop(stdin);
    let output = python.wait_with_output().unwrap();
    let answers: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    let Some(answers) = answers.as_array() else {
        std::println!("skipped: no Scapy ({answers})");
        return;
    };
    assert_eq!(answers.len(), cases.len());
    for (case, answer) in cases.iter().zip(answers) {
        let Some(pair) = answer.as_array() else { panic!("{}: {answer}", case.label) };
        let text = |i: usize| unhex(pair[i].as_str().unwrap());
        assert_eq!(hex(&text(0)), hex(&case.plain), "{}: Scapy opened ours", case.label);
        let mut theirs = text(1);
        match case.inbound.ingress_ip(NOW, &mut theirs) {
            Ingress::Deliver { range, .. } => assert_eq!(hex(&theirs[range]), hex(&case.plain), "{}", case.label),
            Ingress::Drop(r) => panic!("{}: {r}", case.label),
        }
    }
    std::println!("{} combinations both ways", cases.len());
}
