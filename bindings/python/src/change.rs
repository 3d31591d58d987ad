//! Steps for a data plane and its reports, both ways: an external plane in Python takes changes and returns reports;
//! the ESP plane alone takes changes that were made in Python. To add a change: a class in `python/ravelin/changes.py`
//! and an arm in each direction.

use crate::convert::{self, Octets, Way, selectors, tuple};
use crate::error::{class, invalid};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use ravelin::crypto::{EncrId, IntegId};
use ravelin::db::{Change, ChildId, CipherSuite, Lifetime, Limits, PacketKey, PolicyId, Report, SaParams, SaRef, Spi};
use ravelin::{Instant, Secret};
use std::sync::Arc;
use std::time::Duration;

type Object<'py> = Bound<'py, PyAny>;

/// `ravelin.changes.SaParams`.
pub(crate) fn params_to_python<'py>(py: Python<'py>, sa: &SaParams) -> PyResult<Object<'py>> {
    let life = &sa.lifetime;
    let kwargs = pyo3::types::PyDict::new(py);
    macro_rules! set {
        ($($name:ident = $value:expr),* $(,)?) => { $(kwargs.set_item(stringify!($name), $value)?;)* };
    }
    set! {
        child = sa.child.0,
        spi = sa.spi.0,
        direction = convert::direction(sa.direction),
        path = convert::path(py, sa.path)?,
        encr = sa.suite.encr.0,
        key_bits = sa.suite.key_bits,
        integ = sa.suite.integ.0,
        encr_key = PyBytes::new(py, sa.suite.encr_key.expose()),
        integ_key = PyBytes::new(py, sa.suite.integ_key.expose()),
        local_ts = tuple(py, selectors(&sa.local_ts))?,
        remote_ts = tuple(py, selectors(&sa.remote_ts))?,
        protocol = convert::protocol(sa.protocol),
        mode = convert::mode(sa.mode),
        encapsulation = convert::encapsulation(sa.encapsulation),
        esn = sa.esn,
        replay_window = sa.replay_window,
        policy = sa.policy.0,
        soft_bytes = life.soft.bytes,
        soft_packets = life.soft.packets,
        hard_bytes = life.hard.bytes,
        hard_packets = life.hard.packets,
        idle = u64::try_from(life.idle.as_micros()).unwrap_or(u64::MAX),
        tfc_padding = sa.tfc_padding,
        if_id = sa.if_id,
        mark = sa.mark,
        resource = PyBytes::new(py, &sa.resource),
    }
    class!(py, "ravelin.changes", "SaParams")?.call((), Some(&kwargs))
}

/// From `ravelin.changes.SaParams`.
pub(crate) fn params(given: &Object<'_>) -> PyResult<SaParams> {
    let text = |field: &str| given.getattr(field)?.extract::<String>();
    let octets = |field: &str| given.getattr(field)?.extract::<Octets>().map(|o| o.0);
    let list = |field: &str| convert::parse_selectors(&given.getattr(field)?.extract::<Vec<String>>()?);
    let number = |field: &str| given.getattr(field)?.extract::<u64>();
    let small = |field: &str| given.getattr(field)?.extract::<u32>();
    Ok(SaParams {
        child: ChildId(number("child")?),
        spi: Spi(small("spi")?),
        direction: convert::parse_direction(&text("direction")?)?,
        protocol: convert::parse_protocol(&text("protocol")?)?,
        mode: convert::parse_mode(&text("mode")?)?,
        path: given.getattr("path")?.extract::<Way>()?.0,
        encapsulation: convert::parse_encapsulation(&text("encapsulation")?)?,
        suite: CipherSuite {
            encr: EncrId(given.getattr("encr")?.extract()?),
            key_bits: given.getattr("key_bits")?.extract()?,
            integ: IntegId(given.getattr("integ")?.extract()?),
            encr_key: Secret::new(octets("encr_key")?),
            integ_key: Secret::new(octets("integ_key")?),
        },
        esn: given.getattr("esn")?.extract()?,
        replay_window: small("replay_window")?,
        local_ts: list("local_ts")?.into(),
        remote_ts: list("remote_ts")?.into(),
        policy: PolicyId(small("policy")?),
        lifetime: Lifetime {
            soft: Limits { bytes: number("soft_bytes")?, packets: number("soft_packets")? },
            hard: Limits { bytes: number("hard_bytes")?, packets: number("hard_packets")? },
            idle: Duration::from_micros(number("idle")?),
        },
        tfc_padding: given.getattr("tfc_padding")?.extract()?,
        if_id: small("if_id")?,
        mark: small("mark")?,
        resource: octets("resource")?,
    })
}

