//! What is checked after each round, and what is counted.

use niagara_group::batch::EntryFill;
use niagara_kvstore::KvReader;

use super::script::BEGINS;
use super::{MS, World};
use crate::invariants::{
    AckedIsApplied, AppliedOnce, Broken, ByteLimits, BytesAreBounded, ElectionSafety, FifoPerConnection,
    GlobalPrefix, LeaderCompleteness, LeadsAQuorum, Led, LogMatching, OneChain, PadsAreBounded, Patience,
    PositionBijection, ReadIsFresh, ReadShowsItsState, RightsByTheLog, check_compaction_floor,
    check_drained_leads_nothing, check_restored_state, check_transferee,
};
use crate::sim::fault::{Fault, Planned};
use crate::sim::network::{MOST_LATE, Micros};
use crate::sim::plan::Plan;

/// Two attempts to hand over, of three heartbeats at the slowest clock each, and some moments in which the operating system
/// gives the core to somebody else.
const TIME_TO_HAND_OVER: Micros = 2 * 150 * MS + 100 * MS;
/// An election timeout at the slowest clock, and some moments in which the operating system gives the core to somebody else.
const ELECTION: Micros = 250 * MS + 75 * MS;

/// All invariants that are checked event by event.
pub(crate) struct Invariants {
    pub election_safety: ElectionSafety,
    pub log_matching: LogMatching,
    pub leader_completeness: LeaderCompleteness,
    pub position_bijection: PositionBijection,
    pub one_chain: OneChain,
    pub global_prefix: GlobalPrefix,
    pub acked_is_applied: AckedIsApplied,
    pub applied_once: AppliedOnce,
    pub read_is_fresh: ReadIsFresh,
    pub read_shows_its_state: ReadShowsItsState,
    pub rights_by_the_log: RightsByTheLog,
    pub fifo_per_connection: FifoPerConnection,
    pub pads_are_bounded: PadsAreBounded,
    pub bytes_are_bounded: BytesAreBounded,
    pub leads_a_quorum: LeadsAQuorum,
}

impl Invariants {
    pub fn new(plan: &Plan) -> Invariants {
        let groups = usize::from(plan.places);
        let limits = ByteLimits {
            unsynced: plan.unsynced_bytes as u64,
            merge: plan.merge_bytes as u64,
            behind: plan.behind_bytes,
            message: (plan.sizes.entry * (plan.sizes.window + 1)).min(plan.unsynced_bytes / 2) as u64,
        };
        Invariants {
            election_safety: ElectionSafety::default(),
            log_matching: LogMatching::new(groups),
            leader_completeness: LeaderCompleteness,
            position_bijection: PositionBijection::new(groups),
            one_chain: OneChain::default(),
            global_prefix: GlobalPrefix::default(),
            acked_is_applied: AckedIsApplied::default(),
            applied_once: AppliedOnce::default(),
            read_is_fresh: ReadIsFresh::default(),
            read_shows_its_state: ReadShowsItsState::default(),
            rights_by_the_log: RightsByTheLog::default(),
            fifo_per_connection: FifoPerConnection::default(),
            pads_are_bounded: PadsAreBounded::new(groups),
            bytes_are_bounded: BytesAreBounded::new(limits, groups),
            leads_a_quorum: LeadsAQuorum::default(),
        }
    }
}

