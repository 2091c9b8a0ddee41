//! What each log has held, as the log itself sees it.

use std::io;
use std::sync::Arc;

use niagara_log::{Held, LogMarks};

use super::{Identity, IdentityError};

/// Marks of one group's log.
#[derive(Debug)]
pub(super) struct GroupMarks {
    pub(super) identity: Arc<Identity>,
    pub(super) channel: u32,
}

impl LogMarks for GroupMarks {
    fn held(&self) -> Held {
        let record = self.identity.record.lock();
        // A release without marks created the first segment at its first start, before it met any peer.
        let has_run = record.incarnation > 1 || !record.peers.is_empty();
        let unmarked = Held { segment: u64::from(record.members.is_none() && has_run), ..Held::default() };
        record.logs.get(&self.channel).copied().unwrap_or(unmarked)
    }

    fn prepared(&self, segment: u64) -> io::Result<()> {
        if let Some(newest) = self.identity.making.lock().get_mut(&self.channel) {
            *newest = segment.max(*newest);
            return Ok(());
        }
        let noted = self.identity.change(|record| {
            let known = record.logs.entry(self.channel).or_default();
            known.segment = known.segment.max(segment);
        });
        noted.map_err(|error| match error {
            IdentityError::Io { source, .. } => source,
            other => io::Error::other(other),
        })
    }
}
