//! Typed data of notifies (RFC 7296 §3.10.1 and the RFCs named in each file). Notifies without data need no file.
//!
//! To add a notify with data: one line in `registry/notify.rs`, one file here with a type that implements
//! [`NotifyData`] and its round-trip test, one line below.

mod additional_address;
mod additional_key_exchange;
mod auth_lifetime;
mod cookie;
mod cookie2;
mod invalid_ke_payload;
mod invalid_message_id;
mod invalid_selectors;
mod invalid_spi;
mod ipcomp_supported;
mod message_id_sync;
mod nat_detection;
mod no_nats_allowed;
mod no_ppk_auth;
mod ppk_identity;
mod ppk_identity_key;
mod puzzle;
mod quick_crash_detection;
mod redirect;
mod redirected_from;
mod rekey_sa;
mod replay_counter_sync;
mod sa_resource_info;
mod secure_password_methods;
mod set_window_size;
mod signature_hash_algorithms;
mod supported_auth_methods;
mod ticket_lt_opaque;
mod ticket_opaque;
mod unsupported_critical_payload;
mod use_aggfrag;

pub use additional_address::{AdditionalIp4Address, AdditionalIp6Address};
pub use additional_key_exchange::AdditionalKeyExchange;
pub use auth_lifetime::AuthLifetime;
pub use cookie::Cookie;
pub use cookie2::Cookie2;
pub use invalid_ke_payload::InvalidKePayload;
pub use invalid_message_id::InvalidMessageId;
pub use invalid_selectors::InvalidSelectors;
pub use invalid_spi::InvalidSpi;
pub use ipcomp_supported::IpcompSupported;
pub use message_id_sync::MessageIdSync;
pub use nat_detection::{NatDetectionDestinationIp, NatDetectionSourceIp};
pub use no_nats_allowed::NoNatsAllowed;
pub use no_ppk_auth::NoPpkAuth;
pub use ppk_identity::{PpkId, PpkIdentity};
pub use ppk_identity_key::PpkIdentityKey;
pub use puzzle::Puzzle;
pub use quick_crash_detection::QuickCrashDetection;
pub use redirect::{Gateway, Redirect};
pub use redirected_from::RedirectedFrom;
pub use rekey_sa::RekeySa;
pub use replay_counter_sync::ReplayCounterSync;
pub use sa_resource_info::SaResourceInfo;
pub use secure_password_methods::SecurePasswordMethods;
pub use set_window_size::SetWindowSize;
pub use signature_hash_algorithms::SignatureHashAlgorithms;
pub use supported_auth_methods::{Announcement, SupportedAuthMethods};
pub use ticket_lt_opaque::TicketLtOpaque;
pub use ticket_opaque::TicketOpaque;
pub use unsupported_critical_payload::UnsupportedCriticalPayload;
pub use use_aggfrag::UseAggfrag;

use super::error::{Fault, Place, WireError};
use super::payload::{Notify, Payloads};
use super::read::Reader;
use crate::registry::NotifyType;
use alloc::vec::Vec;

/// The data of one kind of notify.
pub trait NotifyData: Sized {
    /// The notify it belongs to.
    const KIND: NotifyType;

    /// Reads the notification data. Offsets of errors count from its start.
    fn parse(data: &[u8]) -> Result<Self, WireError>;

    /// Appends the notification data.
    fn emit(&self, out: &mut Vec<u8>);

    /// A Notify payload about this IKE SA (no SPI) with this data.
    #[must_use]
    fn to_notify(&self) -> Notify {
        let mut data = Vec::new();
        self.emit(&mut data);
        Notify::new(Self::KIND, data)
    }
}

impl Notify {
    /// The data as a type; `None` when the notify is of another kind.
    #[must_use]
    pub fn typed<T: NotifyData>(&self) -> Option<Result<T, WireError>> {
        (self.kind == T::KIND).then(|| T::parse(&self.data))
    }
}

impl Payloads {
    /// The data of the first notify of the kind that belongs to `T`; `Ok(None)` when there is none.
    pub fn notify_data<T: NotifyData>(&self) -> Result<Option<T>, WireError> {
        self.notify(T::KIND).map(|n| T::parse(&n.data)).transpose()
    }
}

/// A cursor over notification data.
fn reader(data: &[u8]) -> Reader<'_> {
    Reader::new(Place::NotifyData, data)
}

/// Data of one fixed size.
fn exactly<const N: usize>(data: &[u8]) -> Result<[u8; N], WireError> {
    data.try_into().map_err(|_| wrong_len(data.len(), N, N))
}

/// Opaque data of `min` to `max` octets.
fn octets(data: &[u8], min: usize, max: usize) -> Result<Vec<u8>, WireError> {
    if (min..=max).contains(&data.len()) { Ok(data.to_vec()) } else { Err(wrong_len(data.len(), min, max)) }
}

fn wrong_len(came: usize, min: usize, max: usize) -> WireError {
    WireError { place: Place::NotifyData, offset: 0, fault: Fault::Length { came, min, max } }
}

/// A row of 16-bit numbers.
fn row16(data: &[u8]) -> Result<impl Iterator<Item = u16> + '_, WireError> {
    let (row, rest) = data.as_chunks::<2>();
    let fault = Fault::Truncated { need: 2, have: rest.len() };
    let offset = data.len().saturating_sub(rest.len());
    if !rest.is_empty() {
        return Err(WireError { place: Place::NotifyData, offset, fault });
    }
    Ok(row.iter().map(|v| u16::from_be_bytes(*v)))
}

/// Every `good` must come back as it was, every `bad` be refused.
#[cfg(test)]
fn check<T: NotifyData>(good: &[&[u8]], bad: &[&[u8]]) {
    for raw in good {
        let notify = T::parse(raw).unwrap().to_notify();
        assert_eq!((notify.kind, notify.data.as_slice(), notify.spi.len()), (T::KIND, *raw, 0));
        assert!(notify.typed::<T>().unwrap().is_ok());
    }
    for raw in bad {
        assert!(T::parse(raw).is_err(), "{raw:02x?} was taken");
    }
}
