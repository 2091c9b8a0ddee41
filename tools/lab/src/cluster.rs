//! A cluster of Niagara's servers, each a process in a network namespace of its own.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use niagara_client::{Endpoint, Request, Response};
use niagara_engine::agreement::compare_all;
use niagara_engine::{Durability, Status};
use niagara_kvstore::config::{Plan, PlannedServer, Protection};
use niagara_load::Failure;
use niagara_measure::{GuardedChild, last_lines};
use niagara_namespaces::{Host, Namespaces, Subnet};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::experiment_run::ExperimentRun;
use super::leftovers;

/// Every server has a namespace of its own, so all have the same ports.
const HTTP: u16 = 7000;
const REDIS: u16 = 7001;
const TRANSFER: u16 = 7002;
const FIRST_GROUP: u16 = 7100;

/// Elections take well below a second; on a machine that is very busy, a few.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// A server answers about itself within this time, or is taken for dead.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// What a cluster is to be.
#[derive(Clone, Debug)]
pub(super) struct ClusterPlan {
    pub servers: u16,
    /// Raft groups, R.
    pub groups: u16,
    /// Links that the groups are spread over, round robin; the network has at least as many.
    pub links: u16,
    /// Servers that come later, under the ids above those of the first ones.
    pub spares: u16,
    pub durability: Durability,
    /// The server that each group belongs to; empty for round robin.
    pub leaders: Vec<u64>,
    /// Further keys of the section `[engine]` of the servers' files, and their values in TOML.
    pub engine: Vec<(&'static str, String)>,
}

impl ClusterPlan {
    /// So many servers and groups, with a link for each group, and everything else as users get it.
    pub fn new(servers: u16, groups: u16) -> ClusterPlan {
        let durability = Durability::Fsync;
        ClusterPlan {
            servers,
            groups,
            links: groups,
            spares: 0,
            durability,
            leaders: Vec::new(),
            engine: Vec::new(),
        }
    }

    fn planned(&self, server: u64) -> PlannedServer {
        let at = |subnet: Subnet, port: u16| format!("{}:{port}", subnet.address(Host::Server(server)));
        let group = |group: u16| at(self.link_of(group + 1), FIRST_GROUP + group);
        PlannedServer {
            server,
            // Clients may come over every link.
            http: format!("0.0.0.0:{HTTP}"),
            redis: format!("0.0.0.0:{REDIS}"),
            addresses: (0..self.groups).map(group).collect(),
            transfer: at(Subnet::Clients, TRANSFER),
            tls: None,
        }
    }

    /// Where a server is, as `POST /members` takes it.
    pub fn contact(&self, server: u64) -> serde_json::Value {
        let PlannedServer { addresses, transfer, .. } = self.planned(server);
        serde_json::json!({ "server": server, "addresses": addresses, "transfer": transfer })
    }

    /// The text of a server's configuration file. That of a server that comes later lists it alone.
    fn file(&self, server: u64) -> String {
        let servers =
            if server > u64::from(self.servers) { server..=server } else { 1..=self.servers.into() };
        let servers = servers.map(|server| self.planned(server)).collect();
        // The network is the cluster's own, so no other cluster can come near.
        let protection = Protection { insecure: true, ..Protection::default() };
        let (groups, durability) = (self.groups, self.durability);
        let plan = Plan { cluster: 0x1ab, groups, durability, servers, protection, joins: false };
        // Threads of several servers that share a machine would be bound to the same cores.
        let mut lines = vec!["pinning = \"off\"".to_owned()];
        if !self.leaders.is_empty() {
            lines.push(format!("leaders = {:?}", self.leaders));
        }
        lines.extend(self.engine.iter().map(|(key, value)| format!("{key} = {value}")));
        plan.render(server).replacen("[engine]\n", &format!("[engine]\n{}\n", lines.join("\n")), 1)
    }

    /// The link that carries a group's own traffic, by the group from 1.
    pub fn link_of(&self, group: u16) -> Subnet {
        Subnet::Link((group - 1) % self.links + 1)
    }

