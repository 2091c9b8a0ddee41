//! What an inspection of a snapshot finds.

use serde::Serialize;

/// All that was found. Where the file is damaged, it is what stands before the damage.
#[derive(Debug, Serialize)]
pub struct Findings {
    /// The file.
    pub file: String,
    /// Its length, in bytes.
    pub bytes: u64,
    /// Nothing if that cannot be read.
    pub header: Option<HeaderFindings>,
    /// Chunks that are whole.
    pub chunks: u64,
    /// Keys in them.
    pub keys: u64,
    /// Bytes of the keys.
    pub key_bytes: u64,
    /// Bytes of their values.
    pub value_bytes: u64,
    /// Nothing if every byte is as it was written.
    pub damage: Option<Damage>,
}

/// What is wrong with a file.
#[derive(Debug, Serialize)]
pub struct Damage {
    /// Where, in bytes.
    pub offset: u64,
    /// What it is.
    pub reason: String,
}

/// What a file says about itself.
#[derive(Debug, Serialize)]
pub struct HeaderFindings {
    pub id: String,
    pub cluster: String,
    /// The server that wrote it.
    pub server: u64,
    pub created_ms: u64,
    pub round: u64,
    pub position: u64,
    /// The number of groups, R.
    pub groups: u16,
    pub anchor: u16,
    pub commands: u64,
    pub duplicates: u64,
    pub noops: u64,
    pub digest: String,
    /// What of each group's log it stands for.
    pub floors: Vec<Floor>,
    pub lanes: Vec<Lanes>,
}

/// What of a group's log a file stands for.
#[derive(Debug, Serialize)]
pub struct Floor {
    pub group: usize,
    pub index: u64,
    pub term: u64,
    pub voters: Vec<u64>,
    pub learners: Vec<u64>,
}

/// A server's lanes.
#[derive(Debug, Serialize)]
pub struct Lanes {
    pub server: u64,
    pub incarnation: u64,
    /// The number of the next command in each lane.
    pub next: Vec<u64>,
}
