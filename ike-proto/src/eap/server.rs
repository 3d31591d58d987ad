//! EAP as server: Identity, then the first method that the client does not decline, then Success or Failure. Packets
//! must be responses to our last request; IKE delivers reliably, so nothing else is waited for.

use super::method::{self, Kit, Progress, ServerMethod, Turn};
use crate::registry::{EapCode, EapType};
use crate::wire::payload::Eap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use ravelin_crypto::{CryptoRng, Provider, Secret};
use ravelin_sa_db::pad::{AkaSource, EapMethod, TtlsInner};

/// What follows a packet of the client.
#[derive(Debug)]
pub enum ServerVerdict {
    /// The next request.
    Send(Eap),
    /// EAP-Success, with the MSK where the method makes one.
    Success(Eap, Option<Secret>),
    /// It failed, and why: for the operator.
    Failure(String),
}

/// A server's side of one conversation.
#[derive(Debug)]
pub struct Server {
    methods: Vec<EapMethod>,
    identifier: u8,
    user: Vec<u8>,
    /// Nobody else is let in.
    only: Option<Vec<u8>>,
    kit: Kit,
    rounds: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The Identity request is out.
    Identity,
    /// A method runs; true until the client answered its first request.
    Method(ServerMethod, bool),
    /// Nothing more is taken.
    Over,
}

/// Requests of one conversation.
const MAX_ROUNDS: u32 = 64;
/// Octets of a user's name.
const MAX_USER: usize = 253;

impl Server {
    /// Starts with an Identity request. `alone` leaves only the methods that EAP alone may be. `None`: no method is
    /// left.
    pub fn new(methods: &[EapMethod], alone: bool, rng: &mut (dyn CryptoRng + Send)) -> Option<(Self, Eap)> {
        let fits = |m: &EapMethod| method::number(*m).is_some() && (!alone || method::is_mutual(*m));
        let methods: Vec<EapMethod> = methods.iter().copied().filter(fits).collect();
        if methods.is_empty() {
            return None;
        }
        let mut first = [0];
        rng.fill_bytes(&mut first);
        let [identifier] = first;
        let request = Eap::method(EapCode::REQUEST, identifier, EapType::IDENTITY, &[]).ok()?;
        Some((Self::in_wait(methods, identifier), request))
    }

    fn in_wait(methods: Vec<EapMethod>, identifier: u8) -> Self {
        let kit = Kit { methods: methods.clone(), ..Kit::default() };
        Self { methods, identifier, user: Vec::new(), only: None, kit, rounds: 0, state: State::Identity }
    }

    /// As if the Identity request were out already: inside TTLS.
    #[cfg(feature = "tls")]
    pub(super) fn asked(methods: &[EapMethod], identifier: u8) -> Option<Self> {
        (!methods.is_empty()).then(|| Self::in_wait(methods.to_vec(), identifier))
    }

    /// Lets in this user only.
    #[must_use]
    pub fn with_user(mut self, user: &[u8]) -> Self {
        self.only = Some(user.to_vec());
        self
    }

    /// What may be done inside TTLS.
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

    /// The user, as far as it is known, printable.
    #[must_use]
    pub fn user(&self) -> Option<String> {
        let shown = String::from_utf8_lossy(&self.user).chars().filter(|c| !c.is_control()).collect();
        (!self.user.is_empty()).then_some(shown)
    }

    /// Takes the client's packet. `password` finds a user's password.
    pub fn take(
        &mut self,
        packet: &Eap,
        password: &dyn Fn(&[u8]) -> Option<Arc<Secret>>,
        rng: &mut (dyn CryptoRng + Send),
    ) -> ServerVerdict {
        self.rounds = self.rounds.saturating_add(1);
        let state = core::mem::replace(&mut self.state, State::Over);
        let answers = packet.code() == EapCode::RESPONSE && packet.identifier() == self.identifier;
        let Some((kind, data)) = packet.kind_and_data().filter(|_| answers && self.rounds <= MAX_ROUNDS) else {
            return ServerVerdict::Failure("the packet is no response to our request (RFC 3748 4.1)".to_string());
        };
        match state {
            State::Identity if kind == EapType::IDENTITY && data.len() <= MAX_USER => {
                self.user = data.to_vec();
                if self.only.as_ref().is_some_and(|only| only.as_slice() != data) {
                    return ServerVerdict::Failure("this user is not the one that this peer may be".to_string());
                }
                self.start(0, rng)
            }
            State::Method(running, true) if kind == EapType::NAK => {
                let wanted = |m: &EapMethod| method::number(*m).is_some_and(|n| data.contains(&n.0));
                let other = self.methods.iter().position(|m| wanted(m) && method::number(*m) != Some(running.number()));
                match other {
                    Some(at) => {
                        // Declined once: what stood before it is not offered again.
                        self.methods.drain(..at);
                        self.methods.truncate(1);
                        self.start(0, rng)
                    }
                    None => ServerVerdict::Failure(alloc::format!("the client declines {:?}", self.methods)),
                }
            }
            State::Method(mut running, _) if kind == running.number() => {
                let found = password(&self.user);
                let identifier = self.identifier;
                let only = self.only.as_deref();
                let lookup = |user: &[u8]| only.is_none_or(|o| o == user).then(|| password(user)).flatten();
                let turn = Turn {
                    identifier,
                    packet: packet.packet(),
                    also_prime: false,
                    data,
                    user: &self.user,
                    password: found.as_deref(),
                    lookup: &lookup,
                    #[cfg(feature = "tls")]
                    tls: None,
                    rng,
                };
                match running.take(turn) {
                    Progress::Next(data) => {
                        let number = running.number();
                        self.state = State::Method(running, false);
                        self.request(number, &data)
                    }
                    Progress::Done(msk) => ServerVerdict::Success(Eap::outcome(EapCode::SUCCESS, self.identifier), msk),
                    Progress::Failed(why) => ServerVerdict::Failure(why),
                }
            }
            _ => ServerVerdict::Failure(alloc::format!("EAP type {kind} is not what was asked for")),
        }
    }

    fn start(&mut self, at: usize, rng: &mut (dyn CryptoRng + Send)) -> ServerVerdict {
        let next = self.identifier.wrapping_add(1);
        let method = self.methods.get(at).copied().ok_or_else(|| "no usable method".to_string());
        let (running, data) = match method.and_then(|m| ServerMethod::start(m, next, &self.user, &self.kit, rng)) {
            Ok(started) => started,
            Err(why) => return ServerVerdict::Failure(why),
        };
        let number = running.number();
        self.state = State::Method(running, true);
        self.request(number, &data)
    }

    fn request(&mut self, kind: EapType, data: &[u8]) -> ServerVerdict {
        self.identifier = self.identifier.wrapping_add(1);
        match Eap::method(EapCode::REQUEST, self.identifier, kind, data) {
            Ok(packet) => ServerVerdict::Send(packet),
            Err(e) => ServerVerdict::Failure(e.to_string()),
        }
    }
}