/// A change for an external plane.
pub(crate) fn to_python<'py>(py: Python<'py>, change: &Change) -> PyResult<Object<'py>> {
    match change {
        Change::InstallInbound(sa) => {
            class!(py, "ravelin.changes", "InstallInbound")?.call1((params_to_python(py, sa)?,))
        }
        Change::InstallOutbound(sa) => {
            class!(py, "ravelin.changes", "InstallOutbound")?.call1((params_to_python(py, sa)?,))
        }
        Change::Switch { from, to } => class!(py, "ravelin.changes", "Switch")?.call1((from.0, to.0)),
        Change::Move { child, path, encapsulation } => class!(py, "ravelin.changes", "Move")?.call1((
            child.0,
            convert::path(py, *path)?,
            convert::encapsulation(*encapsulation),
        )),
        Change::Remove(sa) => class!(py, "ravelin.changes", "Remove")?.call1((
            sa.child.0,
            convert::direction(sa.direction),
            sa.spi.0,
            convert::path(py, sa.path)?,
        )),
        Change::AddPolicy(p) | Change::RemovePolicy(p) => {
            let class = match change {
                Change::AddPolicy(_) => class!(py, "ravelin.changes", "AddPolicy")?,
                _ => class!(py, "ravelin.changes", "RemovePolicy")?,
            };
            class.call1((p.id.0, p.name.as_str(), tuple(py, selectors(&p.local))?, tuple(py, selectors(&p.remote))?))
        }
        other => class!(py, "ravelin.events", "Unknown")?.call1((format!("{other:?}"),)),
    }
}

/// A change that was made in Python, for the ESP plane alone. Policies are the caller's business there.
pub(crate) fn from_python(given: &Object<'_>) -> PyResult<Change> {
    let name = given.get_type().name()?;
    let child = |field: &str| given.getattr(field)?.extract::<u64>().map(ChildId);
    let path = || given.getattr("path")?.extract::<Way>().map(|w| w.0);
    let sa = || params(&given.getattr("sa")?).map(Arc::new);
    Ok(match name.to_str()? {
        "InstallInbound" => Change::InstallInbound(sa()?),
        "InstallOutbound" => Change::InstallOutbound(sa()?),
        "Switch" => Change::Switch { from: child("old")?, to: child("new")? },
        "Move" => Change::Move {
            child: child("child")?,
            path: path()?,
            encapsulation: convert::parse_encapsulation(&given.getattr("encapsulation")?.extract::<String>()?)?,
        },
        "Remove" => Change::Remove(SaRef {
            child: child("child")?,
            direction: convert::parse_direction(&given.getattr("direction")?.extract::<String>()?)?,
            spi: Spi(given.getattr("spi")?.extract()?),
            path: path()?,
        }),
        other => return Err(invalid(format!("expected a change of ravelin.changes, found a {other}"))),
    })
}

/// A report of an external plane.
pub(crate) fn report(given: &Object<'_>) -> PyResult<Report> {
    let name = given.get_type().name()?;
    let child = || given.getattr("child")?.extract::<u64>().map(ChildId);
    let path = || given.getattr("path")?.extract::<Way>().map(|w| w.0);
    Ok(match name.to_str()? {
        "Acquire" => Report::Acquire {
            policy: PolicyId(given.getattr("policy")?.extract()?),
            packet: key(&given.getattr("packet")?.extract::<Octets>()?.0)?,
        },
        "SoftExpired" => Report::SoftExpired(child()?),
        "HardExpired" => Report::HardExpired(child()?),
        "SequenceLow" => Report::SequenceLow(child()?),
        "Idle" => Report::Idle(child()?),
        "PathSeen" => Report::PathSeen { child: child()?, path: path()? },
        "Traffic" => Report::Traffic { child: child()?, last: Instant(given.getattr("last")?.extract()?) },
        "UnknownSpi" => Report::UnknownSpi { spi: Spi(given.getattr("spi")?.extract()?), path: path()? },
        "Failed" => Report::Failed(child()?),
        other => return Err(invalid(format!("expected a report of ravelin.changes, found a {other}"))),
    })
}

/// What an outbound packet is looked up by.
pub(crate) fn key(packet: &[u8]) -> PyResult<PacketKey> {
    let parsed = ravelin::esp::IpPacket::parse(packet).map_err(|_| invalid("expected an IPv4 or IPv6 packet"))?;
    Ok(parsed.key(ravelin::db::Direction::Outbound))
}

/// A report of the plane.
pub(crate) fn report_to_python<'py>(py: Python<'py>, report: &Report) -> PyResult<Object<'py>> {
    match report {
        Report::SoftExpired(c) => class!(py, "ravelin.changes", "SoftExpired")?.call1((c.0,)),
        Report::HardExpired(c) => class!(py, "ravelin.changes", "HardExpired")?.call1((c.0,)),
        Report::SequenceLow(c) => class!(py, "ravelin.changes", "SequenceLow")?.call1((c.0,)),
        Report::Idle(c) => class!(py, "ravelin.changes", "Idle")?.call1((c.0,)),
        Report::Failed(c) => class!(py, "ravelin.changes", "Failed")?.call1((c.0,)),
        Report::PathSeen { child, path } => {
            class!(py, "ravelin.changes", "PathSeen")?.call1((child.0, convert::path(py, *path)?))
        }
        Report::Traffic { child, last } => class!(py, "ravelin.changes", "Traffic")?.call1((child.0, last.0)),
        Report::UnknownSpi { spi, path } => {
            class!(py, "ravelin.changes", "UnknownSpi")?.call1((spi.0, convert::path(py, *path)?))
        }
        other => class!(py, "ravelin.events", "Unknown")?.call1((format!("{other:?}"),)),
    }
}
