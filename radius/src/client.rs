//! The client: requests in flight with their retransmissions, the servers in order, EAP conversations and reports.
//! A server that does not answer is passed over for the next; what is in flight there goes to that one.

use crate::accounting::Record;
use crate::attribute::{Attributes, kind, put};
use crate::grant::Grant;
use crate::mppe;
use crate::packet::{self, Packet, code};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use ravelin_crypto::{CryptoRng, Secret};
use ravelin_sa_db::Instant;

/// A server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where access is asked for, usually port 1812.
    pub access: SocketAddr,
    /// Where is reported to, usually port 1813; `None`: nothing is reported.
    pub accounting: Option<SocketAddr>,
    /// The shared secret.
    pub secret: Secret,
}

/// What a client is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// In order of preference.
    pub servers: Vec<Server>,
    /// NAS-Identifier: what we are called.
    pub nas: String,
    /// NAS-IP-Address or NAS-IPv6-Address.
    pub address: Option<IpAddr>,
    /// Wait for an answer; doubled after each try.
    pub timeout: Duration,
    /// Tries per server.
    pub tries: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            nas: "ravelin".to_string(),
            address: None,
            timeout: Duration::from_secs(2),
            tries: 3,
        }
    }
}

/// Names a conversation: whoever uses the client chooses it, the IKE SA's number say.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Token(pub u64);

/// What comes of an EAP packet.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    /// The server's next packet for the client.
    Challenge(Vec<u8>),
    /// The client is let in.
    Accept {
        /// EAP-Success.
        packet: Vec<u8>,
        /// The key, where the method makes one.
        msk: Option<Secret>,
        /// What else the server grants.
        grant: Grant,
    },
    /// The client is refused; with the server's EAP packet if it sent one, and its words for the operator.
    Reject(Option<Vec<u8>>, String),
    /// No server answers.
    Silence,
}

/// What the client wants from the world.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// A datagram.
    Transmit(SocketAddr, Vec<u8>),
    /// What became of a conversation's packet.
    Answer(Token, Answer),
    /// A report that no server took: its session.
    Unreported(String),
}

/// What was counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Requests sent, without repetitions.
    pub requests: u64,
    /// Repetitions.
    pub repeated: u64,
    /// Answers that were taken.
    pub answers: u64,
    /// Datagrams that were no answer: malformed, of nobody, or with a wrong authenticator.
    pub dropped: u64,
}

/// Conversations and reports at once; more are refused.
const MAX_PENDING: usize = 4096;
/// Octets of EAP in one attribute.
const PIECE: usize = 253;

#[derive(Clone, Debug)]
enum Purpose {
    Access(Token),
    Report(String),
}

#[derive(Debug)]
struct Pending {
    purpose: Purpose,
    /// Attributes without authenticators, to be made anew for another server.
    attributes: Vec<u8>,
    server: usize,
    to: SocketAddr,
    authenticator: [u8; 16],
    datagram: Vec<u8>,
    tries: u32,
    due: Instant,
}

/// A RADIUS client.
#[derive(Debug)]
pub struct Client {
    config: Config,
    /// By server and identifier.
    pending: BTreeMap<(SocketAddr, u8), Pending>,
    /// State of each conversation (RFC 2865 §5.24), and the server that gave it.
    states: BTreeMap<Token, (usize, Vec<u8>)>,
    next_identifier: u8,
    current: usize,
    out: VecDeque<Output>,
    counters: Counters,
}

