//! What `Files` and `LogFile` promise (`engine/log/src/files.rs`), held against every implementation: the machine's file system,
//! the simulator's disk, and files in memory. A simulator whose disk is kinder than a real one hides bugs, and one that is
//! harsher finds those that nobody has.
//!
//! [`promises`] lists what holds while nothing fails; [`power_loss`] says what may be left when the power does, for any order of
//! operations, and [`power_cut`] cuts it.

mod contents;
mod direct;
mod directories;
mod held;
mod ops;
mod power_cut;
mod power_loss;
mod promises;

use std::path::Path;
use std::sync::Arc;

use niagara_log::{Files, MemoryFiles, SystemFiles};
use niagara_testing::parts::chance::Chance;
use niagara_tests::loop_disk::LoopDisk;
use niagara_tests::sim::Disk;

use promises::hold;

#[test]
fn the_machine_s_files_keep_all_promises() {
    let dir = tempfile::tempdir().unwrap();
    hold("SystemFiles", &SystemFiles, dir.path());
}

#[test]
fn files_in_memory_keep_all_promises() {
    hold("MemoryFiles", &MemoryFiles::default(), Path::new("d"));
    hold("MemoryFiles, from the root", &MemoryFiles::default(), Path::new("/d"));
}

#[test]
fn the_simulated_disk_keeps_all_promises() {
    hold("Disk", &Disk::new(Chance::new(1)), Path::new("d"));
}

/// Where space cannot be reserved, files are made longer otherwise: ext4 is such a file system if its files have no extents.
#[test]
fn the_machine_s_files_keep_all_promises_where_no_space_can_be_reserved() {
    let dir = tempfile::tempdir().unwrap();
    let (image, at) = (dir.path().join("image"), dir.path().join("disk"));
    std::fs::create_dir(&at).unwrap();
    match LoopDisk::mount_with(&at, &image, 16, &["-O", "^extents,^64bit"], "loop") {
        Ok(_disk) => hold("SystemFiles without fallocate", &SystemFiles, &at),
        Err(why) => eprintln!("skipped: no file system of its own ({why})"),
    }
}

/// Handles and file systems are shared by the threads of a server.
#[test]
fn several_threads_share_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let all: [(Arc<dyn Files>, &Path); 3] = [
        (Arc::new(SystemFiles), dir.path()),
        (Arc::new(MemoryFiles::default()), Path::new("d")),
        (Arc::new(Disk::new(Chance::new(1))), Path::new("d")),
    ];
    for (files, dir) in all {
        files.create_dir(dir).unwrap();
        let file = files.create(&dir.join("a")).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4_u8 {
                let file = &file;
                scope.spawn(move || {
                    for place in 0..50 {
                        let part = [thread + 1; 7];
                        let at = (place * 4 + u64::from(thread)) * 7;
                        file.write_all_at(&mut [std::io::IoSlice::new(&part)], at).unwrap();
                    }
                });
            }
        });
        let expected: Vec<u8> = (0..200).flat_map(|place| [place % 4 + 1; 7]).collect();
        assert_eq!(promises::content(&*file), expected, "{files:?}");
    }
}
