//! The methods behind one face, for server and client.

use super::{aka, gtc, md5, mschapv2};
#[cfg(feature = "tls")]
use super::{tls, ttls};
use crate::registry::EapType;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ravelin_crypto::{CryptoRng, Secret};
use ravelin_sa_db::pad::{EapMethod, TtlsInner};

/// The number of a method.
pub(super) fn number(method: EapMethod) -> Option<EapType> {
    match method {
        EapMethod::MsChapV2 => Some(EapType::MSCHAPV2),
        EapMethod::Gtc => Some(EapType::GTC),
        EapMethod::Md5 => Some(EapType::MD5_CHALLENGE),
        EapMethod::Aka => Some(EapType::AKA),
        EapMethod::AkaPrime => Some(EapType::AKA_PRIME),
        #[cfg(feature = "tls")]
        EapMethod::Tls => Some(EapType::TLS),
        #[cfg(feature = "tls")]
        EapMethod::Ttls => Some(EapType::TTLS),
        _ => None,
    }
}

/// Methods that prove both sides and make a key: what EAP alone may be (RFC 5998 §4).
pub(super) fn is_mutual(method: EapMethod) -> bool {
    matches!(method, EapMethod::MsChapV2 | EapMethod::Tls | EapMethod::Ttls | EapMethod::Aka | EapMethod::AkaPrime)
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
#[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "only what tunnels looks at all of it"))]
pub(super) struct Turn<'a> {
    /// Of the packet that came, as client; of the request that it answers, as server.
    pub(super) identifier: u8,
    /// The whole packet that came.
    pub(super) packet: &'a [u8],
    /// We know AKA′ as well as AKA.
    pub(super) also_prime: bool,
    /// Type-data of the packet that came.
    pub(super) data: &'a [u8],
    /// The user as in EAP-Identity.
    pub(super) user: &'a [u8],
    /// `None` as server: nobody has this name.
    pub(super) password: Option<&'a Secret>,
    /// As server: finds the password of another name, for what runs inside a tunnel.
    pub(super) lookup: &'a dyn Fn(&[u8]) -> Option<Arc<Secret>>,
    /// Certificates, as client.
    #[cfg(feature = "tls")]
    pub(super) tls: Option<&'a tls::Settings>,
    pub(super) rng: &'a mut (dyn CryptoRng + Send),
}

/// What a side may use besides passwords.
#[derive(Clone, Debug, Default)]
#[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "only what tunnels looks at all of it"))]
pub(super) struct Kit {
    /// Certificates.
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Arc<tls::Settings>>,
    /// SIMs and subscribers.
    pub(super) aka: Option<aka::Means>,
    /// What may run inside TTLS.
    pub(super) ttls: Vec<TtlsInner>,
    /// The methods of this side, for EAP inside TTLS.
    pub(super) methods: Vec<EapMethod>,
}

/// A running method, of either side: to add one, a variant and an arm each.
macro_rules! methods {
    ($(#[$doc:meta])* $name:ident of $side:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(super) enum $name {
            MsChapV2(mschapv2::$side),
            Gtc(gtc::$side),
            Md5(md5::$side),
            Aka(Box<aka::$side>),
            AkaPrime(Box<aka::$side>),
            #[cfg(feature = "tls")]
            Tls(Box<tls::$side>),
            #[cfg(feature = "tls")]
            Ttls(Box<ttls::$side>),
        }

        impl $name {
            pub(super) fn number(&self) -> EapType {
                match self {
                    Self::MsChapV2(_) => EapType::MSCHAPV2,
                    Self::Gtc(_) => EapType::GTC,
                    Self::Md5(_) => EapType::MD5_CHALLENGE,
                    Self::Aka(_) => EapType::AKA,
                    Self::AkaPrime(_) => EapType::AKA_PRIME,
                    #[cfg(feature = "tls")]
                    Self::Tls(_) => EapType::TLS,
                    #[cfg(feature = "tls")]
                    Self::Ttls(_) => EapType::TTLS,
                }
            }

            pub(super) fn take(&mut self, turn: Turn<'_>) -> Progress {
                match self {
                    Self::MsChapV2(side) => side.take(turn),
                    Self::Gtc(side) => side.take(&turn),
                    Self::Md5(side) => side.take(&turn),
                    Self::Aka(side) | Self::AkaPrime(side) => side.take(&turn),
                    #[cfg(feature = "tls")]
                    Self::Tls(side) => side.take(&turn),
                    #[cfg(feature = "tls")]
                    Self::Ttls(side) => side.take(turn),
                }
            }
        }
    };
}

