//! `niagara new-cluster`: writes the configuration files of a new cluster's servers.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::thread::available_parallelism;

use clap::Args;
use niagara_client::DEFAULT_PORT;
use niagara_engine::niagara_net::peer_name;
use niagara_engine::{Durability, MAX_GROUPS};
use niagara_kvstore::config::{Plan, PlannedServer, PlannedTls, Protection};

use super::certificates::Names;
use super::cluster_args::durability;
use super::failure::Failure;
use super::host::parse_host;
use super::output::print;
use super::{certificates, file_limit, manual, password, place, shell};

/// Write the configuration files of a new cluster's servers, with every setting explained.
#[derive(Debug, Args)]
#[command(after_long_help = manual::NEW_CLUSTER)]
pub struct NewClusterArgs {
    /// Number of servers; 3 survive the failure of one, 5 of two.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub servers: u16,
    /// Number of Raft groups, 1 to 1024: about one for each core that replication may use. `auto` goes by the cores of
    /// this machine, and says why. `niagara groups set` changes it later.
    #[arg(long, value_name = "R", default_value = "4")]
    pub groups: Groups,
    /// Number of addresses of each server for its groups, at most one for each: with one for each network link, every
    /// link is used [default: one for each group].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub addresses: Option<u16>,
    /// Where the files go: DIR/server-1.toml and so on. Existing files are never overwritten.
    #[arg(long)]
    pub dir: PathBuf,
    /// The servers' host: one for all, or a comma-separated list with one for each.
    #[arg(long, value_delimiter = ',', default_value = "127.0.0.1", value_parser = parse_host)]
    pub host: Vec<String>,
    /// The first port of the first server: HTTP, then Redis, then one for each address of the groups, then one for
    /// snapshots.
    #[arg(long, value_name = "PORT", default_value_t = DEFAULT_PORT, value_parser = clap::value_parser!(u16).range(1..))]
    pub base_port: u16,
    /// What an acknowledged write survives: fsync, a power failure; os, the end of all processes; memory,
    /// neither.
    #[arg(long, default_value = "fsync", value_parser = durability())]
    pub durability: Durability,
    /// The password that clients have to give: the first line of this file. If there is no such file, it is created, with
    /// a random password.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Serve clients of other machines although there is no password: in a network that everybody in it may use.
    #[arg(long, conflicts_with = "password_file")]
    pub insecure: bool,
    /// Clients and servers speak TLS: make an authority and certificates, in DIR/certificates.
    #[arg(long)]
    pub tls: bool,
}

pub fn run(arguments: &NewClusterArgs) -> Result<ExitCode, Failure> {
    // The files show how many connections `niagara serve` would accept on this machine.
    file_limit::raise();
    let cores = available_parallelism().map_or(1, usize::from);
    let (groups, why) = arguments.groups.on(cores);
    let servers = plan_servers(arguments, groups)?;
    let password = arguments.password_file.as_deref().map(password::read_or_make).transpose()?;
    let protection = Protection { password, insecure: arguments.insecure };
    let plan = Plan {
        cluster: random_cluster()?,
        groups,
        durability: arguments.durability,
        servers,
        protection,
        joins: false,
    };
    write_files(&plan, &arguments.dir)?;
    if arguments.tls {
        write_certificates(&plan, &arguments.dir)?;
    }
    print(
        why + &warning(arguments) + &next_steps(&plan, &arguments.dir, arguments.password_file.as_deref()),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// How many groups a new cluster gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Groups {
    /// As many as the machine has cores for.
    Auto,
    /// This many.
    Count(u16),
}

/// Cores for the busy threads beside those of the groups: front end, sequencer, application.
const OTHER_CORES: usize = 3;
/// More groups than this have to be asked for.
const MOST_AUTO: usize = 16;

impl FromStr for Groups {
    type Err = String;

    fn from_str(text: &str) -> Result<Groups, String> {
        let count = || text.parse().ok().filter(|count| (1..=MAX_GROUPS).contains(count)).map(Groups::Count);
        let groups = if text == "auto" { Some(Groups::Auto) } else { count() };
        groups.ok_or_else(|| format!("write a number from 1 to {MAX_GROUPS}, or auto"))
    }
}

impl Groups {
    /// How many these are on a machine with so many cores, and why, for people.
    fn on(self, cores: usize) -> (u16, String) {
        match self {
            Groups::Count(count) => (count, String::new()),
            Groups::Auto => {
                let groups = cores.saturating_sub(OTHER_CORES).clamp(1, MOST_AUTO);
                let named = match groups {
                    1 => "1 group".to_owned(),
                    more => format!("{more} groups"),
                };
                let why = format!(
                    "{named}: this machine has {cores} cores, and a group can use one beside the {OTHER_CORES} that serve \
                     clients, merge and execute.\nIf another server has fewer cores or network links, say --groups.\n\n"
                );
                (groups as u16, why)
            }
        }
    }
}

/// A random id for a new cluster.
pub fn random_cluster() -> Result<u128, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Failure::new(format!("cannot get a random number from the system: {error}"), "retry")
    })?;
    Ok(u128::from_le_bytes(bytes))
}

