//! Servers with two groups on one address.

use std::path::Path;

use niagara_engine::internals::example::Counter;
use niagara_engine::{Config, Durability, Engine, Member};

pub fn start(config: &Config) -> Engine<Counter> {
    Engine::start(config.clone(), Counter::default()).unwrap()
}

/// Servers with ids from 1.
pub fn configs(servers: u16, durability: Durability, dir: &Path) -> Vec<Config> {
    let mut configs = Config::local(servers, 1).unwrap();
    configs.iter_mut().for_each(|config| fit(config, durability, dir));
    configs
}

/// A server that is to join a cluster, whose sockets listen already.
#[allow(dead_code, reason = "not every test lets one come")]
pub fn newcomer_config(server: u64, cluster: u128) -> Config {
    let alone = Config::local(1, 1).unwrap().remove(0);
    let members = alone.members.into_iter().map(|member| Member { server, ..member }).collect();
    let mut config = Config::new(cluster, server, members);
    config.listeners = alone.listeners;
    config
}

pub fn fit(config: &mut Config, durability: Durability, dir: &Path) {
    config.groups = Some(2);
    config.durability = durability;
    config.data_dir = dir.join(config.server.to_string());
    config.segment_bytes = 1 << 20;
}
