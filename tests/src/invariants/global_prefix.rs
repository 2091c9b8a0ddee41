use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Broken, hold};

/// Any two servers' global logs agree on their common prefix: a server executes what the first one to get
/// there has executed, at the same position.
#[derive(Debug, Default)]
pub struct GlobalPrefix {
    log: Vec<(u64, Bytes)>,
    /// How many commands each server has executed in its current life.
    executed: BTreeMap<u64, usize>,
}

impl GlobalPrefix {
    /// Commands of the global log, as far as any server has executed it.
    pub fn log(&self) -> &[(u64, Bytes)] {
        &self.log
    }

    /// How many commands of the global log a server has executed, itself or as part of a restored state.
    pub fn executed_by(&self, server: u64) -> usize {
        self.executed.get(&server).copied().unwrap_or(0)
    }

    /// A server has restarted, with an empty state.
    pub fn restarted(&mut self, server: u64) {
        self.executed.remove(&server);
    }

    /// A server has restored the state of a position that another one has reached by execution.
    pub fn restored(&mut self, server: u64, position: u64) -> Result<(), Broken> {
        let before = self.log.partition_point(|(at, _)| *at <= position);
        let done = self.executed.entry(server).or_default();
        let back = *done > before;
        hold(!back, "global_prefix", || {
            format!(
                "server {server} had executed {done} commands, and goes back to position {position}, behind {before}"
            )
        })?;
        *done = before;
        Ok(())
    }

    /// A server has executed these. Returns how many of them no server had executed before.
    pub fn executed(&mut self, server: u64, commands: Vec<(u64, Bytes)>) -> Result<usize, Broken> {
        let known = self.log.len();
        let done = self.executed.entry(server).or_default();
        for command in commands {
            match self.log.get(*done) {
                Some(first) => hold(*first == command, "global_prefix", || {
                    format!(
                        "command {done} of the global log is {first:?}, but server {server} executes {command:?}"
                    )
                })?,
                None => {
                    let before = self.log.last().map_or(0, |(position, _)| *position);
                    hold(command.0 >= before, "global_prefix", || {
                        format!("server {server} executes {command:?} after position {before}")
                    })?;
                    self.log.push(command);
                }
            }
            *done += 1;
        }
        Ok(self.log.len() - known)
    }
}
