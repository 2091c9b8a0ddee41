//! `niagara groups`: the epoch and its number of groups, and how to change that.

use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, Subcommand};
use niagara_engine::{EpochView, MAX_GROUPS};

use super::cluster_args::ClusterArgs;
use super::epoch_change::{Servers, Standing, Wanted};
use super::failure::Failure;
use super::manual;
use super::output::{note, pretty, print};
use super::style::{self, Paint};
use super::table::Table;

/// Show the number of groups, or change it while the servers run.
#[derive(Debug, Args)]
#[command(after_long_help = manual::GROUPS, args_conflicts_with_subcommands = true)]
pub struct GroupsArgs {
    #[command(flatten)]
    pub cluster: ClusterArgs,
    #[command(subcommand)]
    pub change: Option<GroupsCommand>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum GroupsCommand {
    /// Go on with so many groups, and wait until every server that answers does.
    #[command(after_long_help = manual::GROUPS)]
    Set {
        /// The number of groups, 1 to 1024.
        #[arg(value_name = "R", value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_GROUPS)))]
        groups: u16,
        #[command(flatten)]
        cluster: ClusterArgs,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub fn run(arguments: &GroupsArgs) -> Result<ExitCode, Failure> {
    let named = match &arguments.change {
        Some(GroupsCommand::Set { cluster, .. }) => cluster,
        None => &arguments.cluster,
    };
    let servers = Servers::find(named, "/groups")?;
    if let Some(GroupsCommand::Set { groups, .. }) = arguments.change {
        set(&servers, groups)?;
    }
    let all = servers.ask_all();
    let json = arguments.json || matches!(arguments.change, Some(GroupsCommand::Set { json: true, .. }));
    print(if json {
        pretty(&all.iter().map(Row::of).collect::<Vec<_>>())
    } else {
        report(&all, style::for_stdout())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What is shown of a server.
#[derive(serde::Serialize)]
struct Row<'s> {
    server: u64,
    epoch: u32,
    groups: u16,
    members: &'s [u64],
}

impl Row<'_> {
    fn of(Standing { server, epoch }: &Standing) -> Row<'_> {
        Row { server: *server, epoch: epoch.number, groups: epoch.groups, members: &epoch.members }
    }
}

fn set(servers: &Servers, groups: u16) -> Result<(), Failure> {
    let epoch = servers.newest()?;
    if epoch.groups == groups {
        note(&format!("there are {groups} groups already\n"));
        return Ok(());
    }
    let begun = Instant::now();
    let asked = servers.ask_for(format!("{{\"groups\":{groups}}}").as_bytes(), begun)?;
    let is_it = |epoch: &EpochView| match epoch.groups {
        found if found == groups => Ok(()),
        found => Err(format!("there are {found} groups now")),
    };
    servers.await_epoch(&Wanted { epoch: epoch.number + 1, asked, leave: &[], is_it: &is_it }, begun)
}

fn report(all: &[Standing], paint: Paint) -> String {
    let mut table = Table::new(["server", "epoch", "groups", "members"]);
    for Standing { server, epoch } in all {
        let members: Vec<String> = epoch.members.iter().map(u64::to_string).collect();
        table.row([
            server.to_string(),
            epoch.number.to_string(),
            epoch.groups.to_string(),
            members.join(", "),
        ]);
    }
    table.text(paint)
}
