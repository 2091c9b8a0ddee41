//! The load generator as a process where the clients are.

use std::process::Command;

use niagara_load::Failure;
use niagara_namespaces::Namespaces;
use serde::de::DeserializeOwned;

use super::client::Client;
use super::experiment_run::ExperimentRun;

/// How this program calls the commands of `niagara-load`, which are its own, too: load generators are processes of it.
pub const LOAD: &str = "niagara-lab load";

/// A running `niagara-load`; killed when dropped.
pub(super) struct Generator {
    client: Client,
    command: String,
}

impl Generator {
    /// Starts `niagara-load` with these words after its name, and `--json`, among the clients of a network.
    pub fn start(run: &ExperimentRun, network: &Namespaces, words: &[&str]) -> Result<Generator, Failure> {
        let program = std::env::current_exe().map_err(Failure::io("cannot find this program's own file"))?;
        let mut command = Command::new(program);
        command.arg("load").args(words).arg("--json");
        let client = Client::start(run, network, "load", "json", command)?;
        Ok(Generator { client, command: format!("niagara-load {}", words.join(" ")) })
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.client.process()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> Result<bool, Failure> {
        self.client.has_ended()
    }

    /// Waits for its end, and reads its report, also when a check of its has failed.
    pub fn finish<T: DeserializeOwned>(self, run: &ExperimentRun) -> Result<T, Failure> {
        let left = self.client.finish(run)?;
        serde_json::from_str(&left.output)
            .map_err(|_| Failure::new(format!("{} failed: {}", self.command, left.log.trim())))
    }
}
