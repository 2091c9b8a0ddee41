//! Divides the open files that the system grants a process.
//!
//! Each client takes one, and so does each link to another server and each file of a log. A server that
//! cannot open its log must end, while a client that comes too late is only turned away. So everything the
//! engine may need is set aside before clients get any.

use niagara_engine::Config;
use rustix::process::{Resource, getrlimit};

use crate::FrontEndConfig;
use crate::front::LEAST_CLIENTS;

/// Open files that come and go besides those that are counted.
const SPARE: u64 = 4;

/// Why a server with this configuration cannot run with the process's limit of open files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenFilesError {
    /// The limit is too low for the server itself and a few clients.
    #[error(
        "this process may have {limit} open files, but needs at least {needed}: {engine} for {groups} groups of {servers} \
         servers with their logs and snapshots, {front} for front ends, {open} already open or spare, and {clients} for \
         clients. Raise the limit (ulimit -n {needed} or more; LimitNOFILE with systemd), or configure fewer groups"
    )]
    TooFew {
        /// The process's limit.
        limit: u64,
        /// The least that would do.
        needed: u64,
        /// For the engine.
        engine: u64,
        /// The groups of its configuration.
        groups: u16,
        /// The servers of the cluster.
        servers: usize,
        /// For the front ends, without clients.
        front: u64,
        /// Already open, or set aside for what comes and goes.
        open: u64,
        /// The fewest clients.
        clients: usize,
    },
    /// The limit is too low for the configured number of clients.
    #[error(
        "max_connections is {wanted}, but this process may have {limit} open files, of which {left} are left for clients. \
         Lower it to {left}, or raise the limit (ulimit -n {needed} or more; LimitNOFILE with systemd)"
    )]
    TooManyClients {
        /// The configured number of clients.
        wanted: usize,
        /// The process's limit.
        limit: u64,
        /// What is left for clients.
        left: usize,
        /// The limit that would do.
        needed: u64,
    },
}

/// Sets aside what the server itself needs, and gives clients the rest: no more than configured, and no
/// fewer, unless nothing is configured.
pub(crate) fn share_out(engine: &Config, front: &FrontEndConfig) -> Result<usize, OpenFilesError> {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    share(limit, open_now() + SPARE, engine, front)
}

fn share(limit: u64, open: u64, config: &Config, front: &FrontEndConfig) -> Result<usize, OpenFilesError> {
    let (engine, others) = (config.open_files(), front.open_files());
    let own = engine + others + open;
    let left = usize::try_from(limit.saturating_sub(own)).unwrap_or(usize::MAX);
    if left < LEAST_CLIENTS {
        return Err(OpenFilesError::TooFew {
            limit,
            needed: own + LEAST_CLIENTS as u64,
            engine,
            groups: config.groups(),
            servers: config.members.len(),
            front: others,
            open,
            clients: LEAST_CLIENTS,
        });
    }
    let wanted = front.max_connections;
    let is_configured = wanted != FrontEndConfig::default().max_connections;
    if is_configured && wanted > left {
        let needed = own + wanted as u64;
        return Err(OpenFilesError::TooManyClients { wanted, limit, left, needed });
    }
    Ok(wanted.min(left))
}

/// The files that are open now. If the system does not tell, as many as a process starts with.
fn open_now() -> u64 {
    const STANDARD: u64 = 3;
    std::fs::read_dir("/proc/self/fd").map_or(STANDARD, |files| files.count() as u64)
}

#[cfg(test)]
mod tests {
    use niagara_engine::Member;

    use super::*;

    fn config(servers: u64, groups: usize) -> Config {
        let member = |server| Member {
            server,
            addresses: vec!["127.0.0.1:0".into(); groups],
            transfer: "127.0.0.1:0".into(),
        };
        Config::new(1, 1, (1..=servers).map(member).collect())
    }

    fn front(max_connections: usize) -> FrontEndConfig {
        FrontEndConfig { max_connections, threads: 2, ..FrontEndConfig::default() }
    }

    #[test]
    fn the_engine_comes_first_and_clients_get_the_rest() {
        let config = config(3, 2);
        let own = config.open_files() + front(1).open_files() + 10;
        assert_eq!(share(own + 100, 10, &config, &front(100)), Ok(100));
        assert_eq!(share(own + 100, 10, &config, &front(20)), Ok(20));
        let many = share(own + 100, 10, &config, &front(101)).unwrap_err();
        let needed = own + 101;
        assert_eq!(many, OpenFilesError::TooManyClients { wanted: 101, limit: own + 100, left: 100, needed });
        let few = share(own + LEAST_CLIENTS as u64 - 1, 10, &config, &front(1)).unwrap_err();
        assert!(few.to_string().contains(&format!("needs at least {}", own + LEAST_CLIENTS as u64)), "{few}");
    }

    #[test]
    fn what_is_not_configured_follows_from_the_limit() {
        let config = config(5, 16);
        let by_default = FrontEndConfig::default();
        let own = config.open_files() + by_default.open_files();
        assert_eq!(share(own + 9, 0, &config, &by_default), Ok(9));
        assert_eq!(share(u64::MAX, 0, &config, &by_default), Ok(by_default.max_connections));
    }

    #[test]
    fn more_groups_and_servers_need_more() {
        assert!(config(3, 4).open_files() > config(3, 2).open_files());
        assert!(config(5, 2).open_files() > config(3, 2).open_files());
    }
}
