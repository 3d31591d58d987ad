//! Who is attacked: one entry of the PAD each, and what the puppet knows of its secrets.

use crate::endpoints::{Side, side_with};
use crate::puppet::proposals;
use ravelin_crypto::{Provider, Secret};
use ravelin_ike_proto::Config;
use ravelin_sa_db::pad::{AuthMethod, Credential, EapMethod, IdKind, IdPattern, Identity, Peer, Secrets};
use std::sync::Arc;

pub(crate) const KEYS: [&[u8]; 2] = [include_bytes!("../certs/node1.p8"), include_bytes!("../certs/node2.p8")];

/// A victim, and the puppet's idea of its secrets.
#[derive(Clone)]
pub(crate) struct Victim {
    pub(crate) name: &'static str,
    /// It initiates; else it answers.
    pub(crate) initiates: bool,
    /// The puppet is to prove itself by this.
    pub(crate) proof: AuthMethod,
    /// Client (the puppet, or the victim when it initiates) by EAP.
    pub(crate) eap: bool,
    pub(crate) eap_alone: bool,
    /// It wants a second authentication (RFC 4739): EAP as responder, by a raw key as initiator.
    pub(crate) two: bool,
    pub(crate) methods: Vec<EapMethod>,
    /// What the puppet believes.
    pub(crate) psk: &'static [u8],
    pub(crate) key: &'static [u8],
    pub(crate) password: &'static [u8],
    /// The key that it thinks an EAP server elsewhere has made.
    pub(crate) msk: &'static [u8],
    pub(crate) more: fn(&mut Peer, &mut Config),
}

pub(crate) const PSK: &[u8] = b"a shared secret";
/// The key of an EAP server elsewhere.
pub(crate) const MSK: &[u8] = &[7; 64];
const PASSWORD: &[u8] = b"password";

const NO_PPK: &str = "everything but the mandatory PPK";

fn nothing(_: &mut Peer, _: &mut Config) {}

impl Victim {
    fn new(name: &'static str, initiates: bool, proof: AuthMethod, methods: &[EapMethod]) -> Self {
        Self {
            name,
            initiates,
            proof,
            eap: !methods.is_empty(),
            eap_alone: false,
            two: false,
            methods: methods.to_vec(),
            psk: b"guess",
            key: KEYS[1],
            password: b"guess",
            msk: &[0; 64],
            more: nothing,
        }
    }

    /// Every kind of victim, with a puppet that knows nothing, or too little.
    pub(crate) fn all() -> Vec<Self> {
        use AuthMethod::{Psk, Pubkey};
        use EapMethod::{Gtc, Md5, MsChapV2, Relay};
        let mut all = vec![];
        for initiates in [false, true] {
            all.push(Self::new("psk", initiates, Psk, &[]));
            all.push(Self::new("raw key", initiates, Pubkey, &[]));
            all.push(Self::new("eap", initiates, Psk, &[MsChapV2]));
            let alone = Self::new("eap alone", initiates, Psk, &[MsChapV2]);
            all.push(Self { eap_alone: true, more: |p, _| p.eap.alone = true, ..alone });
            let more: fn(&mut Peer, &mut Config) = |p, _| {
                p.ppk = Some(b"\x02ppk".to_vec());
                p.ppk_required = true;
            };
            all.push(Self { more, psk: PSK, ..Self::new(NO_PPK, initiates, Psk, &[]) });
            let eap = Self::new(NO_PPK, initiates, Psk, &[MsChapV2]);
            all.push(Self { more, psk: PSK, password: PASSWORD, ..eap });
        }
        all.push(Self::new("eap, weak methods", false, Psk, &[Gtc, Md5, MsChapV2]));
        all.push(Self::new("relay", false, Psk, &[Relay]));
        all.push(Self {
            psk: PSK,
            ..Self::new("a server that is proved, without the password", true, Psk, &[MsChapV2])
        });
        let two = Self::new("the first of two authentications, without the second", false, Psk, &[]);
        let more: fn(&mut Peer, &mut Config) = |p, _| {
            p.second.remote = Some((IdPattern::Any, vec![AuthMethod::Eap]));
            p.eap.identity = Some("carol".into());
        };
        all.push(Self { two: true, methods: vec![MsChapV2], psk: PSK, more, ..two });
        let late = Self::new("a responder's first authentication of two, without the second", true, Psk, &[]);
        let more: fn(&mut Peer, &mut Config) = |p, _| {
            let id = Identity::new(IdKind::FQDN, b"again.test".to_vec());
            p.second.remote = Some((IdPattern::Exact(id), vec![AuthMethod::Pubkey]));
        };
        all.push(Self { two: true, psk: PSK, more, ..late });
        all.push(Self { more: |_, c| c.asks = true, ..Self::new("psk with questions", false, Psk, &[]) });
        all
    }

    /// The same with a puppet that knows everything: it must get in.
    pub(crate) fn enlightened(mut self) -> Option<Self> {
        (self.psk, self.key, self.password, self.msk) = (PSK, KEYS[0], PASSWORD, MSK);
        (self.name != NO_PPK).then_some(self)
    }

    /// The endpoint. `crypto` is what it trusts for its algorithms.
    pub(crate) fn side(&self, seed: u64, crypto: Provider) -> Side {
        let mut side = side_with(2, seed, |peer, _, config, db| {
            peer.proposals = proposals();
            peer.mobike = false;
            let key = ravelin_crypto::rustcrypto::provider().signing_key(KEYS[1]).unwrap();
            db.pad.credentials.add("own", Credential::new(vec![], key.into()));
            let peers = ravelin_crypto::rustcrypto::provider().signing_key(KEYS[0]).unwrap();
            peer.raw_keys = vec![peers.public_key().to_vec()];
            (peer.local_auth, peer.remote_auth) = (self.proof, vec![self.proof]);
            if self.eap || self.two {
                db.pad.secrets.add_eap(b"carol".to_vec(), Secret::new(PASSWORD.to_vec()));
                peer.eap.methods = self.methods.clone();
                peer.eap.identity = Some("carol".into());
            }
            if self.eap {
                match self.initiates {
                    true => peer.local_auth = AuthMethod::Eap,
                    false => peer.remote_auth = vec![AuthMethod::Eap],
                }
            }
            db.pad.secrets.add_ppk(b"\x02ppk".to_vec(), Secret::new(b"of another world".to_vec()));
            config.half_open_per_source = 1000;
            (self.more)(peer, config);
            if config.asks {
                db.pad.secrets = Secrets::default();
            }
        });
        let rng = <rand_chacha::ChaCha20Rng as rand_chacha::rand_core::SeedableRng>::seed_from_u64(seed);
        let mut config = Config { half_open_per_source: 1000, ..Config::default() };
        (self.more)(&mut Peer::new("x", ravelin_sa_db::pad::Identity::null(), IdPattern::Any), &mut config);
        side.endpoint = ravelin_ike_proto::Endpoint::new(Arc::new(config), Arc::new(crypto), Box::new(rng));
        side
    }
}
