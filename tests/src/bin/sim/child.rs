//! Simulations in a process of their own, so that one that ends it (an abort, a stack that overflows) or never ends is a failure
//! like any other.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use niagara_tests::say;
use niagara_tests::sim::{Failure, Outcome, Plan, run};

/// What a simulation breaks that takes its process with it.
pub const INVARIANT: &str = "the_process_lives";
/// A simulation takes a part of a second: one that takes so long never ends.
const PATIENCE: Duration = Duration::from_secs(300);

/// The child's side: seeds come over standard input, and outcomes go to standard output, a line each.
pub fn serve() -> ExitCode {
    for line in io::stdin().lines() {
        let Ok(line) = line else { return ExitCode::FAILURE };
        let Ok(seed) = line.parse() else { return ExitCode::FAILURE };
        say!("{}", Outcome::from(run(Plan::of(seed), false)).to_line());
    }
    ExitCode::SUCCESS
}

/// Somebody who simulates: a process, started when there is none.
pub struct Simulator {
    program: PathBuf,
    process: Option<Process>,
}

struct Process {
    child: Child,
    seeds: ChildStdin,
    outcomes: Receiver<io::Result<String>>,
}

impl Simulator {
    /// One that runs this program over and over.
    pub fn of_this_program() -> io::Result<Simulator> {
        Ok(Simulator { program: std::env::current_exe()?, process: None })
    }

    /// What a seed leads to. That its process ends is what is wrong with the seed then.
    pub fn simulate(&mut self, seed: u64) -> io::Result<Outcome> {
        let process = match &mut self.process {
            Some(process) => process,
            none => none.insert(Process::start(&self.program)?),
        };
        // That it has ended is told by what it does not say.
        let _ = writeln!(process.seeds, "{seed}");
        let what = match process.outcomes.recv_timeout(PATIENCE) {
            Ok(line) => {
                let line = line?;
                match Outcome::of_line(&line) {
                    Some(outcome) => return Ok(outcome),
                    None => format!("the simulation says {line:?}"),
                }
            }
            Err(RecvTimeoutError::Timeout) => format!("the simulation goes on after {PATIENCE:?}"),
            Err(RecvTimeoutError::Disconnected) => {
                format!("the simulation ends its process: {}", process.child.wait()?)
            }
        };
        self.process = None;
        let failure = Failure { invariant: INVARIANT.into(), what, at: 0 };
        Ok(Outcome { failure: Some(failure), ..Outcome::default() })
    }
}

impl Process {
    fn start(program: &Path) -> io::Result<Process> {
        let mut command = Command::new(program);
        let mut child = command.arg("--serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (seeds, said) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let (sender, outcomes) = mpsc::channel();
        thread::spawn(move || BufReader::new(said).lines().try_for_each(|line| sender.send(line)));
        Ok(Process { child, seeds, outcomes })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, or nobody wants to know what it does.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a program makes of two seeds, one after the other.
    fn failures(program: &str) -> Vec<Option<String>> {
        let mut simulator = Simulator { program: program.into(), process: None };
        let outcomes = [1, 2].map(|seed| simulator.simulate(seed).unwrap());
        outcomes.map(|outcome| outcome.failure.map(|failure| failure.what)).into()
    }

    #[test]
    fn a_process_that_ends_is_a_failure_of_its_seed_and_another_one_goes_on() {
        let ended = Some("the simulation ends its process: exit status: 1".to_owned());
        assert_eq!(failures("false"), [ended.clone(), ended]);
    }

    #[test]
    fn so_is_what_is_no_outcome() {
        let said = failures("echo");
        assert_eq!(said[0].as_deref(), Some("the simulation says \"--serve\""));
    }
}
