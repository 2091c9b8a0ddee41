//! What is promised of direct writes, where an implementation has them.

use std::fs;
use std::io::{ErrorKind, IoSlice};
use std::path::Path;
use std::sync::Arc;

use niagara_log::{DirectFile, Files, SystemFiles};

use super::power_cut::Machine;
use super::promises::{content, fails, write};

/// A file of a mebibyte, written and synced, opened for direct writes.
fn opened(files: &dyn Files, path: &Path) -> Option<Arc<dyn DirectFile>> {
    let file = files.create(path).unwrap();
    file.fill_with_zeros(0, 1 << 20).unwrap();
    file.sync_all().unwrap();
    files.sync_dir(path.parent().unwrap()).unwrap();
    match files.open_direct(path) {
        Ok(direct) => Some(direct),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            eprintln!("no direct writes in {}: {error}", path.display());
            None
        }
    }
}

pub(super) fn direct_writes_are_seen_by_all_handles(files: &dyn Files, dir: &Path) {
    let path = dir.join("f");
    let Some(direct) = opened(files, &path) else { return };
    let block = files.block_bytes();
    assert!(block.is_multiple_of(direct.alignment()), "{block} and {}", direct.alignment());
    let cached = files.open(&path).unwrap();
    let mut expected = content(&*cached);
    for (round, blocks) in [(1, 1), (2, 3), (3, 100)] {
        let data: Vec<u8> = (0..blocks * block).map(|i| (i / 11 + round) as u8).collect();
        let at = (round * block) as usize;
        let (front, back) = data.split_at(data.len() / 3);
        let mut parts = [IoSlice::new(front), IoSlice::new(&[]), IoSlice::new(back)];
        direct.write_durably(&mut parts, at as u64).unwrap();
        expected[at..at + data.len()].copy_from_slice(&data);
        assert!(content(&*cached) == expected, "{blocks} blocks");
        // A write of another handle in between is seen, too, and is not undone by the next direct one.
        write(&*cached, 2 * round, b"cached");
        expected[2 * round as usize..][..6].copy_from_slice(b"cached");
    }
    assert!(content(&*files.open(&path).unwrap()) == expected);
    direct.write_durably(&mut [], 0).unwrap();
    assert_eq!(cached.length().unwrap(), 1 << 20);
}

pub(super) fn direct_files_have_to_be_there(files: &dyn Files, dir: &Path) {
    if opened(files, &dir.join("there")).is_some() {
        fails(files.open_direct(&dir.join("absent")), ErrorKind::NotFound);
    }
}

/// On a file system of its own, whose power is cut right after the write, without a sync.
#[test]
fn a_direct_write_that_has_returned_outlives_the_power() {
    let machine = match Machine::start() {
        Ok(machine) => machine,
        Err(why) => {
            eprintln!("skipped: no file system of its own, whose power could be cut ({why})");
            return;
        }
    };
    let path = machine.disk().join("f");
    let Some(direct) = opened(&SystemFiles, &path) else { return };
    for round in 1..=4_u8 {
        let at = 4096 * u64::from(round);
        direct.write_durably(&mut [IoSlice::new(&[round; 8192])], at).unwrap();
        let found = machine.cut(|copy| fs::read(copy.join("f")).unwrap());
        assert_eq!(found.len(), 1 << 20);
        assert!(found[at as usize..][..8192].iter().all(|byte| *byte == round), "round {round}");
    }
}
