//! The node: what the world brings in, what it wants out. Calls of several threads take turns, and none of them holds
//! the interpreter lock while the node works.

use crate::config::Config;
use crate::convert::{Lengths, Octets, Way, When, ip};
use crate::error::misuse;
use crate::event::{self, Ticket};
use crate::outcome::{Acquiring, Bypass, Consumed, Deliver, Discard, Dropped, TooBig};
use crate::plane::{Collect, Packed, Plane, Target, Targets, cut};
use crate::{change, snapshot};
use pyo3::prelude::*;
use pyo3::types::PyList;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use ravelin::db::ChildId;
use ravelin::db::snapshot::{Include, Snapshot};
use ravelin::esp::OuterInfo;
use ravelin::{ApiError, Egress, IkeSaId, Ingress, Instant, Node as Inner, Output, PeerId, PolicyId};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Object<'py> = Bound<'py, PyAny>;

/// An IPsec host without I/O.
#[pyclass(frozen, module = "ravelin")]
pub(crate) struct Node {
    inner: Mutex<Inner>,
    plane: Py<Plane>,
}

/// What became of a datagram, when the buffer is no longer lent to the node.
enum Came {
    Consumed,
    Deliver(ChildId, std::ops::Range<usize>),
    Dropped(ravelin::DropReason),
}

impl Node {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `f` on the node without the interpreter lock.
    fn run<T: Send>(&self, py: Python<'_>, f: impl FnOnce(&mut Inner) -> T + Send) -> T {
        py.detach(|| f(&mut self.lock()))
    }

    fn ask(&self, py: Python<'_>, f: impl FnOnce(&mut Inner) -> Result<(), ApiError> + Send) -> PyResult<()> {
        self.run(py, f).map_err(misuse)
    }
}

/// Where `part` lies in what starts at `base`.
fn place(base: usize, part: &[u8]) -> std::ops::Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(base);
    start..start.saturating_add(part.len())
}

fn came(node: &mut Inner, now: When, path: Way, data: &mut [u8]) -> Came {
    let base = data.as_ptr() as usize;
    match node.handle_datagram(now.0, path.0, data) {
        Ingress::Consumed => Came::Consumed,
        Ingress::Deliver { child, packet } => Came::Deliver(child, place(base, packet)),
        Ingress::Dropped(reason) => Came::Dropped(reason),
    }
}

fn went<'py>(py: Python<'py>, result: Egress, sink: &Collect) -> PyResult<Object<'py>> {
    Ok(match result {
        Egress::Sent => Bound::new(py, sink.sealed(py)?)?.into_any(),
        Egress::Bypass => Bound::new(py, Bypass {})?.into_any(),
        Egress::Discard(reason) => Bound::new(py, Discard::of(reason))?.into_any(),
        Egress::TooBig { mtu } => Bound::new(py, TooBig { mtu })?.into_any(),
        Egress::Acquiring => Bound::new(py, Acquiring {})?.into_any(),
    })
}

fn delivered<'py>(py: Python<'py>, came: Came, data: &[u8]) -> PyResult<Object<'py>> {
    Ok(match came {
        Came::Consumed => Bound::new(py, Consumed {})?.into_any(),
        Came::Deliver(child, range) => {
            Bound::new(py, Deliver::new(py, child.0, data.get(range).unwrap_or_default()))?.into_any()
        }
        Came::Dropped(reason) => Bound::new(py, Dropped::of(reason))?.into_any(),
    })
}

#[pymethods]
impl Node {
    #[new]
    #[pyo3(signature = (config, seed=None))]
    fn new(py: Python<'_>, config: &Config, seed: Option<Octets>) -> PyResult<Self> {
        let mut secret = [0u8; 32];
        match seed {
            Some(s) if s.0.len() == 32 => secret.copy_from_slice(&s.0),
            Some(s) => return Err(crate::error::invalid(format!("expected a seed of 32 octets, found {}", s.0.len()))),
            None => getrandom::fill(&mut secret).map_err(|e| pyo3::exceptions::PyOSError::new_err(e.to_string()))?,
        }
        let (config, db, provider) = config.parts()?;
        let inner = Inner::new(config, provider, db, Box::new(ChaCha20Rng::from_seed(secret)));
        let plane = Py::new(py, Plane::of(Arc::clone(inner.plane())))?;
        Ok(Self { inner: Mutex::new(inner), plane })
    }

