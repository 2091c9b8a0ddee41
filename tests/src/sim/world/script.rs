//! How every simulation ends, after its faults: everything is healed, must settle, and passes the last tests.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use niagara_engine::{Client, Consistency};

use super::{Event, World};
use crate::invariants::{
    Activity, Broken, Pending, check_cost_is_bounded, check_equal_states, check_idle_is_quiet,
    check_idle_read_is_answered, check_progress_after_heal,
};
use crate::linearizability::{Condition, Input, Verdict, check};
use crate::sim::clients::{Ask, CallResult};
use crate::sim::draws::LAST_FAULT;
use crate::sim::follower::Follower;
use crate::sim::network::Micros;
use crate::sim::recorder::Recorder;
use crate::sim::request::{Request, expiring_key, name};
use crate::sim::server::{Server, TICK};
use crate::sim::sizes::{LENGTH_PART, SHARED_IN_PIPELINE};

const MS: Micros = 1000;
/// When the script starts, while the last faults are still under way.
pub const BEGINS: Micros = LAST_FAULT + 300 * MS;
/// How long clients continue after everything is healed.
const CLIENTS_GO_ON: Micros = 300 * MS;
/// Time for servers to start, leaders to be elected and laggards to catch up: a few election timeouts, and a
/// few more for leaderships to settle.
const SETTLE: Micros = 2500 * MS;
/// The last part of it, in which nothing should happen.
const IDLE: Micros = 600 * MS;
/// Time for one server to catch up with the others after a single cut.
const CATCH_UP: Micros = 1200 * MS;
/// How often a server that advances is given as much time again. A follower with room for one entry at a time takes 80 ms for
/// each, and there may be two thousand.
const MOST_LOOKS: u32 = 140;
/// Time for a command about time to be executed by all, and how often it is given.
const TIMEKEEPING: Micros = 100 * MS;
const MOST_TIMEKEEPING: u32 = 50;
/// Time between two looks at members that have yet to come or go.
const MEMBERS: Micros = 20 * MS;
/// Time for a leadership to be handed over, and how often it is given.
const HANDOVER: Micros = 50 * MS;
const MOST_HANDOVERS: u32 = 10;
/// Time for probes that must be executed while a group's link is cut. It exceeds the engine's deadline, after
/// which they would count as unknown.
const PROBES: Micros = 1100 * MS;
/// Time for strong reads in an idle cluster: a round, and a few retries.
const IDLE_READS: Micros = 400 * MS;
/// A tick of the fastest clock.
const SHORTEST_TICK: Micros = TICK.as_micros() as u64 * 4 / 5;
/// Bound on the steps of the search for an order of a key's operations.
const SEARCH_BUDGET: u64 = 2_000_000;
/// Probes' tokens, far from the clients'.
const FIRST_PROBE: u64 = 1 << 40;

