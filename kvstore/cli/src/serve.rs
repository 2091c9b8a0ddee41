//! `niagara serve`: one server, until a signal ends it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::Args;
use niagara_client::Endpoint;
use niagara_engine::{Client, EngineState, ServerRole};
use niagara_kvstore::Kv;
use niagara_kvstore::config::{ConfigFile, ConfigFileError};
use niagara_kvstore::server::{Server, ServerConfig, ServerError};

use super::cluster_args::AccessArgs;
use super::failure::Failure;
use super::stop_signal::StopSignal;
use super::{audit, file_limit, follow, join, logs, manual, place, shell};

/// How long at most until a server that has been removed notices.
const LOOK: Duration = Duration::from_secs(60);

/// Run one server from its configuration file.
#[derive(Debug, Args)]
#[command(after_long_help = manual::SERVE)]
pub struct ServeArgs {
    /// The server's configuration file; `niagara new-cluster` writes one.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Join a running cluster: the HTTP addresses of some of its members. The server waits until `niagara member add` has
    /// added it. Once it has joined, the option has no effect.
    #[arg(long, value_name = "URL,...", value_delimiter = ',')]
    pub join: Vec<Endpoint>,
    /// Follow a running cluster without being a member: the HTTP addresses of some of its servers. This server executes what
    /// the members order, and answers reads. It stays a follower: the option has to be given at each start, or `role =
    /// "follower"` to be in the file.
    #[arg(long, value_name = "URL,...", value_delimiter = ',', conflicts_with = "join")]
    pub follow: Vec<Endpoint>,
    #[command(flatten, next_help_heading = "With --join and --follow")]
    pub access: AccessArgs,
    /// What to log to standard error: error, warn, info, debug, trace, or a list like
    /// `info,niagara_engine=debug` [default: the environment variable NIAGARA_LOG, else info].
    #[arg(long, value_name = "FILTER", value_parser = logs::parse_filter)]
    pub log: Option<String>,
}

pub fn run(arguments: &ServeArgs) -> Result<ExitCode, Failure> {
    logs::start(arguments.log.as_deref(), "info")?;
    file_limit::raise();
    let mut config = read(&arguments.config)?;
    // A server with certificates reads them again at SIGHUP.
    let mut stop = StopSignal::watch_for(config.front.tls.is_none() && config.peer_tls.is_none())?;
    let mut joining = None;
    // The authority that vouches for this server vouches for the others.
    let tls = config.front.tls.clone();
    let with_access = |endpoints: &[Endpoint]| -> Result<Vec<Endpoint>, Failure> {
        let access = arguments.access.read(tls.as_ref())?;
        Ok(endpoints.iter().map(|endpoint| endpoint.clone().with(&access)).collect())
    };
    if !arguments.follow.is_empty() {
        let servers = with_access(&arguments.follow)?;
        if !follow::look_up(&mut config.engine, &servers, &stop.flag())? {
            return Ok(ExitCode::SUCCESS);
        }
    }
    if config.engine.role == ServerRole::Follower {
        joining = Some(join::end_at_signal(stop.flag()));
    }
    if !arguments.join.is_empty() {
        let members = with_access(&arguments.join)?;
        let file = shell::path(&arguments.config);
        if !join::await_membership(&mut config, &members, &file, &stop.flag())? {
            return Ok(ExitCode::SUCCESS);
        }
        joining = Some(join::end_at_signal(stop.flag()));
    }
    let (id, durability) = (config.engine.server, config.engine.durability);
    let part = part(&config);
    let data_dir = config.engine.data_dir.clone();
    let server =
        Server::start(config).map_err(|error| not_started(id, &error, &data_dir, &arguments.config))?;
    drop(joining);
    let removed = stop_when_removed(server.client().clone());
    server.client().register_metrics(niagara_logging::register);
    tracing::info!(
        "server {id} serves: HTTP at {}, Redis at {}, {part}, data in {} ({durability})",
        ports(server.http_addr(), server.https_addr()),
        ports(server.redis_addr(), server.rediss_addr()),
        data_dir.display()
    );
    audit::act(&format!("start server {id} by {}", arguments.config.display()), None, "done");
    let signal = stop.wait_or_hear(|| {
        server.reload_certificates();
        audit::act("read certificates again (SIGHUP)", None, "asked for");
    });
    audit::act(&format!("stop server {id} ({signal})"), None, "asked for");
    tracing::info!(
        "server {id} is draining: it hands its groups over and refuses requests; a second signal ends it immediately"
    );
    server.drain_and_stop();
    match removed.get() {
        None => tracing::info!("server {id} has stopped cleanly"),
        Some(epoch) => tracing::info!(
            "server {id} has stopped: it was removed, and the cluster goes on without it since epoch {epoch}. Its data directory, {}, is \
             of no further use",
            data_dir.display()
        ),
    }
    Ok(ExitCode::SUCCESS)
}

