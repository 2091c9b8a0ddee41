//! Bugs that are switched on one at a time, to prove that the checkers find them (`docs/testing.md`).
//!
//! They exist only with the feature `planted-bugs`, which only the simulator enables. Without it, [`is`] is
//! `false` at compile time, and a binary has no trace of them.

/// A bug that can be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Bug {
    /// Messages that promise durable entries leave before the entries are durable.
    AckBeforeSync,
    /// A failed sync counts as a successful one.
    FailedSyncIgnored,
    /// A log writes to the page cache where a write should be durable when it returns.
    DirectNotDurable,
    /// A log that cannot write directly forgets to sync instead.
    FallbackNotSynced,
    /// A restart forgets the vote.
    VoteForgotten,
    /// A restart forgets the term.
    TermForgotten,
    /// A record counts whatever its checksum says, so torn ones count too.
    TornTailAccepted,
    /// After a failed sync, the last frame is taken for durable, since it can be read.
    LastFrameTrusted,
    /// Frames before the last are taken for durable, though a sync of all of them may have failed.
    EarlierFramesTrusted,
    /// A failed sync of the server's own snapshot counts as a successful one.
    SnapshotSyncIgnored,
    /// A failed sync of a received snapshot counts as a successful one.
    PartSyncIgnored,
    /// A failed sync of the identity counts as a successful one.
    IdentitySyncIgnored,
    /// After a restart, another group goes first in a round.
    MergeOrderAfterRestart,
    /// Entries go into the global log when they are appended, before they are committed.
    MergedBeforeCommitted,
    /// Padding follows the paper's count: as many no-ops as a log is shorter than the longest, recomputed
    /// while they are in flight.
    PadsAsCount,
    /// Skips raise the level, so they answer each other.
    SkipsRaiseLevel,
    /// The anchor skips ahead, too.
    AnchorSkipsAhead,
    /// A waiting merge asks no leader to pad.
    NoPadRequest,
    /// A new leader assigns places above what is committed, not above what its log holds.
    SlotsNotRising,
    /// A group's thread waits until the sequencer has taken what it handed over.
    BlockingHandOff,
    /// A strong read's barrier is one round too low.
    BarrierOffByOne,
    /// A strong read trusts the commit index of any server that believes it is the leader.
    ReadWithoutQuorum,
    /// A strong read does not wait until this replica knows its index to be committed.
    ReadIndexNotAwaited,
    /// An at-least read is answered one position too early.
    AtLeastOffByOne,
    /// A lease counts from when a promise arrived, not from when it was asked for.
    LeaseFromAnswer,
    /// A lease lasts as long as a promise, as if all clocks ran alike.
    LeaseWithoutDrift,
    /// A new leader relies on its lease before it has committed in its term.
    LeaseBeforeCommit,
    /// A leader keeps its lease while it hands leadership over.
    LeaseKeptInTransfer,
    /// A lease is relied on without a look at the clock.
    LeaseWithoutClock,
    /// A lease ends by a clock that stands still while the machine sleeps.
    LeaseBySleepingClock,
    /// A start forgets what the server had promised.
    PromiseForgotten,
    /// A server votes although it has promised not to.
    PromiseBroken,
    /// A server whose leader seems to have ended forgets that it has promised not to vote.
    EndEndsPromise,
    /// That a server's process has ended is not noticed before an election timeout.
    EndNotNoticed,
    /// A server whose leader seems to have ended campaigns without a pre-vote.
    EndedLeaderDeposed,
    /// A server that drains hands nothing over.
    DrainIgnored,
    /// A copy of a sub-batch is executed again.
    DuplicateApplied,
    /// A sub-batch is executed although earlier ones are missing.
    GapApplied,
    /// A sub-batch from an earlier life of its server is executed.
    OldIncarnationApplied,
    /// A lane is never resent.
    NeverSentAgain,
    /// A server asks for its leaderships however often it has lost them, and gets them however shaky its link
    /// is.
    FlappingServerLeads,
    /// Entries are sent to a follower however much already waits for it.
    SentWithoutRoom,
    /// Old heartbeats and answers wait for a slow link beside those that make them pointless.
    NothingSuperseded,
    /// A connection changes lanes while its writes are in flight.
    LaneChangedInFlight,
    /// A connection leaves its lane although an outcome there is unknown.
    LaneLeftAfterUnknown,
    /// An mset locks one key after the other.
    HalfAnMset,
    /// Changes made while a snapshot is written are missing from it.
    ViewNotFrozen,
    /// A snapshot gets its name before it is durable.
    SnapshotNotSynced,
    /// A snapshot's checksums are not verified.
    SnapshotUnchecked,
    /// A snapshot does not say which commands have been executed.
    SnapshotForgetsLanes,
    /// Logs are compacted to the newest snapshot rather than to the one before.
    CompactedToNewest,
    /// Logs are compacted to a snapshot's floor before it is durable.
    CompactedAhead,
    /// A snapshot's floor is one entry too high.
    FloorTooHigh,
    /// A start keeps a log that ends below the snapshot's floor, or differs from it.
    StartRuleSkipped,
    /// A received snapshot is relied on before it is durable.
    PartNotSynced,
    /// Callers whose commands a restored snapshot holds are never notified.
    RestoredTicketsForgotten,
    /// A subscriber that is too slow is not told, and continues behind what it has missed.
    LagNotTold,
    /// After a snapshot is restored, the merge continues from where it was.
    OldMergeAfterRestore,
    /// A recycled segment keeps its old seal, and nobody checks the numbers of frames, so frames of its
    /// former life count.
    RecycledSegmentTrusted,
    /// What a delete removes depends on a number that each process draws at random.
    ResultByChance,
    /// Any number of entries may wait for a hung disk.
    DiskQueueUnbounded,
    /// Any number of bytes may be pulled out of the logs before they are merged, as long as the entries are
    /// few.
    MergeUnbounded,
    /// A server whose merge is halted keeps taking entries of all groups.
    BehindUnbounded,
    /// A recovery continues the longest copy of a group's log, whatever its last term.
    LongestLogRecovered,
    /// A server whose merge is halted refuses the entries of the group that its merge awaits, too.
    AwaitedGroupRefused,
    /// A log that holds less than its mark says it has held is taken for whole.
    MarkIgnored,
    /// A received snapshot is kept, but nothing records that it was received.
    ReceivedNotMarked,
    /// A server keeps its own snapshot before its logs durably hold what it was made of.
    SnapshotAheadOfLog,
    /// A peer is let in whichever start of its server it claims to be.
    IncarnationNotCompared,
    /// Servers that list other members are let in, and a start accepts any list.
    MembersNotCompared,
    /// A caller whose deadline has passed is not notified.
    UnknownNotTold,
    /// A caller whose read has failed is not notified.
    ReadFailureNotTold,
    /// A caller whose commands are refused is not notified.
    RefusalNotTold,
    /// Callers are notified of the outcome a second time when a restored snapshot holds their commands.
    RestoredTicketsToldTwice,
    /// A long run of commands replaces what waits in its lane.
    MovedRunReplaces,
    /// A leader keeps leading without a quorum.
    NoCheckQuorum,
    /// A leader hands over to the follower that is furthest behind.
    HandedToTheFurthest,
    /// The identity is replaced without a sync.
    IdentityNotSynced,
    /// A leader that has work sends heartbeats with every turn.
    HeartbeatEachTurn,
    /// A leader pads with each tick.
    PadsWhenIdle,
    /// Forwarded commands that are longer than what may wait are refused for ever.
    LargeForwardRefused,
    /// The sum of an entry's data is that of its first sub-batch.
    FirstBodySummed,
    /// A server does not compare the data of another's entries with their sums.
    SumNotCompared,
    /// A clean stop is recorded although a log was not synced.
    StopNotSynced,
    /// An HTTP client whose write has an unknown outcome gets no response.
    HttpUnknownNotTold,
    /// A tag matches another one of the same position.
    TagCountIgnored,
    /// A delete of several keys stops at the first missing one.
    DeleteStopsAtMissing,
    /// An mset that may only set absent keys sets those before the first existing one.
    MsetNxSetsSome,
    /// An append to a value that was changed at the same position is acknowledged but not done.
    AppendLost,
    /// A set that should return the old value returns the new one.
    SwapShowsNew,
    /// A scan skips what a snapshot has yet to write.
    ScanSkipsFrozen,
    /// A server decides by its own clock which keys have expired.
    ExpiryByLocalClock,
    /// Rights are decided by a front end's own view only, not again where a command is executed.
    RightsAtIntakeOnly,
    /// What was executed under a key of its own is forgotten at once.
    OnceForgotten,
    /// A snapshot takes the space of a key for its database, though databases have been exchanged.
    SpaceForDatabase,
    /// Which key is evicted follows from a number that each server draws for itself.
    EvictedByChance,
    /// A server puts the time of its own clock into commands.
    OwnClockTrusted,
    /// An at-least read is answered one position too early, and claims that it is not.
    AtLeastSaysItsWish,
    /// A weak or at-least read over HTTP does not see what changed at the very position that it is answered
    /// at.
    LooseReadBelowPosition,
    /// A read is attached to a command that was submitted before the read came.
    AttachedToEarlierCommand,
    /// An attached read is executed before its command.
    AttachedReadTooEarly,
    /// An attached read claims the position of its command, though others that share it are executed later.
    AttachedReadSaysItsCommand,
    /// An at-least read is attached to a command whether or not its position has been executed.
    AtLeastAttachedUnchecked,
    /// Callers whose attached reads follow what a restored snapshot holds are never notified.
    LostReadsForgotten,
    /// A read whose command was lost is asked anew although a later write of its connection may be executed.
    LostReadAskedTooLate,
    /// A barrier beyond the end of an epoch counts as reached at that end.
    EpochEndForgottenByReads,
    /// With an epoch, all lanes count from 1 again.
    SessionsBeginAnew,
    /// At the end of an epoch, no snapshot is taken before something is committed in the next one.
    EndOfEpochNotKept,
    /// A member gives its followers entries that it does not know to be committed.
    UncommittedFed,
    /// A member answers what an earlier life of a follower has asked.
    OldQuestionAnswered,
    /// An epoch starts here before the logs durably hold the one before.
    StartedBeforeHeld,
    /// One round more is merged than the ended epoch has.
    VoidSlotsExecuted,
    /// Of two ends of an epoch, the one counts that a server has seen in its logs, not the one that is merged first.
    EndThatIsSeenCounts,
    /// What a lane has sent is forgotten when the lane moves to the next epoch.
    LaneLostAtMove,
    /// Lanes stay in the ended epoch when a received snapshot leads beyond it.
    LanesStayAtLeap,
    /// Servers have no lanes beyond those that they had in the first epoch.
    LanesDoNotCome,
    /// Strong reads go on with the layout and the barriers of the ended epoch.
    BarriersOfEndedEpoch,
    /// An epoch is closed as soon as the newest snapshot is beyond it.
    ClosedByOneSnapshot,
    /// An epoch is closed while lanes have yet to leave it.
    ClosedWithLanes,
    /// A start orders snapshots by their rounds, whatever their epochs.
    SnapshotsByRound,
    /// At the end of an epoch, a snapshot is taken of its last round, and not of the beginning of the next epoch.
    EndCutByRound,
    /// A server that is behind is not told that its epoch is over.
    OverNotTold,
    /// A start makes the logs of an epoch fit a snapshot of another one.
    FloorsOfAnotherEpoch,
    /// A snapshot of a later epoch is installed in the groups of an earlier one.
    LaterSnapshotInstalled,
    /// A start goes on with the newest epoch, though its state is in an earlier one.
    EndedEpochSkipped,
    /// A restored snapshot does not say which epochs there have been.
    ChainForgottenAtRestore,
    /// A group's thread stays awake for commands in lanes that have gone on to the next epoch.
    GoneLanesKeepAwake,
    /// Void entries count as entries that wait for the merge.
    VoidCountsAsBehind,
    /// A server that joins answers before it holds the snapshot that it was given.
    NewcomerAnswersEarly,
    /// A removed server answers strong reads from what it has.
    RemovedServerReads,
    /// At a change of members, a session counts a command as executed that was not: its result is lost.
    FirstResultLostAtChange,
    /// A follower answers strong reads from what it has.
    FollowerReadsWhatItHas,
    /// The level is raised although a member does not know the next one.
    LevelUnknownToMembers,
    /// A server takes commands that need a higher level than the cluster is at.
    NeededLevelIgnored,
    /// A mailbox announces mail before the mail is in it.
    MailSaidBeforeSent,
    /// A port empties its inbox before it announces that.
    InboxEmptiedBeforeSaid,
    /// A port's thread checks its inbox before it announces that it sleeps.
    InboxLookedAtTooEarly,
    /// A future releases its cell's lock before its waker is in the cell.
    WakerLeftUnlocked,
    /// A read checks how far execution has got before it publishes what it waits for.
    WishAfterLook,
    /// A lease is published before the place that was committed when it began.
    LeaseBeforePlace,
    /// A read looks at the committed place before it looks at the lease.
    PlaceBeforeLease,
    /// Execution publishes a position before it has reached it.
    AppliedBeforeExecuted,
    /// Callers are notified before execution has published its position.
    ToldBeforeApplied,
    /// Commands get their numbers before they are in order in the queue.
    NumberedBeforePushed,
    /// A closing lane ends all waiting before it refuses commands.
    ClosedAfterEnding,
    /// A caller that waits for room in a lane is noted after the lane's lock was released.
    RoomAwaitedUnlocked,
    /// A lane's queue counts commands when they may have been taken out already.
    CountedAfterwards,
    /// Execution wakes the merge only if it has not brought what waits below the bound.
    FullNotSaid,
    /// A leader that must pad for a level is woken before the level is raised.
    WokenBeforeRaised,
    /// The merge checks what commands wait for before it publishes its position.
    MergedAfterLook,
    /// A group whose commands wait is woken before it is published which ones have been executed.
    WokenBeforeExecuted,
}

