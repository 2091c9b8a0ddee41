//! What a start finds on disk: the newest whole snapshot, each group's log, and whether they fit.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use niagara_group::batch::{EntryFill, data_sum};
use niagara_group::{Driver, DriverConfig, SlotIndex, SnapshotFloor};
use niagara_log::{
    Durability, EntryId, Files, HardState, LogConfig, LogStore, LogWriter, MemoryFiles, Replayed,
};

use niagara_sequencer::epoch::{Record, Sealed, lanes_of};
use niagara_sequencer::{GlobalPosition, GroupId};

use super::environment::Environment;
use super::start_error::StartError;
use crate::config::Config;
use crate::identity::Identity;
use crate::planted::{self, Bug};
use crate::progress::channel_of;
use crate::snapshot::{self, Header, SnapshotStore};
use crate::state_machine::StateMachine;

/// A server's snapshots, and the state that was read from the newest, unless the state machine holds as much.
pub(super) struct RestoredSnapshot<S: StateMachine> {
    pub files: Arc<dyn Files>,
    pub store: SnapshotStore,
    pub snapshot: Option<(Arc<Header>, Option<S::Restoring>)>,
}

/// One group's log, and what follows from it.
pub(super) struct OpenGroup {
    pub driver: Driver,
    pub store: LogStore,
    pub writer: LogWriter,
    /// So many of this server's lanes come to its epoch later, from the one before.
    pub lanes_before: u16,
}

/// Opens the directory of snapshots in `files`, and reads the newest whole one if it is beyond `held`.
pub(super) fn open_snapshots<S: StateMachine>(
    config: &Config,
    files: Arc<dyn Files>,
    reader: &S::Reader,
    held: GlobalPosition,
) -> Result<RestoredSnapshot<S>, StartError> {
    let mut store = SnapshotStore::open(Arc::clone(&files), config.data_dir.join("snapshots"))?;
    let restored = store.restore_newest(config.cluster, config.known_groups(), |file| {
        if file.header().position() <= held {
            return Ok(None);
        }
        let mut state = S::restoring(reader);
        snapshot::read_into::<S::Frozen>(file, &mut state)?;
        Ok(Some(state))
    })?;
    let snapshot = restored.map(|(kept, state)| {
        let header = Arc::clone(&kept.header);
        let position = header.position();
        match &state {
            Some(_) => tracing::info!(%position, bytes = kept.bytes, "restored the state from a snapshot"),
            None => tracing::info!(%held, snapshot = %position, "the state machine has its state already"),
        }
        (header, state)
    });
    Ok(RestoredSnapshot { files, store, snapshot })
}

/// Where snapshots are stored: beside the logs, or in memory if the logs are there.
pub(super) fn snapshot_files(config: &Config, environment: &Environment) -> Arc<dyn Files> {
    match config.durability {
        Durability::Memory => Arc::new(MemoryFiles::default()),
        Durability::Fsync | Durability::Os => Arc::clone(&environment.files),
    }
}

/// What a log has to fit: the newest snapshot.
struct Fitting {
    floor: EntryId,
    round: u64,
    /// Whether it came from another server.
    received: bool,
}

impl Fitting {
    fn of(snapshot: Option<&Header>, group: u16, identity: &Identity) -> Fitting {
        let Some(header) = snapshot else {
            return Fitting { floor: EntryId::default(), round: 0, received: false };
        };
        let SnapshotFloor { floor, round } = header.floor_of(group.into());
        let received = identity.was_received(header.id, header.server);
        Fitting { floor: floor.entry, round, received }
    }
}

