//! Servers of etcd, as measurements start them.

use std::env;
use std::path::Path;
use std::process::Command;

/// Where a server takes requests, as URLs.
#[derive(Clone, Debug)]
pub struct ServerUrls {
    /// From clients.
    pub clients: String,
    /// From other servers.
    pub peers: String,
}

/// Makes a command that starts etcd the one for server number `at` of a new cluster, with its data below a directory. Without
/// `syncs`, an acknowledged write survives killed processes at most.
pub fn configure(command: &mut Command, cluster: &[ServerUrls], at: usize, data: &Path, syncs: bool) {
    let name = |at: usize| format!("server-{}", at + 1);
    let peers = cluster.iter().enumerate().map(|(at, urls)| format!("{}={}", name(at), urls.peers));
    let peers = peers.collect::<Vec<_>>().join(",");
    let ServerUrls { clients: own_clients, peers: own_peers } = &cluster[at];
    command.arg("--name").arg(name(at)).arg("--data-dir").arg(data.join("data"));
    command.args(["--listen-client-urls", own_clients, "--advertise-client-urls", own_clients]);
    command.args(["--listen-peer-urls", own_peers, "--initial-advertise-peer-urls", own_peers]);
    command.args(["--initial-cluster", &peers, "--initial-cluster-state", "new"]);
    command.args(["--logger", "zap", "--log-level", "error"]);
    // A machine that all servers share may not run one of them for a while: that is no reason for an election.
    command.args(["--heartbeat-interval", "300", "--election-timeout", "3000"]);
    // The largest that etcd recommends: a run must not end because all revisions are kept.
    command.args(["--quota-backend-bytes", &(8_u64 << 30).to_string()]);
    if !syncs {
        command.arg("--unsafe-no-fsync");
    }
    // What the user's environment says is for the user's own servers.
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ETCD_")) {
        command.env_remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_know_each_other_and_themselves() {
        let urls =
            |port: u16| ServerUrls { clients: format!("http://c:{port}"), peers: format!("http://p:{port}") };
        let mut command = Command::new("etcd");
        configure(&mut command, &[urls(1), urls(2)], 1, Path::new("/d"), false);
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        let words = words.join(" ");
        for part in [
            "--name server-2 --data-dir /d/data --listen-client-urls http://c:2",
            "--initial-cluster server-1=http://p:1,server-2=http://p:2 ",
            "--unsafe-no-fsync",
        ] {
            assert!(words.contains(part), "{words}");
        }
    }
}
