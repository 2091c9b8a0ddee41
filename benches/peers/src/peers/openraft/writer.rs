//! The thread that makes the log durable: one fdatasync for all that the crate has handed over meanwhile.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};

use anyhow::Result;
use openraft::storage::LogFlushed;
use tokio::sync::oneshot;

use super::types::Types;
use crate::control;
use crate::log_file::LogFile;

/// Where to send what is to be durable.
#[derive(Clone, Debug)]
pub struct Writer(Sender<Write>);

/// Something to write, and whom to tell that it is durable.
pub struct Write {
    records: Vec<Record>,
    done: Done,
}

/// A record, with the two numbers that the log attaches to it.
pub struct Record {
    /// The term.
    pub term: u64,
    /// The index.
    pub index: u64,
    /// What it holds.
    pub bytes: bytes::Bytes,
}

enum Done {
    Append(LogFlushed<Types>),
    Vote(oneshot::Sender<()>),
}

impl Writer {
    /// Starts the thread.
    pub fn start(log: LogFile) -> Writer {
        let (sender, writes) = mpsc::channel();
        control::in_background("log writer", move || run(log, &writes));
        Writer(sender)
    }

    /// Appends records, and tells the crate once they are durable.
    ///
    /// # Errors
    /// When the thread is gone.
    pub fn append(&self, records: Vec<Record>, flushed: LogFlushed<Types>) -> io::Result<()> {
        self.write(records, Done::Append(flushed))
    }

    /// Makes a vote durable, and returns then.
    ///
    /// # Errors
    /// When the thread is gone.
    pub async fn vote(&self, record: Record) -> io::Result<()> {
        let (durable, is_durable) = oneshot::channel();
        self.write(vec![record], Done::Vote(durable))?;
        is_durable.await.map_err(|_| gone())
    }

    fn write(&self, records: Vec<Record>, done: Done) -> io::Result<()> {
        self.0.send(Write { records, done }).map_err(|_| gone())
    }
}

fn gone() -> io::Error {
    io::Error::other("the log's writer is gone")
}

fn run(mut log: LogFile, writes: &Receiver<Write>) -> Result<()> {
    let mut done = Vec::new();
    while let Ok(first) = writes.recv() {
        for write in std::iter::once(first).chain(writes.try_iter()) {
            for record in &write.records {
                log.append(record.term, record.index, &record.bytes);
            }
            done.push(write.done);
        }
        log.sync()?;
        for done in done.drain(..) {
            match done {
                Done::Append(flushed) => flushed.log_io_completed(Ok(())),
                // The crate has lost interest only if it is shutting down.
                Done::Vote(durable) => drop(durable.send(())),
            }
        }
    }
    Ok(())
}
