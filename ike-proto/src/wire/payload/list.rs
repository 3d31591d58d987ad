//! The payloads of one message or of one SK payload, with shorthands to find them.
use super::{
    Authentication, Configuration, Delete, Eap, Identification, KeyExchange, Nonce, Notify, Payload,
    SecurityAssociation, TrafficSelectors,
};
use crate::registry::{NotifyType, PayloadType};
use alloc::vec::Vec;
use core::ops::Deref;

/// Payloads in the order of the wire. Reads like a slice of [`Payload`].
///
/// Generic headers of decoded payloads may carry a critical bit or reserved bits without a meaning; the list keeps
/// them aside so that it encodes to the octets it came from. A list that is collected anew has none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Payloads {
    list: Vec<Payload>,
    /// Positions whose generic header had a second octet other than zero, with that octet; ascending.
    marks: Vec<(usize, u8)>,
}

/// Room for the payloads of a usual message, so that the list is allocated once.
const USUAL: usize = 12;

impl Payloads {
    /// Appends a payload whose generic header has `flags` as its second octet.
    pub fn push(&mut self, payload: Payload, flags: u8) {
        if flags != 0 && !matches!(payload, Payload::Unknown(_)) {
            self.marks.push((self.list.len(), flags));
        }
        if self.list.capacity() == 0 {
            self.list.reserve(USUAL);
        }
        self.list.push(payload);
    }

    /// The second octet of the generic header of payload `at`: critical bit and reserved bits.
    #[must_use]
    pub fn flags(&self, at: usize) -> u8 {
        match self.list.get(at) {
            Some(Payload::Unknown(u)) => u.flags,
            _ => self.marks.iter().find(|(i, _)| *i == at).map_or(0, |(_, f)| *f),
        }
    }

    /// The payloads without their header marks.
    #[must_use]
    pub fn into_vec(self) -> Vec<Payload> {
        self.list
    }

    /// Every Notify payload.
    pub fn notifies(&self) -> impl Iterator<Item = &Notify> {
        self.list.iter().filter_map(|p| if let Payload::Notify(n) = p { Some(n) } else { None })
    }

    /// The first Notify of a kind.
    #[must_use]
    pub fn notify(&self, kind: NotifyType) -> Option<&Notify> {
        self.notifies().find(|n| n.kind == kind)
    }

    /// The first Notify that is an error.
    #[must_use]
    pub fn error(&self) -> Option<&Notify> {
        self.notifies().find(|n| n.kind.is_error())
    }

    /// Every Delete payload.
    pub fn deletes(&self) -> impl Iterator<Item = &Delete> {
        self.list.iter().filter_map(|p| if let Payload::Delete(d) = p { Some(d) } else { None })
    }

    /// The kind of the first unknown payload whose critical bit is set (RFC 7296 §2.5).
    #[must_use]
    pub fn unsupported_critical(&self) -> Option<PayloadType> {
        self.list.iter().find_map(|p| match p {
            Payload::Unknown(u) if u.critical() => Some(u.kind),
            _ => None,
        })
    }
}

macro_rules! first {
    ($($(#[$doc:meta])* $name:ident: $variant:ident($ty:ty)),* $(,)?) => {
        impl Payloads { $(
            $(#[$doc])*
            #[must_use]
            pub fn $name(&self) -> Option<&$ty> {
                self.list.iter().find_map(|p| if let Payload::$variant(x) = p { Some(x) } else { None })
            }
        )* }
    };
}
first! {
    /// The SA payload.
    sa: Sa(SecurityAssociation),
    /// The KE payload.
    ke: Ke(KeyExchange),
    /// The nonce.
    nonce: Nonce(Nonce),
    /// IDi.
    id_initiator: IdInitiator(Identification),
    /// IDr.
    id_responder: IdResponder(Identification),
    /// The AUTH payload.
    auth: Auth(Authentication),
    /// TSi.
    ts_initiator: TsInitiator(TrafficSelectors),
    /// TSr.
    ts_responder: TsResponder(TrafficSelectors),
    /// The CP payload.
    cp: Cp(Configuration),
    /// The EAP payload.
    eap: Eap(Eap),
}

impl Deref for Payloads {
    type Target = [Payload];
    fn deref(&self) -> &[Payload] {
        &self.list
    }
}

impl From<Vec<Payload>> for Payloads {
    fn from(list: Vec<Payload>) -> Self {
        Self { list, marks: Vec::new() }
    }
}

impl FromIterator<Payload> for Payloads {
    fn from_iter<I: IntoIterator<Item = Payload>>(iter: I) -> Self {
        Self::from(Vec::from_iter(iter))
    }
}

impl IntoIterator for Payloads {
    type Item = Payload;
    type IntoIter = alloc::vec::IntoIter<Payload>;
    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl<'a> IntoIterator for &'a Payloads {
    type Item = &'a Payload;
    type IntoIter = core::slice::Iter<'a, Payload>;
    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}