impl World {
    /// Runs the script's next step.
    pub(crate) fn script(&mut self, step: usize) -> Result<(), Broken> {
        self.trace.line(|| format!("SCRIPT step {step}"));
        let pause = match step {
            0 => {
                self.heal();
                CLIENTS_GO_ON
            }
            1 if self.awaits_members()? => {
                self.coverage.count("members waited for");
                self.after(MEMBERS, Event::Script(1));
                return Ok(());
            }
            1 => {
                self.clients_rest = true;
                self.end_long_pipelines();
                SETTLE - IDLE
            }
            2 if self.laggard_advances() => {
                self.coverage.count("laggard waited for");
                self.after(CATCH_UP, Event::Script(2));
                return Ok(());
            }
            2 => {
                self.before_idling = self.activity;
                self.idles_since = (self.now, self.most_commands(), self.open_groups());
                IDLE
            }
            // What a server proposes as keys expire is not yet executed everywhere.
            3 | 7 if self.time_is_kept() => {
                self.coverage.count("timekeeper waited for");
                self.after(TIMEKEEPING, Event::Script(step));
                return Ok(());
            }
            // A leadership that returns to its server may be on its way at any moment.
            3 | 4 if self.awaits_leader() => {
                self.coverage.count("leader waited for");
                self.after(HANDOVER, Event::Script(step));
                return Ok(());
            }
            3 => {
                self.check_progress("long after the faults have ended")?;
                self.check_idle()?;
                // The group of the last command is the anchor, which never skips ahead of the level.
                let (_, victim, _) = self.cut_for_probes()?;
                self.probe(victim);
                50 * MS
            }
            4 => {
                let (leader, victim, group) = self.cut_for_probes()?;
                self.coverage.count("one group's link cut for probes");
                self.trace
                    .line(|| format!("servers {leader} and {victim} are cut apart in group {}", group + 1));
                self.network.cut([(leader, victim, group), (victim, leader, group)]);
                self.probes.clear();
                self.probe_others(leader, victim);
                200 * MS
            }
            5 => {
                let (leader, victim) = self.cut_servers;
                self.probe_others(leader, victim);
                PROBES
            }
            6 => {
                self.check_probes("while two servers were cut apart in one group")?;
                let _ = self.network.calm();
                CATCH_UP
            }
            7 => {
                self.check_progress("after a cut link was mended")?;
                self.probes.clear();
                let readers = self.members().into_iter().chain(self.follower_id());
                readers.for_each(|server| self.probe_by_read(server));
                IDLE_READS
            }
            _ => {
                self.check_idle_reads()?;
                self.check_digests()?;
                self.check_transfers()?;
                self.check_history()?;
                self.check_expiry()?;
                self.check_closed_logs()?;
                // A read that no lease answers costs as much as an entry.
                let reads = if self.plan.tries_leases { self.next_probe } else { 0 };
                let activity = Activity { entries: self.activity.entries + reads, ..self.activity };
                check_cost_is_bounded(
                    activity,
                    (self.plan.servers, self.groups() as u64),
                    self.now / SHORTEST_TICK,
                )?;
                self.is_over = true;
                return Ok(());
            }
        };
        self.after(pause, Event::Script(step + 1));
        Ok(())
    }

    /// Checks that little has happened while nobody asked for anything.
    fn check_idle(&self) -> Result<(), Broken> {
        let (since, commands, groups) = self.idles_since;
        // Those of an ended epoch are closed when two snapshots are beyond it, which slow disks put off: until then, their leaders
        // have sent heartbeats.
        let (servers, groups) = (self.plan.servers, groups.max(self.open_groups()));
        let idle = self.now - since;
        // And as many again.
        let ticks = idle / SHORTEST_TICK;
        // As keys expire, servers advance the clock of the state.
        let advances = self.most_commands() - commands;
        // A promise comes with each heartbeat.
        let of_a_kind = 2 * ticks * groups * (servers - 1);
        let may = Activity {
            // Each leadership may return to its server.
            elections: groups,
            entries: (4 + advances) * groups,
            snapshots: servers * (1 + advances),
            messages: of_a_kind * if self.plan.leases { 2 } else { 1 },
            rounds: 12 * ticks * groups * servers,
            // Messages and entries are counted already.
            sent_bytes: u64::MAX,
            appended_bytes: u64::MAX,
        };
        check_idle_is_quiet(self.activity - self.before_idling, may, idle / MS)
    }

    /// The most groups, of all epochs that are not closed, that any server has.
    fn open_groups(&self) -> u64 {
        let has = |server: u64| (0..self.groups()).filter(|group| self.has_group(server, *group)).count();
        (1..=self.plan.servers).map(has).max().unwrap_or(0) as u64
    }

    /// The places of the groups that the server executes whose epoch is the latest.
    fn running_groups(&self) -> Range<usize> {
        let running = self.servers.iter().filter_map(|server| server.running.as_ref());
        let groups = running.map(|running| running.machine.running_groups());
        groups.max_by_key(|groups| groups.start).unwrap_or(0..1)
    }

    /// Commands executed by the server that has executed most.
    fn most_commands(&self) -> u64 {
        let running = self.servers.iter().filter_map(|server| server.running.as_ref());
        running.map(|running| running.machine.client().status().commands).max().unwrap_or(0)
    }

    /// Checks that what has expired is gone everywhere.
    fn check_expiry(&self) -> Result<(), Broken> {
        for server in self.member_servers() {
            let running = server.running.as_ref().expect("progress was checked");
            let reader = running.machine.client().reader();
            let is_shown = |key| reader.get(expiring_key(key).as_bytes()).is_some();
            self.clients.expiry().settled(server.id, reader.expiring(), is_shown)?;
        }
        Ok(())
    }

