//! The servers' processes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use niagara_etcd::ServerUrls;
use niagara_measure::{GuardedChild, find_program, free_addresses, last_lines};

use crate::work::{Durability, PeerWork, REPLICAS};

/// Running servers.
pub struct Servers {
    processes: Vec<GuardedChild>,
    clients: Vec<String>,
    dir: PathBuf,
}

/// The program, and its version; none if there is none.
///
/// # Errors
/// When it cannot be run.
pub fn find() -> Result<Option<(PathBuf, String)>> {
    let Some(program) = find_program("etcd") else { return Ok(None) };
    let output = Command::new(&program).arg("--version").output().context("cannot run etcd")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.lines().find_map(|line| line.strip_prefix("etcd Version: "));
    let version = version.context("etcd --version does not tell a version")?.trim().to_owned();
    Ok(Some((program, version)))
}

impl Servers {
    /// Starts them, with data and what they log below a directory.
    ///
    /// # Errors
    /// When one of them cannot start.
    pub fn start(program: &Path, work: &PeerWork, dir: &Path) -> Result<Servers> {
        let addresses = free_addresses(2 * REPLICAS).context("cannot listen")?;
        let clients: Vec<String> = addresses[..REPLICAS].iter().map(ToString::to_string).collect();
        let urls = addresses[..REPLICAS].iter().zip(&addresses[REPLICAS..]).map(|(clients, peers)| {
            ServerUrls { clients: format!("http://{clients}"), peers: format!("http://{peers}") }
        });
        let urls: Vec<ServerUrls> = urls.collect();
        let mut servers = Servers { processes: Vec::new(), clients, dir: dir.to_owned() };
        for at in 0..REPLICAS {
            let data = dir.join(format!("server-{}", at + 1));
            fs::create_dir(&data).with_context(|| format!("cannot create {}", data.display()))?;
            let path = servers.log(at);
            let log = File::create_new(&path).with_context(|| format!("cannot create {}", path.display()))?;
            let mut command = Command::new(program);
            niagara_etcd::configure(&mut command, &urls, at, &data, work.durability == Durability::Fsync);
            command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
            servers.processes.push(command.spawn().context("cannot start etcd")?.into());
        }
        Ok(servers)
    }

    /// Their processes.
    pub fn ids(&self) -> Vec<u32> {
        self.processes.iter().map(|process| process.id()).collect()
    }

    /// Where they take requests: hosts and ports.
    pub fn clients(&self) -> &[String] {
        &self.clients
    }

    /// The last lines that each of them has logged, for the one who wants to know why it does not work.
    pub fn last_words(&self) -> String {
        let words = |at| format!("\nserver {}: {}", at + 1, last_lines(&self.log(at), 3));
        (0..REPLICAS).map(words).collect()
    }

    fn log(&self, at: usize) -> PathBuf {
        self.dir.join(format!("server-{}.log", at + 1))
    }
}
