//! A cluster and what is broken of it at the moment.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Cluster;
use crate::network::{Host, Namespaces, NetworkError, Subnet};

use super::fault::{Fault, Kind};

/// A cluster under faults.
pub(super) struct World {
    pub cluster: Cluster,
    /// The last position at which all digests were found equal.
    pub compared: u64,
    network: Option<Arc<Namespaces>>,
    groups: u16,
    states: Vec<State>,
    /// The faults in effect, and when each ends.
    active: Vec<(Instant, Fault)>,
    start: Instant,
    log: File,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    Paused,
    Down,
}

/// Faults at a time: enough for a majority to be hit in different ways, and for something to be left.
const MOST_AT_A_TIME: usize = 4;

impl World {
    /// A cluster of which nothing is broken. What happens to it is written to `faults.log` in its directory.
    pub(super) fn new(cluster: Cluster, network: Option<Arc<Namespaces>>, groups: u16) -> World {
        let log =
            File::create(cluster.dir().join("faults.log")).expect("the cluster's directory can be written");
        let states = cluster.servers().map(|_| State::Up).collect();
        World {
            cluster,
            compared: 0,
            network,
            groups,
            states,
            active: Vec::new(),
            start: Instant::now(),
            log,
        }
    }

    pub(super) fn servers(&self) -> u64 {
        self.states.len() as u64
    }

    /// How many faults are in effect.
    pub(super) fn broken(&self) -> usize {
        self.active.len()
    }

    /// Begins a fault, unless there are enough, or it makes no difference to those in effect.
    pub(super) fn begin(&mut self, fault: Fault, lasts: Duration) -> Result<Option<Kind>, NetworkError> {
        if self.active.len() >= MOST_AT_A_TIME || !self.makes_a_difference(fault) {
            return Ok(None);
        }
        self.note(&format!("begin {fault}, for {} ms", lasts.as_millis()));
        match fault {
            Fault::Kill(server) => self.kill(server),
            Fault::KillAll => {
                self.cluster.kill_all();
                self.states.fill(State::Down);
            }
            Fault::Pause(server) => {
                self.cluster.pause(server);
                *self.state(server) = State::Paused;
            }
            Fault::Throttle { server, group, kilobits } => {
                self.network().throttle(Subnet::Link(group), Host::Server(server), kilobits)?;
            }
            Fault::Isolate(..) | Fault::Link { .. } | Fault::Clients(..) => {
                self.network().cut_all(&fault.cuts(self.servers(), self.groups))?;
            }
        }
        self.active.push((Instant::now() + lasts, fault));
        Ok(Some(fault.kind()))
    }

    /// Ends the faults whose time is over.
    pub(super) fn end_due(&mut self) -> Result<(), NetworkError> {
        let now = Instant::now();
        while let Some(at) = self.active.iter().position(|(until, _)| *until <= now) {
            let (_, fault) = self.active.swap_remove(at);
            self.end(fault)?;
        }
        Ok(())
    }

    /// Ends all faults.
    pub(super) fn heal(&mut self) -> Result<(), NetworkError> {
        while let Some((_, fault)) = self.active.pop() {
            self.end(fault)?;
        }
        self.note("all is healed");
        Ok(())
    }

    /// Writes a line to the log of faults.
    pub(super) fn note(&mut self, what: &str) {
        let at = self.start.elapsed().as_secs_f64();
        writeln!(self.log, "{at:9.3} {what}").expect("the cluster's directory can be written");
    }

    /// What is wrong with a server's process that nobody has touched: it has ended.
    pub(super) fn ended_by_itself(&mut self) -> Option<String> {
        self.cluster.servers().find_map(|server| {
            let status = self.cluster.ended_by_itself(server)?;
            let log = self.cluster.log(server);
            let lines: Vec<&str> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(30)..].join("\n");
            Some(format!("server {server} ended by itself with {status}; the end of its log:\n{end}"))
        })
    }

    fn makes_a_difference(&mut self, fault: Fault) -> bool {
        match fault {
            Fault::Kill(server) => *self.state(server) != State::Down,
            Fault::KillAll => !self.states.contains(&State::Down),
            Fault::Pause(server) => *self.state(server) == State::Up,
            Fault::Throttle { server, group, .. } => !self.active.iter().any(|(_, other)| {
                matches!(other, Fault::Throttle { server: s, group: g, .. } if (*s, *g) == (server, group))
            }),
            Fault::Isolate(..) | Fault::Link { .. } | Fault::Clients(..) => {
                !self.active.iter().any(|(_, other)| *other == fault)
            }
        }
    }

    fn end(&mut self, fault: Fault) -> Result<(), NetworkError> {
        self.note(&format!("end   {fault}"));
        match fault {
            Fault::Kill(server) => self.start(server),
            Fault::KillAll => (1..=self.servers()).for_each(|server| self.start(server)),
            Fault::Pause(server) => {
                // It may have been killed meanwhile.
                if *self.state(server) == State::Paused {
                    self.cluster.resume(server);
                    *self.state(server) = State::Up;
                }
            }
            Fault::Throttle { server, group, .. } => {
                self.network().unthrottle(Subnet::Link(group), Host::Server(server))?;
            }
            Fault::Isolate(..) | Fault::Link { .. } | Fault::Clients(..) => {
                self.network().join_all(&fault.cuts(self.servers(), self.groups))?;
            }
        }
        Ok(())
    }

    fn kill(&mut self, server: u64) {
        self.cluster.kill(server);
        *self.state(server) = State::Down;
    }

    fn start(&mut self, server: u64) {
        if *self.state(server) == State::Down {
            self.cluster.launch(server);
            *self.state(server) = State::Up;
        }
    }

    fn state(&mut self, server: u64) -> &mut State {
        &mut self.states[server as usize - 1]
    }

    fn network(&self) -> &Namespaces {
        self.network.as_ref().expect("faults of the network are chosen only where there is one")
    }
}
