//! Bugs to be switched on one at a time, which prove that the checkers find them (`docs/testing.md`).
//!
//! They exist only with the feature `planted-bugs`, which nothing but the simulator enables. Without it, [`is`] is `false`
//! at compile time, and no trace of them is left in a binary.

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Bug {
    /// What promises that entries are durable leaves before they are.
    AckBeforeSync,
    /// A failed sync counts as one.
    FailedSyncIgnored,
    /// The vote is forgotten at a restart.
    VoteForgotten,
    /// The term is forgotten at a restart.
    TermForgotten,
    /// A record counts whatever its checksum says: so do torn ones.
    TornTailAccepted,
    /// The last frame is taken for durable after a failed sync, since it can be read.
    LastFrameTrusted,
    /// Frames before the last are taken for durable though a sync of all of them may have failed.
    EarlierFramesTrusted,
    /// A start goes by names of snapshots that nobody has synced.
    SnapshotNamesTrusted,
    /// A failed sync of a snapshot of the server's own counts as one.
    SnapshotSyncIgnored,
    /// A failed sync of a received snapshot counts as one.
    PartSyncIgnored,
    /// A failed sync of the identity counts as one.
    IdentitySyncIgnored,
    /// The group that goes first in a round is another one after a restart.
    MergeOrderAfterRestart,
    /// What is appended goes into the global log before it is committed.
    MergedBeforeCommitted,
    /// Padding is the paper's count: as many no-ops as a log is shorter than the longest, looked at while they are in flight.
    PadsAsCount,
    /// Skips raise the level, so that they answer each other.
    SkipsRaiseLevel,
    /// The anchor skips ahead, too.
    AnchorSkipsAhead,
    /// A merge that waits asks no leader to pad.
    NoPadRequest,
    /// A new leader gives out places above what is committed, not above what its log holds.
    SlotsNotRising,
    /// A group's thread waits until the sequencer has taken what it handed over.
    BlockingHandOff,
    /// A strong read's barrier is one round too low.
    BarrierOffByOne,
    /// A strong read trusts the commit index of whoever takes itself for the leader.
    ReadWithoutQuorum,
    /// A strong read does not wait until this replica knows its index to be committed.
    ReadIndexNotAwaited,
    /// An at-least read is answered one position too early.
    AtLeastOffByOne,
    /// A copy of a sub-batch is executed again.
    DuplicateApplied,
    /// A sub-batch is executed although earlier ones are missing.
    GapApplied,
    /// A sub-batch of a life of its server that has ended is executed.
    OldIncarnationApplied,
    /// A lane is never sent again.
    NeverSentAgain,
    /// A server asks for its leaderships however often it has lost them, and they are handed to it however shaky its link is.
    FlappingServerLeads,
    /// Entries are sent to a follower however much waits for it already.
    SentWithoutRoom,
    /// Old heartbeats and answers wait for a slow link beside those that make them pointless.
    NothingSuperseded,
    /// A connection changes lanes while its writes are in flight.
    LaneChangedInFlight,
    /// A connection leaves its lane although an outcome there is unknown.
    LaneLeftAfterUnknown,
    /// An mset locks one key after the other.
    HalfAnMset,
    /// What is changed while a snapshot is written is missing from it.
    ViewNotFrozen,
    /// A snapshot is given its name before it is durable.
    SnapshotNotSynced,
    /// A snapshot's checksums are not looked at.
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
    /// Callers whose commands a restored snapshot holds are never told.
    RestoredTicketsForgotten,
    /// The merge goes on from where it was after a snapshot was restored.
    OldMergeAfterRestore,
    /// A recycled segment keeps its old seal, and nobody looks at the numbers of frames, so that those of its former life
    /// count.
    RecycledSegmentTrusted,
    /// What a delete removes depends on a number that each process draws at random.
    ResultByChance,
    /// Any number of entries may wait for a disk that hangs.
    DiskQueueUnbounded,
    /// Any number of bytes may be pulled out of the logs before it is merged, as long as the entries are few.
    MergeUnbounded,
    /// A server whose merge is halted goes on taking entries of all groups.
    BehindUnbounded,
    /// It refuses those of the group that its merge awaits, too.
    AwaitedGroupRefused,
    /// A log that holds less than it is marked to have held is taken for whole.
    MarkIgnored,
    /// A received snapshot is kept, and nothing says that it was received.
    ReceivedNotMarked,
    /// A server's own snapshot is kept before its logs durably hold what it was made of.
    SnapshotAheadOfLog,
    /// A peer is let in whatever start of its server it says to be.
    IncarnationNotCompared,
    /// Servers that list other members are let in, and a start takes any list.
    MembersNotCompared,
    /// A caller whose deadline has passed is told nothing.
    UnknownNotTold,
    /// A caller whose read has failed is told nothing.
    ReadFailureNotTold,
    /// A caller whose commands are not taken is told nothing.
    RefusalNotTold,
    /// Callers are told of the outcome a second time when a restored snapshot holds their commands.
    RestoredTicketsToldTwice,
    /// A long run of commands takes the place of what waits in its lane.
    MovedRunReplaces,
    /// A leader goes on leading without a quorum.
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
    /// A clean stop is noted although a log was not synced.
    StopNotSynced,
    /// An HTTP client whose write has an unknown outcome gets no response.
    HttpUnknownNotTold,
    /// A tag matches another one of the same position.
    TagCountIgnored,
    /// A delete of several keys ends at the first one that is not there.
    DeleteStopsAtMissing,
    /// An mset that is to set only absent keys sets those before the first one that is there.
    MsetNxSetsSome,
    /// An append to a value that was changed at the same position is acknowledged, and not done.
    AppendLost,
    /// A set that is to show the value before shows the new one.
    SwapShowsNew,
    /// A scan passes over what a snapshot has still to write.
    ScanSkipsFrozen,
    /// An at-least read is answered one position too early, and says that it is not.
    AtLeastSaysItsWish,
    /// A weak or at-least read over HTTP does not see what was changed at the very position that it is answered at.
    LooseReadBelowPosition,
    /// A mailbox says that there is mail before it is in there.
    MailSaidBeforeSent,
    /// A port empties its inbox, and then says that it has.
    InboxEmptiedBeforeSaid,
    /// A port's thread looks into its inbox before it says that it sleeps.
    InboxLookedAtTooEarly,
    /// A future lets go of its cell's lock before its waker is in there.
    WakerLeftUnlocked,
    /// A read looks at how far execution is before it says what it waits for.
    WishAfterLook,
    /// Execution says how far it is before it is there.
    AppliedBeforeExecuted,
    /// Callers are told before execution has said how far it is.
    ToldBeforeApplied,
    /// Commands get their numbers before they are in order in the queue.
    NumberedBeforePushed,
    /// A lane that closes ends all waiting, and refuses commands a moment later.
    ClosedAfterEnding,
    /// A lane's queue counts commands when they may have been taken out already.
    CountedAfterwards,
    /// Execution wakes the merge only if it has not brought what waits below the bound.
    FullNotSaid,
    /// Who has to pad for a level is woken before the level is raised.
    WokenBeforeRaised,
    /// The merge looks at what commands wait for before it says how far it is.
    MergedAfterLook,
    /// A group whose commands wait is woken before it is said which have been executed.
    WokenBeforeExecuted,
}