impl Client {
    /// A client.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            pending: BTreeMap::new(),
            states: BTreeMap::new(),
            next_identifier: 0,
            current: 0,
            out: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Carries an EAP packet of a client. `user` is EAP-Identity, `calling` where the client is. The answer comes as
    /// [`Output::Answer`]; one packet of a conversation is under way at a time.
    pub fn eap(
        &mut self,
        now: Instant,
        token: Token,
        user: &[u8],
        calling: &str,
        packet: &[u8],
        rng: &mut dyn CryptoRng,
    ) {
        let mut attributes = Vec::new();
        put(&mut attributes, kind::USER_NAME, user);
        self.about_us(&mut attributes);
        // Framed; Virtual.
        put(&mut attributes, kind::SERVICE_TYPE, &2u32.to_be_bytes());
        put(&mut attributes, kind::NAS_PORT_TYPE, &5u32.to_be_bytes());
        put(&mut attributes, kind::CALLING_STATION_ID, calling.as_bytes());
        packet.chunks(PIECE).for_each(|piece| put(&mut attributes, kind::EAP_MESSAGE, piece));
        let mut server = self.current;
        if let Some((of, state)) = self.states.remove(&token) {
            server = of;
            put(&mut attributes, kind::STATE, &state);
        }
        self.start(now, Purpose::Access(token), attributes, server, rng);
    }

    /// Forgets a conversation: the IKE SA is gone.
    pub fn forget(&mut self, token: Token) {
        self.states.remove(&token);
        self.pending.retain(|_, p| !matches!(p.purpose, Purpose::Access(t) if t == token));
    }

    /// Reports.
    pub fn account(&mut self, now: Instant, record: &Record, rng: &mut dyn CryptoRng) {
        let mut attributes = record.attributes();
        self.about_us(&mut attributes);
        let reports = |s: &Server| s.accounting.is_some();
        let at = self.config.servers.iter().skip(self.current).position(reports);
        let Some(server) = at.map(|n| n.saturating_add(self.current)) else { return };
        self.start(now, Purpose::Report(record.session.clone()), attributes, server, rng);
    }

    fn about_us(&self, attributes: &mut Vec<u8>) {
        put(attributes, kind::NAS_IDENTIFIER, self.config.nas.as_bytes());
        match self.config.address {
            Some(IpAddr::V4(a)) => put(attributes, kind::NAS_IP_ADDRESS, &a.octets()),
            Some(IpAddr::V6(a)) => put(attributes, kind::NAS_IPV6_ADDRESS, &a.octets()),
            None => {}
        }
    }

    /// Sends a request to a server, or says that it is lost.
    fn start(&mut self, now: Instant, purpose: Purpose, attributes: Vec<u8>, server: usize, rng: &mut dyn CryptoRng) {
        let Some(made) = self.make(now, &purpose, &attributes, server, rng) else { return self.lost(purpose) };
        let (key, pending) = made;
        self.counters.requests = self.counters.requests.saturating_add(1);
        self.out.push_back(Output::Transmit(pending.to, pending.datagram.clone()));
        self.pending.insert(key, pending);
    }

    fn make(
        &mut self,
        now: Instant,
        purpose: &Purpose,
        attributes: &[u8],
        server: usize,
        rng: &mut dyn CryptoRng,
    ) -> Option<((SocketAddr, u8), Pending)> {
        let of = self.config.servers.get(server)?;
        let to = match purpose {
            Purpose::Access(_) => of.access,
            Purpose::Report(_) => of.accounting?,
        };
        if self.pending.len() >= MAX_PENDING {
            return None;
        }
        let free = |id: &u8| !self.pending.contains_key(&(to, *id));
        let identifier = (0..=u8::MAX).map(|n| self.next_identifier.wrapping_add(n)).find(free)?;
        self.next_identifier = identifier.wrapping_add(1);
        let (datagram, authenticator) = match purpose {
            Purpose::Access(_) => {
                let mut authenticator = [0; 16];
                rng.fill_bytes(&mut authenticator);
                (packet::access_request(identifier, &authenticator, attributes, &of.secret)?, authenticator)
            }
            Purpose::Report(_) => packet::accounting_request(identifier, attributes, &of.secret)?,
        };
        let pending = Pending {
            purpose: purpose.clone(),
            attributes: attributes.to_vec(),
            server,
            to,
            authenticator,
            datagram,
            tries: 1,
            due: now + self.config.timeout,
        };
        Some(((to, identifier), pending))
    }

    fn lost(&mut self, purpose: Purpose) {
        self.out.push_back(match purpose {
            Purpose::Access(token) => Output::Answer(token, Answer::Silence),
            Purpose::Report(session) => Output::Unreported(session),
        });
    }

