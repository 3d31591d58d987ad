//! There and back through JSON: nothing lost, nothing secret unasked, nothing half taken in.

use super::*;
use crate::pad::{Credential, IdPattern, Peer};
use crate::pool::{Family, Pool};
use crate::spd::{Action, Directions, Policy, Priority, Protect, Scope};
use crate::{
    AddrRange, ChildId, CipherSuite, Direction, Encapsulation, Identity, Lifetime, Mode, PacketKey, Path, PolicyId,
    Protocol, SaParams, TrafficSelector,
};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::{format, vec};
use proptest::prelude::*;
use ravelin_crypto::sign::SignatureScheme;
use ravelin_crypto::{AuthHashId, EncrId, IntegId, Secret};

fn id(text: &str) -> Identity {
    text.parse().unwrap()
}

fn selectors(text: &str) -> Vec<TrafficSelector> {
    text.split_whitespace().map(|t| t.parse().unwrap()).collect()
}

/// One of everything.
fn full() -> Db {
    let mut db = Db::new();
    for (name, remote) in [("b", "moon.lab"), ("c", "%any"), ("a", "C=CH, O=Lab, CN=*"), ("d", "*@lab.test")] {
        let mut peer = Peer::new(name, id("sun.lab"), remote.parse::<IdPattern>().unwrap());
        peer.ppk = Some(vec![2, 0xAB]);
        peer.raw_keys = vec![vec![0x30, 0x00]];
        peer.remote_addrs = vec![AddrRange::parse("192.0.2.1-192.0.2.9").unwrap()];
        db.pad.add(peer).unwrap();
    }
    let gone = db.pad.find_by_name("a").unwrap();
    db.pad.remove(gone);
    let first = db.pad.find_by_name("b").unwrap();
    db.pad.add_before(first, Peer::new("first", Identity::key_id(&[1, 2, 255]), IdPattern::Any)).unwrap();
    db.pad.secrets.add_psk(None, Some(&id("moon.lab")), Secret::from(&b"\xde\xad\xbe\xef"[..]));
    db.pad.secrets.add_ppk(vec![2, 0xAB], Secret::from(&b"\xca\xfe\xca\xfe"[..]));
    db.pad.secrets.add_eap("carol", Secret::from(&b"\xfe\xed\xfe\xed"[..]));
    let schemes = vec![SignatureScheme::Ed25519, SignatureScheme::RsaPss(AuthHashId::SHA2_384)];
    db.pad.credentials.add("own", Credential::elsewhere(vec![vec![1, 2]], vec![3], schemes));
    db.pad.credentials.add_anchor("ca", &[9]);
    db.pad.credentials.add_crl(&[8]);
    let shared: Action = Protect::new(first).into();
    for n in 0..3 {
        let remote = selectors(&format!("10.{n}.0.0/16[tcp/80-90] 2001:db8:{n}::/48[58] 10.9.0.{n}[17/opaque]"));
        db.spd.add(Policy::new(format!("p{n}"), selectors("10.100.0.0/16"), remote, shared.clone())).unwrap();
    }
    db.spd.remove(PolicyId(2));
    let mut block = Policy::new("block", selectors("0.0.0.0/0"), selectors("203.0.113.0/24"), Action::Discard);
    (block.priority, block.directions) = (Priority::At(5), Directions::Outbound);
    db.spd.add(block).unwrap();
    let road = db.spd.add(Policy::new("road", selectors("10.100.0.0/16"), [], Protect::new(first).into())).unwrap();
    let copy = Policy { remote: selectors("10.200.0.7"), ..Policy::clone(db.spd.policy(road).unwrap()) };
    assert!(db.spd.bind(&Arc::new(copy.clone())) && db.spd.bind(&Arc::new(copy)));
    db.pools.add(Pool::new("v4", [AddrRange::parse("10.200.0.1-10.200.0.2").unwrap()]));
    let lease = db.pools.lease(&["v4".into()], Family::V4, &id("carol@lab"), None).unwrap();
    db.pools.lease(&["v4".into()], Family::V4, &id("dave@lab"), None).unwrap();
    db.pools.release(lease);
    db
}

