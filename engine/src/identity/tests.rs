use std::io::IoSlice;
use std::path::Path;

use niagara_log::{EntryId, HardState, MemoryFiles, SystemFiles};
use niagara_net::{Admission, Hello, Refusal};

use super::*;
use crate::config::Member;

fn config(dir: &Path) -> Config {
    let transfer = "127.0.0.1:0".to_owned();
    let member = |server| Member { server, addresses: vec![transfer.clone()], transfer: transfer.clone() };
    let mut config = Config::new(7, 1, vec![member(1), member(2)]);
    config.data_dir = dir.to_owned();
    config
}

fn memory_files() -> Arc<dyn Files> {
    Arc::new(MemoryFiles::default())
}

fn open(config: &Config, files: &Arc<dyn Files>, life: u64) -> Result<Identity, IdentityError> {
    Identity::open(config, files, life)
}

/// Runs a complete start with this life.
fn run(config: &Config, files: &Arc<dyn Files>, life: u64) -> Identity {
    let identity = open(config, files, life).unwrap();
    identity.begin(config, BTreeMap::new()).unwrap();
    identity
}

fn hello(store: u128, incarnation: u64, lives: &[u64]) -> Hello {
    let mut all = [0; LIVES];
    all[..lives.len()].copy_from_slice(lives);
    Hello { cluster: 7, server: 2, channels: 1, store, incarnation, lives: all, ..Hello::default() }
}

#[test]
fn incarnations_rise_and_peers_are_remembered() {
    let (config, files) = (config(Path::new("d")), memory_files());
    let first = run(&config, &files, 0xa);
    assert_eq!(first.incarnation(), 1);
    first.admit(&hello(5, 1, &[9])).unwrap();
    let store = first.hello(&config, 1, None).store;
    let second = run(&config, &files, 0xb);
    let says = second.hello(&config, 1, None);
    assert_eq!((says.incarnation, says.store, says.lives[..3].to_vec()), (2, store, vec![0xb, 0xa, 0]));
    second.admit(&hello(5, 1, &[9])).unwrap();
    assert!(matches!(second.admit(&hello(6, 1, &[9])), Err(Refusal::Store(_))));
}

#[test]
fn a_start_that_fails_changes_nothing() {
    let (mut config, files) = (config(Path::new("d")), memory_files());
    config.durability = Durability::Os;
    run(&config, &files, 0xa).stopped_cleanly(BTreeMap::new()).unwrap();
    let before = file::read(&*files, Path::new("d/identity")).unwrap();
    assert_eq!(open(&config, &files, 0xb).unwrap().incarnation(), 2);
    assert_eq!(file::read(&*files, Path::new("d/identity")).unwrap(), before);
}

#[test]
fn an_old_copy_is_told_by_its_starts() {
    let (config, files) = (config(Path::new("d")), memory_files());
    let identity = run(&config, &files, 0xa);
    let refused = |incarnation, lives: &[u64]| {
        matches!(identity.admit(&hello(5, incarnation, lives)), Err(Refusal::OldCopy(_)))
    };
    assert!(!refused(7, &[7, 6, 5]));
    assert!(!refused(7, &[7, 6, 5]), "another channel of the same start");
    assert!(refused(6, &[6, 5]));
    assert!(refused(7, &[70, 6, 5]), "the copy's first start has the same number");
    assert!(refused(9, &[92, 91, 70, 6]), "it does not know start 7 after some more either");
    assert!(!refused(9, &[9, 8, 7, 6]));
    assert!(!refused(100, &[100, 99, 98, 97, 96, 95, 94, 93]), "so many starts were not met");
    assert!(refused(9, &[9, 8, 7, 6]), "and now they are");
}

#[test]
fn who_was_refused_as_an_old_copy_does_not_start_again() {
    let (config, files) = (config(Path::new("d")), memory_files());
    let identity = run(&config, &files, 0xa);
    identity.refused(&Refusal::Store("another".into()));
    open(&config, &files, 0xb).unwrap();
    identity.refused(&Refusal::OldCopy("old".into()));
    assert!(matches!(open(&config, &files, 0xb), Err(IdentityError::OldCopy(_))));
}

#[test]
fn another_list_of_members_is_refused_and_other_addresses_are_not() {
    let (mut config, files) = (config(Path::new("d")), memory_files());
    run(&config, &files, 0xa);
    config.members[1].transfer = "elsewhere:1".into();
    config.members.reverse();
    open(&config, &files, 0xb).unwrap();
    let mut only = config.clone();
    only.members.retain(|member| member.server == 1);
    let error = open(&only, &files, 0xb).unwrap_err();
    let words = error.to_string();
    assert!(matches!(error, IdentityError::Members { .. }), "{words}");
    assert!(words.contains("lists the servers 1, but") && words.contains("made of 1, 2"), "{words}");
}

#[test]
fn what_a_log_held_is_remembered_apart_from_it() {
    let (config, files) = (config(Path::new("d")), memory_files());
    let identity = Arc::new(run(&config, &files, 0xa));
    let marks = identity.marks_of(1);
    assert_eq!(marks.held(), Held::default());
    marks.prepared(1).unwrap();
    marks.prepared(2).unwrap();
    let held = Held {
        segment: 0,
        last: EntryId { index: 9, term: 2 },
        hard_state: HardState { term: 2, vote: 1, commit: 8 },
    };
    identity.stopped_cleanly(BTreeMap::from([(1, held)])).unwrap();
    let again = Arc::new(open(&config, &files, 0xb).unwrap());
    assert_eq!(again.marks_of(1).held(), Held { segment: 2, ..held });
    assert_eq!(again.marks_of(2).held(), Held::default());
}

