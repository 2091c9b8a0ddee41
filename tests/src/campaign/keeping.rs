//! What a campaign leaves behind of each of its clusters, if it is wanted: histories, logs and faults.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::export;
use crate::linearizability::Operation;

/// The place for one cluster.
#[derive(Clone, Debug)]
pub(super) struct Keeping {
    dir: PathBuf,
}

impl Keeping {
    /// Makes the place for a cluster.
    pub(super) fn of_cluster(dir: &Path, number: u64) -> io::Result<Keeping> {
        let dir = dir.join(format!("cluster-{number}"));
        fs::create_dir_all(dir.join("histories"))?;
        Ok(Keeping { dir })
    }

    /// Keeps the history of a key.
    pub(super) fn history(&self, history: &[Operation<String>]) -> io::Result<()> {
        ["{key}.edn", "{key}.jsonl"]
            .iter()
            .try_for_each(|name| export::write(history, &self.dir.join("histories").join(name)))
    }

    /// Keeps the logs and configurations of a cluster's servers, and what was done to them.
    pub(super) fn files(&self, cluster: &Path) -> io::Result<()> {
        for file in fs::read_dir(cluster)? {
            let path = file?.path();
            let is_kept = path.extension().is_some_and(|extension| extension == "log" || extension == "toml");
            if let Some(name) = path.file_name().filter(|_| is_kept) {
                fs::copy(&path, self.dir.join(name))?;
            }
        }
        Ok(())
    }
}
