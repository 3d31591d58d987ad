//! The message codec for tools and tests: a datagram to raw payloads, payloads to fields, protection under exported
//! keys. Writing messages is Python's (`python/ravelin/wire.py`), where a test may write whatever it likes.

use crate::convert::Octets;
use crate::error::{class, invalid, malformed};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};
use ravelin::Secret;
use ravelin::crypto::{EncrId, IntegId, Provider};
use ravelin::db::proposal::{EncrAlg, Proposal, ProposalProtocol};
use ravelin::ike::event::IkeKeyLog;
use ravelin::ike::registry::{self, PayloadType, TransformType};
use ravelin::ike::seal::{self, DirectionKeys, SealAlg};
use ravelin::ike::wire::chain::{Chain, RawPayload};
use ravelin::ike::wire::message::Message;
use ravelin::ike::wire::payload::{Payload, Ts};
use std::sync::Arc;

type Object<'py> = Bound<'py, PyAny>;
/// Kind, flags, next payload, body.
type Raw<'py> = (u8, u8, u8, Bound<'py, PyBytes>);

/// The payloads of a chain: `first` is the kind of the first one.
#[pyfunction]
pub(crate) fn walk(py: Python<'_>, first: u8, data: Octets) -> PyResult<Vec<Raw<'_>>> {
    Chain::new(PayloadType(first), &data.0, 0)
        .map(|p| {
            let p = p.map_err(|e| malformed(e.to_string()))?;
            Ok((p.kind.0, p.flags, p.next.0, PyBytes::new(py, p.body)))
        })
        .collect()
}

/// A whole message as text, one line per payload.
#[pyfunction]
pub(crate) fn describe(data: Octets) -> PyResult<String> {
    Message::decode(&data.0).map(|m| m.to_string()).map_err(|e| malformed(e.to_string()))
}

/// One payload as text and as fields.
#[pyfunction]
pub(crate) fn fields<'py>(
    py: Python<'py>,
    kind: u8,
    flags: u8,
    next: u8,
    body: Octets,
) -> PyResult<(String, Object<'py>)> {
    let raw = RawPayload { kind: PayloadType(kind), flags, next: PayloadType(next), body: &body.0, offset: 0 };
    let payload = Payload::parse(&raw).map_err(|e| malformed(e.to_string()))?;
    Ok((payload.to_string(), tree(py, &payload)?.into_any()))
}

fn tree<'py>(py: Python<'py>, payload: &Payload) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    let octets = |b: &[u8]| PyBytes::new(py, b);
    macro_rules! set {
        ($($name:ident = $value:expr),* $(,)?) => {{ $(out.set_item(stringify!($name), $value)?;)* }};
    }
    match payload {
        Payload::Sa(sa) => {
            set! { proposals = sa.proposals.iter().map(|p| proposal(py, p)).collect::<PyResult<Vec<_>>>()? }
        }
        Payload::Ke(p) => set! { method = p.method.0, name = p.method.to_string(), data = octets(&p.data) },
        Payload::IdInitiator(p) | Payload::IdResponder(p) => {
            set! { id_type = p.kind.0, name = p.kind.to_string(), data = octets(&p.data), text = p.to_string() }
        }
        Payload::Cert(p) => set! { encoding = p.encoding.0, name = p.encoding.to_string(), data = octets(&p.data) },
        Payload::CertReq(p) => set! { encoding = p.encoding.0, name = p.encoding.to_string(), data = octets(&p.data) },
        Payload::Auth(p) => set! { method = p.method.0, name = p.method.to_string(), data = octets(&p.data) },
        Payload::Nonce(p) => set! { data = octets(&p.data) },
        Payload::Notify(p) => set! {
            notify = p.kind.0, name = p.kind.to_string(), protocol = p.protocol.0, spi = octets(&p.spi), data = octets(&p.data),
        },
        Payload::Delete(p) => {
            set! { protocol = p.protocol.0, spis = p.spis().map(octets).collect::<Vec<_>>() }
        }
        Payload::VendorId(p) => set! { data = octets(&p.data) },
        Payload::TsInitiator(p) | Payload::TsResponder(p) => {
            set! { selectors = p.selectors.iter().map(|ts| selector(py, ts)).collect::<PyResult<Vec<_>>>()? }
        }
        Payload::Encrypted(p) => set! { first = p.first.0, data = octets(&p.body) },
        Payload::EncryptedFragment(p) => {
            set! { first = p.first.0, number = p.fragment.number, total = p.fragment.total, data = octets(&p.body) }
        }
        Payload::Cp(p) => {
            let one = |a: &ravelin::ike::wire::payload::ConfigAttribute| {
                (a.kind.0, a.kind.to_string(), octets(&a.value), a.to_string())
            };
            set! { cfg_type = p.kind.0, name = p.kind.to_string(), attributes = p.attributes.iter().map(one).collect::<Vec<_>>() }
        }
        Payload::Eap(p) => {
            set! { code = p.code().0, name = p.code().to_string(), identifier = p.identifier(), packet = octets(p.packet()) }
            if let Some((method, data)) = p.kind_and_data() {
                set! { eap_type = method.0, data = octets(data) }
            }
        }
        Payload::Gspm(p) => set! { data = octets(&p.data) },
        Payload::PuzzleSolution(p) => set! { keys = p.keys().map(octets).collect::<Vec<_>>() },
        Payload::Unknown(p) => set! { data = octets(&p.body) },
    }
    Ok(out)
}

