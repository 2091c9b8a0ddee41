//! The level of the cluster, and requests to raise it.

use niagara_sequencer::epoch::Terms;

use super::epochs::NotChanged;
use super::handle::Client;
use crate::members::{LevelView, MemberLevel};
use crate::planted::{self, Bug};
use crate::state_machine::StateMachine;

impl<S: StateMachine> Client<S> {
    /// The level that this server's global log is at, and those that the members know.
    pub fn level(&self) -> LevelView {
        let epoch = self.shared.progress.epoch();
        let members = self.known_levels(epoch.members());
        let all: Option<Vec<u32>> = members.iter().map(|member| member.known).collect();
        LevelView {
            server: self.shared.server,
            epoch: epoch.number.get(),
            level: epoch.record.terms.level,
            known_by_all: all.and_then(|all| all.into_iter().min()),
            members,
        }
    }

    /// What is known of these servers, by their ids.
    fn known_levels(&self, servers: &[u64]) -> Vec<MemberLevel> {
        let connected = self.shared.progress.connected.peers();
        let known = |server: u64| match server == self.shared.server {
            true => Some(self.shared.known_level),
            false if connected.contains(&server) => self.shared.peer_levels.of(server),
            false => None,
        };
        let mut servers = servers.to_vec();
        servers.sort_unstable();
        servers.into_iter().map(|server| MemberLevel { server, known: known(server) }).collect()
    }

    /// Asks for a higher level. The epoch ends, at the same position on every server, and the next one goes on at that level.
    /// There is no way back. [`level`](Self::level) shows when this server is there. The request may be lost with a leader, or
    /// come after another one: then the epoch that follows is another.
    ///
    /// # Errors
    /// If the request cannot be made here and now; each member has to be connected, and to know the level. Nothing has changed
    /// then.
    pub fn ask_for_level(&self, level: u32) -> Result<(), NotChanged> {
        let epoch = self.running_epoch()?;
        let now = epoch.record.terms.level;
        if level == now {
            return Err(NotChanged::Same);
        }
        if level < now {
            return Err(NotChanged::LowerLevel { now, level });
        }
        for MemberLevel { server, known } in self.known_levels(epoch.members()) {
            match known {
                _ if planted::is(Bug::LevelUnknownToMembers) => {}
                None => return Err(NotChanged::Away { server }),
                Some(known) if known < level => {
                    return Err(NotChanged::UnknownLevel { server, known, level });
                }
                Some(_) => {}
            }
        }
        let next = Terms { level, ..epoch.record.terms.clone() };
        self.ask_for(epoch, next)
    }
}
