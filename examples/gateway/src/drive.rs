//! Between the daemon and [`ravelin::Node`]: the only file that calls the node.

use crate::Run;
use crate::config::Config;
use crate::control::Command;
use crate::sockets::Sockets;
use crate::tun::Tun;
use ravelin_sa_db::{Instant, Now};
use std::io;

/// The node and what it drives.
pub(crate) struct Driver {
    sockets: Sockets,
    tun: Tun,
}

impl Driver {
    pub(crate) fn new(_config: Config, _run: &Run, sockets: Sockets, tun: Tun, _now: Now) -> io::Result<Self> {
        Ok(Self { sockets, tun })
    }

    pub(crate) fn start(&mut self, _now: Now) {}

    pub(crate) fn deadline(&self) -> Option<Instant> {
        None
    }

    pub(crate) fn is_closed(&self) -> bool {
        true
    }

    pub(crate) fn shut_down(&mut self, _now: Now) {}

    pub(crate) fn timeout(&mut self, _now: Now) {}

    pub(crate) fn command(&mut self, _now: Now, line: &str) -> String {
        match Command::parse(line) {
            Ok(c) => format!("{c:?}\n"),
            Err(e) => e,
        }
    }

    pub(crate) fn receive_tun(&mut self, _now: Now, buf: &mut [u8]) -> io::Result<bool> {
        let got = self.tun.receive(buf)?;
        tracing::debug!(?got, "from TUN");
        Ok(got.is_some())
    }

    pub(crate) fn receive_socket(&mut self, _now: Now, index: usize, buf: &mut [u8]) -> io::Result<bool> {
        let Some(socket) = self.sockets.at(index) else { return Ok(false) };
        let got = socket.receive(buf)?;
        tracing::debug!(?got, carries = ?socket.carries, "from network");
        Ok(got.is_some())
    }
}
