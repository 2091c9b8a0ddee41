//! A cluster that has lost its majority is recovered from the data directories that are left.

mod eventually;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use eventually::eventually;
use niagara_engine::{
    App, AppMachine, Config, Consistency, Durability, GlobalPosition, Node, Recovery, RecoveryError,
};
use serde::{Deserialize, Serialize};

/// The numbers of all commands, and the position of the last.
#[derive(Default, Serialize, Deserialize)]
struct Numbers {
    all: BTreeSet<u64>,
    last: u64,
}

impl App for Numbers {
    type Command = u64;
    type Reply = bool;

    fn apply(&mut self, position: GlobalPosition, number: u64) -> bool {
        assert!(position.get() >= self.last, "positions do not go back");
        self.last = position.get();
        self.all.insert(number)
    }
}

fn cluster(servers: u16, groups: u16, dir: &Path, name: &str) -> Vec<Config> {
    let mut configs = Config::local(servers, groups).unwrap();
    for config in &mut configs {
        config.durability = Durability::Os;
        config.data_dir = dir.join(format!("{name}-{}", config.server));
        // Small, so that snapshots and compaction have their part in it.
        (config.segment_bytes, config.snapshot_entries) = (256 << 10, 40);
    }
    configs
}

fn start(configs: &[Config]) -> Vec<Node<Numbers>> {
    configs.iter().map(|config| Node::start(config.clone(), Numbers::default()).unwrap()).collect()
}

/// Has these numbers acknowledged, one after the other, so that each has an entry of its own.
fn write(nodes: &[&Node<Numbers>], numbers: std::ops::Range<u64>) {
    for number in numbers {
        let node = nodes[number as usize % nodes.len()];
        // A call that is refused while leaders change may be repeated: the state is a set.
        while node.call(&number).wait().is_err() {}
    }
}

fn all(node: &Node<Numbers>) -> BTreeSet<u64> {
    loop {
        if let Ok(all) = node.query(Consistency::Strong, |numbers| numbers.all.clone()).wait() {
            return all;
        }
    }
}

fn dirs(configs: &[Config], servers: &[u64]) -> Vec<PathBuf> {
    let dir = |server: &u64| configs[*server as usize - 1].data_dir.clone();
    servers.iter().map(dir).collect()
}

/// Everything in a directory, byte by byte, but for the lock.
fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else if path.file_name().unwrap() != "LOCK" {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// Three servers with two groups. Server 3 was away for all numbers but the first 30. Returns how many numbers there are.
fn lost(configs: &[Config]) -> u64 {
    let mut nodes = start(configs);
    write(&nodes.iter().collect::<Vec<_>>(), 0..30);
    nodes.pop().unwrap().stop();
    write(&nodes.iter().collect::<Vec<_>>(), 30..200);
    nodes.into_iter().for_each(Node::stop);
    200
}

fn recover(from: &[PathBuf], into: &[Config]) -> (Recovery, GlobalPosition) {
    let recovery = Recovery::open(from).unwrap();
    let mut reached = GlobalPosition::ZERO;
    let position =
        recovery.run(into, AppMachine::new(Numbers::default()), &mut |applied| reached = applied).unwrap();
    assert!(reached > GlobalPosition::ZERO && position >= reached);
    (recovery, position)
}

#[test]
fn any_two_of_three_directories_hold_everything_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let old = cluster(3, 2, dir.path(), "old");
    let count = lost(&old);
    for (case, left) in [[1, 2], [2, 3], [3, 1]].iter().enumerate() {
        let from = dirs(&old, left);
        let before: Vec<_> = from.iter().map(|dir| contents(dir)).collect();
        let (servers, groups) = [(3, 2), (1, 5), (5, 1)][case];
        let new = cluster(servers, groups, dir.path(), &format!("new-{case}"));
        let (recovery, position) = recover(&from, &new);
        assert!(recovery.found().is_complete(), "{:?}", recovery.found());
        assert_eq!(recovery.found().missing(), [6 - left[0] - left[1]]);
        drop(recovery);
        let after: Vec<_> = from.iter().map(|dir| contents(dir)).collect();
        assert!(before == after, "the directories are as they were");
        assert!(
            fs::read_dir(dir.path()).unwrap().all(|entry| !entry.unwrap().path().ends_with("recovering"))
        );

        let nodes = start(&new);
        assert_eq!(all(&nodes[0]), (0..count).collect());
        write(&nodes.iter().collect::<Vec<_>>(), count..count + 50);
        nodes.iter().for_each(|node| assert_eq!(all(node), (0..count + 50).collect()));
        let applied = nodes[0].query(Consistency::Strong, |numbers| numbers.last).wait().unwrap();
        assert!(applied > position.get(), "the global log goes on");
        nodes.into_iter().for_each(Node::stop);
        let nodes = start(&new);
        assert_eq!(all(&nodes[0]), (0..count + 50).collect(), "after a restart");
        nodes.into_iter().for_each(Node::stop);
    }
}

