//! Reports of reads: what a server tells all others of the keys that its clients have read, while the least recently used ones are
//! to go.

use std::time::{Duration, Instant};

use super::token::NOBODY;
use crate::KvReader;
use crate::command::encode_used;
use crate::protocol::Engine;

/// A server reports no more often. A report is bounded in bytes ([`Uses`](crate::memory::Uses)), so this bounds what reports take in
/// the log: 128 KiB a second for each server. What is read more often than that is in every report.
const PAUSE: Duration = Duration::from_millis(500);

/// When a server reports.
#[derive(Debug)]
pub(super) struct Reporting {
    reader: KvReader,
    /// When it has last reported.
    reported: Option<Instant>,
    /// When there is something to do.
    due: Option<Instant>,
    command: Vec<u8>,
}

impl Reporting {
    pub(super) fn new(reader: KvReader) -> Reporting {
        Reporting { reader, reported: None, due: None, command: Vec::new() }
    }

    /// When there is something to do, unless reads are noted before: then the timekeeper's bell rings.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// When it has last reported.
    pub(super) fn reported(&self) -> Option<Instant> {
        self.reported
    }

    /// Does what is due, before the port is flushed.
    pub(super) fn turn(&mut self, now: Instant, engine: &mut impl Engine) {
        let uses = self.reader.uses();
        if !uses.is_on() || !uses.has_news() {
            self.due = None;
            return;
        }
        if let Some(next) = self.reported.map(|reported| reported + PAUSE).filter(|next| now < *next) {
            self.due = Some(next);
            return;
        }
        self.due = None;
        self.reported = Some(now);
        let keys = uses.take(self.reader.position());
        if keys.is_empty() {
            return;
        }
        self.command.clear();
        encode_used(&mut self.command, keys.iter().map(|(database, key)| (*database, &**key)));
        let lane = engine.choose_lane();
        // If it is refused, a sample is lost: what is used will be read again.
        let _ = engine.propose(lane, NOBODY, &self.command);
    }
}