fn sa() -> SaParams {
    SaParams {
        child: ChildId(7),
        spi: Spi(0x0102_0304),
        direction: Direction::Inbound,
        protocol: Protocol::Esp,
        mode: Mode::Tunnel,
        path: Path { local: "192.0.2.1:4500".parse().unwrap(), remote: "[2001:db8::1]:4500".parse().unwrap() },
        encapsulation: Encapsulation::Udp,
        suite: CipherSuite {
            encr: EncrId::AES_GCM_16,
            key_bits: Some(128),
            integ: IntegId::NONE,
            encr_key: Secret::from(&[0xA5; 20][..]),
            integ_key: Secret::default(),
        },
        esn: true,
        replay_window: 1024,
        local_ts: selectors("10.100.0.0/16").into(),
        remote_ts: selectors("10.0.0.0/16[tcp/80-90]").into(),
        policy: PolicyId(1),
        lifetime: Lifetime::default(),
        tfc_padding: true,
        if_id: 3,
        mark: 4,
        resource: vec![1],
    }
}

fn there_and_back(snapshot: &Snapshot) -> Snapshot {
    serde_json::from_str(&serde_json::to_string_pretty(snapshot).unwrap()).unwrap()
}

#[test]
fn with_secrets_nothing_is_lost() {
    let db = full();
    let taken = Snapshot::take(&db, [SaSnapshot::new(&sa(), 1 << 40)], Include::Secrets);
    let read = there_and_back(&taken);
    assert_eq!(read, taken);
    let again = read.restore().unwrap();
    let sas = read.sas.clone();
    assert_eq!(sas[0].params(), Some(sa()));
    assert!(!again.spis.take(Spi(0x0102_0304)), "the SPI of a restored SA is taken");

    // What was in use is remembered now, in the same order of age; nothing else differs.
    assert_eq!(Snapshot::take(&again, sas, Include::Secrets), taken);
    let names = |db: &Db| db.pad.iter().map(|(i, p)| format!("{i} {}", p.name)).collect::<Vec<_>>();
    assert_eq!(names(&again), names(&db));
    assert_eq!(names(&again), ["peer-5 first", "peer-1 b", "peer-2 c", "peer-4 d"]);
    assert_eq!(again.pad.secret_for(&id("x"), &id("moon.lab")).unwrap().expose(), b"\xde\xad\xbe\xef");
    assert_eq!(again.spd.bound_len(), 1);
    let to_copy = PacketKey {
        local: "10.100.0.1".parse().unwrap(),
        remote: "10.200.0.7".parse().unwrap(),
        protocol: 17,
        local_port: Some(1),
        remote_port: Some(2),
    };
    let found = again.spd.lookup_out(&to_copy, &Scope::default()).unwrap();
    assert_eq!(found.name, "road");
    // Ids go on where they were.
    let mut again = again;
    let next = again.spd.add(Policy::new("new", selectors("::/0"), selectors("::/0"), Action::Bypass)).unwrap();
    assert_eq!(next, PolicyId(6));
    let lease = again.pools.lease(&["v4".into()], Family::V4, &id("dave@lab"), None).unwrap();
    assert_eq!(lease.addr.to_string(), "10.200.0.2");
}

#[test]
fn protections_that_policies_share_stay_shared() {
    let again = Snapshot::take(&full(), [], Include::Public).restore().unwrap();
    let protect = |name: &str| match &again.spd.policy(again.spd.find_by_name(name).unwrap()).unwrap().action {
        Action::Protect(p) => Arc::as_ptr(p),
        _ => core::ptr::null(),
    };
    assert_eq!(protect("p0"), protect("p2"));
    assert_ne!(protect("p0"), protect("road"));
}

