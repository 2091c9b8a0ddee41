//! The command line that repeats a run, and what options do not go together.

use std::fmt::Display;

use super::keys::{Distribution, least_key_bytes};
use super::options::{
    CounterOptions, EmbeddedOptions, KvOptions, LoadOptions, PaceOptions, ReadConsistency, TargetOptions,
    WorkloadOptions, WriteOptions,
};
use crate::failure::Failure;

/// Words of a command line: options that differ from their defaults.
struct Words(String);

impl Words {
    fn option<V: Display + PartialEq>(&mut self, name: &str, value: &V, default: &V) {
        if value != default {
            self.0 += &format!(" --{name} {value}");
        }
    }

    fn given<V: Display>(&mut self, name: &str, value: Option<V>) {
        if let Some(value) = value {
            self.0 += &format!(" --{name} {value}");
        }
    }

    fn flag(&mut self, name: &str, set: bool) {
        if set {
            self.0 += &format!(" --{name}");
        }
    }
}

impl LoadOptions {
    /// The command line that repeats a run with these options.
    pub fn command_line(&self) -> String {
        self.command_line_of(self.workload.name())
    }

    /// The same for another subcommand.
    pub(super) fn command_line_of(&self, task: &str) -> String {
        let mut words = Words(format!("niagara-load {task}"));
        self.target.say(&mut words);
        self.pace.say(&mut words);
        match &self.workload {
            WorkloadOptions::Kv(kv) => kv.say(&mut words),
            WorkloadOptions::Write(write) => {
                words.option("payload", &write.payload, &WriteOptions::default().payload);
            }
            WorkloadOptions::Counter(counter) => {
                words.option("counters", &counter.counters, &CounterOptions::default().counters);
            }
            WorkloadOptions::Chain(_) => {}
        }
        words.0
    }

    /// Whether the options go together, other than what the command line has seen to already.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let target = self.target.name();
        let fail = |text: String| Err(Failure::new(text));
        // The command line cannot see to it: clap asks for no option that conflicts with one that is given.
        if target != "embedded" && self.target.servers.differ() {
            return fail(
                "--groups, --durability and --data-dir are for --embedded: other servers have them already"
                    .into(),
            );
        }
        if self.pace.no_keep_alive && target != "http" {
            return fail("--no-keep-alive is for --http".into());
        }
        if self.pace.no_keep_alive && self.pace.pipeline > 1 {
            return fail(
                "--no-keep-alive leaves no room for --pipeline: a connection serves one request".into(),
            );
        }
        match &self.workload {
            WorkloadOptions::Kv(kv) => kv.check(target),
            WorkloadOptions::Counter(_) if target == "http" => {
                fail("HTTP has no increment: drive the counters with --redis or --embedded".into())
            }
            _ => Ok(()),
        }
    }
}

impl TargetOptions {
    /// `http`, `redis` or `embedded`.
    pub fn name(&self) -> &'static str {
        match (self.embedded, self.http.is_empty()) {
            (true, _) => "embedded",
            (false, false) => "http",
            (false, true) => "redis",
        }
    }

    fn say(&self, words: &mut Words) {
        words.given("http", (!self.http.is_empty()).then(|| self.http.join(",")));
        words.given("redis", (!self.redis.is_empty()).then(|| self.redis.join(",")));
        words.flag("embedded", self.embedded);
        let default = EmbeddedOptions::default();
        words.option("groups", &self.servers.groups, &default.groups);
        words.option("durability", &self.servers.durability.name(), &default.durability.name());
        words.given("data-dir", self.servers.data_dir.as_ref().map(|dir| dir.display()));
    }
}

impl EmbeddedOptions {
    /// Whether anything differs from the defaults.
    fn differ(&self) -> bool {
        let default = EmbeddedOptions::default();
        self.groups != default.groups || self.durability != default.durability || self.data_dir.is_some()
    }
}