    /// The server that a group's leadership belongs to, by the group from 1.
    pub fn leader_of(&self, group: u16) -> u64 {
        let index = usize::from(group - 1);
        self.leaders.get(index).copied().unwrap_or(u64::from((group - 1) % self.servers) + 1)
    }
}

/// A running cluster. Its servers are killed and their files removed when it is dropped.
pub(super) struct LabCluster {
    plan: ClusterPlan,
    /// By server; `None` while it does not run. They end before their network and their files go.
    processes: Vec<Option<GuardedChild>>,
    network: Arc<Namespaces>,
    files: TempDir,
}

impl LabCluster {
    /// Starts all servers in a network, and waits until every group is led by the server that it belongs to.
    pub fn start(
        run: &ExperimentRun,
        network: &Arc<Namespaces>,
        plan: &ClusterPlan,
    ) -> Result<LabCluster, Failure> {
        let files = leftovers::directory()?;
        let processes = (0..plan.servers + plan.spares).map(|_| None).collect();
        let mut cluster = LabCluster { plan: plan.clone(), network: Arc::clone(network), files, processes };
        for server in cluster.servers() {
            fs::write(cluster.path(server, "toml"), plan.file(server))?;
            cluster.launch(server)?;
        }
        cluster.await_leaders(run)?;
        Ok(cluster)
    }

    /// The ids of the servers that it begins with.
    pub fn servers(&self) -> impl Iterator<Item = u64> + use<> {
        1..=u64::from(self.plan.servers)
    }

    /// A server's HTTP address in a subnet, as a URL.
    pub fn http(&self, server: u64, subnet: Subnet) -> String {
        format!("http://{}:{HTTP}", subnet.address(Host::Server(server)))
    }

    /// A server's address in a subnet for the Redis protocol.
    pub fn redis(&self, server: u64, subnet: Subnet) -> String {
        format!("{}:{REDIS}", subnet.address(Host::Server(server)))
    }

    /// The HTTP addresses of servers in the clients' own subnet, as the load generator takes them.
    pub fn all_http(&self) -> String {
        self.servers().map(|server| self.http(server, Subnet::Clients)).collect::<Vec<_>>().join(",")
    }

    /// A running server's process.
    pub fn process(&self, server: u64) -> Result<u32, Failure> {
        let child = self.processes[index(server)].as_ref();
        child.map(|child| child.id()).ok_or_else(|| Failure::new(format!("server {server} does not run")))
    }

    /// Starts a server that does not run, and does not wait for it.
    pub fn launch(&mut self, server: u64) -> Result<(), Failure> {
        self.launch_with(server, &[])
    }

    /// Starts a server that joins the others once it is a member, as it learns from one of them.
    pub fn launch_to_join(&mut self, server: u64, member: u64) -> Result<(), Failure> {
        fs::write(self.path(server, "toml"), self.plan.file(server))?;
        let member = self.http(member, Subnet::Clients);
        self.launch_with(server, &["--join", &member])
    }

    fn launch_with(&mut self, server: u64, options: &[&str]) -> Result<(), Failure> {
        let program = std::env::current_exe().map_err(Failure::io("cannot find this program's own file"))?;
        let log = File::options().create(true).append(true).open(self.path(server, "log"))?;
        let mut command = Command::new(program);
        command.arg("server").arg("--config").arg(self.path(server, "toml")).args(options);
        // The server ends when its standard input does, so with this process, however that ends.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        let child = self.network.inside(Host::Server(server), || command.spawn())??;
        self.processes[index(server)] = Some(child.into());
        Ok(())
    }

    /// SIGKILL.
    pub fn kill(&mut self, server: u64) {
        self.processes[index(server)] = None;
    }

    /// SIGSTOP: the process stands still, and its connections stay open.
    pub fn pause(&self, server: u64) -> Result<(), Failure> {
        self.signal(server, Signal::STOP)
    }

    /// SIGCONT: it goes on.
    pub fn resume(&self, server: u64) -> Result<(), Failure> {
        self.signal(server, Signal::CONT)
    }

    fn signal(&self, server: u64, signal: Signal) -> Result<(), Failure> {
        let process = Pid::from_raw(self.process(server)?.cast_signed()).expect("a child has a number");
        kill_process(process, signal)
            .map_err(|error| Failure::new(format!("cannot signal server {server}: {error}")))
    }

    /// What a running server says about itself.
    pub fn status(&self, server: u64) -> Result<Status, Failure> {
        let answer = self.ask(server, &Request::get("/status"))?;
        serde_json::from_slice(&answer.body)
            .map_err(|error| Failure::new(format!("server {server} gives no status: {error}")))
    }