/// Stops the server, as a signal does, when the cluster goes on without it. What is returned says since which epoch.
fn stop_when_removed(client: Client<Kv>) -> Arc<OnceLock<u32>> {
    let since = Arc::<OnceLock<u32>>::default();
    let removed = Arc::clone(&since);
    std::thread::spawn(move || {
        let mut watch = client.watch();
        loop {
            match watch.current().state {
                EngineState::Removed { epoch } => {
                    let _ = removed.set(epoch);
                    let raised = signal_hook::low_level::raise(signal_hook::consts::SIGTERM);
                    return raised
                        .unwrap_or_else(|error| tracing::error!(%error, "cannot stop: stop this server"));
                }
                EngineState::Stopped => return,
                _ => drop(watch.changed_timeout(LOOK)),
            }
        }
    });
    since
}

/// Where clients connect, with and without TLS. A port that is not opened is 0.
fn ports(plain: SocketAddr, tls: Option<SocketAddr>) -> String {
    match tls {
        None => plain.to_string(),
        Some(tls) if plain.port() == 0 => format!("{tls} (TLS)"),
        Some(tls) => format!("{plain} and {tls} (TLS)"),
    }
}

/// Why a server did not start, and which setting is involved.
fn not_started(id: u64, error: &ServerError, data_dir: &Path, config: &Path) -> Failure {
    let config = config.display();
    if let Some(setting) = error.setting() {
        let hint = match error.is_address_in_use() {
            true => "another program has that port: stop it (`ss -ltnp` shows which), or choose another port",
            false => "correct the address: it must belong to this machine",
        };
        let what = format!("server {id} cannot start: {error}\nthe address is {setting} in {config}");
        return Failure::new(what, hint);
    }
    let reason = error.system_error().and_then(|system| place::explain(data_dir, system));
    match reason {
        Some((reason, hint)) => {
            let what = format!(
                "server {id} cannot start: {error}\n`data_dir` in {config} is {}: {reason}",
                data_dir.display()
            );
            Failure::new(what, hint)
        }
        None => {
            let hint = format!("the data directory is {} (`data_dir` in {config})", data_dir.display());
            Failure::new(format!("server {id} cannot start: {error}"), hint)
        }
    }
}

/// Reads a server's configuration file. The failure names it.
pub fn read(path: &Path) -> Result<ServerConfig, Failure> {
    match ConfigFile::read(path) {
        Ok(file) => Ok(file.server),
        Err(error) => {
            let hint = "`niagara new-cluster` writes files that explain every setting";
            let what = match error {
                ConfigFileError::Read { .. } => error.to_string(),
                _ => format!("{}: {error}", path.display()),
            };
            Err(Failure::new(what, hint))
        }
    }
}

/// The server's part in its cluster.
fn part(config: &ServerConfig) -> String {
    let engine = &config.engine;
    if engine.role == ServerRole::Follower {
        let members: Vec<String> = engine.members.iter().map(|member| member.server.to_string()).collect();
        return format!("follows the servers {}", members.join(", "));
    }
    let own = engine.members.iter().find(|member| member.server == engine.server);
    let addresses = own.map(|member| member.addresses.join(" ")).unwrap_or_default();
    format!("{} groups at {addresses}", engine.groups())
}
