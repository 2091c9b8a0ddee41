//! Programs of this machine, and what they say.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// A program on the path, or in the directories where systems keep those for administrators and people those of their own.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let others = ["/usr/bin", "/usr/local/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(others).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// The last lines of a log, for the one who wants to know why something does not work; nothing where there is none.
pub fn last_lines(log: &Path, count: usize) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
