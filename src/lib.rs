//! Ravelin: an IPsec stack that others build on. IKEv2, the databases of RFC 4301 and ESP in one sans-IO object.
//!
//! [`Node`] swallows what the world brings (datagrams, packets, time) and hands out, in one ordered queue, what it
//! wants from the world. It owns no socket, clock, thread or randomness of the operating system: time is an argument,
//! and the generator is given once. Same seed and same calls give the same bytes.
//!
//! ```
//! use ravelin::{Config, Db, Node, Now};
//! # struct Zeros; // a real program seeds a cryptographic generator
//! # impl rand_core::TryRng for Zeros {
//! #     type Error = core::convert::Infallible;
//! #     fn try_next_u32(&mut self) -> Result<u32, Self::Error> { Ok(1) }
//! #     fn try_next_u64(&mut self) -> Result<u64, Self::Error> { Ok(1) }
//! #     fn try_fill_bytes(&mut self, b: &mut [u8]) -> Result<(), Self::Error> { b.fill(1); Ok(()) }
//! # }
//! # impl rand_core::TryCryptoRng for Zeros {}
//! let mut node = Node::new(Config::default(), ravelin::crypto::rustcrypto::provider().into(), Db::default(), Box::new(Zeros));
//! node.handle_timeout(Now::at(0));
//! assert!(node.poll_output().is_none());
//! ```

pub mod burst;
pub mod code;
pub mod config;
pub mod demux;
mod hold;
pub mod keylog;
pub mod node;
pub mod output;
pub mod reload;

pub use config::{Config, DataPlane};
pub use node::{Egress, Ingress, Node};
pub use output::{EspPacket, Output};
pub use ravelin_crypto as crypto;
pub use ravelin_crypto::{Provider, Secret};
pub use ravelin_esp as esp;
pub use ravelin_esp::{DropReason, OuterInfo, PacketSink, TransmitMeta};
pub use ravelin_ike_proto as ike;
pub use ravelin_ike_proto::{ApiError, Deadline, Event, IkeSaId, Reason, Role, Transmit};
pub use ravelin_sa_db as db;
pub use ravelin_sa_db::{ChildId, Db, Instant, Now, Path, PeerId, PolicyId, Report, UnixTime};
pub use reload::Reload;
