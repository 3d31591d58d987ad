//! A peer without credentials that keeps to nothing: it makes a real IKE_SA_INIT, so that its messages open, and then
//! says whatever it is told to. Built from the rooms below `exchange`, so that no state machine of ours stands behind it.

use crate::endpoints::Side;
use rand_chacha::{ChaCha20Rng, rand_core::Rng, rand_core::SeedableRng};
use ravelin_crypto::{KeId, PrfId, Provider};
use ravelin_ike_proto::auth::signed_octets::SignedOctets;
use ravelin_ike_proto::exchange::IkeSuite;
use ravelin_ike_proto::keys::sk_schedule::{Seeds, SkKeys, skeyseed};
use ravelin_ike_proto::negotiate;
use ravelin_ike_proto::registry::{ExchangeType, NotifyType, PayloadType};
use ravelin_ike_proto::seal::{self, DirectionKeys};
use ravelin_ike_proto::wire::message::{begin_protected, decode_payloads, encode_clear, encode_payloads};
use ravelin_ike_proto::wire::payload::{
    Fragment, Identification, KeyExchange, Nonce, Notify, Payload, SecurityAssociation,
};
use ravelin_ike_proto::wire::{Envelope, Flags, Header, IkeSpi, Payloads};
use ravelin_sa_db::Path;
use ravelin_sa_db::proposal::{Proposal, ProposalProtocol};

/// The IKE suite of every walk: cheap, and in the default offers.
pub(crate) const SUITE: &str = "aes128gcm16-prfsha256-x25519";

/// What the victim said last.
#[derive(Default)]
pub(crate) struct Heard {
    /// Its request that waits for an answer.
    pub(crate) request: Option<(ExchangeType, u32)>,
    /// Payloads of its last message that opened.
    pub(crate) payloads: Payloads,
    /// What stood beside the sealed part.
    pub(crate) clear: Vec<Payload>,
}

pub(crate) struct Puppet {
    pub(crate) rng: ChaCha20Rng,
    pub(crate) crypto: Provider,
    /// Initiator of the IKE SA.
    pub(crate) initiator: bool,
    pub(crate) spi_i: u64,
    pub(crate) spi_r: u64,
    suite: IkeSuite,
    pub(crate) keys: SkKeys,
    message1: Vec<u8>,
    message2: Vec<u8>,
    ni: Vec<u8>,
    nr: Vec<u8>,
    sealed: u64,
    /// Next id of a request of ours.
    pub(crate) next_id: u32,
    pub(crate) heard: Heard,
    pub(crate) now: u64,
}

pub(crate) fn proposals() -> Vec<Proposal> {
    Proposal::parse_list(ProposalProtocol::Ike, SUITE).unwrap()
}

fn notify(kind: NotifyType, data: Vec<u8>) -> Payload {
    Payload::Notify(Notify::new(kind, data))
}

/// Notifies of IKE_SA_INIT that open doors: some of them, at random.
fn extensions(rng: &mut ChaCha20Rng) -> Vec<Payload> {
    let kinds = [
        NotifyType::INTERMEDIATE_EXCHANGE_SUPPORTED,
        NotifyType::USE_PPK,
        NotifyType::USE_PPK_INT,
        NotifyType::IKEV2_FRAGMENTATION_SUPPORTED,
        NotifyType::CHILDLESS_IKEV2_SUPPORTED,
        NotifyType::IKE_SA_INIT_FULL_TRANSCRIPT_AUTH,
    ];
    let mut out: Vec<Payload> =
        kinds.iter().filter(|_| rng.next_u32().is_multiple_of(2)).map(|k| notify(*k, vec![])).collect();
    out.push(notify(NotifyType::SIGNATURE_HASH_ALGORITHMS, vec![0, 2, 0, 3, 0, 4, 0, 5]));
    out
}

impl Puppet {
    /// As initiator against `victim`: IKE_SA_INIT is done.
    pub(crate) fn initiate(victim: &mut Side, seed: u64, now: u64) -> Self {
        let crypto = ravelin_crypto::rustcrypto::provider();
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let (secret, public) = crypto.ke(KeId::CURVE25519).unwrap().initiate(&mut rng).unwrap();
        let mut ni = vec![0; 32];
        rng.fill_bytes(&mut ni);
        let spi_i = rng.next_u64() | 1;
        let mut draft = vec![
            Payload::Sa(negotiate::offer(&proposals(), &[])),
            Payload::Ke(KeyExchange::new(KeId::CURVE25519, public)),
            Payload::Nonce(Nonce { data: ni.clone() }),
        ];
        draft.extend(extensions(&mut rng));
        let header = Header::new(IkeSpi(spi_i), IkeSpi(0), ExchangeType::IKE_SA_INIT, Flags::new(true, false), 0);
        let mut message1 = encode_clear(&header, &draft).unwrap();
        victim.take(now, path(), &message1);
        let mut message2 = sent(victim).pop().expect("an answer to IKE_SA_INIT");
        let cookie = Envelope::parse(&message2).unwrap().clear.notify(NotifyType::COOKIE).map(|n| n.data.clone());
        if let Some(cookie) = cookie {
            draft.insert(0, notify(NotifyType::COOKIE, cookie));
            message1 = encode_clear(&header, &draft).unwrap();
            victim.take(now, path(), &message1);
            message2 = sent(victim).pop().expect("an answer to the cookie");
        }
        let answer = Envelope::parse(&message2).unwrap();
        let (sa, ke, nonce) = (answer.clear.sa(), answer.clear.ke(), answer.clear.nonce());
        let (sa, ke, nonce) = (sa.expect("SA"), ke.expect("KE"), nonce.expect("Nonce"));
        let chosen = negotiate::verify_answer(&proposals(), sa).unwrap();
        let suite = IkeSuite::resolve(&crypto, &chosen).unwrap();
        let shared = secret.finish(&ke.data).unwrap();
        let spi_r = answer.header.responder_spi.0;
        let keys = derive(&suite, &ni, &nonce.data, &shared, spi_i, spi_r);
        let nr = nonce.data.clone();
        Self {
            rng,
            crypto,
            initiator: true,
            spi_i,
            spi_r,
            suite,
            keys,
            message1,
            message2,
            ni,
            nr,
            sealed: 0,
            next_id: 1,
            heard: Heard::default(),
            now,
        }
    }

