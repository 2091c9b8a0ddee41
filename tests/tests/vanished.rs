//! Servers whose data directory is not what it was when they last ran: each is refused, says what is missing and what to do, and
//! nothing that was acknowledged is lost.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use niagara_tests::binary::niagara;
use niagara_tests::{Answer, Client, Cluster, ClusterPlan, wait};

/// Proves that a majority whose logs have vanished does not go on without them: two of three servers hold 200 acknowledged
/// writes, one of them loses its logs, and must not form a majority with the third, which never had them.
#[test]
fn logs_that_have_vanished() {
    let mut cluster = written(200, &[3]);
    for server in [1, 2] {
        cluster.kill(server);
    }
    let kept = copied(&cluster.data_dir(2));
    for group in ["group-1", "group-2"] {
        fs::remove_dir_all(cluster.data_dir(2).join(group)).unwrap();
    }
    cluster.launch(3);
    assert_refused(
        &cluster,
        2,
        &["group-1 has lost what this server acknowledged", "it is empty", "docs/recovery.md"],
    );

    // With the directory as it was, all goes on.
    put_back(&kept, &cluster.data_dir(2));
    cluster.restart(2);
    cluster.restart(1);
    assert_all_there(&cluster, &[1, 2, 3], 200);
}

/// Proves that each part of a data directory is missed: one group's log, the ends of logs, their beginnings, the identity beside
/// logs, and with a snapshot that is whole.
#[test]
fn parts_of_a_data_directory() {
    let mut cluster = written(120, &[]);
    cluster.kill(2);
    let kept = copied(&cluster.data_dir(2));
    let dir = cluster.data_dir(2);
    type Loss = fn(&Path);
    let losses: [(&str, Loss); 7] = [
        ("group-2 has lost what this server acknowledged", |dir| {
            fs::remove_dir_all(dir.join("group-2")).unwrap();
        }),
        ("group-1 has lost what this server acknowledged", |dir| {
            let segments = segments(&dir.join("group-1"));
            segments[1..].iter().for_each(|segment| fs::remove_file(segment).unwrap());
        }),
        ("group-1 has lost what this server acknowledged", |dir| {
            fs::remove_file(segments(&dir.join("group-1")).pop().unwrap()).unwrap();
        }),
        ("segment", |dir| fs::remove_file(&segments(&dir.join("group-1"))[0]).unwrap()),
        // Frames are as long as blocks of the disk, so the half that is gone held some that were followed by others.
        ("the log is damaged", |dir| {
            let file = fs::File::options().write(true).open(&segments(&dir.join("group-1"))[0]).unwrap();
            file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        }),
        ("no file `identity`", |dir| fs::remove_file(dir.join("identity")).unwrap()),
        ("is damaged", |dir| {
            let text = fs::read(dir.join("identity")).unwrap();
            fs::write(dir.join("identity"), &text[..text.len() / 2]).unwrap();
        }),
    ];
    for (words, lose) in losses {
        lose(&dir);
        assert_refused(&cluster, 2, &[words, "docs/recovery.md"]);
        put_back(&kept, &dir);
    }
    cluster.restart(2);
    assert_all_there(&cluster, &[1, 2, 3], 120);
}

/// Proves that a directory which was restored from an old copy is refused by the servers that have met a later state of it,
/// which it then knows itself.
#[test]
fn a_directory_from_an_old_copy() {
    let mut cluster = written(50, &[]);
    cluster.stop(2);
    let old = copied(&cluster.data_dir(2));
    cluster.restart(2);
    write(&cluster, 50..60);
    cluster.kill(2);
    let kept = copied(&cluster.data_dir(2));
    put_back(&old, &cluster.data_dir(2));
    cluster.launch(2);
    await_log(&cluster, 2, "was restored from an old copy");
    await_log(&cluster, 1, "was restored from an old copy");
    wait::until("server 2 not to be ready", || {
        let ready = cluster.http(2).request("GET", "/readyz", &[], b"").ok()?;
        (ready.status == 503).then_some(())
    });
    assert_all_there(&cluster, &[1, 3], 60);
    cluster.kill(2);
    assert_refused(&cluster, 2, &["restored from an old copy", "docs/recovery.md"]);
    put_back(&kept, &cluster.data_dir(2));
    cluster.restart(2);
    assert_all_there(&cluster, &[1, 2, 3], 60);
}

/// Proves that a server does not start with another list of members, with which it would form a cluster of its own.
#[test]
fn another_list_of_members() {
    let mut cluster = written(10, &[]);
    cluster.stop(3);
    let config = fs::read_to_string(cluster.config(3)).unwrap();
    let mut members: Vec<&str> = config.split("[[members]]").collect();
    let own = members.iter().rposition(|member| member.contains("server = 3")).expect("server 3 is listed");
    let alone = members.remove(own);
    fs::write(cluster.config(3), [members[0], alone].join("[[members]]")).unwrap();
    assert_refused(&cluster, 3, &["lists the servers 3, but", "is made of 1, 2, 3", "ids may not"]);
    fs::write(cluster.config(3), config).unwrap();
    cluster.restart(3);
    assert_all_there(&cluster, &[1, 2, 3], 10);
}

/// A cluster with so many writes acknowledged, while these servers were stopped.
fn written(count: usize, stopped: &[u64]) -> Cluster {
    let mut cluster = ClusterPlan::new(3, 2).start();
    stopped.iter().for_each(|server| cluster.stop(*server));
    write(&cluster, 0..count);
    cluster
}

fn write(cluster: &Cluster, keys: Range<usize>) {
    let [mut http, _] = Client::both(cluster.endpoint(1));
    for key in keys {
        wait::until("a write to be acknowledged", || {
            (http.set(&format!("k{key}"), &value(key)) == Answer::Done(())).then_some(())
        });
    }
}

/// Every fourth value is long, so that a log of a hundred has several segments.
fn value(key: usize) -> Vec<u8> {
    format!("v{key}").repeat(if key.is_multiple_of(4) { 32 << 10 } else { 1 }).into_bytes()
}

fn assert_all_there(cluster: &Cluster, servers: &[u64], count: usize) {
    for server in servers {
        let [_, mut redis] = Client::both(cluster.endpoint(*server));
        for key in 0..count {
            wait::until("a read to be answered", || match redis.get(&format!("k{key}")) {
                Answer::Done(value) => {
                    assert!(value == Some(self::value(key)), "k{key} through server {server}");
                    Some(())
                }
                _ => None,
            });
        }
    }
}

/// The segments of a log, oldest first.
fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    paths.sort();
    assert!(paths.len() > 2, "there are only {paths:?}");
    paths
}

fn copied(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let done = Command::new("cp").arg("-a").arg(dir).arg(copy.path().join("data")).status().unwrap();
    assert!(done.success());
    copy
}

fn put_back(copy: &tempfile::TempDir, dir: &Path) {
    fs::remove_dir_all(dir).unwrap();
    let done = Command::new("cp").arg("-a").arg(copy.path().join("data")).arg(dir).status().unwrap();
    assert!(done.success());
}

/// A server does not start, and says this.
fn assert_refused(cluster: &Cluster, server: u64, all: &[&str]) {
    let Output { status, stderr, .. } =
        Command::new(niagara()).args(["serve", "--config"]).arg(cluster.config(server)).output().unwrap();
    let said = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(1), "{said}");
    for words in all {
        assert!(said.contains(words), "{words:?} is not in: {said}");
    }
}

fn await_log(cluster: &Cluster, server: u64, words: &str) {
    wait::until(&format!("server {server} to log {words:?}"), || {
        cluster.log(server).contains(words).then_some(())
    });
}
