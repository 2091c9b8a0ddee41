//! The servers' processes.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

use crate::launch::Killed;
use crate::plan::{Durability, Plan, REPLICAS};

/// Running servers.
pub struct Servers {
    processes: Vec<Killed>,
    clients: Vec<String>,
    dir: PathBuf,
}

/// Where etcd is looked for: on PATH first, then where packages and people put it.
const PROGRAMS: [&str; 4] = ["etcd", "/usr/bin/etcd", "/usr/local/bin/etcd", "/opt/etcd/etcd"];

/// The program, and its version; none if there is none.
///
/// # Errors
/// When it cannot be run.
pub fn find() -> Result<Option<(&'static str, String)>> {
    for program in PROGRAMS {
        match Command::new(program).arg("--version").output() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            output => return Ok(Some((program, version(&output.context("cannot run etcd")?)?))),
        }
    }
    Ok(None)
}

fn version(output: &Output) -> Result<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.lines().find_map(|line| line.strip_prefix("etcd Version: "));
    Ok(version.context("etcd --version does not tell a version")?.trim().to_owned())
}

impl Servers {
    /// Starts them, with data and what they log below a directory.
    ///
    /// # Errors
    /// When one of them cannot start.
    pub fn start(program: &str, plan: &Plan, dir: &Path) -> Result<Servers> {
        let ports = free_ports(2 * REPLICAS)?;
        let url = |port: &u16| format!("http://127.0.0.1:{port}");
        let clients: Vec<String> = ports[..REPLICAS].iter().map(url).collect();
        let peers: Vec<String> = ports[REPLICAS..].iter().map(url).collect();
        let cluster: Vec<String> =
            (1..).zip(&peers).map(|(id, peer)| format!("server-{id}={peer}")).collect();
        let cluster = cluster.join(",");
        let mut servers = Servers { processes: Vec::new(), clients, dir: dir.to_owned() };
        for (id, (client, peer)) in (1..).zip(servers.clients.iter().zip(&peers)) {
            let mut command = command(program, plan, dir, id)?;
            command.args(["--listen-client-urls", client, "--advertise-client-urls", client]);
            command.args(["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]);
            command.args(["--initial-cluster", &cluster]);
            servers.processes.push(Killed(command.spawn().context("cannot start etcd")?));
        }
        Ok(servers)
    }

    /// Their processes.
    pub fn ids(&self) -> Vec<u32> {
        self.processes.iter().map(|process| process.0.id()).collect()
    }

    /// Where they take requests.
    pub fn clients(&self) -> &[String] {
        &self.clients
    }

    /// The last lines that each of them has logged, for the one who wants to know why it does not work.
    pub fn last_words(&self) -> String {
        let mut words = String::new();
        for id in 1..=REPLICAS {
            let log = fs::read_to_string(log_path(&self.dir, id)).unwrap_or_default();
            for line in log.lines().rev().take(3) {
                words.push_str(&format!("\nserver {id}: {line}"));
            }
        }
        words
    }
}

fn command(program: &str, plan: &Plan, dir: &Path, id: usize) -> Result<Command> {
    let path = log_path(dir, id);
    let log = File::create_new(&path).with_context(|| format!("cannot create {}", path.display()))?;
    let mut command = Command::new(program);
    command.args(["--name", &format!("server-{id}"), "--data-dir"]).arg(dir.join(format!("data-{id}")));
    command.args(["--initial-cluster-state", "new", "--logger", "zap", "--log-level", "error"]);
    // Elections take their time, since a busy machine may not run a server for a while.
    command.args(["--heartbeat-interval", "300", "--election-timeout", "3000"]);
    // The largest that etcd recommends: a run must not end because all revisions are kept.
    command.args(["--quota-backend-bytes", &(8_u64 << 30).to_string()]);
    if plan.durability == Durability::Memory {
        command.arg("--unsafe-no-fsync");
    }
    // What the environment of the user sets is for the user's own servers.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ETCD_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok(command)
}

fn log_path(dir: &Path, id: usize) -> PathBuf {
    dir.join(format!("server-{id}.log"))
}

/// Ports that nobody listens on at this moment: etcd cannot choose them by itself.
fn free_ports(count: usize) -> Result<Vec<u16>> {
    let listeners: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0"))
        .collect::<Result<_, _>>()
        .context("cannot listen")?;
    let ports: Vec<u16> =
        listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect::<Result<_>>()?;
    if ports.len() != count {
        bail!("{} ports instead of {count}", ports.len());
    }
    Ok(ports)
}
