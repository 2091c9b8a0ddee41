use niagara_log::LogStore;

use super::{Broken, Record, hold};

/// If an entry is committed, it is present in the logs of the leaders of all later terms (Raft, figure 3).
#[derive(Debug, Default)]
pub struct LeaderCompleteness;

impl LeaderCompleteness {
    /// A server has become leader of a group in `term`, with this log.
    pub fn elected(
        &self,
        (server, group, term): (u64, usize, u64),
        log: &LogStore,
        committed: &[Record],
    ) -> Result<(), Broken> {
        // By log matching, equal terms at an index mean equal logs up to it, so the last committed entry
        // suffices.
        let Some(last) = committed.iter().rposition(|record| record.term < term) else { return Ok(()) };
        let (index, wanted) = (last as u64 + 1, committed[last].term);
        hold(log.term(index) == Some(wanted), "leader_completeness", || {
            let (group, has) = (group + 1, log.term(index));
            format!(
                "server {server} leads group {group} in term {term}, but has term {has:?} at entry {index}, which is \
                 committed with term {wanted}"
            )
        })
    }
}
