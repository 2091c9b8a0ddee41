//! `niagara snapshot` and `niagara log`: from a running cluster to files, and from files into another
//! cluster.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;

use crate::process::{Finished, run, run_with_input};
use crate::servers::{Cluster, text};

/// Keys and values of all kinds: text, bytes, line ends, empty ones, and more than fits one chunk.
fn pairs() -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs: Vec<_> = (0..3_000_u32)
        .map(|i| (format!("key:{i}").into_bytes(), format!("value \u{e4} of {i}").into_bytes()))
        .collect();
    pairs.extend((0..=255_u8).map(|byte| (vec![byte, 0xff, b'\r', b'\n'], vec![byte; usize::from(byte)])));
    pairs.push((b"large".to_vec(), (0..3_000_000_u32).map(|i| (i % 251) as u8).collect()));
    pairs.push((vec![b'k'; 65_536], b"of the longest key".to_vec()));
    pairs
}

/// The pairs as SET commands, written independently of the program.
fn commands() -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in pairs() {
        out.extend_from_slice(b"*3\r\n");
        for word in [b"SET", &key[..], &value[..]] {
            out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            out.extend_from_slice(word);
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

fn ok(finished: Finished) -> Finished {
    assert_eq!(
        finished.status,
        Some(0),
        "{}\n{}",
        String::from_utf8_lossy(&finished.stdout),
        finished.stderr
    );
    finished
}

fn import(cluster: &Cluster, file: &str, more: &[&str], input: &[u8]) -> Finished {
    let arguments = ["snapshot", "import", file, "--config", text(&cluster.file(1)).to_owned().leak()];
    run_with_input(arguments.iter().chain(more), input)
}

/// The newest snapshot of a server.
fn newest(cluster: &Cluster, server: u64) -> PathBuf {
    let dir = cluster.dir.path().join(format!("data-{server}/snapshots"));
    let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|name| name == "snap"))
        .max()
        .expect("there is a snapshot")
}

/// What a snapshot exports as JSON, in any order.
fn rows(file: &Path) -> BTreeSet<String> {
    let exported = ok(run(["snapshot", "export", text(file), "--json"]));
    exported.text().lines().map(str::to_owned).collect()
}

#[test]
fn a_state_goes_by_way_of_files_into_a_cluster_with_other_groups() {
    let old = Cluster::start(3, 2);
    let loaded = ok(import(&old, "-", &[], &commands()));
    assert!(loaded.text().starts_with("3,258 keys, "), "{}", loaded.text());
    each_server_writes_a_snapshot(&old);
    let file = newest(&old, 2);
    what_is_inspected_is_what_was_written(&file);
    damage_is_found(&file);

    let new = Cluster::start(1, 3);
    let expected = rows(&file);
    assert_eq!(expected.len(), pairs().len());
    ok(import(&new, text(&file), &[], b""));
    let refused = import(&new, text(&file), &[], b"");
    assert_eq!(refused.status, Some(1));
    assert!(refused.stderr.contains("not empty: it has 3,258 keys"), "{}", refused.stderr);
    ok(new.run(&["snapshot", "now"]));
    assert_eq!(rows(&newest(&new, 1)), expected);

    exports_are_imported_again(&new, &file, &expected);
    logs_are_inspected(new);
}

/// A value's HTTP headers go from a row into a cluster, into its snapshot, and into a row again.
#[test]
fn content_types_are_kept_on_the_way() {
    let cluster = Cluster::start(1, 1);
    let row = r#"{"key":"page","value":"<p>","content_type":"text/html; charset=\"utf-8\"","content_encoding":"gzip"}"#;
    let plain = r#"{"key":"plain","value":"v"}"#;
    let input = format!("{row}\n{plain}\n");
    ok(import(&cluster, "-", &[], input.as_bytes()));
    ok(cluster.run(&["snapshot", "now"]));
    let file = newest(&cluster, 1);
    assert_eq!(rows(&file), BTreeSet::from([row.to_owned(), plain.to_owned()]));

    let other = Cluster::start(1, 2);
    ok(import(&other, text(&file), &[], b""));
    ok(other.run(&["snapshot", "now"]));
    assert_eq!(rows(&newest(&other, 1)), rows(&file));
    // Commands for other programs are plain ones.
    let commands = ok(run(["snapshot", "export", text(&file), "--resp"]));
    assert!(!commands.text().contains("NIAGARA") && commands.text().matches("SET").count() == 2);
}

fn each_server_writes_a_snapshot(cluster: &Cluster) {
    let taken = ok(cluster.run(&["snapshot", "now"]));
    let lines: Vec<_> = taken.text().lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (line, server) in lines.iter().zip(1..) {
        assert!(line.starts_with(&format!("server {server} at http://")), "{line}");
        assert!(line.contains(": snapshot at position "), "{line}");
    }
    let again = ok(cluster.run(&["snapshot", "now"]));
    assert!(again.text().lines().all(|line| line.contains("nothing has changed since")), "{}", again.text());
    let status = ok(cluster.run(&["status"]));
    assert_eq!(status.text().matches("\n  snapshot at position ").count(), 3, "{}", status.text());
}

fn what_is_inspected_is_what_was_written(file: &Path) {
    let shown = ok(run(["snapshot", "inspect", text(file)]));
    for said in ["written   by server 2 at 20", "of 2 groups", "3,258 keys in ", "intact: every chunk"] {
        assert!(shown.text().contains(said), "{}", shown.text());
    }
    let document: Value =
        serde_json::from_slice(&ok(run(["snapshot", "inspect", text(file), "--json"])).stdout).unwrap();
    let bytes = |of: fn(&(Vec<u8>, Vec<u8>)) -> usize| pairs().iter().map(of).sum::<usize>() as u64;
    assert_eq!(document["keys"], 3_258);
    assert_eq!(document["key_bytes"], bytes(|pair| pair.0.len()));
    assert_eq!(document["value_bytes"], bytes(|pair| pair.1.len()));
    assert_eq!(document["bytes"], fs::metadata(file).unwrap().len());
    assert_eq!(document["damage"], Value::Null);
    // Besides the import's, the servers compared their clocks.
    assert!(document["header"]["commands"].as_u64() >= Some(3_258), "{document}");
    assert_eq!(document["header"]["floors"][1]["voters"], serde_json::json!([1, 2, 3]));
}

