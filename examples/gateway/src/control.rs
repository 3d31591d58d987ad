//! The control socket: a Unix stream socket that takes one line and gives a text. `gateway show`, `initiate` and the
//! like are its clients. To add a command: an arm in [`Command::parse`], one in `drive.rs`, a line in docs/gateway.md.

use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// More than any command needs.
const MAX_LINE: usize = 1024;
/// More than any operator opens.
const MAX_CLIENTS: usize = 32;

/// What an operator can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// All SAs, policies, pools and counters, or one of these.
    Show(What),
    /// Reads the configuration again.
    Reload,
    /// Deletes all SAs.
    Flush,
    /// Brings up the children of that name, or all of the peer of that name.
    Initiate(String),
    /// Deletes the IKE SAs of the peer of that name, with what is in them.
    Terminate(String),
    /// Asks the peer of that name whether it lives.
    Probe(String),
    /// Rekeys the IKE SAs of the peer of that name, or the Child SAs of the child of that name.
    Rekey(String),
    /// Authenticates the peer of that name anew.
    Reauth(String),
    /// Moves the IKE SAs of the peer of that name to this address of ours.
    Roam(String, IpAddr),
}

/// What to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    All,
    Sas,
    Policies,
    Pools,
    Counters,
}

const EXPECTED: &str = "expected \"show\" (or \"show sas\", \"policies\", \"pools\", \"counters\"), \"reload\", \"flush\", \
     \"initiate\", \"terminate\", \"rekey\", \"reauth\" or \"probe\" and a name, or \"roam\", a peer and an address of ours";

impl Command {
    /// Reads a line; the error is for the operator.
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["show"] => Ok(Self::Show(What::All)),
            ["show", "sas"] => Ok(Self::Show(What::Sas)),
            ["show", "policies"] => Ok(Self::Show(What::Policies)),
            ["show", "pools"] => Ok(Self::Show(What::Pools)),
            ["show", "counters"] => Ok(Self::Show(What::Counters)),
            ["reload"] => Ok(Self::Reload),
            ["flush"] => Ok(Self::Flush),
            ["initiate", name] => Ok(Self::Initiate(name.to_owned())),
            ["terminate", name] => Ok(Self::Terminate(name.to_owned())),
            ["probe", name] => Ok(Self::Probe(name.to_owned())),
            ["rekey", name] => Ok(Self::Rekey(name.to_owned())),
            ["reauth", name] => Ok(Self::Reauth(name.to_owned())),
            ["roam", name, address] => {
                let told = |_| format!("expected an IP address of this host, found \"{address}\"");
                Ok(Self::Roam(name.to_owned(), address.parse().map_err(told)?))
            }
            _ => Err(format!("{EXPECTED}; found \"{line}\"")),
        }
    }
}

struct Client {
    stream: UnixStream,
    line: Vec<u8>,
    answer: Option<Vec<u8>>,
}

/// The listening socket and those who talk to it.
pub(crate) struct Control {
    listener: UnixListener,
    path: PathBuf,
    clients: BTreeMap<Token, Client>,
    next: usize,
}

impl Control {
    /// Listens at `path`, readable and writable by the owner only, with events under `token`; clients get tokens
    /// after it.
    pub(crate) fn open(path: &Path, registry: &Registry, token: Token) -> io::Result<Self> {
        let told = |e: io::Error| io::Error::new(e.kind(), format!("control socket {}: {e}", path.display()));
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).map_err(told)?;
        }
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(told(io::Error::new(io::ErrorKind::AddrInUse, "another gateway listens there")));
        }
        let _ = std::fs::remove_file(path); // left by a run that was killed
        let mut listener = UnixListener::bind(path).map_err(told)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(told)?;
        registry.register(&mut listener, token, Interest::READABLE)?;
        Ok(Self { listener, path: path.to_owned(), clients: BTreeMap::new(), next: token.0.saturating_add(1) })
    }

    /// Takes new clients.
    pub(crate) fn accept(&mut self, registry: &Registry) {
        while let Ok((mut stream, _)) = self.listener.accept() {
            let token = Token(self.next);
            if self.clients.len() >= MAX_CLIENTS
                || registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE).is_err()
            {
                continue;
            }
            self.next = self.next.saturating_add(1);
            self.clients.insert(token, Client { stream, line: Vec::new(), answer: None });
        }
    }

    /// An event of a client: reads its line, lets `run` answer, writes the answer.
    pub(crate) fn ready(&mut self, token: Token, run: impl FnOnce(&str) -> String) {
        let Some(client) = self.clients.get_mut(&token) else { return };
        if !client.advance(run) {
            self.clients.remove(&token);
        }
    }
}

