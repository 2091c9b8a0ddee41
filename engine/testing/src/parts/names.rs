//! The names of a disk's files.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

/// Maps names to files, in the order of the names' bytes: comparing paths part by part takes ten times as
/// long.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(BTreeMap<OsString, u64>);

impl Names {
    pub fn get(&self, name: &Path) -> Option<u64> {
        self.0.get(name.as_os_str()).copied()
    }

    /// Gives a name to a file, and takes it from another file that had it.
    pub fn insert(&mut self, name: &Path, file: u64) {
        self.0.insert(name.as_os_str().to_owned(), file);
    }

    /// Removes a name. Returns the file that had it.
    pub fn remove(&mut self, name: &Path) -> Option<u64> {
        self.0.remove(name.as_os_str())
    }

    /// All names, in order.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &Path> {
        self.0.keys().map(Path::new)
    }
}