    /// What a running server answers to a request.
    pub fn ask(&self, server: u64, request: &Request) -> Result<Response, Failure> {
        let endpoint: Endpoint = self
            .http(server, Subnet::Clients)
            .parse()
            .expect("it was put together from an address and a port");
        self.network
            .inside(Host::Clients, || endpoint.send(request, ANSWERS_WITHIN))?
            .map_err(|trouble| Failure::new(format!("server {server} does not answer: {trouble}")))
    }

    /// Waits until all running servers see each group led by the server that it belongs to.
    pub fn await_leaders(&self, run: &ExperimentRun) -> Result<(), Failure> {
        let placed = |status: &Status| {
            status.local.iter().all(|group| group.leader == self.plan.leader_of(group.group))
        };
        let all_placed = || {
            // A server that gives no status yet has just been started.
            let statuses = self.statuses();
            Ok(statuses.is_ok_and(|statuses| statuses.iter().all(placed)).then_some(()))
        };
        run.await_that(READY_WITHIN, all_placed)?.ok_or_else(|| {
            Failure::new(format!(
                "not all groups elected a leader within {} s: is the machine overloaded?\n{}",
                READY_WITHIN.as_secs(),
                self.logs()
            ))
        })
    }

    /// Waits until all running servers have executed the same, while nobody writes, and compares their digests at every
    /// position that any two share. Gives the last position, and the digest there or at the last place before it that has one.
    pub fn await_agreement(&self, run: &ExperimentRun) -> Result<(u64, String), Failure> {
        let mut applied = Vec::new();
        let agreed = run.await_that(READY_WITHIN, || {
            let statuses = self.statuses()?;
            let compared =
                compare_all(statuses.iter().map(|status| (status.server, status.digests.as_slice())))?;
            applied = statuses.iter().map(|status| status.applied).collect();
            let digest = || statuses[0].digests.last().map(|digest| digest.value.clone()).unwrap_or_default();
            // At the same position all keep a digest of it.
            let agreed = applied.iter().all(|position| *position == applied[0]) && compared == applied[0];
            Ok(agreed.then(|| (applied[0], digest())))
        })?;
        agreed.ok_or_else(|| {
            Failure::new(format!("the servers have executed different positions: {applied:?}"))
        })
    }

    /// What all running servers say about themselves.
    fn statuses(&self) -> Result<Vec<Status>, Failure> {
        self.running().map(|server| self.status(server)).collect()
    }

    /// The ids of the servers that run.
    pub fn running(&self) -> impl Iterator<Item = u64> {
        self.all().filter(|server| self.processes[index(*server)].is_some())
    }

    fn all(&self) -> impl Iterator<Item = u64> + use<> {
        1..=u64::from(self.plan.servers + self.plan.spares)
    }

    /// The ends of all servers' logs.
    fn logs(&self) -> String {
        let end = |server| format!("server {server}: {}", last_lines(&self.path(server, "log"), 5));
        self.all().map(end).collect::<Vec<_>>().join("\n")
    }

    fn path(&self, server: u64, ending: &str) -> PathBuf {
        self.files.path().join(format!("server-{server}.{ending}"))
    }
}

fn index(server: u64) -> usize {
    usize::try_from(server - 1).expect("a server of this cluster")
}

#[cfg(test)]
mod tests {
    use niagara_kvstore::config::ConfigFile;

    use super::*;

    #[test]
    fn groups_are_spread_over_links_and_leaders_as_planned() {
        let mut plan = ClusterPlan::new(3, 4);
        plan.links = 2;
        plan.leaders = vec![3, 3, 1, 3];
        plan.engine = vec![("election_ticks", "20".into())];
        let config = ConfigFile::parse(&plan.file(2), "/tmp".as_ref()).unwrap().server.engine;
        assert_eq!(config.leaders, [3, 3, 1, 3]);
        assert_eq!(config.election_ticks, 20);
        let links: Vec<&str> = config.members[1].addresses.iter().map(|address| &address[..9]).collect();
        assert_eq!(links, ["10.78.1.2", "10.78.2.2", "10.78.1.2", "10.78.2.2"]);
        assert_eq!((plan.leader_of(3), ClusterPlan::new(3, 8).leader_of(8)), (1, 2));
    }
}
