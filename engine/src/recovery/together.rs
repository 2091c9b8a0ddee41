//! Whether data directories belong together.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::error::RecoveryError;
use super::source::Source;

/// Checks that no directory is given twice, also by different names. Only one of the two could be locked.
pub(super) fn check_given_once(directories: &[PathBuf]) -> Result<(), RecoveryError> {
    let mut given = HashMap::new();
    for dir in directories {
        // One that is not there is refused when it is opened.
        let Ok(found) = fs::metadata(dir) else { continue };
        if let Some(first) = given.insert((found.dev(), found.ino()), dir) {
            return Err(RecoveryError::GivenTwice { first: first.clone(), again: dir.clone() });
        }
    }
    Ok(())
}

/// Checks that these are directories of servers of one cluster, one of each.
pub(super) fn check_belong_together(sources: &[Source]) -> Result<(), RecoveryError> {
    let (first, others) = sources.split_first().ok_or(RecoveryError::NoDirectory)?;
    let mut servers = BTreeMap::from([(first.testimony.server, first)]);
    for other in others {
        let (one, another) = (&first.testimony, &other.testimony);
        let differ =
            |what| Err(RecoveryError::Differ { one: first.dir.clone(), other: other.dir.clone(), what });
        if one.cluster != another.cluster {
            let what =
                format!("one is of cluster {:032x}, the other of {:032x}", one.cluster, another.cluster);
            return differ(what);
        }
        // After a change, the chains of epochs are compared.
        let is_first_epoch = one.epochs.is_none() && another.epochs.is_none();
        if is_first_epoch && (&one.members, one.groups) != (&another.members, another.groups) {
            return differ("their servers, or numbers of groups, are not the same".into());
        }
        if let Some(same) = servers.insert(another.server, other) {
            let (one, other) = (same.dir.clone(), other.dir.clone());
            return Err(RecoveryError::SameServer { one, other, server: another.server });
        }
    }
    Ok(())
}

/// Casts doubt on a directory whose server another one has met in a later start: something that it acknowledged since may be
/// missing.
pub(super) fn doubt_old_copies(sources: &mut [Source]) {
    let doubt = |source: &Source| {
        let (server, starts) = (source.testimony.server, &source.testimony.starts);
        let met_later = |other: &&Source| other.testimony.starts.get(&server) > starts.get(&server);
        let by = sources.iter().find(met_later)?.testimony.server;
        Some(format!("it is an old copy: server {by} has met this server in a later start"))
    };
    let doubts: Vec<_> = sources.iter().map(doubt).collect();
    for (source, doubt) in sources.iter_mut().zip(doubts) {
        let known = source.testimony.doubt.take();
        source.testimony.doubt = known.or(doubt);
    }
}