    /// Gives up pipelines that take longer than settling does.
    fn end_long_pipelines(&mut self) {
        for client in 0..self.clients.count() {
            if self.clients.waits_for(client) as u64 > SHARED_IN_PIPELINE {
                self.client_moves_on(client);
            }
        }
    }

    /// Whether a server has yet to catch up, and has advanced since the last look. Where little may wait at a time, it takes
    /// its leaders' entries one by one, and a long backlog takes longer than settling does.
    fn laggard_advances(&mut self) -> bool {
        let done = self.executing().map(|(_, client)| client.map_or(0, |client| client.status().commands));
        let done: Vec<u64> = done.collect();
        let (least, most) = (*done.iter().min().unwrap_or(&0), *done.iter().max().unwrap_or(&0));
        let (looks, before) = self.waited_for_laggard;
        self.waited_for_laggard = (looks + 1, least);
        least < most && looks < MOST_LOOKS && (looks == 0 || least > before)
    }

    /// Whether some server's timekeeper has just proposed a command. Keys that expire are few, so this ends.
    fn time_is_kept(&mut self) -> bool {
        let within = Duration::from_micros(TIMEKEEPING);
        let is_kept =
            |server: &Server| server.running.as_ref().is_some_and(|it| it.callers.keeps_time(within));
        self.waited_for_time += 1;
        self.waited_for_time <= MOST_TIMEKEEPING && self.servers.iter().any(is_kept)
    }

    /// The members and the follower, with a handle for clients of those that run.
    fn executing(&self) -> impl Iterator<Item = (u64, Option<Client<Recorder>>)> {
        let of_member =
            |server: &Server| (server.id, server.running.as_ref().map(|running| running.machine.client()));
        let of_follower = |follower: &Follower| {
            (follower.id, follower.running.as_ref().map(|running| running.machine.client()))
        };
        self.member_servers().map(of_member).chain(self.follower.as_ref().map(of_follower))
    }

    /// Checks that nothing waits, and all servers have executed the same.
    fn check_progress(&self, when: &str) -> Result<(), Broken> {
        let mut pending = Pending::default();
        let mut executed = BTreeSet::new();
        for (id, client) in self.executing() {
            let Some(client) = client else {
                return Err(Broken::new("progress_after_heal", format!("{when}, server {id} does not run")));
            };
            let done = client.status().commands;
            executed.insert(done);
            pending.executed.push((id, done));
        }
        for server in self.member_servers() {
            let commands = server.running.as_ref().map_or(0, |running| running.machine.pending_commands());
            if commands > 0 {
                pending.commands.push((server.id, commands));
            }
        }
        if executed.len() == 1 {
            pending.executed.clear();
        }
        check_progress_after_heal(&pending, when)
    }

    /// The group whose leader is cut from another server, and that leader.
    fn probed_group(&self) -> (usize, Option<u64>) {
        let groups = self.running_groups();
        let group = groups.start + self.plan.seed as usize / 7 % groups.len();
        let leads = |server: &&Server| {
            let running = server.running.as_ref().filter(|it| it.machine.has_group(group));
            running.is_some_and(|running| running.machine.standing(group).leads)
        };
        (group, self.servers.iter().find(leads).map(|server| server.id))
    }

    /// Whether that group is without a leader, and has not been for long.
    fn awaits_leader(&mut self) -> bool {
        self.waited_for_leader += 1;
        self.probed_group().1.is_none() && self.waited_for_leader <= MOST_HANDOVERS
    }

    /// Chooses a link to cut: between the leader of a group and some other server.
    fn cut_for_probes(&mut self) -> Result<(u64, u64, usize), Broken> {
        let (group, leader) = self.probed_group();
        let Some(leader) = leader else {
            let what = format!("group {} has no leader, long after the faults have ended", group + 1);
            return Err(Broken::new("progress_after_heal", what));
        };
        let members = self.members();
        let count = members.len();
        let place = members.iter().position(|id| *id == leader).expect("a member leads");
        let victim = members[(place + 1 + self.plan.seed as usize / 3 % (count - 1)) % count];
        self.cut_servers = (leader, victim);
        Ok((leader, victim, group))
    }

