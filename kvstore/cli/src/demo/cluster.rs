//! The demo's servers, in this process, on free ports.

use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, thread};

use niagara_engine::{Consistency, Pinning, Status};
use niagara_kvstore::config::{Plan, PlannedServer, Protection};
use niagara_kvstore::server::{Server, ServerError};

use super::arguments::DemoArgs;
use crate::failure::Failure;
use crate::new_cluster::{random_cluster, write_files};
use crate::serve;

/// Another process may take a port after we found it free and before we use it, but not this often in a row.
const ATTEMPTS: usize = 5;
/// Elections take well below a second, and a few seconds on a very busy machine.
const READY_WITHIN: Duration = Duration::from_secs(60);

pub struct Cluster {
    servers: Vec<Server>,
}

impl Cluster {
    /// Writes the servers' configuration files into a directory, and starts all servers from them.
    pub fn start(arguments: &DemoArgs, dir: &Path) -> Result<Cluster, Failure> {
        let cluster = random_cluster()?;
        for _ in 1..ATTEMPTS {
            let plan = plan(arguments, cluster)?;
            match Self::start_plan(&plan, dir)? {
                Ok(cluster) => return Ok(cluster),
                Err(_in_use) => remove_files(&plan, dir)?,
            }
        }
        let plan = plan(arguments, cluster)?;
        Self::start_plan(&plan, dir)?.map_err(|error| start_failure(&error))
    }

    /// Starts all servers of a plan. The inner error means that another process has taken a port.
    fn start_plan(plan: &Plan, dir: &Path) -> Result<Result<Cluster, ServerError>, Failure> {
        write_files(plan, dir)?;
        let mut cluster = Cluster { servers: Vec::new() };
        for planned in &plan.servers {
            let mut config = serve::read(&dir.join(Plan::file_name(planned.server)))?;
            // Each server would bind its groups to the same cores as the others.
            config.engine.pinning = Pinning::Off;
            match Server::start(config) {
                Ok(server) => {
                    server.client().register_metrics(niagara_logging::register);
                    cluster.servers.push(server);
                }
                Err(error) => {
                    cluster.stop();
                    return if error.is_address_in_use() {
                        Ok(Err(error))
                    } else {
                        Err(start_failure(&error))
                    };
                }
            }
        }
        Ok(Ok(cluster))
    }

    /// The servers, in order of their ids.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The status of each server.
    pub fn statuses(&self) -> Vec<Status> {
        self.servers.iter().map(|server| server.client().status()).collect()
    }

    /// Waits until every server knows a leader of every group and answers a strong read.
    pub fn wait_until_ready(&self, interrupted: &dyn Fn() -> bool) -> Result<(), Failure> {
        let start = Instant::now();
        let is_ready = |server: &Server| {
            server.client().has_quorum() && server.client().read(Consistency::Strong).wait().is_ok()
        };
        while !self.servers.iter().all(is_ready) {
            if interrupted() {
                return Err(Failure::new("interrupted before all groups had leaders", "run it again"));
            }
            if start.elapsed() > READY_WITHIN {
                let what = format!("not all groups have a leader after {} s", READY_WITHIN.as_secs());
                return Err(Failure::new(
                    what,
                    "is the machine very busy? NIAGARA_LOG=debug shows what happens",
                ));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Stops each server cleanly.
    pub fn stop(self) {
        for server in self.servers {
            server.stop();
        }
    }
}

fn start_failure(error: &ServerError) -> Failure {
    Failure::new(format!("the demo's servers cannot start: {error}"), "NIAGARA_LOG=debug shows what happens")
}

/// A cluster on ports that are free now.
fn plan(arguments: &DemoArgs, cluster: u128) -> Result<Plan, Failure> {
    let DemoArgs { servers, groups, durability, .. } = *arguments;
    let servers = PlannedServer::on_free_ports(servers, groups).map_err(|error| {
        Failure::new(format!("cannot find free ports on 127.0.0.1: {error}"), "use fewer servers or groups")
    })?;
    Ok(Plan { cluster, groups, durability, servers, protection: Protection::default(), joins: false })
}

/// Removes what a failed start left, for the next attempt.
fn remove_files(plan: &Plan, dir: &Path) -> Result<(), Failure> {
    for planned in &plan.servers {
        let data = dir.join(Plan::data_dir(planned.server));
        let removed = fs::remove_file(dir.join(Plan::file_name(planned.server)))
            .and_then(|()| if data.exists() { fs::remove_dir_all(&data) } else { Ok(()) });
        removed.map_err(|error| {
            Failure::new(
                format!("cannot clean up {}: {error}", dir.display()),
                "name another directory with --dir",
            )
        })?;
    }
    Ok(())
}
