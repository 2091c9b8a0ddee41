//! How the findings about a log are shown.

use std::path::Path;

use niagara_log::{EntryId, HardState, Inspection, SegmentReport};
use serde::Serialize;

use crate::style::Paint;
use crate::table::{Table, grouped};

/// For people.
pub fn text(log: &Path, found: &Inspection, paint: Paint) -> String {
    let HardState { term, vote, commit } = found.hard_state;
    let vote = if vote == 0 { "none".to_owned() } else { format!("server {vote}") };
    let entries = match found.first.zip(found.last) {
        Some((first, last)) => format!("from {} to {}", entry_text(first), entry_text(last)),
        None => "none above that".into(),
    };
    let mut lines = vec![paint.strong(log.display())];
    for (name, value) in [
        ("log id", found.log_id.map_or("unknown".into(), |id| format!("{id:016x}"))),
        ("Raft state", format!("term {}, vote: {vote}, commit {}", grouped(term), grouped(commit))),
        ("compacted", format!("up to {}", entry_text(found.floor))),
        ("entries", entries),
    ] {
        lines.push(format!("{name:<11} {value}"));
    }
    lines.extend(segments(&found.segments).lines());
    if !found.unread.is_empty() {
        lines.push(format!("not read: {}", found.unread.join(", ")));
    }
    lines.push(match &found.damage {
        None => paint.good("a start takes it as it is"),
        Some(damage) => paint.bad(format!("damaged: {damage}")),
    });
    lines.push(String::new());
    lines.join("\n") + "\n"
}

fn entry_text(entry: EntryId) -> String {
    match entry.index {
        0 => "nothing".into(),
        index => format!("{} (term {})", grouped(index), grouped(entry.term)),
    }
}

fn segments(reports: &[SegmentReport]) -> Table {
    let mut table = Table::new([
        "segment",
        "bytes",
        "blocks of",
        "frames",
        "in bytes",
        "entries",
        "first",
        "last",
        "resets",
        "behind them",
    ]);
    let index = |index: Option<u64>| index.map_or("0".into(), grouped);
    for report in reports {
        table.row([
            report.file.clone(),
            grouped(report.bytes),
            grouped(report.block_bytes),
            grouped(report.frames),
            grouped(report.frame_bytes),
            grouped(report.entries),
            index(report.first),
            index(report.last),
            grouped(report.resets),
            if report.leftovers { "leftovers" } else { "zeros" }.into(),
        ]);
    }
    table
}

/// What programs are told.
#[derive(Serialize)]
struct Document<'a> {
    log: String,
    log_id: Option<String>,
    term: u64,
    vote: u64,
    commit: u64,
    floor: Entry,
    first: Option<Entry>,
    last: Option<Entry>,
    segments: Vec<Segment<'a>>,
    unread: &'a [String],
    damage: Option<&'a str>,
}

#[derive(Serialize)]
struct Entry {
    index: u64,
    term: u64,
}

#[derive(Serialize)]
struct Segment<'a> {
    file: &'a str,
    bytes: u64,
    block_bytes: u64,
    frames: u64,
    frame_bytes: u64,
    entries: u64,
    first: Option<u64>,
    last: Option<u64>,
    resets: u64,
    leftovers: bool,
}

/// For programs, on one line.
pub fn json(log: &Path, found: &Inspection) -> String {
    let HardState { term, vote, commit } = found.hard_state;
    let entry = |id: EntryId| Entry { index: id.index, term: id.term };
    let segments = found.segments.iter().map(|report| {
        let SegmentReport {
            ref file,
            bytes,
            block_bytes,
            frames,
            frame_bytes,
            entries,
            first,
            last,
            resets,
            leftovers,
            ..
        } = *report;
        Segment { file, bytes, block_bytes, frames, frame_bytes, entries, first, last, resets, leftovers }
    });
    let document = Document {
        log: log.display().to_string(),
        log_id: found.log_id.map(|id| format!("{id:016x}")),
        term,
        vote,
        commit,
        floor: entry(found.floor),
        first: found.first.map(entry),
        last: found.last.map(entry),
        segments: segments.collect(),
        unread: &found.unread,
        damage: found.damage.as_deref(),
    };
    serde_json::to_string(&document).expect("plain data has a JSON form") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(damage: Option<&str>) -> Inspection {
        let segment = SegmentReport {
            file: "0000000000000001.log".into(),
            number: 1,
            bytes: 16_384,
            frames: 12,
            block_bytes: 512,
            frames_start: 512,
            frame_bytes: 4_096,
            entries: 9,
            first: Some(1_005),
            last: Some(1_013),
            resets: 0,
            leftovers: false,
        };
        Inspection {
            log_id: Some(0x1d),
            segments: vec![segment],
            unread: damage.iter().map(|_| "0000000000000002.log".to_owned()).collect(),
            floor: EntryId { index: 1_004, term: 2 },
            hard_state: HardState { term: 3, vote: 1, commit: 1_012 },
            first: Some(EntryId { index: 1_005, term: 2 }),
            last: Some(EntryId { index: 1_013, term: 3 }),
            damage: damage.map(str::to_owned),
        }
    }

    #[test]
    fn the_report_has_what_raft_keeps_and_a_row_for_each_segment() {
        let expected = "\
d/group-1
log id      000000000000001d
Raft state  term 3, vote: server 1, commit 1,012
compacted   up to 1,004 (term 2)
entries     from 1,005 (term 2) to 1,013 (term 3)
             segment   bytes  blocks of  frames  in bytes  entries  first   last  resets  behind them
0000000000000001.log  16,384        512      12     4,096        9  1,005  1,013       0  zeros
a start takes it as it is

";
        assert_eq!(text("d/group-1".as_ref(), &found(None), Paint::PLAIN), expected);
    }

    #[test]
    fn damage_is_said_last_with_what_was_not_read() {
        let found = found(Some("a frame is broken"));
        let text = text("d".as_ref(), &found, Paint::PLAIN);
        assert!(text.ends_with("not read: 0000000000000002.log\ndamaged: a frame is broken\n\n"), "{text}");
        let document: serde_json::Value = serde_json::from_str(&json("d".as_ref(), &found)).unwrap();
        assert_eq!(
            (&document["damage"], &document["segments"][0]["last"]),
            (&"a frame is broken".into(), &1_013.into())
        );
    }

    #[test]
    fn an_empty_log_says_so() {
        let text = text("d".as_ref(), &Inspection::default(), Paint::PLAIN);
        assert!(text.contains("compacted   up to nothing\nentries     none above that\n"), "{text}");
    }
}
