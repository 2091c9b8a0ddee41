//! What happens if the command line is wrong, or asks for help.

use crate::process::run;

#[test]
fn a_wrong_command_line_ends_with_status_2_and_says_what_is_wrong() {
    for (arguments, said) in [
        (vec![], "Usage: niagara"),
        (vec!["fly"], "unrecognized subcommand 'fly'"),
        (vec!["serve"], "--config"),
        (vec!["get"], "<KEY>"),
        (vec!["get", "k", "--read", "eventually"], "strong, weak or at-least:POSITION"),
        (vec!["get", "k", "--at", "ftp://h:1"], "not ftp"),
        (vec!["get", "k", "--at", "nowhere"], "http://HOST:PORT"),
        (vec!["put", "k", "v", "--if-match", "x"], "as `niagara put` prints it"),
        (vec!["put", "k", "v", "--if-match", "1", "--if-absent"], "cannot be used with"),
        (vec!["demo", "--durability", "disk"], "fsync, os, memory"),
        (vec!["demo", "--servers", "0"], "1..=16"),
        (vec!["new-cluster"], "--dir"),
        (vec!["new-cluster", "--dir", "/nonexistent/c", "--host", "a,b"], "names 2 hosts for 3 servers"),
        (vec!["new-cluster", "--dir", "/nonexistent/c", "--base-port", "65530"], "65535 is the highest"),
        (vec!["snapshot"], "Usage: niagara snapshot"),
        (vec!["snapshot", "export", "f.snap"], "<--json|--resp>"),
        (vec!["snapshot", "export", "f.snap", "--json", "--resp"], "cannot be used with"),
        (vec!["snapshot", "import", "f.snap"], "<--at <HOST:PORT>|--config <FILE>>"),
        (vec!["snapshot", "import", "f.snap", "--at", "http://h:1"], "a server's Redis port"),
        (vec!["log", "inspect", "d", "--from", "3"], "--entries"),
        (vec!["serve", "--config", "f", "--log", "niagara=loud"], "CRATE=LEVEL"),
    ] {
        let finished = run(&arguments);
        assert_eq!(finished.status, Some(2), "{arguments:?}: {finished:?}");
        assert!(finished.stderr.contains(said), "{arguments:?}: {}", finished.stderr);
        assert!(!finished.stderr.contains('\x1b'), "no colours where no terminal is");
    }
}

#[test]
fn help_and_version_are_no_errors() {
    let commands = ["demo", "new-cluster", "serve", "put", "get", "del", "status", "snapshot", "log"]
        .map(|one| vec![one]);
    let nested = ["now", "inspect", "export", "import"].map(|one| vec!["snapshot", one]);
    for mut command in commands.into_iter().chain(nested).chain([vec!["log", "inspect"]]) {
        command.push("--help");
        let finished = run(&command);
        assert_eq!(finished.status, Some(0));
        assert!(
            finished.text().contains("Examples:") && finished.text().contains("Exit status:"),
            "{command:?}"
        );
        assert!(!finished.text().contains('\x1b'));
    }
    assert_eq!(run(["-V"]).text(), concat!("niagara ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_missing_configuration_file_is_a_failure_that_names_it() {
    let finished = run(["serve", "--config", "/nonexistent/server-1.toml"]);
    assert_eq!(finished.status, Some(1));
    assert!(finished.stderr.contains("/nonexistent/server-1.toml"), "{}", finished.stderr);
    assert!(finished.stderr.contains("hint:"), "{}", finished.stderr);
}
