//! What became of a packet: frozen classes that cost little, since they are made per packet.

use crate::convert;
use crate::error::class;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use ravelin::{DropReason, TransmitMeta};

fn reason(py: Python<'_>, number: u8) -> PyResult<Bound<'_, PyAny>> {
    class!(py, "ravelin.values", "DropReason")?.call1((number,))
}

macro_rules! unit {
    ($($(#[$meta:meta])* $name:ident),* $(,)?) => {$(
        $(#[$meta])*
        #[pyclass(frozen, eq, hash, module = "ravelin")]
        #[derive(PartialEq, Eq, Hash)]
        pub(crate) struct $name {}
        #[pymethods]
        impl $name {
            #[classattr]
            fn __match_args__(py: Python<'_>) -> Py<PyTuple> { PyTuple::empty(py).unbind() }
            fn __repr__(&self) -> &'static str { concat!(stringify!($name), "()") }
        }
    )*};
}

unit! {
    /// It was IKE or a keepalive; look at the outputs.
    Consumed,
    /// The policy lets it pass in the clear; the caller forwards it.
    Bypass,
    /// It waits for the SA that is being made.
    Acquiring,
    /// No sending SA covers it (the ESP plane alone).
    NoSa,
}

macro_rules! dropped {
    ($($(#[$meta:meta])* $name:ident),* $(,)?) => {$(
        $(#[$meta])*
        #[pyclass(frozen, eq, hash, module = "ravelin")]
        #[derive(PartialEq, Eq, Hash)]
        pub(crate) struct $name { number: u8 }
        impl $name {
            pub(crate) fn of(reason: DropReason) -> Self { Self { number: reason as u8 } }
        }
        #[pymethods]
        impl $name {
            #[classattr]
            fn __match_args__() -> (&'static str,) { ("reason",) }
            /// Why.
            #[getter]
            fn reason<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> { reason(py, self.number) }
            fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
                Ok(format!(concat!(stringify!($name), "({})"), reason(py, self.number)?.repr()?))
            }
        }
    )*};
}

dropped! {
    /// Came in, dropped and counted.
    Dropped,
    /// Wanted to go out, dropped and counted.
    Discard,
}

/// An inner IP packet that came out of a tunnel.
#[pyclass(frozen, get_all, module = "ravelin")]
pub(crate) struct Deliver {
    /// The Child SA it came on.
    child: u64,
    /// The packet; empty from a call that wrote it into a buffer.
    packet: Py<PyBytes>,
    /// Its length in octets.
    length: usize,
}

impl Deliver {
    pub(crate) fn new(py: Python<'_>, child: u64, packet: &[u8]) -> Self {
        Self { child, packet: PyBytes::new(py, packet).unbind(), length: packet.len() }
    }
}

#[pymethods]
impl Deliver {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str) {
        ("child", "packet")
    }

    fn __repr__(&self) -> String {
        format!("Deliver(child={}, {} octets)", self.child, self.length)
    }
}

/// Larger than the path carries and not to be fragmented; the sender is to be told.
#[pyclass(frozen, get_all, eq, hash, module = "ravelin")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct TooBig {
    /// The largest inner packet that fits, in octets.
    pub(crate) mtu: u16,
}

#[pymethods]
impl TooBig {
    #[classattr]
    fn __match_args__() -> (&'static str,) {
        ("mtu",)
    }

    fn __repr__(&self) -> String {
        format!("TooBig(mtu={})", self.mtu)
    }
}

/// One sealed packet: where it goes and what.
#[pyclass(frozen, module = "ravelin")]
pub(crate) struct Sealed {
    meta: TransmitMeta,
    data: Py<PyBytes>,
}

impl Sealed {
    pub(crate) fn new(py: Python<'_>, meta: TransmitMeta, data: &[u8]) -> Self {
        Self { meta, data: PyBytes::new(py, data).unbind() }
    }
}

#[pymethods]
impl Sealed {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str) {
        ("path", "data")
    }

    /// The Child SA that sealed it.
    #[getter]
    fn child(&self) -> u64 {
        self.meta.child.0
    }

    /// Outer addresses and ports.
    #[getter]
    fn path<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::path(py, self.meta.path)
    }

    /// "none" (a raw socket of `protocol`), "udp" or "tcp".
    #[getter]
    fn encapsulation(&self) -> &'static str {
        convert::encapsulation(self.meta.encapsulation)
    }

    /// Protocol of the outer header when it is bare: 50 or 51.
    #[getter]
    fn protocol(&self) -> u8 {
        self.meta.protocol
    }

    /// From the ESP header on; empty from a call that wrote it into a buffer.
    #[getter]
    fn data(&self, py: Python<'_>) -> Py<PyBytes> {
        self.data.clone_ref(py)
    }

    /// Octets of it.
    #[getter]
    fn length(&self) -> usize {
        self.meta.len
    }

    fn __repr__(&self) -> String {
        format!("Sealed({}, {} octets)", self.meta.path, self.meta.len)
    }
}

/// Sealed: one packet, or several when it was fragmented before.
#[pyclass(frozen, get_all, module = "ravelin")]
pub(crate) struct Sent {
    /// What to send.
    packets: Py<PyTuple>,
}

impl Sent {
    pub(crate) fn new(py: Python<'_>, packets: Vec<Sealed>) -> PyResult<Self> {
        let packets: Vec<Py<Sealed>> = packets.into_iter().map(|p| Py::new(py, p)).collect::<PyResult<_>>()?;
        Ok(Self { packets: PyTuple::new(py, packets)?.unbind() })
    }
}

#[pymethods]
impl Sent {
    #[classattr]
    fn __match_args__() -> (&'static str,) {
        ("packets",)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("Sent({})", self.packets.bind(py).repr()?))
    }
}