    /// As responder to `victim`, which has just been told to initiate: IKE_SA_INIT is done.
    pub(crate) fn respond(victim: &mut Side, seed: u64, now: u64) -> Self {
        Self::respond_as(victim, seed, now, |_, spi_r| spi_r, vec![])
    }

    /// The same with an SPI chosen by the initiator's and a random one, and with more payloads.
    pub(crate) fn respond_as(
        victim: &mut Side,
        seed: u64,
        now: u64,
        spi: impl FnOnce(u64, u64) -> u64,
        more: Vec<Payload>,
    ) -> Self {
        let crypto = ravelin_crypto::rustcrypto::provider();
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let message1 = sent(victim).pop().expect("an IKE_SA_INIT request");
        let request = Envelope::parse(&message1).unwrap();
        let (sa, ke, nonce) = (request.clear.sa(), request.clear.ke(), request.clear.nonce());
        let (sa, ke, ni) = (sa.expect("SA"), ke.expect("KE"), nonce.expect("Nonce").data.clone());
        let chosen = negotiate::choose(&proposals(), sa, Some(ke.method), true).unwrap();
        let suite = IkeSuite::resolve(&crypto, &chosen).unwrap();
        let (public, shared) = crypto.ke(KeId::CURVE25519).unwrap().respond(&mut rng, &ke.data).unwrap();
        let mut nr = vec![0; 32];
        rng.fill_bytes(&mut nr);
        let spi_i = request.header.initiator_spi.0;
        let spi_r = spi(spi_i, rng.next_u64() | 1);
        let mut draft = vec![
            Payload::Sa(SecurityAssociation::new(vec![chosen.answer.clone()])),
            Payload::Ke(KeyExchange::new(KeId::CURVE25519, public)),
            Payload::Nonce(Nonce { data: nr.clone() }),
        ];
        draft.extend(extensions(&mut rng));
        draft.push(notify(NotifyType::MULTIPLE_AUTH_SUPPORTED, vec![]));
        draft.extend(more);
        let header = Header::new(IkeSpi(spi_i), IkeSpi(spi_r), ExchangeType::IKE_SA_INIT, Flags::new(false, true), 0);
        let message2 = encode_clear(&header, &draft).unwrap();
        let keys = derive(&suite, &ni, &nr, &shared, spi_i, spi_r);
        let mut puppet = Self {
            rng,
            crypto,
            initiator: false,
            spi_i,
            spi_r,
            suite,
            keys,
            message1,
            message2: message2.clone(),
            ni,
            nr,
            sealed: 0,
            next_id: 0,
            heard: Heard::default(),
            now,
        };
        victim.take(now, path(), &message2);
        puppet.listen(victim);
        puppet
    }

    /// What `initiator` (or the responder) signs with this ID.
    pub(crate) fn octets(&self, initiator: bool, id: &Identification, transcript: bool) -> Vec<u8> {
        let mut rest_of_id = Vec::new();
        id.emit(&mut rest_of_id);
        let (real_message, other, nonce, sk_p) = if initiator {
            (&self.message1, &self.message2, &self.nr, self.keys.pi())
        } else {
            (&self.message2, &self.message1, &self.ni, self.keys.pr())
        };
        let other_message = transcript.then_some(other.as_slice());
        SignedOctets { real_message, other_message, nonce, sk_p, rest_of_id: &rest_of_id, int_auth: &[] }
            .bytes(self.suite.prf)
    }

