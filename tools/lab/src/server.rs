//! One server of an experiment's cluster, as a process of this program: the same server as `niagara serve`, which ends with the
//! process that started it.

use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use clap::Args;
use niagara_client::{Endpoint, Request};
use niagara_engine::{EpochView, Listeners, ProbeResponder};
use niagara_kvstore::config::ConfigFile;
use niagara_kvstore::server::{Server, ServerConfig};
use niagara_load::Failure;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing_subscriber::EnvFilter;

/// A member answers within this time, or is asked again.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);
const ASKS_AGAIN: Duration = Duration::from_millis(50);

/// Options of the hidden subcommand.
#[derive(Args, Clone, Debug)]
pub struct ServerOptions {
    /// The server's configuration file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// A member of the cluster that the server is to join
    #[arg(long, value_name = "URL")]
    pub join: Option<Endpoint>,
}

/// Serves until standard input ends, as it does when the parent process does.
///
/// # Errors
/// When the configuration cannot be read, or the server does not start.
pub fn serve(options: &ServerOptions) -> Result<(), Failure> {
    niagara_logging::end_on_any_panic();
    niagara_logging::start(EnvFilter::new("info")).map_err(Failure::io("cannot start the log"))?;
    let limit = getrlimit(Resource::Nofile);
    // Where it does not work the lower limit stands, and the front ends keep to that.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let path = &options.config;
    let mut file =
        ConfigFile::read(path).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
    if let Some(member) = &options.join {
        await_membership(&mut file.server, member)?;
    }
    let server = Server::start(file.server).map_err(|error| Failure::new(error.to_string()))?;
    server.client().register_metrics(niagara_logging::register);
    let ended = io::copy(&mut io::stdin().lock(), &mut io::sink());
    ended.map_err(Failure::io("cannot wait for the end of standard input"))?;
    server.stop();
    niagara_logging::flush();
    Ok(())
}

/// Listens, and waits until the server is a member.
fn await_membership(server: &mut ServerConfig, member: &Endpoint) -> Result<(), Failure> {
    let config = &mut server.engine;
    let own = config.members.iter().find(|member| member.server == config.server).expect("its file lists it");
    let addresses = [&own.transfer].into_iter().chain(&own.addresses);
    let listeners = addresses.map(TcpListener::bind).collect::<io::Result<Vec<_>>>();
    config.listeners = Listeners::new(listeners.map_err(Failure::io("cannot listen"))?);
    let engine = server.engine_config().map_err(|error| Failure::new(error.to_string()))?;
    let _responder = ProbeResponder::start(&engine).map_err(Failure::io("cannot answer members"))?;
    let config = &mut server.engine;
    loop {
        let answer = member.send(&Request::get("/members"), ANSWERS_WITHIN);
        let epoch = answer.ok().and_then(|answer| serde_json::from_slice::<EpochView>(&answer.body).ok());
        if let Some(epoch) = epoch.filter(|epoch| epoch.members.contains(&config.server)) {
            config.join = Some(epoch);
            return Ok(());
        }
        thread::sleep(ASKS_AGAIN);
    }
}
