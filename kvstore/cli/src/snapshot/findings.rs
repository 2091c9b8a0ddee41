//! What an inspection of a snapshot finds.

use serde::Serialize;

/// All findings. For a damaged file they cover what precedes the damage.
#[derive(Debug, Serialize)]
pub struct Findings {
    /// The file.
    pub file: String,
    pub bytes: u64,
    /// `None` if it cannot be read.
    pub header: Option<HeaderFindings>,
    /// Intact chunks.
    pub chunks: u64,
    /// Keys in them.
    pub keys: u64,
    /// Bytes of the keys.
    pub key_bytes: u64,
    /// Bytes of their values.
    pub value_bytes: u64,
    /// `None` if every byte is as it was written.
    pub damage: Option<Damage>,
}

/// What is wrong with a file.
#[derive(Debug, Serialize)]
pub struct Damage {
    /// Where, in bytes.
    pub offset: u64,
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
    /// How much of each group's log the file replaces.
    pub floors: Vec<Floor>,
    pub lanes: Vec<Lanes>,
}

/// How much of a group's log the file replaces.
#[derive(Debug, Serialize)]
pub struct Floor {
    pub group: usize,
    pub index: u64,
    pub term: u64,
    pub voters: Vec<u64>,
    pub learners: Vec<u64>,
}

#[derive(Debug, Serialize)]
pub struct Lanes {
    pub server: u64,
    pub incarnation: u64,
    /// The number of the next command in each lane.
    pub next: Vec<u64>,
}
