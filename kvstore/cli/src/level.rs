//! `niagara level`: which commands, entries and formats the cluster may use, and how to raise that.

use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, Subcommand};
use niagara_engine::{EpochView, LevelView, MemberLevel};

use super::cluster_args::ClusterArgs;
use super::epoch_change::{Servers, Wanted};
use super::failure::Failure;
use super::manual;
use super::output::{note, pretty, print};
use super::style::{self, Paint};
use super::table::Table;

/// Show the cluster's level, or raise it when all servers run a newer release.
#[derive(Debug, Args)]
#[command(after_long_help = manual::LEVEL)]
pub struct LevelArgs {
    #[command(subcommand)]
    pub command: LevelCommand,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum LevelCommand {
    /// Show the level, and the highest one that each server knows.
    #[command(after_long_help = manual::LEVEL)]
    Show {
        #[command(flatten)]
        common: Common,
    },
    /// Go on at a higher level, and wait until every server that answers does. There is no way back.
    #[command(after_long_help = manual::LEVEL)]
    Raise {
        /// The level [default: the highest that all servers know].
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        to: Option<u32>,
        #[command(flatten)]
        common: Common,
    },
}

/// What both take.
#[derive(Debug, Args)]
pub struct Common {
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

pub fn run(arguments: &LevelArgs) -> Result<ExitCode, Failure> {
    let (LevelCommand::Show { common } | LevelCommand::Raise { common, .. }) = &arguments.command;
    let servers = Servers::find(&common.cluster, "/members")?;
    if let LevelCommand::Raise { to, .. } = arguments.command {
        raise(&servers, to)?;
    }
    let views = ask_all(&servers)?;
    print(if common.json { pretty(&views) } else { report(&views, style::for_stdout()) })?;
    Ok(ExitCode::SUCCESS)
}

/// What each server that answers says.
fn ask_all(servers: &Servers) -> Result<Vec<LevelView>, Failure> {
    let views: Vec<LevelView> = servers.at("/level").pages().into_iter().map(|(_, view)| view).collect();
    match views.is_empty() {
        true => Err(Failure::refused(
            "no server says at which level it is",
            "do they run a release that has levels?",
        )),
        false => Ok(views),
    }
}

fn newest(views: &[LevelView]) -> &LevelView {
    views.iter().max_by_key(|view| view.epoch).expect("some server has answered")
}

fn raise(servers: &Servers, to: Option<u32>) -> Result<(), Failure> {
    let begun = Instant::now();
    let level = match to {
        Some(level) => level,
        None => known_by_all(servers, begun)?,
    };
    // What it follows, before it is asked for: the next epoch is the one that is awaited.
    let epoch = servers.newest()?;
    if epoch.level == level {
        note(&format!("the cluster is at level {level} already\n"));
        return Ok(());
    }
    let asked = servers.at("/level").ask_for(format!("{{\"level\":{level}}}").as_bytes(), begun)?;
    let is_it = |epoch: &EpochView| match epoch.level {
        found if found == level => Ok(()),
        found => Err(format!("the level is {found}")),
    };
    servers.await_epoch(&Wanted { epoch: epoch.number + 1, asked, leave: &[], is_it: &is_it }, begun)
}

/// The highest level that all members know, when all are connected.
fn known_by_all(servers: &Servers, begun: Instant) -> Result<u32, Failure> {
    let mut patience = servers.patience(begun);
    loop {
        let views = ask_all(servers)?;
        // A server that has just started may not be connected to all yet; another one may.
        if let Some(known) = views.iter().filter_map(|view| view.known_by_all).max() {
            return Ok(known.max(newest(&views).level));
        }
        let away = newest(&views).members.iter().filter(|member| member.known.is_none());
        let away: Vec<String> = away.map(|member| member.server.to_string()).collect();
        patience.wait(&format!("waiting for server {} to be connected", away.join(", ")))?;
    }
}

fn report(views: &[LevelView], paint: Paint) -> String {
    let mut table = Table::new(["server", "level", "epoch", "knows levels up to"]);
    for MemberLevel { server, known } in &newest(views).members {
        let own = views.iter().find(|view| view.server == *server);
        let of_own = own.and_then(|view| view.members.iter().find(|member| member.server == *server)?.known);
        table.row([
            server.to_string(),
            own.map_or("-".to_owned(), |view| view.level.to_string()),
            own.map_or("-".to_owned(), |view| view.epoch.to_string()),
            of_own.or(*known).map_or("not connected".to_owned(), |known| known.to_string()),
        ]);
    }
    table.text(paint)
}
