//! What must hold when everything is healed.

use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use niagara_engine::Status;

use crate::linearizability::{Condition, Input};
use crate::status::{compare as compare_digests, status};
use crate::{Endpoint, Http};

use super::request::{Connection, Outcome, PATIENCE};
use super::stop::Stop;
use super::worker::Workers;
use super::world::World;

/// Within this time every server must serve again. Seconds are normal: a server that was killed reads its log first, and
/// connections are tried again after a pause. On a machine with much else to do it may take far longer; only what never happens
/// is to fail.
const HEALED: Duration = Duration::from_secs(180);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(20);
/// Between two looks at servers that do not serve.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);

/// Waits until every server has served a write and a strong read, over both protocols, while all clients are at work
/// (`progress_after_heal`).
pub(super) fn await_service(world: &mut World, workers: &Workers) -> Result<(), Stop> {
    let (begin, shared) = (Instant::now(), &workers.shared);
    for endpoint in &shared.endpoints {
        for is_http in [true, false] {
            while !serves(endpoint, is_http) {
                if let Some(ended) = world.ended_by_itself() {
                    return Err(Stop::Violation(ended));
                }
                if begin.elapsed() > HEALED {
                    let how = if is_http { "HTTP" } else { "the Redis protocol" };
                    return Err(Stop::Violation(format!(
                        "progress_after_heal: server {} does not serve over {how}, {HEALED:?} after everything was healed; \
                         what the servers say:\n{}",
                        endpoint.server,
                        state_of_all(world)
                    )));
                }
                thread::sleep(PAUSE);
            }
        }
    }
    let millis = u64::try_from(begin.elapsed().as_millis()).expect("about a minute");
    shared.tally.healings.fetch_add(1, Relaxed);
    shared.tally.slowest_healing_ms.fetch_max(millis, Relaxed);
    Ok(())
}

/// Pauses the clients; waits until all servers have executed the same, compares their digests (`global_prefix`), and reads every
/// key in use through every server, into the key's history. Then the clients go on, with other keys.
pub(super) fn compare(world: &mut World, workers: &Workers) -> Result<(), Stop> {
    workers.pause();
    let end = Instant::now() + HEALED;
    let common = loop {
        let statuses: Result<Vec<Status>, _> =
            world.cluster.endpoints().iter().map(|endpoint| status(&mut http(endpoint))).collect();
        if let Ok(statuses) = &statuses {
            let common =
                compare_digests(statuses).map_err(|difference| Stop::Violation(difference.to_string()))?;
            if statuses.iter().all(|status| status.applied == statuses[0].applied) {
                break common;
            }
        }
        if Instant::now() > end {
            let what = format!(
                "progress_after_heal: the servers have not come to the same position in {HEALED:?} without clients; what \
                 they say:\n{}",
                state_of_all(world)
            );
            return Err(Stop::Violation(what));
        }
        thread::sleep(PAUSE);
    };
    world.compared = common;
    read_everywhere(workers, end)?;
    workers.resume();
    Ok(())
}

/// Reads every key in use through every server.
fn read_everywhere(workers: &Workers, end: Instant) -> Result<(), Stop> {
    let shared = &workers.shared;
    for key in shared.keys.retire() {
        for endpoint in &shared.endpoints {
            let mut connection = Connection::new(endpoint, false, PATIENCE);
            let client = shared.new_client();
            while !matches!(shared.operate(client, &mut connection, &key, &Input::Get), Outcome::Done(_)) {
                if Instant::now() > end {
                    let what = format!(
                        "progress_after_heal: server {} does not answer a strong read",
                        endpoint.server
                    );
                    return Err(Stop::Violation(what));
                }
                thread::sleep(PAUSE);
            }
        }
    }
    Ok(())
}

fn serves(endpoint: &Endpoint, is_http: bool) -> bool {
    let mut connection = Connection::new(endpoint, is_http, PATIENCE);
    let key = format!("alive-{}", endpoint.server);
    let set = Input::Set { value: 1, condition: Condition::Always };
    [set, Input::Get].iter().all(|input| matches!(connection.ask(&key, input), Outcome::Done(_)))
}

fn http(endpoint: &Endpoint) -> Http {
    Http::with_timeout(endpoint.http, PATIENCE)
}

/// What all servers say, twice: whether they stand still or are only slow decides where to look.
fn state_of_all(world: &World) -> String {
    let now = state_now(world);
    thread::sleep(BETWEEN_LOOKS);
    format!("{now}\n{BETWEEN_LOOKS:?} later:\n{}", state_now(world))
}

fn state_now(world: &World) -> String {
    let lines = world.cluster.endpoints().iter().map(|endpoint| {
        let page = http(endpoint).request("GET", "/status", &[], b"");
        format!(
            "server {}: {}",
            endpoint.server,
            page.map_or_else(|error| error.to_string(), |page| page.text())
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}
