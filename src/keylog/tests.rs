//! The lines as Wireshark's own tables have them (lab/README.md, "Checkers").

use super::*;
use ravelin_crypto::Secret;
use ravelin_ike_proto::IkeSaId;
use ravelin_sa_db::proposal::EncrAlg;
use ravelin_sa_db::{
    AddrRange, ChildId, CipherSuite, Encapsulation, Lifetime, Mode, Path as OuterPath, PolicyId, Protocol, Spi,
    TrafficSelector,
};

fn secret(s: &str) -> Secret {
    Secret::new((0..s.len()).step_by(2).map(|i| u8::from_str_radix(&s[i..i + 2], 16).unwrap()).collect::<Vec<_>>())
}

#[test]
fn an_ike_sa_with_an_aead() {
    let mut keys = IkeKeyLog {
        sa: IkeSaId(1),
        spis: (0xefbf_7ca0_0d97_9cbe, 0x3491_b3af_24ea_c825),
        encr: EncrAlg { id: EncrId::AES_GCM_16, key_bits: Some(128) },
        integ: IntegId::NONE,
        sk_ei: secret("c0a83d7ca0bfc58b168736b0d11a690a219d6c63"),
        sk_er: secret("6c158963fe26e14acb26c14dbaf83072d55d9ff6"),
        sk_ai: secret(""),
        sk_ar: secret(""),
    };
    let line = "efbf7ca00d979cbe,3491b3af24eac825,c0a83d7ca0bfc58b168736b0d11a690a219d6c63,\
                6c158963fe26e14acb26c14dbaf83072d55d9ff6,\"AES-GCM-128 with 16 octet ICV [RFC5282]\",,,\"NONE [RFC4306]\"\n";
    assert_eq!(ike_line(&keys).unwrap(), line);
    keys.encr = EncrAlg { id: EncrId::CHACHA20_POLY1305, key_bits: None };
    assert_eq!(ike_line(&keys), None, "Wireshark 4.0 does not know it");
}

#[test]
fn an_esp_sa_with_cipher_and_integrity() {
    let net = |a: &str| vec![TrafficSelector::any(AddrRange::host(a.parse().unwrap()))];
    let mut sa = SaParams {
        child: ChildId(1),
        spi: Spi(0x4fbc_72ee),
        direction: Direction::Outbound,
        protocol: Protocol::Esp,
        mode: Mode::Tunnel,
        path: OuterPath { local: "10.9.0.1:4500".parse().unwrap(), remote: "10.9.0.2:4500".parse().unwrap() },
        encapsulation: Encapsulation::Udp,
        suite: CipherSuite {
            encr: EncrId::AES_CBC,
            key_bits: Some(256),
            integ: IntegId::HMAC_SHA2_256_128,
            encr_key: Secret::new(vec![0xb5; 32]),
            integ_key: Secret::new(vec![0x01; 32]),
        },
        esn: false,
        replay_window: 64,
        local_ts: net("10.10.1.1").into(),
        remote_ts: net("10.10.2.1").into(),
        policy: PolicyId(1),
        lifetime: Lifetime::default(),
        tfc_padding: true,
        if_id: 0,
        mark: 0,
        resource: vec![],
    };
    let (enc, int) = ("b5".repeat(32), "01".repeat(32));
    let line = format!(
        "\"IPv4\",\"10.9.0.1\",\"10.9.0.2\",\"0x4fbc72ee\",\"AES-CBC [RFC3602]\",\"0x{enc}\",\"HMAC-SHA-256-128 [RFC4868]\",\"0x{int}\"\n"
    );
    assert_eq!(esp_line(&sa).unwrap(), line);
    sa.direction = Direction::Inbound;
    assert!(esp_line(&sa).unwrap().starts_with("\"IPv4\",\"10.9.0.2\",\"10.9.0.1\","), "from the peer to us");
}