impl World {
    /// Checks a replica after its turn.
    pub(crate) fn observe(
        &mut self,
        id: u64,
        group: usize,
        (is_anchor, level): (bool, u64),
    ) -> Result<(), Broken> {
        let Invariants {
            election_safety,
            log_matching,
            leader_completeness,
            pads_are_bounded,
            bytes_are_bounded,
            ..
        } = &mut self.invariants;
        let running = self.servers[id as usize - 1].running.as_mut().expect("looked at before");
        let (machine, log) = (&running.machine, running.machine.log(group));
        let standing = machine.standing(group);
        if election_safety.observe(id, group, &standing)? {
            let term = standing.term;
            self.trace.line(|| format!("server {id} leads group {} in term {term}", group + 1));
            self.coverage.count("leader elected");
            self.activity.elections += 1;
            pads_are_bounded.elected();
            leader_completeness.elected((id, group, term), log, log_matching.committed(group))?;
        }
        let parted = machine.is_diverged().then(|| machine.client().status().diverged).flatten();
        if let Some(why) = parted {
            return Err(Broken::new(
                "equal_states",
                format!("server {id} has diverged from the others: {why}"),
            ));
        }
        let handing_over = std::mem::replace(&mut running.transferees[group], standing.transferee);
        let begins = standing.transferee != 0 && standing.transferee != handing_over;
        let (floor, last) = log.ends();
        let (epoch, index) = machine.epoch_and_group(group);
        let floor_before = std::mem::replace(&mut running.floors[group], floor.index);
        check_compaction_floor((id, epoch, index), floor.index, floor_before, &machine.snapshots())?;
        let before = std::mem::replace(&mut running.last[group], last);
        if before != last && before.index > 0 && log.term(before.index) != Some(before.term) {
            self.trace.line(|| format!("server {id} replaces a suffix of group {}", group + 1));
            self.coverage.count("suffix replaced");
        } else if standing.leads && standing.last > before.index {
            let mut appended = Vec::new();
            log.read(before.index + 1, standing.last, usize::MAX, &mut appended).expect("just appended");
            for entry in appended {
                let fill = EntryFill::of(&entry.context).expect("made here");
                self.activity.entries += 1;
                self.activity.appended_bytes += entry.memory_bytes();
                bytes_are_bounded.appended(entry.memory_bytes());
                if entry.data.len() > self.plan.sizes.entry {
                    self.coverage.count("command above an entry appended");
                } else if entry.data.len() > self.plan.sizes.entry / 4 * 3 {
                    self.coverage.count("full entry appended");
                }
                self.trace.line(|| format!("server {id} appends {fill:?} to group {}", group + 1));
                pads_are_bounded.appended(
                    group,
                    &fill,
                    is_anchor,
                    level.max(machine.anchor_and_level(group).1),
                )?;
            }
        }
        let known = self.invariants.log_matching.known_to(id, group);
        let new = self.invariants.log_matching.observe((id, group), standing.commit, floor, log)?;
        if begins {
            self.coverage.count("leadership handed over");
            if let Some(target) = &self.servers[standing.transferee as usize - 1].running {
                let last = target.machine.log(group).last_index();
                let window = self.plan.sizes.window as u64;
                check_transferee((id, group), standing.transferee, (last, known), window)?;
            }
        }
        self.committed(group, new)
    }

    /// Checks whether a leader reaches a quorum.
    pub(crate) fn check_quorum(&mut self, id: u64, group: usize) -> Result<(), Broken> {
        let server = &self.servers[id as usize - 1];
        let Some(running) = server.running.as_ref().filter(|it| it.machine.has_group(group)) else {
            return Ok(());
        };
        let reaches = |other: &u64| {
            self.is_running(*other)
                && self.paused_until(*other).is_none()
                && self.network.is_open(id, *other, group)
        };
        let standing = running.machine.standing(group);
        let led = standing.leads.then(|| Led {
            peers: running.machine.peers(group).iter().map(|peer| (*peer, reaches(peer))).collect(),
            hands_over: standing.transferee != 0,
        });
        let late = if self.plan.weather.doubled > 0 { MOST_LATE } else { 0 };
        let patience = Patience { election: ELECTION * server.slowness, late };
        // A paused server had no time to step down, and neither had a thread without a turn.
        let first = running.beside(group).start;
        let stood_still = server.group_hangs_until(first).max(server.paused_until.unwrap_or(0));
        self.invariants.leads_a_quorum.ticked((id, group), (self.now, stood_still), led, patience)
    }

