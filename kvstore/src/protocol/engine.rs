//! What the front ends need from the engine: the batch interface of one thread.

use std::time::Instant;

use bytes::Bytes;
use niagara_engine::{
    Completion, Consistency, EpochView, GlobalPosition, LaneId, Leaders, LevelView, MembersChange,
    NotAttached, NotChanged, NotMoved, Port, Reads, Refused, ServerRole, StateMachine, Status,
};

use crate::{KvReader, Reply};

/// An engine as one front-end thread sees it: [`Port`] in production, an engine in memory in tests.
pub(crate) trait Engine {
    /// An order in which commands apply: those of one lane apply in the order proposed.
    type Lane: Copy;

    fn choose_lane(&self) -> Self::Lane;
    fn propose(&mut self, lane: Self::Lane, token: u64, command: &[u8]) -> Result<(), Refused>;
    fn propose_shared(&mut self, lane: Self::Lane, token: u64, command: Bytes) -> Result<(), Refused>;
    /// Whether a command is staged for the lane in this turn, so that a read can be attached to it.
    fn is_staged(&self, lane: Self::Lane) -> bool;
    /// Attaches a read to the last command that is staged for the lane.
    fn attach(&mut self, lane: Self::Lane, token: u64, query: &[u8]) -> Result<(), NotAttached>;
    /// `true`: fresh enough, read now. `false`: a completion will follow.
    fn read(&mut self, token: u64, consistency: Consistency) -> bool;
    /// The same for a request that has waited since that time already.
    fn read_since(&mut self, token: u64, consistency: Consistency, since: Instant) -> bool;
    fn flush(&mut self);
    fn collect(&mut self, out: &mut Vec<Completion<Reply>>);
    fn may_sleep(&self) -> bool;
    fn awake(&self);
    fn reader(&self) -> &KvReader;
    fn applied(&self) -> GlobalPosition;
    fn status(&self) -> Status;
    /// Requests a snapshot. The status shows its progress.
    fn snapshot(&self);
    fn has_quorum(&self) -> bool;
    /// How the cluster makes sure that strong reads are fresh.
    fn reads(&self) -> Reads {
        Reads::Quorum
    }
    /// Whether this server has diverged from others.
    fn is_diverged(&self) -> bool {
        false
    }
    /// The id of this server.
    fn server(&self) -> u64 {
        self.leaders().server
    }
    /// The other servers that this one is connected to.
    fn connected(&self) -> Vec<u64> {
        Vec::new()
    }
    /// Who leads which group.
    fn leaders(&self) -> Leaders {
        Leaders::default()
    }
    /// Starts to hand a group over that this server leads.
    fn move_leadership(&self, group: u16, _to: u64) -> Result<(), NotMoved> {
        Err(NotMoved::NoSuchGroup { group, groups: 0 })
    }
    /// The epoch, and its number of groups.
    fn epoch(&self) -> EpochView {
        EpochView::default()
    }
    /// Asks for another number of groups.
    fn ask_for_groups(&self, _groups: u16) -> Result<(), NotChanged> {
        Err(NotChanged::Stopping)
    }
    /// The level, and those that the members know.
    fn level(&self) -> LevelView {
        LevelView::default()
    }
    /// Asks for a higher level.
    fn ask_for_level(&self, _level: u32) -> Result<(), NotChanged> {
        Err(NotChanged::Stopping)
    }
    /// Asks for other members, when those that come can be reached.
    fn start_to_change_members(&self, _change: MembersChange) -> Result<(), NotChanged> {
        Err(NotChanged::Stopping)
    }
    /// Leaves a group to others.
    fn leave(&self, group: u16) -> Result<(), NotMoved> {
        Err(NotMoved::NoSuchGroup { group, groups: 0 })
    }
    /// Hands all over that this server leads, or claims again what it should lead.
    fn drain(&self, _begins: bool) {}
    /// Whether the server follows its cluster, and takes no commands.
    fn follows(&self) -> bool {
        false
    }
    /// Whether the server is about to stop, so that no request may begin.
    fn is_retiring(&self) -> bool {
        false
    }
    fn encode_metrics(&self, out: &mut String);
}

impl<S: StateMachine<Reply = Reply, Reader = KvReader>> Engine for Port<S> {
    type Lane = LaneId;

    fn choose_lane(&self) -> LaneId {
        self.choose_lane()
    }

    fn propose(&mut self, lane: LaneId, token: u64, command: &[u8]) -> Result<(), Refused> {
        self.propose(lane, token, command)
    }

    fn propose_shared(&mut self, lane: LaneId, token: u64, command: Bytes) -> Result<(), Refused> {
        self.propose_shared(lane, token, command)
    }

    fn is_staged(&self, lane: LaneId) -> bool {
        self.is_staged(lane)
    }

    fn attach(&mut self, lane: LaneId, token: u64, query: &[u8]) -> Result<(), NotAttached> {
        self.attach(lane, token, query)
    }

    fn read(&mut self, token: u64, consistency: Consistency) -> bool {
        self.read(token, consistency)
    }

    fn read_since(&mut self, token: u64, consistency: Consistency, since: Instant) -> bool {
        self.read_since(token, consistency, since)
    }

    fn flush(&mut self) {
        self.flush();
    }

    fn collect(&mut self, out: &mut Vec<Completion<Reply>>) {
        self.collect(out);
    }

    fn may_sleep(&self) -> bool {
        self.may_sleep()
    }

    fn awake(&self) {
        self.awake();
    }

    fn reader(&self) -> &KvReader {
        self.reader()
    }

    fn applied(&self) -> GlobalPosition {
        self.client().applied()
    }

    fn status(&self) -> Status {
        self.client().status()
    }

    fn snapshot(&self) {
        self.client().snapshot();
    }

    fn has_quorum(&self) -> bool {
        self.client().has_quorum()
    }

    fn reads(&self) -> Reads {
        self.client().reads()
    }

    fn is_diverged(&self) -> bool {
        self.client().is_diverged()
    }

    fn connected(&self) -> Vec<u64> {
        self.client().connected()
    }

    fn leaders(&self) -> Leaders {
        self.client().leaders()
    }

    fn move_leadership(&self, group: u16, to: u64) -> Result<(), NotMoved> {
        self.client().start_to_move(group, to)
    }

    fn epoch(&self) -> EpochView {
        self.client().epoch()
    }

    fn ask_for_groups(&self, groups: u16) -> Result<(), NotChanged> {
        self.client().ask_for_groups(groups)
    }

    fn level(&self) -> LevelView {
        self.client().level()
    }

    fn ask_for_level(&self, level: u32) -> Result<(), NotChanged> {
        self.client().ask_for_level(level)
    }

    fn start_to_change_members(&self, change: MembersChange) -> Result<(), NotChanged> {
        self.client().start_to_change_members(change)
    }

    fn leave(&self, group: u16) -> Result<(), NotMoved> {
        self.client().leave(group)
    }

    fn drain(&self, begins: bool) {
        if begins { self.client().drain() } else { self.client().balance() }
    }

    fn follows(&self) -> bool {
        self.client().role() == ServerRole::Follower
    }

    fn is_retiring(&self) -> bool {
        self.client().is_retiring()
    }

    fn encode_metrics(&self, out: &mut String) {
        self.client().encode_metrics(out);
    }
}
