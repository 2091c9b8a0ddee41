//! A group's thread: sockets in, driver, sockets out. Pinned to a core if so configured.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use niagara_net::{Event, Transport};
use raft::StateRole;

use super::board::{Board, GroupBoard, Mail};
use super::log_thread::{LogThread, write_all};
use super::thread::Bell;
use crate::group::{Driver, Output, View, Write};
use crate::lane::LaneQueue;
use crate::log::{LogStore, LogWriter};
use crate::metrics::GroupMetrics;
use crate::read_gate::ReadGate;
use crate::wire::Wire;

/// Everything that the thread of one group owns or shares.
pub(crate) struct GroupThread {
    pub group: usize,
    pub server: u64,
    pub tick: Duration,
    pub core: Option<core_affinity::CoreId>,
    pub driver: Driver<LogStore>,
    pub transport: Transport,
    pub disk: Disk,
    pub queue: Arc<LaneQueue>,
    pub board: Arc<Board>,
    pub reads: Arc<ReadGate>,
    pub sequencer: Arc<Bell>,
    pub metrics: GroupMetrics,
}

/// How the log is written: a sync takes long enough to deserve a thread, a plain write or none does not.
pub(crate) enum Disk {
    Thread(LogThread),
    Inline(Box<LogWriter>),
}

/// Who was refused, by us or by them, and why.
type Refusal = (Option<u64>, bool, String);

/// Refusals that are remembered, so that a stranger who makes up names cannot grow the process.
const MOST_REFUSALS: usize = 16;

/// What the thread remembers from turn to turn.
struct Turns {
    next_tick: Instant,
    events: Vec<Event>,
    refusals: Vec<Refusal>,
    mail: Vec<Mail>,
    output: Output,
    view: View,
    leader: (u64, u64),
    /// Entries on their way to commit: last index after the cut, and when.
    uncommitted: VecDeque<(u64, Instant)>,
    stop: bool,
}

impl GroupThread {
    /// The thread's life, until it is told to stop. Then the log is complete and synced.
    pub fn run(mut self) {
        if let Some(core) = self.core
            && !core_affinity::set_for_current(core)
        {
            tracing::warn!(
                group = self.group + 1,
                core = core.id,
                "could not bind the group's thread to its core"
            );
        }
        let mut turns = Turns {
            next_tick: Instant::now() + self.tick,
            events: Vec::new(),
            refusals: Vec::new(),
            mail: Vec::new(),
            output: Output::default(),
            view: self.view(),
            leader: (0, 0),
            uncommitted: VecDeque::new(),
            stop: false,
        };
        // The first turn publishes what the log holds, for the merge to begin with.
        self.drive(&mut turns);
        while !turns.stop {
            self.turn(&mut turns);
        }
        self.finish();
    }

    fn turn(&mut self, turns: &mut Turns) {
        let now = Instant::now();
        let timeout = turns.next_tick.saturating_duration_since(now);
        let (board, queue, group) = (&self.board, &self.queue, self.group);
        let view = turns.view;
        let waited = self.transport.turn(
            now,
            Some(timeout),
            || may_sleep(board, queue, group, &view),
            &mut turns.events,
        );
        waited.unwrap_or_else(|error| panic!("cannot wait for sockets: {error}"));
        self.receive(turns);
        self.read_mail(turns);
        turns.view = self.view();
        self.tick_if_due(turns);
        self.drive(turns);
    }

    /// One turn of the driver, and what follows from it.
    fn drive(&mut self, turns: &mut Turns) {
        self.driver.turn(&turns.view, &mut &*self.queue, &mut turns.output);
        let writes = std::mem::take(&mut turns.output.writes);
        let synced_later = self.persist(writes, turns);
        self.send(&mut turns.output);
        self.transport.flush();
        if let (Disk::Thread(disk), false) = (&self.disk, synced_later.is_empty()) {
            disk.write(synced_later);
        }
        self.publish(turns);
    }

