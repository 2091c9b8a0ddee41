//! Redis: a primary, which takes all writes and strong reads, and two replicas.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use niagara_engine::Durability;
use niagara_load::Failure;
use niagara_namespaces::{Host, Subnet};

use super::generator;
use super::programs::{Programs, for_clients, servers};
use super::store::{Driven, Store};
use super::work::{Stint, StoreWork};
use crate::experiment_run::ExperimentRun;

const PORT: u16 = 6379;
const PRIMARY: u64 = 1;
const REPLICAS: usize = 2;
const READY_WITHIN: Duration = Duration::from_secs(30);
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// Running servers.
pub(super) struct Redis(Programs);

impl Redis {
    pub fn start(run: &ExperimentRun, durability: Durability) -> Result<Redis, Failure> {
        let redis = Redis(Programs::start("redis-server", |command, server, _| {
            command.args(arguments(server, durability));
        })?);
        redis.await_replicas(run)?;
        Ok(redis)
    }

    /// Waits until both replicas have all that the primary has.
    fn await_replicas(&self, run: &ExperimentRun) -> Result<(), Failure> {
        let level = || {
            let state = self.0.network.inside(Host::Clients, replication)?;
            Ok(state.is_ok_and(|info| are_level(&info)).then_some(()))
        };
        run.await_that(READY_WITHIN, level)?.ok_or_else(|| {
            Failure::new(format!(
                "Redis' replicas are not level with the primary after {} s{}",
                READY_WITHIN.as_secs(),
                self.0.last_words()
            ))
        })
    }
}

fn arguments(server: u64, durability: Durability) -> Vec<String> {
    let (file, sync) = match durability {
        Durability::Fsync => ("yes", "always"),
        Durability::Os => ("yes", "everysec"),
        Durability::Memory => ("no", "everysec"),
    };
    let mut words = Vec::new();
    // No snapshots in between, as none of the others makes any in that time; replicas are not made to wait for each other.
    for (option, value) in [
        ("--port", PORT.to_string()),
        ("--bind", "0.0.0.0".into()),
        ("--protected-mode", "no".into()),
        ("--save", String::new()),
        ("--appendonly", file.into()),
        ("--appendfsync", sync.into()),
        ("--repl-diskless-sync-delay", "0".into()),
    ] {
        words.extend([option.to_owned(), value]);
    }
    if server != PRIMARY {
        let primary = Subnet::Link(1).address(Host::Server(PRIMARY));
        words.extend(["--replicaof".to_owned(), primary.to_string(), PORT.to_string()]);
    }
    words
}

/// What the primary says about its replicas.
fn replication() -> std::io::Result<String> {
    let address = for_clients(PRIMARY, PORT).parse().expect("it was put together from an address and a port");
    let mut stream = TcpStream::connect_timeout(&address, ANSWERS_WITHIN)?;
    stream.set_read_timeout(Some(ANSWERS_WITHIN))?;
    // The server closes the connection after the second one.
    stream.write_all(b"INFO replication\r\nQUIT\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

fn are_level(info: &str) -> bool {
    let offset = info.lines().find_map(|line| line.trim().strip_prefix("master_repl_offset:"));
    let level = offset.map(|offset| format!("offset={offset},"));
    let replica = |line: &&str| line.starts_with("slave") && line.contains("state=online");
    let replicas: Vec<&str> = info.lines().filter(replica).collect();
    level.is_some_and(|level| replicas.len() == REPLICAS && replicas.iter().all(|line| line.contains(&level)))
}

impl Store for Redis {
    fn processes(&self) -> Result<Vec<u32>, Failure> {
        Ok(self.0.processes())
    }

    fn fill(&self, run: &ExperimentRun) -> Result<(), Failure> {
        generator::fill(run, &self.0.network, &["--redis".into(), for_clients(PRIMARY, PORT)])
    }

    fn drive(
        &self,
        run: &ExperimentRun,
        stint: Stint,
        look: &mut dyn FnMut() -> Result<(), Failure>,
    ) -> Result<Driven, Failure> {
        let all = || servers().map(|server| for_clients(server, PORT)).collect::<Vec<_>>().join(",");
        let (target, work) = match stint.work {
            // Which server is asked is all there is to it: a server's own state is what each of them gives.
            StoreWork::WeakReads => (vec!["--redis".into(), all()], StoreWork::Reads),
            StoreWork::Reads => (vec!["--redis".into(), for_clients(PRIMARY, PORT)], stint.work),
            StoreWork::Writes | StoreWork::Mixed => {
                (vec!["--redis".into(), for_clients(PRIMARY, PORT), "--wait".into(), "1".into()], stint.work)
            }
        };
        generator::drive(run, &self.0.network, &target, Stint { work, ..stint }, look)
    }

    fn await_agreement(&self, run: &ExperimentRun) -> Result<(), Failure> {
        self.await_replicas(run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_level_when_both_are_where_the_primary_is() {
        let info = |second: &str| {
            format!(
                "# Replication\r\nrole:master\r\nconnected_slaves:2\r\n\
                 slave0:ip=10.78.1.2,port=6379,state=online,offset=140,lag=1\r\n{second}\
                 master_repl_offset:140\r\n"
            )
        };
        assert!(are_level(&info("slave1:ip=10.78.1.3,port=6379,state=online,offset=140,lag=0\r\n")));
        assert!(!are_level(&info("slave1:ip=10.78.1.3,port=6379,state=online,offset=126,lag=0\r\n")));
        assert!(!are_level(&info("slave1:ip=10.78.1.3,port=6379,state=wait_bgsave,offset=140,lag=0\r\n")));
        assert!(!are_level(&info("")) && !are_level("-LOADING\r\n"));
    }

    #[test]
    fn replicas_know_their_primary() {
        let words = arguments(2, Durability::Fsync).join(" ");
        assert!(
            words.contains("--appendfsync always") && words.ends_with("--replicaof 10.78.1.1 6379"),
            "{words}"
        );
        assert!(!arguments(PRIMARY, Durability::Fsync).contains(&"--replicaof".to_owned()));
    }
}
