//! What the program prints, where nobody takes it: it ends, without a panic, and not as if all were well.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

const LOAD: &str = env!("CARGO_BIN_EXE_niagara-load");

#[test]
fn an_output_that_is_not_taken_is_a_failure() {
    for arguments in [&["--help"][..], &["--version"], &["kv", "--help"]] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let full = File::options().write(true).open("/dev/full").unwrap();
        for stdout in [Stdio::from(full), Stdio::from(OwnedFd::from(writer))] {
            let output = Command::new(LOAD).args(arguments).stdout(stdout).output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
            assert!(said.contains("cannot write the output"), "{arguments:?}: {said}");
        }
    }
    // Where not even that can be said, the exit status says it.
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let wrong = Command::new(LOAD).arg("fly").stderr(OwnedFd::from(writer)).status().unwrap();
    assert_eq!(wrong.code(), Some(2));
}

#[test]
fn a_file_without_end_is_no_report() {
    let merged = Command::new(LOAD).args(["merge", "/dev/zero"]).output().unwrap();
    assert_eq!(merged.status.code(), Some(1));
}
