//! A disk that can be frozen: a file system in a file, mounted where a test wants it. Writes to a frozen one do not return.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A mounted file system. Dropping it lets it go on, and unmounts it.
#[derive(Debug)]
pub struct LoopDisk {
    at: PathBuf,
}

impl LoopDisk {
    /// Makes one of that size in a file, and mounts it at a directory that exists.
    ///
    /// # Errors
    /// Why there can be none: that takes root, loop devices, and the programs `mkfs.ext4`, `mount` and `fsfreeze`.
    pub fn mount(at: &Path, image: &Path, mib: u64) -> Result<LoopDisk, String> {
        run(Command::new("fsfreeze").arg("--version"))?;
        LoopDisk::mount_with(at, image, mib, &[], "loop")
    }

    /// Likewise, with options for `mkfs.ext4` and for `mount`.
    ///
    /// # Errors
    /// As [`mount`](Self::mount), but for `fsfreeze`.
    pub fn mount_with(
        at: &Path,
        image: &Path,
        mib: u64,
        make: &[&str],
        mount: &str,
    ) -> Result<LoopDisk, String> {
        run(Command::new("truncate").arg("--size").arg(format!("{mib}M")).arg(image))?;
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).args(make).arg(image))?;
        LoopDisk::mount_image(at, image, mount)
    }

    /// Mounts what is in a file, with options for `mount`.
    ///
    /// # Errors
    /// Why it cannot be mounted.
    pub fn mount_image(at: &Path, image: &Path, mount: &str) -> Result<LoopDisk, String> {
        run(Command::new("mount").args(["-o", mount]).arg(image).arg(at))?;
        Ok(LoopDisk { at: at.to_owned() })
    }

    /// From now on writes wait.
    ///
    /// # Panics
    /// When that fails.
    pub fn freeze(&self) {
        run(Command::new("fsfreeze").arg("--freeze").arg(&self.at)).unwrap_or_else(|error| panic!("{error}"));
    }

    /// They go on.
    ///
    /// # Panics
    /// When that fails.
    pub fn thaw(&self) {
        run(Command::new("fsfreeze").arg("--unfreeze").arg(&self.at))
            .unwrap_or_else(|error| panic!("{error}"));
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        // It may be frozen if a test has failed, and what waits for it could not end. If it is not, this fails.
        let _ = run(Command::new("fsfreeze").arg("--unfreeze").arg(&self.at));
        if let Err(error) = run(Command::new("umount").arg("--lazy").arg(&self.at)) {
            eprintln!("{error}");
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}
