//! What the thread that executes commands notes of the changes that they make.

use bytes::Bytes;

use super::feed::Part;
use super::{Change, ChangeId, Feed, Kind, Now};

/// How many bytes of changes are kept after somebody has said that he watches.
pub(super) const CREDIT_BYTES: usize = 64 << 20;

/// Values up to this length are kept with their changes. A longer one is read again by whoever wants it.
const MOST_VALUE_BYTES: usize = 1 << 20;

/// See the [module](self). It is on at whole positions.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    /// Changes are noted.
    on: bool,
    /// Bytes of changes that are still to be noted; 0 while nobody watches.
    credit: usize,
    /// The credit is not used up: whether anybody watches or not, changes are noted.
    always: bool,
    /// The next change.
    next: Option<ChangeId>,
    position: u64,
    /// What the feed has yet to be told.
    restarts: bool,
    staged: Vec<Change>,
    bytes: usize,
}

impl Recorder {
    /// Starts or continues a position.
    pub(crate) fn enter(&mut self, position: u64) {
        if position > self.position {
            self.position = position;
            let is_due = self.credit > 0;
            self.restarts |= self.on && !is_due;
            self.on = is_due;
            self.next = is_due.then(|| ChangeId::first_at(position));
        }
    }

    /// Somebody watches: changes are to be kept, from the next position on at the latest.
    pub(crate) fn keep(&mut self, feed: &Feed) {
        self.restarts |= self.credit == 0 && !self.on;
        self.credit = CREDIT_BYTES;
        feed.extend(CREDIT_BYTES);
    }

    /// Changes are to be kept all the time, on this server alone, from the next position on at the latest.
    pub(crate) fn keep_always(&mut self, feed: &Feed) {
        self.always = true;
        self.keep(feed);
    }

    /// Continues from a snapshot that holds everything up to a position.
    pub(crate) fn restored(&mut self, position: u64) {
        let restarts = self.restarts || self.on || self.credit > 0;
        let Recorder { credit, always, .. } = *self;
        *self = Recorder { credit, always, position, restarts, ..Recorder::default() };
    }

    /// Whether changes are noted: a look at this is all that they cost otherwise.
    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    /// Notes a change of a key, and what it holds now.
    pub(crate) fn note(&mut self, kind: Kind, key: &[u8], now: Option<Now>) {
        let Some(id) = self.next else { return };
        self.next = Some(id.next());
        let now =
            now.map(|now| Now { value: now.value.filter(|value| value.len() <= MOST_VALUE_BYTES), ..now });
        let change = Change { id, kind, key: Bytes::copy_from_slice(key), now };
        let bytes = change.bytes();
        self.bytes += bytes;
        if !self.always {
            self.credit = self.credit.saturating_sub(bytes);
        }
        self.staged.push(change);
    }

    /// Hands what was noted to the feed. Returns what is gone, to be freed when nobody waits for it.
    pub(crate) fn deliver(&mut self, feed: &Feed) -> Option<Box<dyn Send>> {
        let mut gone: Option<Box<dyn Send>> = None;
        if std::mem::take(&mut self.restarts) {
            let begin = (self.credit > 0).then(|| ChangeId::first_at(self.position + u64::from(!self.on)));
            gone = Some(Box::new(feed.restart(begin)));
        }
        if !self.staged.is_empty() {
            let changes = std::mem::take(&mut self.staged);
            let part = Part { changes, bytes: std::mem::take(&mut self.bytes) };
            drop(feed.append(part, self.credit));
        }
        gone
    }
}
