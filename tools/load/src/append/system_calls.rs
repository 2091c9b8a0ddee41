//! Counting the system calls of processes, for a moment, with `perf` from the machine.

use std::process::Command;

/// How many system calls these processes make within a second. Counting slows each call down a little, so it is done beside the
/// measured window. An error says why there is no figure.
pub(super) fn count_for_a_second(processes: &[u32]) -> Result<f64, String> {
    let list: Vec<String> = processes.iter().map(ToString::to_string).collect();
    let perf = Command::new("perf")
        .args(["stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p", &list.join(","), "--", "sleep", "1"])
        .env("LC_ALL", "C")
        .output()
        .map_err(|error| format!("perf cannot be started: {error}"))?;
    let text = String::from_utf8_lossy(&perf.stderr);
    parse(&text).ok_or_else(|| {
        format!("perf cannot count here: {}", text.lines().next().unwrap_or("it says nothing"))
    })
}

fn parse(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.contains("raw_syscalls:sys_enter"))?;
    line.split(',').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_and_refusals_are_told_apart() {
        assert_eq!(parse("1234,,raw_syscalls:sys_enter,5,100.00,,\n"), Some(1234.0));
        assert_eq!(parse("<not supported>,,raw_syscalls:sys_enter,0,100.00,,\n"), None);
        assert_eq!(parse("Error: Access to performance monitoring is limited\n"), None);
    }
}