methods! {
    /// A running method of a server.
    ServerMethod of ServerSide
}

methods! {
    /// A running method of a client.
    ClientMethod of ClientSide
}

impl ServerMethod {
    /// Starts; gives the type-data of the first request. `identifier` is that request's.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn start(
        method: EapMethod,
        identifier: u8,
        user: &[u8],
        kit: &Kit,
        rng: &mut (dyn CryptoRng + Send),
    ) -> Result<(Self, Vec<u8>), String> {
        #[cfg(feature = "tls")]
        let certificates = || kit.tls.as_ref().ok_or("no certificates are configured for TLS");
        match method {
            EapMethod::MsChapV2 => {
                let (side, data) = mschapv2::ServerSide::start(identifier, rng);
                Ok((Self::MsChapV2(side), data))
            }
            EapMethod::Gtc => Ok((Self::Gtc(gtc::ServerSide), gtc::PROMPT.to_vec())),
            EapMethod::Aka | EapMethod::AkaPrime => {
                let means = kit.aka.as_ref().ok_or("no source of AKA's numbers is configured")?;
                let prime = method == EapMethod::AkaPrime;
                let (side, data) = aka::ServerSide::start(means, prime, identifier, user)?;
                let side = Box::new(side);
                Ok((if prime { Self::AkaPrime(side) } else { Self::Aka(side) }, data))
            }
            EapMethod::Md5 => {
                let (side, data) = md5::ServerSide::start(rng);
                Ok((Self::Md5(side), data))
            }
            #[cfg(feature = "tls")]
            EapMethod::Tls => {
                let (side, data) = tls::ServerSide::start(certificates()?, user)?;
                Ok((Self::Tls(Box::new(side)), data))
            }
            #[cfg(feature = "tls")]
            EapMethod::Ttls => {
                let (side, data) = ttls::ServerSide::start(certificates()?, &kit.ttls, &kit.methods)?;
                Ok((Self::Ttls(Box::new(side)), data))
            }
            other => {
                let _ = (user, kit);
                Err(alloc::format!("{other:?} is not built in"))
            }
        }
    }
}

impl ClientMethod {
    pub(super) fn start(method: EapMethod, kit: &Kit) -> Option<Self> {
        match method {
            EapMethod::Aka => Some(Self::Aka(Box::new(aka::ClientSide::new(kit.aka.as_ref()?, false)))),
            EapMethod::AkaPrime => Some(Self::AkaPrime(Box::new(aka::ClientSide::new(kit.aka.as_ref()?, true)))),
            #[cfg(feature = "tls")]
            EapMethod::Tls => Some(Self::Tls(Box::default())),
            #[cfg(feature = "tls")]
            EapMethod::Ttls => {
                let inner = kit.ttls.first().copied().unwrap_or(TtlsInner::MsChapV2);
                Some(Self::Ttls(Box::new(ttls::ClientSide::new(inner, &kit.methods))))
            }
            EapMethod::MsChapV2 => Some(Self::MsChapV2(mschapv2::ClientSide::default())),
            EapMethod::Gtc => Some(Self::Gtc(gtc::ClientSide::default())),
            EapMethod::Md5 => Some(Self::Md5(md5::ClientSide::default())),
            _ => {
                let _ = kit;
                None
            }
        }
    }

    /// `Some` when EAP-Success may come now: with the MSK, where the method makes one.
    pub(super) fn outcome(&self) -> Option<Option<Secret>> {
        match self {
            Self::MsChapV2(side) => side.outcome(),
            Self::Gtc(side) => side.answered().then_some(None),
            Self::Md5(side) => side.answered().then_some(None),
            Self::Aka(side) | Self::AkaPrime(side) => side.outcome(),
            #[cfg(feature = "tls")]
            Self::Tls(side) => side.outcome(),
            #[cfg(feature = "tls")]
            Self::Ttls(side) => side.outcome(),
        }
    }
}
