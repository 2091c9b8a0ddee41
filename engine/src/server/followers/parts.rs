//! A follower without threads: its snapshot opened, its parts put together.

use std::collections::BTreeMap;
use std::sync::Arc;

use niagara_log::{Files, SyncMethod};

use super::logs::FedLogs;
use crate::config::{Config, Member};
use crate::identity::Identity;
use crate::progress::{EpochProgress, RoomWatch, SharedProgress};
use crate::server::environment::Environment;
use crate::server::server_core::{Core, FirstLogs, Opened, byte_limits, open_directory, room_watch};
use crate::server::start_error::{StartError, check_level};
use crate::state_machine::StateMachine;

/// The parts of a follower.
pub(crate) struct FollowerParts<S: StateMachine> {
    pub identity: Arc<Identity>,
    pub core: Core<S>,
    pub logs: FedLogs,
    /// The members of the epoch that it is in.
    pub members: Vec<Member>,
    pub room: RoomWatch,
}

impl<S: StateMachine> FollowerParts<S> {
    /// Reads the identity, and opens snapshots; without any, `fetch` gets one from a member. The follower does not run yet: see
    /// [`begin`](Self::begin).
    pub fn open(
        config: &Config,
        environment: &Environment,
        state: S,
        fetch: impl FnOnce(&Arc<Identity>, &Arc<dyn Files>) -> Result<(), StartError>,
    ) -> Result<FollowerParts<S>, StartError> {
        let Opened { identity, state, snapshots } = open_directory(config, environment, state, fetch)?;
        let (header, _) = snapshots.snapshot.as_ref().ok_or(StartError::NoFirstState)?;
        let header = Arc::clone(header);
        let chain = header.chain.clone();
        let record = &chain.newest().record;
        check_level(config, record.terms.level)?;
        let epoch = EpochProgress::new(&chain, record.epoch);
        let servers = record.terms.members.len();
        let progress = SharedProgress::new(epoch, servers, byte_limits(config)).of_follower();
        let logs = FedLogs::new(progress.epoch(), Some(&header), config.merge_bytes);
        let members = config.followed(record, false);
        let (groups, lanes) = (record.terms.groups, record.lanes);
        let first = FirstLogs {
            chain,
            progress: Arc::new(progress),
            log_sync: SyncMethod::None,
            stores: logs.stores(),
        };
        let core = Core::new(config, environment, &identity, state, snapshots, first);
        core.shared.grow(groups, lanes);
        let room = room_watch(config, environment);
        Ok(FollowerParts { identity, core, logs, members, room })
    }

    /// Starts running: the last step of a start.
    pub fn begin(&self, config: &Config) -> Result<(), StartError> {
        Ok(self.identity.begin(config, BTreeMap::new())?)
    }
}
