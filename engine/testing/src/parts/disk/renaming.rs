//! Changes of names, which are durable once their directory is synced.

use std::path::{Path, PathBuf};

use crate::parts::names::Names;

#[derive(Clone, Debug)]
pub(super) enum Renaming {
    Created(PathBuf, u64),
    Renamed(PathBuf, PathBuf),
    Removed(PathBuf),
}

impl Renaming {
    pub fn is_in(&self, dir: &Path) -> bool {
        let (Renaming::Created(path, _) | Renaming::Renamed(path, _) | Renaming::Removed(path)) = self;
        path.parent() == Some(dir)
    }

    pub fn apply(&self, names: &mut Names) {
        match self {
            Renaming::Created(path, file) => names.insert(path, *file),
            Renaming::Renamed(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to, file);
                }
            }
            Renaming::Removed(path) => {
                names.remove(path);
            }
        }
    }
}
