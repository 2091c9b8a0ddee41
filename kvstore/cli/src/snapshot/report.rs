//! How the findings about a snapshot file are shown.

use std::fmt::Write as _;

use super::findings::{Findings, HeaderFindings};
use crate::figures::{age, moment, size};
use crate::output::pretty;
use crate::style::Paint;
use crate::table::{Table, grouped};

/// For people.
pub fn text(findings: &Findings, paint: Paint) -> String {
    let mut out = format!("{}: {} bytes\n", findings.file, grouped(findings.bytes));
    if let Some(header) = &findings.header {
        out.push_str(&header_text(header, paint));
        let _ = writeln!(
            out,
            "{} keys in {} chunks: {} of keys, {} of values",
            grouped(findings.keys),
            grouped(findings.chunks),
            size(findings.key_bytes),
            size(findings.value_bytes)
        );
    }
    let verdict = match &findings.damage {
        None => paint.good("intact: every chunk and the trailer match their checksums"),
        Some(damage) => paint.bad(format!(
            "damaged at offset {}: {}; the figures cover the file up to there",
            grouped(damage.offset),
            damage.reason
        )),
    };
    out.push_str(&verdict);
    out.push('\n');
    out
}

/// For programs.
pub fn json(findings: &Findings) -> String {
    pretty(findings)
}

fn header_text(header: &HeaderFindings, paint: Paint) -> String {
    let mut out = String::new();
    for (name, value) in [
        ("id", header.id.clone()),
        ("cluster", header.cluster.clone()),
        (
            "written",
            format!(
                "by server {} at {}, {} ago",
                header.server,
                moment(header.created_ms),
                age(header.created_ms)
            ),
        ),
        (
            "state",
            format!(
                "at position {}, the end of round {} of {} groups; anchor: group {}",
                grouped(header.position),
                grouped(header.round),
                header.groups,
                header.anchor
            ),
        ),
        (
            "executed",
            format!(
                "{} commands, {} duplicates, {} no-ops",
                grouped(header.commands),
                grouped(header.duplicates),
                grouped(header.noops)
            ),
        ),
        ("digest", header.digest.clone()),
    ] {
        let _ = writeln!(out, "{name:<9} {value}");
    }
    for table in [floors(header), lanes(header)] {
        out.push('\n');
        out.push_str(&table.text(paint));
    }
    out.push('\n');
    out
}

/// How much of each group's log the snapshot replaces.
fn floors(header: &HeaderFindings) -> Table {
    let mut table = Table::new(["group", "log up to index", "term", "voters", "learners"]);
    for floor in &header.floors {
        table.row([
            floor.group.to_string(),
            grouped(floor.index),
            grouped(floor.term),
            listed(&floor.voters),
            listed(&floor.learners),
        ]);
    }
    table
}

fn lanes(header: &HeaderFindings) -> Table {
    let mut table = Table::new(["server", "incarnation", "next command in each lane"]);
    for lanes in &header.lanes {
        table.row([lanes.server.to_string(), grouped(lanes.incarnation), listed(&lanes.next)]);
    }
    table
}

fn listed(numbers: &[u64]) -> String {
    match numbers {
        [] => "none".into(),
        _ => numbers.iter().map(|number| grouped(*number)).collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings::{Damage, Floor, Lanes};
    use super::*;

    fn findings() -> Findings {
        let floor =
            |group| Floor { group, index: 1_005, term: 2, voters: vec![1, 2, 3], learners: Vec::new() };
        let header = HeaderFindings {
            id: "1d".into(),
            cluster: "c1".into(),
            server: 2,
            created_ms: u64::MAX / 2_000,
            round: 1_024,
            position: 2_048,
            groups: 2,
            anchor: 1,
            commands: 1_000,
            duplicates: 3,
            noops: 12,
            digest: "d1".into(),
            floors: vec![floor(1), floor(2)],
            lanes: vec![Lanes { server: 1, incarnation: 7, next: vec![900, 1_101] }],
        };
        Findings {
            file: "a.snap".into(),
            bytes: 12_345,
            header: Some(header),
            chunks: 2,
            keys: 1_000,
            key_bytes: 8_192,
            value_bytes: 3 << 20,
            damage: None,
        }
    }

    #[test]
    fn the_report_has_header_groups_lanes_and_verdict() {
        let text = text(&findings(), Paint::PLAIN);
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("written")).collect();
        let expected = "\
a.snap: 12,345 bytes
id        1d
cluster   c1
state     at position 2,048, the end of round 1,024 of 2 groups; anchor: group 1
executed  1,000 commands, 3 duplicates, 12 no-ops
digest    d1

group  log up to index  term  voters  learners
    1            1,005     2   1 2 3  none
    2            1,005     2   1 2 3  none

server  incarnation  next command in each lane
     1            7                  900 1,101

1,000 keys in 2 chunks: 8.0 KiB of keys, 3.0 MiB of values
intact: every chunk and the trailer match their checksums";
        assert_eq!(lines.join("\n"), expected);
    }

    #[test]
    fn damage_is_said_last_with_where_it_is() {
        let mut findings = findings();
        findings.damage =
            Some(Damage { offset: 4_096, reason: "a chunk does not match its checksum".into() });
        let text = text(&findings, Paint::PLAIN);
        assert!(text.ends_with("damaged at offset 4,096: a chunk does not match its checksum; the figures cover the file up to there\n"), "{text}");
        let document: serde_json::Value = serde_json::from_str(&json(&findings)).unwrap();
        assert_eq!(
            (document["damage"]["offset"].as_u64(), document["keys"].as_u64()),
            (Some(4_096), Some(1_000))
        );
    }

    #[test]
    fn a_file_without_a_readable_header_has_only_damage() {
        let mut findings = findings();
        findings.header = None;
        findings.damage = Some(Damage { offset: 0, reason: "the file is too short".into() });
        assert_eq!(text(&findings, Paint::PLAIN).lines().count(), 2);
    }
}