impl Bug {
    /// The bugs that the simulator finds: all but the [`RACES`](Self::RACES).
    pub const ALL: &[Bug] = &[
        Bug::AckBeforeSync,
        Bug::FailedSyncIgnored,
        Bug::DirectNotDurable,
        Bug::FallbackNotSynced,
        Bug::VoteForgotten,
        Bug::TermForgotten,
        Bug::TornTailAccepted,
        Bug::LastFrameTrusted,
        Bug::EarlierFramesTrusted,
        Bug::SnapshotSyncIgnored,
        Bug::PartSyncIgnored,
        Bug::IdentitySyncIgnored,
        Bug::MergeOrderAfterRestart,
        Bug::MergedBeforeCommitted,
        Bug::PadsAsCount,
        Bug::SkipsRaiseLevel,
        Bug::AnchorSkipsAhead,
        Bug::NoPadRequest,
        Bug::SlotsNotRising,
        Bug::BlockingHandOff,
        Bug::BarrierOffByOne,
        Bug::ReadWithoutQuorum,
        Bug::ReadIndexNotAwaited,
        Bug::AtLeastOffByOne,
        Bug::LeaseFromAnswer,
        Bug::LeaseWithoutDrift,
        Bug::LeaseBeforeCommit,
        Bug::LeaseKeptInTransfer,
        Bug::LeaseWithoutClock,
        Bug::LeaseBySleepingClock,
        Bug::PromiseForgotten,
        Bug::PromiseBroken,
        Bug::EndEndsPromise,
        Bug::EndNotNoticed,
        Bug::EndedLeaderDeposed,
        Bug::DrainIgnored,
        Bug::DuplicateApplied,
        Bug::GapApplied,
        Bug::OldIncarnationApplied,
        Bug::NeverSentAgain,
        Bug::FlappingServerLeads,
        Bug::SentWithoutRoom,
        Bug::NothingSuperseded,
        Bug::LaneChangedInFlight,
        Bug::LaneLeftAfterUnknown,
        Bug::HalfAnMset,
        Bug::ViewNotFrozen,
        Bug::SnapshotNotSynced,
        Bug::SnapshotUnchecked,
        Bug::SnapshotForgetsLanes,
        Bug::CompactedToNewest,
        Bug::CompactedAhead,
        Bug::FloorTooHigh,
        Bug::StartRuleSkipped,
        Bug::PartNotSynced,
        Bug::RestoredTicketsForgotten,
        Bug::LagNotTold,
        Bug::OldMergeAfterRestore,
        Bug::RecycledSegmentTrusted,
        Bug::ResultByChance,
        Bug::DiskQueueUnbounded,
        Bug::MergeUnbounded,
        Bug::BehindUnbounded,
        Bug::LongestLogRecovered,
        Bug::AwaitedGroupRefused,
        Bug::MarkIgnored,
        Bug::ReceivedNotMarked,
        Bug::SnapshotAheadOfLog,
        Bug::IncarnationNotCompared,
        Bug::MembersNotCompared,
        Bug::AttachedToEarlierCommand,
        Bug::AttachedReadTooEarly,
        Bug::AttachedReadSaysItsCommand,
        Bug::AtLeastAttachedUnchecked,
        Bug::LostReadsForgotten,
        Bug::LostReadAskedTooLate,
        Bug::UnknownNotTold,
        Bug::ReadFailureNotTold,
        Bug::RefusalNotTold,
        Bug::RestoredTicketsToldTwice,
        Bug::MovedRunReplaces,
        Bug::NoCheckQuorum,
        Bug::HandedToTheFurthest,
        Bug::IdentityNotSynced,
        Bug::HeartbeatEachTurn,
        Bug::PadsWhenIdle,
        Bug::LargeForwardRefused,
        Bug::FirstBodySummed,
        Bug::SumNotCompared,
        Bug::StopNotSynced,
        Bug::HttpUnknownNotTold,
        Bug::TagCountIgnored,
        Bug::DeleteStopsAtMissing,
        Bug::MsetNxSetsSome,
        Bug::AppendLost,
        Bug::SwapShowsNew,
        Bug::ScanSkipsFrozen,
        Bug::ExpiryByLocalClock,
        Bug::RightsAtIntakeOnly,
        Bug::OnceForgotten,
        Bug::SpaceForDatabase,
        Bug::EvictedByChance,
        Bug::OwnClockTrusted,
        Bug::AtLeastSaysItsWish,
        Bug::LooseReadBelowPosition,
    ];