fn damage_is_found(file: &Path) {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy.snap");
    let whole = fs::read(file).unwrap();
    let mut broken = whole.clone();
    broken[whole.len() / 2] ^= 1;
    let cases = [
        (broken, "a chunk does not match its checksum"),
        (whole[..whole.len() - 1].to_vec(), "the file is too short"),
        (whole[..50].to_vec(), "the file is too short"),
        (b"something else, and long enough".to_vec(), "does not begin as a snapshot does"),
    ];
    for (bytes, said) in cases {
        fs::write(&copy, bytes).unwrap();
        let shown = run(["snapshot", "inspect", text(&copy)]);
        assert_eq!(shown.status, Some(1), "{said}: {shown:?}");
        assert!(
            shown.text().contains("damaged at offset ") && shown.text().contains(said),
            "{}",
            shown.text()
        );
        assert!(shown.stderr.contains(said) && shown.stderr.contains("hint:"), "{}", shown.stderr);
        // An export that ends early leaves no file that looks complete.
        let output = dir.path().join("export");
        let exported = run(["snapshot", "export", text(&copy), "--resp", "--output", text(&output)]);
        assert_eq!((exported.status, output.exists()), (Some(1), false), "{exported:?}");
    }
    let missing = run(["snapshot", "inspect", "/nonexistent.snap"]);
    assert!(missing.status == Some(1) && missing.stderr.contains("/nonexistent.snap"), "{missing:?}");
}

/// The input ends within its second half; the failure says what was loaded before.
fn an_import_says_how_far_it_came(cluster: &Cluster) {
    let input = commands();
    let cut = import(cluster, "-", &["--merge"], &input[..input.len() - 1]);
    assert_eq!(cut.status, Some(1), "{cut:?}");
    assert!(cut.stderr.contains("the input ends within it; 3,"), "{}", cut.stderr);
    assert!(cut.stderr.contains("keys were acknowledged before"), "{}", cut.stderr);
}

fn exports_are_imported_again(cluster: &Cluster, file: &Path, expected: &BTreeSet<String>) {
    for format in ["--json", "--resp"] {
        let export = cluster.dir.path().join(format!("export{format}"));
        ok(run(["snapshot", "export", text(file), format, "--output", text(&export)]));
        let again = run(["snapshot", "export", text(file), format, "--output", text(&export)]);
        assert!(
            again.status == Some(1) && again.stderr.contains("nothing is overwritten"),
            "{}",
            again.stderr
        );
        let loaded = ok(import(cluster, text(&export), &["--merge"], b""));
        assert!(loaded.text().starts_with("3,258 keys, "), "{}", loaded.text());
    }
    an_import_says_how_far_it_came(cluster);
    ok(cluster.run(&["snapshot", "now"]));
    assert_eq!(&rows(&newest(cluster, 1)), expected);
    let resp = ok(run(["snapshot", "export", text(file), "--resp"]));
    assert_eq!(resp.stdout.len(), commands().len(), "the same commands in another order");
}

fn logs_are_inspected(mut cluster: Cluster) {
    let data = cluster.dir.path().join("data-1");
    let watched = run(["log", "inspect", text(&data)]);
    assert!(watched.stderr.contains("a server runs on these logs"), "{}", watched.stderr);
    let (status, said) = cluster.servers.remove(0).end_with(Signal::TERM);
    assert_eq!(status.code(), Some(0), "{said}");

    let shown = ok(run(["log", "inspect", text(&data)]));
    assert_eq!(shown.text().matches("a start takes it as it is").count(), 3, "{}", shown.text());
    assert_eq!(shown.stderr, "");
    let all = ok(run(["log", "inspect", text(&data), "--entries", "--json"]));
    let lines: Vec<Value> = all.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (entries, logs): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line["fills"].is_string());
    assert_eq!(logs.len(), 3, "{logs:?}");
    let sum = |of: &dyn Fn(&Value) -> Option<u64>| entries.iter().filter_map(|entry| of(entry)).sum::<u64>();
    let commands = sum(&|entry| entry["commands"].as_u64());
    // With the second snapshot the logs were compacted to the first: whole segments of the earlier import may
    // be gone.
    assert!(commands >= 2 * 3_258 + 3_000, "two imports came after it, and most of a third: {commands}");

    let group = data.join("group-2");
    let last = logs[1]["last"]["index"].as_u64().unwrap();
    let (from, to) = ((last - 1).to_string(), last.to_string());
    let few = ok(run(["log", "inspect", text(&group), "--entries", "--from", &from, "--to", &to]));
    assert_eq!(few.text().matches("  normal  ").count(), 2, "{}", few.text());

    let segment = group.join(logs[1]["segments"][0]["file"].as_str().unwrap());
    let mut bytes = fs::read(&segment).unwrap();
    bytes[0] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let damaged = run(["log", "inspect", text(&data)]);
    assert_eq!(damaged.status, Some(1), "{damaged:?}");
    assert!(damaged.text().contains("\ndamaged: "), "{}", damaged.text());
    assert!(
        damaged.stderr.contains("1 of 3 logs are damaged") && damaged.stderr.contains("hint:"),
        "{}",
        damaged.stderr
    );
}
