//! Servers that come and leave while a simulated cluster runs.

use niagara_engine::{MembersChange, NotChanged, StartError};

use super::Simulation;
use crate::parts::joining::{joining, view_of, was_removed};
use crate::recording::Observable;

impl<S: Observable> Simulation<S> {
    /// Asks a server for other members: these servers leave, and those come. [`epoch`](Self::epoch) shows what becomes of it.
    /// Those that come [join](Self::join) when they are members.
    ///
    /// # Errors
    /// If the request cannot be made there and now.
    ///
    /// # Panics
    /// If there is no such server, or it is down.
    pub fn ask_for_members(&mut self, server: u64, leave: &[u64], come: &[u64]) -> Result<(), NotChanged> {
        let member = |server: &u64| view_of(&self.settings.config.members[*server as usize - 1]);
        let change = MembersChange { leave: leave.to_vec(), come: come.iter().map(member).collect() };
        let running = self.server(server).running.as_ref();
        running.expect("the server runs").machine.client().ask_for_members(&change)
    }

    /// Starts a server that has become a member, with a snapshot that one of the others has. Returns whether it could: it is
    /// a member, has not joined before, and somebody has a snapshot for it.
    pub fn join(&mut self, server: u64) -> bool {
        if !self.server(server).is_out || self.server(server).life > 0 {
            return false;
        }
        let running = self.servers.iter().filter_map(|server| server.running.as_ref());
        let Some(joining) = joining(running.map(|running| &running.machine), server) else { return false };
        self.note(&format!("server {server} joins in epoch {}", joining.epoch.number));
        self.server_mut(server).joins(joining);
        self.start(server);
        true
    }

    /// Whether a server is no member: it has yet to join, or was removed.
    pub fn is_out(&self, server: u64) -> bool {
        self.server(server).is_out
    }

    /// Ends a server that knows that it was removed, and is needed by nobody any more.
    pub(super) fn end_removed(&mut self, id: u64) {
        let removed = self.server(id).running.as_ref().and_then(|running| running.machine.removed());
        let Some(epoch) = removed else { return };
        self.note(&format!("server {id} ends: it is no member since epoch {epoch}"));
        self.process_ends(id, false);
        self.server_mut(id).is_out = true;
    }

    /// Whether a server does not start since it was removed.
    pub(super) fn is_removed(&mut self, id: u64, error: &StartError) -> bool {
        let is_removed = was_removed(error);
        if is_removed {
            self.note(&format!("server {id} does not start: {error}"));
            self.server_mut(id).is_out = true;
        }
        is_removed
    }
}
