//! `niagara new-member`: writes the configuration file of a server that is to join a running cluster.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use niagara_client::survey::Survey;
use niagara_client::{DEFAULT_PORT, Endpoint};
use niagara_engine::{EpochView, ServerId, Status};
use niagara_kvstore::config::{Plan, PlannedServer, PlannedTls, Protection};

use super::ask::endpoints;
use super::cluster_args::ClusterArgs;
use super::epoch_change::Servers;
use super::failure::Failure;
use super::host::parse_host;
use super::new_cluster::write_files;
use super::output::print;
use super::{file_limit, manual, shell};

/// Write the configuration file of a server that is to join a running cluster.
#[derive(Debug, Args)]
#[command(after_long_help = manual::NEW_MEMBER)]
pub struct NewMemberArgs {
    /// The server's id, which no server of the cluster has ever had [default: one more than the greatest].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub id: Option<u64>,
    /// Where the file goes: DIR/server-N.toml. An existing file is never overwritten.
    #[arg(long)]
    pub dir: PathBuf,
    /// The server's host.
    #[arg(long, default_value = "127.0.0.1", value_parser = parse_host)]
    pub host: String,
    /// The server's first port: HTTP, then Redis, then one for each address of the groups, then one for snapshots; if the
    /// cluster is asked by https://, then HTTP and Redis with TLS.
    #[arg(long, value_name = "PORT", default_value_t = DEFAULT_PORT, value_parser = clap::value_parser!(u16).range(1..))]
    pub base_port: u16,
    /// Number of addresses for the groups [default: as many as the first member has].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub addresses: Option<u16>,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

pub fn run(arguments: &NewMemberArgs) -> Result<ExitCode, Failure> {
    file_limit::raise();
    let named = endpoints(&arguments.cluster)?;
    let at: Vec<String> = named.iter().map(ToString::to_string).collect();
    let is_tls = named.iter().all(Endpoint::is_encrypted);
    let timeout = Duration::from_secs(arguments.cluster.timeout.into());
    let survey = Survey::take(named, timeout);
    let epoch = Servers::of(&survey, "/members", timeout)?.newest()?;
    let status = survey.statuses().next().expect("a server has answered");
    let plan = plan(arguments, status, &epoch, is_tls)?;
    write_files(&plan, &arguments.dir)?;
    print(next_steps(arguments, plan.servers[0].server, &at.join(","), is_tls))?;
    Ok(ExitCode::SUCCESS)
}

/// What to do with the file.
fn next_steps(arguments: &NewMemberArgs, server: ServerId, at: &str, is_tls: bool) -> String {
    let file = shell::path(&arguments.dir.join(Plan::file_name(server)));
    let certificates = arguments.dir.join(Plan::CERTIFICATES);
    let (issue, ca) = match is_tls {
        false => (String::new(), String::new()),
        true => (
            format!(
                "Issue its certificate, where the authority's ca.pem and ca.key are:\n  niagara certificates issue --dir {} --name \
                 server-{server} --config {file} --host {}\n\n",
                shell::path(&certificates),
                shell::word(&arguments.host)
            ),
            format!(" --ca {}", shell::path(&certificates.join("ca.pem"))),
        ),
    };
    format!(
        "{issue}Start server {server} on its machine; it waits until it is a member:\n  niagara serve --config {file} --join \
         {at}\n\nThen add it:\n  niagara member add --file {file} --at {at}{ca}\n"
    )
}

fn plan(
    arguments: &NewMemberArgs,
    status: &Status,
    epoch: &EpochView,
    is_tls: bool,
) -> Result<Plan, Failure> {
    let greatest = epoch.members.iter().chain(&epoch.former).copied().max().unwrap_or(0);
    let server = arguments.id.unwrap_or(greatest + 1);
    for (used, when) in [(&epoch.members, "is a member already"), (&epoch.former, "was a member before")] {
        if used.contains(&server) {
            let what = format!("server {server} {when}");
            return Err(Failure::refused(what, "choose an id that was never used"));
        }
    }
    let as_the_first = || epoch.contacts.first().map_or(1, |contact| contact.addresses.len() as u16);
    let addresses = arguments.addresses.unwrap_or_else(as_the_first).min(epoch.groups);
    let after_addresses = 2 + addresses;
    let last = u32::from(arguments.base_port) + u32::from(after_addresses) + if is_tls { 2 } else { 0 };
    if last > u32::from(u16::MAX) {
        return Err(Failure::usage(format!("there is no port {last}"), "choose a lower --base-port"));
    }
    let at = |offset: u16| format!("{}:{}", arguments.host, arguments.base_port + offset);
    let own = PlannedServer {
        server,
        http: at(0),
        redis: at(1),
        addresses: (0..addresses).map(|address| at(2 + address)).collect(),
        transfer: at(after_addresses),
        tls: is_tls.then(|| PlannedTls { http: at(after_addresses + 1), redis: at(after_addresses + 2) }),
    };
    let cluster = u128::from_str_radix(&status.cluster, 16).map_err(|_| {
        Failure::new(format!("{} is no cluster id", status.cluster), "is that a Niagara server?")
    })?;
    Ok(Plan {
        cluster,
        groups: epoch.groups,
        durability: status.durability,
        servers: vec![own],
        protection: Protection::default(),
        joins: true,
    })
}
