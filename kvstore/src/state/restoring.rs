//! A state being read from a snapshot.

use std::sync::Arc;

use bytes::Bytes;
use niagara_engine::{MalformedState, Restoring};

use super::apply::kept;
use super::chunk::{life_of, snapshot_entries};
use super::digest::StateDigest;
use super::entry::Entry;
use super::map::{Map, no_contents};
use super::tables::Tables;
use crate::Life;
use crate::described::Describer;

/// A snapshot being read back into a [`Kv`](super::Kv), apart from what readers see.
#[derive(Debug)]
pub struct KvRestoring {
    /// The map that the contents are for. Keys have the same places, so scans in progress can continue.
    map: Arc<Map>,
    shards: Vec<Tables>,
    digest: StateDigest,
    /// The highest position at which a key was changed.
    changed: u64,
    /// What the earlier chunks said; `None` before the first one.
    life: Option<Option<Life>>,
    describer: Describer,
}

impl KvRestoring {
    pub(super) fn new(map: Arc<Map>) -> KvRestoring {
        let describer = Describer::default();
        let digest = StateDigest::default();
        KvRestoring { map, shards: no_contents(), digest, changed: 0, life: None, describer }
    }

    /// The life of the state, the contents of all shards at `position`, and their digest.
    ///
    /// # Errors
    /// If a key was changed later than that.
    ///
    /// # Panics
    /// If they were read for another map, where keys have other places.
    pub(super) fn finish(
        self,
        map: &Arc<Map>,
        position: u64,
    ) -> Result<(Option<Life>, Vec<Tables>, StateDigest), MalformedState> {
        assert!(Arc::ptr_eq(&self.map, map), "a snapshot is restored into the state that it was read for");
        if self.changed > position {
            return Err(MalformedState("a key was changed after the position of the snapshot"));
        }
        Ok((self.life.flatten(), self.shards, self.digest))
    }
}

impl Restoring for KvRestoring {
    fn add_chunk(&mut self, chunk: &Bytes) -> Result<(), MalformedState> {
        let life = life_of(chunk)?;
        if *self.life.get_or_insert(life) != life {
            return Err(MalformedState("chunks have different lives of a state"));
        }
        for entry in snapshot_entries(chunk) {
            let entry = entry?;
            let place = self.map.place(entry.key);
            let tables = &mut self.shards[place.shard()];
            if tables.get(place, entry.key).is_some() {
                return Err(MalformedState("a key occurs twice"));
            }
            let value = kept(entry.value, &|part| chunk.slice_ref(part));
            let described = self.describer.describe(entry.description);
            let restored = Entry::new(place, entry.key, value, entry.version, described);
            self.digest.add(&restored);
            tables.insert_absent(restored);
            self.changed = self.changed.max(entry.version.position);
        }
        Ok(())
    }

    fn digest(&self) -> Option<u128> {
        Some(self.digest.of_life(self.life.flatten()))
    }
}