/// Changes the number of groups, and waits until these servers are there.
fn change(nodes: &[Node<Numbers>], groups: u16) {
    let epoch = |node: &Node<Numbers>| node.client().epoch();
    let before = nodes.iter().map(|node| epoch(node).number).max().unwrap();
    eventually("a server takes the request", || {
        nodes.iter().any(|node| node.client().ask_for_groups(groups).is_ok())
            || nodes.iter().any(|node| epoch(node).number > before)
    });
    eventually("the servers are in the next epoch", || nodes.iter().all(|node| epoch(node).number > before));
}

/// The number of groups changes twice. Server 3 is away from before the first change on, or from between the two, or to the
/// end.
#[test]
fn servers_that_have_been_through_changes_are_recovered_epoch_by_epoch() {
    let dir = tempfile::tempdir().unwrap();
    for (case, (away, snapshot_entries)) in [(0, 1000), (1, 1000), (2, 1000), (0, 40)].into_iter().enumerate()
    {
        let mut old = cluster(3, 2, dir.path(), &format!("old-{case}"));
        old.iter_mut().for_each(|config| config.snapshot_entries = snapshot_entries);
        let mut nodes = start(&old);
        let mut count = 0;
        for (change_number, groups) in [4, 3].into_iter().enumerate() {
            write(&nodes.iter().collect::<Vec<_>>(), count..count + 60);
            count += 60;
            if change_number == away {
                nodes.pop().unwrap().stop();
            }
            change(&nodes, groups);
        }
        write(&nodes.iter().collect::<Vec<_>>(), count..count + 60);
        count += 60;
        nodes.into_iter().for_each(Node::stop);
        for left in [[1, 2], [2, 3]] {
            let new = cluster(1, 5, dir.path(), &format!("new-{case}-{}", left[0]));
            let (recovery, position) = recover(&dirs(&old, &left), &new);
            let found = recovery.found();
            assert!(found.is_complete(), "{found:?}");
            let epochs: BTreeSet<u32> = found.groups.iter().map(|group| group.epoch).collect();
            assert!(epochs.last() == Some(&3), "{found:?}");
            drop(recovery);
            let nodes = start(&new);
            assert_eq!(all(&nodes[0]), (0..count).collect(), "case {case}, of servers {left:?}");
            write(&[&nodes[0]], count..count + 5);
            let applied = nodes[0].query(Consistency::Strong, |numbers| numbers.last).wait().unwrap();
            assert!(applied > position.get(), "the global log goes on");
            nodes.into_iter().for_each(Node::stop);
        }
    }
}

#[test]
fn one_directory_brings_back_what_it_holds_and_the_rest_may_be_missing() {
    let dir = tempfile::tempdir().unwrap();
    let old = cluster(3, 2, dir.path(), "old");
    let count = lost(&old);
    let new = cluster(1, 2, dir.path(), "new");
    let (recovery, _) = recover(&dirs(&old, &[3]), &new);
    let found = recovery.found();
    assert!(!found.is_complete());
    assert_eq!((found.missing(), found.directories.len(), found.groups.len()), (vec![1, 2], 1, 2));
    let nodes = start(&new);
    let back = all(&nodes[0]);
    assert!(back.is_superset(&(0..30).collect()) && back.len() < count as usize, "{back:?}");
    nodes.into_iter().for_each(Node::stop);
}

