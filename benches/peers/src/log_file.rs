//! The log on disk that the crates leave to their users: one file that only grows, with one fdatasync for all that was
//! appended since the last.
//!
//! It holds what a restart would need, but no run restarts a replica, so nothing here reads it.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::fs::{FallocateFlags, fallocate};

use crate::work::{Durability, PeerWork};

/// The file gets its room in steps of so many bytes: room that is there already makes an fdatasync a little cheaper.
const STEP: u64 = 1 << 26;

/// A log. Where commands need not survive anything, it takes nothing and costs nothing.
#[derive(Debug)]
pub struct LogFile {
    file: Option<File>,
    unwritten: Vec<u8>,
    length: u64,
    room: u64,
}

impl LogFile {
    /// A new log of replica `id` in a directory.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(work: &PeerWork, id: u64) -> Result<LogFile> {
        let path = work.dir.join(format!("log-{id}"));
        let file = match work.durability {
            Durability::Memory => None,
            Durability::Fsync => Some(create(&path)?),
        };
        Ok(LogFile { file, unwritten: Vec::new(), length: 0, room: 0 })
    }

    /// Whether what is appended goes to a disk.
    pub fn is_durable(&self) -> bool {
        self.file.is_some()
    }

    /// Appends a record: its length, two numbers that the crate attaches to it, and its bytes.
    pub fn append(&mut self, term: u64, index: u64, bytes: &[u8]) {
        if self.file.is_some() {
            self.unwritten.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            self.unwritten.extend_from_slice(&term.to_le_bytes());
            self.unwritten.extend_from_slice(&index.to_le_bytes());
            self.unwritten.extend_from_slice(bytes);
        }
    }

    /// Makes durable what was appended, if anything was.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&mut self) -> Result<()> {
        if let Some(file) = &mut self.file
            && !self.unwritten.is_empty()
        {
            self.length += self.unwritten.len() as u64;
            while self.length > self.room {
                fallocate(&*file, FallocateFlags::KEEP_SIZE, self.room, STEP)
                    .context("no room for the log")?;
                self.room += STEP;
            }
            file.write_all(&self.unwritten).context("cannot write the log")?;
            file.sync_data().context("cannot sync the log")?;
            self.unwritten.clear();
        }
        Ok(())
    }
}

fn create(path: &Path) -> Result<File> {
    File::create_new(path).with_context(|| format!("cannot create {}", path.display()))
}
