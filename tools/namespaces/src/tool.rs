//! Runs `ip` and `tc`.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::NetworkError;

/// Runs a program and gives what it printed.
pub(super) fn run(program: &str, arguments: &[&str]) -> Result<String, NetworkError> {
    feed(program, arguments, "")
}

/// Runs `ip` or `tc` on several lines in one process, in a namespace. They stop at the first line that fails.
pub(super) fn batch(program: &str, namespace: &str, lines: &[String]) -> Result<(), NetworkError> {
    let mut text = lines.join("\n");
    text.push('\n');
    feed(program, &["-n", namespace, "-batch", "-"], &text).map(drop)
}

fn feed(program: &str, arguments: &[&str], input: &str) -> Result<String, NetworkError> {
    let failed = |why: String| NetworkError(format!("{program} {}: {why}", arguments.join(" ")));
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    // A program that ends before it has read all says why on its standard error.
    let _ = child.stdin.take().expect("it was asked for").write_all(input.as_bytes());
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")))
}