    /// Without syncs the write is done at once, so that its acknowledgements leave in the same flush. With syncs the
    /// writes are returned: they are handed over when the messages are on their way.
    fn persist(&mut self, writes: Vec<Write>, turns: &mut Turns) -> Vec<Write> {
        let Disk::Inline(writer) = &mut self.disk else { return writes };
        let mut writes = writes;
        while let Some(ready) = write_all(writer, std::mem::take(&mut writes), &self.metrics) {
            self.driver.persisted(ready);
            self.driver.turn(&turns.view, &mut &*self.queue, &mut turns.output);
            writes.append(&mut turns.output.writes);
        }
        Vec::new()
    }

    fn receive(&mut self, turns: &mut Turns) {
        let mut events = std::mem::take(&mut turns.events);
        for event in events.drain(..) {
            match event {
                Event::Frame { from, body } => match Wire::decode(&body) {
                    Ok(wire) => self.driver.receive(from, wire),
                    Err(error) => tracing::warn!(group = self.group + 1, from, %error, "dropped a message"),
                },
                Event::Up { peer } => {
                    tracing::debug!(group = self.group + 1, peer, "link is up");
                    self.driver.link_up(peer);
                    turns.refusals.retain(|(refused, ..)| *refused != Some(peer));
                }
                Event::Down { peer, reason } => {
                    tracing::debug!(group = self.group + 1, peer, %reason, "link is down");
                    self.driver.link_down(peer);
                }
                Event::Refused { peer, refusal, by_us } => {
                    self.note_refusal(turns, (peer, by_us, refusal.to_string()));
                }
            }
        }
        turns.events = events;
    }

    /// A refused server tries again every second or so; the log hears of it once.
    fn note_refusal(&self, turns: &mut Turns, refusal: Refusal) {
        if !turns.refusals.contains(&refusal) {
            let (peer, by_us, why) = &refusal;
            tracing::warn!(group = self.group + 1, ?peer, by_us, "a server was refused: {why}");
            turns.refusals.truncate(MOST_REFUSALS - 1);
            turns.refusals.insert(0, refusal);
        }
    }

    fn read_mail(&mut self, turns: &mut Turns) {
        self.mine().take_mail(&mut turns.mail);
        for mail in turns.mail.drain(..) {
            match mail {
                Mail::Persisted(ready) => self.driver.persisted(ready),
                Mail::AskRead(round) => self.driver.ask_read(round),
                Mail::Pad(level) => self.driver.forward_pad_request(level),
                Mail::Stop => turns.stop = true,
            }
        }
    }

    fn tick_if_due(&mut self, turns: &mut Turns) {
        let now = Instant::now();
        if now < turns.next_tick {
            return;
        }
        self.driver.tick(&turns.view);
        // After a pause (a stopped process) the missed ticks are not made up for: nobody was there to hear heartbeats.
        turns.next_tick = (turns.next_tick + self.tick).max(now);
        let leaderless = &self.mine().leaderless_ticks;
        if self.driver.leader() == 0 {
            leaderless.fetch_add(1, SeqCst);
        } else {
            leaderless.store(0, SeqCst);
        }
        let counters = self.transport.counters();
        self.metrics.sent_bytes.inner().store(counters.bytes_sent, SeqCst);
        self.metrics.received_bytes.inner().store(counters.bytes_received, SeqCst);
        let dropped =
            counters.dropped_queue_full + counters.dropped_not_connected + counters.dropped_too_long;
        self.metrics.dropped_frames.inner().store(dropped, SeqCst);
        self.metrics.bad_frames.inner().store(counters.bad_frames, SeqCst);
    }

    fn view(&self) -> View {
        View {
            level: self.board.level(),
            anchor: self.board.anchor.load(SeqCst) as usize == self.group,
            merged: self.mine().merged.load(SeqCst),
            next_command: self.queue.next_command(),
            gap_attempt: self.queue.gap_attempt(),
            stand_back: self.board.stands_back(self.group),
        }
    }

    fn send(&mut self, output: &mut Output) {
        for (to, wire) in output.messages.drain(..) {
            // A full queue or a broken link drops it, and counts it; Raft and the lanes send again.
            let _ = self.transport.send(to, wire.encode());
        }
    }

