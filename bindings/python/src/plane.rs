//! The ESP plane alone: SAs with manual keys, no IKE. Threads may share it; bursts run without the interpreter lock.

use crate::change;
use crate::convert::{Lengths, Octets, Way, When};
use crate::error::{invalid, plane as refused, raise};
use crate::outcome::{Deliver, Discard, Dropped, NoSa, Sealed, Sent, TooBig};
use crate::snapshot;
use pyo3::buffer::{PyBuffer, PyUntypedBuffer};
use pyo3::prelude::*;
use pyo3::types::{PyMemoryView, PySlice};
use ravelin::code::Status;
use ravelin::db::ChildId;
use ravelin::esp::plane::{Egress, Ingress, OpenJob, PlaneConfig, SealJob, Worker};
use ravelin::esp::{OuterInfo, PacketSink, Plane as Inner, TransmitMeta};
use ravelin::{Instant, Path, Secret};
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// A sink that keeps everything.
#[derive(Default)]
pub(crate) struct Collect {
    pub(crate) packets: Vec<(TransmitMeta, Vec<u8>)>,
    buf: Vec<u8>,
}

impl PacketSink for Collect {
    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        self.buf = vec![0; len];
        Some(&mut self.buf)
    }

    fn commit(&mut self, meta: TransmitMeta) {
        let mut bytes = std::mem::take(&mut self.buf);
        bytes.truncate(meta.len);
        self.packets.push((meta, bytes));
    }
}

impl Collect {
    pub(crate) fn sealed(&self, py: Python<'_>) -> PyResult<Sent> {
        Sent::new(py, self.packets.iter().map(|(meta, data)| Sealed::new(py, *meta, data)).collect())
    }
}

/// Workers that are kept for later bursts.
const MAX_LANES: usize = 16;

/// A plane without SAs. `seed`: 32 secret octets for unpredictable IVs.
#[pyclass(frozen, module = "ravelin")]
pub(crate) struct Plane {
    inner: Arc<Inner>,
    lanes: Mutex<Vec<Lane>>,
}

impl Plane {
    pub(crate) fn of(inner: Arc<Inner>) -> Self {
        Self { inner, lanes: Mutex::default() }
    }
}

/// Where packets of a packed buffer begin and end; refuses lengths that do not fit.
pub(crate) fn cut(octets: usize, lengths: &[u32]) -> PyResult<Vec<Range<usize>>> {
    let mut at = 0usize;
    let cut: Option<Vec<_>> = lengths
        .iter()
        .map(|len| {
            let start = at;
            at = start.checked_add(usize::try_from(*len).ok()?)?;
            Some(start..at)
        })
        .collect();
    cut.filter(|_| at <= octets).ok_or_else(|| invalid("the lengths add up to more octets than there are"))
}

/// A buffer of the caller that is written to: bytearray, memoryview, array. Checked before any work is done.
pub(crate) struct Target<'a, 'py, T> {
    object: &'a Bound<'py, PyAny>,
    buffer: PyUntypedBuffer,
    items: PhantomData<T>,
}

/// Up to here a buffer is written as a whole, with what stood behind put back: cheaper than a view of its front.
const SMALL: usize = 8192;

impl<'a, 'py, T: pyo3::buffer::Element> Target<'a, 'py, T> {
    pub(crate) fn new(object: &'a Bound<'py, PyAny>) -> PyResult<Self> {
        let buffer = PyUntypedBuffer::get(object)?;
        if buffer.readonly() {
            return Err(invalid("expected a buffer that may be written"));
        }
        // An empty array has no address, and so not the right one.
        if buffer.item_count() != 0 {
            buffer.as_typed::<T>()?;
        }
        Ok(Self { object, buffer, items: PhantomData })
    }

    /// Writes to the front.
    fn write(&self, items: &[T]) -> PyResult<()> {
        let (py, room) = (self.object.py(), self.buffer.item_count());
        if items.is_empty() {
            return Ok(());
        }
        if items.len() > room {
            return Err(raise(Status::BufferTooSmall, format!("the buffer takes {room}, there are {}", items.len())));
        }
        let whole = self.buffer.as_typed::<T>()?;
        if items.len() == room {
            return whole.copy_from_slice(py, items);
        }
        if room <= SMALL {
            let mut all = whole.to_vec(py)?;
            if let Some(front) = all.get_mut(..items.len()) {
                front.copy_from_slice(items);
            }
            return whole.copy_from_slice(py, &all);
        }
        let end = isize::try_from(items.len()).map_err(|_| invalid("too long"))?;
        let front = PyMemoryView::from(self.object)?.get_item(PySlice::new(py, 0, end, 1))?;
        PyBuffer::<T>::get(&front)?.copy_from_slice(py, items)
    }
}

/// The two buffers that a burst writes to.
pub(crate) struct Targets<'a, 'py>(Target<'a, 'py, u8>, Target<'a, 'py, u32>);