    /// Checks a server that does nothing worse than drain, after a tick.
    pub(crate) fn check_drain(&self, id: u64, group: usize) -> Result<(), Broken> {
        let [Planned { at, fault: Fault::Drain { server, lasts } }] = self.plan.faults[..] else {
            return Ok(());
        };
        let Some(running) = self.servers[id as usize - 1].running.as_ref().filter(|_| server == id) else {
            return Ok(());
        };
        // The script ends whatever trouble is left.
        let is_drained = (at + TIME_TO_HAND_OVER..BEGINS.min(at + lasts)).contains(&self.now);
        let leads = is_drained && running.machine.standing(group).leads;
        check_drained_leads_nothing(id, group, leads)
    }

    /// Checks what waits on a server.
    pub(crate) fn check_waiting(&mut self, id: u64) -> Result<(), Broken> {
        let Some(running) = &self.servers[id as usize - 1].running else { return Ok(()) };
        let waiting = running.machine.waiting();
        self.coverage.add("server behind", waiting.is_behind.into());
        self.coverage.add("server read-only", waiting.is_read_only.into());
        self.invariants.bytes_are_bounded.check(id, &waiting)
    }

    /// A server has the state of this position without having executed everything before.
    pub(crate) fn restored(&mut self, id: u64, position: u64, reader: &KvReader) -> Result<(), Broken> {
        self.trace.line(|| format!("server {id} resumes from the state at position {position}"));
        self.invariants.global_prefix.restored(id, position)?;
        check_restored_state(id, position, reader, self.invariants.global_prefix.log())
    }

    /// So many more entries are committed.
    pub(crate) fn committed(&mut self, group: usize, new: usize) -> Result<(), Broken> {
        let Invariants { log_matching, position_bijection, pads_are_bounded, .. } = &mut self.invariants;
        let committed = log_matching.committed(group);
        for record in &committed[committed.len() - new..] {
            position_bijection.committed(group, record)?;
            pads_are_bounded.committed(group, record)?;
            let what = match record.fill {
                EntryFill::Skip { .. } => "skip committed",
                EntryFill::Commands { .. } => "command entry committed",
                EntryFill::Nothing => "empty entry committed",
            };
            self.coverage.count(what);
        }
        Ok(())
    }

    /// Adds the state of every replica to the trace.
    pub(crate) fn note_standings(&mut self) {
        for server in &self.servers {
            let Some(running) = &server.running else { continue };
            let status = running.machine.client().status();
            self.trace.line(|| {
                let (id, applied, awaited) = (server.id, status.applied, status.awaited_group);
                format!("server {id} has executed up to {applied} and awaits group {awaited}")
            });
            self.trace.line(|| format!("server {}: {:?}", server.id, status.snapshot));
            for group in &status.local {
                self.trace.line(|| format!("server {}: {group:?}", server.id));
            }
            for place in (0..usize::from(self.plan.places)).filter(|place| running.machine.has_group(*place))
            {
                let (epoch, group) = running.machine.epoch_and_group(place);
                let lane = || running.machine.describe_lane(place);
                let standing = running.machine.standing(place);
                self.trace.line(|| format!("  epoch {epoch}, group {}: {standing:?}; {}", group + 1, lane()));
            }
        }
    }

    /// Collects a server's counters, before it goes or at the end.
    pub(crate) fn count_figures(&mut self, id: u64) {
        let Some(running) = &self.servers[id as usize - 1].running else { return };
        let figures = running.machine.figures();
        self.coverage.add("lane sent again", figures.lanes_sent_again);
        self.coverage.add("duplicate skipped", figures.duplicates);
        self.coverage.add("gap skipped", figures.gaps);
        self.coverage.add("strong read answered by a lease", figures.lease_reads);
        self.coverage.add("pad requested", figures.pad_requests);
        self.coverage.add("snapshot written", figures.snapshots);
        self.coverage.add("snapshot received", figures.snapshots_received);
        self.coverage.add("snapshot failed", figures.snapshot_failures);
        self.coverage.add("append not taken", figures.untaken);
        self.coverage.add("damaged transfer", figures.damaged_transfers);
    }
}
