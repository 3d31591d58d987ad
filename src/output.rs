//! What a node wants from the world, in one ordered queue.

use ravelin_esp::TransmitMeta;
use ravelin_ike_proto::{Ask, Event, Ticket, Transmit};
use ravelin_sa_db::Change;

/// A sealed packet that leaves by the queue and not by a sink: one that had waited for its SA.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EspPacket {
    /// Where it goes and how it is carried.
    pub meta: TransmitMeta,
    /// From the ESP header on, or the whole IP packet, as the plane is configured.
    pub bytes: Vec<u8>,
}

/// One thing that the node wants done or known.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Output {
    /// A datagram of IKE, or a NAT keepalive.
    Transmit(Transmit),
    /// A packet of ESP.
    Esp(EspPacket),
    /// A step for an external data plane; the inline plane has taken its steps already.
    Change(Change),
    /// A question, to be answered by `Node::handle_answer`.
    Ask(Ticket, Ask),
    /// Something happened.
    Event(Event),
}
