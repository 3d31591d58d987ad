//! What the puppet may say: every exchange, either direction, any message id, and payloads of every kind, with the values
//! that have opened doors elsewhere. Three letters in four are what an honest peer would say next, made with whatever the
//! puppet knows; so walks come deep.

use crate::puppet::Puppet;
use crate::victims::Victim;
use rand_chacha::rand_core::Rng;
use ravelin_crypto::Secret;
use ravelin_ike_proto::auth::psk;
use ravelin_ike_proto::eap::{Client, ClientVerdict, Server, ServerVerdict};
use ravelin_ike_proto::negotiate;
use ravelin_ike_proto::registry::{
    AuthMethod as Wire, CertEncoding, ConfigAttributeType, ConfigType, EapCode, EapType, ExchangeType, IdType,
    NotifyType, PayloadType, ProtocolId,
};
use ravelin_ike_proto::wire::Header;
use ravelin_ike_proto::wire::payload::{
    Authentication, Certificate, CertificateRequest, ConfigAttribute, Configuration, Delete, Eap, Identification,
    KeyExchange, Nonce, Notify, Payload, TrafficSelectors, Ts, UnknownPayload,
};
use ravelin_sa_db::pad::{AuthMethod, EapMethod};
use ravelin_sa_db::proposal::{Proposal, ProposalProtocol};
use std::sync::Arc;

/// One message, and whether it goes in two fragments.
pub(crate) struct Letter {
    pub(crate) header: Header,
    pub(crate) payloads: Vec<Payload>,
    pub(crate) split: bool,
    pub(crate) clear: bool,
}

/// EAP as the puppet speaks it, with the password that it thinks is right.
#[derive(Default)]
pub(crate) struct Talk {
    client: Option<Client>,
    server: Option<Server>,
    msk: Option<Option<Secret>>,
    begun: bool,
    second: bool,
}

pub(crate) fn fqdn(name: &str) -> Identification {
    Identification::new(IdType::FQDN, name.as_bytes().to_vec())
}