impl PaceOptions {
    fn say(&self, words: &mut Words) {
        let default = PaceOptions::default();
        words.option("connections", &self.connections, &default.connections);
        words.option("pipeline", &self.pipeline, &default.pipeline);
        words.given("rate", self.rate);
        words.flag("poisson", self.poisson);
        words.option("warm-up", &self.warm_up, &default.warm_up);
        words.option("seconds", &self.seconds, &default.seconds);
        words.option("threads", &self.threads, &default.threads);
        words.option("seed", &self.seed, &default.seed);
        words.option("interval-ms", &self.interval_ms, &default.interval_ms);
        words.flag("no-keep-alive", self.no_keep_alive);
        words.option("timeout-ms", &self.timeout_ms, &default.timeout_ms);
    }
}

impl KvOptions {
    fn say(&self, words: &mut Words) {
        let default = KvOptions::default();
        words.option("reads", &self.reads, &default.reads);
        words.option("keys", &self.keys, &default.keys);
        words.option("key-bytes", &self.key_bytes, &default.key_bytes);
        words.option("value-bytes", &self.value_bytes, &default.value_bytes);
        words.option("distribution", &self.distribution, &Distribution::Uniform);
        words.option("consistency", &self.consistency.name(), &default.consistency.name());
        words.flag("fill", self.fill);
        words.given("wait", self.wait);
    }

    fn check(&self, target: &str) -> Result<(), Failure> {
        let least = least_key_bytes(self.keys);
        if self.key_bytes < least {
            let keys = self.keys;
            return Err(Failure::new(format!(
                "{keys} keys need names of {least} bytes: give --key-bytes {least}"
            )));
        }
        if self.wait.is_some() && target != "redis" {
            return Err(Failure::new("--wait is for --redis: it sends WAIT"));
        }
        if self.consistency == ReadConsistency::AtLeast && target == "redis" {
            return Err(Failure::new(
                "the Redis protocol has no positions, so no at-least reads: use --http, or another --consistency",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::options::ChainOptions;

    fn options(workload: WorkloadOptions) -> LoadOptions {
        let target = TargetOptions { redis: vec!["a:1".into(), "b:2".into()], ..TargetOptions::default() };
        LoadOptions { target, pace: PaceOptions::default(), workload }
    }

    #[test]
    fn what_differs_from_the_defaults_is_said() {
        let mut chain = options(WorkloadOptions::Chain(ChainOptions::default()));
        assert_eq!(chain.command_line(), "niagara-load chain --redis a:1,b:2");
        chain.pace = PaceOptions { rate: Some(2.5), poisson: true, seed: 7, ..chain.pace };
        chain.target = TargetOptions { embedded: true, ..TargetOptions::default() };
        chain.target.servers.groups = 4;
        assert_eq!(
            chain.command_line(),
            "niagara-load chain --embedded --groups 4 --rate 2.5 --poisson --seed 7"
        );
        let kv = KvOptions { reads: 1.0, fill: true, wait: Some(2), ..KvOptions::default() };
        let kv = options(WorkloadOptions::Kv(KvOptions {
            distribution: Distribution::Zipf { theta: 0.99 },
            ..kv
        }));
        assert_eq!(
            kv.command_line(),
            "niagara-load kv --redis a:1,b:2 --reads 1 --distribution zipf:0.99 --fill --wait 2"
        );
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let refused = |options: LoadOptions| options.check().unwrap_err().to_string();
        let kv = |change: fn(&mut KvOptions)| {
            let mut kv = KvOptions::default();
            change(&mut kv);
            options(WorkloadOptions::Kv(kv))
        };
        assert!(refused(kv(|kv| kv.consistency = ReadConsistency::AtLeast)).contains("--http"));
        assert!(refused(kv(|kv| kv.key_bytes = 5)).contains("--key-bytes 6"));
        let mut counter = options(WorkloadOptions::Counter(CounterOptions::default()));
        assert!(counter.check().is_ok());
        counter.target = TargetOptions { http: vec!["http://a:1".into()], ..TargetOptions::default() };
        assert!(refused(counter).contains("no increment"));
        let mut closing = kv(|_| {});
        closing.pace.no_keep_alive = true;
        assert!(refused(closing).contains("--http"));
    }
}
