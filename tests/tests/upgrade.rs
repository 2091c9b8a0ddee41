//! What an earlier release wrote, this one reads.
//!
//! `tests/data/written-by-0.1.0` holds the data directories of a cluster of three servers and two groups: 60 keys, a counter, a
//! snapshot at server 1, then 40 more keys. Server 1 was killed, the others were stopped. Files are kept without the zeros
//! at their ends.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use niagara_tests::{Cluster, ClusterPlan, Value};

/// What the servers had executed when they ended.
const POSITION: u64 = 2097;

fn written_before() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/written-by-0.1.0")
}

/// Puts the directories where the servers of a cluster expect theirs.
fn put_down(cluster: &Cluster) {
    let from = written_before();
    let lengths = fs::read_to_string(from.join("lengths.txt")).unwrap();
    for line in lengths.lines().filter(|line| !line.starts_with('#')) {
        let (name, bytes) = line.split_once(' ').unwrap();
        let to = cluster.dir().join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from.join(name), &to).unwrap();
        File::options().write(true).open(&to).unwrap().set_len(bytes.parse().unwrap()).unwrap();
    }
    let identity = fs::read_to_string(from.join("data-1/identity")).unwrap();
    let cluster_id = identity.lines().find_map(|line| line.strip_prefix("cluster = ")).unwrap();
    for server in cluster.servers() {
        let path = cluster.config(server);
        let text = fs::read_to_string(&path).unwrap();
        let own = text.lines().find(|line| line.starts_with("cluster = ")).unwrap().to_owned();
        fs::write(&path, text.replace(&own, &format!("cluster = \"{cluster_id}\""))).unwrap();
    }
}

/// The release before gave out versions alone. The state gets a life now, the same on every server, and what the release
/// before has written is told by its tags, but not by the versions of before.
fn tags_name_a_life(cluster: &Cluster) {
    let tags: Vec<String> = cluster
        .servers()
        .map(|server| {
            let found = cluster.http(server).get("before-1", "strong").unwrap();
            assert_eq!(found.header("Content-Type"), Some("application/octet-stream"));
            found.header("ETag").expect("a strong read has a tag").to_owned()
        })
        .collect();
    assert!(tags.iter().all(|tag| *tag == tags[0]), "{tags:?}");
    let version = tags[0].split_once('-').expect("a life and a version").1;
    let put = |tag: &str| {
        let put = cluster.http(2).request("PUT", "/kv/before-1", &[("If-Match", tag)], b"anew").unwrap();
        put.status
    };
    assert_eq!((put(&format!("\"{version}")), put(&tags[0])), (412, 200));
    let restored = format!("value 1 {}", "x".repeat(3));
    assert_eq!(cluster.http(1).put("before-1", restored.as_bytes()).unwrap().status, 200);
}

#[test]
fn directories_of_the_release_before_are_taken_over() {
    let mut cluster = ClusterPlan::new(3, 2).prepare();
    put_down(&cluster);
    for server in cluster.servers() {
        cluster.launch(server);
    }
    for server in cluster.servers() {
        cluster.await_ready(server);
        let mut redis = cluster.redis(server);
        let mut get = |key: &[u8]| redis.command(&[b"GET".as_slice(), key]).unwrap();
        for n in 0..60 {
            let value = || Value::Bulk(format!("value {n} {}", "x".repeat(3 * n)).into_bytes());
            let wanted = if n == 7 || n == 8 { Value::Null } else { value() };
            assert_eq!(get(format!("before-{n}").as_bytes()), wanted, "before-{n} at server {server}");
        }
        for n in 0..40 {
            let wanted = format!("later {n}{}", if n == 1 { "!" } else { "" });
            assert_eq!(get(format!("after-{n}").as_bytes()), Value::Bulk(wanted.into_bytes()));
        }
        assert_eq!(get(b"counter"), Value::Bulk(b"15".to_vec()));
        assert_eq!(get(b"bin\x00\xff"), Value::Bulk((0..=255).collect()));
    }
    tags_name_a_life(&cluster);
    let mut redis = cluster.redis(1);
    assert_eq!(redis.command(&["INCR", "counter"]).unwrap(), Value::Integer(16));
    assert!(cluster.await_agreement() >= POSITION, "positions go on from where they were");

    // And it can read what it has written itself since.
    cluster.kill_all();
    for server in cluster.servers() {
        cluster.launch(server);
    }
    for server in cluster.servers() {
        cluster.await_ready(server);
    }
    let value = cluster.redis(3).command(&["GET", "counter"]).unwrap();
    assert_eq!(value, Value::Bulk(b"16".to_vec()));
}
