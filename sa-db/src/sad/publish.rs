//! The SAD for many threads (feature `std`): one writes, any number read versions of it without locks.

use super::{InboundKey, OutboundSa, Sad, SadError};
use crate::shared::{Published, Reader, Replay, Shared};
use crate::{ChildId, Direction};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// One change to a SAD.
#[derive(Debug)]
pub enum SadOp<T> {
    /// [`Sad::insert_inbound`].
    Inbound(InboundKey, ChildId, Arc<T>),
    /// [`Sad::insert_outbound`].
    Outbound(OutboundSa<T>),
    /// [`Sad::switch`].
    Switch(ChildId, ChildId),
    /// [`Sad::remove`].
    Remove(ChildId, Direction),
}

impl<T> Clone for SadOp<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Inbound(key, child, sa) => Self::Inbound(*key, *child, Arc::clone(sa)),
            Self::Outbound(sa) => Self::Outbound(sa.clone()),
            Self::Switch(from, to) => Self::Switch(*from, *to),
            Self::Remove(child, direction) => Self::Remove(*child, *direction),
        }
    }
}

impl<T> Sad<T> {
    /// Carries out a change that is written down.
    ///
    /// # Errors
    /// As the method it stands for.
    pub fn apply(&mut self, op: &SadOp<T>) -> Result<(), SadError> {
        match op {
            SadOp::Inbound(key, child, sa) => self.insert_inbound(*key, *child, Arc::clone(sa))?,
            SadOp::Outbound(sa) => self.insert_outbound(sa.clone())?,
            SadOp::Switch(from, to) => _ = self.switch(*from, *to),
            SadOp::Remove(child, direction) => drop(self.remove(*child, *direction)),
        }
        Ok(())
    }
}

impl<T> Replay for Sad<T> {
    type Op = SadOp<T>;

    fn replay(&mut self, op: &SadOp<T>) {
        // The writer's own copy took it; this one is the same.
        let _ = self.apply(op);
    }
}

/// The writer's end: its own, always current SAD, and the versions that readers see.
#[derive(Debug)]
pub struct SadPublisher<T> {
    own: Sad<T>,
    log: Vec<SadOp<T>>,
    shared: Shared<Sad<T>>,
}

impl<T> SadPublisher<T> {
    /// Publishes `sad`; copies its indexes twice, not the SAs.
    #[must_use]
    pub fn new(sad: Sad<T>) -> Self {
        Self { shared: Shared::new(&sad), own: sad, log: Vec::new() }
    }

    /// The current SAD, as the writer sees it.
    #[must_use]
    pub fn sad(&self) -> &Sad<T> {
        &self.own
    }

    /// A reader's end for another thread.
    #[must_use]
    pub fn reader(&self) -> Reader<Sad<T>> {
        self.shared.reader()
    }

    /// Carries out a change; readers see it after [`SadPublisher::publish`].
    ///
    /// # Errors
    /// As the method it stands for.
    pub fn apply(&mut self, op: SadOp<T>) -> Result<(), SadError> {
        self.own.apply(&op)?;
        self.log.push(op);
        Ok(())
    }

    /// Makes all changes visible to readers at once.
    pub fn publish(&mut self) -> Published {
        self.shared.publish(&mut self.log)
    }
}
