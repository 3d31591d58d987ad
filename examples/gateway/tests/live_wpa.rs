//! Live: our EAP methods with those of wpa_supplicant and hostapd, over RADIUS on loopback. `eapol_test` is the client of
//! our server; hostapd is the server of our client. IKE carries the same packets (`live_eap.rs`, `live_auth.rs`).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panic"
)]

mod live;
use live::{Lab, pki, text};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use ravelin::crypto::{Provider, Secret};
use ravelin::db::pad::{AkaSource, Credential, EapMethod, Quintet, Revocation, SimAnswer, TtlsInner};
use ravelin::db::{Instant, UnixTime};
use ravelin::ike::eap::tls::Settings;
use ravelin::ike::eap::{Client, ClientVerdict, Server, ServerVerdict};
use ravelin::ike::registry::{EapCode, EapType};
use ravelin::ike::wire::payload::Eap;
use ravelin_radius::attribute::{kind, put, vendor};
use ravelin_radius::packet::{self, Packet, code};
use ravelin_radius::{client as radius, mppe};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const SHARED: &[u8] = b"labsecret-radius";
/// What a SIM says to a challenge (3GPP TS 35.208, test set 1).
const RAND: &str = "23553cbe9637a89d218ae64dae47bf35";
const AUTN: &str = "55f328b43577b9b94a9ffac354dfafb3";
const RES: &str = "a54211d5e3ba50bf";
const CK: &str = "b40ba9a3c58b2a05bbf0d987b21bf8cb";
const IK: &str = "f769bcd751044604127672711c6d3441";

fn unhex<const N: usize>(t: &str) -> [u8; N] {
    std::array::from_fn(|i| u8::from_str_radix(&t[2 * i..2 * i + 2], 16).unwrap())
}

/// The network that knows this SIM, and the SIM.
struct Sim;

impl AkaSource for Sim {
    fn quintet(&self, _: &[u8]) -> Option<Quintet> {
        let secret = |t: &str| Secret::new(unhex::<16>(t).to_vec());
        let res = Secret::new(unhex::<8>(RES).to_vec());
        Some(Quintet { rand: unhex(RAND), autn: unhex(AUTN), res, ck: secret(CK), ik: secret(IK) })
    }
    fn resynchronize(&self, _: &[u8], _: &[u8; 16], _: &[u8; 14]) -> bool {
        false
    }
    fn sim(&self, rand: &[u8; 16], autn: &[u8; 16]) -> SimAnswer {
        match self.quintet(b"") {
            Some(q) if (q.rand, q.autn) == (*rand, *autn) => SimAnswer::Proved { res: q.res, ck: q.ck, ik: q.ik },
            _ => SimAnswer::Refused,
        }
    }
}

/// A conversation: the user, our method and what is inside of TTLS, and eapol_test's words for the same.
struct Way {
    user: &'static str,
    method: EapMethod,
    inner: TtlsInner,
    network: &'static str,
    keyed: bool,
}

impl Way {
    fn is_sim(&self) -> bool {
        matches!(self.method, EapMethod::Aka | EapMethod::AkaPrime)
    }
}

const CAROL: &str = "carol";
const TLS: &str = "eap=TLS\nclient_cert=\"DIR/a.pem\"\nprivate_key=\"DIR/a.key\"\n";

fn ways() -> Vec<Way> {
    use EapMethod::{Aka, AkaPrime, Gtc, Md5, MsChapV2, Tls, Ttls};
    let way = |user, method, network, keyed| Way { user, method, inner: TtlsInner::MsChapV2, network, keyed };
    let inside = |inner, network| Way { inner, ..way(CAROL, Ttls, network, true) };
    vec![
        way(CAROL, MsChapV2, "eap=MSCHAPV2\n", true),
        way(CAROL, Gtc, "eap=GTC\n", false),
        way(CAROL, Md5, "eap=MD5\n", false),
        way("a@lab.test", Tls, TLS, true),
        inside(TtlsInner::Pap, "eap=TTLS\nphase2=\"auth=PAP\"\n"),
        inside(TtlsInner::MsChapV2, "eap=TTLS\nphase2=\"auth=MSCHAPV2\"\n"),
        inside(TtlsInner::Eap, "eap=TTLS\nphase2=\"autheap=MSCHAPV2\"\n"),
        way("0232010000000000@wlan.mnc001.mcc232.3gppnetwork.org", Aka, "eap=AKA\n", true),
        way("6232010000000000@wlan.mnc001.mcc232.3gppnetwork.org", AkaPrime, "eap=AKA'\n", true),
    ]
}

