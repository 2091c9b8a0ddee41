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

/// Writes over HTTP whose timeline shows what happens meanwhile.
pub(super) struct Writes<'a> {
    /// The servers' URLs, separated by commas.
    pub http: &'a str,
    /// Writes per second; none for as many as the connections do one after the other.
    pub rate: Option<u32>,
    pub connections: u32,
    /// Step of the timeline, in milliseconds.
    pub step_ms: u64,
    pub warm_up_seconds: f64,
    pub seconds: f64,
}

impl Writes<'_> {
    /// Starts them.
    pub fn start(&self, run: &ExperimentRun, network: &Namespaces) -> Result<Generator, Failure> {
        let rate = self.rate.map(|rate| ("--rate", rate.to_string()));
        let options = [
            ("--http", self.http.to_owned()),
            ("--reads", "0".to_owned()),
            ("--connections", self.connections.to_string()),
            ("--interval-ms", self.step_ms.to_string()),
            ("--warm-up", self.warm_up_seconds.to_string()),
            ("--seconds", self.seconds.to_string()),
        ];
        let options: Vec<(&str, String)> = options.into_iter().chain(rate).collect();
        let words = options.iter().flat_map(|(name, value)| [*name, value]);
        Generator::start(run, network, &["kv"].into_iter().chain(words).collect::<Vec<_>>())
    }
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
