//! The load generator as a process where the clients are.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::run::Run;
use crate::failure::Failure;
use crate::network::{Host, Namespaces};

/// How often an end is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// A running `niagara-load`; killed when dropped.
pub(super) struct Generator {
    child: Child,
    output: PathBuf,
    command: String,
}

impl Generator {
    /// Starts `niagara-load` with these words after its name, and `--json`, among the clients of a network.
    pub fn start(run: &Run, network: &Namespaces, words: &[&str]) -> Result<Generator, Failure> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let program = std::env::current_exe().map_err(Failure::io("cannot find this program's own file"))?;
        let name = format!("load-{}", NUMBER.fetch_add(1, Relaxed));
        let open = |ending: &str| -> Result<(PathBuf, File), Failure> {
            let path = run.directory().join("raw").join(format!("{name}.{ending}"));
            let file =
                File::create(&path).map_err(Failure::io(format!("cannot write {}", path.display())))?;
            Ok((path, file))
        };
        let ((output, stdout), (_, stderr)) = (open("json")?, open("log")?);
        let arguments = ["load"].iter().chain(words).chain(&["--json"]).map(OsString::from);
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let child = network.inside(Host::Clients, || command.spawn())??;
        Ok(Generator { child, output, command: format!("niagara-load {}", words.join(" ")) })
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> Result<bool, Failure> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Waits for its end, and reads its report, also when a check of its has failed.
    pub fn finish<T: DeserializeOwned>(mut self, run: &Run) -> Result<T, Failure> {
        while !self.has_ended()? {
            run.sleep(LOOK)?;
        }
        let text = fs::read_to_string(&self.output)?;
        serde_json::from_str(&text).map_err(|_| {
            let log = fs::read_to_string(self.output.with_extension("log")).unwrap_or_default();
            Failure::new(format!("{} failed: {}", self.command, log.trim()))
        })
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