    /// Those of members that change.
    pub const MEMBERS: &[Bug] = &[Bug::EndOfEpochNotKept];

    /// Those of members that change, and of followers, that the simulator of the store finds.
    pub const MEMBERS_OF_THE_STORE: &[Bug] = &[
        Bug::NewcomerAnswersEarly,
        Bug::RemovedServerReads,
        Bug::FirstResultLostAtChange,
        Bug::FollowerReadsWhatItHas,
    ];

    /// Those of levels.
    pub const LEVELS: &[Bug] = &[Bug::LevelUnknownToMembers, Bug::NeededLevelIgnored];

    /// Those of followers.
    pub const FOLLOWERS: &[Bug] = &[Bug::UncommittedFed, Bug::OldQuestionAnswered];

    /// Bugs of epochs, which show only when the number of groups changes. The simulator finds them.
    pub const EPOCHS: &[Bug] = &[
        Bug::SessionsBeginAnew,
        Bug::VoidSlotsExecuted,
        Bug::EndThatIsSeenCounts,
        Bug::LaneLostAtMove,
        Bug::LanesStayAtLeap,
        Bug::LanesDoNotCome,
        Bug::BarriersOfEndedEpoch,
        Bug::SnapshotsByRound,
        Bug::OverNotTold,
        Bug::FloorsOfAnotherEpoch,
        Bug::LaterSnapshotInstalled,
        Bug::EndedEpochSkipped,
        Bug::ChainForgottenAtRestore,
        Bug::StartedBeforeHeld,
        Bug::ClosedByOneSnapshot,
        Bug::EndCutByRound,
        Bug::VoidCountsAsBehind,
    ];

