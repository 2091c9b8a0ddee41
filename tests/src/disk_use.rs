//! What a server's data directory takes on disk.

use std::fs;
use std::ops::Add;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Bytes and files on disk, logs and snapshots apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskUse {
    /// Bytes of all groups' logs, with segments that are prepared.
    pub log_bytes: u64,
    /// Segments of all groups' logs, prepared ones included.
    pub segments: u64,
    /// Bytes of snapshots, with those under way.
    pub snapshot_bytes: u64,
    /// Snapshots that are whole.
    pub snapshots: u64,
    /// Snapshots that are being written or received.
    pub unfinished: u64,
}

impl DiskUse {
    /// Looks at a data directory. A file that goes meanwhile counts as gone.
    pub fn of(data_dir: &Path) -> DiskUse {
        let groups = list(data_dir).into_iter().filter(|path| named(path, "group-"));
        let logs = groups.flat_map(|group| list(&group)).map(|path| DiskUse {
            log_bytes: blocks(&path),
            segments: 1,
            ..DiskUse::default()
        });
        let snapshots = list(&data_dir.join("snapshots")).into_iter().map(|path| {
            let whole = path.extension().is_some_and(|extension| extension == "snap");
            DiskUse {
                snapshot_bytes: blocks(&path),
                snapshots: u64::from(whole),
                unfinished: u64::from(!whole),
                ..DiskUse::default()
            }
        });
        logs.chain(snapshots).fold(DiskUse::default(), DiskUse::add)
    }

    /// All of it.
    pub fn bytes(&self) -> u64 {
        self.log_bytes + self.snapshot_bytes
    }
}

impl Add for DiskUse {
    type Output = DiskUse;

    fn add(self, other: DiskUse) -> DiskUse {
        DiskUse {
            log_bytes: self.log_bytes + other.log_bytes,
            segments: self.segments + other.segments,
            snapshot_bytes: self.snapshot_bytes + other.snapshot_bytes,
            snapshots: self.snapshots + other.snapshots,
            unfinished: self.unfinished + other.unfinished,
        }
    }
}

/// The whole snapshots of a data directory, oldest first: their names rise.
pub fn snapshots(data_dir: &Path) -> Vec<PathBuf> {
    let mut paths = list(&data_dir.join("snapshots"));
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "snap"));
    paths.sort_unstable();
    paths
}

/// Nothing where there is no directory (yet).
fn list(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

fn named(path: &Path, prefix: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
}

/// What the file takes, as du(1) counts it.
fn blocks(path: &Path) -> u64 {
    const BLOCK: u64 = 512;
    fs::metadata(path).map_or(0, |metadata| metadata.blocks() * BLOCK)
}