    pub(crate) fn prf(&self) -> &'static dyn ravelin_crypto::prf::Prf {
        self.crypto.prf(PrfId::HMAC_SHA2_256).unwrap()
    }

    /// Both said IKE_SA_INIT_FULL_TRANSCRIPT_AUTH.
    pub(crate) fn transcript(&self) -> bool {
        self.both_said(NotifyType::IKE_SA_INIT_FULL_TRANSCRIPT_AUTH)
    }

    /// Both messages of IKE_SA_INIT have this notify.
    pub(crate) fn both_said(&self, kind: NotifyType) -> bool {
        let has = |m: &[u8]| Envelope::parse(m).is_ok_and(|e| e.clear.notify(kind).is_some());
        has(&self.message1) && has(&self.message2)
    }

    /// The responder's nonce.
    pub(crate) fn nonce_r(&self) -> &[u8] {
        &self.nr
    }

    /// The first message of the IKE SA.
    pub(crate) fn opening(&self) -> &[u8] {
        &self.message1
    }

    pub(crate) fn header(&self, exchange: ExchangeType, response: bool, id: u32) -> Header {
        Header::new(IkeSpi(self.spi_i), IkeSpi(self.spi_r), exchange, Flags::new(self.initiator, response), id)
    }

    /// Seals; in two fragments when `split`.
    pub(crate) fn sealed(&mut self, header: &Header, payloads: &[Payload], split: bool) -> Vec<Vec<u8>> {
        let Ok((first, inner)) = encode_payloads(payloads) else { return vec![] };
        let keys = if self.initiator { (self.keys.ei(), self.keys.ai()) } else { (self.keys.er(), self.keys.ar()) };
        let alg = self.suite.seal;
        let (head, tail) = inner.split_at(inner.len() / 2);
        let pieces: Vec<(PayloadType, Option<Fragment>, &[u8])> = match split {
            false => vec![(first, None, &inner)],
            true => vec![
                (first, Some(Fragment { number: 1, total: 2 }), head),
                (PayloadType::NONE, Some(Fragment { number: 2, total: 2 }), tail),
            ],
        };
        let mut out = vec![];
        for (first, fragment, inner) in pieces {
            let mut message = begin_protected(header, &[], first, fragment, seal::body_len(&alg, inner.len())).unwrap();
            self.sealed += 1;
            let directed = DirectionKeys { encr: keys.0, integ: keys.1 };
            seal::seal(&alg, directed, &self.sealed.to_be_bytes(), &mut message, inner).unwrap();
            out.push(message);
        }
        out
    }

    /// Delivers one datagram and reads the answer.
    pub(crate) fn deliver(&mut self, victim: &mut Side, message: &[u8]) {
        self.now += 1000;
        victim.take(self.now, path(), message);
        self.listen(victim);
    }

    /// Seals and delivers; in two fragments when `split`.
    pub(crate) fn say(&mut self, victim: &mut Side, header: &Header, payloads: &[Payload], split: bool) {
        for message in self.sealed(header, payloads, split) {
            self.now += 1000;
            victim.take(self.now, path(), &message);
        }
        self.listen(victim);
    }

    /// Says something without protection.
    pub(crate) fn shout(&mut self, victim: &mut Side, header: &Header, payloads: &[Payload]) {
        let Ok(message) = encode_clear(header, payloads) else { return };
        self.now += 1000;
        victim.take(self.now, path(), &message);
        self.listen(victim);
    }

    /// Reads what the victim has sent.
    pub(crate) fn listen(&mut self, victim: &mut Side) {
        for mut message in sent(victim) {
            let Ok(envelope) = Envelope::parse(&message) else { continue };
            let Some(part) = &envelope.protected else { continue };
            if part.fragment.is_some() {
                continue;
            }
            let keys = if self.initiator { (self.keys.er(), self.keys.ar()) } else { (self.keys.ei(), self.keys.ai()) };
            let directed = DirectionKeys { encr: keys.0, integ: keys.1 };
            let Ok(plain) = seal::open(&self.suite.seal, directed, &mut message, part.body.start) else { continue };
            let Ok(payloads) = decode_payloads(part.first, plain) else { continue };
            let header = envelope.header;
            if header.is_response() {
                if header.message_id == self.next_id {
                    self.next_id += 1;
                }
            } else {
                self.heard.request = Some((header.exchange, header.message_id));
            }
            self.heard.payloads = payloads;
            self.heard.clear = envelope.clear.iter().cloned().collect();
        }
    }
}

fn derive(suite: &IkeSuite, ni: &[u8], nr: &[u8], shared: &ravelin_crypto::Secret, spi_i: u64, spi_r: u64) -> SkKeys {
    let seed = skeyseed(suite.prf, ni, nr, shared);
    SkKeys::derive(suite.prf, suite.key_lengths(), &seed, Seeds { ni, nr, spi_i, spi_r }).unwrap()
}

/// As [`Side::take`] wants it: from the sender's view.
pub(crate) fn path() -> Path {
    Path { local: "192.0.2.1:500".parse().unwrap(), remote: "192.0.2.2:500".parse().unwrap() }
}

/// What the victim has sent since, without marker; its changes and events are kept.
fn sent(victim: &mut Side) -> Vec<Vec<u8>> {
    let mut wire = Vec::new();
    victim.drain(&mut wire);
    let bare = |(path, bytes): (Path, Vec<u8>)| bytes[if path.local.port() == 4500 { 4 } else { 0 }..].to_vec();
    wire.into_iter().map(bare).collect()
}
