//! EAP by RADIUS: between the node's questions (`Ask::Eap`), the client of `ravelin-radius`, and a UDP socket. A session
//! is reported when its IKE SA comes up, from time to time, and when it ends; its octets are those of the last look at
//! the Child SAs, which is at most [`LOOK`] old.

use ravelin::crypto::CryptoRng;
use ravelin::db::{Instant, Now};
use ravelin::ike::ask::{Answer, Ask, Granted, Ticket};
use ravelin::{Event, IkeSaId, Node, Reason};
use ravelin_config::Radius as Section;
use ravelin_radius::{Cause, Client, Config, Grant, Kind, Output, Record, Server, Token};
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

/// How often counters are looked at while there are sessions.
const LOOK: Duration = Duration::from_secs(10);
/// Interim reports, unless the server says otherwise.
const INTERIM: Duration = Duration::from_secs(600);

/// A conversation: the question that waits, and who asks.
#[derive(Default)]
struct Talk {
    ticket: Option<Ticket>,
    user: Vec<u8>,
    calling: String,
    grant: Option<Grant>,
}

/// A client that was let in.
struct Session {
    record: Record,
    since: Instant,
    interim: Duration,
    next: Instant,
}

/// The RADIUS side of the daemon.
pub(crate) struct Radius {
    client: Client,
    socket: UdpSocket,
    rng: Box<dyn CryptoRng + Send>,
    talks: BTreeMap<u64, Talk>,
    sessions: BTreeMap<IkeSaId, Session>,
    look: Instant,
    /// Tells sessions of this run from those of others.
    run: u32,
}