#[test]
fn nothing_secret_unasked() {
    let taken = Snapshot::take(&full(), [SaSnapshot::new(&sa(), 1)], Include::Public);
    let text = serde_json::to_string(&taken).unwrap();
    let secret = Snapshot::take(&full(), [SaSnapshot::new(&sa(), 1)], Include::Secrets);
    let all = serde_json::to_string(&secret).unwrap();
    for hex in ["deadbeef", "cafecafe", "feedfeed", "a5a5a5a5"] {
        assert!(!text.contains(hex) && all.contains(hex), "{hex}");
        assert!(!format!("{secret:?}").to_lowercase().contains(hex), "{hex} in Debug");
    }
    assert_eq!(taken.sas[0].params(), None);
    let again = there_and_back(&taken).restore().unwrap();
    assert_eq!((again.pad.len(), again.pad.secrets.psks().count()), (4, 0));
}

#[test]
fn what_does_not_fit_is_refused_in_words() {
    let good = Snapshot::take(&full(), [SaSnapshot::new(&sa(), 1)], Include::Public);
    let refused = |change: &dyn Fn(&mut Snapshot)| {
        let mut s = good.clone();
        change(&mut s);
        s.restore().unwrap_err().to_string()
    };
    assert!(refused(&|s| s.version = 2).contains("version 2; expected 1"));
    assert!(refused(&|s| s.pad.peers[1].id = s.pad.peers[0].id).contains("unique ids"));
    assert!(refused(&|s| s.pad.peers[1].peer.name = "first".into()).contains("\"first\""));
    assert!(refused(&|s| s.spd.last_id = 1).contains("above the last one"));
    assert!(refused(&|s| s.spd.protects.clear()).contains("refers to protect 0"));
    assert!(refused(&|s| s.pad.peers.clear()).contains("not in the snapshot's PAD"));
    assert!(refused(&|s| s.spd.bound[0].policy = PolicyId(2)).contains("policy-2"));
    assert!(refused(&|s| s.pools.push(s.pools[0].clone())).contains("\"v4\""));
    assert!(refused(&|s| s.sas.push(s.sas[0].clone())).contains("01020304"));
    assert!(refused(&|s| s.sas[0].spi = 255).contains("reserved"));
    for text in ["{}", "[]", "{\"version\":1}"] {
        assert!(serde_json::from_str::<Snapshot>(text).is_err());
    }
    let text = serde_json::to_string(&good).unwrap();
    for (from, to) in [("10.100.0.0/16", "10.100.0.0/33"), ("\"sun.lab\"", "\"%any\""), ("\"02ab\"", "\"02a\"")] {
        assert!(text.contains(from), "{from}");
        assert!(serde_json::from_str::<Snapshot>(&text.replace(from, to)).is_err(), "{to}");
    }
}

proptest! {
    /// Identities and patterns of any octets survive their text form.
    #[test]
    fn any_identity_reads_back(kind in 0u8..16, data in prop::collection::vec(any::<u8>(), 0..24), ascii in "[ -~]{0,24}") {
        for data in [data, ascii.into_bytes()] {
            let identity = Identity::new(crate::IdKind(kind), data);
            let text = serde_json::to_string(&identity).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Identity>(&text).unwrap(), &identity, "{}", text);
            let pattern = IdPattern::Exact(identity);
            let text = serde_json::to_string(&pattern).unwrap();
            prop_assert_eq!(serde_json::from_str::<IdPattern>(&text).unwrap(), pattern);
        }
    }

    /// Damage makes another snapshot, an error or nothing; never a panic.
    #[test]
    fn damaged_text_is_harmless(at in 0usize..20_000, with in any::<u8>()) {
        let mut text = serde_json::to_vec(&Snapshot::take(&full(), [SaSnapshot::new(&sa(), 1)], Include::Secrets)).unwrap();
        let at = at % text.len();
        text[at] = with;
        if let Ok(read) = serde_json::from_slice::<Snapshot>(&text) {
            let _ = read.restore();
        }
    }
}
