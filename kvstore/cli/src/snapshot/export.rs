//! `niagara snapshot export`: writes all keys and values of a snapshot in a format for other programs.
//!
//! One chunk of the file is in memory at a time, never the whole state.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

use niagara_kvstore::Database;

use super::{ExportArgs, commands, file, rows};
use crate::failure::{Failure, Status};
use crate::output::{self, Output};
use crate::place;

const BUFFER_BYTES: usize = 256 << 10;

pub fn run(arguments: &ExportArgs) -> Result<ExitCode, Failure> {
    match &arguments.output {
        None => export(arguments, Output(io::stdout().as_fd()), &output::failure)?,
        Some(path) => export_to_file(arguments, path)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a new file, and removes it again if the export fails.
fn export_to_file(arguments: &ExportArgs, path: &Path) -> Result<(), Failure> {
    let output = File::create_new(path).map_err(|error| {
        let what = format!("cannot create {}: {error}", path.display());
        let hint = "nothing is overwritten: name a new file in an existing directory";
        match path.parent().and_then(|dir| place::explain(dir, &error)) {
            Some((reason, hint)) => Failure::new(format!("{what}\n{reason}"), hint),
            None => Failure::new(what, hint),
        }
    })?;
    let unwritten = |error: &io::Error| {
        Failure::new(
            format!("cannot write {}: {error}", path.display()),
            "check the free space and the permissions there",
        )
        .with(Status::Output)
    };
    let written = export(arguments, &output, &unwritten)
        .and_then(|()| output.sync_all().map_err(|error| unwritten(&error)));
    written.inspect_err(|_| {
        // It is incomplete, so nobody must take it for an export. The failure is reported even if the file
        // cannot be removed.
        let _ = fs::remove_file(path);
    })
}

fn export(
    arguments: &ExportArgs,
    output: impl Write,
    unwritten: &dyn Fn(&io::Error) -> Failure,
) -> Result<(), Failure> {
    let mut reader = file::open(&arguments.file).map_err(|error| file::failure(&error))?;
    let mut output = BufWriter::with_capacity(BUFFER_BYTES, output);
    let mut selected = Database::FIRST;
    file::each_pair(&mut reader, &mut |kept| {
        let written = match arguments.json {
            true => rows::write(&mut output, kept),
            false => commands::write(&mut output, &mut selected, kept),
        };
        written.map_err(|error| unwritten(&error))
    })?;
    output.flush().map_err(|error| unwritten(&error))
}
