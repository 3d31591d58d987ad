//! From the sockets to the TUN device: buffers are filled by one call, ESP in them opened where it lies, and what was inside
//! written to the device, neighbours joined to super-packets. What is no ESP goes to the daemon.

use super::join::join;
use super::wire::{Outlet, Upward};
use crate::sockets::{Carries, Socket};
use crate::tun::Tun;
use arrayvec::ArrayVec;
use quinn_udp::RecvMeta;
use ravelin::OuterInfo;
use ravelin::db::Path;
use ravelin::demux::{self, Kind};
use ravelin::esp::plane::{BURST, OpenJob};
use ravelin::esp::{Ingress, Worker};
use std::io::{self, IoSliceMut};
use std::ops::Range;

/// Buffers that one call fills; each may get many datagrams.
const BUFFERS: usize = 32;
/// Only one when they come in runs of more datagrams than this: what is worked on stays in the processor's cache, and
/// who is to get it can begin.
const LONG: usize = 16;
/// The largest run.
const LARGEST: usize = 65_536;

/// Packets on their way in.
pub(crate) struct Incoming {
    buffers: Vec<Vec<u8>>,
    about: [RecvMeta; BUFFERS],
    /// Inner packets: which buffer, and where in it.
    inner: Vec<(usize, Range<usize>)>,
    /// How many buffers to offer.
    offer: usize,
}

impl Incoming {
    pub(crate) fn new() -> Self {
        Self {
            buffers: vec![vec![0; LARGEST]; BUFFERS],
            about: [RecvMeta::default(); BUFFERS],
            inner: Vec::with_capacity(BUFFERS.saturating_mul(BURST)),
            offer: BUFFERS,
        }
    }

    /// One call's worth from a socket; false when nothing waits.
    pub(crate) fn receive(
        &mut self,
        now: ravelin::Instant,
        socket: &Socket,
        worker: &mut Worker,
        up: &Outlet,
    ) -> io::Result<bool> {
        self.inner.clear();
        let mut slices: ArrayVec<IoSliceMut<'_>, BUFFERS> =
            self.buffers.iter_mut().take(self.offer).map(|b| IoSliceMut::new(b)).collect();
        let filled = match socket.receive(&mut slices, &mut self.about) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            other => other?,
        };
        drop(slices);
        let long = |a: &RecvMeta| a.len > a.stride.saturating_mul(LONG);
        self.offer = if self.about.iter().take(filled).any(long) { 1 } else { BUFFERS };
        for (i, (buffer, about)) in self.buffers.iter_mut().zip(&self.about).take(filled).enumerate() {
            let (Some(path), Some(whole)) = (socket.path(about), buffer.get_mut(..about.len)) else { continue };
            let outer = OuterInfo { traffic_class: about.ecn.map_or(0, |e| e as u8), hop_limit: 0 };
            let mut chunks = Chunks { rest: whole, size: about.stride.max(1), at: 0 };
            while chunks.open(now, socket, path, outer, worker, up, |range| self.inner.push((i, range))) {}
        }
        Ok(true)
    }

    /// Gives the kernel what came: how many packets, and calls for them.
    pub(crate) fn deliver(&self, tun: &Tun) -> (usize, usize) {
        let packets = self.inner.iter().filter_map(|(i, range)| self.buffers.get(*i)?.get(range.clone()));
        let mut calls = 0usize;
        join(packets, tun.offload, tun.udp, |parts| {
            calls = calls.saturating_add(1);
            tun.write(parts);
        });
        (self.inner.len(), calls)
    }
}

/// The datagrams of one buffer.
struct Chunks<'b> {
    rest: &'b mut [u8],
    size: usize,
    /// Where the rest starts in the buffer.
    at: usize,
}

impl Chunks<'_> {
    /// Opens a burst of them; false when there is no more.
    #[allow(clippy::too_many_arguments, reason = "one step of a loop, with its surroundings")]
    fn open(
        &mut self,
        now: ravelin::Instant,
        socket: &Socket,
        path: Path,
        outer: OuterInfo,
        worker: &mut Worker,
        up: &Outlet,
        mut deliver: impl FnMut(Range<usize>),
    ) -> bool {
        let mut jobs: ArrayVec<OpenJob<'_>, BURST> = ArrayVec::new();
        let mut starts: ArrayVec<usize, BURST> = ArrayVec::new();
        while !jobs.is_full() && !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            let Some((datagram, after)) = rest.split_at_mut_checked(self.size.min(rest.len())) else { break };
            let start = self.at;
            self.at = start.saturating_add(datagram.len());
            self.rest = after;
            if socket.carries == Carries::Nat && !matches!(demux::sort(true, datagram), Kind::Esp) {
                up.give(Upward::Datagram { path, bytes: datagram.to_vec() });
                continue;
            }
            let esp = socket.header_len(datagram).min(datagram.len());
            jobs.push(OpenJob::new(path, outer, datagram, esp));
            starts.push(start);
        }
        if jobs.is_empty() {
            return !self.rest.is_empty();
        }
        worker.open_burst(now, &mut jobs);
        for (job, start) in jobs.into_iter().zip(starts) {
            match job.result {
                Ingress::Deliver { range, .. } => {
                    deliver(range.start.saturating_add(start)..range.end.saturating_add(start));
                }
                Ingress::Drop(reason) => tracing::debug!(%path, %reason, "dropped"),
            }
        }
        true
    }
}
