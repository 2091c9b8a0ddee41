//! etcd, over gRPC: its gateway for JSON would cost it much, and nobody in earnest uses it.
//!
//! | file | holds |
//! |---|---|
//! | `api.rs` | messages and calls |
//! | `load.rs` | the clients |

mod api;
mod load;

use std::path::Path;
use std::thread;
use std::time::Duration;

use niagara_load::Failure;
use niagara_namespaces::Host;

use self::api::StatusResponse;
use super::programs::{Programs, for_clients, for_servers, servers};
use super::store::{Driven, Store};
use super::work::{Pace, Shape, Work};
use crate::run::Run;

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
    pub fn start(run: &Run, syncs: bool) -> Result<Etcd, Failure> {
        let programs = Programs::start("etcd", |server, data| arguments(server, data, syncs))?;
        let mut etcd = Etcd { programs, addresses: addresses() };
        let states = etcd.await_states(run, "did not elect a leader", |states| leader(states).is_some())?;
        etcd.addresses.rotate_left(leader(&states).expect("it was waited for"));
        Ok(etcd)
    }

    /// Waits until what all servers say of themselves is as wanted.
    fn await_states(
        &self,
        run: &Run,
        trouble: &str,
        wanted: impl Fn(&[StatusResponse]) -> bool,
    ) -> Result<Vec<StatusResponse>, Failure> {
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
fn leader(states: &[StatusResponse]) -> Option<usize> {
    let leader = states.first()?.leader;
    let agreed = states.iter().all(|state| state.leader == leader);
    let is_leader =
        |state: &StatusResponse| state.header.as_ref().is_some_and(|header| header.member == leader);
    states.iter().position(is_leader).filter(|_| agreed)
}

/// Whether all servers have executed the same puts.
fn are_level(states: &[StatusResponse]) -> bool {
    let revision = |state: &StatusResponse| state.header.as_ref().map(|header| header.revision);
    states.iter().all(|state| revision(state).is_some() && revision(state) == revision(&states[0]))
}

fn arguments(server: u64, data: &Path, syncs: bool) -> Vec<String> {
    let name = |server| format!("server-{server}");
    let peer = |server| format!("http://{}", for_servers(server, PEERS));
    let client = format!("http://{}", for_clients(server, CLIENTS));
    let cluster: Vec<String> = servers().map(|server| format!("{}={}", name(server), peer(server))).collect();
    let mut words = Vec::new();
    for (option, value) in [
        ("--name", name(server)),
        ("--data-dir", data.join("data").display().to_string()),
        ("--listen-client-urls", client.clone()),
        ("--advertise-client-urls", client),
        ("--listen-peer-urls", peer(server)),
        ("--initial-advertise-peer-urls", peer(server)),
        ("--initial-cluster", cluster.join(",")),
        ("--initial-cluster-state", "new".into()),
        ("--logger", "zap".into()),
        ("--log-level", "error".into()),
        // A machine that all servers share may not run one of them for a while: that is no reason for an election.
        ("--heartbeat-interval", "300".into()),
        ("--election-timeout", "3000".into()),
    ] {
        words.extend([option.to_owned(), value]);
    }
    words.extend((!syncs).then(|| "--unsafe-no-fsync".into()));
    words
}

impl Store for Etcd {
    fn processes(&self) -> Result<Vec<u32>, Failure> {
        Ok(self.programs.processes())
    }

    fn fill(&self, _run: &Run) -> Result<(), Failure> {
        self.among_clients(|| load::fill(&self.addresses[0]))
    }

    fn drive(
        &self,
        _run: &Run,
        work: Work,
        shape: Shape,
        pace: Pace,
        look: &mut dyn FnMut() -> Result<(), Failure>,
    ) -> Result<Driven, Failure> {
        thread::scope(|scope| {
            let clients =
                scope.spawn(|| self.among_clients(|| load::drive(&self.addresses, work, shape, pace)));
            while !clients.is_finished() {
                look()?;
            }
            clients.join().expect("it gives back what fails")
        })
    }

    fn await_agreement(&self, run: &Run) -> Result<(), Failure> {
        self.await_states(run, "are not at the same revision", are_level).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::api::Header;
    use super::*;

    fn state(member: u64, leader: u64, revision: i64) -> StatusResponse {
        StatusResponse { header: Some(Header { member, revision }), leader }
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
        assert!(!are_level(&[StatusResponse::default()]));
    }
}
