//! `niagara log inspect`: reads each log as a starting server would, and shows what it found.

use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

use niagara_log::{Inspection, Replayed, inspect};
use serde::Serialize;

use super::InspectArgs;
use super::entry::{EntryFindings, ResetFindings};
use super::place::{is_in_use, logs_in};
use super::report::{json, text};
use crate::failure::Failure;
use crate::output::{self, Output, note, print};
use crate::read_only::ReadOnly;
use crate::style;

pub fn run(arguments: &InspectArgs) -> Result<ExitCode, Failure> {
    let logs = logs_in(&arguments.dir)?;
    if is_in_use(&arguments.dir) {
        note(
            "warning: a server runs on these logs, and what it is writing may look torn or damaged. Stop it first to be \
             sure\n",
        );
    }
    let mut damaged = Vec::new();
    for log in &logs {
        let found = look(log, &mut |_| {})?;
        print(if arguments.json { json(log, &found) } else { text(log, &found, style::for_stdout()) })?;
        if arguments.entries {
            show_entries(log, arguments)?;
        }
        if found.damage.is_some() {
            damaged.push(log.display().to_string());
        }
    }
    if damaged.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let what = format!("{} of {} logs are damaged: {}", damaged.len(), logs.len(), damaged.join(", "));
    Err(Failure::new(
        what,
        "a server does not start on them. Keep them as they are: `niagara recover` uses what is whole",
    ))
}

fn look(log: &Path, visit: &mut dyn FnMut(Replayed<'_>)) -> Result<Inspection, Failure> {
    inspect(log, &ReadOnly, visit).map_err(|error| {
        Failure::new(format!("{}: {error}", log.display()), "check that this user may read the directory")
    })
}

/// Reads the log once more, and prints each entry as it is read: they may not fit into memory together.
fn show_entries(log: &Path, arguments: &InspectArgs) -> Result<(), Failure> {
    let name = log.display().to_string();
    let wanted = arguments.from.unwrap_or(0)..=arguments.to.unwrap_or(u64::MAX);
    let stdout = io::stdout();
    let mut output = BufWriter::new(Output(stdout.as_fd()));
    let mut written = Ok(());
    look(log, &mut |replayed| {
        let line = match replayed {
            Replayed::Entry(entry) if !wanted.contains(&entry.index) => return,
            Replayed::Entry(entry) => {
                let found = EntryFindings::of(&name, entry);
                if arguments.json { line_of(&found) } else { found.line() }
            }
            Replayed::Reset(floor) => {
                let found = ResetFindings::of(&name, floor);
                if arguments.json { line_of(&found) } else { found.line() }
            }
        };
        if written.is_ok() {
            written = writeln!(output, "{line}");
        }
    })?;
    if !arguments.json && written.is_ok() {
        written = writeln!(output);
    }
    written.and_then(|()| output.flush()).map_err(|error| output::failure(&error))
}

fn line_of(found: &impl Serialize) -> String {
    serde_json::to_string(found).expect("plain data has a JSON form")
}
