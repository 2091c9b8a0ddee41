//! `niagara snapshot inspect`: what a file holds, and whether it is intact.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use niagara_engine::internals::snapshot::{Header, SnapshotError, SnapshotReader};
use niagara_kvstore::snapshot_entries;

use super::findings::{Damage, Findings, Floor, HeaderFindings, Lanes};
use super::report::{json, text};
use super::{InspectArgs, file};
use crate::failure::Failure;
use crate::output::print;
use crate::progress::Progress;
use crate::style;

pub fn run(arguments: &InspectArgs) -> Result<ExitCode, Failure> {
    let (findings, error) = examine(&arguments.file)?;
    print(if arguments.json { json(&findings) } else { text(&findings, style::for_stdout()) })?;
    match error {
        None => Ok(ExitCode::SUCCESS),
        Some(error) => Err(error),
    }
}

/// Reads the whole file. For a damaged one, the failure is reported after the findings.
fn examine(path: &Path) -> Result<(Findings, Option<Failure>), Failure> {
    let mut findings = Findings {
        file: path.display().to_string(),
        bytes: fs::metadata(path).map_or(0, |file| file.len()),
        header: None,
        chunks: 0,
        keys: 0,
        key_bytes: 0,
        value_bytes: 0,
        damage: None,
    };
    let read = file::open(path).and_then(|mut reader| {
        findings.header = Some(HeaderFindings::of(reader.header()));
        count(&mut reader, &mut findings)
    });
    let Err(error) = read else { return Ok((findings, None)) };
    match &error {
        SnapshotError::Damaged { offset, reason, .. } => {
            findings.damage = Some(Damage { offset: *offset, reason: (*reason).to_owned() });
        }
        _ => return Err(file::failure(&error)),
    }
    Ok((findings, Some(file::failure(&error))))
}

/// Reads all chunks, and counts keys and bytes.
fn count(reader: &mut SnapshotReader, findings: &mut Findings) -> Result<(), SnapshotError> {
    let mut progress = Progress::new();
    loop {
        let at = reader.position();
        let Some(chunk) = reader.next_chunk()? else { return Ok(()) };
        for entry in snapshot_entries(&chunk) {
            let entry = entry.map_err(file::foreign_chunk(reader, at))?;
            findings.keys += 1;
            findings.key_bytes += entry.key.len() as u64;
            findings.value_bytes += entry.value.len() as u64;
        }
        findings.chunks += 1;
        progress.show(|| format!("{} % read", reader.position() * 100 / reader.length().max(1)));
    }
}

impl HeaderFindings {
    fn of(header: &Header) -> HeaderFindings {
        let floors = header.floors.iter().zip(1..).map(|(floor, group)| Floor {
            group,
            index: floor.entry.index,
            term: floor.entry.term,
            voters: floor.voters.clone(),
            learners: floor.learners.clone(),
        });
        let lanes = header.sessions.servers().filter_map(|server| {
            let (incarnation, next) = header.sessions.lanes_of(server)?;
            Some(Lanes { server, incarnation, next: next.to_vec() })
        });
        HeaderFindings {
            id: format!("{:032x}", header.id),
            cluster: format!("{:032x}", header.cluster),
            server: header.server,
            created_ms: header.created_ms,
            round: header.round,
            position: header.position().get(),
            groups: header.layout().groups(),
            anchor: header.anchor.get(),
            commands: header.commands,
            duplicates: header.duplicates,
            noops: header.noops,
            digest: format!("{:016x}", header.digests.value()),
            floors: floors.collect(),
            lanes: lanes.collect(),
        }
    }
}
