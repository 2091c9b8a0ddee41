//! Any number of replicas, killed or not, end with equal counters.

use std::process::Command;

fn run(arguments: &[&str]) -> (bool, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_dorado")).args(arguments).output().expect("it runs");
    let text = [out.stdout, out.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (out.status.success(), text)
}

#[test]
fn all_counters_are_equal_in_the_end() {
    for arguments in [
        &["--replicas", "1", "--operations", "10"][..],
        &["--replicas", "3", "--operations", "10"],
        &["--replicas", "15", "--operations", "3"],
        &["--replicas", "4", "--operations", "10", "--kills", "6"],
    ] {
        let (is_good, text) = run(arguments);
        assert!(is_good && text.contains("all counters are equal"), "{arguments:?}: {text}");
    }
}

#[test]
fn what_cannot_be_done_is_said() {
    for (arguments, said) in [
        (&["--replicas", "16"][..], "1 to 15 replicas"),
        (&["--replicas", "0"], "1 to 15 replicas"),
        (&["--kills"], "--kills has no value"),
        (&["--speed", "9"], "--speed is unknown"),
    ] {
        let (is_good, text) = run(arguments);
        assert!(!is_good && text.contains(said), "{arguments:?}: {text}");
    }
}
