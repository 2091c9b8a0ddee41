//! How a replica's process and the tool talk: lines of JSON, on the process's standard input and output.

use std::io::{self, BufRead, Write};
use std::net::SocketAddr;
use std::process;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::tally::{SharedTally, Tally};
use crate::window::{Loaded, Window};

/// What the tool tells a replica.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Where all replicas listen, in the order of their numbers.
    Connect(Vec<SocketAddr>),
    /// To say what it has applied.
    Tally,
}

/// What a replica tells the tool.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// It listens there.
    Listening(SocketAddr),
    /// The window has opened,
    Opened,
    /// and closed.
    Closed,
    /// All that the leader's load has proposed is complete.
    Loaded(Loaded),
    /// An answer to [`Order::Tally`].
    Applied(Tally),
    /// It cannot go on.
    Failed(String),
}

/// Tells the tool.
///
/// # Errors
/// When the tool is gone.
pub fn say(event: &Event) -> Result<()> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line).and_then(|()| out.flush()).context("cannot talk to the tool")
}

/// Waits for the addresses of all replicas.
///
/// # Errors
/// When something else comes, or nothing.
pub fn addresses() -> Result<Vec<SocketAddr>> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).context("cannot hear the tool")?;
    match serde_json::from_str(&line).context("the tool ended, or said what no one understands")? {
        Order::Connect(addresses) => Ok(addresses),
        Order::Tally => anyhow::bail!("there is nothing to tally yet"),
    }
}

/// Answers the tool for as long as it runs, and ends the process with it, so that no replica is ever left over.
pub fn answer(tally: SharedTally) {
    in_background("control", move || {
        for line in io::stdin().lock().lines() {
            let line = line.context("cannot hear the tool")?;
            if let Order::Tally = serde_json::from_str(&line)? {
                say(&Event::Applied(tally.get()))?;
            }
        }
        process::exit(0)
    });
}

/// Tells the tool when the window opens and when it closes, for it to read what the processes have cost by then. Nothing
/// else is to be told before the thread has ended that does this.
pub fn announce(window: Window) -> JoinHandle<()> {
    in_background("window", move || {
        for (moment, event) in [(window.opens, Event::Opened), (window.closes, Event::Closed)] {
            thread::sleep(moment.saturating_duration_since(Instant::now()));
            say(&event)?;
        }
        Ok(())
    })
}

/// Runs something on a thread of its own. A replica with a thread that failed is of no use: it says why and ends.
pub fn in_background(name: &str, work: impl FnOnce() -> Result<()> + Send + 'static) -> JoinHandle<()> {
    let run = move || {
        if let Err(error) = work() {
            fail(&error);
        }
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.unwrap_or_else(|error| fail(&anyhow::Error::new(error).context("cannot start a thread")))
}

/// Says why this replica cannot go on, and ends it.
pub fn fail(error: &anyhow::Error) -> ! {
    // Without the tool, no one hears it, and that is all right.
    let _ = say(&Event::Failed(format!("{error:#}")));
    process::exit(1)
}
