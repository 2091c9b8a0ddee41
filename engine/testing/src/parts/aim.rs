//! Steps in which a server uses its disk, so that faults can be aimed at each of them.
//!
//! A fault at a random change mostly hits records of the logs, which are the most frequent. The files that a
//! restart relies on change rarely, and a server can die before or after each step of such a change.

use std::path::Path;

/// An operation on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A file is written.
    Write,
    /// A file is synced.
    Sync,
    /// A file gets its name.
    Name,
    /// A file is removed.
    Remove,
    /// The names in a directory are synced.
    SyncNames,
}

/// The object of an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A segment of a log, or a file that becomes one.
    Segment,
    /// The server's own snapshot.
    Snapshot,
    /// A snapshot that is being received.
    Part,
    /// The identity.
    Identity,
    /// Anything else.
    #[default]
    Other,
}

impl Kind {
    /// The kind of a file, by the name under which it is created.
    pub fn of_file(path: &Path) -> Kind {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        match extension {
            "part" => Kind::Part,
            _ if path.file_stem().is_some_and(|stem| stem == "identity") => Kind::Identity,
            _ if path.parent().is_some_and(|dir| dir.ends_with("snapshots")) => Kind::Snapshot,
            "log" | "tmp" => Kind::Segment,
            _ => Kind::Other,
        }
    }

    /// Whether it is a snapshot, or becomes one.
    pub fn is_snapshot(self) -> bool {
        matches!(self, Kind::Snapshot | Kind::Part)
    }

    /// The kind of files in a directory.
    pub fn of_dir(dir: &Path) -> Kind {
        let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        match name {
            "snapshots" => Kind::Snapshot,
            _ if name.starts_with("group-") => Kind::Segment,
            _ if name.starts_with("server-") => Kind::Identity,
            _ => Kind::Other,
        }
    }
}

/// A step that a fault is aimed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aim {
    /// The operation.
    pub step: Step,
    /// Its object.
    pub kind: Kind,
}

impl Aim {
    /// All steps to aim at, with their names in the coverage table.
    pub const ALL: &[(Aim, &str)] = &[
        (Aim::at(Step::Write, Kind::Segment), "died at a write of a log"),
        (Aim::at(Step::Sync, Kind::Segment), "died at a sync of a log"),
        (Aim::at(Step::Name, Kind::Segment), "died when a segment got its name"),
        (Aim::at(Step::Remove, Kind::Segment), "died when a segment was removed"),
        (Aim::at(Step::SyncNames, Kind::Segment), "died at a sync of a log's names"),
        (Aim::at(Step::Write, Kind::Snapshot), "died at a write of a snapshot"),
        (Aim::at(Step::Sync, Kind::Snapshot), "died at a sync of a snapshot"),
        (Aim::at(Step::Name, Kind::Snapshot), "died when a snapshot got its name"),
        (Aim::at(Step::Remove, Kind::Snapshot), "died when a snapshot was removed"),
        (Aim::at(Step::SyncNames, Kind::Snapshot), "died at a sync of snapshots' names"),
        (Aim::at(Step::Write, Kind::Part), "died at a write of a part"),
        (Aim::at(Step::Sync, Kind::Part), "died at a sync of a part"),
        (Aim::at(Step::Name, Kind::Part), "died when a part got its name"),
        (Aim::at(Step::Write, Kind::Identity), "died at a write of the identity"),
        (Aim::at(Step::Sync, Kind::Identity), "died at a sync of the identity"),
        (Aim::at(Step::Name, Kind::Identity), "died when the identity got its name"),
        (Aim::at(Step::SyncNames, Kind::Identity), "died at a sync of the identity's name"),
    ];

    /// Syncs that can fail, with the names of their failures in the coverage table.
    pub const SYNCS: &[(Aim, &str)] = &[
        (Aim::at(Step::Sync, Kind::Segment), "sync of a log failed"),
        (Aim::at(Step::SyncNames, Kind::Segment), "sync of a log's names failed"),
        (Aim::at(Step::Sync, Kind::Snapshot), "sync of a snapshot failed"),
        (Aim::at(Step::SyncNames, Kind::Snapshot), "sync of snapshots' names failed"),
        (Aim::at(Step::Sync, Kind::Part), "sync of a part failed"),
        (Aim::at(Step::Sync, Kind::Identity), "sync of the identity failed"),
        (Aim::at(Step::SyncNames, Kind::Identity), "sync of the identity's name failed"),
    ];

    const fn at(step: Step, kind: Kind) -> Aim {
        Aim { step, kind }
    }

    /// Its name in the coverage table.
    pub fn name(self) -> &'static str {
        self.name_in(Aim::ALL).expect("nothing else is aimed at")
    }

    /// The name there of a sync that has failed.
    pub fn failed_name(self) -> &'static str {
        self.name_in(Aim::SYNCS).unwrap_or("sync of something else failed")
    }

    fn name_in(self, names: &[(Aim, &'static str)]) -> Option<&'static str> {
        names.iter().find(|(aim, _)| *aim == self).map(|(_, name)| *name)
    }
}
