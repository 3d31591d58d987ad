//! Publication of a database to threads that only read, without locks: readers take the version that is in front,
//! the writer works on another and then swaps the two (feature `std`).
//!
//! There are two published versions and a log of what the back one lacks. A reader that still holds the back one
//! delays publication, never the other way round: [`Shared::publish`] then says so and keeps the changes for the next
//! call. Nothing is copied but at the start.

use alloc::sync::Arc;
use alloc::vec::Vec;
use arc_swap::{ArcSwap, Guard};

/// A database that can repeat a change.
pub trait Replay: Clone {
    /// One change.
    type Op: Clone;
    /// Repeats it. The same changes in the same order make the same database.
    fn replay(&mut self, op: &Self::Op);
    /// Done after few changes: work that makes reading quicker and may wait. Bounded.
    fn settle(&mut self) {}
}

/// More changes at once are a bulk: what comes after it does the work that may wait.
const FEW: usize = 32;

/// What became of a publication.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Published {
    /// Readers see everything now.
    Now,
    /// A reader still holds the version that is to be written: call again later. Nothing is lost.
    Later,
}

/// The writer's end.
#[derive(Debug)]
pub struct Shared<V: Replay> {
    front: Arc<ArcSwap<V>>,
    back: Arc<V>,
    /// What the front has and the back lacks.
    behind: Vec<V::Op>,
}

impl<V: Replay> Shared<V> {
    /// Publishes copies of `start`.
    #[must_use]
    pub fn new(start: &V) -> Self {
        let (front, back) = (start.clone(), start.clone());
        Self { front: Arc::new(ArcSwap::from_pointee(front)), back: Arc::new(back), behind: Vec::new() }
    }

    /// A reader's end; as many as there are threads.
    #[must_use]
    pub fn reader(&self) -> Reader<V> {
        Reader { front: Arc::clone(&self.front) }
    }

    /// Makes `changes` visible to readers, all at once, and empties the list; or leaves it as it is.
    pub fn publish(&mut self, changes: &mut Vec<V::Op>) -> Published {
        let Some(back) = Arc::get_mut(&mut self.back) else { return Published::Later };
        let few = self.behind.len().saturating_add(changes.len()) <= FEW;
        self.behind.drain(..).for_each(|op| back.replay(&op));
        changes.iter().for_each(|op| back.replay(op));
        if few {
            back.settle();
        }
        core::mem::swap(&mut self.behind, changes);
        changes.clear();
        self.back = self.front.swap(Arc::clone(&self.back));
        Published::Now
    }
}

/// A reader's end; cheap to copy and to send to another thread.
#[derive(Debug)]
pub struct Reader<V> {
    front: Arc<ArcSwap<V>>,
}

impl<V> Clone for Reader<V> {
    fn clone(&self) -> Self {
        Self { front: Arc::clone(&self.front) }
    }
}

impl<V> Reader<V> {
    /// The version in front. Wait-free; meant to be held for one burst of packets and then dropped.
    #[must_use]
    pub fn load(&self) -> Guard<Arc<V>> {
        self.front.load()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, Default, PartialEq)]
    struct Tally(Vec<u32>);
    impl Replay for Tally {
        type Op = u32;
        fn replay(&mut self, op: &u32) {
            self.0.push(*op);
        }
    }

    #[test]
    fn readers_see_whole_publications_and_delay_only_the_writer() {
        let mut shared = Shared::new(&Tally::default());
        let reader = shared.reader();
        let mut log = alloc::vec![1, 2];
        assert_eq!(shared.publish(&mut log), Published::Now);
        assert!(log.is_empty());
        let held = reader.load();
        assert_eq!(held.0, [1, 2]);
        log.push(3);
        assert_eq!(shared.publish(&mut log), Published::Now);
        assert_eq!(reader.load().0, [1, 2, 3]);
        log.push(4);
        assert_eq!((shared.publish(&mut log), log.as_slice()), (Published::Later, [4].as_slice()));
        assert_eq!((held.0.as_slice(), reader.load().0.as_slice()), ([1, 2].as_slice(), [1, 2, 3].as_slice()));
        drop(held);
        log.push(5);
        assert_eq!(shared.publish(&mut log), Published::Now);
        assert_eq!(reader.load().0, [1, 2, 3, 4, 5]);
    }
}
