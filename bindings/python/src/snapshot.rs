//! What there is, as values: IKE SAs with their Child SAs, counters. The classes are in `python/ravelin/show.py`.

use crate::convert::{self, selectors, tuple};
use crate::error::class;
use crate::event::assigned;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use ravelin::Reload;
use ravelin::esp::plane::{ChildStats, DirectionStats, DropCounts};
use ravelin::ike::endpoint::{ChildSnapshot, Counters, SaSnapshot};

type Object<'py> = Bound<'py, PyAny>;

fn seconds(d: std::time::Duration) -> f64 {
    d.as_secs_f64()
}

fn child<'py>(py: Python<'py>, c: &ChildSnapshot) -> PyResult<Object<'py>> {
    class!(py, "ravelin.show", "ChildSa")?.call1((
        c.id.0,
        c.policy.0,
        c.spi_in.0,
        c.spi_out.0,
        c.proposal.as_str(),
        convert::mode(c.mode),
        convert::encapsulation(c.encapsulation),
        tuple(py, selectors(&c.local_ts))?,
        tuple(py, selectors(&c.remote_ts))?,
        seconds(c.age),
    ))
}

/// One IKE SA.
pub(crate) fn sa<'py>(py: Python<'py>, s: &SaSnapshot) -> PyResult<Object<'py>> {
    let children: Vec<_> = s.children.iter().map(|c| child(py, c)).collect::<PyResult<_>>()?;
    let kwargs = PyDict::new(py);
    macro_rules! set {
        ($($name:ident = $value:expr),* $(,)?) => { $(kwargs.set_item(stringify!($name), $value)?;)* };
    }
    set! {
        sa = s.id.0,
        peer = s.peer.map(|p| p.0),
        peer_name = s.peer_name.as_str(),
        state = s.state.name().to_lowercase(),
        role = s.role.to_string(),
        path = convert::path(py, s.path)?,
        local_id = s.local_id.as_ref().map(ToString::to_string),
        remote_id = s.remote_id.as_ref().map(ToString::to_string),
        spis = s.spis,
        proposal = s.proposal.as_str(),
        nat = s.nat,
        age = seconds(s.age),
        established = s.established.map(seconds),
        next = (s.next.0.0, format!("{:?}", s.next.1).to_lowercase()),
        leased = tuple(py, s.leased.iter().map(ToString::to_string).collect::<Vec<_>>())?,
        settings = s.assigned.as_ref().map(|a| assigned(py, a)).transpose()?,
        children = tuple(py, children)?,
    }
    class!(py, "ravelin.show", "IkeSa")?.call((), Some(&kwargs))
}

/// Drops by cause.
pub(crate) fn drops<'py>(py: Python<'py>, counts: &DropCounts) -> PyResult<Object<'py>> {
    let reason = class!(py, "ravelin.values", "DropReason")?;
    let out = PyDict::new(py);
    for (cause, count) in counts.iter() {
        out.set_item(reason.call1((cause as u8,))?, count)?;
    }
    Ok(out.into_any())
}

fn half<'py>(py: Python<'py>, s: &DirectionStats) -> PyResult<Object<'py>> {
    class!(py, "ravelin.show", "Traffic")?.call1((
        s.spi.0,
        s.packets,
        s.bytes,
        s.last.0,
        s.sequence,
        convert::path(py, s.path)?,
        convert::encapsulation(s.encapsulation),
        drops(py, &s.drops)?,
    ))
}

/// Counters of one Child SA.
pub(crate) fn child_stats<'py>(py: Python<'py>, s: &ChildStats) -> PyResult<Object<'py>> {
    let inbound = s.inbound.as_ref().map(|d| half(py, d)).transpose()?;
    let outbound = s.outbound.as_ref().map(|d| half(py, d)).transpose()?;
    let mode = convert::mode(s.mode);
    class!(py, "ravelin.show", "ChildStats")?.call1((s.child.0, s.policy.0, mode, inbound, outbound, s.active))
}

/// Counters of what came in.
pub(crate) fn counters<'py>(py: Python<'py>, c: &Counters) -> PyResult<Object<'py>> {
    class!(py, "ravelin.show", "Counters")?.call1((
        c.malformed,
        c.wrong_version,
        c.unknown_spi,
        c.unexpected,
        c.not_authentic,
        c.handled,
        c.repeated,
        c.cookies_demanded,
        c.cookies_wrong,
        c.puzzles_set,
        c.over_limit,
        c.refused,
    ))
}

/// What a reload did.
pub(crate) fn reload(py: Python<'_>, done: Reload) -> PyResult<Object<'_>> {
    let names = |list: Vec<String>| PyTuple::new(py, list);
    let deleting = PyTuple::new(py, done.deleting.iter().map(|c| c.0))?;
    class!(py, "ravelin.show", "Reload")?.call1((
        names(done.added)?,
        names(done.changed)?,
        names(done.removed)?,
        names(done.notes)?,
        deleting,
    ))
}