/// Writes all files of a plan, or none. Never overwrites a file.
pub fn write_files(plan: &Plan, dir: &Path) -> Result<(), Failure> {
    let fail = |path: &Path, error: &io::Error| {
        let what = format!("cannot write {}: {error}", path.display());
        match place::explain(path, error) {
            Some((reason, hint)) => Failure::new(format!("{what}\n{reason}"), hint),
            None => Failure::new(what, "choose another directory with --dir"),
        }
    };
    fs::create_dir_all(dir).map_err(|error| fail(dir, &error))?;
    for path in plan.servers.iter().map(|server| dir.join(Plan::file_name(server.server))) {
        if path.exists() {
            let hint = "it may belong to a running cluster, so it is not overwritten: choose another directory with --dir";
            return Err(Failure::new(format!("{} already exists", path.display()), hint));
        }
    }
    let mut created = Vec::new();
    for server in &plan.servers {
        let path = dir.join(Plan::file_name(server.server));
        // A digest gives away a password that somebody guesses.
        let mode = if plan.protection.password.is_some() { 0o600 } else { 0o666 };
        let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
        let written = opened.and_then(|mut file| {
            created.push(path.clone());
            file.write_all(plan.render(server.server).as_bytes())?;
            file.sync_all()
        });
        if let Err(error) = written {
            // All or none. The next attempt names a file that cannot be removed.
            created.iter().for_each(|path| drop(fs::remove_file(path)));
            return Err(fail(&path, &error));
        }
    }
    Ok(())
}

/// Makes an authority, and issues a certificate to each server and to a client.
fn write_certificates(plan: &Plan, dir: &Path) -> Result<(), Failure> {
    let dir = dir.join(Plan::CERTIFICATES);
    certificates::new_ca(&dir, certificates::CA_DAYS)?;
    for server in &plan.servers {
        let host = server.http.rsplit_once(':').map_or(server.http.as_str(), |(host, _)| host);
        let name = format!("server-{}", server.server);
        let peer = Some(peer_name(plan.cluster, server.server));
        let names = Names { hosts: &[host.to_owned()], peer };
        certificates::issue(&dir, &name, &names, certificates::DAYS, false)?;
    }
    certificates::issue(&dir, "client", &Names::default(), certificates::DAYS, false)
}

