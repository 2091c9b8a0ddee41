use std::collections::BTreeMap;

use niagara_engine::sim::Standing;

use super::{Broken, hold};

/// At most one leader can be elected in a term of a group (Raft, figure 3); and a replica's term never goes back, not
/// even over a restart, since what it has promised in a term must bind it.
#[derive(Debug, Default)]
pub struct ElectionSafety {
    leaders: BTreeMap<(usize, u64), u64>,
    terms: BTreeMap<(u64, usize), u64>,
}

impl ElectionSafety {
    /// A replica stands like this; `true` if it has just come to lead.
    pub fn observe(&mut self, server: u64, group: usize, standing: &Standing) -> Result<bool, Broken> {
        let Standing { term, leads, .. } = *standing;
        if !leads {
            return Ok(false);
        }
        let before = self.leaders.insert((group, term), server);
        hold(before.is_none_or(|before| before == server), "election_safety", || {
            let before = before.unwrap_or_default();
            format!("servers {before} and {server} both lead group {} in term {term}", group + 1)
        })?;
        Ok(before.is_none())
    }

    /// A replica has promised something in a term: granted a vote, or acknowledged an entry.
    pub fn promised(&mut self, server: u64, group: usize, term: u64) {
        let promised = self.terms.entry((server, group)).or_default();
        *promised = term.max(*promised);
    }

    /// A replica has started with this term from what its disk holds.
    pub fn started(&mut self, server: u64, group: usize, term: u64) -> Result<(), Broken> {
        let promised = self.terms.get(&(server, group)).copied().unwrap_or(0);
        hold(term >= promised, "election_safety", || {
            format!(
                "server {server} promised in term {promised} of group {}, and starts in term {term}",
                group + 1
            )
        })
    }
}