fn crypto() -> Provider {
    ravelin::crypto::rustcrypto::provider()
}

fn der(lab: &Lab, openssl: &[&str], file: &str) -> Vec<u8> {
    let out = Command::new("openssl").args(openssl).args(["-in", file, "-outform", "DER"]).output().unwrap();
    assert!(out.status.success(), "{} {}", lab.state.display(), text(&out));
    out.stdout
}

/// Certificates of side a or b, for TLS.
fn settings(lab: &Lab, folder: &str, side: &str, server: Option<&str>) -> Settings {
    let key = der(lab, &["pkcs8", "-topk8", "-nocrypt"], &format!("{folder}/{side}.key"));
    let key = crypto().signing_key(&key).unwrap();
    let chain = vec![der(lab, &["x509"], &format!("{folder}/{side}.pem"))];
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    Settings {
        credential: Some(Arc::new(Credential::new(chain, key.into()))),
        anchors: vec![der(lab, &["x509"], &format!("{folder}/ca.pem"))],
        crls: vec![],
        ocsp: vec![],
        revocation: Revocation::IfPresent,
        crypto: crypto(),
        now: UnixTime(now),
        server: server.map(|s| s.parse().unwrap()),
    }
}

/// A lab with the tools, or nothing.
fn tools(test: &str) -> Option<Lab> {
    let lab = Lab::up(test, "direct")?;
    let missing = lab.run("packages.sh", &["missing", "wpa"], &[]);
    if missing.status.success() {
        return Some(lab);
    }
    live::skip(test, &format!("packages are missing: {}", text(&missing).trim()));
    None
}

fn methods(way: &Way) -> Vec<EapMethod> {
    let with_inner = way.method == EapMethod::Ttls && way.inner == TtlsInner::Eap;
    if with_inner { vec![way.method, EapMethod::MsChapV2] } else { vec![way.method] }
}

fn started(command: &mut Command, log: &std::path::Path) -> Child {
    let file = std::fs::File::create(log).unwrap();
    command.stdout(file.try_clone().unwrap()).stderr(file).stdin(Stdio::null()).spawn().unwrap()
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    socket
}

