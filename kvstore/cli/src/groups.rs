//! `niagara groups`: the epoch and its number of groups, and how to change that.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use niagara_client::survey::Survey;
use niagara_client::{Endpoint, Request};
use niagara_engine::EpochView;

use super::ask::{endpoints, refusal};
use super::cluster_args::ClusterArgs;
use super::failure::Failure;
use super::manual;
use super::output::{note, pretty, print};
use super::style::{self, Paint};
use super::table::Table;

/// How often to look whether the servers are there.
const LOOK: Duration = Duration::from_millis(50);
/// How often to say what is still waited for.
const SAY: Duration = Duration::from_secs(1);

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
        #[arg(value_name = "R")]
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
    let cluster = Cluster::find(named, Duration::from_secs(named.timeout.into()))?;
    if let Some(GroupsCommand::Set { groups, .. }) = arguments.change {
        cluster.set(groups)?;
    }
    let all = cluster.ask_all();
    let json = arguments.json || matches!(arguments.change, Some(GroupsCommand::Set { json: true, .. }));
    print(if json { pretty(&all) } else { report(&all, style::for_stdout()) })?;
    Ok(ExitCode::SUCCESS)
}

/// The servers that answer.
struct Cluster {
    servers: Vec<(u64, Endpoint)>,
    timeout: Duration,
}

/// A server, and the epoch that it is in.
#[derive(Debug, serde::Serialize)]
struct Standing {
    server: u64,
    #[serde(flatten)]
    epoch: EpochView,
}

impl Cluster {
    fn find(arguments: &ClusterArgs, timeout: Duration) -> Result<Cluster, Failure> {
        let survey = Survey::take(endpoints(arguments)?, timeout);
        let known = survey.rows.iter();
        let servers: Vec<(u64, Endpoint)> =
            known.filter_map(|row| Some((row.status.as_ref()?.server, row.endpoint.clone()))).collect();
        if servers.is_empty() {
            let hint = "name running servers with --at URL,URL, or --config FILE";
            return Err(Failure::refused("no server answers", hint));
        }
        Ok(Cluster { servers, timeout })
    }

    /// The epoch of each server that answers.
    fn ask_all(&self) -> Vec<Standing> {
        let ask = |(server, endpoint): &(u64, Endpoint)| {
            let response = endpoint.send(&Request::get("/groups"), self.timeout).ok()?;
            let epoch = serde_json::from_slice(&response.body).ok().filter(|_| response.status == 200)?;
            Some(Standing { server: *server, epoch })
        };
        self.servers.iter().filter_map(ask).collect()
    }

    fn set(&self, groups: u16) -> Result<(), Failure> {
        let before = self.ask_all();
        let newest = before.iter().max_by_key(|standing| standing.epoch.number);
        let Some(Standing { epoch, .. }) = newest else {
            let hint = "do they run a release that can change it?";
            return Err(Failure::refused("no server says how many groups there are", hint));
        };
        if epoch.groups == groups {
            note(&format!("there are {groups} groups already\n"));
            return Ok(());
        }
        let begun = Instant::now();
        let next = epoch.number + 1;
        self.ask_for(groups, begun)?;
        self.await_epoch(next, groups, begun)
    }

    /// Asks the servers in turn until one takes the request: only one that leads a group does.
    fn ask_for(&self, groups: u16, begun: Instant) -> Result<(), Failure> {
        loop {
            let mut refused = None;
            for (_, endpoint) in &self.servers {
                let request = Request::post("/groups").body(format!("{{\"groups\":{groups}}}").into_bytes());
                let response = endpoint.send(&request, self.timeout).map_err(|trouble| {
                    let hint = "look with `niagara groups` before you try again";
                    Failure::unknown(format!("{endpoint}: {trouble}"), hint)
                })?;
                match response.status {
                    202 => return Ok(()),
                    409 | 503 => refused = Some(refusal(&response)),
                    _ => return Err(refusal(&response)),
                }
            }
            if begun.elapsed() >= self.timeout
                && let Some(refused) = refused
            {
                return Err(refused);
            }
            thread::sleep(LOOK);
        }
    }

    /// Waits until all servers that answer are in the next epoch.
    fn await_epoch(&self, next: u32, groups: u16, begun: Instant) -> Result<(), Failure> {
        let mut said = begun;
        loop {
            let all = self.ask_all();
            if let Some(there) = all.iter().find(|standing| standing.epoch.number >= next)
                && there.epoch.groups != groups
            {
                let what = format!("another change came first: there are {} groups now", there.epoch.groups);
                return Err(Failure::refused(what, "look with `niagara groups`, then ask again"));
            }
            let behind: Vec<String> = all
                .iter()
                .filter(|standing| standing.epoch.number < next)
                .map(|standing| standing.server.to_string())
                .collect();
            if behind.is_empty() && !all.is_empty() {
                return Ok(());
            }
            let what = format!("waiting for the next epoch on server {}", behind.join(", "));
            if begun.elapsed() >= self.timeout {
                let hint = "it may still come: look with `niagara groups`, or wait longer with --timeout";
                let what = format!("not done after {} s: {what}", self.timeout.as_secs());
                return Err(Failure::new(what, hint));
            }
            if said.elapsed() >= SAY {
                note(&format!("{what}\n"));
                said = Instant::now();
            }
            thread::sleep(LOOK);
        }
    }
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
