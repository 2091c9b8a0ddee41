//! One server of an experiment's cluster, as a process of this program: the same server as `niagara serve`, which ends with the
//! process that started it.

use std::io;
use std::path::PathBuf;

use clap::Args;
use niagara_kvstore::config::ConfigFile;
use niagara_kvstore::server::Server;
use niagara_load::Failure;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing_subscriber::EnvFilter;

/// Options of the hidden subcommand.
#[derive(Args, Clone, Debug)]
pub struct ServerOptions {
    /// The server's configuration file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
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
    let file =
        ConfigFile::read(path).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
    let server = Server::start(file.server).map_err(|error| Failure::new(error.to_string()))?;
    server.client().register_metrics(niagara_logging::register);
    let ended = io::copy(&mut io::stdin().lock(), &mut io::sink());
    ended.map_err(Failure::io("cannot wait for the end of standard input"))?;
    server.stop();
    niagara_logging::flush();
    Ok(())
}