impl<'a, 'py> Targets<'a, 'py> {
    pub(crate) fn new(out: &'a Bound<'py, PyAny>, lengths: &'a Bound<'py, PyAny>, packets: usize) -> PyResult<Self> {
        let targets = Self(Target::new(out)?, Target::new(lengths)?);
        let places = targets.1.buffer.item_count();
        if places < packets {
            return Err(invalid(format!("expected room for {packets} lengths, found {places}")));
        }
        Ok(targets)
    }
}

/// One thread's memory for bursts.
struct Lane {
    worker: Worker,
    scratch: Vec<u8>,
}

/// What came of a burst: octets one after another, and a length for each packet (0: nothing).
#[derive(Default)]
pub(crate) struct Packed {
    pub(crate) octets: Vec<u8>,
    pub(crate) lengths: Vec<u32>,
}

impl Packed {
    pub(crate) fn add(&mut self, packet: &[u8]) {
        self.octets.extend_from_slice(packet);
        self.lengths.push(u32::try_from(packet.len()).unwrap_or(0));
    }

    /// Into the caller's buffers; gives the number of octets.
    pub(crate) fn give(self, to: &Targets<'_, '_>) -> PyResult<usize> {
        to.0.write(&self.octets)?;
        to.1.write(&self.lengths)?;
        Ok(self.octets.len())
    }

    /// The octets alone.
    pub(crate) fn give_octets(self, to: &Target<'_, '_, u8>) -> PyResult<usize> {
        to.write(&self.octets)?;
        Ok(self.octets.len())
    }
}

impl Plane {
    fn lane(&self) -> Lane {
        let free = self.lanes.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.unwrap_or_else(|| Lane { worker: Worker::with_memory(Arc::clone(&self.inner), 256), scratch: Vec::new() })
    }

    fn give_back(&self, mut lane: Lane) {
        // Counters are looked at after the call, and removed keys must go.
        lane.worker.quiesce();
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if lanes.len() < MAX_LANES {
            lanes.push(lane);
        }
    }

    fn seal_packed(&self, now: Instant, child: ChildId, data: &[u8], cut: &[Range<usize>]) -> Packed {
        let (head, tail) = self.inner.room();
        let mut lane = self.lane();
        let around = head.saturating_add(tail);
        let total = cut.iter().fold(0usize, |n, r| n.saturating_add(r.len()).saturating_add(around));
        lane.scratch.resize(total, 0);
        let mut rest = lane.scratch.as_mut_slice();
        let mut jobs = Vec::with_capacity(cut.len());
        for range in cut {
            let Some((slot, more)) = rest.split_at_mut_checked(range.len().saturating_add(around)) else { break };
            rest = more;
            let inner = head..head.saturating_add(range.len());
            if let (Some(to), Some(from)) = (slot.get_mut(inner.clone()), data.get(range.clone())) {
                to.copy_from_slice(from);
            }
            jobs.push(SealJob::new(child, slot, inner));
        }
        lane.worker.seal_burst(now, &mut jobs);
        let mut packed = Packed { octets: Vec::with_capacity(total), lengths: Vec::with_capacity(cut.len()) };
        for job in &jobs {
            let sealed = job.result.as_ref().ok().and_then(|(range, _)| job.buf.get(range.clone()));
            packed.add(sealed.unwrap_or_default());
        }
        drop(jobs);
        self.give_back(lane);
        packed
    }

    fn open_packed(&self, now: Instant, path: Path, mut data: Vec<u8>, cut: &[Range<usize>]) -> Packed {
        let mut lane = self.lane();
        let total = data.len();
        let mut rest = data.as_mut_slice();
        let mut jobs = Vec::with_capacity(cut.len());
        for range in cut {
            let Some((packet, more)) = rest.split_at_mut_checked(range.len()) else { break };
            rest = more;
            jobs.push(OpenJob::new(path, OuterInfo::default(), packet, 0));
        }
        lane.worker.open_burst(now, &mut jobs);
        let mut packed = Packed { octets: Vec::with_capacity(total), lengths: Vec::with_capacity(cut.len()) };
        for job in &jobs {
            let opened = match &job.result {
                Ingress::Deliver { range, .. } => job.buf.get(range.clone()),
                Ingress::Drop(_) => None,
            };
            packed.add(opened.unwrap_or_default());
        }
        drop(jobs);
        self.give_back(lane);
        packed
    }
}

#[pymethods]
impl Plane {
    #[new]
    #[pyo3(signature = (seed=None, *, provider="fast"))]
    fn new(seed: Option<Octets>, provider: &str) -> PyResult<Self> {
        let seed = seed.map(|s| Secret::new(s.0)).unwrap_or_default();
        let config = PlaneConfig { seed, ..PlaneConfig::default() };
        Ok(Self::of(Arc::new(Inner::with_config(crate::config::provider(provider)?, config))))
    }

    /// Takes one change.
    fn apply(&self, change: &Bound<'_, PyAny>, now: When) -> PyResult<()> {
        let change = change::from_python(change)?;
        self.inner.apply(now.0.mono, &change).map_err(refused)
    }

