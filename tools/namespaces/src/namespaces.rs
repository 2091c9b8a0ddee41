//! Makes the namespaces of a network, and removes them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::panic;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;

use rustix::process::{Pid, Signal, geteuid, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::layout::{Host, Subnet};
use crate::link::{Link, neighbour};
use crate::{NetworkError, tool};

/// Begins the name of each namespace; then come the process that made it, a number, and whose it is.
const PREFIX: &str = "niagara-net-";
/// Where `ip` keeps namespaces that have names.
const DIRECTORY: &str = "/run/netns";
/// The end of the name of the namespace that holds the bridges.
const SWITCH: &str = "switch";

/// The namespaces of one cluster. Dropping this removes them; what a killed process has left is removed when the next one
/// makes some.
///
/// ```no_run
/// use niagara_namespaces::{Host, Namespaces, Subnet};
///
/// let network = Namespaces::create(3, 4).unwrap();
/// network.enter(Host::Clients).unwrap();
/// // From now on this thread, and the threads that it starts, are where the clients are.
/// network.cut(Subnet::Link(2), Host::Server(1), Host::Server(3)).unwrap();
/// network.heal().unwrap();
/// ```
#[derive(Debug)]
pub struct Namespaces {
    prefix: String,
    servers: u64,
    links: u16,
    /// Whether clients reach the servers over all links, too.
    clients_on_links: bool,
    /// How many faults cut each link in that direction: two faults may cut the same one.
    pub(super) cuts: Mutex<BTreeMap<Link, usize>>,
}

impl Namespaces {
    /// Makes the network of a cluster, with a link for each group.
    ///
    /// # Errors
    /// When that is impossible here: without root's rights, or without the program `ip`. The text says what is missing.
    pub fn create(servers: u16, links: u16) -> Result<Namespaces, NetworkError> {
        Self::make(servers, links, false)
    }

    /// Makes a network in which clients reach the servers over every link, too, as they do in a cluster whose uplinks serve
    /// both.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_with_clients_on_links(servers: u16, links: u16) -> Result<Namespaces, NetworkError> {
        Self::make(servers, links, true)
    }

    fn make(servers: u16, links: u16, clients_on_links: bool) -> Result<Namespaces, NetworkError> {
        if !geteuid().is_root() {
            return Err(NetworkError("network namespaces need root's rights".into()));
        }
        remove_leftovers()?;
        static NETWORKS: AtomicU32 = AtomicU32::new(1);
        let prefix = format!("{PREFIX}{}-{}-", process::id(), NETWORKS.fetch_add(1, Relaxed));
        // What has been made when something fails is removed by dropping this.
        let servers = servers.into();
        let network = Namespaces { prefix, servers, links, clients_on_links, cuts: Mutex::default() };
        network.build()?;
        Ok(network)
    }

    /// What the names of its namespaces begin with, and no others'.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// All servers.
    pub fn servers(&self) -> impl Iterator<Item = Host> + use<> {
        (1..=self.servers).map(Host::Server)
    }

    /// The subnets of all links.
    pub fn links(&self) -> impl Iterator<Item = Subnet> + use<> {
        (1..=self.links).map(Subnet::Link)
    }

    /// Moves the calling thread into a host's namespace; threads and processes that it starts from then on begin there.
    pub fn enter(&self, host: Host) -> Result<(), NetworkError> {
        let path = Path::new(DIRECTORY).join(self.namespace(host));
        let enter = || {
            let file = File::open(&path)?;
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(())
        };
        enter().map_err(|error: io::Error| NetworkError(format!("{}: {error}", path.display())))
    }

    /// Does something on a thread of its own in a host's namespace: what is connected to, listened at or started there stays
    /// there, and the calling thread stays where it is.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    ///
    /// # Panics
    /// When the task does.
    pub fn inside<T: Send>(&self, host: Host, task: impl FnOnce() -> T + Send) -> Result<T, NetworkError> {
        let enter_and_run = || self.enter(host).map(|()| task());
        thread::scope(|scope| scope.spawn(enter_and_run).join())
            .unwrap_or_else(|panicked| panic::resume_unwind(panicked))
    }

    pub(super) fn namespace(&self, host: Host) -> String {
        format!("{}{}", self.prefix, host.suffix())
    }

    fn hosts(&self) -> impl Iterator<Item = Host> + use<> {
        self.servers().chain([Host::Clients])
    }

    /// Who is in a subnet.
    pub(super) fn members(&self, subnet: Subnet) -> Vec<Host> {
        match subnet {
            Subnet::Link(_) if !self.clients_on_links => self.servers().collect(),
            Subnet::Clients | Subnet::Link(_) => self.hosts().collect(),
        }
    }

    fn subnets(&self) -> impl Iterator<Item = Subnet> + use<> {
        self.links().chain([Subnet::Clients])
    }

    fn build(&self) -> Result<(), NetworkError> {
        let switch = format!("{}{SWITCH}", self.prefix);
        tool::run("ip", &["netns", "add", &switch])?;
        for host in self.hosts() {
            tool::run("ip", &["netns", "add", &self.namespace(host)])?;
        }
        let lines: Vec<String> = self.subnets().flat_map(|subnet| self.switch_lines(subnet)).collect();
        tool::batch("ip", &switch, &lines)?;
        self.hosts().try_for_each(|host| tool::batch("ip", &self.namespace(host), &self.host_lines(host)))
    }

    /// Makes a subnet's bridge, and a cable from it to each host.
    fn switch_lines(&self, subnet: Subnet) -> Vec<String> {
        let bridge = subnet.device();
        let mut lines = vec![format!("link add {bridge} type bridge"), format!("link set {bridge} up")];
        for host in self.members(subnet) {
            let (port, namespace) = (subnet.port(host), self.namespace(host));
            lines.push(format!("link add {port} type veth peer name {bridge}-end netns {namespace}"));
            lines.push(format!("link set {port} master {bridge} up"));
        }
        lines
    }

    /// Gives a host its addresses, and those of the others.
    fn host_lines(&self, host: Host) -> Vec<String> {
        let mut lines = vec!["link set lo up".to_owned()];
        for subnet in self.subnets().filter(|subnet| self.members(*subnet).contains(&host)) {
            let device = subnet.device();
            lines.push(format!("link set {device}-end name {device} address {} up", subnet.ethernet(host)));
            lines.push(format!("addr add {}/24 dev {device}", subnet.address(host)));
            for other in self.members(subnet).into_iter().filter(|other| *other != host) {
                lines.push(neighbour(subnet, other, &subnet.ethernet(other)));
            }
        }
        lines
    }

    /// Removes all that this process has made, with what runs in it. For a process that is about to end without
    /// dropping anything.
    pub fn remove_all_of_this_process() {
        remove_those_of(|owner| owner == process::id());
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in names().into_iter().filter(|name| name.starts_with(&self.prefix)) {
            remove(&name);
        }
    }
}

/// Removes the namespaces of processes that are gone, and ends the servers that still run in them.
///
/// # Errors
/// When there is no program `ip`.
pub fn remove_leftovers() -> Result<(), NetworkError> {
    // Asked for its answer only: without this program nothing else can work.
    tool::run("ip", &["netns", "list"])?;
    remove_those_of(|owner| !Path::new("/proc").join(owner.to_string()).exists());
    Ok(())
}

fn remove_those_of(condemned: impl Fn(u32) -> bool) {
    for name in names() {
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()?.parse().ok());
        if owner.is_some_and(&condemned) {
            remove(&name);
        }
    }
}

fn names() -> Vec<String> {
    let entries = PathBuf::from(DIRECTORY).read_dir().into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// What fails here is tried again by the next process that makes namespaces.
fn remove(name: &str) {
    for pid in tool::run("ip", &["netns", "pids", name]).unwrap_or_default().lines() {
        // The process that cleans up may have entered this very namespace.
        let pid = pid.trim().parse().ok().filter(|pid| *pid != process::id().cast_signed());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    let _ = tool::run("ip", &["netns", "del", name]);
}