impl Bug {
    /// Those that the simulator finds: all but the [`RACES`](Self::RACES).
    pub const ALL: &[Bug] = &[
        Bug::AckBeforeSync,
        Bug::FailedSyncIgnored,
        Bug::VoteForgotten,
        Bug::TermForgotten,
        Bug::TornTailAccepted,
        Bug::LastFrameTrusted,
        Bug::EarlierFramesTrusted,
        Bug::SnapshotNamesTrusted,
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
        Bug::OldMergeAfterRestore,
        Bug::RecycledSegmentTrusted,
        Bug::ResultByChance,
        Bug::DiskQueueUnbounded,
        Bug::MergeUnbounded,
        Bug::BehindUnbounded,
        Bug::AwaitedGroupRefused,
        Bug::MarkIgnored,
        Bug::ReceivedNotMarked,
        Bug::SnapshotAheadOfLog,
        Bug::IncarnationNotCompared,
        Bug::MembersNotCompared,
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
        Bug::StopNotSynced,
        Bug::HttpUnknownNotTold,
        Bug::TagCountIgnored,
        Bug::DeleteStopsAtMissing,
        Bug::MsetNxSetsSome,
        Bug::AppendLost,
        Bug::SwapShowsNew,
        Bug::ScanSkipsFrozen,
        Bug::AtLeastSaysItsWish,
        Bug::LooseReadBelowPosition,
    ];

    /// Bugs between threads, which show only when two of them meet at the wrong moment: a simulation, which has one thread, does
    /// not find them, but the models in `tests/models` do.
    pub const RACES: &[Bug] = &[
        Bug::MailSaidBeforeSent,
        Bug::InboxEmptiedBeforeSaid,
        Bug::InboxLookedAtTooEarly,
        Bug::WakerLeftUnlocked,
        Bug::WishAfterLook,
        Bug::AppliedBeforeExecuted,
        Bug::ToldBeforeApplied,
        Bug::NumberedBeforePushed,
        Bug::ClosedAfterEnding,
        Bug::CountedAfterwards,
        Bug::FullNotSaid,
        Bug::WokenBeforeRaised,
        Bug::MergedAfterLook,
        Bug::WokenBeforeExecuted,
    ];
}

/// Whether this bug is planted in the present thread.
#[cfg(not(feature = "planted-bugs"))]
#[inline(always)]
pub const fn is(_bug: Bug) -> bool {
    false
}

/// A place where another thread could look in: a simulation, which has none, is called instead.
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
        /// A simulation keeps to its thread.
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
        static AT_PAUSE: RefCell<Option<Box<dyn Fn()>>> = const { RefCell::new(None) };
    }

    /// Whether this bug is planted in the present thread.
    pub fn is(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }

    /// A place where another thread could look in.
    pub fn pause() {
        AT_PAUSE.with_borrow(|look| {
            if let Some(look) = look {
                look();
            }
        });
    }

    /// What is to be done at each [`pause`] of the present thread.
    pub fn at_pause(look: Option<Box<dyn Fn()>>) {
        AT_PAUSE.set(look);
    }

    /// Plants a bug in the present thread, in the place of the one before.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }
}
