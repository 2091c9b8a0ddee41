//! How this program starts itself again, as a server.

use std::env;
use std::io;
use std::process::Command;

/// The words behind this program's own name that lead to the commands of `niagara-load`.
#[derive(Clone, Debug)]
pub struct Route(Vec<String>);

impl Route {
    /// From the name by which whoever types calls those commands: this program's, and the words.
    pub fn named(name: &str) -> Route {
        Route(name.split_whitespace().skip(1).map(str::to_owned).collect())
    }

    /// Starts this binary as one server of the cluster.
    pub(super) fn command(&self) -> io::Result<Command> {
        let mut command = Command::new(env::current_exe()?);
        command.args(&self.0).arg("append-server");
        Ok(command)
    }
}
