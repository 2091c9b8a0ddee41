//! `ab`, ApacheBench, as a process where the clients are, and what its report says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use niagara_load::Failure;
use niagara_measure::find_program;
use niagara_namespaces::Namespaces;
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::experiment_run::ExperimentRun;

/// More requests than fit into any run that ends by time; `ab` sets memory aside for each.
const MANY: u32 = 1_000_000;

/// When a run ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// After so many requests.
    Requests(u32),
    /// After so many seconds.
    Seconds(u32),
}

/// What `ab` is to do: PUT the same body again and again.
#[derive(Clone, Debug)]
pub(super) struct Bench {
    pub url: String,
    pub clients: u32,
    pub keep_alive: bool,
    pub end: End,
}

/// What `ab` has measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct AbReport {
    pub seconds: f64,
    pub complete: u64,
    /// Requests without an answer, and answers of any other status than 2xx. For `ab` a connection that is closed without an
    /// answer is an empty answer, and these are empty anyway: so it tells what a server refuses, and not all of what a
    /// server that dies has left open.
    pub failed: u64,
    pub per_second: f64,
    /// Whole milliseconds: `ab` gives no more.
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub longest_ms: f64,
}

/// A running `ab`; killed when dropped.
pub(super) struct Running {
    client: Client,
    words: Vec<String>,
}

impl Bench {
    /// Starts it. The body is a file that [`write_body`] has made.
    pub fn start(&self, run: &ExperimentRun, network: &Namespaces, body: &Path) -> Result<Running, Failure> {
        let program = find_program("ab").unwrap_or_else(|| PathBuf::from("ab"));
        let words = self.words(body);
        let mut command = Command::new(program);
        command.args(&words);
        Ok(Running { client: Client::start(run, network, "ab", "txt", command)?, words })
    }

    /// Runs it to its end.
    pub fn run(&self, run: &ExperimentRun, network: &Namespaces, body: &Path) -> Result<AbReport, Failure> {
        self.start(run, network, body)?.finish(run)
    }

    fn words(&self, body: &Path) -> Vec<String> {
        // -r: a broken connection is counted, and does not end the run.
        let mut words = vec!["-q".to_owned(), "-r".into(), "-c".into(), self.clients.to_string()];
        words.extend(self.keep_alive.then(|| "-k".into()));
        match self.end {
            End::Requests(count) => words.extend(["-n".into(), count.to_string()]),
            // In this order: -t sets a number of requests of its own.
            End::Seconds(seconds) => {
                words.extend(["-t".into(), seconds.to_string(), "-n".into(), MANY.to_string()]);
            }
        }
        words.extend(["-u".into(), body.display().to_string(), "-T".into(), "text/plain".into()]);
        words.push(self.url.clone());
        words
    }
}

impl Running {
    /// Waits for its end, and reads its report.
    pub fn finish(self, run: &ExperimentRun) -> Result<AbReport, Failure> {
        let left = self.client.finish(run)?;
        let failed = |why: &str| Failure::new(format!("ab {} failed: {}", self.words.join(" "), why.trim()));
        if !left.status.success() {
            return Err(failed(&left.log));
        }
        AbReport::parse(&left.output).ok_or_else(|| failed("its report cannot be understood"))
    }
}

/// Writes the body of all requests into a directory.
pub(super) fn write_body(directory: &Path, bytes: usize) -> Result<PathBuf, Failure> {
    let path = directory.join("body");
    fs::write(&path, vec![b'v'; bytes])?;
    Ok(path)
}

impl AbReport {
    fn parse(text: &str) -> Option<AbReport> {
        let number = |name: &str| text.lines().find_map(|line| first_number(line.strip_prefix(name)?));
        let quantile =
            |name: &str| text.lines().find_map(|line| first_number(line.trim().strip_prefix(name)?));
        let failed = number("Failed requests:")? as u64;
        // Left out by `ab` when there are none. Most are counted as failures too, by the length of their bodies.
        let refused = number("Non-2xx responses:").unwrap_or(0.0) as u64;
        Some(AbReport {
            seconds: number("Time taken for tests:")?,
            complete: number("Complete requests:")? as u64,
            failed: failed.max(refused),
            per_second: number("Requests per second:")?,
            p50_ms: quantile("50%")?,
            p90_ms: quantile("90%")?,
            p99_ms: quantile("99%")?,
            longest_ms: quantile("100%")?,
        })
    }
}

fn first_number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_of_ab_are_understood() {
        let report = AbReport::parse(include_str!("samples/ab-keep-alive.txt")).unwrap();
        let expected = AbReport {
            seconds: 0.299,
            complete: 2000,
            failed: 0,
            per_second: 6683.67,
            p50_ms: 0.0,
            p90_ms: 1.0,
            p99_ms: 4.0,
            longest_ms: 5.0,
        };
        assert_eq!(report, expected);
    }

    #[test]
    fn refusals_are_failures_once() {
        let report = AbReport::parse(include_str!("samples/ab-failures.txt")).unwrap();
        assert_eq!((report.complete, report.failed, report.longest_ms), (500, 86, 23.0));
        let lengths_alike =
            include_str!("samples/ab-failures.txt").replace("requests:        86", "requests: 0");
        assert_eq!(AbReport::parse(&lengths_alike).unwrap().failed, 86);
    }

    #[test]
    fn a_run_that_was_cut_short_is_no_report() {
        assert_eq!(
            AbReport::parse("Benchmarking 10.78.0.1 (be patient)...apr_socket_recv: reset (104)\n"),
            None
        );
    }

    #[test]
    fn a_run_by_time_has_its_number_of_requests_behind_the_time() {
        let bench = Bench { url: "http://h/kv/k".into(), clients: 4, keep_alive: true, end: End::Seconds(5) };
        let words = bench.words(Path::new("/body")).join(" ");
        assert_eq!(words, "-q -r -c 4 -k -t 5 -n 1000000 -u /body -T text/plain http://h/kv/k");
    }
}
