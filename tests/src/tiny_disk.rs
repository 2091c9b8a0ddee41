//! A disk that is soon full: a file system in memory, of a given size, mounted where a test wants it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A mounted file system. Dropping it unmounts it, even while files in it are open.
#[derive(Debug)]
pub struct TinyDisk {
    at: PathBuf,
}

impl TinyDisk {
    /// Mounts one at a directory that exists.
    ///
    /// # Errors
    /// Why there can be none: that takes root.
    pub fn mount(at: &Path, kib: u64) -> Result<TinyDisk, String> {
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"]).arg(at))?;
        Ok(TinyDisk { at: at.to_owned() })
    }

    /// Gives it another size.
    ///
    /// # Panics
    /// When that fails: what is mounted can be resized.
    pub fn resize(&self, kib: u64) {
        let resized = run(Command::new("mount").args(["-o", &format!("remount,size={kib}k")]).arg(&self.at));
        resized.unwrap_or_else(|error| panic!("{error}"));
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        // Lazily, since servers may still hold files open. What stays mounted takes memory, and nothing else.
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
