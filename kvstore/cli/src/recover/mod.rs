//! `niagara recover`: a new cluster out of what is left of one that has lost its majority.

mod report;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use niagara_engine::{Config, Found, Recovery, RecoveryError};
use niagara_kvstore::Kv;

use self::report::{json, text};
use super::failure::Failure;
use super::output::print;
use super::progress::Progress;
use super::table::grouped;
use super::{audit, logs, manual, serve, shell, style};

/// Make a new cluster out of what is left of one that has lost its majority for good.
#[derive(Debug, Args)]
#[command(after_long_help = manual::RECOVER)]
pub struct RecoverArgs {
    /// The data directory of a server of the lost cluster. Give each that is left; none of their servers may run.
    #[arg(long, value_name = "DIR", required = true)]
    pub from: Vec<PathBuf>,
    /// The configuration file of a server of the new cluster, whose data directory is made; give each of them. Without it,
    /// only say what is there.
    #[arg(long, value_name = "FILE")]
    pub into: Vec<PathBuf>,
    /// Go ahead although writes that the lost cluster acknowledged may be missing.
    #[arg(long, requires = "into")]
    pub accept_loss: bool,
    /// Print what was found as JSON.
    #[arg(long)]
    pub json: bool,
}

pub fn run(arguments: &RecoverArgs) -> Result<ExitCode, Failure> {
    logs::start(None, "error")?;
    check_named_once(&arguments.into)?;
    let into = arguments.into.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>()?;
    check_all_named(&into)?;
    let recovery = Recovery::open(&arguments.from).map_err(|error| failure(&error))?;
    let found = recovery.found();
    if into.is_empty() {
        print(shown(found, None, arguments.json))?;
        return Ok(ExitCode::SUCCESS);
    }
    if !found.is_complete() && !arguments.accept_loss {
        print(shown(found, None, arguments.json))?;
        return Err(Failure::new(
            "nothing was made: writes that the lost cluster acknowledged may be missing",
            "add the directories of other servers with --from, or accept the loss with --accept-loss",
        ));
    }
    let state = Kv::of_cluster(found.cluster)
        .map_err(|error| Failure::new(format!("cannot start a thread for the state: {error}"), ""))?;
    let mut progress = Progress::new();
    let position = recovery.run(&into, state, &mut |applied| {
        progress.show(|| format!("executed up to position {}", grouped(applied.get())));
    });
    drop(progress);
    let made = format!("recover a cluster from {} into {}", names(&arguments.from), names(&arguments.into));
    let position = position.map_err(|error| {
        audit::act(&made, None, &format!("failed: {error}"));
        failure(&error)
    })?;
    let outcome = if found.is_complete() { "done" } else { "done; acknowledged writes may be missing" };
    audit::act(&made, Some(position.get()), outcome);
    print(shown(found, Some(position.get()), arguments.json))?;
    if !arguments.json {
        print(next_steps(&arguments.into))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses a configuration file that is named twice, also by different names.
fn check_named_once(files: &[PathBuf]) -> Result<(), Failure> {
    let mut named = HashSet::new();
    let twice = files.iter().find(|file| file.canonicalize().is_ok_and(|file| !named.insert(file)));
    let refused = |file: &PathBuf| {
        Err(Failure::usage(format!("{} is given twice", file.display()), "name each configuration file once"))
    };
    twice.map_or(Ok(()), refused)
}

/// Refuses to make the directories of some servers only: the others would begin an empty cluster.
fn check_all_named(into: &[Config]) -> Result<(), Failure> {
    let Some(first) = into.first() else { return Ok(()) };
    let missing = first.members.iter().map(|member| member.server);
    let missing: Vec<String> = missing
        .filter(|server| into.iter().all(|config| config.server != *server))
        .map(|server| server.to_string())
        .collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(Failure::usage(
            format!("--into lacks the file of server {}, a member of the new cluster", missing.join(", ")),
            "name the file of each member: one that starts on an empty directory would begin an empty cluster",
        )),
    }
}

fn names(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn shown(found: &Found, position: Option<u64>, as_json: bool) -> String {
    if as_json { json(found, position) } else { text(found, position, style::for_stdout()) }
}

fn read(file: &Path) -> Result<Config, Failure> {
    Ok(serve::read(file)?.engine)
}

fn next_steps(files: &[PathBuf]) -> String {
    let commands = files.iter().map(|file| format!("  niagara serve --config {}\n", shell::path(file)));
    format!(
        "\nTake each new data directory to its server before you start it there. Never start a server of the lost cluster \
         again.\n{}",
        commands.collect::<String>()
    )
}

fn failure(error: &RecoveryError) -> Failure {
    let hint = match error {
        RecoveryError::NotEmpty(_) | RecoveryError::Unfit(_) | RecoveryError::Config(_) => {
            "`niagara new-cluster` writes the files of a new cluster"
        }
        RecoveryError::GivenTwice { .. } => return Failure::usage(error, "name each data directory once"),
        RecoveryError::SameServer { .. } => "give one data directory of each server",
        RecoveryError::HasNoLogs { .. } => "give the data directories of servers that are or were members",
        RecoveryError::Missing(_) | RecoveryError::NotADataDirectory(_) | RecoveryError::Differ { .. } => {
            "give the data directories of servers of one cluster, `data_dir` in their configuration files"
        }
        RecoveryError::OutOfReach { .. } | RecoveryError::Empty => "nothing was made",
        _ => "nothing was made; correct this, and try again",
    };
    Failure::new(error, hint)
}

#[cfg(test)]
mod tests {
    use niagara_engine::Member;

    use super::*;

    #[test]
    fn the_file_of_each_member_is_needed() {
        let member = |server| Member { server, addresses: vec!["h:1".into()], transfer: "h:2".into() };
        let config = |server| Config::new(1, server, (1..=3).map(member).collect());
        assert!(check_all_named(&[]).is_ok(), "nothing is to be made");
        assert!(check_all_named(&[config(1), config(2), config(3)]).is_ok());
        let failure = check_all_named(&[config(2)]).unwrap_err();
        assert!(failure.what.contains("the file of server 1, 3"), "{failure:?}");
    }
}
