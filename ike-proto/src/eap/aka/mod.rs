//! EAP-AKA (RFC 4187) and EAP-AKA′ (RFC 9048): a SIM and its network prove themselves to each other and make a key. The
//! numbers come from the caller (`sa_db::pad::AkaSource`). No pseudonyms and no fast reauthentication: the user is who
//! EAP-Identity says.

mod keys;

use super::method::{Progress, Turn};
use crate::registry::{EapCode, EapType};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use keys::{Keys, MAC};
use ravelin_crypto::{Provider, Secret};
use ravelin_sa_db::pad::{AkaSource, Quintet, SimAnswer};
use subtle::ConstantTimeEq;

const CHALLENGE: u8 = 1;
const REJECT: u8 = 2;
const SYNC_FAILURE: u8 = 4;
const IDENTITY: u8 = 5;
const CLIENT_ERROR: u8 = 14;

const AT_RAND: u8 = 1;
const AT_AUTN: u8 = 2;
const AT_RES: u8 = 3;
const AT_AUTS: u8 = 4;
const AT_MAC: u8 = 11;
const AT_IDENTITY: u8 = 14;
const AT_CLIENT_ERROR_CODE: u8 = 22;
const AT_KDF_INPUT: u8 = 23;
const AT_KDF: u8 = 24;
const AT_BIDDING: u8 = 136;
/// Attributes up to here must be understood (RFC 4187 §8.1).
const NOT_SKIPPABLE: u8 = 127;
const KNOWN: [u8; 12] =
    [AT_RAND, AT_AUTN, AT_RES, AT_AUTS, AT_MAC, 10, 13, AT_IDENTITY, 17, AT_CLIENT_ERROR_CODE, AT_KDF_INPUT, AT_KDF];
/// The only key derivation function of AKA′.
const KDF: [u8; 2] = [0, 1];

/// What the method works with.
#[derive(Clone)]
pub(super) struct Means {
    pub(super) source: Arc<dyn AkaSource>,
    pub(super) crypto: Provider,
    /// Name of the access network (AKA′).
    pub(super) network: Vec<u8>,
}

impl core::fmt::Debug for Means {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Means(AKA)")
    }
}

/// Attributes of a packet: type, and value without its two octets.
struct Attributes<'a>(Vec<(u8, &'a [u8])>);

impl<'a> Attributes<'a> {
    /// Subtype and attributes of type-data.
    fn parse(data: &'a [u8]) -> Result<(u8, Self), String> {
        let bad = || "malformed AKA packet (RFC 4187 section 8.1)".to_string();
        let ([subtype, _, _], mut rest) = data.split_first_chunk().ok_or_else(bad)?;
        let mut out = Vec::new();
        while let [kind, words, ..] = rest {
            let (one, after) = rest.split_at_checked(usize::from(*words).saturating_mul(4)).ok_or_else(bad)?;
            let value = one.get(2..).ok_or_else(bad)?;
            if *kind <= NOT_SKIPPABLE && !KNOWN.contains(kind) {
                return Err(alloc::format!("AKA attribute {kind} is not known and may not be skipped"));
            }
            if out.iter().any(|(k, _)| k == kind) && *kind != AT_KDF {
                return Err(alloc::format!("AKA attribute {kind} stands twice"));
            }
            out.push((*kind, value));
            rest = after;
        }
        if rest.is_empty() { Ok((*subtype, Self(out))) } else { Err(bad()) }
    }

    fn get(&self, kind: u8) -> Option<&'a [u8]> {
        self.0.iter().find(|(k, _)| *k == kind).map(|(_, v)| *v)
    }

    /// A value of fixed length after two reserved octets.
    fn fixed<const N: usize>(&self, kind: u8) -> Option<[u8; N]> {
        self.get(kind)?.get(2..)?.try_into().ok()
    }

    /// A value whose length in octets stands before it.
    fn counted(&self, kind: u8) -> Option<&'a [u8]> {
        let (len, rest) = self.get(kind)?.split_first_chunk::<2>()?;
        rest.get(..usize::from(u16::from_be_bytes(*len)))
    }
}

fn put(out: &mut Vec<u8>, kind: u8, value: &[u8]) {
    let len = value.len().saturating_add(2).next_multiple_of(4);
    out.extend_from_slice(&[kind, u8::try_from(len / 4).unwrap_or(u8::MAX)]);
    out.extend_from_slice(value);
    out.resize(out.len().saturating_add(len.saturating_sub(value.len().saturating_add(2))), 0);
}

fn put_counted(out: &mut Vec<u8>, kind: u8, count: usize, value: &[u8]) {
    let count = u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes();
    put(out, kind, &[&count, value].concat());
}

