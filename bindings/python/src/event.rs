//! Outputs of a node as Python values: datagrams, asks, events. Changes are in `change.rs`.
//! To add an event: a class in `python/ravelin/events.py`, an arm here.

use crate::change;
use crate::convert::{self, Octets, selectors, tuple};
use crate::error::{class, invalid};
use crate::outcome::Sealed;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use ravelin::crypto::SignatureScheme;
use ravelin::ike::event::{Assigned, ChildEstablished, Established, IkeKeyLog};
use ravelin::ike::{Answer, Ask, Ticket as Number};
use ravelin::{Event, Output, Reason, Secret};

type Object<'py> = Bound<'py, PyAny>;

/// Names one question of one IKE SA. Good for one answer.
#[pyclass(frozen, eq, hash, module = "ravelin")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Ticket(pub(crate) Key);

/// A ticket that hashes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key(pub(crate) Number);

impl std::hash::Hash for Key {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.0.sa().0, self.0.number()).hash(state);
    }
}

#[pymethods]
impl Ticket {
    /// The IKE SA that asks.
    #[getter]
    fn sa(&self) -> u64 {
        self.0.0.sa().0
    }

    /// Which of its questions it is, from 1.
    #[getter]
    fn number(&self) -> u32 {
        self.0.0.number()
    }

    fn __repr__(&self) -> String {
        format!("Ticket(sa={}, number={})", self.sa(), self.number())
    }
}

/// One output.
pub(crate) fn output(py: Python<'_>, output: Output) -> PyResult<Object<'_>> {
    match output {
        Output::Transmit(t) => {
            let (path, data) = (convert::path(py, t.path)?, PyBytes::new(py, &t.bytes));
            class!(py, "ravelin.events", "Transmit")?.call1((path, data))
        }
        Output::Esp(p) => Ok(Bound::new(py, Sealed::new(py, p.meta, &p.bytes))?.into_any()),
        Output::Change(c) => change::to_python(py, &c),
        Output::Ask(ticket, ask) => question(py, ticket, ask),
        Output::Event(event) => happened(py, event),
        other => class!(py, "ravelin.events", "Unknown")?.call1((format!("{other:?}"),)),
    }
}

fn reason<'py>(py: Python<'py>, reason: &Reason) -> PyResult<Object<'py>> {
    let (kind, fault) = (format!("{reason:?}"), format!("{:?}", reason.fault()));
    let kind = kind.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    class!(py, "ravelin.events", "make_reason")?.call1((kind, fault, reason.to_string()))
}

fn happened(py: Python<'_>, event: Event) -> PyResult<Object<'_>> {
    match event {
        Event::Established(e) => established(py, &e),
        Event::ChildEstablished(e) => child_established(py, &e),
        Event::ChildClosed { sa, child, reason: r } => {
            class!(py, "ravelin.events", "ChildClosed")?.call1((sa.0, child.0, reason(py, &r)?))
        }
        Event::ChildRefused { sa, policy, reason: r } => {
            class!(py, "ravelin.events", "ChildRefused")?.call1((sa.0, policy.map(|p| p.0), reason(py, &r)?))
        }
        Event::Rekeyed { old, new } => class!(py, "ravelin.events", "Rekeyed")?.call1((old.0, new.0)),
        Event::ChildRekeyed { sa, old, new } => {
            class!(py, "ravelin.events", "ChildRekeyed")?.call1((sa.0, old.0, new.0))
        }
        Event::Moved { sa, path } => class!(py, "ravelin.events", "Moved")?.call1((sa.0, convert::path(py, path)?)),
        Event::Assigned { sa, assigned: a } => {
            class!(py, "ravelin.events", "Assigned")?.call1((sa.0, assigned(py, &a)?))
        }
        Event::Suggested { sa, assigned: a } => {
            class!(py, "ravelin.events", "Suggested")?.call1((sa.0, assigned(py, &a)?))
        }
        Event::Leased { sa, addrs } => {
            let addrs = tuple(py, addrs.iter().map(ToString::to_string).collect::<Vec<_>>())?;
            class!(py, "ravelin.events", "Leased")?.call1((sa.0, addrs))
        }
        Event::Alive { sa } => class!(py, "ravelin.events", "Alive")?.call1((sa.0,)),
        Event::Closed { sa, peer, reason: r } => {
            class!(py, "ravelin.events", "Closed")?.call1((sa.0, peer.map(|p| p.0), reason(py, &r)?))
        }
        Event::Noted { sa, path, reason: r } => {
            let (path, r) = (convert::path(py, path)?, reason(py, &r)?);
            class!(py, "ravelin.events", "Noted")?.call1((sa.map(|s| s.0), path, r))
        }
        Event::IkeKeys(k) => ike_keys(py, class!(py, "ravelin.events", "IkeKeys")?, &k),
        Event::HandshakeKeys(k) => ike_keys(py, class!(py, "ravelin.events", "HandshakeKeys")?, &k),
        Event::ChildKeys { inbound, outbound } => class!(py, "ravelin.events", "ChildKeys")?
            .call1((change::params_to_python(py, &inbound)?, change::params_to_python(py, &outbound)?)),
        other => class!(py, "ravelin.events", "Unknown")?.call1((format!("{other:?}"),)),
    }
}

fn established<'py>(py: Python<'py>, e: &Established) -> PyResult<Object<'py>> {
    class!(py, "ravelin.events", "Established")?.call1((
        e.sa.0,
        e.peer.0,
        e.role.to_string(),
        convert::path(py, e.path)?,
        e.local_id.to_string(),
        e.remote_id.to_string(),
        e.spis,
        &*e.proposal,
        e.nat,
    ))
}

