//! Errors: classes of `ravelin.errors`, chosen by the number of `ravelin::code::Status`. Also how a class that is
//! written in Python is found, once.

use pyo3::prelude::*;
use ravelin::code::Status;
use ravelin::esp::error::PlaneError;
use ravelin::{ApiError, DropReason};

/// A class written in Python, imported on first use.
macro_rules! class {
    ($py:expr, $module:literal, $name:literal) => {{
        static CLASS: pyo3::sync::PyOnceLock<pyo3::Py<pyo3::PyAny>> = pyo3::sync::PyOnceLock::new();
        CLASS.import($py, $module, $name)
    }};
}
pub(crate) use class;

/// The exception for a status, with a text.
pub(crate) fn raise(status: Status, text: impl Into<String>) -> PyErr {
    let text = text.into();
    Python::attach(|py| {
        let made = class!(py, "ravelin.errors", "from_code").and_then(|f| f.call1((status as i32, text)));
        made.map_or_else(|e| e, PyErr::from_value)
    })
}

/// A length, a number or a text is outside its range.
pub(crate) fn invalid(text: impl Into<String>) -> PyErr {
    raise(Status::InvalidArgument, text)
}

/// A configuration value is not acceptable.
pub(crate) fn unacceptable(text: impl Into<String>) -> PyErr {
    raise(Status::Configuration, text)
}

/// A mistake of the calling program.
pub(crate) fn misuse(error: ApiError) -> PyErr {
    raise(error.into(), error.to_string())
}

/// A change that the plane does not take.
pub(crate) fn plane(error: PlaneError) -> PyErr {
    raise(Status::from(error), error.to_string())
}

/// Octets that are no IKEv2.
pub(crate) fn malformed(text: impl Into<String>) -> PyErr {
    let text = text.into();
    Python::attach(|py| {
        let made = class!(py, "ravelin.errors", "MalformedError").and_then(|c| c.call1((text,)));
        made.map_or_else(|e| e, PyErr::from_value)
    })
}

/// Every status of `src/code.rs`: number and words. `ravelin.errors` is tested against it.
#[pyfunction]
pub(crate) fn statuses() -> Vec<(i32, &'static str)> {
    Status::ALL.iter().map(|(s, name)| (*s as i32, *name)).collect()
}

/// Every drop reason: number, name, words. `ravelin.values.DropReason` is tested against it.
#[pyfunction]
pub(crate) fn drop_reasons() -> Vec<(u8, &'static str, &'static str)> {
    DropReason::ALL.iter().map(|r| (*r as u8, r.name(), r.text())).collect()
}
