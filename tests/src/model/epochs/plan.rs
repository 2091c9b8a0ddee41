//! What a check explores: the epochs, the inputs, the faults, and the mistake that is planted.

use niagara_sequencer::epoch::{Chain, Epoch, Terms};

/// The most servers of a plan, in all epochs together.
pub(super) const SERVERS: usize = 4;
/// Lanes of a server.
pub(super) const LANES: usize = 2;

/// Groups and members of an epoch; servers are numbered from 1.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Number of groups.
    pub groups: u16,
    /// Ids of the members.
    pub members: &'static [usize],
}

/// A cluster to check, its inputs and faults, each at any moment.
#[derive(Clone, Debug)]
pub struct Plan {
    /// For each epoch, what it may be. The first has one shape. Where a later one has several, operators ask for different ones at
    /// the same time.
    pub epochs: Vec<Vec<Shape>>,
    /// What is wrong with the rules.
    pub mistake: Option<Mistake>,
    /// Servers (from 1) and lanes (from 1) that take commands.
    pub lanes: &'static [(usize, u16)],
    /// The most commands, over all lanes.
    pub commands: u8,
    /// The most requests to end each epoch.
    pub ends: &'static [u8],
    /// The most strong reads.
    pub reads: u8,
    /// Servers that take reads.
    pub readers: &'static [usize],
    /// How often a read may ask again before nothing else moves.
    pub asks: u8,
    /// The most servers that crash.
    pub crashes: u8,
    /// The most that come back.
    pub restarts: u8,
    /// The most newest snapshots that a restart finds damaged, if there is an older one, or it was never needed.
    pub damages: u8,
    /// The most changes of a leader that is up.
    pub elections: u8,
    /// The most copies of commands that arrive late.
    pub late_copies: u8,
    /// The most skips ahead of the level.
    pub skips: u8,
    /// The most snapshots before nothing else moves.
    pub snapshots: u8,
    /// How often a server drops what its snapshots replace of its logs.
    pub compactions: u8,
    /// Whether entries become durable in a step of their own.
    pub slow_disks: bool,
    /// Whether members of a later epoch create its logs, and vote, from the beginning.
    pub early_votes: bool,
    /// Whether everything must end once nothing fails any more.
    pub must_end: bool,
    /// The longest log.
    pub longest_log: usize,
}

/// A rule that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// An epoch is started when the one before is merged, though not yet on disk.
    StartsWhenMerged,
    /// The entry that proves slots to be no-ops need not be on disk.
    NoopsNeedNoProof,
    /// A server acknowledges as soon as it may vote.
    AcknowledgesBeforeStart,
    /// A start does not write down what is committed of the epochs before.
    StartForgetsCommits,
    /// The first end that a server sees counts, wherever it stands.
    FirstSeenEndCounts,
    /// The first void command of each group is executed.
    VoidIsExecuted,
    /// A snapshot at the end of an epoch is named as that epoch's last round.
    BoundaryBelongsToTheEnded,
    /// Barriers of reads are compared as positions across epochs.
    ReadsByPosition,
    /// A read whose barrier is void is answered at the end of the epoch.
    ReadsNotAskedAgain,
    /// What stands in void slots is not sent again.
    LanesNotResent,
    /// Logs are dropped without a snapshot beyond them.
    ClosesWithoutSnapshot,
    /// Logs are dropped with one snapshot beyond them.
    ClosesWithOneSnapshot,
    /// Logs are compacted to the newest snapshot, not the older one.
    CompactsToTheNewest,
    /// That an epoch is closed is not written down, so that its logs are made again.
    ClosedIsForgotten,
    /// Logs are dropped when another server says that their epoch is over.
    ClosesOnWord,
    /// A removed server stops whoever has started.
    StopsWithoutQuorum,
    /// A removed server comes back under its old id.
    IdsComeBack,
    /// Nobody tells those that are behind.
    NobodyTells,
    /// A voter takes no snapshot from outside its groups.
    VotersDoNotInstall,
    /// Retirement makes no snapshot due.
    NoSnapshotIsDue,
    /// Retirement fills no round in an idle cluster.
    NoRoundIsWanted,
}

impl Plan {
    /// Nothing happens in these epochs but one request to end each, and snapshots.
    #[must_use]
    pub fn of(epochs: Vec<Vec<Shape>>) -> Plan {
        Plan {
            epochs,
            mistake: None,
            lanes: &[(1, 1)],
            commands: 0,
            ends: &[1, 1],
            reads: 0,
            readers: &[],
            asks: 1,
            crashes: 0,
            restarts: 0,
            damages: 0,
            elections: 0,
            late_copies: 0,
            skips: 0,
            snapshots: 1,
            compactions: 0,
            slow_disks: false,
            early_votes: false,
            must_end: true,
            longest_log: 5,
        }
    }

    /// Whether this mistake is planted.
    pub(super) fn has(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    /// What an operator asks for, to come to this shape of an epoch.
    pub(super) fn terms(&self, epoch: usize, shape: usize) -> Terms {
        let Shape { groups, members } = self.epochs[epoch][shape];
        // With the mistake, the rule against it does not recognise who comes back.
        let disguised = |id: usize| {
            let was = |epoch: &Vec<Shape>| epoch[0].members.contains(&id);
            let back = epoch > 1 && self.epochs[..epoch - 1].iter().any(was) && !was(&self.epochs[epoch - 1]);
            if back && self.has(Mistake::IdsComeBack) { id + SERVERS } else { id }
        };
        let members = members.iter().map(|id| disguised(*id) as u64).collect();
        Terms { groups, members, level: 1, ..Terms::default() }
    }

    /// The chain at the beginning.
    pub(super) fn genesis(&self) -> Chain {
        Chain::genesis(self.terms(0, 0)).expect("a plan begins with a possible epoch")
    }
}

/// The number of an epoch of a plan, whose epochs are counted from 0.
pub(super) fn number(epoch: usize) -> Epoch {
    Epoch::new(epoch as u32 + 1)
}
