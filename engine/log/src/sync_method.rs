//! How writes become durable: directly where the file system takes that, else with a sync after each.

use std::fmt;
use std::io::{self, IoSlice};
use std::path::Path;

use super::LogError;
use super::files::Files;

/// How a log makes its writes durable.
///
/// ```
/// use niagara_log::{Durability, LogConfig, SyncMethod};
///
/// let dir = tempfile::tempdir()?;
/// let (_store, writer) = niagara_log::open(&LogConfig::new(dir.path(), Durability::Os, 1), &mut |_| {})?;
/// assert_eq!(writer.sync_method(), &SyncMethod::None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncMethod {
    /// Not at all.
    None,
    /// Each write bypasses the page cache, and is durable when it returns (`O_DIRECT`, `O_DSYNC`).
    Direct,
    /// Each write goes to the page cache and is synced from there (`fdatasync`), for this reason.
    Fdatasync(String),
}

impl fmt::Display for SyncMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SyncMethod::None => f.write_str("none"),
            SyncMethod::Direct => f.write_str("direct"),
            SyncMethod::Fdatasync(reason) => write!(f, "fdatasync, since {reason}"),
        }
    }
}

impl SyncMethod {
    /// Finds out with a trial write to a file of that name, which does not exist afterwards. Lack of room for
    /// it is a reason not to write directly.
    pub(super) fn find(files: &dyn Files, trial: &Path, block: u64) -> Result<Self, LogError> {
        let tried = try_direct(files, trial, block);
        let removed = match files.remove(trial) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        };
        removed.map_err(LogError::io("remove the file of a trial write,", trial))?;
        match tried {
            Ok(()) => Ok(SyncMethod::Direct),
            Err(error) if is_a_reason(&error) => Ok(SyncMethod::Fdatasync(error.to_string())),
            Err(error) => Err(LogError::io("make a trial write to", trial)(error)),
        }
    }
}

fn try_direct(files: &dyn Files, trial: &Path, block: u64) -> io::Result<()> {
    let length = block as usize;
    let cached = files.create(trial)?;
    cached.fill_with_zeros(0, block)?;
    let direct = files.open_direct(trial)?;
    let alignment = direct.alignment();
    if !block.is_multiple_of(alignment) {
        let reason = format!("direct IO is done in blocks of {alignment} bytes, and the log's have {block}");
        return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
    }
    let written = vec![0xa5; length];
    direct.write_durably(&mut [IoSlice::new(&written)], 0)?;
    let mut read = vec![0; length];
    cached.read_exact_at(&mut read, 0)?;
    if read == written {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::Unsupported, "a trial write could not be read back"))
    }
}

fn is_a_reason(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, QuotaExceeded, StorageFull, Unsupported};
    matches!(error.kind(), InvalidInput | QuotaExceeded | StorageFull | Unsupported)
}
