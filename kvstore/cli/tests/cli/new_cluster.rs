//! `niagara new-cluster`, by its files.

use std::fs;

use niagara_kvstore::config::ConfigFile;

use crate::process::run;

#[test]
fn the_files_are_for_one_cluster_and_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    let arguments = ["new-cluster", "--dir", path.to_str().unwrap(), "--servers", "5", "--groups", "2"];
    let finished = run(arguments);
    assert_eq!(finished.status, Some(0), "{finished:?}");
    let files: Vec<_> = (1..=5).map(|server| path.join(format!("server-{server}.toml"))).collect();
    for (i, file) in files.iter().enumerate() {
        assert!(
            finished.text().contains(&format!("niagara serve --config {}", file.display())),
            "{finished:?}"
        );
        let parsed = ConfigFile::read(file).unwrap();
        let engine = &parsed.server.engine;
        assert_eq!((engine.server, engine.groups(), engine.members.len()), (i as u64 + 1, 2, 5));
        assert_eq!(engine.cluster, ConfigFile::read(&files[0]).unwrap().server.engine.cluster);
        assert_eq!(parsed.server.front.http.port(), 7000 + 10 * i as u16);
    }
    let before = fs::read(&files[0]).unwrap();
    fs::remove_file(&files[1]).unwrap();
    let again = run(arguments);
    assert_eq!(again.status, Some(1));
    assert!(again.stderr.contains("server-1.toml already exists"), "{}", again.stderr);
    assert_eq!(fs::read(&files[0]).unwrap(), before);
    assert!(!files[1].exists(), "all files or none");
}

#[test]
fn two_clusters_have_different_ids() {
    let dir = tempfile::tempdir().unwrap();
    let [one, other] = ["one", "other"].map(|name| {
        let path = dir.path().join(name);
        assert_eq!(run(["new-cluster", "--dir", path.to_str().unwrap()]).status, Some(0));
        ConfigFile::read(path.join("server-1.toml")).unwrap().server.engine.cluster
    });
    assert_ne!(one, other);
}
