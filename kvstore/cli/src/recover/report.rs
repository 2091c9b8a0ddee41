//! How what a recovery has found is shown.

use std::fmt::Write as _;

use niagara_engine::{Found, FoundDirectory, FoundGroup, FoundNext};
use serde::Serialize;

use crate::output::pretty;
use crate::style::Paint;
use crate::table::{Table, grouped};

/// For people. `position` is the one that the new cluster begins at, if it was made.
pub fn text(found: &Found, position: Option<u64>, paint: Paint) -> String {
    let mut out = String::new();
    for (name, value) in [
        ("cluster", format!("{:032x}", found.cluster)),
        ("servers", listed(&found.members)),
        ("missing", listed(&found.missing())),
        ("snapshot", snapshot(found)),
    ] {
        let _ = writeln!(out, "{name:<9} {value}");
    }
    for damaged in &found.damaged_snapshots {
        let _ = writeln!(out, "not used  {damaged}");
    }
    for table in [directories(found), groups(found)] {
        out.push('\n');
        out.push_str(&table.text(paint));
    }
    out.push('\n');
    for doubt in doubts(found).into_iter().chain(later_epochs(found)) {
        let _ = writeln!(out, "{doubt}");
    }
    let _ = writeln!(out, "{}", verdict(found, paint));
    if let Some(position) = position {
        let _ = writeln!(out, "the new cluster begins after position {}", grouped(position));
    }
    out
}

fn verdict(found: &Found, paint: Paint) -> String {
    if found.is_complete() {
        return paint.good(
            "complete: any majority of the servers has a whole log here, so nothing that was acknowledged is missing",
        );
    }
    paint.bad(if found.has_whole_logs() {
        "not complete: what the cluster has acknowledged in a later epoch is missing, and nobody can say what that is"
    } else {
        "not complete: what was acknowledged by a majority without a whole log here is missing, and nobody can say what that is"
    })
}

/// For programs.
pub fn json(found: &Found, position: Option<u64>) -> String {
    let document = Document {
        cluster: format!("{:032x}", found.cluster),
        members: &found.members,
        missing: found.missing(),
        complete: found.is_complete(),
        snapshot: found.snapshot.as_ref().map(|snapshot| SnapshotDocument {
            file: snapshot.path.display().to_string(),
            position: snapshot.position.get(),
        }),
        damaged_snapshots: &found.damaged_snapshots,
        epoch: found.epoch,
        next_epochs: found.next.iter().map(NextDocument::of).collect(),
        directories: found.directories.iter().map(DirectoryDocument::of).collect(),
        groups: found.groups.iter().map(|group| GroupDocument::of(group, found)).collect(),
        begins_after: position,
    };
    pretty(&document)
}

#[derive(Serialize)]
struct Document<'a> {
    cluster: String,
    members: &'a [u64],
    missing: Vec<u64>,
    complete: bool,
    snapshot: Option<SnapshotDocument>,
    damaged_snapshots: &'a [String],
    epoch: u32,
    /// Epochs that no server here had begun, and that may have followed.
    next_epochs: Vec<NextDocument<'a>>,
    directories: Vec<DirectoryDocument<'a>>,
    groups: Vec<GroupDocument<'a>>,
    /// `null` if nothing was made.
    begins_after: Option<u64>,
}

#[derive(Serialize)]
struct SnapshotDocument {
    file: String,
    position: u64,
}

#[derive(Serialize)]
struct DirectoryDocument<'a> {
    dir: String,
    server: u64,
    durability: String,
    clean: bool,
    doubt: Option<&'a str>,
    /// The epoch from which on the cluster has gone on without the server; `null` if it was not told so.
    removed: Option<u32>,
}

impl DirectoryDocument<'_> {
    fn of(found: &FoundDirectory) -> DirectoryDocument<'_> {
        DirectoryDocument {
            dir: found.dir.display().to_string(),
            server: found.server,
            durability: found.durability.to_string(),
            clean: found.clean,
            doubt: found.doubt.as_deref(),
            removed: found.removed,
        }
    }
}

#[derive(Serialize)]
struct NextDocument<'a> {
    epoch: u32,
    members: &'a [u64],
    directories: usize,
    ruled_out: bool,
}

