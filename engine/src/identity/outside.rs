//! A data directory from outside: what it says about its server, and how one is made for a server that starts later.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use niagara_log::{Durability, Files, Held};
use niagara_sequencer::epoch::{Chain, Marks};

use super::error::IdentityError;
use super::file::{self, RecordFile};
use super::greeting::sorted;
use super::start::first_record;
use crate::config::{Config, ServerId};

/// What a data directory says about its server.
#[derive(Clone, Debug)]
pub(crate) struct Testimony {
    pub cluster: u128,
    pub server: ServerId,
    pub groups: u16,
    /// The level of the first epoch.
    pub first_level: u32,
    /// Ids of all servers of the cluster, as far as this one knows them.
    pub members: Vec<ServerId>,
    pub durability: Durability,
    pub clean: bool,
    /// Why the logs may lack something that the server acknowledged.
    pub doubt: Option<String>,
    /// What the log of each group has held, by its channel.
    pub logs: BTreeMap<u32, Held>,
    /// The epochs that the server knows, and what it has done with them; `None` while there is the first one only.
    pub epochs: Option<(Chain, Marks)>,
    /// The epoch from which on the cluster goes on without this server, if it has been told so.
    pub removed: Option<u32>,
    /// The latest start that is known of each server, this one included.
    pub starts: BTreeMap<ServerId, u64>,
}

/// Whose data directory it is.
pub(crate) enum Owner {
    /// No server's.
    Nobody,
    /// A follower's. It has acknowledged nothing.
    Follower,
    /// That of a server that was to join, and had not. It has acknowledged nothing.
    Newcomer,
    /// That of a server which is or was a member.
    Member(Box<Testimony>),
}

/// Reads what a data directory says about its server.
pub(crate) fn look(dir: &Path, files: &dyn Files) -> Result<Owner, IdentityError> {
    let path = dir.join("identity");
    let Some(record) = file::find(files, &path)? else { return Ok(Owner::Nobody) };
    if record.follows {
        return Ok(Owner::Follower);
    }
    if record.joins && record.epochs.is_none() {
        return Ok(Owner::Newcomer);
    }
    let doubt = if record.old_copy {
        Some("it was restored from an old copy: the other servers have met it in a later state".to_owned())
    } else if record.lost_writes(&files.boot_id()) {
        Some("its machine went down while it ran with durability `os`".to_owned())
    } else {
        None
    };
    let newest = record.epochs.as_ref().map(|(chain, _)| sorted(&chain.newest().record.terms.members));
    let mut starts: BTreeMap<_, _> =
        record.peers.iter().map(|(server, met)| (*server, met.incarnation)).collect();
    starts.insert(record.server, record.incarnation);
    Ok(Owner::Member(Box::new(Testimony {
        cluster: record.cluster,
        server: record.server,
        groups: record.groups,
        first_level: record.first_level,
        members: newest.or(record.members).unwrap_or_else(|| starts.keys().copied().collect()),
        durability: record.durability,
        clean: record.clean,
        doubt,
        logs: record.logs,
        epochs: record.epochs,
        removed: record.removed,
        starts,
    })))
}

/// Makes the identity of a server whose data directory is made for it, before its first start. That start will be the one
/// after `incarnation`, and may reset its logs to the floors of the snapshot with the id `received`. `epochs` are those that it
/// is to know, if there are others than the first.
pub(crate) fn make(
    config: &Config,
    files: &Arc<dyn Files>,
    life: u64,
    incarnation: u64,
    received: Option<u128>,
    epochs: Option<(Chain, Marks)>,
) -> Result<(), IdentityError> {
    let dir = &config.data_dir;
    files.create_dir(dir).map_err(|source| IdentityError::Io { path: dir.clone(), source })?;
    let mut record = first_record(config, &**files, life);
    (record.incarnation, record.received) = (incarnation, received.into_iter().collect());
    record.epochs = epochs;
    RecordFile { files: Arc::clone(files), path: dir.join("identity") }.save(&record)
}
