//! A state being read from a snapshot.

use std::sync::Arc;

use bytes::Bytes;
use niagara_engine::{MalformedState, Restoring};

use super::chunk::{self, Stamp, snapshot_entries};
use super::digest::{of_memory, of_notices, of_users};
use super::entry::Entry;
use super::ledger::Ledger;
use super::map::{Map, no_contents};
use super::tables::Tables;
use super::writer::content;
use crate::attributes::Describer;
use crate::receipts::{self, Receipts};
use crate::users::Users;

/// A snapshot being read back into a [`Kv`](super::Kv), apart from what readers see.
#[derive(Debug)]
pub struct KvRestoring {
    /// The map that the contents are for. Keys have the same places, so scans in progress can continue.
    map: Arc<Map>,
    shards: Vec<Tables>,
    ledger: Ledger,
    /// The highest position at which a key was used.
    changed: u64,
    /// What the earlier chunks said; `None` before the first one.
    stamp: Option<Stamp>,
    /// All users, as text.
    users: Vec<u8>,
    receipts: receipts::Restoring,
    describer: Describer,
}

/// A state that was read.
#[derive(Debug)]
pub(super) struct Restored {
    pub(super) stamp: Stamp,
    pub(super) users: Users,
    pub(super) receipts: Receipts,
    /// The contents of all shards.
    pub(super) contents: Vec<Tables>,
    pub(super) ledger: Ledger,
}

impl KvRestoring {
    pub(super) fn new(map: Arc<Map>) -> KvRestoring {
        let describer = Describer::default();
        let ledger = Ledger::default();
        let users = Vec::new();
        let (shards, receipts) = (no_contents(), receipts::Restoring::default());
        KvRestoring { map, shards, ledger, changed: 0, stamp: None, users, receipts, describer }
    }

    /// The state at `position`.
    ///
    /// # Errors
    /// If a key was used later than that.
    ///
    /// # Panics
    /// If they were read for another map, where keys have other places.
    pub(super) fn finish(self, map: &Arc<Map>, position: u64) -> Result<Restored, MalformedState> {
        assert!(Arc::ptr_eq(&self.map, map), "a snapshot is restored into the state that it was read for");
        if self.changed > position {
            return Err(MalformedState("a key was used after the position of the snapshot"));
        }
        let stamp = self.stamp.unwrap_or_default();
        let users = if self.users.is_empty() { Some(Users::default()) } else { Users::parse(&self.users) };
        let users = users
            .ok_or(MalformedState("a user has a right that this release does not know: run a newer one"))?;
        let receipts = self.receipts.finish(position).map_err(MalformedState)?;
        Ok(Restored { stamp, users, receipts, contents: self.shards, ledger: self.ledger })
    }
}

impl Restoring for KvRestoring {
    fn add_chunk(&mut self, chunk: &Bytes) -> Result<(), MalformedState> {
        let stamp = Stamp::of(chunk)?;
        if *self.stamp.get_or_insert(stamp) != stamp {
            return Err(MalformedState("chunks have different lives, times, notices or limits of a state"));
        }
        let users = chunk::users(chunk)?;
        if !users.is_empty() && !self.users.is_empty() {
            return Err(MalformedState("users occur twice"));
        }
        self.users.extend_from_slice(users);
        for (number, receipt) in chunk::receipts(chunk)? {
            self.receipts.add(number, receipt);
        }
        for entry in snapshot_entries(chunk) {
            let entry = entry?;
            let place = self.map.place(entry.key).within(self.ledger.spaces.of(entry.database));
            let tables = &mut self.shards[place.shard()];
            if tables.get(place, entry.key).is_some() {
                return Err(MalformedState("a key occurs twice"));
            }
            let value = content(entry.value, &|part| chunk.slice_ref(part));
            let attributes = self.describer.describe(entry.description).with_deadline(entry.deadline);
            let restored = Entry::new(place, entry.key, value, entry.version, attributes);
            let restored = restored.with_report(entry.reported);
            self.ledger.add(&restored);
            self.changed = self.changed.max(restored.used());
            tables.insert_absent(restored);
        }
        Ok(())
    }

    fn digest(&self) -> Option<u128> {
        let Stamp { life, clock, notices, memory } = self.stamp.unwrap_or_default();
        let entries = self.ledger.digest(life, clock);
        let others = of_users(&self.users).wrapping_add(self.receipts.digest());
        Some(entries.wrapping_add(others).wrapping_add(of_notices(notices)).wrapping_add(of_memory(&memory)))
    }
}
