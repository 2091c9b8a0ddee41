//! What a server's record says at its first start, and whether it may start with the one that it finds.

use std::collections::BTreeMap;

use niagara_log::Files;
use niagara_net::LIVES;

use super::error::IdentityError;
use super::record::Record;
use crate::config::Config;
use crate::planted::{self, Bug};
use crate::role::ServerRole;

/// The record of a server that starts for the first time.
pub(super) fn first_record(config: &Config, files: &dyn Files, life: u64) -> Record {
    Record {
        cluster: config.cluster,
        server: config.server,
        groups: config.groups(),
        store: u128::from(life) << 64 | u128::from(files.salt()),
        incarnation: 0,
        lives: [0; LIVES],
        durability: config.durability,
        boot: files.boot_id(),
        clean: true,
        members: Some(config.servers()),
        joins: config.join.is_some(),
        follows: config.follows(),
        removed: None,
        first_level: config.first_level,
        old_copy: false,
        received: Vec::new(),
        peers: BTreeMap::new(),
        logs: BTreeMap::new(),
        epochs: None,
    }
}

/// Whether a server with this configuration may start on an empty directory.
pub(super) fn check_first(config: &Config) -> Result<(), IdentityError> {
    match config.joins && config.join.is_none() && !config.follows() {
        true => Err(IdentityError::MustJoin { server: config.server, dir: config.data_dir.clone() }),
        false => Ok(()),
    }
}

/// Whether a server with this configuration may start with a record.
pub(super) fn check(record: &Record, config: &Config, boot: &str) -> Result<(), IdentityError> {
    let found = if record.follows { ServerRole::Follower } else { ServerRole::Member };
    if found != config.role {
        let (dir, wanted) = (config.data_dir.clone(), config.role);
        return Err(IdentityError::OtherRole { dir, found, wanted });
    }
    let found = (record.cluster, record.server, record.groups);
    let wanted = (config.cluster, config.server, config.groups());
    let words = |(cluster, server, groups): (u128, u64, u16)| {
        format!("server {server} of cluster {cluster:032x} with {groups} groups")
    };
    let dir = || config.data_dir.clone();
    // After a change, what the configuration says of groups and members is a hint; and always to a follower.
    let has_changed = record.epochs.is_some() || record.follows;
    let found = if has_changed { (found.0, found.1, wanted.2) } else { found };
    if found != wanted {
        return Err(IdentityError::Foreign { dir: dir(), found: words(found), wanted: words(wanted) });
    }
    let wanted = config.servers();
    if let Some(found) = &record.members
        && *found != wanted
        && !has_changed
        && !planted::is(Bug::MembersNotCompared)
    {
        let words = |servers: &[u64]| servers.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        return Err(IdentityError::Members { dir: dir(), found: words(found), wanted: words(&wanted) });
    }
    if let Some(epoch) = record.removed {
        return Err(IdentityError::Removed { server: record.server, epoch, dir: dir() });
    }
    if record.joins && !has_changed && config.join.is_none() {
        return Err(IdentityError::HasNotJoined { server: record.server, dir: dir() });
    }
    if record.old_copy {
        return Err(IdentityError::OldCopy(dir()));
    }
    if record.lost_writes(boot) && !record.follows {
        return Err(IdentityError::LostWrites { server: record.server, dir: dir() });
    }
    Ok(())
}
