use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use niagara_log::{DirectFile, Files, LogFile};

use super::*;

fn disk(seed: u64) -> Disk {
    let disk = Disk::new(Chance::new(seed));
    disk.create_dir(Path::new("d")).unwrap();
    disk
}

fn written(disk: &Disk, path: &str) -> Arc<dyn LogFile> {
    let file = disk.create(Path::new(path)).unwrap();
    file.write_all_at(&mut [IoSlice::new(b"old")], 0).unwrap();
    file.sync_all().unwrap();
    disk.sync_dir(Path::new("d")).unwrap();
    file
}

fn read(disk: &Disk, path: &str) -> Option<Vec<u8>> {
    let file = disk.open(Path::new(path)).ok()?;
    let mut bytes = vec![0; file.length().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    Some(bytes)
}

#[test]
fn what_was_synced_outlives_the_power_and_the_rest_may_not() {
    let mut outcomes = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let disk = disk(seed);
        let file = written(&disk, "d/a");
        file.write_all_at(&mut [IoSlice::new(b"new")], 0).unwrap();
        disk.create(Path::new("d/b")).unwrap();
        assert_eq!(read(&disk, "d/a").unwrap(), b"new");
        disk.power_fails();
        outcomes.insert((read(&disk, "d/a").unwrap(), read(&disk, "d/b").is_some()));
    }
    assert!(outcomes.contains(&(b"old".to_vec(), false)) && outcomes.contains(&(b"new".to_vec(), true)));
    assert!(outcomes.iter().any(|(bytes, _)| bytes != b"old" && bytes != b"new"), "none was torn");
}

#[test]
fn a_process_that_ends_loses_nothing_and_a_failed_sync_says_so() {
    let disk = disk(1);
    let file = written(&disk, "d/a");
    file.write_all_at(&mut [IoSlice::new(b"new")], 0).unwrap();
    disk.process_ends();
    assert_eq!(read(&disk, "d/a").unwrap(), b"new");
    disk.trouble(|trouble| trouble.sync_fails = Some(FailingSync(None)));
    assert!(file.sync_all().is_err());
    disk.power_fails();
    assert_eq!(read(&disk, "d/a").unwrap(), b"old");
}

#[test]
fn a_dead_server_changes_nothing_more() {
    let disk = disk(1);
    let file = written(&disk, "d/a");
    disk.trouble(|trouble| trouble.dies_after = Some(0));
    assert!(file.sync_all().is_err());
    assert!(disk.remove(Path::new("d/a")).is_err());
    disk.process_ends();
    assert!(disk.remove(Path::new("d/a")).is_ok());
}

/// Four blocks, and the file's other writes.
fn with_direct(disk: &Disk) -> (Arc<dyn LogFile>, Arc<dyn DirectFile>) {
    let file = disk.create(Path::new("d/a")).unwrap();
    file.fill_with_zeros(0, 6 * BLOCK as u64).unwrap();
    file.sync_all().unwrap();
    disk.sync_dir(Path::new("d")).unwrap();
    (file, disk.open_direct(Path::new("d/a")).unwrap())
}

#[test]
fn a_direct_write_that_has_returned_is_durable_and_nothing_else_is() {
    let mut outcomes = std::collections::BTreeSet::new();
    for seed in 0..100 {
        let disk = disk(seed);
        let (file, direct) = with_direct(&disk);
        file.write_all_at(&mut [IoSlice::new(&[1; 2 * BLOCK])], 0).unwrap();
        direct.write_durably(&mut [IoSlice::new(&[2; BLOCK])], BLOCK as u64).unwrap();
        disk.power_fails();
        let found = read(&disk, "d/a").unwrap();
        assert_eq!(found[BLOCK..2 * BLOCK], [2; BLOCK]);
        outcomes.insert(found[0]);
    }
    assert_eq!(outcomes.into_iter().collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn a_direct_write_that_is_interrupted_leaves_any_of_its_blocks_and_spoils_no_other() {
    let mut outcomes = std::collections::BTreeSet::new();
    let (mut halves, mut noises) = (0, 0);
    for seed in 0..400 {
        let disk = disk(seed);
        let (_file, direct) = with_direct(&disk);
        disk.trouble(|trouble| trouble.dies_after = Some(1));
        assert!(direct.write_durably(&mut [IoSlice::new(&[7; 4 * BLOCK])], BLOCK as u64).is_err());
        disk.power_fails();
        let found = read(&disk, "d/a").unwrap();
        assert_eq!((found[..BLOCK].to_vec(), found[5 * BLOCK..].to_vec()), (vec![0; BLOCK], vec![0; BLOCK]));
        let blocks: Vec<&[u8]> = found[BLOCK..5 * BLOCK].chunks(BLOCK).collect();
        let is = |byte: u8| move |found: &u8| *found == byte;
        let half =
            |block: &&&[u8]| block[..BLOCK / 2].iter().all(is(7)) && block[BLOCK / 2..].iter().all(is(0));
        let noise = |block: &&&[u8]| !block.iter().all(|byte| [0, 7].contains(byte));
        halves += blocks.iter().filter(half).count();
        noises += blocks.iter().filter(noise).count();
        let whole: Vec<bool> = blocks.iter().map(|block| block.iter().all(is(7))).collect();
        outcomes.insert(whole);
    }
    assert_eq!(outcomes.len(), 16, "any subset: {outcomes:?}");
    assert!(halves > 20 && noises > 20, "{halves} halves, {noises} of noise");
}

/// A log whose last write starts in a block of its own loses nothing of what is before it.
#[test]
fn a_block_that_is_written_as_it_is_keeps_its_bytes() {
    for seed in 0..100 {
        let disk = disk(seed);
        let (_file, direct) = with_direct(&disk);
        direct.write_durably(&mut [IoSlice::new(&[7; BLOCK])], 0).unwrap();
        disk.trouble(|trouble| trouble.dies_after = Some(1));
        assert!(direct.write_durably(&mut [IoSlice::new(&[7; BLOCK])], 0).is_err());
        disk.power_fails();
        assert_eq!(read(&disk, "d/a").unwrap()[..BLOCK], [7; BLOCK]);
    }
}
