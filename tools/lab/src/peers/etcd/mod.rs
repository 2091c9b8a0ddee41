//! etcd, over gRPC. The clients are in `load.rs`.

mod load;

use std::thread;
use std::time::Duration;

use niagara_etcd::{MemberState, ServerUrls};
use niagara_load::Failure;
use niagara_namespaces::Host;

use super::programs::{Programs, for_clients, for_servers, servers};
use super::store::{Driven, Store};
use super::work::Stint;
use crate::experiment_run::ExperimentRun;

const CLIENTS: u16 = 2379;
const PEERS: u16 = 2380;
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Running servers.
pub(super) struct Etcd {
    programs: Programs,
    /// Where clients connect: the leader first, as a lone client of Niagara with one group is connected to its leader.
    addresses: Vec<String>,
}

impl Etcd {
    pub fn start(run: &ExperimentRun, syncs: bool) -> Result<Etcd, Failure> {
        let programs = Programs::start("etcd", |command, server, data| {
            niagara_etcd::configure(command, &urls(), server as usize - 1, data, syncs);
        })?;
        let mut etcd = Etcd { programs, addresses: addresses() };
        let states = etcd.await_states(run, "did not elect a leader", |states| leader(states).is_some())?;
        etcd.addresses.rotate_left(leader(&states).expect("it was waited for"));
        Ok(etcd)
    }

    /// Waits until what all servers say of themselves is as wanted.
    fn await_states(
        &self,
        run: &ExperimentRun,
        trouble: &str,
        wanted: impl Fn(&[MemberState]) -> bool,
    ) -> Result<Vec<MemberState>, Failure> {
        let states = || {
            let ask = || addresses().iter().map(|address| load::status(address)).collect();
            let states: Result<Vec<_>, Failure> = self.programs.network.inside(Host::Clients, ask)?;
            // A server that does not answer yet has just been started.
            Ok(states.ok().filter(|states| wanted(states)))
        };
        run.await_that(READY_WITHIN, states)?.ok_or_else(|| {
            let (within, words) = (READY_WITHIN.as_secs(), self.programs.last_words());
            Failure::new(format!("etcd's servers {trouble} within {within} s{words}"))
        })
    }

    fn among_clients<T: Send>(&self, task: impl FnOnce() -> Result<T, Failure> + Send) -> Result<T, Failure> {
        self.programs.network.inside(Host::Clients, task)?
    }
}

fn addresses() -> Vec<String> {
    servers().map(|server| for_clients(server, CLIENTS)).collect()
}

/// The place of the leader among the servers, if all know the same.
fn leader(states: &[MemberState]) -> Option<usize> {
    let leader = states.first()?.leader;
    let agreed = states.iter().all(|state| state.leader == leader);
    states.iter().position(|state| state.member == leader).filter(|_| agreed)
}

/// Whether all servers have executed the same puts.
fn are_level(states: &[MemberState]) -> bool {
    states.iter().all(|state| state.revision == states[0].revision)
}

fn urls() -> Vec<ServerUrls> {
    let of = |server| ServerUrls {
        clients: format!("http://{}", for_clients(server, CLIENTS)),
        peers: format!("http://{}", for_servers(server, PEERS)),
    };
    servers().map(of).collect()
}

impl Store for Etcd {
    fn processes(&self) -> Result<Vec<u32>, Failure> {
        Ok(self.programs.processes())
    }

    fn fill(&self, _run: &ExperimentRun) -> Result<(), Failure> {
        self.among_clients(|| load::fill(&self.addresses[0]))
    }

    fn drive(
        &self,
        _run: &ExperimentRun,
        stint: Stint,
        look: &mut dyn FnMut() -> Result<(), Failure>,
    ) -> Result<Driven, Failure> {
        thread::scope(|scope| {
            let clients = scope.spawn(|| self.among_clients(|| load::drive(&self.addresses, stint)));
            while !clients.is_finished() {
                look()?;
            }
            clients.join().expect("it gives back what fails")
        })
    }

    fn await_agreement(&self, run: &ExperimentRun) -> Result<(), Failure> {
        self.await_states(run, "are not at the same revision", are_level).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(member: u64, leader: u64, revision: i64) -> MemberState {
        MemberState { member, revision, leader }
    }

    #[test]
    fn a_leader_is_one_that_all_know() {
        assert_eq!(leader(&[state(7, 9, 1), state(9, 9, 1)]), Some(1));
        assert_eq!(leader(&[state(7, 7, 1), state(9, 9, 1)]), None);
        assert_eq!(leader(&[state(7, 0, 1), state(9, 0, 1)]), None);
        assert_eq!(leader(&[]), None);
    }

    #[test]
    fn servers_are_level_at_the_same_revision() {
        assert!(are_level(&[state(7, 7, 5), state(9, 7, 5)]));
        assert!(!are_level(&[state(7, 7, 5), state(9, 7, 4)]));
    }
}