fn child_established<'py>(py: Python<'py>, e: &ChildEstablished) -> PyResult<Object<'py>> {
    class!(py, "ravelin.events", "ChildEstablished")?.call1((
        e.sa.0,
        e.child.0,
        e.policy.0,
        e.spi_in.0,
        e.spi_out.0,
        &*e.proposal,
        convert::mode(e.mode),
        tuple(py, selectors(&e.local_ts))?,
        tuple(py, selectors(&e.remote_ts))?,
    ))
}

pub(crate) fn assigned<'py>(py: Python<'py>, a: &Assigned) -> PyResult<Object<'py>> {
    let text = |list: Vec<String>| tuple(py, list);
    let other: Vec<(u16, Bound<'_, PyBytes>)> = a.other.iter().map(|(t, v)| (*t, PyBytes::new(py, v))).collect();
    class!(py, "ravelin.events", "Settings")?.call1((
        text(a.addrs.iter().map(|(ip, len)| format!("{ip}/{len}")).collect())?,
        text(a.dns.iter().map(ToString::to_string).collect())?,
        text(a.subnets.iter().map(ToString::to_string).collect())?,
        text(a.domains.clone())?,
        a.application_version.as_deref(),
        tuple(py, other)?,
    ))
}

fn ike_keys<'py>(py: Python<'py>, class: &Object<'py>, k: &IkeKeyLog) -> PyResult<Object<'py>> {
    let octets = |s: &Secret| PyBytes::new(py, s.expose());
    class.call1((
        k.sa.0,
        k.spis,
        k.encr.id.0,
        k.encr.key_bits,
        k.integ.0,
        octets(&k.sk_ei),
        octets(&k.sk_er),
        octets(&k.sk_ai),
        octets(&k.sk_ar),
    ))
}

/// The scheme in a word, as `docs/python.md` lists them.
pub(crate) fn scheme(scheme: SignatureScheme) -> String {
    use SignatureScheme as S;
    match scheme {
        S::RsaPkcs1(h) => format!("rsa-pkcs1-{h}"),
        S::RsaPss(h) => format!("rsa-pss-{h}"),
        S::Ecdsa(h) => format!("ecdsa-{h}"),
        S::EcdsaRaw(h) => format!("ecdsa-raw-{h}"),
        other => format!("{other:?}"),
    }
    .to_lowercase()
    .replace('_', "-")
}

fn question(py: Python<'_>, ticket: Number, ask: Ask) -> PyResult<Object<'_>> {
    let ticket = Bound::new(py, Ticket(Key(ticket)))?;
    match ask {
        Ask::Sign { public_key, scheme: s, octets } => class!(py, "ravelin.asks", "Sign")?.call1((
            ticket,
            PyBytes::new(py, &public_key),
            scheme(s),
            PyBytes::new(py, &octets),
        )),
        Ask::VerifyChain { chain, id } => {
            let chain: Vec<_> = chain.iter().map(|c| PyBytes::new(py, c)).collect();
            class!(py, "ravelin.asks", "VerifyChain")?.call1((ticket, tuple(py, chain)?, id.to_string()))
        }
        Ask::SharedSecret { local, remote } => {
            class!(py, "ravelin.asks", "SharedSecret")?.call1((ticket, local.to_string(), remote.to_string()))
        }
        Ask::Ppk { id } => class!(py, "ravelin.asks", "Ppk")?.call1((ticket, PyBytes::new(py, &id))),
        Ask::NextPpk { local, remote, peer } => class!(py, "ravelin.asks", "NextPpk")?.call1((
            ticket,
            local.to_string(),
            remote.map(|r| r.to_string()),
            peer,
        )),
        Ask::Eap { id, packet } => {
            class!(py, "ravelin.asks", "Eap")?.call1((ticket, id.to_string(), PyBytes::new(py, &packet)))
        }
        other => class!(py, "ravelin.events", "Unknown")?.call1((format!("{other:?}"),)),
    }
}

/// An answer of `ravelin.asks`.
pub(crate) fn answer(given: &Object<'_>) -> PyResult<Answer> {
    let name = given.get_type().name()?;
    let octets = |field: &str| given.getattr(field)?.extract::<Octets>().map(|o| o.0);
    Ok(match name.to_str()? {
        "Signature" => Answer::Signature(octets("data")?),
        "PublicKey" => Answer::PublicKey(octets("der")?),
        "Secret" => Answer::Secret(Secret::new(octets("data")?)),
        "PpkSecret" => Answer::Ppk { id: octets("id")?, secret: Secret::new(octets("data")?) },
        "EapPacket" => {
            let msk: Option<Octets> = given.getattr("msk")?.extract()?;
            Answer::Eap { packet: octets("packet")?, msk: msk.map(|m| Secret::new(m.0)), granted: None }
        }
        "Refused" => Answer::Refused(given.getattr("why")?.extract()?),
        other => return Err(invalid(format!("expected an answer of ravelin.asks, found a {other}"))),
    })
}