/// AT_MAC at the end of type-data, over the packet that it will be.
fn seal(
    means: &Means,
    keys: &Keys,
    code: EapCode,
    identifier: u8,
    kind: EapType,
    mut data: Vec<u8>,
) -> Result<Vec<u8>, String> {
    put(&mut data, AT_MAC, &[0; 18]);
    let len = u16::try_from(data.len().saturating_add(5)).unwrap_or(u16::MAX).to_be_bytes();
    let packet = [&[code.0, identifier], &len[..], &[kind.0], &data].concat();
    let mac = keys.mac(&means.crypto, &packet).ok_or("the provider has no HMAC for AKA")?;
    let at = data.len().saturating_sub(MAC);
    data.truncate(at);
    data.extend_from_slice(mac.expose());
    Ok(data)
}

/// True when AT_MAC of a packet that came is right.
fn is_sealed(means: &Means, keys: &Keys, packet: &[u8]) -> bool {
    let mut copy = packet.to_vec();
    let mut at = 8usize;
    while let Some([kind, words, ..]) = packet.get(at..) {
        let from = at.saturating_add(4);
        if *kind == AT_MAC {
            let Some(came) = packet.get(from..from.saturating_add(MAC)) else { return false };
            copy.iter_mut().skip(from).take(MAC).for_each(|b| *b = 0);
            return keys.mac(&means.crypto, &copy).is_some_and(|m| m.expose().ct_eq(came).into());
        }
        at = at.saturating_add(usize::from(*words).max(1).saturating_mul(4));
    }
    false
}

/// Server.
#[derive(Debug)]
pub(super) struct ServerSide {
    means: Means,
    prime: bool,
    identifier: u8,
    quintet: Quintet,
    keys: Keys,
    /// The SIM may say once that the number is stale.
    resynchronized: bool,
}

fn derive(means: &Means, prime: bool, user: &[u8], q: &Quintet) -> Result<Keys, String> {
    if !prime {
        return Ok(Keys::aka(user, &q.ik, &q.ck));
    }
    Keys::prime(&means.crypto, user, &q.ik, &q.ck, &q.autn, &means.network)
        .ok_or_else(|| "no keys for AKA'".to_string())
}

impl ServerSide {
    pub(super) fn start(means: &Means, prime: bool, identifier: u8, user: &[u8]) -> Result<(Self, Vec<u8>), String> {
        let quintet = means.source.quintet(user).ok_or("nobody has this name (AKA)")?;
        let keys = derive(means, prime, user, &quintet)?;
        let side = Self { means: means.clone(), prime, identifier, quintet, keys, resynchronized: false };
        let data = side.challenge()?;
        Ok((side, data))
    }

    fn number(&self) -> EapType {
        if self.prime { EapType::AKA_PRIME } else { EapType::AKA }
    }

    fn challenge(&self) -> Result<Vec<u8>, String> {
        let mut data = alloc::vec![CHALLENGE, 0, 0];
        put(&mut data, AT_RAND, &[&[0, 0], &self.quintet.rand[..]].concat());
        put(&mut data, AT_AUTN, &[&[0, 0], &self.quintet.autn[..]].concat());
        if self.prime {
            put(&mut data, AT_KDF, &KDF);
            put_counted(&mut data, AT_KDF_INPUT, self.means.network.len(), &self.means.network);
        }
        seal(&self.means, &self.keys, EapCode::REQUEST, self.identifier, self.number(), data)
    }

    pub(super) fn take(&mut self, turn: &Turn<'_>) -> Progress {
        self.step(turn).unwrap_or_else(Progress::Failed)
    }

    fn step(&mut self, turn: &Turn<'_>) -> Result<Progress, String> {
        let (subtype, attributes) = Attributes::parse(turn.data)?;
        match subtype {
            CHALLENGE => {
                if !is_sealed(&self.means, &self.keys, turn.packet) {
                    return Err("AKA: AT_MAC of the response is wrong".to_string());
                }
                let res = attributes.get(AT_RES).and_then(|v| v.split_first_chunk::<2>());
                let (bits, res) = res.ok_or("AKA: the response has no AT_RES")?;
                let len = usize::from(u16::from_be_bytes(*bits)) / 8;
                let right = res.get(..len).is_some_and(|r| self.quintet.res.expose().ct_eq(r).into());
                if right && !self.quintet.res.is_empty() {
                    Ok(Progress::Done(Some(self.keys.msk.clone())))
                } else {
                    Err("AKA: the SIM's answer is wrong".to_string())
                }
            }
            SYNC_FAILURE if !self.resynchronized => {
                let auts = attributes.get(AT_AUTS).and_then(|v| v.try_into().ok()).ok_or("AKA: no AT_AUTS")?;
                if !self.means.source.resynchronize(turn.user, &self.quintet.rand, &auts) {
                    return Err("AKA: the SIM's AUTS is wrong".to_string());
                }
                self.quintet = self.means.source.quintet(turn.user).ok_or("nobody has this name (AKA)")?;
                self.keys = derive(&self.means, self.prime, turn.user, &self.quintet)?;
                self.resynchronized = true;
                self.identifier = turn.identifier.wrapping_add(1);
                Ok(Progress::Next(self.challenge()?))
            }
            REJECT => Err("AKA: the SIM does not believe the network".to_string()),
            CLIENT_ERROR => Err("AKA: the client says that it cannot go on".to_string()),
            other => Err(alloc::format!("AKA: subtype {other} is not what was asked for")),
        }
    }
}