impl Client {
    /// False when the conversation is over.
    fn advance(&mut self, run: impl FnOnce(&str) -> String) -> bool {
        if self.answer.is_none() {
            let ended = match read_some(&mut self.stream, &mut self.line) {
                Ok(ended) => ended,
                Err(_) => return false,
            };
            let line = self.line.split(|b| *b == b'\n').next().unwrap_or(&[]);
            if line.len() == self.line.len() && !ended {
                return self.line.len() < MAX_LINE;
            }
            self.answer = Some(run(String::from_utf8_lossy(line).trim()).into_bytes());
        }
        let Some(answer) = &mut self.answer else { return false };
        while !answer.is_empty() {
            match self.stream.write(answer) {
                Ok(0) => return false,
                Ok(n) => drop(answer.drain(..n.min(answer.len()))),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return e.kind() == io::ErrorKind::WouldBlock,
            }
        }
        false
    }
}

/// Reads what is there into `line`, up to [`MAX_LINE`]; true at the end of the stream.
fn read_some(stream: &mut UnixStream, line: &mut Vec<u8>) -> io::Result<bool> {
    let mut buf = [0; 256];
    while line.len() < MAX_LINE {
        match stream.read(&mut buf) {
            Ok(0) => return Ok(true),
            Ok(n) => line.extend(buf.iter().take(n)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(false)
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The client's side: sends `line`, gives the answer.
pub(crate) fn ask(path: &Path, line: &str) -> io::Result<String> {
    let told = |e: io::Error| {
        io::Error::new(e.kind(), format!("control socket {}: {e} (is the gateway running?)", path.display()))
    };
    let mut stream = std::os::unix::net::UnixStream::connect(path).map_err(told)?;
    writeln!(stream, "{line}")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll};
    use std::time::Duration;

    #[test]
    fn commands() {
        assert_eq!(Command::parse("show"), Ok(Command::Show(What::All)));
        assert_eq!(Command::parse("show pools"), Ok(Command::Show(What::Pools)));
        assert_eq!(Command::parse("roam x 192.0.2.1"), Ok(Command::Roam("x".into(), "192.0.2.1".parse().unwrap())));
        assert_eq!(Command::parse(" initiate  net "), Ok(Command::Initiate("net".into())));
        for line in ["", "show all", "initiate", "reboot now", "roam x y"] {
            assert!(Command::parse(line).unwrap_err().starts_with("expected "), "{line}");
        }
    }

    #[test]
    fn a_client_asks_and_a_long_answer_arrives_whole() {
        let dir = std::env::temp_dir().join(format!("ravelin-control-{}", std::process::id()));
        let path = dir.join("sub/g.sock");
        let mut poll = Poll::new().unwrap();
        let mut control = Control::open(&path, poll.registry(), Token(0)).unwrap();
        let again = Control::open(&path, poll.registry(), Token(9)).err().unwrap();
        assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
        let asked = path.clone();
        let client = std::thread::spawn(move || ask(&asked, "show").unwrap());
        let long = "x".repeat(1 << 20);
        let mut events = Events::with_capacity(8);
        while !client.is_finished() {
            poll.poll(&mut events, Some(Duration::from_millis(20))).unwrap();
            for e in events.iter() {
                match e.token() {
                    Token(0) => control.accept(poll.registry()),
                    t => control.ready(t, |line| format!("{line} {long}")),
                }
            }
        }
        assert_eq!(client.join().unwrap(), format!("show {long}"));
        drop(control);
        assert!(!path.exists(), "removed at the end");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
