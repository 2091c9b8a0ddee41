//! `niagara serve`: one server, until a signal ends it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use niagara_kvstore::config::{ConfigFile, ConfigFileError};
use niagara_kvstore::server::{Server, ServerConfig, ServerError};

use super::failure::Failure;
use super::stop_signal::StopSignal;
use super::{audit, file_limit, logs, manual, place};

/// Run one server from its configuration file.
#[derive(Debug, Args)]
#[command(after_long_help = manual::SERVE)]
pub struct ServeArgs {
    /// The server's configuration file; `niagara new-cluster` writes one.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// What to log to standard error: error, warn, info, debug, trace, or a list like
    /// `info,niagara_engine=debug` [default: the environment variable NIAGARA_LOG, else info].
    #[arg(long, value_name = "FILTER", value_parser = logs::parse_filter)]
    pub log: Option<String>,
}

pub fn run(arguments: &ServeArgs) -> Result<ExitCode, Failure> {
    logs::start(arguments.log.as_deref(), "info")?;
    file_limit::raise();
    let config = read(&arguments.config)?;
    // A server with certificates reads them again at SIGHUP.
    let mut stop = StopSignal::watch_for(config.front.tls.is_none() && config.peer_tls.is_none())?;
    let (id, groups, durability) = (config.engine.server, config.engine.groups(), config.engine.durability);
    let links = own_addresses(&config);
    let data_dir = config.engine.data_dir.clone();
    let server =
        Server::start(config).map_err(|error| not_started(id, &error, &data_dir, &arguments.config))?;
    server.client().register_metrics(niagara_logging::register);
    tracing::info!(
        "server {id} serves: HTTP at {}, Redis at {}, {groups} groups at {links}, data in {} ({durability})",
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
    tracing::info!("server {id} has stopped cleanly");
    Ok(ExitCode::SUCCESS)
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
            let hint = "``niagara new-cluster` writes files that explain every setting";
            let what = match error {
                ConfigFileError::Read { .. } => error.to_string(),
                _ => format!("{}: {error}", path.display()),
            };
            Err(Failure::new(what, hint))
        }
    }
}

fn own_addresses(config: &ServerConfig) -> String {
    let own = config.engine.members.iter().find(|member| member.server == config.engine.server);
    own.map(|member| member.addresses.join(" ")).unwrap_or_default()
}
