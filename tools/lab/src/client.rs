//! A program where the clients are.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use niagara_load::Failure;
use niagara_measure::GuardedChild;
use niagara_namespaces::{Host, Namespaces};

use super::experiment_run::ExperimentRun;

/// How often an end is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// A running program, whose output stays with the run's raw data; killed when dropped.
pub(super) struct Client {
    child: GuardedChild,
    output: PathBuf,
    log: PathBuf,
}

/// What a program has left.
pub(super) struct Left {
    pub status: ExitStatus,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub log: String,
}

impl Client {
    /// Starts a command among the clients of a network. What it prints goes to files of this name, with a number, and of this
    /// ending.
    pub fn start(
        run: &ExperimentRun,
        network: &Namespaces,
        name: &str,
        ending: &str,
        mut command: Command,
    ) -> Result<Client, Failure> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Relaxed);
        let open = |ending: &str| -> Result<(PathBuf, File), Failure> {
            let path = run.directory().join("raw").join(format!("{name}-{number}.{ending}"));
            let file =
                File::create(&path).map_err(Failure::io(format!("cannot write {}", path.display())))?;
            Ok((path, file))
        };
        let ((output, stdout), (log, stderr)) = (open(ending)?, open("log")?);
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let spawn = || command.spawn().map_err(Failure::io(format!("cannot start {name}")));
        Ok(Client { child: network.inside(Host::Clients, spawn)??.into(), output, log })
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> Result<bool, Failure> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Waits for its end.
    pub fn finish(mut self, run: &ExperimentRun) -> Result<Left, Failure> {
        while !self.has_ended()? {
            run.sleep(LOOK)?;
        }
        let (output, log) = (fs::read_to_string(&self.output)?, fs::read_to_string(&self.log)?);
        Ok(Left { status: self.child.wait()?, output, log })
    }
}