/// A RADIUS server made of our EAP server, for one conversation: why it failed, or its key.
fn serve(socket: &UdpSocket, mut server: Server, first: Eap) -> Result<Option<Secret>, String> {
    let (secret, mut rng) = (Secret::new(SHARED.to_vec()), ChaCha20Rng::seed_from_u64(1));
    let lookup = |user: &[u8]| (user == CAROL.as_bytes()).then(|| Arc::new(Secret::new(b"password".to_vec())));
    // The client has said its name to itself; it is asked again.
    let mut verdict = ServerVerdict::Send(first);
    loop {
        let mut octets = [0; 4096];
        let (len, from) = socket.recv_from(&mut octets).map_err(|e| format!("eapol_test is silent: {e}"))?;
        let request = Packet::parse(&octets[..len]).unwrap();
        let mut reply = Vec::new();
        let eap = |reply: &mut Vec<u8>, p: &Eap| p.packet().chunks(253).for_each(|c| put(reply, kind::EAP_MESSAGE, c));
        let (code, end) = match &verdict {
            ServerVerdict::Send(p) => {
                put(&mut reply, kind::STATE, b"x");
                eap(&mut reply, p);
                (code::ACCESS_CHALLENGE, None)
            }
            ServerVerdict::Success(p, msk) => {
                eap(&mut reply, p);
                if let Some((recv, send)) = msk.as_ref().map(|m| m.expose().split_at(32)) {
                    for (number, key) in [(vendor::MS_MPPE_RECV_KEY, recv), (vendor::MS_MPPE_SEND_KEY, send)] {
                        let mut inner = vendor::MICROSOFT.to_be_bytes().to_vec();
                        put(&mut inner, number, &mppe::seal(key, [0x80, number], &secret, &request.authenticator));
                        put(&mut reply, kind::VENDOR_SPECIFIC, &inner);
                    }
                }
                (code::ACCESS_ACCEPT, Some(Ok(msk.clone())))
            }
            ServerVerdict::Failure(why) => (code::ACCESS_REJECT, Some(Err(why.clone()))),
        };
        let reply = packet::response(code, request.identifier, &request.authenticator, &reply, &secret).unwrap();
        socket.send_to(&reply, from).unwrap();
        if let Some(end) = end {
            return end;
        }
        let (len, _) = socket.peek_from(&mut octets).map_err(|e| format!("eapol_test is silent: {e}"))?;
        let next = Packet::parse(&octets[..len]).unwrap();
        let packet = next.attributes.all(kind::EAP_MESSAGE).collect::<Vec<_>>().concat();
        verdict = server.take(&Eap::parse(&packet).unwrap(), &lookup, &mut rng);
    }
}

/// eapol_test against our server: what it printed, and how it ended here.
fn eapol(lab: &Lab, way: &Way, folder: &str, password: &str, more: &str) -> (String, Result<Option<Secret>, String>) {
    let socket = socket();
    let conf = lab.state.join("eapol.conf");
    let network = way.network.replace("DIR", folder);
    let card = lab.state.join("card");
    let text = format!(
        "external_sim=1\nctrl_interface={}\nnetwork={{\nkey_mgmt=WPA-EAP\n{network}identity=\"{}\"\npassword=\"{password}\"\nca_cert=\"{folder}/ca.pem\"\n{more}}}\n",
        card.display(),
        way.user
    );
    std::fs::write(&conf, text).unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let (server, first) = Server::new(&methods(way), false, &mut rng).unwrap();
    let aka: Arc<dyn AkaSource> = Arc::new(Sim);
    let server = server.with_ttls(&[way.inner]).with_aka(&aka, &crypto(), "WLAN");
    let server = server.with_tls(settings(lab, folder, "b", None));
    let port = socket.local_addr().unwrap().port().to_string();
    let mut command = Command::new("eapol_test");
    command.args(["-c", conf.to_str().unwrap(), "-a", "127.0.0.1", "-p", &port]);
    command.args(["-s", "labsecret-radius", "-t", "15"]).args((!way.keyed).then_some("-n"));
    if way.is_sim() {
        command.arg("-W");
        let (own, good) = (lab.state.join("card.own"), password != "guess");
        std::thread::spawn(move || sim_card(&card.join("test"), &own, good));
    }
    let log = lab.state.join("eapol.log");
    let mut child = started(&mut command, &log);
    let end = serve(&socket, server, first);
    let status = child.wait().unwrap();
    let said = std::fs::read_to_string(&log).unwrap();
    assert_eq!(status.success(), end.is_ok(), "{}: {end:?}\n{said}", way.network);
    (said, end)
}