impl Radius {
    pub(crate) fn open(servers: &[Section], mut rng: Box<dyn CryptoRng + Send>) -> io::Result<Option<Self>> {
        let Some(first) = servers.first() else { return Ok(None) };
        let any: SocketAddr = match first.access {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.set_nonblocking(true)?;
        let server = |s: &Section| Server { access: s.access, accounting: s.accounting, secret: s.secret.clone() };
        let config =
            Config { servers: servers.iter().map(server).collect(), nas: first.nas.clone(), ..Config::default() };
        let run = rng.next_u32();
        Ok(Some(Self {
            client: Client::new(config),
            socket,
            rng,
            talks: BTreeMap::new(),
            sessions: BTreeMap::new(),
            look: Instant::NEVER,
            run,
        }))
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.client.deadline().into_iter().chain((self.look != Instant::NEVER).then_some(self.look)).min()
    }

    /// A question of the node: true when it is one for us.
    pub(crate) fn ask(&mut self, node: &mut Node, now: Now, ticket: Ticket, ask: &Ask) -> bool {
        let Ask::Eap { packet, .. } = ask else { return false };
        let key = ticket.sa().0;
        let talk = self.talks.entry(key).or_default();
        if packet.is_empty() {
            // The server wants to hear the name first: we ask for it.
            let identity = vec![1, 1, 0, 5, 1];
            answer(node, now, ticket, Answer::Eap { packet: identity, msk: None, granted: None });
            return true;
        }
        if let [2, _, _, _, 1, user @ ..] = packet.as_slice() {
            talk.user = user.to_vec();
            let path = node.snapshot(now.mono).into_iter().find(|s| s.id == ticket.sa()).map(|s| s.path.remote.ip());
            talk.calling = path.map(|ip| ip.to_string()).unwrap_or_default();
        }
        talk.ticket = Some(ticket);
        self.client.eap(now.mono, Token(key), &talk.user, &talk.calling, packet, &mut *self.rng);
        true
    }

    /// One datagram; false when none waits.
    pub(crate) fn receive(&mut self, buf: &mut [u8]) -> io::Result<bool> {
        match self.socket.recv_from(buf) {
            Ok((len, from)) => {
                self.client.handle_datagram(from, buf.get(..len).unwrap_or_default());
                Ok(true)
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(e) => Err(e),
        }
    }

    pub(crate) fn timeout(&mut self, node: &Node, now: Now) {
        if self.client.deadline().is_some_and(|at| at <= now.mono) {
            self.client.handle_timeout(now.mono, &mut *self.rng);
        }
        if self.look <= now.mono {
            self.look(node, now);
            self.look = if self.sessions.is_empty() { Instant::NEVER } else { now.mono + LOOK };
            for session in self.sessions.values_mut().filter(|s| s.next <= now.mono) {
                session.next = now.mono + session.interim;
                session.record.kind = Kind::Interim;
                session.record.time = now.mono.since(session.since);
                self.client.account(now.mono, &session.record, &mut *self.rng);
            }
        }
    }

    /// Reads the counters.
    fn look(&mut self, node: &Node, now: Now) {
        for sa in node.snapshot(now.mono) {
            let Some(session) = self.sessions.get_mut(&sa.id) else { continue };
            let (mut input, mut output) = ((0, 0), (0, 0));
            for stats in sa.children.iter().filter_map(|c| node.stats(c.id)) {
                for (sum, one) in [(&mut input, stats.inbound), (&mut output, stats.outbound)] {
                    if let Some(d) = one {
                        *sum = (sum.0 + d.bytes, sum.1 + d.packets);
                    }
                }
            }
            // A rekeyed Child SA starts from zero: what was counted stays counted.
            session.record.input = (session.record.input.0.max(input.0), session.record.input.1.max(input.1));
            session.record.output = (session.record.output.0.max(output.0), session.record.output.1.max(output.1));
        }
    }

    /// What the client wants: datagrams leave, answers go to the node.
    pub(crate) fn flush(&mut self, node: &mut Node, now: Now) {
        while let Some(output) = self.client.poll_output() {
            match output {
                Output::Transmit(to, datagram) => {
                    if let Err(e) = self.socket.send_to(&datagram, to) {
                        tracing::warn!(%to, "RADIUS: send: {e}");
                    }
                }
                Output::Answer(token, said) => {
                    let Some(talk) = self.talks.get_mut(&token.0) else { continue };
                    let Some(ticket) = talk.ticket.take() else { continue };
                    let said = match said {
                        ravelin_radius::Answer::Challenge(packet) => Answer::Eap { packet, msk: None, granted: None },
                        ravelin_radius::Answer::Accept { packet, msk, grant } => {
                            let granted = Granted { pool: grant.pool(), lifetime: grant.session };
                            talk.grant = Some(grant);
                            Answer::Eap { packet, msk, granted: Some(granted) }
                        }
                        ravelin_radius::Answer::Reject(Some(packet), why) => {
                            tracing::info!(user = %String::from_utf8_lossy(&talk.user).escape_debug(), "RADIUS: {why}");
                            Answer::Eap { packet, msk: None, granted: None }
                        }
                        ravelin_radius::Answer::Reject(None, why) => Answer::Refused(why),
                        ravelin_radius::Answer::Silence => Answer::Refused("no RADIUS server answers".to_owned()),
                    };
                    answer(node, now, ticket, said);
                }
                Output::Unreported(session) => tracing::warn!(session, "RADIUS: no server took the report"),
            }
        }
    }

    /// Events that begin, move and end sessions.
    pub(crate) fn event(&mut self, node: &Node, now: Now, event: &Event) {
        match event {
            Event::Established(e) => {
                let Some(talk) = self.talks.remove(&e.sa.0) else { return };
                let Some(grant) = talk.grant else { return };
                let interim = grant.interim.unwrap_or(INTERIM);
                let record = Record {
                    kind: Kind::Start,
                    session: format!("{:08x}-{}", self.run, e.sa.0),
                    user: grant.user.unwrap_or(talk.user),
                    addresses: grant.addresses,
                    calling: talk.calling,
                    class: grant.class,
                    time: Duration::ZERO,
                    input: (0, 0),
                    output: (0, 0),
                    cause: None,
                };
                self.client.account(now.mono, &record, &mut *self.rng);
                let session = Session { record, since: now.mono, interim, next: now.mono + interim };
                self.sessions.insert(e.sa, session);
                self.look = self.look.min(now.mono + LOOK);
            }
            Event::Rekeyed { old, new } => {
                if let Some(session) = self.sessions.remove(old) {
                    self.sessions.insert(*new, session);
                }
            }
            Event::Closed { sa, reason, .. } => {
                self.client.forget(Token(sa.0));
                self.talks.remove(&sa.0);
                self.look(node, now);
                let Some(mut session) = self.sessions.remove(sa) else { return };
                session.record.kind = Kind::Stop;
                session.record.time = now.mono.since(session.since);
                session.record.cause = Some(match reason {
                    Reason::Requested => Cause::AdminReset,
                    Reason::ShuttingDown => Cause::NasReboot,
                    Reason::PeerDeleted => Cause::UserRequest,
                    Reason::Silent { .. } => Cause::LostCarrier,
                    _ => Cause::SessionTimeout,
                });
                self.client.account(now.mono, &session.record, &mut *self.rng);
            }
            _ => {}
        }
    }
}

fn answer(node: &mut Node, now: Now, ticket: Ticket, answer: Answer) {
    if let Err(e) = node.handle_answer(now, ticket, answer) {
        tracing::debug!(?ticket, "answer of RADIUS: {e}");
    }
}
