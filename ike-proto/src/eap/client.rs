//! EAP as client: answers Identity and Notification, takes one allowed method, and believes Success only when that
//! method has come to its end (CVE-2014-2338 and its kind: a server's word alone is never enough).

use super::method::{self, ClientMethod, Kit, Progress, Turn};
use crate::registry::{EapCode, EapType};
use crate::wire::payload::Eap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use ravelin_crypto::{CryptoRng, Provider, Secret};
use ravelin_sa_db::pad::{AkaSource, EapMethod, TtlsInner};

/// What follows a packet of the server.
#[derive(Debug)]
pub enum ClientVerdict {
    /// Our response.
    Reply(Eap),
    /// Done, with the MSK where the method makes one.
    Success(Option<Secret>),
    /// It failed, and why: for the operator.
    Failure(String),
}

/// A client's side of one conversation.
#[derive(Debug)]
pub struct Client {
    allowed: Vec<EapMethod>,
    user: Vec<u8>,
    password: Arc<Secret>,
    /// Nothing but EAP proves the server, so far.
    server_unproved: bool,
    alone: bool,
    running: Option<ClientMethod>,
    kit: Kit,
    rounds: u32,
    over: bool,
}

/// Requests of one conversation.
const MAX_ROUNDS: u32 = 64;

impl Client {
    /// A client of `user`. `alone`: the server may be proved by EAP alone, then only by a mutual method.
    #[must_use]
    pub fn new(allowed: &[EapMethod], user: Vec<u8>, password: Arc<Secret>, alone: bool) -> Self {
        Self {
            allowed: allowed.to_vec(),
            user,
            password,
            server_unproved: true,
            alone,
            running: None,
            kit: Kit { methods: allowed.to_vec(), ..Kit::default() },
            rounds: 0,
            over: false,
        }
    }

    /// What is done inside TTLS.
    #[must_use]
    pub fn with_ttls(mut self, inner: &[TtlsInner]) -> Self {
        self.kit.ttls = inner.to_vec();
        self
    }

    /// The source of AKA's numbers, and the name of the access network.
    #[must_use]
    pub fn with_aka(mut self, source: &Arc<dyn AkaSource>, crypto: &Provider, network: &str) -> Self {
        let (source, network) = (Arc::clone(source), network.as_bytes().to_vec());
        self.kit.aka = Some(super::aka::Means { source, crypto: crypto.clone(), network });
        self
    }

    /// Certificates for TLS and TTLS.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(mut self, settings: super::tls::Settings) -> Self {
        self.kit.tls = Some(Arc::new(settings));
        self
    }

    /// EAP-Success may come now.
    #[cfg(feature = "tls")]
    pub(super) fn may_end(&self) -> bool {
        !self.over && self.running.as_ref().is_some_and(|r| r.outcome().is_some())
    }

    /// The server's AUTH was verified: methods that prove only us may run.
    pub fn server_is_proved(&mut self) {
        self.server_unproved = false;
    }

    fn may_run(&self, method: EapMethod) -> bool {
        // Without proof of the server, and where that is allowed, only a method that proves it.
        !self.server_unproved || (self.alone && method::is_mutual(method))
    }

    /// Takes the server's packet.
    pub fn take(&mut self, packet: &Eap, rng: &mut (dyn CryptoRng + Send)) -> ClientVerdict {
        self.rounds = self.rounds.saturating_add(1);
        if self.over || self.rounds > MAX_ROUNDS {
            return self.fail("EAP goes on after its end".to_string());
        }
        match packet.code() {
            EapCode::REQUEST => self.request(packet, rng),
            EapCode::SUCCESS => match self.running.as_ref().and_then(ClientMethod::outcome) {
                Some(msk) => {
                    self.over = true;
                    ClientVerdict::Success(msk)
                }
                None => self.fail("EAP-Success before the method is done".to_string()),
            },
            EapCode::FAILURE => self.fail("the server says EAP-Failure; usually the password is wrong".to_string()),
            other => self.fail(alloc::format!("EAP code {other} from a server")),
        }
    }

    fn request(&mut self, packet: &Eap, rng: &mut (dyn CryptoRng + Send)) -> ClientVerdict {
        let Some((kind, data)) = packet.kind_and_data() else { return self.fail("EAP request without type".into()) };
        let identifier = packet.identifier();
        match kind {
            EapType::NOTIFICATION => return self.reply(identifier, kind, &[]),
            EapType::IDENTITY if self.running.is_none() => {
                let user = self.user.clone();
                return self.reply(identifier, kind, &user);
            }
            _ => {}
        }
        if self.running.is_none() {
            let method = self.allowed.iter().copied().find(|m| method::number(*m) == Some(kind) && self.may_run(*m));
            let Some(method) = method.and_then(|m| ClientMethod::start(m, &self.kit)) else {
                return self.decline(identifier);
            };
            self.running = Some(method);
        }
        let Some(running) = self.running.as_mut().filter(|r| r.number() == kind) else {
            return self.fail(alloc::format!("the server changes to EAP type {kind} while another runs"));
        };
        let turn = Turn {
            identifier,
            packet: packet.packet(),
            also_prime: self.allowed.contains(&EapMethod::AkaPrime),
            data,
            user: &self.user,
            password: Some(&self.password),
            lookup: &|_| None,
            #[cfg(feature = "tls")]
            tls: self.kit.tls.as_deref(),
            rng,
        };
        match running.take(turn) {
            Progress::Next(data) => self.reply(identifier, kind, &data),
            Progress::Done(_) => self.fail("a client's method cannot end itself".to_string()),
            Progress::Failed(why) => self.fail(why),
        }
    }

    /// Names the methods that we would take (RFC 3748 §5.3.1).
    fn decline(&mut self, identifier: u8) -> ClientVerdict {
        let ours: Vec<u8> =
            self.allowed.iter().filter(|m| self.may_run(**m)).filter_map(|m| method::number(*m)).map(|n| n.0).collect();
        if ours.is_empty() {
            return self.fail("no EAP method is allowed here".to_string());
        }
        self.reply(identifier, EapType::NAK, &ours)
    }

    fn reply(&mut self, identifier: u8, kind: EapType, data: &[u8]) -> ClientVerdict {
        match Eap::method(EapCode::RESPONSE, identifier, kind, data) {
            Ok(packet) => ClientVerdict::Reply(packet),
            Err(e) => self.fail(e.to_string()),
        }
    }

    fn fail(&mut self, why: String) -> ClientVerdict {
        self.over = true;
        self.running = None;
        ClientVerdict::Failure(why)
    }
}
