//! What a cluster is to be, and the files that its servers start with.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;

use niagara_engine::{Durability, Reads};

use super::Cluster;
use crate::Endpoint;
use crate::binary::niagara;
use crate::network::Namespaces;
use crate::ports::PortBlock;

/// A cluster that is to be started.
#[derive(Clone, Debug)]
pub struct ClusterPlan {
    servers: u16,
    groups: u16,
    durability: Durability,
    reads: Reads,
    /// The level that the cluster begins at, unless it is the newest.
    first_level: Option<u32>,
    network: Option<Arc<Namespaces>>,
    /// Lines of the files' section `[engine]`.
    engine: BTreeMap<&'static str, u64>,
    /// Lines of the section `[front]`.
    front: BTreeMap<&'static str, &'static str>,
}

/// Attempts to find ports. A second one is needed only if some other program takes a port within milliseconds.
const ATTEMPTS: usize = 5;

impl ClusterPlan {
    /// So many servers with so many groups, durability `fsync`, and small log files: those are filled with zeros ahead,
    /// which is wasted on a cluster that lives for seconds. Each group has a thread, also on a small machine.
    pub fn new(servers: u16, groups: u16) -> ClusterPlan {
        let engine = BTreeMap::from([("segment_mib", 1), ("threads", groups.into())]);
        ClusterPlan {
            servers,
            groups,
            durability: Durability::Fsync,
            reads: Reads::default(),
            first_level: None,
            network: None,
            engine,
            front: BTreeMap::new(),
        }
    }

    pub(super) fn servers(&self) -> u16 {
        self.servers
    }

    /// With a number that the files' section `[engine]` is to hold, like `snapshot_entries`.
    pub fn engine(mut self, key: &'static str, number: u64) -> ClusterPlan {
        self.engine.insert(key, number);
        self
    }

    /// With a setting that the section `[front]` is to hold, as TOML writes it.
    pub fn front(mut self, key: &'static str, value: &'static str) -> ClusterPlan {
        self.front.insert(key, value);
        self
    }

    /// With another durability.
    pub fn durability(mut self, durability: Durability) -> ClusterPlan {
        self.durability = durability;
        self
    }

    /// With another way to make sure that strong reads are fresh.
    pub fn reads(mut self, reads: Reads) -> ClusterPlan {
        self.reads = reads;
        self
    }

    /// Beginning at this level.
    pub fn first_level(mut self, level: u32) -> ClusterPlan {
        self.first_level = Some(level);
        self
    }

    /// In a network of its own, made for as many servers and groups, instead of on loopback. The threads that talk to the
    /// servers must be [where the clients are](Namespaces::enter), the one that starts them too.
    pub fn network(mut self, network: &Arc<Namespaces>) -> ClusterPlan {
        self.network = Some(Arc::clone(network));
        self
    }

    /// Starts all servers, and waits until each is ready.
    ///
    /// # Panics
    /// When they do not start.
    pub fn start(&self) -> Cluster {
        for _ in 0..ATTEMPTS {
            let mut cluster = self.prepare();
            for server in cluster.servers() {
                cluster.launch(server);
            }
            if cluster.servers().all(|server| cluster.becomes_ready(server)) {
                return cluster;
            }
        }
        panic!("found no ports for {self:?} in {ATTEMPTS} attempts");
    }

    /// Writes the servers' files, and starts none.
    ///
    /// # Panics
    /// When `niagara new-cluster` fails.
    pub fn prepare(&self) -> Cluster {
        let ports = PortBlock::take();
        let dir = tempfile::Builder::new().prefix("niagara-test-").tempdir().expect("a temporary directory");
        let output = Command::new(niagara())
            .arg("new-cluster")
            .args(["--servers", &self.servers.to_string(), "--groups", &self.groups.to_string()])
            .args(["--base-port", &ports.first().to_string(), "--durability", self.durability.name()])
            .arg("--dir")
            .arg(dir.path())
            .output()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", niagara().display()));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "niagara new-cluster: {}: {said}", output.status);
        let endpoints = (1..=self.servers).map(|server| self.endpoint(server, ports.first())).collect();
        let processes = (0..self.servers).map(|_| None).collect();
        let network = self.network.clone();
        let mut cluster =
            Cluster { endpoints, processes, dir, network, plan: self.clone(), ports: vec![ports] };
        for server in cluster.servers() {
            cluster.configure(server);
            if let Some(level) = self.first_level {
                cluster.set(server, "first_level", level);
            }
        }
        cluster.give_certificates();
        cluster.move_into_network();
        cluster
    }