#[test]
fn only_a_marked_snapshot_was_received() {
    let (config, files) = (config(Path::new("d")), memory_files());
    let identity = run(&config, &files, 0xa);
    assert!(!identity.was_received(3, 2));
    identity.received(3).unwrap();
    let again = open(&config, &files, 0xb).unwrap();
    assert!(again.was_received(3, 2) && !again.was_received(4, 2));
    (4..7).for_each(|id| again.received(id).unwrap());
    let again = open(&config, &files, 0xb).unwrap();
    assert!((3..7).all(|id| again.was_received(id, 2)), "the later ones may never have got their names");
    again.received(7).unwrap();
    assert!(!again.was_received(3, 2) && again.was_received(7, 2));
    again.begin(&config, BTreeMap::new()).unwrap();
    assert!(!again.was_received(3, 2), "the logs fit it by now");
}

#[test]
fn logs_or_snapshots_without_an_identity_are_refused() {
    for held in ["group-1/1.log", "snapshots/1.snap"] {
        let (config, files) = (config(Path::new("d")), memory_files());
        let path = Path::new("d").join(held);
        files.create_dir(path.parent().unwrap()).unwrap();
        files.create(&path).unwrap();
        let refused = open(&config, &files, 0xa);
        assert!(matches!(refused, Err(IdentityError::NoIdentity { .. })), "{held}");
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("group-3")).unwrap();
    let files: Arc<dyn Files> = Arc::new(SystemFiles);
    open(&config(dir.path()), &files, 0xa).unwrap();
    std::fs::remove_file(dir.path().join("identity")).unwrap();
    std::fs::write(dir.path().join("group-3").join("1.log"), "a log").unwrap();
    assert!(matches!(open(&config(dir.path()), &files, 0xa), Err(IdentityError::NoIdentity { .. })));
}

#[test]
fn one_server_at_a_time_and_only_the_owner() {
    let dir = tempfile::tempdir().unwrap();
    let files: Arc<dyn Files> = Arc::new(SystemFiles);
    let held = DirectoryLock::take(dir.path()).unwrap();
    run(&config(dir.path()), &files, 0xa);
    assert!(matches!(DirectoryLock::take(dir.path()), Err(IdentityError::InUse(_))));
    drop(held);
    DirectoryLock::take(dir.path()).unwrap();
    let mut other = config(dir.path());
    other.cluster = 8;
    assert!(matches!(open(&other, &files, 0xb), Err(IdentityError::Foreign { .. })));
    let mut memory = config(dir.path());
    memory.durability = Durability::Memory;
    assert!(matches!(open(&memory, &files, 0xb), Err(IdentityError::WouldForget(_))));
}

#[test]
fn unsynced_writes_are_lost_only_with_the_machine() {
    let (mut config, files) = (config(Path::new("d")), memory_files());
    config.durability = Durability::Os;
    run(&config, &files, 0xa);
    // The process died, the machine did not.
    let again = run(&config, &files, 0xb);
    let reboot = |clean| {
        let changed = again.change(|record| {
            record.boot = "another".into();
            record.clean = clean;
        });
        changed.unwrap();
    };
    reboot(false);
    assert!(matches!(open(&config, &files, 0xc), Err(IdentityError::LostWrites { .. })));
    reboot(true);
    open(&config, &files, 0xc).unwrap();
}

#[test]
fn a_damaged_file_is_refused() {
    let (config, files) = (config(Path::new("d")), memory_files());
    run(&config, &files, 0xa);
    let text = file::read(&*files, Path::new("d/identity")).unwrap().unwrap();
    let damaged = String::from_utf8(text).unwrap().replace("incarnation = 1", "incarnation = 0");
    let file = files.create(Path::new("d/identity")).unwrap();
    file.write_all_at(&mut [IoSlice::new(damaged.as_bytes())], 0).unwrap();
    assert!(matches!(open(&config, &files, 0xb), Err(IdentityError::Damaged { .. })));
}

#[test]
fn a_directory_says_whose_it_is() {
    let (config, files) = (config(Path::new("d")), memory_files());
    let whose = |change: fn(&mut Record)| {
        let mut record = start::first_record(&config, &*files, 0xa);
        change(&mut record);
        let path = Path::new("d").join("identity");
        files.create_dir(Path::new("d")).unwrap();
        RecordFile { files: Arc::clone(&files), path }.save(&record).unwrap();
        look(Path::new("d"), &*files).unwrap()
    };
    assert!(matches!(look(Path::new("d"), &*files), Ok(Owner::Nobody)));
    assert!(matches!(whose(|record| record.follows = true), Owner::Follower));
    assert!(matches!(whose(|record| record.joins = true), Owner::Newcomer));
    let member = whose(|record| record.removed = Some(4));
    assert!(matches!(member, Owner::Member(testimony) if testimony.removed == Some(4)));
}
