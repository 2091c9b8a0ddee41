//! How replies without an end of their own go on: those that tell watchers of changes.

use super::{Worker, list};
use crate::command::encode_keep_changes;
use crate::front::token::NOBODY;
use crate::protocol::Engine;

impl<E: Engine> Worker<E> {
    /// Lists the connections that watch, if changes have come, and has changes kept as long as there are any.
    pub(super) fn watch(&mut self) {
        if self.streaming.is_empty() {
            return;
        }
        if self.site.lookout.take_news() || self.engine.is_retiring() {
            self.list_streams();
        }
        if self.site.lookout.must_speak() {
            self.command.clear();
            encode_keep_changes(&mut self.command);
            let lane = self.engine.choose_lane();
            // If it is refused, or lost, it is said again when more has changed.
            let _ = self.engine.propose(lane, NOBODY, &self.command);
        }
    }

    /// Lists the connections with such replies, so that they are gone on with in this turn.
    pub(super) fn list_streams(&mut self) {
        for &index in &self.streaming {
            if let Some(connection) = self.table.get_mut(index) {
                list(&mut self.active, index, connection);
            }
        }
    }
}
