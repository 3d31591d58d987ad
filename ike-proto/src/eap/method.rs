//! The methods behind one face, for server and client.

use super::{gtc, md5, mschapv2};
use crate::registry::EapType;
use alloc::string::String;
use alloc::vec::Vec;
use ravelin_crypto::{CryptoRng, Secret};
use ravelin_sa_db::pad::EapMethod;

/// The number of a method.
pub(super) fn number(method: EapMethod) -> Option<EapType> {
    match method {
        EapMethod::MsChapV2 => Some(EapType::MSCHAPV2),
        EapMethod::Gtc => Some(EapType::GTC),
        EapMethod::Md5 => Some(EapType::MD5_CHALLENGE),
        _ => None,
    }
}

/// Methods that prove both sides and make a key: what EAP alone may be (RFC 5998 §4).
pub(super) fn is_mutual(method: EapMethod) -> bool {
    matches!(method, EapMethod::MsChapV2)
}

/// What a method makes of a packet.
#[derive(Debug)]
pub(super) enum Progress {
    /// The data of the next packet.
    Next(Vec<u8>),
    /// The other side is proved; the MSK, where the method makes one. Server only.
    Done(Option<Secret>),
    /// It is over, and why.
    Failed(String),
}

/// What a method works with.
pub(super) struct Turn<'a> {
    /// Of the packet that came, as client; of the request that it answers, as server.
    pub(super) identifier: u8,
    /// Type-data of the packet that came.
    pub(super) data: &'a [u8],
    /// The user as in EAP-Identity.
    pub(super) user: &'a [u8],
    /// `None` as server: nobody has this name.
    pub(super) password: Option<&'a Secret>,
    pub(super) rng: &'a mut (dyn CryptoRng + Send),
}

/// A running method of a server.
#[derive(Debug)]
pub(super) enum ServerMethod {
    MsChapV2(mschapv2::ServerSide),
    Gtc(gtc::ServerSide),
    Md5(md5::ServerSide),
}

impl ServerMethod {
    /// Starts; gives the type-data of the first request. `identifier` is that request's.
    pub(super) fn start(
        method: EapMethod,
        identifier: u8,
        rng: &mut (dyn CryptoRng + Send),
    ) -> Option<(Self, Vec<u8>)> {
        match method {
            EapMethod::MsChapV2 => {
                let (side, data) = mschapv2::ServerSide::start(identifier, rng);
                Some((Self::MsChapV2(side), data))
            }
            EapMethod::Gtc => Some((Self::Gtc(gtc::ServerSide), gtc::PROMPT.to_vec())),
            EapMethod::Md5 => {
                let (side, data) = md5::ServerSide::start(rng);
                Some((Self::Md5(side), data))
            }
            _ => None,
        }
    }

    pub(super) fn number(&self) -> EapType {
        match self {
            Self::MsChapV2(_) => EapType::MSCHAPV2,
            Self::Gtc(_) => EapType::GTC,
            Self::Md5(_) => EapType::MD5_CHALLENGE,
        }
    }

    pub(super) fn take(&mut self, turn: Turn<'_>) -> Progress {
        match self {
            Self::MsChapV2(side) => side.take(&turn),
            Self::Gtc(side) => side.take(&turn),
            Self::Md5(side) => side.take(&turn),
        }
    }
}

/// A running method of a client.
#[derive(Debug)]
pub(super) enum ClientMethod {
    MsChapV2(mschapv2::ClientSide),
    Gtc(gtc::ClientSide),
    Md5(md5::ClientSide),
}

impl ClientMethod {
    pub(super) fn start(method: EapMethod) -> Option<Self> {
        match method {
            EapMethod::MsChapV2 => Some(Self::MsChapV2(mschapv2::ClientSide::default())),
            EapMethod::Gtc => Some(Self::Gtc(gtc::ClientSide::default())),
            EapMethod::Md5 => Some(Self::Md5(md5::ClientSide::default())),
            _ => None,
        }
    }

    pub(super) fn number(&self) -> EapType {
        match self {
            Self::MsChapV2(_) => EapType::MSCHAPV2,
            Self::Gtc(_) => EapType::GTC,
            Self::Md5(_) => EapType::MD5_CHALLENGE,
        }
    }

    pub(super) fn take(&mut self, turn: Turn<'_>) -> Progress {
        match self {
            Self::MsChapV2(side) => side.take(turn),
            Self::Gtc(side) => side.take(&turn),
            Self::Md5(side) => side.take(&turn),
        }
    }

    /// `Some` when EAP-Success may come now: with the MSK, where the method makes one.
    pub(super) fn outcome(&self) -> Option<Option<Secret>> {
        match self {
            Self::MsChapV2(side) => side.outcome(),
            Self::Gtc(side) => side.answered().then_some(None),
            Self::Md5(side) => side.answered().then_some(None),
        }
    }
}