    /// Tells the rest of the server how far this group is.
    fn publish(&mut self, turns: &mut Turns) {
        let mine = &self.board.groups[self.group];
        let commit = self.driver.commit();
        let committed_more = mine.commit.swap(commit, SeqCst) != commit;
        mine.last.store(self.driver.last_index(), SeqCst);
        mine.held.store(self.driver.is_held(), SeqCst);
        mine.lags.store(self.driver.lags(), SeqCst);
        mine.wake_at.store(self.driver.wake_at(&turns.view, &&*self.queue), SeqCst);
        self.board.raise_level(self.driver.level());
        self.note_role(turns);
        if committed_more {
            self.sequencer.ring();
            self.metrics.committed.inner().store(commit, SeqCst);
        }
        for (round, place) in turns.output.reads.drain(..) {
            self.reads.answered(round, place);
        }
        self.count(turns, commit);
    }

    fn count(&self, turns: &mut Turns, commit: u64) {
        let cut = std::mem::take(&mut turns.output.cut);
        if cut.entries > 0 {
            self.metrics.entries.inc_by(cut.entries);
            self.metrics.commands.inc_by(cut.commands);
            self.metrics.bytes.inc_by(cut.bytes);
            turns.uncommitted.push_back((self.driver.last_index(), Instant::now()));
        }
        self.metrics.skips.inc_by(std::mem::take(&mut turns.output.skips));
        self.metrics.attempts.inc_by(std::mem::take(&mut turns.output.attempts));
        while let Some((_, since)) = turns.uncommitted.pop_front_if(|(index, _)| *index <= commit) {
            self.metrics.commit_duration.observe(since.elapsed().as_secs_f64());
        }
    }

    fn note_role(&self, turns: &mut Turns) {
        let leader = (self.driver.term(), self.driver.leader());
        let mine = &self.board.groups[self.group];
        let role = role_code(self.driver.role());
        if mine.role.swap(role, SeqCst) != role && self.driver.role() == StateRole::PreCandidate {
            self.metrics.elections.inc();
        }
        mine.leads.store(self.driver.leads(), SeqCst);
        if leader == turns.leader {
            return;
        }
        turns.leader = leader;
        turns.uncommitted.clear();
        mine.term.store(leader.0, SeqCst);
        mine.leader.store(leader.1, SeqCst);
        self.metrics.term.set(leader.0 as i64);
        self.metrics.has_leader.set(i64::from(leader.1 != 0));
        self.metrics.is_leader.set(i64::from(self.driver.leads()));
        if leader.1 != 0 {
            self.metrics.leader_changes.inc();
            mine.leaderless_ticks.store(0, SeqCst);
            let group = self.group + 1;
            if leader.1 == self.server {
                tracing::info!(group, term = leader.0, "this server leads the group");
            } else {
                tracing::info!(group, term = leader.0, leader = leader.1, "the group has a leader");
            }
        }
    }

    /// Leaves the log complete: what was acknowledged is there, and the commit index saves the next start some work.
    fn finish(self) {
        let hard_state = self.driver.hard_state();
        match self.disk {
            Disk::Thread(mut disk) => {
                disk.write(vec![Write { ready: 0, entries: Vec::new(), hard_state }]);
                disk.stop();
            }
            Disk::Inline(mut writer) => {
                let done = writer.write(&[], Some(hard_state)).and_then(|()| writer.sync());
                done.unwrap_or_else(|error| panic!("the log cannot be written: {error}"));
            }
        }
    }

    fn mine(&self) -> &GroupBoard {
        &self.board.groups[self.group]
    }
}

/// The last look before sleeping: whatever comes later finds the thread announced as asleep, and wakes it.
fn may_sleep(board: &Board, queue: &LaneQueue, group: usize, seen: &View) -> bool {
    let mine = &board.groups[group];
    let held = mine.held.load(SeqCst);
    let moved = mine.merged.load(SeqCst) != seen.merged || queue.next_command() != seen.next_command;
    let commands = queue.has_commands() && !held || held && moved;
    !(commands || mine.has_mail() || mine.wake_at.load(SeqCst) <= board.level())
}

/// Names for Raft's roles, by [`role_code`].
pub(crate) const ROLES: [&str; 4] = ["follower", "pre-candidate", "candidate", "leader"];

fn role_code(role: StateRole) -> u8 {
    match role {
        StateRole::Follower => 0,
        StateRole::PreCandidate => 1,
        StateRole::Candidate => 2,
        StateRole::Leader => 3,
    }
}