impl NextDocument<'_> {
    fn of(of: &FoundNext) -> NextDocument<'_> {
        NextDocument {
            epoch: of.epoch,
            members: &of.members,
            directories: of.not_begun,
            ruled_out: of.is_ruled_out,
        }
    }
}

#[derive(Serialize)]
struct GroupDocument<'a> {
    epoch: u32,
    group: u16,
    /// The server whose log is continued; `null` if the snapshot holds as much.
    server: Option<u64>,
    last: u64,
    committed: u64,
    uncertain_commands: u64,
    whole_logs: usize,
    flaws: &'a [String],
}

impl<'a> GroupDocument<'a> {
    fn of(of: &'a FoundGroup, found: &Found) -> GroupDocument<'a> {
        GroupDocument {
            epoch: of.epoch,
            group: of.group,
            server: of.from.map(|from| found.directories[from].server),
            last: of.last.index,
            committed: of.committed,
            uncertain_commands: of.uncertain,
            whole_logs: of.whole,
            flaws: &of.flaws,
        }
    }
}

fn snapshot(found: &Found) -> String {
    match &found.snapshot {
        None => "none".into(),
        Some(snapshot) => {
            format!("at position {}, {}", grouped(snapshot.position.get()), snapshot.path.display())
        }
    }
}

fn directories(found: &Found) -> Table {
    let mut table = Table::new(["server", "durability", "stopped", "directory"]);
    for FoundDirectory { dir, server, durability, clean, .. } in &found.directories {
        let stopped = if *clean { "cleanly" } else { "by a crash" };
        table.row([
            server.to_string(),
            durability.to_string(),
            stopped.to_owned(),
            dir.display().to_string(),
        ]);
    }
    table
}

fn groups(found: &Found) -> Table {
    let heads = ["group", "continued from", "up to entry", "committed", "uncertain commands", "whole logs"];
    let has_epochs = found.groups.iter().any(|group| group.epoch > 1);
    let mut table = Table::new(has_epochs.then_some("epoch").into_iter().chain(heads));
    for group in &found.groups {
        let from = match group.from {
            None => "the snapshot".to_owned(),
            Some(from) => format!("server {}", found.directories[from].server),
        };
        let cells = [
            group.group.to_string(),
            from,
            grouped(group.last.index),
            grouped(group.committed),
            grouped(group.uncertain),
            format!("{} of {}", group.whole, group.members.len()),
        ];
        table.row(has_epochs.then(|| group.epoch.to_string()).into_iter().chain(cells));
    }
    table
}

/// What casts doubt on some directory or log, and what uncertain commands are.
fn doubts(found: &Found) -> Vec<String> {
    let directory = |found: &FoundDirectory| {
        found.doubt.as_ref().map(|doubt| format!("doubtful: {}: {doubt}", found.dir.display()))
    };
    let mut doubts: Vec<String> = found.directories.iter().filter_map(directory).collect();
    doubts
        .extend(found.groups.iter().flat_map(|group| &group.flaws).map(|flaw| format!("not whole: {flaw}")));
    if found.groups.iter().any(|group| group.uncertain > 0) {
        doubts.push(
            "uncertain commands are kept: they were on their way, and may have been acknowledged or not"
                .into(),
        );
    }
    doubts
}

/// Epochs that no server here had begun, and in which the cluster has gone on, or may have.
fn later_epochs(found: &Found) -> Vec<String> {
    let told = found.told_of();
    let may_follow = |next: &FoundNext| {
        format!(
            "epoch {} may have begun, with servers {}: the logs end epoch {}, and {} of these servers' directories are here, too few \
             to rule it out",
            next.epoch,
            listed(&next.members),
            found.epoch,
            next.not_begun
        )
    };
    let is_open = |next: &&FoundNext| !next.is_ruled_out && told.is_none_or(|(_, epoch)| next.epoch > epoch);
    let has_begun = told.map(|(server, epoch)| {
        let members = found.next.iter().filter(|next| next.epoch == epoch).map(|next| listed(&next.members));
        let with = members.map(|members| format!(", with servers {members}")).collect::<Vec<_>>().join(" or");
        format!("epoch {epoch} has begun{with}: server {server} was told that it is no member any more")
    });
    found.next.iter().filter(is_open).map(may_follow).chain(has_begun).collect()
}

fn listed(servers: &[u64]) -> String {
    match servers {
        [] => "none".into(),
        _ => servers.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
    }
}
