//! `niagara snapshot import`: loads all keys and values of a snapshot or an export into a running cluster
//! with any number of groups.

use std::process::ExitCode;
use std::time::Instant;

use niagara_client::redis::{Address, Connection};

use super::ImportArgs;
use super::loader::{Loaded, Loader, key_count};
use super::rows::Described;
use super::source::Source;
use crate::failure::Failure;
use crate::figures::size;
use crate::output::print;
use crate::progress::Progress;
use crate::serve;
use crate::table::grouped;

pub fn run(arguments: &ImportArgs) -> Result<ExitCode, Failure> {
    let source = Source::open(&arguments.file)?;
    let mut connection = connect(arguments)?;
    let there = if arguments.merge { 0 } else { key_count(&mut connection)? };
    if there > 0 {
        let what = format!("the cluster is not empty: it has {} keys", grouped(there));
        return Err(Failure::new(
            what,
            "import into a new cluster, or use --merge: it overwrites existing keys of the same name and keeps the others",
        ));
    }
    let start = Instant::now();
    let mut loader = Loader::new(connection);
    let mut progress = Progress::new();
    let mut ended_by_server = false;
    let read = source.each_pair(&mut |kept| {
        loader.add(Described::new(kept)).inspect_err(|_| ended_by_server = true)?;
        progress.show(|| report(loader.loaded(), start));
        Ok(())
    });
    match read {
        Err(failure) if !ended_by_server => return Err(ended_by_source(failure, loader.loaded())),
        read => read?,
    }
    let loaded = loader.finish()?;
    drop(progress);
    print(report(loaded, start) + "\n")?;
    Ok(ExitCode::SUCCESS)
}

/// The input is unusable from some place on. Adds how much of it is loaded to the failure.
fn ended_by_source(failure: Failure, loaded: Loaded) -> Failure {
    let what = format!("{}; {} keys were acknowledged before", failure.what, grouped(loaded.keys));
    failure.in_words(what)
}

fn connect(arguments: &ImportArgs) -> Result<Connection, Failure> {
    let (address, access) = match (&arguments.at, &arguments.config) {
        (Some(address), _) => (address.clone(), arguments.access.read(None)?),
        (None, Some(path)) => {
            let front = serve::read(path)?.front;
            let encrypted =
                front.tls.as_ref().filter(|tls| tls.only).map(|tls| format!("rediss://{}", tls.redis));
            let address = encrypted.unwrap_or_else(|| front.redis.to_string());
            let address: Address = address.parse().expect("it has a host and a port");
            (address, arguments.access.read(front.tls.as_ref())?)
        }
        (None, None) => unreachable!("the command line has one of them"),
    };
    Connection::open_at(&address, &access).map_err(|why| {
        let hint = "check that the server is running and that this is its Redis address, which it logs when it starts";
        Failure::refused(format!("cannot load through {address}: {why}"), hint)
    })
}

fn report(loaded: Loaded, start: Instant) -> String {
    let seconds = start.elapsed().as_secs_f64();
    format!(
        "{} keys, {}, in {seconds:.1} s: {} keys/s",
        grouped(loaded.keys),
        size(loaded.bytes),
        grouped((loaded.keys as f64 / seconds.max(1e-3)) as u64)
    )
}