    /// Takes a UDP payload.
    fn handle_datagram<'py>(&self, py: Python<'py>, data: Octets, path: Way, now: When) -> PyResult<Object<'py>> {
        let mut data = data.0;
        let result = self.run(py, |n| came(n, now, path, &mut data));
        delivered(py, result, &data)
    }

    /// As `handle_datagram`; an inner packet goes to `out`. Gives its length; 0: consumed; -1 minus the drop reason.
    fn handle_datagram_into(
        &self,
        py: Python<'_>,
        data: Octets,
        path: Way,
        now: When,
        out: &Object<'_>,
    ) -> PyResult<isize> {
        let (mut data, space) = (data.0, Target::new(out)?);
        match self.run(py, |n| came(n, now, path, &mut data)) {
            Came::Consumed => Ok(0),
            Came::Dropped(reason) => Ok((-1isize).saturating_sub(isize::from(reason as u8))),
            Came::Deliver(_, range) => {
                let mut packed = Packed::default();
                packed.add(data.get(range).unwrap_or_default());
                packed.give_octets(&space).map(|n| isize::try_from(n).unwrap_or(isize::MAX))
            }
        }
    }

    /// Takes an ESP packet from a raw socket, from the SPI on.
    #[pyo3(signature = (data, path, now, traffic_class=0, hop_limit=0))]
    fn handle_esp<'py>(
        &self,
        py: Python<'py>,
        data: Octets,
        path: Way,
        now: When,
        traffic_class: u8,
        hop_limit: u8,
    ) -> PyResult<Object<'py>> {
        let mut data = data.0;
        let outer = OuterInfo { traffic_class, hop_limit };
        let result = self.run(py, |n| {
            let base = data.as_ptr() as usize;
            match n.handle_esp(now.0, path.0, outer, &mut data) {
                Ingress::Consumed => Came::Consumed,
                Ingress::Deliver { child, packet } => Came::Deliver(child, place(base, packet)),
                Ingress::Dropped(reason) => Came::Dropped(reason),
            }
        });
        delivered(py, result, &data)
    }

    /// Takes an IP packet that wants to go out.
    fn handle_packet<'py>(&self, py: Python<'py>, packet: Octets, now: When) -> PyResult<Object<'py>> {
        let mut sink = Collect::default();
        let result = self.run(py, |n| n.handle_packet(now.0, &packet.0, &mut sink));
        went(py, result, &sink)
    }

    /// As `handle_packet`; what is to be sent goes to `out`. Gives its length, 0 when there is nothing to send now.
    fn handle_packet_into(&self, py: Python<'_>, packet: Octets, now: When, out: &Object<'_>) -> PyResult<usize> {
        let (mut sink, space) = (Collect::default(), Target::new(out)?);
        self.run(py, |n| n.handle_packet(now.0, &packet.0, &mut sink));
        let mut packed = Packed::default();
        sink.packets.iter().for_each(|(_, data)| packed.octets.extend_from_slice(data));
        packed.give_octets(&space)
    }

    /// Takes many UDP payloads that came on one path and lie one after another. Inner packets go to `out` one after
    /// another, their lengths to `out_lengths` (0: consumed or dropped). Gives the octets written.
    #[allow(clippy::too_many_arguments, reason = "two buffers in, two out")]
    fn handle_datagrams_into(
        &self,
        py: Python<'_>,
        data: Octets,
        lengths: Lengths,
        path: Way,
        now: When,
        out: &Object<'_>,
        out_lengths: &Object<'_>,
    ) -> PyResult<usize> {
        let space = Targets::new(out, out_lengths, lengths.0.len())?;
        let (cut, mut data) = (cut(data.0.len(), &lengths.0)?, data.0);
        let packed = self.run(py, |n| {
            let mut packed = Packed::default();
            for range in cut {
                let Some(datagram) = data.get_mut(range) else { break };
                match n.handle_datagram(now.0, path.0, datagram) {
                    Ingress::Deliver { packet, .. } => packed.add(packet),
                    _ => packed.add(&[]),
                }
            }
            packed
        });
        packed.give(&space)
    }

    /// Takes many IP packets that lie one after another; what is to be sent goes to `out`, as with
    /// `handle_datagrams_into`.
    fn handle_packets_into(
        &self,
        py: Python<'_>,
        data: Octets,
        lengths: Lengths,
        now: When,
        out: &Object<'_>,
        out_lengths: &Object<'_>,
    ) -> PyResult<usize> {
        let space = Targets::new(out, out_lengths, lengths.0.len())?;
        let (cut, data) = (cut(data.0.len(), &lengths.0)?, data.0);
        let packed = self.run(py, |n| {
            let (mut packed, mut sink) = (Packed::default(), Collect::default());
            for range in cut {
                n.handle_packet(now.0, data.get(range).unwrap_or_default(), &mut sink);
                let whole: Vec<u8> = sink.packets.drain(..).flat_map(|(_, d)| d).collect();
                packed.add(&whole);
            }
            packed
        });
        packed.give(&space)
    }

    /// Does everything whose time has come.
    fn handle_timeout(&self, py: Python<'_>, now: When) {
        self.run(py, |n| n.handle_timeout(now.0));
    }

    /// Takes what an external data plane saw.
    fn handle_report(&self, py: Python<'_>, report: &Object<'_>, now: When) -> PyResult<()> {
        let report = change::report(report)?;
        self.run(py, |n| n.handle_report(now.0, report));
        Ok(())
    }

    /// Takes the answer to a question.
    fn answer(&self, py: Python<'_>, ticket: &Ticket, answer: &Object<'_>, now: When) -> PyResult<()> {
        let (ticket, answer) = (ticket.0.0, event::answer(answer)?);
        self.ask(py, |n| n.handle_answer(now.0, ticket, answer))
    }

    /// Brings up an IKE SA with a peer, and a Child SA for `policy` if given.
    #[pyo3(signature = (peer, policy=None, *, now))]
    fn initiate(&self, py: Python<'_>, peer: u32, policy: Option<u32>, now: When) -> PyResult<u64> {
        self.run(py, |n| n.initiate(now.0, PeerId(peer), policy.map(PolicyId))).map(|sa| sa.0).map_err(misuse)
    }

    /// Deletes an IKE SA with its Child SAs.
    fn delete(&self, py: Python<'_>, sa: u64, now: When) -> PyResult<()> {
        self.ask(py, |n| n.delete(now.0, IkeSaId(sa)))
    }

    /// Deletes a Child SA.
    fn delete_child(&self, py: Python<'_>, child: u64, now: When) -> PyResult<()> {
        self.ask(py, |n| n.delete_child(now.0, ChildId(child)))
    }

    /// Rekeys an IKE SA.
    fn rekey(&self, py: Python<'_>, sa: u64, now: When) -> PyResult<()> {
        self.ask(py, |n| n.rekey(now.0, IkeSaId(sa)))
    }

    /// Rekeys a Child SA.
    fn rekey_child(&self, py: Python<'_>, child: u64, now: When) -> PyResult<()> {
        self.ask(py, |n| n.rekey_child(now.0, ChildId(child)))
    }

    /// Authenticates anew.
    fn reauth(&self, py: Python<'_>, sa: u64, now: When) -> PyResult<()> {
        self.ask(py, |n| n.reauth(now.0, IkeSaId(sa)))
    }

    /// Asks whether a peer is alive.
    fn probe(&self, py: Python<'_>, sa: u64, now: When) -> PyResult<()> {
        self.ask(py, |n| n.probe(now.0, IkeSaId(sa)))
    }

    /// Begins everything whose policy says so.
    fn start(&self, py: Python<'_>, now: When) {
        self.run(py, |n| n.start(now.0));
    }

    /// Moves an IKE SA to another path.
    fn roam(&self, py: Python<'_>, sa: u64, path: Way, now: When) -> PyResult<()> {
        self.ask(py, |n| n.roam(now.0, IkeSaId(sa), path.0))
    }

    /// Says which addresses this host has, the best first.
    fn set_addresses(&self, py: Python<'_>, addresses: Vec<String>, now: When) -> PyResult<()> {
        let all = addresses.iter().map(|a| ip(a)).collect::<PyResult<Vec<_>>>()?;
        self.run(py, |n| n.set_addresses(now.0, all));
        Ok(())
    }

    /// Deletes everything and takes nothing new.
    fn shutdown(&self, py: Python<'_>, now: When) {
        self.run(py, |n| n.shutdown(now.0));
    }

    /// True when no IKE SA is left.
    fn is_idle(&self, py: Python<'_>) -> bool {
        self.run(py, |n| n.is_idle())
    }

    /// The oldest output, or None.
    fn poll_output<'py>(&self, py: Python<'py>) -> PyResult<Option<Object<'py>>> {
        let next = self.run(py, |n| n.poll_output());
        next.map(|o| event::output(py, o)).transpose()
    }

    /// All outputs that wait, oldest first.
    fn outputs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let all: Vec<Output> = self.run(py, |n| std::iter::from_fn(|| n.poll_output()).collect());
        let all = all.into_iter().map(|o| event::output(py, o)).collect::<PyResult<Vec<_>>>()?;
        PyList::new(py, all)
    }

    /// When to call `handle_timeout` next, in microseconds; 0 while output waits; None: nothing to do.
    fn deadline(&self, py: Python<'_>) -> Option<u64> {
        self.run(py, |n| n.deadline()).map(|d| d.at.0)
    }

    /// Why there is a deadline, in a word.
    fn deadline_reason(&self, py: Python<'_>) -> Option<String> {
        self.run(py, |n| n.deadline()).map(|d| format!("{:?}", d.why).to_lowercase())
    }

    /// Every IKE SA with its Child SAs.
    fn snapshot<'py>(&self, py: Python<'py>, now: When) -> PyResult<Bound<'py, PyList>> {
        let all = self.run(py, |n| n.snapshot(now.0.mono));
        PyList::new(py, all.iter().map(|s| snapshot::sa(py, s)).collect::<PyResult<Vec<_>>>()?)
    }

    /// The databases as they are now, leases included, as JSON for `Config.restore`.
    #[pyo3(signature = (*, secrets=false))]
    fn save(&self, py: Python<'_>, secrets: bool) -> PyResult<String> {
        let include = if secrets { Include::Secrets } else { Include::Public };
        let text = self.run(py, |n| serde_json::to_string(&Snapshot::take(n.db(), std::iter::empty(), include)));
        text.map_err(|e| crate::error::unacceptable(e.to_string()))
    }

    /// Makes the databases those of a configuration; says what that changed.
    fn reload<'py>(&self, py: Python<'py>, config: PyRef<'py, Config>, now: When) -> PyResult<Object<'py>> {
        let (_, db, _) = config.parts()?;
        let done = self.run(py, move |n| n.reload(now.0, db));
        snapshot::reload(py, done)
    }

    /// Counters of a Child SA in the inline plane, or None.
    fn stats<'py>(&self, py: Python<'py>, child: u64) -> PyResult<Option<Object<'py>>> {
        self.run(py, |n| n.stats(ChildId(child))).map(|s| snapshot::child_stats(py, &s)).transpose()
    }

    /// Counters of what came in.
    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Object<'py>> {
        let counters = self.run(py, |n| n.counters());
        snapshot::counters(py, &counters)
    }

    /// The inline data plane; any number of threads may use it.
    #[getter]
    fn plane(&self, py: Python<'_>) -> Py<Plane> {
        self.plane.clone_ref(py)
    }

    /// The id of a peer by its name, or None.
    fn peer(&self, py: Python<'_>, name: &str) -> Option<u32> {
        self.run(py, |n| n.db().pad.find_by_name(name)).map(|p| p.0)
    }

    /// The id of a policy by its name, or None. A child's policy is called as the child was.
    fn policy(&self, py: Python<'_>, name: &str) -> Option<u32> {
        self.run(py, |n| n.db().spd.find_by_name(name)).map(|p| p.0)
    }

    /// What the SPD does with an outbound packet and why, in words.
    fn explain(&self, py: Python<'_>, packet: Octets) -> PyResult<String> {
        let key = change::key(&packet.0)?;
        let scope = ravelin::db::Scope::default();
        Ok(self.run(py, |n| n.db().spd.explain(ravelin::db::Direction::Outbound, &key, &scope, 8).to_string()))
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let sas = self.run(py, |n| n.snapshot(Instant(0)).len());
        format!("<Node with {sas} IKE SAs>")
    }
}
