//! Servers that come while others run.

use std::process::Command;

use super::Cluster;
use crate::binary::niagara;
use crate::ports::PortBlock;

impl Cluster {
    /// Writes the file of a server that is to join, as its operator would, and returns its id. [`launch`](Self::launch) starts it;
    /// it waits until it is a member.
    ///
    /// # Panics
    /// When `niagara new-member` fails, or the cluster has a network of its own.
    pub fn new_member(&mut self) -> u64 {
        assert!(self.network.is_none(), "namespaces are made for the servers of the beginning");
        let ports = PortBlock::take();
        let server = self.endpoints.len() as u64 + 1;
        let output = Command::new(niagara())
            .args(["new-member", "--id", &server.to_string(), "--base-port", &ports.first().to_string()])
            .args(["--at", &self.urls(), "--dir"])
            .arg(self.dir())
            .output()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", niagara().display()));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "niagara new-member: {}: {said}", output.status);
        self.endpoints.push(self.plan.endpoint_of_newcomer(server, ports.first()));
        self.processes.push(None);
        self.ports.push(ports);
        self.configure(server);
        self.give_certificate(server);
        server
    }

    /// Where the running servers can be asked over HTTP, as the option `--at` takes it.
    pub fn urls(&self) -> String {
        let running = self.servers().filter(|server| self.runs(*server));
        let urls = running.map(|server| format!("http://{}", self.endpoint(server).http));
        urls.collect::<Vec<_>>().join(",")
    }

    /// What `niagara serve` is started with, beside a server's file.
    pub(super) fn options_of(&self, server: u64) -> Vec<String> {
        let was_there_first = server <= self.plan.servers().into();
        if was_there_first { Vec::new() } else { vec!["--join".to_owned(), self.urls()] }
    }

    /// Waits until a server that has left has stopped by itself, cleanly.
    ///
    /// # Panics
    /// When it does not.
    pub fn await_departure(&mut self, server: u64) {
        let mut process = self.take(server);
        let status = process.await_exit();
        assert!(status.success(), "server {server} has left with {status}; its log:\n{}", process.log());
    }
}
