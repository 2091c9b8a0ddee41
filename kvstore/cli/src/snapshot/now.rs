//! `niagara snapshot now`: makes servers take a snapshot, one after the other, and waits for each.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use niagara_client::{Endpoint, Request};
use niagara_engine::{SnapshotStatus, Status};
use serde::de::DeserializeOwned;

use super::NowArgs;
use super::watch::{Seen, Watch};
use crate::ask::{endpoints, refusal};
use crate::failure::Failure;
use crate::figures::size;
use crate::output::print;
use crate::progress::Progress;
use crate::table::grouped;

/// How often to ask the server.
const LOOK: Duration = Duration::from_millis(100);

/// A server that fails does not keep the others from theirs.
pub fn run(arguments: &NowArgs) -> Result<ExitCode, Failure> {
    let timeout = Duration::from_secs(arguments.cluster.timeout.into());
    let mut code = ExitCode::SUCCESS;
    for endpoint in endpoints(&arguments.cluster)? {
        match take_one(&endpoint, timeout) {
            Ok(line) => print(line)?,
            Err(failure) => code = failure.report(),
        }
    }
    Ok(code)
}

/// Makes one server take a snapshot. Returns the line to print.
fn take_one(endpoint: &Endpoint, timeout: Duration) -> Result<String, Failure> {
    let Status { server, snapshot: before, .. } = send(endpoint, &Request::get("/status"), 200, timeout)?;
    let start = Instant::now();
    let mut now: SnapshotStatus = send(endpoint, &Request::post("/snapshot"), 202, timeout)?;
    if now.asked == 0 {
        let what = format!(
            "server {server} at {endpoint}: it does not report the outcome of the requested snapshot"
        );
        return Err(Failure::new(
            what,
            "it runs an older release: `niagara status` shows the snapshot's position",
        ));
    }
    let watch = Watch::new(before, &now);
    let mut progress = Progress::new();
    // How long it has been waiting to start. Writing may take as long as it takes.
    let mut waiting_since = start;
    loop {
        let failed = |what: String, hint: &str| {
            Err(Failure::new(format!("server {server} at {endpoint}: {what}"), hint))
        };
        match watch.look(&now) {
            Seen::Done => return Ok(done(server, endpoint, &now, start.elapsed())),
            Seen::NothingNew => return Ok(nothing_new(server, endpoint, &now)),
            Seen::Failed => {
                let why = now.last_error.unwrap_or_else(|| "the server does not say why".into());
                return failed(
                    format!("the snapshot failed: {why}"),
                    "the server retries automatically, and keeps its logs until then",
                );
            }
            Seen::Restarted => {
                return failed("it restarted in the meantime".into(), "request the snapshot again");
            }
            Seen::Writing => {
                waiting_since = Instant::now();
                progress.show(|| format!("server {server}: {} written", size(now.written_bytes)));
            }
            Seen::Waiting if waiting_since.elapsed() > timeout => {
                return failed(
                    format!("the snapshot did not start within {} s", timeout.as_secs()),
                    "it starts at the end of a round of the global log: check with `niagara status` that all groups have \
                     leaders; it is still asked for",
                );
            }
            Seen::Waiting => progress.show(|| format!("server {server}: waiting for the end of a round")),
        }
        thread::sleep(LOOK);
        now = send::<Status>(endpoint, &Request::get("/status"), 200, timeout)?.snapshot;
    }
}

fn done(server: u64, endpoint: &Endpoint, now: &SnapshotStatus, elapsed: Duration) -> String {
    format!(
        "server {server} at {endpoint}: snapshot at position {}, {}, in {:.1} s\n",
        grouped(now.position),
        size(now.bytes),
        elapsed.as_secs_f64()
    )
}

fn nothing_new(server: u64, endpoint: &Endpoint, now: &SnapshotStatus) -> String {
    match now.position {
        0 => format!(
            "server {server} at {endpoint}: the store has never been written to, so there is nothing to save\n"
        ),
        position => format!(
            "server {server} at {endpoint}: nothing has changed since the snapshot at position {}, {}\n",
            grouped(position),
            size(now.bytes)
        ),
    }
}

/// Sends a request to one server, and reads the JSON that it answers.
fn send<T: DeserializeOwned>(
    endpoint: &Endpoint,
    request: &Request,
    status: u16,
    timeout: Duration,
) -> Result<T, Failure> {
    let response = endpoint.send(request, timeout).map_err(|trouble| {
        Failure::refused(
            format!("{endpoint}: {trouble}"),
            "check that the server is running; `niagara status` shows which are",
        )
    })?;
    if response.status != status {
        let failure = refusal(&response);
        let what = format!("{endpoint}: {}", failure.what);
        return Err(failure.in_words(what));
    }
    serde_json::from_slice(&response.body).map_err(|error| {
        let hint = "check that this is a Niagara server of the same version";
        Failure::new(format!("{endpoint}: cannot parse the answer: {error}"), hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_say_what_there_is() {
        let endpoint = "h:7000".parse().unwrap();
        let mut now = SnapshotStatus::default();
        assert_eq!(
            nothing_new(1, &endpoint, &now),
            "server 1 at http://h:7000: the store has never been written to, so there is nothing to save\n"
        );
        (now.position, now.bytes) = (1_024, 1 << 20);
        assert_eq!(
            nothing_new(1, &endpoint, &now),
            "server 1 at http://h:7000: nothing has changed since the snapshot at position 1,024, 1.0 MiB\n"
        );
        assert_eq!(
            done(1, &endpoint, &now, Duration::from_millis(1_230)),
            "server 1 at http://h:7000: snapshot at position 1,024, 1.0 MiB, in 1.2 s\n"
        );
    }
}