fn proposal<'py>(py: Python<'py>, p: &ravelin::ike::wire::payload::Proposal) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("number", p.number)?;
    out.set_item("protocol", p.protocol.0)?;
    out.set_item("spi", PyBytes::new(py, &p.spi))?;
    let transforms = PyList::empty(py);
    for t in &p.transforms {
        let one = PyDict::new(py);
        one.set_item("type", t.kind.0)?;
        one.set_item("kind", TransformType(t.kind.0).to_string())?;
        one.set_item("id", t.id)?;
        one.set_item("name", t.to_string())?;
        one.set_item("key_bits", t.key_length())?;
        transforms.append(one)?;
    }
    out.set_item("transforms", transforms)?;
    Ok(out)
}

fn selector<'py>(py: Python<'py>, ts: &Ts) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("ts_type", ts.kind().0)?;
    out.set_item("text", ts.to_string())?;
    let range = match ts {
        Ts::Ipv4Range { protocol, start_port, end_port, start, end } => {
            Some((*protocol, (*start_port, *end_port), (start.to_string(), end.to_string())))
        }
        Ts::Ipv6Range { protocol, start_port, end_port, start, end } => {
            Some((*protocol, (*start_port, *end_port), (start.to_string(), end.to_string())))
        }
        _ => None,
    };
    if let Some((protocol, ports, addresses)) = range {
        out.set_item("protocol", protocol)?;
        out.set_item("ports", ports)?;
        out.set_item("addresses", addresses)?;
    }
    Ok(out)
}

/// Every name of a registry with its number.
#[pyfunction]
pub(crate) fn names(registry: &str) -> PyResult<Vec<(u32, &'static str)>> {
    macro_rules! known {
        ($($word:literal => $ty:ident),* $(,)?) => {
            match registry {
                $($word => registry::$ty::KNOWN.iter().map(|(v, n)| (u32::from(v.0), *n)).collect(),)*
                _ => return Err(invalid(format!(concat!("expected one of ", $($word, " ",)* ", found {:?}"), registry))),
            }
        };
    }
    Ok(known! {
        "exchange" => ExchangeType, "payload" => PayloadType, "notify" => NotifyType, "id" => IdType, "auth" => AuthMethod,
        "cert" => CertEncoding, "config" => ConfigType, "attribute" => ConfigAttributeType, "protocol" => ProtocolId,
        "transform" => TransformType, "encr" => EncrId, "prf" => PrfId, "integ" => IntegId, "ke" => KeId, "sn" => SnId,
        "eap" => EapType, "hash" => AuthHashId,
    })
}

/// The first encryption and integrity transform of words such as "aes256gcm16": ids, key length in bits, and the
/// lengths of the two keys in octets (the first with its salt).
#[pyfunction]
#[pyo3(signature = (words, *, ike=false))]
pub(crate) fn algorithms(words: &str, ike: bool) -> PyResult<(u16, Option<u16>, u16, usize, usize)> {
    let protocol = if ike { ProposalProtocol::Ike } else { ProposalProtocol::Esp };
    let p = Proposal::parse(protocol, words).map_err(|e| invalid(e.to_string()))?;
    let encr = *p.encr.first().ok_or_else(|| invalid("expected an encryption algorithm"))?;
    let integ = if encr.id.is_aead() { IntegId::NONE } else { p.integ.first().copied().unwrap_or(IntegId::NONE) };
    let provider = ravelin::crypto::rustcrypto::provider();
    let alg = SealAlg::resolve(&provider, encr, integ).ok_or_else(|| invalid(format!("{words} is not implemented")))?;
    Ok((encr.id.0, encr.key_bits, integ.0, alg.encr_len(), alg.integ_len()))
}