/// The SIM of eapol_test, on its control interface; or one of another network, which says nonsense.
fn sim_card(to: &std::path::Path, own: &std::path::Path, good: bool) {
    let _ = std::fs::remove_file(own);
    let socket = UnixDatagram::bind(own).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    live::wait(live::SOON, || socket.connect(to).is_ok() && socket.send(b"ATTACH").is_ok()).unwrap();
    let mut octets = [0; 4096];
    while let Ok(len) = socket.recv(&mut octets) {
        let said = String::from_utf8_lossy(&octets[..len]).into_owned();
        let Some((_, asked)) = said.split_once("CTRL-REQ-SIM-") else { continue };
        let Some((id, challenge)) = asked.split_once(":UMTS-AUTH:") else { continue };
        let known = challenge.starts_with(&format!("{RAND}:{AUTN}"));
        let answer = match (known, good) {
            (false, _) => format!("CTRL-RSP-SIM-{id}:UMTS-FAIL"),
            (true, true) => format!("CTRL-RSP-SIM-{id}:UMTS-AUTH:{IK}:{CK}:{RES}"),
            (true, false) => format!("CTRL-RSP-SIM-{id}:UMTS-AUTH:{IK}:{CK}:{}", RES.replace('5', "6")),
        };
        socket.send(answer.as_bytes()).unwrap();
    }
}

#[test]
fn they_are_clients() {
    let Some(lab) = tools("wpa_clients") else { return };
    let folder = pki(&lab, "ecdsa");
    for way in ways() {
        let (said, end) = eapol(&lab, &way, &folder, "password", "");
        let msk = end.unwrap_or_else(|why| panic!("{}: {why}\n{said}", way.network));
        assert!(msk.is_some() == way.keyed && said.trim_end().ends_with("SUCCESS"), "{}\n{said}", way.network);
        // eapol_test compares the key that it made with the one that we say.
        assert!(!way.keyed || said.contains("MPPE keys OK: 1  mismatch: 0"), "{}\n{said}", way.network);
        if way.method != EapMethod::Tls {
            let (_, end) = eapol(&lab, &way, &folder, "guess", "");
            assert!(end.is_err(), "{}: a wrong secret", way.network);
        }
    }
}

/// EAP-TLS with either version of TLS.
#[test]
fn they_are_clients_of_either_tls() {
    let Some(lab) = tools("wpa_tls") else { return };
    let folder = pki(&lab, "ecdsa");
    let way = ways().into_iter().find(|w| w.method == EapMethod::Tls).unwrap();
    let phases = [("TLSv1.2", "tls_disable_tlsv1_3=1"), ("TLSv1.3", "tls_disable_tlsv1_3=0")];
    for (version, phase1) in phases {
        let (said, end) = eapol(&lab, &way, &folder, "", &format!("phase1=\"{phase1}\"\n"));
        assert!(end.is_ok() && said.contains(&format!("Using TLS version {version}")), "{version}: {end:?}\n{said}");
        assert!(said.contains("MPPE keys OK: 1  mismatch: 0"), "{version}\n{said}");
    }
}

/// hostapd, with the network behind its back that knows the SIM.
fn hostapd(lab: &Lab, folder: &str) -> (Child, SocketAddr) {
    let to = socket().local_addr().unwrap();
    let path = |name: &str| lab.state.join(name).display().to_string();
    let write = |name: &str, text: String| std::fs::write(lab.state.join(name), text).unwrap();
    write("clients", "127.0.0.1/32 labsecret-radius\n".into());
    let users = "\"carol\" MSCHAPV2,GTC,MD5,TTLS \"password\"\n\"a@lab.test\" TLS\n\"0\"* AKA\n\"6\"* AKA'\n\
                 \"carol\" TTLS-PAP,TTLS-MSCHAPV2,MSCHAPV2 \"password\" [2]\n";
    write("users", users.into());
    let conf = format!(
        "driver=none\neap_server=1\neap_user_file={}\nradius_server_clients={}\nradius_server_auth_port={}\n\
         eap_sim_db=unix:{}\nca_cert={folder}/ca.pem\nserver_cert={folder}/b.pem\nprivate_key={folder}/b.key\n",
        path("users"),
        path("clients"),
        to.port(),
        path("hlr"),
    );
    write("hostapd.conf", conf);
    let hlr = UnixDatagram::bind(lab.state.join("hlr")).unwrap();
    std::thread::spawn(move || {
        let mut octets = [0; 1000];
        while let Ok((len, from)) = hlr.recv_from(&mut octets) {
            let asked = String::from_utf8_lossy(&octets[..len]).into_owned();
            let Some(imsi) = asked.strip_prefix("AKA-REQ-AUTH ") else { continue };
            let answer = format!("AKA-RESP-AUTH {imsi} {RAND} {AUTN} {IK} {CK} {RES}");
            let _ = from.as_pathname().map(|to| hlr.send_to(answer.as_bytes(), to));
        }
    });
    let mut command = Command::new("hostapd");
    (started(command.arg("-dd").arg(path("hostapd.conf")), &lab.state.join("hostapd.log")), to)
}

