//! A cluster at one moment.
//!
//! Raft is taken for granted: each group has one true log, and servers hold prefixes of it. A leader is elected by a quorum of
//! voters that hold no more than it does; an entry is committed when a quorum has acknowledged it. Servers, groups and epochs are
//! counted from 0 here.

use std::sync::Arc;

use niagara_sequencer::ReadBarriers;
use niagara_sequencer::epoch::{Cut, Epoch, Marks};

use super::entry::Entry;
use super::plan::{LANES, Mistake, Plan, SERVERS, Shape, number};
use super::progress::{Executed, Progress};

/// A group of an epoch: its true log, of which a prefix is committed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Group {
    pub leader: Option<usize>,
    pub log: Vec<Entry>,
    pub committed: usize,
}

/// How much a server has of a group's log: up to which entry a snapshot replaces it, and which entries are in memory, on its disk,
/// and known to be committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Replica {
    pub gone: usize,
    pub held: usize,
    pub disk: usize,
    pub known: usize,
}

/// A snapshot on disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Snapshot {
    pub at: Arc<Progress>,
    /// Whether it was received, and checked as a whole.
    pub received: bool,
}

/// A strong read: so many commands had been executed somewhere when it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Read {
    pub must_see: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Server {
    pub up: bool,
    /// Whether it was removed, and has ended.
    pub stopped: bool,
    /// Number of its starts.
    pub start: u8,
    pub marks: Marks,
    pub at: Progress,
    /// The older first, two at most.
    pub kept: Vec<Snapshot>,
    /// By epoch and group.
    pub replicas: Vec<Vec<Replica>>,
    /// The last number of each lane, and up to which its commands have ended.
    pub numbered: [u8; LANES],
    pub done: [u8; LANES],
    pub reads: ReadBarriers<Read>,
    /// How often its read has asked.
    pub asks: u8,
}

impl Server {
    pub fn cuts(&self) -> Vec<Cut> {
        self.kept.iter().map(|snapshot| snapshot.at.cut()).collect()
    }

    /// What a start resumes from.
    pub fn resumes_from(&self, plan: &Plan) -> Progress {
        self.kept.last().map_or_else(|| Progress::new(plan), |newest| (*newest.at).clone())
    }
}

/// What is left of the plan's inputs and faults.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Left {
    pub commands: u8,
    pub ends: Vec<u8>,
    pub reads: u8,
    pub crashes: u8,
    pub restarts: u8,
    pub damages: u8,
    pub elections: u8,
    pub late_copies: u8,
    pub skips: u8,
    pub snapshots: u8,
    pub compactions: u8,
}

/// A cluster at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    /// By epoch and number.
    pub(super) groups: Vec<Vec<Group>>,
    pub(super) servers: Vec<Server>,
    /// Everything that any server has ever executed, in order.
    pub(super) history: Vec<Executed>,
    /// The shape that each epoch has come to have.
    pub(super) shapes: Vec<Option<usize>>,
    pub(super) left: Left,
    /// The first invariant that was violated on the way here.
    pub(super) violated: Option<&'static str>,
}

