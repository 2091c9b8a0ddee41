//! The trackers of one front-end thread.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use niagara_engine::Wake;

use super::exchange::Desk;
use super::prefixes::Prefixes;
use super::table::Table;
use super::{Batch, Exchange, Recent, Stale};

/// See the [module](self). Connections are named by numbers.
#[derive(Debug)]
pub(crate) struct Trackers {
    pub(super) exchange: Arc<Exchange>,
    desk: Arc<Desk>,
    /// Batches that were taken from there, and are not heard yet.
    heard: VecDeque<Arc<Batch>>,
    /// The connections that track, and whether they hear of all keys with their prefixes instead of those that they have read.
    members: BTreeMap<u64, bool>,
    pub(super) table: Table,
    pub(super) prefixes: Prefixes,
    pub(super) recent: Recent,
    /// What is to be told to clients in place of others.
    redirected: Vec<Redirected>,
}

/// What is to be told to a client in place of another one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Redirected {
    /// The number of the connection that tracks.
    pub(crate) connection: u64,
    /// The id of the client that is told.
    pub(crate) to: u64,
    pub(crate) stale: Stale,
}

impl Trackers {
    /// A thread without trackers, which `wake` wakes when there is something to tell.
    pub(crate) fn new(exchange: Arc<Exchange>, wake: Arc<dyn Wake>) -> Trackers {
        Trackers {
            desk: exchange.open(wake),
            heard: VecDeque::new(),
            members: BTreeMap::new(),
            table: Table::new(Arc::clone(&exchange)),
            prefixes: Prefixes::new(Arc::clone(&exchange)),
            recent: Recent::default(),
            redirected: Vec::new(),
            exchange,
        }
    }

    /// A connection tracks from now on, what it reads, or all keys with its prefixes.
    pub(super) fn join(&mut self, connection: u64, has_prefixes: bool) {
        if self.members.insert(connection, has_prefixes).is_none() {
            self.exchange.begin(&self.desk);
        }
    }

    /// A connection tracks no more.
    pub(super) fn leave(&mut self, connection: u64) {
        if self.members.remove(&connection).is_some() {
            self.exchange.end(&self.desk);
        }
        if self.members.is_empty() {
            self.table.clear();
        }
    }

    pub(super) fn redirect(&mut self, redirected: Redirected) {
        self.redirected.push(redirected);
    }

    /// Takes what is to be told to clients in place of others.
    pub(crate) fn take_redirected(&mut self) -> Vec<Redirected> {
        std::mem::take(&mut self.redirected)
    }

    /// Whether anything has come.
    pub(crate) fn has_news(&self) -> bool {
        let has_come = !self.heard.is_empty() || !self.desk.is_empty();
        has_come && !self.members.is_empty()
    }

    /// Hears of the next changes that have come. Returns who is to be told what, in order; `None` if none have come.
    pub(crate) fn hear(&mut self) -> Option<Vec<(u64, Stale)>> {
        if self.members.is_empty() {
            self.heard.clear();
            return None;
        }
        let mut told = Vec::new();
        if self.heard.is_empty() {
            match self.desk.take() {
                Ok(batches) => self.heard.extend(batches),
                Err(last) => {
                    self.recent.lose(last);
                    self.all_changed(last, &mut told);
                    return Some(told);
                }
            }
        }
        let batch = self.heard.pop_front()?;
        self.recent.hear(&batch);
        let mut wanted = Wanted::new();
        for (number, key) in batch.changes_from(0) {
            match key {
                None => self.all_changed(number, &mut told),
                Some(key) => self.changed(key, number, &mut told, &mut wanted),
            }
        }
        for (prefix, changes) in wanted {
            self.prefixes.tell(&prefix, changes, |connection, stale| told.push((connection, stale)));
        }
        Some(told)
    }

    fn all_changed(&mut self, number: u64, told: &mut Vec<(u64, Stale)>) {
        self.table.all_changed(number);
        told.extend(self.members.keys().map(|connection| (*connection, Stale::All)));
    }

    fn changed(&mut self, key: &[u8], number: u64, told: &mut Vec<(u64, Stale)>, wanted: &mut Wanted) {
        let Trackers { table, members, .. } = self;
        table.changed(key, number, |connection, key| {
            if members.get(&connection) == Some(&false) {
                told.push((connection, Stale::key(number, key.clone())));
            }
        });
        let mut kept: Option<Bytes> = None;
        for prefix in self.prefixes.of(key) {
            let key = kept.get_or_insert_with(|| Bytes::copy_from_slice(key)).clone();
            wanted.entry(prefix.clone()).or_default().push((number, key));
        }
    }

    /// Drops what is too much in the table. Returns who is to be told what.
    pub(crate) fn trim(&mut self) -> Vec<(u64, Stale)> {
        let mut told = Vec::new();
        let Trackers { table, members, .. } = self;
        if !members.is_empty() {
            table.trim(|connection, key| {
                if members.get(&connection) == Some(&false) {
                    told.push((connection, Stale::key(0, key.clone())));
                }
            });
        }
        told
    }
}

/// The changes of a batch that somebody wants to hear of by a prefix.
type Wanted = BTreeMap<Bytes, Vec<(u64, Bytes)>>;

impl Drop for Trackers {
    fn drop(&mut self) {
        self.members.keys().for_each(|_| self.exchange.end(&self.desk));
        self.exchange.close(&self.desk);
    }
}