#[test]
fn a_server_of_the_new_cluster_without_its_directory_fetches_the_state() {
    let dir = tempfile::tempdir().unwrap();
    let old = cluster(3, 2, dir.path(), "old");
    let count = lost(&old);
    let new = cluster(3, 3, dir.path(), "new");
    recover(&dirs(&old, &[1, 2]), &new);
    fs::remove_dir_all(&new[2].data_dir).unwrap();
    let nodes = start(&new);
    write(&[&nodes[0]], count..count + 5);
    assert_eq!(all(&nodes[2]), (0..count + 5).collect());
    nodes.into_iter().for_each(Node::stop);
}

#[test]
fn what_is_damaged_is_said_and_what_is_whole_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let old = cluster(3, 2, dir.path(), "old");
    let count = lost(&old);
    let from = dirs(&old, &[1, 2]);

    // A log of one server is gone, and the newest snapshot of the other is damaged.
    fs::remove_dir_all(from[0].join("group-2")).unwrap();
    let snapshots = fs::read_dir(from[1].join("snapshots")).unwrap();
    let newest = snapshots.map(|entry| entry.unwrap().path()).max().unwrap();
    let mut bytes = fs::read(&newest).unwrap();
    let last = bytes.len() - 50;
    bytes[last] ^= 1;
    fs::write(&newest, bytes).unwrap();

    let new = cluster(1, 2, dir.path(), "new");
    let (recovery, _) = recover(&from, &new);
    let found = recovery.found();
    assert!(
        !found.is_complete(),
        "a majority of servers 1 and 3 may have had what server 2 lacks in group 2"
    );
    assert_eq!(found.groups.iter().map(|group| group.whole).collect::<Vec<_>>(), [2, 1]);
    assert!(found.groups[1].flaws[0].ends_with("group-2: it is missing"), "{found:?}");
    drop(recovery);
    let nodes = start(&new);
    assert_eq!(all(&nodes[0]), (0..count).collect());
    nodes.into_iter().for_each(Node::stop);

    // Now all snapshots are gone, and the logs begin above them.
    from.iter().for_each(|dir| fs::remove_dir_all(dir.join("snapshots")).unwrap());
    let error = Recovery::open(&from).unwrap_err();
    assert!(matches!(error, RecoveryError::OutOfReach { .. }), "{error}");
}