    /// Writes through all servers but the one that cannot hear a leader. The leader is first, so that the
    /// others must pad for its group's commands.
    fn probe_others(&mut self, leader: u64, victim: u64) {
        self.probe(leader);
        for server in self.members().into_iter().filter(|server| ![leader, victim].contains(server)) {
            self.probe(server);
        }
    }

    fn probe(&mut self, server: u64) {
        let token = FIRST_PROBE + self.next_probe;
        self.next_probe += 1;
        self.ask_probe(server, token, Ask::Execute(probe_command(token)));
    }

    fn probe_by_read(&mut self, server: u64) {
        let token = FIRST_PROBE + self.next_probe;
        self.next_probe += 1;
        self.ask_probe(server, token, Ask::Read(name(0), Consistency::Strong));
    }

    fn ask_probe(&mut self, server: u64, token: u64, ask: Ask) {
        self.probes.insert(token, (server, None));
        self.call(server, token, ask);
    }

    fn check_probes(&self, when: &str) -> Result<(), Broken> {
        // Where the engine's deadline is short, an outcome may become unknown before it is known.
        let is_late = |(token, (_, told)): &(&u64, &(u64, Option<CallResult>))| match told {
            Some(CallResult::Applied(..)) => false,
            Some(CallResult::Unknown) => {
                self.invariants.acked_is_applied.acknowledged(&probe_command(**token)).is_err()
            }
            _ => true,
        };
        let late = self.probes.iter().filter(is_late).map(|(_, (server, _))| *server);
        let pending = Pending { probes: late.collect(), ..Pending::default() };
        check_progress_after_heal(&pending, when)
    }

    fn check_idle_reads(&mut self) -> Result<(), Broken> {
        let newest = self.invariants.read_is_fresh.begin();
        let mut unanswered = Vec::new();
        for (server, told) in self.probes.values() {
            match told {
                Some(CallResult::Read { applied, .. }) => {
                    self.invariants.read_is_fresh.answered(*server, newest, *applied)?;
                }
                _ => unanswered.push(*server),
            }
        }
        check_idle_read_is_answered(&unanswered, IDLE_READS / MS)
    }

    fn check_digests(&mut self) -> Result<(), Broken> {
        let status =
            |(_, client): (u64, Option<Client<Recorder>>)| client.expect("progress was checked").status();
        let all: Vec<_> = self.executing().map(status).collect();
        check_equal_states(&all)?;
        self.coverage.add("digests compared", all.iter().map(|status| status.digests.len() as u64).sum());
        (1..=self.plan.servers).for_each(|server| self.count_figures(server));
        Ok(())
    }

    /// Checks that files are received as they were sent, and damaged only if a disk was.
    fn check_transfers(&self) -> Result<(), Broken> {
        let damaged = self.coverage.of("damaged transfer");
        // Received data that was not synced may be torn when the power fails; that is found when the file is
        // whole.
        let disks = ["bit flipped", "sync failed", "unsynced write lost", "unsynced write torn"];
        if damaged > 0 && disks.iter().all(|what| self.coverage.of(what) == 0) {
            let what =
                format!("{damaged} snapshots were damaged when they had been received, and no disk was");
            return Err(Broken::new("a_received_file_is_whole", what));
        }
        Ok(())
    }

    fn check_history(&mut self) -> Result<(), Broken> {
        let history = self.clients.history(&self.invariants.acked_is_applied);
        self.coverage.add("operation checked", history.len() as u64);
        match check(&history, SEARCH_BUDGET) {
            Verdict::Linearizable => Ok(()),
            Verdict::OutOfBudget { .. } => {
                self.coverage.count("history undecided");
                Ok(())
            }
            violation @ Verdict::Violation(_) => Err(Broken::new("linearizability", violation.to_string())),
        }
    }
}

/// What a probe writes.
pub(crate) fn probe_command(token: u64) -> Bytes {
    let input = Input::Set { value: token * LENGTH_PART, condition: Condition::Always };
    Request::Key { key: u8::MAX, input }.command(None).expect("a set is a command")
}
