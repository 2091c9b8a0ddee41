//! Memory of bodies that are gone, for bodies to come. It is initialized once, and still in the processor's caches.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;

/// The most bodies whose memory is kept.
const MOST: usize = 8;

/// Memory that no body uses.
#[derive(Debug)]
pub(crate) struct Recycled {
    free: Arc<Mutex<Vec<Vec<u8>>>>,
    /// Memory of more bytes than this is not kept.
    limit: usize,
}

impl Recycled {
    /// Keeps memory of bodies of up to `limit` bytes each.
    pub(crate) fn new(limit: usize) -> Recycled {
        Recycled { free: Arc::default(), limit }
    }

    /// Memory with this capacity at least, and not much more, since what is kept for long should not take more than it
    /// counts for. As far as it has been initialized before, it has a length.
    pub(crate) fn take(&self, capacity: usize) -> Vec<u8> {
        let fits = |free: &Vec<u8>| (capacity..=2 * capacity).contains(&free.capacity());
        let mut free = self.free.lock();
        // What was used last is the warmest.
        let found = free.iter().rposition(fits).map(|at| free.remove(at));
        drop(free);
        found.unwrap_or_else(|| Vec::with_capacity(capacity))
    }

    /// The first `length` bytes as a body. When the last of its slices is dropped, wherever that is, its memory comes
    /// back.
    pub(crate) fn lend(&self, mut memory: Vec<u8>, length: usize) -> Bytes {
        if memory.capacity() > self.limit {
            memory.truncate(length);
            return Bytes::from(memory);
        }
        Bytes::from_owner(Lent { memory, length, home: Arc::downgrade(&self.free) })
    }
}

/// A body in memory that comes back.
struct Lent {
    memory: Vec<u8>,
    length: usize,
    home: Weak<Mutex<Vec<Vec<u8>>>>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.memory[..self.length]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(home) = self.home.upgrade() {
            let mut free = home.lock();
            if free.len() == MOST {
                free.remove(0);
            }
            free.push(std::mem::take(&mut self.memory));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_initialized_when_the_last_slice_is_dropped() {
        let recycled = Recycled::new(100);
        let mut memory = recycled.take(100);
        memory.resize(70, 7);
        let at = memory.as_ptr();
        let body = recycled.lend(memory, 50);
        assert_eq!(body, vec![7; 50]);
        let slice = body.slice(10..20);
        drop(body);
        let other = recycled.take(60);
        assert_ne!(other.as_ptr(), at);
        drop(slice);
        assert!(recycled.take(101).is_empty(), "what is too short is not used");
        let again = recycled.take(60);
        assert_eq!((again.as_ptr(), again.len()), (at, 70));
    }

    #[test]
    fn what_is_kept_is_bounded_and_goes_with_its_reader() {
        let recycled = Recycled::new(100);
        let bodies: Vec<Bytes> = (0..20).map(|_| recycled.lend(vec![1; 100], 100)).collect();
        drop((bodies, recycled.lend(Vec::with_capacity(101), 0)));
        assert_eq!(recycled.free.lock().len(), MOST);
        let late = recycled.lend(vec![1; 100], 100);
        drop(recycled);
        assert_eq!(late.len(), 100);
    }
}