/// Makes a log fit the snapshot, and returns the hard state to continue with. If the log holds the snapshot's
/// floor, with its term, everything above the floor is kept. A log that ends below the floor, or has another
/// entry there, dates from before the snapshot was received. Nothing in it is needed, so it is reset, but
/// keeps its vote.
///
/// Without this rule, a server that dies between receiving a snapshot and resetting its logs would return
/// with a state ahead of its logs. If there is no mark that the snapshot was received, the log has lost what
/// this server acknowledged: a server's own snapshots are kept only once its logs durably hold their floors.
fn fit(
    group: u16,
    store: &LogStore,
    writer: &mut LogWriter,
    slots: &mut SlotIndex,
    Fitting { floor, round, received }: Fitting,
) -> Result<HardState, StartError> {
    let compacted = store.floor().index;
    if compacted > floor.index {
        return Err(StartError::SnapshotMissing { group, compacted, found: floor.index });
    }
    let mut hard_state = store.hard_state();
    if store.term(floor.index) == Some(floor.term) {
        slots.begin_above(floor.index, round);
    } else if !received {
        let last = store.last_index();
        return Err(StartError::LogBehindSnapshot { group, last, floor: floor.index });
    } else if !planted::is(Bug::StartRuleSkipped) {
        tracing::info!(group, index = floor.index, "reset the log to the snapshot");
        store.reset(floor);
        let reset = writer.reset(floor, None).and_then(|()| writer.sync());
        reset.map_err(|source| StartError::Log { group, source })?;
        slots.reset(floor.index, round);
    }
    hard_state.commit = hard_state.commit.max(floor.index);
    if hard_state.term < floor.term {
        (hard_state.term, hard_state.vote) = (floor.term, 0);
    }
    let last = store.last_index();
    if hard_state.commit > last {
        return Err(StartError::LostEntries { group, last, commit: hard_state.commit });
    }
    Ok(hard_state)
}

/// An epoch whose groups are opened.
#[derive(Clone, Copy)]
pub(super) struct OpenEpoch<'a> {
    pub record: &'a Record,
    /// The snapshot that replaces the beginnings of its logs.
    pub snapshot: Option<&'a Header>,
    /// Up to where its logs are committed, if it is known to be over.
    pub sealed: Option<&'a Sealed>,
    /// So many of this server's lanes come to it later, from the epoch before.
    pub lanes_before: u16,
    /// The epoch before, if there was one.
    pub before: Option<&'a Record>,
}

/// Opens the logs of all groups of an epoch.
pub(super) fn open_groups(
    config: &Config,
    environment: &Environment,
    identity: &Arc<Identity>,
    epoch: OpenEpoch<'_>,
) -> Result<Vec<OpenGroup>, StartError> {
    let groups = 0..epoch.record.terms.groups;
    groups.map(|group| open_group(config, group, environment, identity, epoch)).collect()
}

/// Opens a group's log, and makes it fit the snapshot that the server continues from.
fn open_group(
    config: &Config,
    group: u16,
    environment: &Environment,
    identity: &Arc<Identity>,
    epoch: OpenEpoch<'_>,
) -> Result<OpenGroup, StartError> {
    let OpenEpoch { record, snapshot, sealed, lanes_before, before } = epoch;
    let number = group + 1;
    let channel = channel_of(record.epoch, group.into());
    let (store, mut writer, mut slots) = open_log(config, channel, environment, identity)?;
    let fitting = Fitting::of(snapshot, group, identity);
    let mut hard_state = fit(number, &store, &mut writer, &mut slots, fitting)?;
    if let Some(Sealed { committed, .. }) = sealed {
        hard_state.commit = hard_state.commit.max(committed[usize::from(group)]);
    }
    if hard_state.commit > store.last_index() {
        return Err(StartError::LostEntries {
            group: number,
            last: store.last_index(),
            commit: hard_state.commit,
        });
    }
    let voters = if config.alone { config.voters() } else { record.terms.members.clone() };
    let election = config.election_ticks;
    let driver_config = DriverConfig {
        server: config.server,
        group,
        lanes: lanes_of(GroupId::new(number), record.terms.groups, record.lanes).collect(),
        lanes_before,
        incarnation: identity.incarnation(),
        wanted_leader: config.wanted_leader(record, group),
        first_leader: config.first_leader(record, before, group),
        voters,
        known_level: config.known_level,
        boot: environment.boot,
        heartbeat_ticks: config.heartbeat_ticks,
        election_ticks: election,
        promise: config.promise(),
        // Above the lease (`election_ticks`), so that a server that stands back can stop its clock in
        // between.
        campaign_ticks: election + 1..2 * election,
        campaign_seed: environment.election_seed.map(|seed| seed ^ u64::from(channel) << 32),
        window: config.window,
        entry_bytes: config.entry_bytes,
        sub_batch_bytes: config.sub_batch_bytes(),
        foreign_bytes: config.lane_bytes,
        pin_bytes: config.snapshot_pin_bytes,
        unsynced_bytes: config.unsynced_bytes,
        send_queue_bytes: config.send_queue_bytes,
    };
    let driver = Driver::new(driver_config, store.clone(), hard_state, slots);
    Ok(OpenGroup { driver, store, writer, lanes_before })
}

