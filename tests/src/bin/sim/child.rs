//! Simulations in a process of their own, so that one that ends it (an abort, a stack that overflows) or never ends is a failure
//! like any other.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use niagara_tests::say;
use niagara_tests::sim::{Failure, Outcome, Seed, run};

/// What a simulation breaks that takes its process with it.
pub const INVARIANT: &str = "the_process_lives";
/// A simulation takes a part of a second: one that takes so long never ends.
const PATIENCE: Duration = Duration::from_secs(300);

/// The child's side: seeds come over standard input, and outcomes go to standard output, a line each.
pub fn serve() -> ExitCode {
    for line in io::stdin().lines() {
        let Ok(line) = line else { return ExitCode::FAILURE };
        let Some(seed) = Seed::parse(&line) else { return ExitCode::FAILURE };
        say!("{}", Outcome::from(run(seed.plan(), false)).to_line());
    }
    ExitCode::SUCCESS
}

/// Somebody who simulates: a process, started when there is none.
#[derive(Default)]
pub struct Simulator(Option<Process>);

struct Process {
    child: Child,
    seeds: ChildStdin,
    outcomes: Receiver<io::Result<String>>,
}

impl Simulator {
    /// What a seed leads to. That its process ends is what is wrong with the seed then.
    pub fn simulate(&mut self, seed: Seed) -> io::Result<Outcome> {
        let process = match &mut self.0 {
            Some(process) => process,
            none => none.insert(Process::start()?),
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
        self.0 = None;
        let failure = Failure { invariant: INVARIANT.into(), what, at: 0 };
        Ok(Outcome { failure: Some(failure), ..Outcome::default() })
    }
}

impl Process {
    fn start() -> io::Result<Process> {
        let mut command = Command::new(std::env::current_exe()?);
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