impl Puppet {
    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.rng.next_u32() as usize % of.len()].clone()
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.rng.next_u32().is_multiple_of(n)
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        self.rng.fill_bytes(&mut out);
        out
    }

    /// The next message.
    pub(crate) fn letter(&mut self, victim: &Victim, talk: &mut Talk) -> Letter {
        if !self.one_in(4)
            && let Some(letter) = self.honest(victim, talk)
        {
            return self.bend(letter, victim);
        }
        let exchanges = [
            (ExchangeType::IKE_AUTH, 10),
            (ExchangeType::CREATE_CHILD_SA, 3),
            (ExchangeType::INFORMATIONAL, 3),
            (ExchangeType::IKE_INTERMEDIATE, 2),
            (ExchangeType::IKE_FOLLOWUP_KE, 1),
            (ExchangeType::IKE_SESSION_RESUME, 1),
            (ExchangeType::IKE_SA_INIT, 1),
            (ExchangeType(250), 1),
        ];
        let all: Vec<ExchangeType> = exchanges.iter().flat_map(|(e, n)| vec![*e; *n]).collect();
        let mut exchange = self.pick(&all);
        let response = if self.initiator { self.one_in(6) } else { !self.one_in(4) };
        let mut id = if self.one_in(5) { self.rng.next_u32() % 5 } else { self.next_id };
        if let Some((its, its_id)) = self.heard.request.filter(|_| response && !self.initiator) {
            exchange = if self.one_in(5) { exchange } else { its };
            id = if self.one_in(5) { id } else { its_id };
        }
        let mut header = self.header(exchange, response, id);
        if self.one_in(20) {
            header.flags.0 ^= 1 << (3 + self.rng.next_u32() % 3);
        }
        let n = self.rng.next_u32() % 6;
        let mut payloads: Vec<Payload> = (0..n).map(|_| self.payload(victim)).collect();
        if self.one_in(2) {
            payloads.extend(self.child());
        }
        Letter { header, payloads, split: self.one_in(8), clear: self.one_in(25) }
    }

    /// Sometimes adds, drops or swaps a payload of an honest message, or sends it as something else.
    fn bend(&mut self, mut letter: Letter, victim: &Victim) -> Letter {
        match self.rng.next_u32() % 30 {
            0 if !letter.payloads.is_empty() => {
                let at = self.rng.next_u32() as usize % letter.payloads.len();
                letter.payloads.remove(at);
            }
            1 => {
                let more = self.payload(victim);
                letter.payloads.push(more);
            }
            2 if !letter.payloads.is_empty() => {
                let at = self.rng.next_u32() as usize % letter.payloads.len();
                letter.payloads[at] = self.payload(victim);
            }
            3 => letter.header.message_id = letter.header.message_id.wrapping_add(self.rng.next_u32() % 3),
            4 => {
                letter.header.exchange =
                    self.pick(&[ExchangeType::CREATE_CHILD_SA, ExchangeType::INFORMATIONAL, ExchangeType::IKE_AUTH]);
            }
            _ => {}
        }
        letter
    }

    pub(crate) fn child(&mut self) -> Vec<Payload> {
        let esp = Proposal::parse_list(ProposalProtocol::Esp, "aes128gcm16").unwrap();
        let ts = |n: u8| {
            let (start, end) = ([10, 0, n, 0].into(), [10, 0, n, 255].into());
            TrafficSelectors::new(vec![Ts::Ipv4Range { protocol: 0, start_port: 0, end_port: 65535, start, end }])
        };
        // The victim is node 2; whoever initiated the IKE SA stands on the initiator's side.
        let (i, r) = if self.initiator { (1, 2) } else { (2, 1) };
        let spi = (self.rng.next_u32() | 0x100).to_be_bytes();
        vec![Payload::Sa(negotiate::offer(&esp, &spi)), Payload::TsInitiator(ts(i)), Payload::TsResponder(ts(r))]
    }

    /// What an honest peer with the puppet's knowledge says now; `None` when it would wait.
    fn honest(&mut self, victim: &Victim, talk: &mut Talk) -> Option<Letter> {
        let (header, mut payloads) = if self.initiator {
            (self.header(ExchangeType::IKE_AUTH, false, self.next_id), self.honest_initiator(victim, talk)?)
        } else {
            let (exchange, id) = self.heard.request?;
            let header = self.header(exchange, true, id);
            (header, if exchange == ExchangeType::IKE_AUTH { self.honest_responder(victim, talk)? } else { vec![] })
        };
        let later = victim.two && talk.second;
        if !later
            && payloads.iter().any(|p| matches!(p, Payload::Auth(_)))
            && (!victim.eap || talk.msk.is_some() != self.initiator)
        {
            let child = self.child();
            payloads.extend(child);
        }
        Some(Letter { header, payloads, split: self.one_in(10), clear: false })
    }

    pub(crate) fn honest_initiator(&mut self, victim: &Victim, talk: &mut Talk) -> Option<Vec<Payload>> {
        if !std::mem::replace(&mut talk.begun, true) {
            let id = fqdn("node1.test");
            let mut payloads = vec![Payload::IdInitiator(id.clone())];
            if victim.eap {
                payloads.extend(self.child());
                if self.one_in(2) {
                    payloads.push(Payload::Notify(Notify::new(NotifyType::EAP_ONLY_AUTHENTICATION, vec![])));
                }
            } else {
                payloads.extend(self.proof(victim, &id));
            }
            // Or it would like to be done with one.
            if victim.two && !self.one_in(4) {
                for kind in [NotifyType::MULTIPLE_AUTH_SUPPORTED, NotifyType::ANOTHER_AUTH_FOLLOWS] {
                    payloads.push(Payload::Notify(Notify::new(kind, vec![])));
                }
            }
            return Some(payloads);
        }
        if victim.two && !std::mem::replace(&mut talk.second, true) {
            return Some(vec![Payload::IdInitiator(fqdn("carol"))]);
        }
        let packet = self.heard.payloads.eap()?.clone();
        if victim.methods.contains(&EapMethod::Relay) {
            return self.relayed(victim, talk, &packet);
        }
        let password = Arc::new(Secret::new(victim.password.to_vec()));
        let client = talk.client.get_or_insert_with(|| {
            let mut client = Client::new(&victim.methods, b"carol".to_vec(), password, true);
            client.server_is_proved();
            client
        });
        match client.take(&packet, &mut self.rng) {
            ClientVerdict::Reply(packet) => Some(vec![Payload::Eap(packet)]),
            ClientVerdict::Success(msk) => {
                talk.msk = Some(msk.clone());
                let id = if victim.two { "carol" } else { "node1.test" };
                Some(vec![self.after_eap(&fqdn(id), msk.as_ref())])
            }
            ClientVerdict::Failure(_) => {
                talk.client = None;
                None
            }
        }
    }

    /// What a client says to a server behind the victim: the password to every question, and AUTH by the key that it
    /// thinks was made once the server says Success.
    fn relayed(&mut self, victim: &Victim, talk: &mut Talk, packet: &Eap) -> Option<Vec<Payload>> {
        match packet.code() {
            EapCode::REQUEST => {
                let (kind, _) = packet.kind_and_data()?;
                let answer = Eap::method(EapCode::RESPONSE, packet.identifier(), kind, victim.password).ok()?;
                Some(vec![Payload::Eap(answer)])
            }
            EapCode::SUCCESS => {
                let msk = Secret::new(victim.msk.to_vec());
                let auth = self.after_eap(&fqdn(if victim.two { "carol" } else { "node1.test" }), Some(&msk));
                talk.msk = Some(Some(msk));
                Some(vec![auth])
            }
            _ => None,
        }
    }

    fn honest_responder(&mut self, victim: &Victim, talk: &mut Talk) -> Option<Vec<Payload>> {
        let id = fqdn("node1.test");
        if !std::mem::replace(&mut talk.begun, true) {
            let mut payloads = vec![Payload::IdResponder(id.clone())];
            if !(victim.eap_alone && self.one_in(2)) {
                payloads.extend(self.proof(victim, &id));
            }
            // Or it would like to be done with one.
            if victim.two && !self.one_in(4) {
                payloads.push(Payload::Notify(Notify::new(NotifyType::ANOTHER_AUTH_FOLLOWS, vec![])));
            }
            if victim.eap {
                let (server, packet) = Server::new(&victim.methods, false, &mut self.rng)?;
                talk.server = Some(server);
                payloads.push(Payload::Eap(packet));
            }
            return Some(payloads);
        }
        if victim.two {
            let again = fqdn("again.test");
            let later = Victim { proof: AuthMethod::Pubkey, ..victim.clone() };
            let proof = self.proof(&later, &again);
            return Some([vec![Payload::IdResponder(again)], proof].concat());
        }
        if let Some(msk) = talk.msk.clone().filter(|_| self.heard.payloads.auth().is_some()) {
            return Some(vec![self.after_eap(&id, msk.as_ref())]);
        }
        let packet = self.heard.payloads.eap()?.clone();
        let password = Arc::new(Secret::new(victim.password.to_vec()));
        match talk.server.as_mut()?.take(&packet, &|_| Some(Arc::clone(&password)), &mut self.rng) {
            ServerVerdict::Send(packet) => Some(vec![Payload::Eap(packet)]),
            ServerVerdict::Success(packet, msk) => {
                talk.msk = Some(msk);
                Some(vec![Payload::Eap(packet)])
            }
            // It is a liar, not a server: it goes on with Success.
            ServerVerdict::Failure(_) => {
                talk.msk = Some(None);
                Some(vec![Payload::Eap(Eap::outcome(EapCode::SUCCESS, packet.identifier()))])
            }
        }
    }

    /// AUTH by the key of EAP, or SK_p without one.
    fn after_eap(&mut self, id: &Identification, msk: Option<&Secret>) -> Payload {
        let octets = self.octets(self.initiator, id, self.transcript());
        let own = if self.initiator { self.keys.pi() } else { self.keys.pr() };
        let data = psk::sign(self.prf(), msk.map_or(own, Secret::expose), &[&octets]).expose().to_vec();
        Payload::Auth(Authentication::new(Wire::SHARED_KEY, data))
    }

    /// The best proof that the puppet can make.
    fn proof(&mut self, victim: &Victim, id: &Identification) -> Vec<Payload> {
        let octets = self.octets(self.initiator, id, self.transcript());
        match victim.proof {
            AuthMethod::Pubkey => {
                let key = self.crypto.signing_key(victim.key).unwrap();
                let scheme = key.schemes()[0];
                let signature = key.sign(scheme, &mut self.rng, &[&octets]).unwrap();
                let identifier = scheme.algorithm_identifier().unwrap();
                vec![
                    Payload::Cert(Certificate {
                        encoding: CertEncoding::RAW_PUBLIC_KEY,
                        data: key.public_key().to_vec(),
                    }),
                    Payload::Auth(Authentication::digital_signature(&identifier, &signature).unwrap()),
                ]
            }
            _ => {
                let data = psk::sign(self.prf(), victim.psk, &[&octets]).expose().to_vec();
                vec![Payload::Auth(Authentication::new(Wire::SHARED_KEY, data))]
            }
        }
    }

    /// A payload of any kind, with values that have opened doors.
    fn payload(&mut self, victim: &Victim) -> Payload {
        match self.rng.next_u32() % 20 {
            0 | 1 => Payload::IdInitiator(self.identity()),
            2 | 3 => Payload::IdResponder(self.identity()),
            4..=6 => self.auth(),
            7..=9 => Payload::Eap(self.eap()),
            10 => self.cert(victim),
            11 => {
                let (encoding, data) =
                    (self.pick(&[CertEncoding::X509_SIGNATURE, CertEncoding::OCSP_CONTENT]), self.bytes(20));
                Payload::CertReq(CertificateRequest { encoding, data })
            }
            12..=14 => self.notification(),
            15 => {
                let child = Delete::child(ProtocolId::ESP, &[7]).unwrap();
                Payload::Delete(self.pick(&[Delete::ike(), child]))
            }
            16 => Payload::Ke(KeyExchange::new(ravelin_crypto::KeId::CURVE25519, self.bytes(32))),
            17 => Payload::Nonce(Nonce { data: self.bytes(32) }),
            18 => {
                let kind = self.pick(&[ConfigType::REQUEST, ConfigType::REPLY, ConfigType::SET]);
                let address = ConfigAttribute::new(ConfigAttributeType::INTERNAL_IP4_ADDRESS, vec![10, 0, 1, 9]);
                Payload::Cp(Configuration::new(kind, vec![address]))
            }
            _ => {
                let flags = if self.one_in(2) { 0x80 } else { 0 };
                Payload::Unknown(UnknownPayload { kind: PayloadType(200), flags, body: vec![1, 2, 3] })
            }
        }
    }

    fn identity(&mut self) -> Identification {
        let email = Identification::new(IdType::RFC822_ADDR, b"carol@node1.test".to_vec());
        let null = Identification::new(IdType(13), vec![]);
        self.pick(&[fqdn("node1.test"), fqdn("node1.test"), fqdn("node2.test"), fqdn("carol"), email, null])
    }

    /// AUTH payloads: guessed secrets, keys that everybody has, the victim's own value, empty and random ones.
    fn auth(&mut self) -> Payload {
        let id = self.identity();
        let own = self.initiator;
        let mut secrets = vec![
            Secret::new(vec![]),
            Secret::new(vec![0; 64]),
            Secret::new(b"guess".to_vec()),
            self.keys.pi().into(),
            self.keys.pr().into(),
            self.keys.d().into(),
        ];
        let at = self.rng.next_u32() as usize % secrets.len();
        let secret = secrets.swap_remove(at);
        let as_initiator = if self.one_in(4) { !own } else { own };
        let octets = self.octets(as_initiator, &id, self.transcript());
        let made = psk::sign(self.prf(), secret.expose(), &[&octets]).expose().to_vec();
        let reflected = self.heard.payloads.auth().map(|a| a.data.clone()).unwrap_or_default();
        let random = self.bytes(32);
        let data = self.pick(&[made.clone(), made, reflected, vec![], random]);
        let methods =
            [Wire::SHARED_KEY, Wire::SHARED_KEY, Wire::NULL, Wire::RSA, Wire::ECDSA_256, Wire::DIGITAL_SIGNATURE];
        let mut method = self.pick(&methods);
        if self.one_in(10) {
            method = Wire(self.bytes(1)[0]);
        }
        Payload::Auth(Authentication::new(method, data))
    }

    /// EAP packets of every code and method, right and wrong in shape.
    fn eap(&mut self) -> Eap {
        let last = self.heard.payloads.eap().map_or(1, Eap::identifier);
        let id = if self.one_in(5) { self.bytes(1)[0] } else { last };
        let code =
            self.pick(&[EapCode::REQUEST, EapCode::RESPONSE, EapCode::SUCCESS, EapCode::SUCCESS, EapCode::FAILURE]);
        if code == EapCode::SUCCESS || code == EapCode::FAILURE {
            return Eap::outcome(code, id);
        }
        let random = self.bytes(54);
        let kinds: [(EapType, Vec<u8>); 14] = [
            (EapType::IDENTITY, b"carol".to_vec()),
            (EapType::IDENTITY, b"nobody".to_vec()),
            (EapType::NOTIFICATION, vec![]),
            (EapType::NAK, vec![EapType::MSCHAPV2.0, EapType::GTC.0]),
            (EapType::NAK, vec![0]),
            (EapType::MSCHAPV2, vec![3]),
            (
                EapType::MSCHAPV2,
                [&[3, id, 0, 50], b"S=0000000000000000000000000000000000000000 M=x".as_slice()].concat(),
            ),
            (EapType::MSCHAPV2, vec![4]),
            (EapType::MSCHAPV2, vec![4, id, 0, 4]),
            (EapType::MSCHAPV2, [&[2, id, 0, 59, 49], &random[..49], b"carol"].concat()),
            (EapType::MSCHAPV2, [&[1, id, 0, 22, 16], &random[..16], b"s"].concat()),
            (EapType::GTC, b"guess".to_vec()),
            (EapType::MD5_CHALLENGE, [&[16], &random[..16]].concat()),
            (EapType::TLS, vec![0x20]),
        ];
        let (kind, data) = self.pick(&kinds);
        Eap::method(code, id, kind, &data).unwrap()
    }

    fn cert(&mut self, victim: &Victim) -> Payload {
        let encoding = self.pick(&[
            CertEncoding::X509_SIGNATURE,
            CertEncoding::RAW_PUBLIC_KEY,
            CertEncoding::HASH_URL_X509,
            CertEncoding::CRL,
        ]);
        let own = self.crypto.signing_key(victim.key).unwrap().public_key().to_vec();
        let certificate = include_bytes!("../certs/node1.der").to_vec();
        let data = self.pick(&[own, certificate, vec![], vec![0x30, 0x80]]);
        Payload::Cert(Certificate { encoding, data })
    }

    fn notification(&mut self) -> Payload {
        let kinds = [
            NotifyType::INITIAL_CONTACT,
            NotifyType::EAP_ONLY_AUTHENTICATION,
            NotifyType::MULTIPLE_AUTH_SUPPORTED,
            NotifyType::ANOTHER_AUTH_FOLLOWS,
            NotifyType::PPK_IDENTITY,
            NotifyType::NO_PPK_AUTH,
            NotifyType::REKEY_SA,
            NotifyType::MOBIKE_SUPPORTED,
            NotifyType::UPDATE_SA_ADDRESSES,
            NotifyType::AUTH_LIFETIME,
            NotifyType::AUTHENTICATION_FAILED,
            NotifyType::NO_PROPOSAL_CHOSEN,
            NotifyType::USE_TRANSPORT_MODE,
            NotifyType::SUPPORTED_AUTH_METHODS,
            NotifyType::SET_WINDOW_SIZE,
            NotifyType::COOKIE2,
            NotifyType::ADDITIONAL_KEY_EXCHANGE,
            NotifyType::TICKET_OPAQUE,
        ];
        let kind = self.pick(&kinds);
        let len = self.rng.next_u32() as usize % 5;
        let data = self.bytes(len);
        let made = match self.one_in(4) {
            true => Notify::for_child(kind, ProtocolId::ESP, 7, data),
            false => Notify::new(kind, data),
        };
        Payload::Notify(made)
    }
}
