//! Clusters whose servers speak TLS with each other: those of all tests, if the environment variable
//! `NIAGARA_TEST_PEER_TLS` is set.

use std::fs;
use std::process::Command;

use super::Cluster;
use crate::binary::niagara;

impl Cluster {
    /// Whether the servers of all tests prove to each other by certificates who they are: who has none, or a wrong one, is refused
    /// before the greeting.
    pub fn have_certificates() -> bool {
        std::env::var_os("NIAGARA_TEST_PEER_TLS").is_some()
    }

    /// Makes certificates for the servers, if tests are to run with them, and switches the files' section on.
    pub(super) fn give_certificates(&self) {
        if !Cluster::have_certificates() {
            return;
        }
        let dir = self.dir.path().join("certificates");
        let run = |arguments: &[&str]| {
            let command = ["certificates", arguments[0], "--dir", dir.to_str().expect("a path in UTF-8")];
            let output = Command::new(niagara()).args(command).args(&arguments[1..]).output();
            let output = output.expect("niagara can be run");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        run(&["new-ca"]);
        for server in self.servers() {
            let path = self.config(server);
            let config = path.to_str().expect("a path in UTF-8");
            run(&["issue", "--name", &format!("server-{server}"), "--config", config]);
            let text = fs::read_to_string(&path).expect("new-cluster has written this file");
            let (before, section) = text.split_once("# [peer_tls]").expect("the file explains it");
            let section = section.replace("\n# ", "\n");
            fs::write(&path, format!("{before}[peer_tls]{section}")).expect("the file can be written");
        }
    }
}