/// Client.
#[derive(Debug)]
pub(super) struct ClientSide {
    means: Means,
    prime: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    Start,
    /// AUTS went out; a second challenge may come.
    Again,
    Answered(Secret),
    Over,
}

impl ClientSide {
    pub(super) fn new(means: &Means, prime: bool) -> Self {
        Self { means: means.clone(), prime, state: State::Start }
    }

    pub(super) fn take(&mut self, turn: &Turn<'_>) -> Progress {
        let state = core::mem::replace(&mut self.state, State::Over);
        let (first, again) = (matches!(state, State::Start), matches!(state, State::Again));
        match Attributes::parse(turn.data) {
            Ok((CHALLENGE, attributes)) if first || again => {
                self.answer(turn, &attributes, again).unwrap_or_else(Progress::Failed)
            }
            // The server asks for the name once more (RFC 4187 §4.1).
            Ok((IDENTITY, _)) if first => {
                self.state = State::Start;
                let mut data = alloc::vec![IDENTITY, 0, 0];
                put_counted(&mut data, AT_IDENTITY, turn.user.len(), turn.user);
                Progress::Next(data)
            }
            Ok((other, _)) => Progress::Failed(alloc::format!("AKA: subtype {other} breaks the order")),
            Err(why) => Progress::Failed(why),
        }
    }

    fn answer(&mut self, turn: &Turn<'_>, attributes: &Attributes<'_>, again: bool) -> Result<Progress, String> {
        let rand = attributes.fixed::<16>(AT_RAND).ok_or("AKA: the challenge has no AT_RAND")?;
        let autn = attributes.fixed::<16>(AT_AUTN).ok_or("AKA: the challenge has no AT_AUTN")?;
        let mut network = &self.means.network[..];
        if self.prime {
            let first = attributes.get(AT_KDF).ok_or("AKA': the challenge has no AT_KDF (RFC 9048 section 3.2)")?;
            network = attributes.counted(AT_KDF_INPUT).filter(|n| !n.is_empty()).ok_or("AKA': no network name")?;
            if first != KDF {
                return Err("AKA': an unknown key derivation function".to_string());
            }
            if !self.means.network.is_empty() && network != self.means.network {
                return Err("AKA': the network has another name than ours (RFC 9048 section 3.1)".to_string());
            }
        } else if attributes.get(AT_BIDDING).is_some_and(|v| v.first().is_some_and(|b| b & 0x80 != 0))
            && self.prefers_prime(turn)
        {
            // Both sides have AKA′, and somebody bids down (RFC 9048 §4).
            return Err("AKA: the server has AKA' too, and this is not it (RFC 9048 section 4)".to_string());
        }
        match self.means.source.sim(&rand, &autn) {
            SimAnswer::Refused => Ok(Progress::Next(alloc::vec![REJECT, 0, 0])),
            SimAnswer::Resynchronize(_) if again => Err("AKA: the server's number is stale twice".to_string()),
            SimAnswer::Resynchronize(auts) => {
                self.state = State::Again;
                let mut data = alloc::vec![SYNC_FAILURE, 0, 0];
                put(&mut data, AT_AUTS, &auts);
                Ok(Progress::Next(data))
            }
            SimAnswer::Proved { res, ck, ik } => {
                let quintet = Quintet { rand, autn, res, ck, ik };
                let means = Means { network: network.to_vec(), ..self.means.clone() };
                let keys = derive(&means, self.prime, turn.user, &quintet)?;
                if !is_sealed(&means, &keys, turn.packet) {
                    return Err("AKA: AT_MAC of the challenge is wrong".to_string());
                }
                let mut data = alloc::vec![CHALLENGE, 0, 0];
                put_counted(&mut data, AT_RES, quintet.res.len().saturating_mul(8), quintet.res.expose());
                let kind = if self.prime { EapType::AKA_PRIME } else { EapType::AKA };
                let data = seal(&means, &keys, EapCode::RESPONSE, turn.identifier, kind, data)?;
                self.state = State::Answered(keys.msk);
                Ok(Progress::Next(data))
            }
        }
    }

    fn prefers_prime(&self, turn: &Turn<'_>) -> bool {
        turn.also_prime
    }

    pub(super) fn outcome(&self) -> Option<Option<Secret>> {
        match &self.state {
            State::Answered(msk) => Some(Some(msk.clone())),
            _ => None,
        }
    }
}
