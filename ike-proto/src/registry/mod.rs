//! IANA's "IKEv2 Parameters" that are not transform ids (those are `ravelin_crypto::registry`).
//!
//! One table per file, each a newtype over the wire integer: an unknown number is a legal value, survives a
//! round trip and prints as a number. To add an entry: one line in its table.

pub mod auth;
pub mod cert;
pub mod config;
pub mod eap;
pub mod exchange;
pub mod id;
pub mod ipcomp;
pub mod notify;
pub mod payload;
pub mod ppk;
pub mod protocol;
pub mod redirect;
pub mod ts;

pub use auth::AuthMethod;
pub use cert::CertEncoding;
pub use config::{ConfigAttributeType, ConfigType};
pub use eap::{EapCode, EapType};
pub use exchange::ExchangeType;
pub use id::IdType;
pub use ipcomp::IpcompId;
pub use notify::NotifyType;
pub use payload::PayloadType;
pub use ppk::PpkIdType;
pub use protocol::ProtocolId;
pub use ravelin_crypto::registry::{
    AttributeType, AuthHashId, EncrId, GcAuthId, IntegId, KeId, KwaId, PrfId, SnId, TransformType,
};
pub use redirect::GatewayType;
pub use ts::TsType;