fn plan_servers(arguments: &NewClusterArgs, groups: u16) -> Result<Vec<PlannedServer>, Failure> {
    let NewClusterArgs { servers, host: hosts, base_port, .. } = arguments;
    let addresses = arguments.addresses.unwrap_or(groups);
    if addresses > groups {
        let what = format!("{addresses} addresses are more than the {groups} groups can use");
        return Err(Failure::usage(what, "choose at most one address for each group"));
    }
    if hosts.len() != 1 && hosts.len() != usize::from(*servers) {
        let what = format!("--host names {} hosts for {servers} servers", hosts.len());
        return Err(Failure::usage(what, "name one host for all, or one for each, separated by commas"));
    }
    // Blocks that start at round numbers are easier to remember.
    let further = if arguments.tls { 4 } else { 2 };
    let block = (u32::from(addresses) + further + 1).next_multiple_of(10);
    let last = u32::from(*base_port) + block * u32::from(servers - 1) + u32::from(addresses) + further;
    if last > u32::from(u16::MAX) {
        let what = format!("the ports do not fit: the last one would be {last}, and 65535 is the highest");
        return Err(Failure::usage(what, "choose a lower --base-port, or fewer servers or groups"));
    }
    let plan = |i: u16| {
        let host = if hosts.len() == 1 { &hosts[0] } else { &hosts[usize::from(i)] };
        let first = u32::from(*base_port) + block * u32::from(i);
        let address = |port: u32| format!("{host}:{port}");
        PlannedServer {
            server: u64::from(i) + 1,
            http: address(first),
            redis: address(first + 1),
            addresses: (0..u32::from(addresses)).map(|at| address(first + 2 + at)).collect(),
            transfer: address(first + 2 + u32::from(addresses)),
            tls: arguments.tls.then(|| PlannedTls {
                http: address(first + 3 + u32::from(addresses)),
                redis: address(first + 4 + u32::from(addresses)),
            }),
        }
    };
    Ok((0..*servers).map(plan).collect())
}

/// What has to be decided before servers of several machines start.
fn warning(arguments: &NewClusterArgs) -> String {
    let is_here = |host: &String| {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    };
    if arguments.tls || arguments.insecure || arguments.host.iter().all(is_here) {
        return String::new();
    }
    "These servers do not start yet: what they send each other would pass the network as it is. Make the cluster with --tls, \
     add\n[peer_tls] to the files, or, in a network of their own, `insecure = true`.\n\n"
        .to_owned()
}

