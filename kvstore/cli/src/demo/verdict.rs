//! What must hold after the load: all servers have executed the same global log, and no acknowledged
//! increment is lost.

use std::thread;
use std::time::{Duration, Instant};

use niagara_client::redis::{Connection, Reply};
use niagara_engine::Status;
use niagara_engine::agreement::Agreement;

use super::cluster::Cluster;
use super::load::{COUNTER, Tally};
use crate::failure::Failure;

/// What is in flight ends within a deadline (5 s). The rest is for a very busy machine.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
pub struct Findings {
    /// The position that all servers have applied; `None` if they did not reach the same one.
    pub position: Option<u64>,
    /// No-ops in the global log.
    pub noops: u64,
    /// What the digests say.
    pub agreement: Agreement,
    /// The counter as each server reads it, strongly consistent.
    pub counters: Vec<i64>,
}

/// Examines a cluster to which nobody writes any more.
pub fn examine(cluster: &Cluster, tally: &Tally) -> Result<Findings, Failure> {
    let counters =
        cluster.servers().iter().map(|server| read_counter(server.redis_addr())).collect::<Result<_, _>>();
    let counters = counters.map_err(|error| {
        let hint = if tally.failed > 0 {
            "requests failed during the load, too: see the logs"
        } else {
            "see the logs"
        };
        Failure::new(format!("cannot read the counter after the load: {error}"), hint)
    })?;
    let (position, statuses) = settle(|| cluster.statuses(), SETTLED_WITHIN);
    let noops = statuses.iter().map(|status| status.noops).max().unwrap_or(0);
    Ok(Findings { position, noops, agreement: Agreement::of(&statuses, 0), counters })
}

/// Waits until all servers have applied the same position and stay there.
fn settle(statuses: impl Fn() -> Vec<Status>, within: Duration) -> (Option<u64>, Vec<Status>) {
    let start = Instant::now();
    let common = |statuses: &[Status]| {
        let first = statuses.first()?.applied;
        statuses.iter().all(|status| status.applied == first).then_some(first)
    };
    let mut before = None;
    loop {
        let now = statuses();
        let position = common(&now);
        if position.is_some() && position == before {
            return (position, now);
        }
        if start.elapsed() > within {
            return (None, now);
        }
        before = position;
        thread::sleep(Duration::from_millis(50));
    }
}

fn read_counter(address: std::net::SocketAddr) -> std::io::Result<i64> {
    let mut connection = Connection::open(address)?;
    connection.stage(&[b"GET", COUNTER]);
    let mut outcome = Err("no answer".to_owned());
    connection.exchange(|reply| {
        outcome = match reply {
            Reply::Bulk(None) => Ok(0),
            Reply::Bulk(Some(digits)) => {
                String::from_utf8_lossy(digits).parse().map_err(|_| "no number".to_owned())
            }
            other => Err(format!("{other:?}")),
        };
    })?;
    outcome.map_err(std::io::Error::other)
}

impl Findings {
    /// Everything that does not hold; empty if all is well.
    pub fn problems(&self, tally: &Tally) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(first) = &tally.first_failure {
            problems.push(format!("{} requests failed; the first: {first}", tally.failed));
        }
        if tally.succeeded() == 0 {
            problems.push("no request succeeded".into());
        }
        if self.position.is_none() {
            problems.push(format!(
                "the servers did not reach the same position within {} s",
                SETTLED_WITHIN.as_secs()
            ));
        }
        match &self.agreement {
            Agreement::Agree { .. } => {}
            Agreement::Unknown(why) => problems.push(format!("whether the servers agree is unknown: {why}")),
            other => problems.push(format!("the servers have not executed the same commands: {other:?}")),
        }
        let possible = tally.acknowledged..=tally.acknowledged + tally.unknown;
        for (i, counter) in self.counters.iter().enumerate() {
            if !u64::try_from(*counter).is_ok_and(|counter| possible.contains(&counter)) {
                let (server, acknowledged, unknown) = (i + 1, tally.acknowledged, tally.unknown);
                problems.push(format!(
                    "server {server} reads {counter} from the counter; {acknowledged} increments were acknowledged, \
                     {unknown} have an unknown outcome"
                ));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use niagara_engine::agreement::{DigestOf, Unknown};

    use super::*;
    use crate::demo::load::Kind;

    fn findings() -> Findings {
        Findings {
            position: Some(64),
            noops: 3,
            agreement: Agreement::Agree { position: 64 },
            counters: vec![2, 2],
        }
    }

    fn tally() -> Tally {
        let mut tally = Tally::new();
        for value in [1, 2] {
            tally.take(Kind::Increment, Reply::Integer(value), Duration::from_millis(1));
        }
        tally
    }

    #[test]
    fn all_is_well() {
        assert_eq!(findings().problems(&tally()), Vec::<String>::new());
    }

    #[test]
    fn lost_and_doubled_increments_are_found() {
        for wrong in [1, 3, -2] {
            let problems = Findings { counters: vec![2, wrong], ..findings() }.problems(&tally());
            assert!(
                problems.len() == 1 && problems[0].starts_with(&format!("server 2 reads {wrong}")),
                "{problems:?}"
            );
        }
    }

    #[test]
    fn an_increment_of_unknown_outcome_may_count_or_not() {
        let mut tally = tally();
        tally.take(Kind::Increment, Reply::Error(b"UNKNOWN"), Duration::from_millis(1));
        for (counter, problems) in [(2, 1), (3, 1), (4, 3)] {
            let found = Findings { counters: vec![counter; 2], ..findings() }.problems(&tally);
            assert_eq!(found.len(), problems, "{found:?}");
        }
    }

    #[test]
    fn every_disagreement_is_a_problem() {
        let digests = vec![(1, "a".into()), (2, "b".into())];
        let differ = Agreement::Differ { position: 8, of: DigestOf::State, digests };
        let unknown = Agreement::Unknown(Unknown::NothingShared([1, 2]));
        for agreement in [differ, unknown, Agreement::DifferentClusters] {
            assert_eq!(Findings { agreement, ..findings() }.problems(&tally()).len(), 1);
        }
        assert_eq!(Findings { position: None, ..findings() }.problems(&tally()).len(), 1);
        let silent = Findings { counters: vec![0, 0], ..findings() };
        assert_eq!(silent.problems(&Tally::new()), ["no request succeeded"]);
    }

    #[test]
    fn servers_settle_when_the_last_has_caught_up() {
        let applied = |server, applied| {
            let mut status = Status::default();
            (status.server, status.applied) = (server, applied);
            status
        };
        let turn = Cell::new(0);
        let statuses = || {
            turn.set(turn.get() + 1);
            vec![applied(1, 10), applied(2, 10.min(turn.get() + 5))]
        };
        assert_eq!(settle(statuses, Duration::from_secs(60)).0, Some(10));
        assert!(turn.get() >= 6, "seen twice at the same position");
        assert_eq!(settle(|| vec![applied(1, 10), applied(2, 9)], Duration::ZERO).0, None);
    }
}