/// Our client with a server over RADIUS: why it failed, or both keys.
fn ask(to: SocketAddr, way: &Way, password: &str, tls: Settings) -> Result<[Option<Secret>; 2], String> {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let aka: Arc<dyn AkaSource> = Arc::new(Sim);
    let password = Arc::new(Secret::new(password.into()));
    let mut client = Client::new(&methods(way), way.user.into(), password, false)
        .with_ttls(&[way.inner])
        .with_aka(&aka, &crypto(), "WLAN")
        .with_tls(tls);
    client.server_is_proved();
    let server = radius::Server { access: to, accounting: None, secret: Secret::new(SHARED.to_vec()) };
    let mut nas = radius::Client::new(radius::Config { servers: vec![server], ..Default::default() });
    let socket = socket();
    socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut packet = Eap::method(EapCode::REQUEST, 1, EapType::IDENTITY, &[]).unwrap().packet().to_vec();
    let mut granted = None;
    loop {
        match client.take(&Eap::parse(&packet).unwrap(), &mut rng) {
            ClientVerdict::Reply(p) => packet = p.packet().to_vec(),
            ClientVerdict::Success(msk) => return Ok([msk, granted]),
            ClientVerdict::Failure(why) => return Err(why),
        }
        nas.eap(Instant(0), radius::Token(1), way.user.as_bytes(), "here", &packet, &mut rng);
        let Some(radius::Output::Transmit(_, request)) = nas.poll_output() else { panic!("nothing to send") };
        // hostapd may not be there yet; what it has seen it answers again.
        let answer = (0..60).find_map(|_| {
            socket.send_to(&request, to).unwrap();
            let mut octets = [0; 4096];
            let (len, from) = socket.recv_from(&mut octets).ok()?;
            nas.handle_datagram(from, &octets[..len]);
            nas.poll_output()
        });
        packet = match answer {
            Some(radius::Output::Answer(_, radius::Answer::Challenge(p))) => p,
            Some(radius::Output::Answer(_, radius::Answer::Accept { packet, msk, .. })) => {
                granted = msk;
                packet
            }
            Some(radius::Output::Answer(_, radius::Answer::Reject(Some(p), _))) => p,
            other => return Err(format!("{other:?}")),
        };
    }
}

#[test]
fn they_are_servers() {
    let Some(lab) = tools("wpa_servers") else { return };
    let folder = pki(&lab, "ecdsa");
    let (mut child, to) = hostapd(&lab, &folder);
    let result = std::panic::catch_unwind(|| {
        for way in ways() {
            let tls = || settings(&lab, &folder, "a", Some("b.lab.test"));
            let good = ask(to, &way, "password", tls());
            let [ours, theirs] = good.unwrap_or_else(|why| panic!("{}: {why}", way.network));
            assert!(ours.is_some() == way.keyed, "{}", way.network);
            assert!(!way.keyed || ours == theirs, "{}: another key", way.network);
            if way.user == CAROL {
                assert!(ask(to, &way, "guess", tls()).is_err(), "{}: a wrong password", way.network);
            }
        }
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let log = std::fs::read_to_string(lab.state.join("hostapd.log")).unwrap_or_default();
    for version in log.lines().filter_map(|l| l.split_once("Using TLS version ")) {
        println!("hostapd: {}", version.1);
    }
    if let Err(panic) = result {
        println!("{}", log.lines().rev().take(80).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n"));
        std::panic::resume_unwind(panic);
    }
}
