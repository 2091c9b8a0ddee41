//! Replicas that are started, killed and compared.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use niagara_client::Cluster;
use niagara_engine::Config;
use niagara_kvstore::FrontEndConfig;
use niagara_kvstore::server::{Server, ServerConfig};

use crate::Failure;
use crate::order::Order;
use crate::replica::{MARK, Replica};

/// How long replicas run before the next one is killed.
const BETWEEN_KILLS: Duration = Duration::from_millis(150);

/// What is to be done.
#[derive(Debug)]
pub struct Experiment {
    /// The servers, unless they are to run here.
    at: Option<String>,
    replicas: usize,
    /// Of each replica.
    operations: u64,
    kills: usize,
}

impl Experiment {
    pub fn parse(arguments: &[String]) -> Result<Experiment, Failure> {
        let mut experiment = Experiment { at: None, replicas: 3, operations: 20, kills: 0 };
        for pair in arguments.chunks(2) {
            let [name, value] = pair else { return Err(format!("{} has no value", pair[0]).into()) };
            match name.as_str() {
                "--at" => experiment.at = Some(value.clone()),
                "--replicas" => experiment.replicas = value.parse()?,
                "--operations" => experiment.operations = value.parse()?,
                "--kills" => experiment.kills = value.parse()?,
                _ => return Err(format!("{name} is unknown").into()),
            }
        }
        if !(1..=15).contains(&experiment.replicas) {
            return Err("there may be 1 to 15 replicas".into());
        }
        Ok(experiment)
    }

    /// Runs it. Returns whether all counters are equal in the end.
    pub fn run(&self) -> Result<bool, Failure> {
        let servers = if self.at.is_none() { start_servers()? } else { Vec::new() };
        let urls = servers.iter().map(|server| format!("http://{}", server.http_addr()));
        let at = self.at.clone().unwrap_or_else(|| urls.collect::<Vec<_>>().join(","));
        let are_equal = self.run_at(&at);
        servers.into_iter().for_each(Server::stop);
        are_equal
    }

    fn run_at(&self, at: &str) -> Result<bool, Failure> {
        let start = |number: usize| Process::start(&rotated(at, number), self.operations);
        let mut replicas = (0..self.replicas).map(start).collect::<Result<Vec<_>, _>>()?;
        for kill in 0..self.kills {
            thread::sleep(BETWEEN_KILLS);
            let number = kill % self.replicas;
            replicas[number].kill()?;
            replicas[number] = start(number)?;
            println!("replica {number} is killed, and another one begins in its place");
        }
        for replica in &mut replicas {
            let said = replica.hear()?;
            if said != "done" {
                return Err(format!("a replica said {said:?}").into());
            }
        }
        let order = Order::new(at.parse::<Cluster>()?);
        let (end, all) = (order.len()?, order.read()?);
        let has_all = all.iter().map(|ordered| ordered.number).eq(0..end);
        let mut expected = Replica::default();
        all.into_iter().for_each(|ordered| expected.learn(ordered));
        println!("{end} operations, one behind the other: {}", expected.counter());
        let mut are_equal = has_all;
        for (number, replica) in replicas.iter_mut().enumerate() {
            let counter: u64 = replica.finish(end)?.parse()?;
            println!("replica {number}: {counter}");
            are_equal &= counter == expected.counter();
        }
        println!("{}", if are_equal { "all counters are equal" } else { "THE COUNTERS DIFFER" });
        Ok(are_equal)
    }
}

/// The addresses, beginning with another one for each replica.
fn rotated(at: &str, number: usize) -> String {
    let mut urls: Vec<&str> = at.split(',').collect();
    let count = urls.len();
    urls.rotate_left(number % count);
    urls.join(",")
}

/// Three servers in this process, with their state in memory.
fn start_servers() -> Result<Vec<Server>, Failure> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let configs = Config::local(3, 2)?;
    let start = |engine| {
        let front = FrontEndConfig { http: any, redis: any, threads: 1, ..FrontEndConfig::default() };
        Server::start(ServerConfig { engine, front, peer_tls: None })
    };
    Ok(configs.into_iter().map(start).collect::<Result<_, _>>()?)
}

/// The process of a replica, which ends with this.
struct Process {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Process {
    fn start(at: &str, operations: u64) -> Result<Process, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([MARK, at, &operations.to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let said = BufReader::new(child.stdout.take().ok_or("its output is a pipe")?);
        Ok(Process { child, said })
    }

    /// Kills it, in the middle of whatever it does.
    fn kill(&mut self) -> Result<(), Failure> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn hear(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        self.said.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// Tells it how many operations there are. Returns its counter behind these.
    fn finish(&mut self, end: u64) -> Result<String, Failure> {
        let input = self.child.stdin.as_mut().ok_or("its input is a pipe")?;
        writeln!(input, "{end}")?;
        let counter = self.hear()?;
        self.child.wait()?;
        Ok(counter)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