    /// Opens one ESP packet.
    fn ingress<'py>(&self, py: Python<'py>, data: Octets, path: Way, now: When) -> PyResult<Bound<'py, PyAny>> {
        let mut data = data.0;
        match self.inner.ingress(now.0.mono, path.0, OuterInfo::default(), &mut data) {
            Ingress::Deliver { child, range } => {
                let packet = data.get(range).unwrap_or_default();
                Ok(Bound::new(py, Deliver::new(py, child.0, packet))?.into_any())
            }
            Ingress::Drop(reason) => Ok(Bound::new(py, Dropped::of(reason))?.into_any()),
        }
    }

    /// Seals one IP packet on a Child SA.
    fn egress<'py>(&self, py: Python<'py>, packet: Octets, child: u64, now: When) -> PyResult<Bound<'py, PyAny>> {
        let mut sink = Collect::default();
        match self.inner.egress(now.0.mono, ChildId(child), &packet.0, &mut sink) {
            Egress::Sent => Ok(Bound::new(py, sink.sealed(py)?)?.into_any()),
            Egress::Discard(reason) => Ok(Bound::new(py, Discard::of(reason))?.into_any()),
            Egress::TooBig { mtu } => Ok(Bound::new(py, TooBig { mtu })?.into_any()),
            Egress::NoSa => Ok(Bound::new(py, NoSa {})?.into_any()),
        }
    }

    /// Opens one ESP packet into `out`; gives the length of the inner packet, 0 when it was dropped.
    fn ingress_into(&self, data: Octets, path: Way, now: When, out: &Bound<'_, PyAny>) -> PyResult<usize> {
        let (mut data, space) = (data.0, Target::new(out)?);
        let range = match self.inner.ingress(now.0.mono, path.0, OuterInfo::default(), &mut data) {
            Ingress::Deliver { range, .. } => range,
            Ingress::Drop(_) => return Ok(0),
        };
        let mut packed = Packed::default();
        packed.add(data.get(range).unwrap_or_default());
        packed.give_octets(&space)
    }

    /// Seals one IP packet into `out`; gives the length of what is to be sent, 0 when there is nothing.
    fn egress_into(&self, packet: Octets, child: u64, now: When, out: &Bound<'_, PyAny>) -> PyResult<usize> {
        let (mut sink, space) = (Collect::default(), Target::new(out)?);
        if self.inner.egress(now.0.mono, ChildId(child), &packet.0, &mut sink) != Egress::Sent {
            return Ok(0);
        }
        let mut packed = Packed::default();
        sink.packets.iter().for_each(|(_, data)| packed.octets.extend_from_slice(data));
        packed.give_octets(&space)
    }

    /// Seals many packets that lie one after another in `data`, their lengths in `lengths`. What is to be sent goes to
    /// `out` one after another, its lengths to `out_lengths` (0: dropped and counted). Gives the octets written.
    #[allow(clippy::too_many_arguments, reason = "two buffers in, two out")]
    fn egress_burst_into(
        &self,
        py: Python<'_>,
        data: Octets,
        lengths: Lengths,
        child: u64,
        now: When,
        out: &Bound<'_, PyAny>,
        out_lengths: &Bound<'_, PyAny>,
    ) -> PyResult<usize> {
        let space = Targets::new(out, out_lengths, lengths.0.len())?;
        let cut = cut(data.0.len(), &lengths.0)?;
        py.detach(|| self.seal_packed(now.0.mono, ChildId(child), &data.0, &cut)).give(&space)
    }

    /// Opens many packets, in the same way; all came on `path`.
    #[allow(clippy::too_many_arguments, reason = "two buffers in, two out")]
    fn ingress_burst_into(
        &self,
        py: Python<'_>,
        data: Octets,
        lengths: Lengths,
        path: Way,
        now: When,
        out: &Bound<'_, PyAny>,
        out_lengths: &Bound<'_, PyAny>,
    ) -> PyResult<usize> {
        let space = Targets::new(out, out_lengths, lengths.0.len())?;
        let cut = cut(data.0.len(), &lengths.0)?;
        py.detach(|| self.open_packed(now.0.mono, path.0, data.0, &cut)).give(&space)
    }

    /// The oldest report, or None.
    fn poll_report<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.inner.poll_report().map(|r| change::report_to_python(py, &r)).transpose()
    }

    /// Counters of a Child SA, or None.
    fn stats<'py>(&self, py: Python<'py>, child: u64) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.inner.stats(ChildId(child)).map(|s| snapshot::child_stats(py, &s)).transpose()
    }

    /// Drops of the whole plane by cause.
    fn drops<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        snapshot::drops(py, &self.inner.drops())
    }

    /// Reports SAs that have been idle for their limit.
    fn handle_timeout(&self, now: When) {
        self.inner.handle_timeout(now.0.mono);
    }

    /// The earliest idle limit in microseconds, or None.
    fn deadline(&self) -> Option<u64> {
        self.inner.deadline().map(|at| at.0)
    }

    /// Sets the path MTU towards the peer of a Child SA, in octets.
    fn set_path_mtu(&self, child: u64, mtu: u16) -> PyResult<()> {
        self.inner.set_path_mtu(ChildId(child), mtu).map_err(refused)
    }
}
