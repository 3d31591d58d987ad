//! A map that many threads read and one writes: shards of a hash map behind short spin locks. Readers clone a value (an
//! `Arc`, or what is as cheap) and let go; nobody holds a lock while a packet is worked on. Workers keep what they looked up (see `worker.rs`).

use alloc::boxed::Box;
use core::hash::{BuildHasherDefault, Hash, Hasher};
use hashbrown::HashMap;
use spin::RwLock;

/// A multiplicative hash for keys that the network cannot choose: SPIs and ids of ours, addresses of selectors.
#[derive(Default, Clone, Copy)]
pub(crate) struct Fast(u64);

impl Hasher for Fast {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for c in bytes.chunks(8) {
            let mut w = [0u8; 8];
            for (to, from) in w.iter_mut().zip(c) {
                *to = *from;
            }
            self.write_u64(u64::from_ne_bytes(w));
        }
    }
    fn write_u8(&mut self, i: u8) {
        self.write_u64(u64::from(i));
    }
    fn write_u32(&mut self, i: u32) {
        self.write_u64(u64::from(i));
    }
    fn write_u64(&mut self, i: u64) {
        let x = (self.0 ^ i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = x ^ (x >> 32);
    }
    fn write_usize(&mut self, i: usize) {
        self.write_u64(i as u64);
    }
}

pub(crate) type Build = BuildHasherDefault<Fast>;

/// log2 of the number of shards.
const SHARDS: u32 = 6;

#[repr(align(128))]
struct Shard<K, V> {
    map: RwLock<HashMap<K, V, Build>>,
}

pub(crate) struct Table<K, V> {
    shards: Box<[Shard<K, V>]>,
}

impl<K: Hash + Eq, V: Clone> Table<K, V> {
    pub(crate) fn new() -> Self {
        let shards = 0..1u32 << SHARDS;
        Self { shards: shards.map(|_| Shard { map: RwLock::new(HashMap::default()) }).collect() }
    }

    /// Which shard a key is in.
    #[inline]
    pub(crate) fn shard(key: &K) -> usize {
        let mut h = Fast::default();
        key.hash(&mut h);
        // hashbrown uses the lowest and the seven highest bits; these are others.
        usize::try_from((h.finish() >> 40) & ((1 << SHARDS) - 1)).unwrap_or(0)
    }

    #[inline]
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.shards.get(Self::shard(key))?.map.read().get(key).cloned()
    }

    pub(crate) fn insert(&self, key: K, value: V) {
        let at = Self::shard(&key);
        // What was there is dropped outside the lock: it may wipe keys.
        let _old = self.shards.get(at).and_then(|s| s.map.write().insert(key, value));
    }

    pub(crate) fn remove(&self, key: &K) -> Option<V> {
        let at = Self::shard(key);
        self.shards.get(at).and_then(|s| s.map.write().remove(key))
    }
}