    /// Takes a datagram of a server.
    pub fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8]) {
        let taken = Packet::parse(datagram).and_then(|p| self.take(from, p));
        let counter = if taken.is_some() { &mut self.counters.answers } else { &mut self.counters.dropped };
        *counter = counter.saturating_add(1);
    }

    fn take(&mut self, from: SocketAddr, packet: Packet<'_>) -> Option<()> {
        let key = (from, packet.identifier);
        let pending = self.pending.get(&key)?;
        let secret = self.config.servers.get(pending.server)?.secret.clone();
        let fits = match pending.purpose {
            Purpose::Access(_) => {
                matches!(packet.code, code::ACCESS_ACCEPT | code::ACCESS_REJECT | code::ACCESS_CHALLENGE)
            }
            Purpose::Report(_) => packet.code == code::ACCOUNTING_RESPONSE,
        };
        if !fits || !packet.answers(&pending.authenticator, &secret) {
            return None;
        }
        let pending = self.pending.remove(&key)?;
        self.current = pending.server;
        if let Purpose::Access(token) = pending.purpose {
            let answer = self.read(token, &pending, packet, &secret);
            self.out.push_back(Output::Answer(token, answer));
        }
        Some(())
    }

    fn read(&mut self, token: Token, pending: &Pending, packet: Packet<'_>, secret: &Secret) -> Answer {
        let eap: Vec<u8> = packet.attributes.all(kind::EAP_MESSAGE).flatten().copied().collect();
        let said = words(packet.attributes);
        match packet.code {
            code::ACCESS_CHALLENGE if !eap.is_empty() => {
                if let Some(state) = packet.attributes.first(kind::STATE) {
                    self.states.insert(token, (pending.server, state.to_vec()));
                }
                Answer::Challenge(eap)
            }
            // An Accept around anything but EAP-Success lets nobody in (RFC 3579 §2.6.3).
            code::ACCESS_ACCEPT if eap.first() == Some(&3) => Answer::Accept {
                packet: eap,
                msk: mppe::msk(packet.attributes, secret, &pending.authenticator),
                grant: Grant::read(packet.attributes),
            },
            code::ACCESS_REJECT => {
                let eap = Some(eap).filter(|e| e.first() == Some(&4));
                Answer::Reject(eap, if said.is_empty() { "the RADIUS server refuses".to_string() } else { said })
            }
            _ => Answer::Reject(None, "the RADIUS server's answer carries no fitting EAP packet".to_string()),
        }
    }

    /// Repeats what is due.
    pub fn handle_timeout(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        let due: Vec<(SocketAddr, u8)> = self.pending.iter().filter(|(_, p)| p.due <= now).map(|(k, _)| *k).collect();
        for key in due {
            let Some(mut pending) = self.pending.remove(&key) else { continue };
            if pending.tries < self.config.tries {
                let wait = self.config.timeout.saturating_mul(1u32.checked_shl(pending.tries).unwrap_or(u32::MAX));
                pending.tries = pending.tries.saturating_add(1);
                pending.due = now + wait;
                self.counters.repeated = self.counters.repeated.saturating_add(1);
                self.out.push_back(Output::Transmit(pending.to, pending.datagram.clone()));
                self.pending.insert(key, pending);
                continue;
            }
            // A conversation under way cannot be taken to another server: that one knows nothing of it.
            let next = pending.server.saturating_add(1);
            let bound = Attributes::parse(&pending.attributes).is_some_and(|a| a.first(kind::STATE).is_some());
            match self.config.servers.get(next) {
                Some(_) if !bound => self.start(now, pending.purpose, pending.attributes, next, rng),
                _ => {
                    self.current = 0;
                    self.lost(pending.purpose);
                }
            }
        }
    }

    /// When to call [`Client::handle_timeout`].
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.pending.values().map(|p| p.due).min()
    }

    /// What it wants next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }
}

/// Reply-Message, printable.
fn words(attributes: Attributes<'_>) -> String {
    let all: Vec<u8> = attributes.all(kind::REPLY_MESSAGE).flatten().copied().collect();
    String::from_utf8_lossy(&all).chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests;