    /// Of a server that comes, whose ports begin here.
    pub(super) fn endpoint_of_newcomer(&self, server: u64, first: u16) -> Endpoint {
        let place = self.endpoint(1, first);
        Endpoint { server, ..place }
    }

    /// The plan of ports that `niagara new-cluster` documents.
    fn endpoint(&self, server: u16, base: u16) -> Endpoint {
        let block = (self.groups + 3).next_multiple_of(10);
        let first = base + block * (server - 1);
        assert!(first + self.groups + 3 <= base + PortBlock::PORTS, "{self:?} needs a larger block of ports");
        let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Endpoint {
            server: server.into(),
            http: address(first),
            redis: address(first + 1),
            groups: (first + 2..first + 2 + self.groups).map(address).collect(),
            transfer: address(first + 2 + self.groups),
        }
    }
}

impl Cluster {
    /// Writes into a server's file what the plan says.
    pub(super) fn configure(&self, server: u64) {
        self.add_lines(server, "[engine]\n", &self.plan.engine);
        self.add_lines(server, "[front]\n", &self.plan.front);
        self.configure_reads(server, self.plan.reads);
    }

    /// Adds these lines to a section of a server's file.
    fn add_lines(&self, server: u64, section: &str, settings: &BTreeMap<&str, impl Display>) {
        let lines: String = settings.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        let path = self.config(server);
        let text = fs::read_to_string(&path).expect("the file was written");
        assert!(text.contains(section), "{} has no section {section}", path.display());
        let changed = text.replacen(section, &format!("{section}{lines}"), 1);
        fs::write(&path, changed).expect("the file can be written");
    }

    /// Sets in a server's file how strong reads are made sure to be fresh.
    pub fn configure_reads(&self, server: u64, reads: Reads) {
        self.set(server, "reads", format!("\"{reads}\""));
    }

    /// Sets what a server's file says of a key, the first of that name, as TOML writes it.
    ///
    /// # Panics
    /// When the file does not mention the key.
    pub fn set(&self, server: u64, key: &str, value: impl Display) {
        let path = self.config(server);
        let text = fs::read_to_string(&path).expect("new-cluster has written this file");
        let begin = format!("{key} = ");
        let is_it = |line: &&str| line.trim_start_matches("# ").starts_with(&begin);
        let before = text.lines().find(is_it).unwrap_or_else(|| panic!("the file explains `{key}`"));
        fs::write(&path, text.replacen(before, &format!("{begin}{value}"), 1))
            .expect("the file can be written");
    }

    /// Rewrites all addresses, which `niagara new-cluster` has put on loopback.
    fn move_into_network(&mut self) {
        if self.network.is_none() {
            return;
        }
        let inside: Vec<Endpoint> = self.endpoints.iter().map(Endpoint::inside).collect();
        for server in self.servers() {
            let path = self.config(server);
            let mut text = fs::read_to_string(&path).expect("new-cluster has written this file");
            for (from, to) in self.endpoints.iter().zip(&inside) {
                for (from, to) in from.addresses().zip(to.addresses()) {
                    text = text.replace(&format!("\"{from}\""), &format!("\"{to}\""));
                }
            }
            // The network is the cluster's own.
            text = text.replacen("\n# insecure = false\n", "\ninsecure = true\n", 1);
            assert!(
                !text.contains(&Ipv4Addr::LOCALHOST.to_string()),
                "an address of {} is left",
                path.display()
            );
            fs::write(&path, text).expect("the file can be written");
        }
        self.endpoints = inside;
    }
}
