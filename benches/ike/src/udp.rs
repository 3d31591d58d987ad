//! The same handshakes over two UDP sockets of the loopback interface, still on one core: each message costs a call to
//! send and one to receive it.

use ravelin::{Ingress, Node, Now, Output, Path};
use ravelin_bench_ike::meter::time;
use ravelin_bench_ike::world::{Initiator, World};
use ravelin_bench_ike::{Result, Suite};
use std::net::UdpSocket;

/// A pair of sockets.
pub struct Wire {
    initiator: UdpSocket,
    responder: UdpSocket,
    buf: Vec<u8>,
}

impl Wire {
    /// On ports that the system chooses.
    pub fn new() -> Result<Self> {
        let initiator = UdpSocket::bind("127.0.0.1:0")?;
        let responder = UdpSocket::bind("127.0.0.1:0")?;
        initiator.connect(responder.local_addr()?)?;
        responder.connect(initiator.local_addr()?)?;
        Ok(Self { initiator, responder, buf: vec![0; 65_535] })
    }

    /// Seconds of processor time per handshake, the kernel's included.
    pub fn timed(&mut self, world: &mut World, suite: Suite) -> Result<f64> {
        let mut initiator = world.initiator()?;
        let (seconds, result) = time(|| self.handshakes(world, &mut initiator));
        result?;
        initiator.check(world.now())?;
        Ok(seconds / suite.batch as f64)
    }

    fn handshakes(&mut self, world: &mut World, initiator: &mut Initiator) -> Result<()> {
        let now = world.now();
        for (peer, policy) in initiator.ids().to_vec() {
            let (here, there) = (&mut initiator.node, &mut world.responder);
            here.initiate(now, peer, Some(policy))?;
            loop {
                let forth = turn(&self.initiator, &self.responder, &mut self.buf, here, there, now)?;
                let back = turn(&self.responder, &self.initiator, &mut self.buf, there, here, now)?;
                if forth + back == 0 {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Sends what waits at one node and gives it to the other; how many datagrams there were.
fn turn(out: &UdpSocket, inn: &UdpSocket, buf: &mut [u8], from: &mut Node, to: &mut Node, now: Now) -> Result<usize> {
    let mut paths = Vec::new();
    while let Some(output) = from.poll_output() {
        if let Output::Transmit(t) = output {
            out.send(&t.bytes)?;
            paths.push(Path { local: t.path.remote, remote: t.path.local });
        }
    }
    for path in &paths {
        let len = inn.recv(buf)?;
        let _: Ingress<'_> = to.handle_datagram(now, *path, &mut buf[..len]);
    }
    Ok(paths.len())
}