/// A new log's first segment has this fraction of the configured length: 256 KiB of 16 MiB.
const FIRST_SEGMENT_PART: u64 = 64;

/// How the log of the group with this channel is stored.
pub(crate) fn log_config(config: &Config, channel: u32) -> LogConfig {
    let id = crc32fast::hash(format!("{:032x}/{}/{channel}", config.cluster, config.server).as_bytes());
    let dir = config.data_dir.join(log_directory(channel));
    let mut log_config =
        LogConfig::new(dir, config.durability, u64::from(id) << 16 | u64::from(channel & 0xffff));
    log_config.segment_bytes = config.segment_bytes;
    log_config.first_segment_bytes = config.segment_bytes / FIRST_SEGMENT_PART;
    log_config.cache_bytes = config.log_cache_bytes;
    log_config.data_sum = data_sum;
    log_config
}

/// The log's directory in the data directory. Those of the first epoch are where they were before there were others.
pub(crate) fn log_directory(channel: u32) -> PathBuf {
    match (channel >> 16, channel & 0xffff) {
        (0, group) => format!("group-{group}").into(),
        (before, group) => PathBuf::from(format!("epoch-{}", before + 1)).join(format!("group-{group}")),
    }
}

/// Removes the logs with these channels, which nobody uses any more. What cannot be removed is of no harm: it is never
/// opened again.
pub(super) fn remove_logs(config: &Config, files: &dyn Files, channels: impl Iterator<Item = u32>) {
    if config.durability == Durability::Memory {
        return;
    }
    for channel in channels {
        let dir = config.data_dir.join(log_directory(channel));
        let there = match files.list(&dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            there => there,
        };
        let removed = there.and_then(|there| there.iter().try_for_each(|path| files.remove(path)));
        if let Err(error) = removed {
            tracing::warn!(%error, dir = %dir.display(), "cannot remove the log of an epoch that is over");
        }
    }
}

/// Opens the log, and learns from its entries which slots they fill.
fn open_log(
    config: &Config,
    channel: u32,
    environment: &Environment,
    identity: &Arc<Identity>,
) -> Result<(LogStore, LogWriter, SlotIndex), StartError> {
    let number = (channel & 0xffff) as u16;
    let mut log_config = log_config(config, channel);
    if config.durability == Durability::Fsync {
        log_config.block_bytes = environment.files.block_bytes();
    }
    log_config.files = Arc::clone(&environment.files);
    log_config.prepare_beside = environment.prepare_beside;
    log_config.marks = identity.marks_of(channel);
    log_config.was_synced = identity.was_synced();
    let block = if config.durability == Durability::Memory { 0 } else { log_config.block_bytes };
    let mut slots = SlotIndex::in_blocks_of(block);
    let mut damaged = None;
    let opened = niagara_log::open(&log_config, &mut |replayed| match replayed {
        Replayed::Entry(entry) => match EntryFill::of(&entry.context) {
            Ok(fill) => slots.append(entry.index, &fill, entry.memory_bytes()),
            Err(error) => damaged = Some((entry.index, error)),
        },
        // Earlier entries no longer count. The snapshot that the log was reset to says which slots are
        // filled.
        Replayed::Reset(_) => slots = SlotIndex::in_blocks_of(block),
    });
    let (store, writer) = opened.map_err(|source| StartError::Log { group: number, source })?;
    assert!(damaged.is_none(), "group {number}: checked records hold an impossible entry: {damaged:?}");
    Ok((store, writer, slots))
}
