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
        self.run_certificates("new-ca", &[]);
        self.servers().for_each(|server| self.give_certificate(server));
    }

    /// Makes a server's certificate, if tests are to run with them, and switches its file's section on.
    pub(super) fn give_certificate(&self, server: u64) {
        if !Cluster::have_certificates() {
            return;
        }
        let path = self.config(server);
        let config = path.to_str().expect("a path in UTF-8");
        self.run_certificates("issue", &["--name", &format!("server-{server}"), "--config", config]);
        let text = fs::read_to_string(&path).expect("the file was written");
        let (before, section) = text.split_once("# [peer_tls]").expect("the file explains it");
        let section = section.replace("\n# ", "\n");
        fs::write(&path, format!("{before}[peer_tls]{section}")).expect("the file can be written");
    }

    fn run_certificates(&self, what: &str, options: &[&str]) {
        let dir = self.dir.path().join("certificates");
        let output =
            Command::new(niagara()).args(["certificates", what, "--dir"]).arg(dir).args(options).output();
        let output = output.expect("niagara can be run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