    /// Bugs of epochs that no simulation of the store has found yet, or only one in many hundreds.
    pub const EPOCHS_NOT_FOUND: &[Bug] =
        &[Bug::ClosedWithLanes, Bug::EpochEndForgottenByReads, Bug::GoneLanesKeepAwake];

    /// Bugs between threads, which show only when two of them meet at the wrong moment. The simulator has one
    /// thread and does not find them; the models in `tests/models` do.
    pub const RACES: &[Bug] = &[
        Bug::MailSaidBeforeSent,
        Bug::InboxEmptiedBeforeSaid,
        Bug::InboxLookedAtTooEarly,
        Bug::WakerLeftUnlocked,
        Bug::WishAfterLook,
        Bug::LeaseBeforePlace,
        Bug::PlaceBeforeLease,
        Bug::AppliedBeforeExecuted,
        Bug::ToldBeforeApplied,
        Bug::NumberedBeforePushed,
        Bug::ClosedAfterEnding,
        Bug::RoomAwaitedUnlocked,
        Bug::CountedAfterwards,
        Bug::FullNotSaid,
        Bug::WokenBeforeRaised,
        Bug::MergedAfterLook,
        Bug::WokenBeforeExecuted,
    ];
}

/// Whether this bug is planted in the current thread.
#[cfg(not(feature = "planted-bugs"))]
#[inline(always)]
pub const fn is(_bug: Bug) -> bool {
    false
}

/// A place where another thread could observe the state. The simulator has no other thread, and calls a hook
/// here.
#[cfg(not(feature = "planted-bugs"))]
#[inline(always)]
pub const fn pause() {}

#[cfg(feature = "planted-bugs")]
pub use switch::{at_pause, is, pause, plant};

#[cfg(feature = "planted-bugs")]
mod switch {
    use std::cell::{Cell, RefCell};

    use super::Bug;

    thread_local! {
        /// A simulation stays on its thread.
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
        static AT_PAUSE: RefCell<Option<Box<dyn Fn()>>> = const { RefCell::new(None) };
    }

    /// Whether this bug is planted in the current thread.
    pub fn is(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }

    /// A place where another thread could observe the state: calls the hook of [`at_pause`].
    pub fn pause() {
        AT_PAUSE.with_borrow(|look| {
            if let Some(look) = look {
                look();
            }
        });
    }

    /// Sets what happens at each [`pause`] of the current thread.
    pub fn at_pause(look: Option<Box<dyn Fn()>>) {
        AT_PAUSE.set(look);
    }

    /// Plants a bug in the current thread; replaces the one before.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }
}

/// The examples in README.md, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadmeDoctests;