impl State {
    pub(super) fn new(plan: &Plan) -> State {
        let genesis = plan.epochs[0][0];
        let groups_of = |epoch: &Vec<_>| epoch.iter().map(|shape: &Shape| shape.groups.into()).max();
        let counts: Vec<usize> = plan.epochs.iter().map(|epoch| groups_of(epoch).expect("a shape")).collect();
        let mut groups: Vec<Vec<Group>> = counts.iter().map(|count| vec![Group::default(); *count]).collect();
        for (index, group) in groups[0].iter_mut().enumerate() {
            group.leader = Some(genesis.members[index % genesis.members.len()] - 1);
        }
        let server = |server: usize| {
            let member = |epoch: &Vec<Shape>| epoch.iter().any(|shape| shape.members.contains(&(server + 1)));
            let mut marks = if member(&plan.epochs[0]) { Marks::founder() } else { Marks::newcomer() };
            if plan.early_votes || plan.has(Mistake::AcknowledgesBeforeStart) {
                let last = plan.epochs.iter().rposition(member);
                last.into_iter().for_each(|epoch| marks.create(number(epoch)));
            }
            let at = Progress::new(plan);
            Server {
                up: plan.epochs.iter().any(member),
                stopped: false,
                start: 1,
                marks,
                reads: ReadBarriers::new(at.layout(), 1),
                at,
                kept: Vec::new(),
                replicas: counts.iter().map(|count| vec![Replica::default(); *count]).collect(),
                numbered: [0; LANES],
                done: [0; LANES],
                asks: 0,
            }
        };
        let mut shapes = vec![None; plan.epochs.len()];
        shapes[0] = Some(0);
        let left = Left {
            commands: plan.commands,
            ends: plan.ends.to_vec(),
            reads: plan.reads,
            crashes: plan.crashes,
            restarts: plan.restarts,
            damages: plan.damages,
            elections: plan.elections,
            late_copies: plan.late_copies,
            skips: plan.skips,
            snapshots: plan.snapshots,
            compactions: plan.compactions,
        };
        State {
            groups,
            servers: (0..SERVERS).map(server).collect(),
            history: Vec::new(),
            shapes,
            left,
            violated: None,
        }
    }

    /// Members of an epoch, none while it is open which ones.
    pub(super) fn members(&self, plan: &Plan, epoch: usize) -> &'static [usize] {
        let shapes = &plan.epochs[epoch];
        let shape = if shapes.len() == 1 { Some(0) } else { self.shapes[epoch] };
        shape.map_or(&[], |shape| shapes[shape].members)
    }

    pub(super) fn is_member(&self, plan: &Plan, server: usize, epoch: usize) -> bool {
        self.members(plan, epoch).contains(&(server + 1))
    }

    pub(super) fn quorum(&self, plan: &Plan, epoch: usize) -> usize {
        self.members(plan, epoch).len() / 2 + 1
    }

    /// The numbers of an epoch's groups.
    pub(super) fn groups_of(&self, plan: &Plan, epoch: usize) -> std::ops::Range<usize> {
        let shapes = &plan.epochs[epoch];
        let shape = if shapes.len() == 1 { Some(0) } else { self.shapes[epoch] };
        0..shape.map_or(self.groups[epoch].len(), |shape| shapes[shape].groups.into())
    }

    /// Whether a server acknowledges and proposes entries of an epoch.
    pub(super) fn acknowledges(&self, plan: &Plan, server: usize, epoch: usize) -> bool {
        if plan.has(Mistake::AcknowledgesBeforeStart) {
            return self.votes(plan, server, epoch);
        }
        let Server { up, marks, .. } = &self.servers[server];
        *up && marks.may_acknowledge(number(epoch)) && self.is_member(plan, server, epoch)
    }

    pub(super) fn votes(&self, plan: &Plan, server: usize, epoch: usize) -> bool {
        let Server { up, marks, .. } = &self.servers[server];
        *up && marks.may_vote(number(epoch)) && self.is_member(plan, server, epoch)
    }

    pub(super) fn has_started(&self, server: usize, epoch: Epoch) -> bool {
        self.servers[server].marks.newest_started() >= Some(epoch)
    }

    /// Whether a quorum of an epoch's members has started it.
    pub(super) fn quorum_started(&self, plan: &Plan, epoch: usize) -> bool {
        let members = self.members(plan, epoch);
        let started = members.iter().filter(|id| self.has_started(**id - 1, number(epoch))).count();
        !members.is_empty() && started >= self.quorum(plan, epoch)
    }

    pub(super) fn leader(&self, plan: &Plan, epoch: usize, group: usize) -> Option<usize> {
        self.groups[epoch][group].leader.filter(|leader| self.votes(plan, *leader, epoch))
    }

    /// The leader, if it may propose.
    pub(super) fn proposer(&self, plan: &Plan, epoch: usize, group: usize) -> Option<usize> {
        self.leader(plan, epoch, group).filter(|leader| self.acknowledges(plan, *leader, epoch))
    }

    pub(super) fn violate(&mut self, invariant: &'static str) {
        self.violated.get_or_insert(invariant);
    }
}
