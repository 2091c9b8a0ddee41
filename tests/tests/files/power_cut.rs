//! Real losses of power, as far as a machine can make them without being switched off.
//!
//! The file system stands on a loop device. What it has handed to that stands in the image at once; what it still has in memory
//! does not. So a copy of the image is what a disk holds whose machine has lost its power at that moment. A journal is committed
//! hourly here, rather than every few seconds: what is in the copy is there because somebody asked for it. Mounting the copy replays
//! its journal, as a start of the machine does.
//!
//! A disk that loses what it was handed and not told to flush is not among what this can show; the simulated one does that.

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::{Path, PathBuf};

use niagara_log::SystemFiles;
use niagara_tests::loop_disk::LoopDisk;
use niagara_tests::rounds;

use super::ops::{Op, ops};
use super::power_loss::{Promised, Seen, for_all};

pub(super) struct Machine {
    dir: tempfile::TempDir,
    cuts: Cell<u64>,
    _disk: LoopDisk,
}

impl Machine {
    pub(super) fn start() -> Result<Machine, String> {
        let dir = tempfile::tempdir().unwrap();
        for name in ["disk", "copy"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let (at, image) = (dir.path().join("disk"), dir.path().join("image"));
        let disk = LoopDisk::mount_with(&at, &image, 32, &[], "loop,commit=3600")?;
        Ok(Machine { dir, cuts: Cell::new(0), _disk: disk })
    }

    pub(super) fn disk(&self) -> PathBuf {
        self.dir.path().join("disk")
    }

    /// Shows what would be found if the power failed now. Each copy has a name of its own: the system lets go of a device some time
    /// after it was unmounted, and a second file system of that name would be seen through what is known of the first.
    pub(super) fn cut<T>(&self, look: impl FnOnce(&Path) -> T) -> T {
        let number = self.cuts.replace(self.cuts.get() + 1);
        let (at, image) = (self.dir.path().join("copy"), self.dir.path().join(format!("image-{number}")));
        fs::copy(self.dir.path().join("image"), &image).unwrap();
        let copy = LoopDisk::mount_image(&at, &image, "loop").expect("its journal can be replayed");
        let found = look(&at);
        drop(copy);
        fs::remove_file(image).unwrap();
        found
    }
}

#[test]
fn the_machine_s_files_keep_what_was_synced_when_the_power_is_cut() {
    let machine = match Machine::start() {
        Ok(machine) => machine,
        Err(why) => {
            eprintln!("skipped: no file system of its own, whose power could be cut ({why})");
            return;
        }
    };
    let (seen, case) = (RefCell::new(Seen::default()), RefCell::new(0));
    for_all(rounds(25) as u32, &ops(700, 40), |ops| {
        *case.borrow_mut() += 1;
        let dir = PathBuf::from(case.borrow().to_string());
        let mut promised = Promised::new(&SystemFiles, &machine.disk().join(&dir));
        let check = |promised: &Promised| {
            machine.cut(|copy| promised.check(&SystemFiles, &copy.join(&dir), &mut seen.borrow_mut()))
        };
        for op in &ops {
            promised.follow(&SystemFiles, op);
            if matches!(op, Op::Cut) {
                check(&promised)?;
            }
        }
        check(&promised)
    });
    let Seen { names_lost, contents_lost, contents_kept, .. } = seen.into_inner();
    assert!(
        names_lost > 0 && contents_lost > 0,
        "no power was cut: {names_lost} names and {contents_lost} contents were lost, {contents_kept} kept"
    );
}
