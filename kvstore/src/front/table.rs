//! The connections of one thread, each in a place that its token names.

use std::io;

use super::token::{MAX_SLOTS, Origin};

/// A table that reuses its places. A generation distinguishes those that had the same place.
pub(super) struct Table<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

struct Place<T> {
    origin: Origin,
    // An empty place costs little, and an occupied one does not move.
    content: Option<Box<T>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Table<T> {
    /// Fills a place with the result of `make`, if that succeeds.
    pub(super) fn insert(&mut self, make: impl FnOnce(Origin) -> io::Result<T>) -> io::Result<()> {
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.places.len() == MAX_SLOTS => {
                return Err(io::Error::other("a thread has at most a million connections"));
            }
            None => {
                let index = self.places.len() as u32;
                self.places.push(Place { origin: Origin { index, generation: 0 }, content: None });
                index
            }
        };
        let place = &mut self.places[index as usize];
        match make(place.origin) {
            Ok(content) => {
                place.content = Some(Box::new(content));
                Ok(())
            }
            Err(error) => {
                self.free.push(index);
                Err(error)
            }
        }
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.places.get_mut(index as usize)?.content.as_deref_mut()
    }

    /// The content of a place, if it is still the one that the origin means.
    pub(super) fn get_exact(&mut self, origin: Origin) -> Option<&mut T> {
        let place = self.places.get_mut(origin.index as usize)?;
        place.content.as_deref_mut().filter(|_| place.origin == origin)
    }

    pub(super) fn remove(&mut self, index: u32) -> Option<Box<T>> {
        let place = self.places.get_mut(index as usize)?;
        let content = place.content.take()?;
        place.origin = place.origin.successor();
        self.free.push(index);
        Some(content)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.free.len() == self.places.len()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut T)> {
        self.places.iter_mut().filter_map(|place| Some((place.origin.index, place.content.as_deref_mut()?)))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.places.iter().filter_map(|place| Some((place.origin.index, place.content.as_deref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_again_under_another_name() {
        let mut table = Table::default();
        let mut origins = Vec::new();
        let mut insert = |table: &mut Table<&str>, name| {
            table.insert(|origin| {
                origins.push(origin);
                Ok(name)
            })
        };
        insert(&mut table, "first").unwrap();
        insert(&mut table, "second").unwrap();
        assert_eq!(table.remove(0).as_deref(), Some(&"first"));
        insert(&mut table, "third").unwrap();
        assert_eq!(origins[0].index, origins[2].index);
        assert_eq!(table.get_exact(origins[0]), None);
        assert_eq!(table.get_exact(origins[2]), Some(&mut "third"));
        assert_eq!(table.iter().map(|(_, name)| *name).collect::<Vec<_>>(), ["third", "second"]);
    }

    #[test]
    fn a_place_that_was_not_filled_stays_free() {
        let mut table = Table::<()>::default();
        assert!(table.insert(|_| Err(io::Error::other("gone"))).is_err());
        assert!(table.is_empty());
        assert_eq!(table.remove(0), None);
        table
            .insert(|origin| {
                assert_eq!(origin.index, 0);
                Ok(())
            })
            .unwrap();
        assert!(!table.is_empty());
    }
}