/// Protection of the messages of one IKE SA, by exported keys (`events.IkeKeys`).
#[pyclass(frozen, module = "ravelin")]
pub(crate) struct IkeCipher {
    alg: SealAlg,
    /// The initiator's and the responder's.
    keys: [(Secret, Secret); 2],
    /// Keeps the provider that `alg` came from.
    _provider: Arc<Provider>,
}

impl IkeCipher {
    fn keys(&self, of_initiator: bool) -> DirectionKeys<'_> {
        let [i, r] = &self.keys;
        let (encr, integ) = if of_initiator { i } else { r };
        DirectionKeys { encr: encr.expose(), integ: integ.expose() }
    }
}

#[pymethods]
impl IkeCipher {
    #[new]
    fn new(keys: &Object<'_>) -> PyResult<Self> {
        let octets = |f: &str| keys.getattr(f)?.extract::<Octets>().map(|o| Secret::new(o.0));
        let encr =
            EncrAlg { id: EncrId(keys.getattr("encr")?.extract()?), key_bits: keys.getattr("key_bits")?.extract()? };
        let integ = IntegId(keys.getattr("integ")?.extract()?);
        let provider = crate::config::provider("portable+legacy")?;
        let alg = SealAlg::resolve(&provider, encr, integ)
            .ok_or_else(|| invalid(format!("the algorithms {} and {integ} are not implemented", encr.id)))?;
        let keys = [(octets("sk_ei")?, octets("sk_ai")?), (octets("sk_er")?, octets("sk_ar")?)];
        if keys.iter().any(|(e, a)| e.len() != alg.encr_len() || a.len() != alg.integ_len()) {
            return Err(invalid(format!("expected keys of {} and {} octets", alg.encr_len(), alg.integ_len())));
        }
        Ok(Self { alg, keys, _provider: provider })
    }

    /// Opens what stands behind `prefix` octets of a message (header and generic headers, with SKF's numbers); gives
    /// the plaintext without padding.
    fn open<'py>(
        &self,
        py: Python<'py>,
        message: Octets,
        prefix: usize,
        of_initiator: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let mut message = message.0;
        match seal::open(&self.alg, self.keys(of_initiator), &mut message, prefix) {
            Ok(plain) => Ok(PyBytes::new(py, plain)),
            Err(e) => {
                let class = class!(py, "ravelin.errors", "AuthenticationError")?;
                Err(PyErr::from_value(class.call1((format!("the message does not open with these keys: {e}"),))?))
            }
        }
    }

    /// Octets of IV, ciphertext, padding and integrity data for a plaintext of this length.
    fn body_len(&self, plain: usize) -> usize {
        seal::body_len(&self.alg, plain)
    }

    /// Octets of the IV.
    #[getter]
    fn iv_len(&self) -> usize {
        self.alg.iv_len()
    }

    /// Appends IV, ciphertext and integrity data to `prefix` (all of the message that stands before, with its final
    /// lengths).
    fn seal<'py>(
        &self,
        py: Python<'py>,
        prefix: Octets,
        plain: Octets,
        of_initiator: bool,
        iv: Octets,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let mut message = prefix.0;
        seal::seal(&self.alg, self.keys(of_initiator), &iv.0, &mut message, &plain.0)
            .map_err(|e| invalid(e.to_string()))?;
        Ok(PyBytes::new(py, &message))
    }

    fn __repr__(&self) -> String {
        format!("<IkeCipher {:?}>", self.alg)
    }
}

/// A line of Wireshark's `ikev2_decryption_table` for an `events.IkeKeys`, or None when it does not know the algorithms.
#[pyfunction]
pub(crate) fn ike_line(keys: &Object<'_>) -> PyResult<Option<String>> {
    let octets = |f: &str| keys.getattr(f)?.extract::<Octets>().map(|o| Secret::new(o.0));
    let log = IkeKeyLog {
        sa: ravelin::IkeSaId(0),
        spis: keys.getattr("spis")?.extract()?,
        encr: EncrAlg { id: EncrId(keys.getattr("encr")?.extract()?), key_bits: keys.getattr("key_bits")?.extract()? },
        integ: IntegId(keys.getattr("integ")?.extract()?),
        sk_ei: octets("sk_ei")?,
        sk_er: octets("sk_er")?,
        sk_ai: octets("sk_ai")?,
        sk_ar: octets("sk_ar")?,
    };
    Ok(ravelin::keylog::ike_line(&log))
}

/// A line of Wireshark's `esp_sa` for one direction of a Child SA, or None when it does not know the algorithms.
#[pyfunction]
pub(crate) fn esp_line(sa: &Object<'_>) -> PyResult<Option<String>> {
    Ok(ravelin::keylog::esp_line(&crate::change::params(sa)?))
}
