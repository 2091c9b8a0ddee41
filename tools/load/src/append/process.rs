//! A server process as its parent sees it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, ChildStdout, Stdio};

use niagara_measure::GuardedChild;

use super::assignment::{Assignment, Request};
use super::reading::Reading;
use super::route::Route;
use crate::failure::Failure;

/// A running server; killed when dropped.
pub(super) struct ServerProcess {
    number: u64,
    child: GuardedChild,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl ServerProcess {
    /// Starts this binary again, as one server of the cluster.
    pub fn start(assignment: &Assignment, route: &Route) -> Result<ServerProcess, Failure> {
        let number = assignment.server;
        let failed = |what: &str| format!("server {number}: cannot {what}");
        let mut child = route
            .command()
            .map_err(Failure::io(failed("find this program's own file")))?
            // Ctrl-C is for the parent: a server ends with its standard input.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Failure::io(failed("start it")))?;
        let requests = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        let child = GuardedChild::from(child);
        let mut server = ServerProcess { number, child, requests, answers };
        server.write(assignment)?;
        Ok(server)
    }

    /// The process's number.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    fn write(&mut self, line: &impl serde::Serialize) -> Result<(), Failure> {
        let line = serde_json::to_string(line).expect("requests are plain data");
        let written = writeln!(self.requests, "{line}").and_then(|()| self.requests.flush());
        written.map_err(|_| self.gone())
    }

    /// Asks, without waiting for the answer.
    pub fn ask(&mut self, request: Request) -> Result<(), Failure> {
        self.write(&request)
    }

    /// Waits for the answer to the oldest request that has none.
    pub fn answer(&mut self) -> Result<Reading, Failure> {
        let mut line = String::new();
        match self.answers.read_line(&mut line) {
            Ok(count) if count > 0 => serde_json::from_str(&line)
                .map_err(|error| Failure::new(format!("server {}: a broken answer: {error}", self.number))),
            _ => Err(self.gone()),
        }
    }

    fn gone(&mut self) -> Failure {
        let how = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        Failure::new(format!("server {} has ended ({how}); what it printed is above", self.number))
    }
}
