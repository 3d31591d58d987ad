//! Plain values both ways: octets, time, addresses, paths, and words for small enumerations. To add one: a type here
//! that `extract`s itself, or a function that makes the Python value.

use crate::error::{class, invalid};
use pyo3::buffer::{PyBuffer, PyUntypedBuffer};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use ravelin::db::{Encapsulation, Mode, TrafficSelector};
use ravelin::{Instant, Now, Path, UnixTime};
use std::net::{IpAddr, SocketAddr};

/// Octets of the caller, copied: bytes, bytearray, memoryview, array('B'), whatever has a buffer.
pub(crate) struct Octets(pub(crate) Vec<u8>);

impl<'py> FromPyObject<'_, 'py> for Octets {
    type Error = PyErr;
    fn extract(obj: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = obj.cast::<PyBytes>() {
            return Ok(Self(bytes.as_bytes().to_vec()));
        }
        Ok(Self(PyBuffer::<u8>::get(&obj)?.to_vec(obj.py())?))
    }
}

/// Numbers of the caller, copied: `array('I')` or another buffer of 32-bit unsigned integers.
pub(crate) struct Lengths(pub(crate) Vec<u32>);

impl<'py> FromPyObject<'_, 'py> for Lengths {
    type Error = PyErr;
    fn extract(obj: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        // An empty array has no address, and so not the right one.
        if PyUntypedBuffer::get(&obj)?.item_count() == 0 {
            return Ok(Self(Vec::new()));
        }
        Ok(Self(PyBuffer::<u32>::get(&obj)?.to_vec(obj.py())?))
    }
}

/// `Now(mono, wall)`, or microseconds alone.
#[derive(Clone, Copy)]
pub(crate) struct When(pub(crate) Now);

impl<'py> FromPyObject<'_, 'py> for When {
    type Error = PyErr;
    fn extract(obj: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(pair) = obj.cast::<PyTuple>() {
            let (mono, wall): (u64, u64) = pair.extract()?;
            return Ok(Self(Now { mono: Instant(mono), wall: UnixTime(wall) }));
        }
        Ok(Self(Now::at(obj.extract()?)))
    }
}

/// `("192.0.2.1", 500)`; the longer tuples of IPv6 sockets will do.
#[derive(Clone, Copy)]
pub(crate) struct Address(pub(crate) SocketAddr);

impl<'py> FromPyObject<'_, 'py> for Address {
    type Error = PyErr;
    fn extract(obj: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let (host, port) = (obj.get_item(0)?, obj.get_item(1)?.extract::<u16>()?);
        let host = host.extract::<&str>()?;
        Ok(Self(SocketAddr::new(ip(host.split('%').next().unwrap_or(host))?, port)))
    }
}

/// `Path(local, remote)`, or any pair of addresses.
#[derive(Clone, Copy)]
pub(crate) struct Way(pub(crate) Path);

impl<'py> FromPyObject<'_, 'py> for Way {
    type Error = PyErr;
    fn extract(obj: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let (local, remote): (Address, Address) = obj.extract()?;
        Ok(Self(Path { local: local.0, remote: remote.0 }))
    }
}

pub(crate) fn ip(text: &str) -> PyResult<IpAddr> {
    text.parse().map_err(|_| invalid(format!("expected an IP address, found {text:?}")))
}

fn address(py: Python<'_>, at: SocketAddr) -> PyResult<Bound<'_, PyTuple>> {
    (at.ip().to_string(), at.port()).into_pyobject(py)
}

/// A `ravelin.Path`.
pub(crate) fn path(py: Python<'_>, path: Path) -> PyResult<Bound<'_, PyAny>> {
    class!(py, "ravelin.values", "Path")?.call1((address(py, path.local)?, address(py, path.remote)?))
}

pub(crate) fn selectors(list: &[TrafficSelector]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

pub(crate) fn parse_selectors(list: &[String]) -> PyResult<Vec<TrafficSelector>> {
    list.iter().map(|s| s.parse().map_err(|e: ravelin::db::selector::SelectorError| invalid(e.to_string()))).collect()
}

/// A tuple of what is given.
pub(crate) fn tuple<'py, T: IntoPyObject<'py>>(
    py: Python<'py>,
    list: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, list)
}

macro_rules! words {
    ($to:ident, $from:ident, $ty:ty, $what:literal, $($word:literal => $value:path),* $(,)?) => {
        pub(crate) fn $to(value: $ty) -> &'static str {
            match value { $($value => $word,)* }
        }
        pub(crate) fn $from(word: &str) -> PyResult<$ty> {
            match word {
                $($word => Ok($value),)*
                _ => Err(invalid(format!(concat!("expected ", $what, " (one of ", $($word, " ",)* "), found {:?}"), word))),
            }
        }
    };
}
use ravelin::db::{Direction, Protocol};
words!(mode, parse_mode, Mode, "a mode", "tunnel" => Mode::Tunnel, "transport" => Mode::Transport, "beet" => Mode::Beet);
words!(encapsulation, parse_encapsulation, Encapsulation, "an encapsulation",
    "none" => Encapsulation::None, "udp" => Encapsulation::Udp, "tcp" => Encapsulation::Tcp);
words!(direction, parse_direction, Direction, "a direction", "in" => Direction::Inbound, "out" => Direction::Outbound);
words!(protocol, parse_protocol, Protocol, "a protocol", "esp" => Protocol::Esp, "ah" => Protocol::Ah);
