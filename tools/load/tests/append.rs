//! The binary as a user runs it, for a moment.

use std::process::{Command, Output};

use serde_json::Value;

fn niagara_load(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_niagara-load"));
    command.args(arguments).output().expect("the binary starts")
}

fn measure(arguments: &[&str]) -> Value {
    let output =
        niagara_load(&[&["append", "--json", "--seconds", "0.4", "--warm-up", "0.4"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a JSON document")
}

fn number(report: &Value, field: &str) -> f64 {
    report[field].as_f64().unwrap_or_else(|| panic!("{field} in {report}"))
}

#[test]
fn a_closed_loop_completes_every_ticket() {
    let report = measure(&["--groups", "2", "--durability", "fsync", "--in-flight", "100"]);
    assert!(number(&report, "commands_per_second") > 0.0);
    assert!(report["latency_ms"]["p50"].as_f64() > Some(0.0));
    assert_eq!(number(&report, "unknown"), 0.0);
    assert!(number(&report, "log_writes_per_second") > 0.0);
    // Each follower is sent each command, so a command of 16 bytes crosses the wire twice at the least.
    assert!(number(&report, "wire_bytes_per_command") > 32.0);
}

#[test]
fn an_open_loop_keeps_its_rate_and_reads_go_beside_it() {
    let report = measure(&["--groups", "4", "--durability", "memory", "--rate", "2000", "--reads", "10"]);
    // Twice as slow would be a loop that waits for its outcomes.
    assert!((1000.0..4000.0).contains(&number(&report, "commands_per_second")), "{report}");
    assert!(number(&report, "reads_per_second") > 0.0);
}

#[test]
fn the_cpu_time_of_all_kinds_of_threads_adds_up() {
    let report = measure(&["--durability", "memory"]);
    let by_thread = report["cpu_seconds_per_million_commands_by_thread"].as_object().expect("an object");
    let sum: f64 = by_thread.values().map(|cpu| number(cpu, "total")).sum();
    let total = number(&report["cpu_seconds_per_million_commands"], "total");
    assert!((sum / total - 1.0).abs() < 1e-6, "{sum} and {total}");
}

#[test]
fn contradictions_are_refused_with_a_reason() {
    let output = niagara_load(&["append", "--rate", "5", "--in-flight", "5"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot be used with"));
    let output = niagara_load(&["append", "--data-dir", "/nowhere/at/all"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--data-dir"));
}