fn next_steps(plan: &Plan, dir: &Path, password_file: Option<&Path>) -> String {
    let file = |server: &PlannedServer| dir.join(Plan::file_name(server.server));
    let (count, survives) = (plan.servers.len(), (plan.servers.len() - 1) / 2);
    let mut text = format!("A cluster of {count} servers, which survives the failure of {survives}.\n\n");
    text.push_str("Start each server in its own terminal or on its own machine:\n");
    for server in &plan.servers {
        let _ = writeln!(text, "  niagara serve --config {}", shell::path(&file(server)));
    }
    if let Some(first) = plan.servers.first() {
        let config = shell::path(&file(first));
        let curl = match &first.tls {
            None => format!("curl {}", shell::word(&format!("http://{}/kv/greeting", first.http))),
            Some(tls) => format!(
                "curl --cacert {} {}",
                shell::path(&dir.join(Plan::CERTIFICATES).join("ca.pem")),
                shell::word(&format!("https://{}/kv/greeting", tls.http))
            ),
        };
        let (given, user) = match password_file {
            None => (String::new(), ""),
            Some(path) => (format!(" --password-file {}", shell::path(path)), " -u default"),
        };
        let _ = write!(
            text,
            "\nThen:\n  niagara status --config {config}{given}\n  niagara put greeting hello --config {config}{given}\n  \
             {curl}{user}\n",
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use niagara_engine::Durability;

    use super::*;

    fn arguments(servers: u16, groups: u16, hosts: &[&str], base_port: u16) -> NewClusterArgs {
        let host = hosts.iter().map(ToString::to_string).collect();
        let (groups, durability) = (Groups::Count(groups), Durability::Fsync);
        NewClusterArgs {
            servers,
            groups,
            addresses: None,
            dir: "c".into(),
            host,
            base_port,
            durability,
            password_file: None,
            insecure: false,
            tls: false,
        }
    }

    fn planned(arguments: &NewClusterArgs) -> Result<Vec<PlannedServer>, Failure> {
        plan_servers(arguments, arguments.groups.on(1).0)
    }

    #[test]
    fn each_server_has_a_block_of_ports() {
        let servers = planned(&arguments(2, 9, &["h"], 7000)).unwrap();
        assert_eq!((servers[0].http.as_str(), servers[0].redis.as_str()), ("h:7000", "h:7001"));
        assert_eq!(
            (servers[0].addresses[0].as_str(), servers[0].addresses[8].as_str()),
            ("h:7002", "h:7010")
        );
        assert_eq!(servers[0].transfer, "h:7011");
        assert_eq!((servers[1].server, servers[1].http.as_str()), (2, "h:7020"));
    }

    #[test]
    fn groups_can_share_addresses() {
        let servers =
            planned(&NewClusterArgs { addresses: Some(2), ..arguments(2, 8, &["h"], 7000) }).unwrap();
        assert_eq!(servers[0].addresses, ["h:7002", "h:7003"]);
        assert_eq!((servers[0].transfer.as_str(), servers[1].http.as_str()), ("h:7004", "h:7010"));
        assert!(planned(&NewClusterArgs { addresses: Some(9), ..arguments(2, 8, &["h"], 7000) }).is_err());
    }

    #[test]
    fn auto_leaves_cores_for_the_rest_and_says_why() {
        for (cores, groups) in [(1, 1), (2, 1), (4, 1), (5, 2), (8, 5), (64, 16)] {
            let (found, why) = Groups::Auto.on(cores);
            assert_eq!(found, groups);
            assert!(why.contains(&format!("{cores} cores")), "{why}");
        }
        assert_eq!("auto".parse(), Ok(Groups::Auto));
        assert_eq!("8".parse(), Ok(Groups::Count(8)));
        for wrong in ["0", "1025", "many", ""] {
            assert!(wrong.parse::<Groups>().unwrap_err().contains("auto"), "{wrong}");
        }
    }

    #[test]
    fn each_server_can_have_a_host_of_its_own() {
        let servers = planned(&arguments(2, 1, &["a", "b"], 7000)).unwrap();
        assert_eq!((servers[0].http.as_str(), servers[1].http.as_str()), ("a:7000", "b:7010"));
        assert!(planned(&arguments(3, 1, &["a", "b"], 7000)).is_err());
    }

    #[test]
    fn ports_that_do_not_fit_are_refused() {
        assert!(planned(&arguments(1, 1, &["h"], 65_532)).is_ok());
        assert!(planned(&arguments(1, 1, &["h"], 65_533)).is_err());
        assert!(planned(&arguments(1000, 64, &["h"], 7000)).is_err());
    }

    #[test]
    fn nothing_is_written_if_one_file_exists() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("server-2.toml"), "precious").unwrap();
        let servers = planned(&arguments(3, 1, &["h"], 7000)).unwrap();
        let plan = Plan {
            cluster: 1,
            groups: 1,
            durability: Durability::Fsync,
            servers,
            protection: Protection::default(),
            joins: false,
        };
        assert!(write_files(&plan, dir.path()).is_err());
        assert!(!dir.path().join("server-1.toml").exists());
        assert_eq!(fs::read_to_string(dir.path().join("server-2.toml")).unwrap(), "precious");
    }

    #[test]
    fn only_its_owner_reads_a_file_with_the_digest_of_a_password() {
        use std::os::unix::fs::PermissionsExt as _;

        for (password, others_read) in [(Some("secret".parse().unwrap()), false), (None, true)] {
            let dir = tempfile::tempdir().unwrap();
            let servers = planned(&arguments(1, 1, &["h"], 7000)).unwrap();
            let protection = Protection { password, insecure: false };
            write_files(
                &Plan {
                    cluster: 1,
                    groups: 1,
                    durability: Durability::Fsync,
                    servers,
                    protection,
                    joins: false,
                },
                dir.path(),
            )
            .unwrap();
            // What the process's mask takes away, which tests may set, counts for both.
            let plain = dir.path().join("plain");
            fs::write(&plain, "").unwrap();
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            let expected = if others_read { mode(&plain) } else { mode(&plain) & 0o600 };
            assert_eq!(mode(&dir.path().join("server-1.toml")), expected);
        }
    }
}