#[test]
fn what_cannot_be_a_recovery_is_refused_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let old = cluster(1, 1, dir.path(), "old");
    let other = cluster(1, 1, dir.path(), "other");
    for configs in [&old, &other] {
        let nodes = start(configs);
        write(&[&nodes[0]], 0..3);
        let in_use = Recovery::open(&dirs(configs, &[1])).unwrap_err();
        assert!(in_use.to_string().contains("in use by another server"), "{in_use}");
        nodes.into_iter().for_each(Node::stop);
    }
    let open = |dirs: &[PathBuf]| Recovery::open(dirs).unwrap_err().to_string();
    assert!(open(&[]).contains("at least one server"));
    assert!(open(&[dir.path().to_owned()]).contains("not a server's data directory"));
    let (here, there) = (old[0].data_dir.clone(), other[0].data_dir.clone());
    assert!(open(&[here.clone(), there.clone()]).contains("do not belong together: one is of cluster"));
    let copy = dir.path().join("copy");
    fs::create_dir(&copy).unwrap();
    fs::copy(here.join("identity"), copy.join("identity")).unwrap();
    assert!(open(&[here.clone(), copy]).contains("are both of server 1: name the one"));
    assert!(open(&[dir.path().join("nowhere")]).contains("there is no directory"));
    assert!(open(&[here.join("identity")]).contains("there is no directory"));
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&here, &link).unwrap();
    for again in [&here, &here.join(""), &link] {
        let twice = Recovery::open(&[here.clone(), there.clone(), again.clone()]).unwrap_err();
        assert!(matches!(twice, RecoveryError::GivenTwice { .. }), "{twice}");
        assert!(twice.to_string().ends_with("given twice"), "{twice}");
    }

    let mut follower = Config::follower(old[0].cluster, 9, old[0].members.clone());
    follower.data_dir = dir.path().join("follower");
    let nodes = start(&[old[0].clone(), follower.clone()]);
    nodes.into_iter().for_each(Node::stop);
    assert!(open(&[here.clone(), follower.data_dir]).contains("is that of a follower"));

    let recovery = Recovery::open(std::slice::from_ref(&here)).unwrap();
    let run = |into: &[Config]| {
        let done = recovery.run(into, AppMachine::new(Numbers::default()), &mut |_| {});
        done.unwrap_err().to_string()
    };
    let new = cluster(2, 1, dir.path(), "new");
    assert!(run(&[]).contains("at least one server of the new cluster"));
    assert!(run(&[new[0].clone(), new[0].clone()]).contains("server 1 is named twice"));
    let mut same_dir = new[1].clone();
    same_dir.data_dir.clone_from(&new[0].data_dir);
    assert!(run(&[new[0].clone(), same_dir]).contains("two servers have the data directory"));
    let mut same_id = new[0].clone();
    same_id.cluster = old[0].cluster;
    assert!(run(&[same_id]).contains("the id of the lost one"));
    let mut in_memory = new[0].clone();
    in_memory.durability = Durability::Memory;
    assert!(run(&[in_memory]).contains("keeps its data in memory"));
    let mut taken = new[0].clone();
    taken.data_dir.clone_from(&there);
    assert!(run(&[new[1].clone(), taken]).contains("is not empty"));
    assert!(!new[0].data_dir.exists() && !new[1].data_dir.exists());

    // An attempt that was cut short left something.
    fs::create_dir_all(dir.path().join("new-1.recovering/data/group-1")).unwrap();
    recovery.run(&new, AppMachine::new(Numbers::default()), &mut |_| {}).unwrap();
    assert!(!dir.path().join("new-1.recovering").exists());
    drop(recovery);
    let nodes = start(&new);
    assert_eq!(all(&nodes[0]), (0..3).collect());
    nodes.into_iter().for_each(Node::stop);
}

/// Copies a directory as it is.
fn copy(dir: &Path, to: &Path) {
    for (path, bytes) in contents(dir) {
        let path = to.join(path.strip_prefix(dir).unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn an_old_copy_counts_for_nothing_if_another_server_knows_better() {
    let dir = tempfile::tempdir().unwrap();
    let old = cluster(3, 2, dir.path(), "old");
    let old_copy = dir.path().join("copy");
    for numbers in [0..30, 30..60] {
        let nodes = start(&old);
        write(&nodes.iter().collect::<Vec<_>>(), numbers.clone());
        nodes.into_iter().for_each(Node::stop);
        if numbers.start == 0 {
            copy(&old[0].data_dir, &old_copy);
        }
    }
    let recovery = Recovery::open(&[old_copy, old[1].data_dir.clone()]).unwrap();
    let found = recovery.found();
    let doubt = found.directories[0].doubt.as_ref().unwrap();
    assert!(doubt.contains("an old copy: server 2 has met this server in a later start"), "{doubt}");
    assert!(found.directories[1].doubt.is_none() && !found.is_complete(), "{found:?}");
    drop(recovery);
    assert!(Recovery::open(&dirs(&old, &[1, 2])).unwrap().found().is_complete());
}

#[test]
fn a_cluster_that_has_executed_nothing_has_nothing_to_recover() {
    let dir = tempfile::tempdir().unwrap();
    let old = cluster(1, 2, dir.path(), "old");
    start(&old).into_iter().for_each(Node::stop);
    let new = cluster(1, 2, dir.path(), "new");
    let recovery = Recovery::open(&dirs(&old, &[1])).unwrap();
    let done = recovery.run(&new, AppMachine::new(Numbers::default()), &mut |_| {});
    assert!(matches!(done, Err(RecoveryError::Empty)), "{done:?}");
}
