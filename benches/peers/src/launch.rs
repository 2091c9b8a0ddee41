//! The replicas of a crate, as the tool sees them: three processes that it starts, listens to, and ends.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use niagara_measure::GuardedChild;

use crate::control::{Event, Order};
use crate::work::{Peer, PeerWork, REPLICAS};

/// Running replicas.
pub struct Replicas {
    processes: Vec<GuardedChild>,
    orders: Vec<ChildStdin>,
    events: Receiver<(usize, Event)>,
}

impl Replicas {
    /// Starts them, and makes them known to each other.
    ///
    /// # Errors
    /// When one of them cannot start.
    pub fn start(peer: Peer, work: &PeerWork, dir: &Path) -> Result<Replicas> {
        let (sender, events) = mpsc::channel();
        let mut replicas = Replicas { processes: Vec::new(), orders: Vec::new(), events };
        for replica in 0..REPLICAS {
            let mut process = GuardedChild::from(spawn(peer, work, dir, replica)?);
            let output = process.stdout.take().context("a replica has no standard output")?;
            let sender = sender.clone();
            thread::spawn(move || listen(replica, output, &sender));
            replicas.orders.push(process.stdin.take().context("a replica has no standard input")?);
            replicas.processes.push(process);
        }
        let addresses = replicas.of_each(|event| match event {
            Event::Listening(address) => Some(address),
            _ => None,
        })?;
        replicas.order(&Order::Connect(addresses))?;
        Ok(replicas)
    }

    /// Their processes.
    pub fn ids(&self) -> Vec<u32> {
        self.processes.iter().map(|process| process.id()).collect()
    }

    /// Tells all of them.
    ///
    /// # Errors
    /// When one of them is gone.
    pub fn order(&mut self, order: &Order) -> Result<()> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        for orders in &mut self.orders {
            orders.write_all(&line).context("a replica is gone")?;
        }
        Ok(())
    }

    /// Waits until one of them says what is waited for; all else is passed over, but for failures.
    ///
    /// # Errors
    /// When a replica fails, or the time is over.
    pub fn await_one<T>(&self, patience: Duration, mut wanted: impl FnMut(Event) -> Option<T>) -> Result<T> {
        let end = Instant::now() + patience;
        loop {
            let (_, event) = self.next(end)?;
            if let Some(value) = wanted(event) {
                return Ok(value);
            }
        }
    }

    /// Waits until each of them has said what is waited for.
    ///
    /// # Errors
    /// As [`await_one`](Self::await_one).
    pub fn of_each<T>(&self, wanted: impl Fn(Event) -> Option<T>) -> Result<Vec<T>> {
        let end = Instant::now() + Duration::from_secs(10);
        let mut values: Vec<Option<T>> = (0..REPLICAS).map(|_| None).collect();
        while values.iter().any(Option::is_none) {
            let (replica, event) = self.next(end)?;
            if let Some(value) = wanted(event) {
                values[replica] = Some(value);
            }
        }
        Ok(values.into_iter().flatten().collect())
    }

    fn next(&self, end: Instant) -> Result<(usize, Event)> {
        match self.events.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok((replica, Event::Failed(why))) => bail!(self.failures(replica, &why)),
            Ok(event) => Ok(event),
            Err(RecvTimeoutError::Timeout) => bail!("the replicas make no progress"),
            Err(RecvTimeoutError::Disconnected) => bail!("all replicas are gone"),
        }
    }

    /// All that has failed. One failure brings others, and it is not always the first one that is heard first.
    fn failures(&self, replica: usize, why: &str) -> String {
        let mut failures = vec![format!("replica {}: {why}", replica + 1)];
        while let Ok((replica, event)) = self.events.recv_timeout(Duration::from_millis(200)) {
            if let Event::Failed(why) = event {
                failures.push(format!("replica {}: {why}", replica + 1));
            }
        }
        failures.join("; ")
    }
}

fn spawn(peer: Peer, work: &PeerWork, dir: &Path, replica: usize) -> Result<Child> {
    let binary = std::env::current_exe().context("cannot find this program")?;
    Command::new(binary)
        .args(["node", &peer.to_string(), "--id", &(replica + 1).to_string()])
        .args(["--payload", &work.payload.to_string(), "--durability", &work.durability.to_string()])
        .args(["--in-flight", &work.in_flight.to_string(), "--seconds", &work.seconds.to_string()])
        .arg("--dir")
        .arg(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start a replica")
}

/// Hands on what a replica says, and that it ended.
fn listen(replica: usize, output: ChildStdout, events: &Sender<(usize, Event)>) {
    let failed = |why: String| Event::Failed(why);
    for line in BufReader::new(output).lines() {
        let event = match line {
            Ok(line) => serde_json::from_str(&line).unwrap_or_else(|_| failed(format!("said {line:?}"))),
            Err(error) => failed(error.to_string()),
        };
        // Nobody listens any more once the measurement is over.
        let _ = events.send((replica, event));
    }
    let _ = events.send((replica, failed("its process has ended".to_owned())));
}
