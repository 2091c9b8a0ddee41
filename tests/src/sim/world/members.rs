//! Servers that come, leave, and lose their disks for good.

use niagara_engine::{Durability, MembersChange, StartError};
use niagara_testing::parts::joining::{joining, view_of, was_removed};

use super::epochs::ASK_AGAIN;
use super::rounds::RESTART;
use super::script::BEGINS;
use super::{Event, MS, World};
use crate::invariants::Broken;
use crate::sim::disk::Disk;
use crate::sim::network::Micros;
use crate::sim::server::Server;

/// Time between two looks for servers that can join.
const LOOK_EACH: Micros = 10 * MS;
/// So many members are enough for one of them to be cut off.
const ENOUGH: usize = 3;
/// How often the script waits until the members are those that it wants.
const MOST_WAITS: u32 = 400;

impl World {
    /// The members of the newest epoch that any server has come to, in rising order.
    pub(crate) fn members(&self) -> Vec<u64> {
        let known = self.invariants.one_chain.members();
        let mut members = known.map_or_else(|| (1..=self.plan.founders()).collect(), <[u64]>::to_vec);
        members.sort_unstable();
        members
    }

    /// The same, with what is known of each.
    pub(crate) fn member_servers(&self) -> impl Iterator<Item = &Server> {
        self.members().into_iter().map(|id| &self.servers[id as usize - 1])
    }

    /// Whether a server knows that it is no member any more.
    pub(crate) fn leaves(&self, id: u64) -> bool {
        let running = self.servers.get(id as usize - 1).and_then(|server| server.running.as_ref());
        running.is_some_and(|running| running.machine.leaves().is_some())
    }

    /// Asks for other members: through this server, or the next one that takes it.
    pub(crate) fn ask_for_members(
        &mut self,
        number: usize,
        server: u64,
        leaves: Option<u64>,
        comes: Option<u64>,
    ) {
        let members = self.members();
        let or_the_next =
            |id: u64| members.iter().copied().find(|member| *member >= id).unwrap_or(members[0]);
        let change = self.change(leaves.map(or_the_next), comes);
        match self.ask_for_change(server, &change) {
            Some(_) => self.coverage.count("other members asked for"),
            None if self.now < BEGINS => self.after(ASK_AGAIN, Event::Fault(number)),
            None => self.coverage.count("other members not taken"),
        }
    }

    fn change(&self, leaves: Option<u64>, comes: Option<u64>) -> MembersChange {
        let view = |id: u64| view_of(self.servers[id as usize - 1].own_entry());
        MembersChange { leave: leaves.into_iter().collect(), come: comes.into_iter().map(view).collect() }
    }

    /// The server that has taken it.
    fn ask_for_change(&mut self, server: u64, change: &MembersChange) -> Option<u64> {
        let id = self.ask(server, None, |client| client.ask_for_members(change))?;
        self.trace.line(|| {
            let come: Vec<u64> = change.come.iter().map(|member| member.server).collect();
            format!("server {id} is asked for other members: {:?} leave, {come:?} come", change.leave)
        });
        self.follow(id);
        Some(id)
    }

    /// Starts servers that have become members and can have a snapshot.
    pub(crate) fn let_newcomers_join(&mut self) {
        for id in self.members() {
            let server = &self.servers[id as usize - 1];
            if !server.is_out || server.life > 0 {
                continue;
            }
            let running = self.servers.iter().filter_map(|server| server.running.as_ref());
            let Some(joining) = joining(running.map(|running| &running.machine), id) else { continue };
            self.trace.line(|| format!("server {id} joins in epoch {}", joining.epoch.number));
            self.coverage.count("server joined");
            let server = self.server(id);
            (server.is_out, server.joining) = (false, Some(joining));
            self.start_after(id, MS);
            if let Some(after) = self.plan.dies_after_joining(id) {
                self.after(MS + after, Event::NewcomerDies(id));
            }
        }
        self.after(LOOK_EACH, Event::NewcomersJoin);
    }

    /// A server that has joined ends, and loses its power if its logs are proof against that.
    pub(crate) fn newcomer_dies(&mut self, id: u64) {
        if self.is_running(id) {
            self.coverage.count("newcomer died");
            // With logs that are not proof against that, it could not come back.
            let power = self.plan.durability == Durability::Fsync;
            self.take_down(id, power, RESTART);
        }
    }

    /// A server's disk is lost for good, if the others can do without it: all of them take part in the newest epoch, and hold
    /// what it has acknowledged.
    pub(crate) fn lose_disk(&mut self, number: usize, id: u64) {
        let (members, newest) = (self.members(), self.invariants.one_chain.newest());
        let takes_part = |member: &u64| {
            let server = &self.servers[*member as usize - 1];
            server.running.is_some() && server.epoch.get() == newest
        };
        if members.len() < ENOUGH || !members.iter().all(takes_part) || !members.contains(&id) {
            if self.now < BEGINS {
                return self.after(ASK_AGAIN, Event::Fault(number));
            }
            return self.coverage.count("disk spared");
        }
        self.count_figures(id);
        self.process_ends(id, true);
        let blank = Disk::new(self.chance.fork(9));
        let server = self.server(id);
        (server.is_out, server.disk) = (true, blank);
        self.trace.line(|| format!("server {id} has lost its disk for good"));
        self.coverage.count("disk lost for good");
    }

    /// Ends a server that knows that it was removed, and is needed by nobody any more.
    pub(crate) fn end_removed(&mut self, id: u64) {
        let removed = self.server(id).running.as_ref().and_then(|running| running.machine.removed());
        let Some(epoch) = removed else { return };
        self.trace.line(|| format!("server {id} ends: it is no member since epoch {epoch}"));
        self.coverage.count("removed server ended");
        self.count_figures(id);
        self.process_ends(id, false);
        self.server(id).is_out = true;
    }

    /// Whether a server does not start since it was removed.
    pub(crate) fn is_removed(&mut self, id: u64, error: &StartError) -> bool {
        let is_removed = was_removed(error);
        if is_removed {
            self.coverage.count("removed server not started");
            self.server(id).is_out = true;
        }
        is_removed
    }

    /// Whether the script has to wait for members to come or go. It has those removed that have lost their disks, and others
    /// come if there are too few.
    pub(crate) fn awaits_members(&mut self) -> Result<bool, Broken> {
        let lost = self.lost_member();
        let are_fine = lost.is_none() && self.members().len() >= ENOUGH;
        if self.plan.spares == 0 || are_fine && self.are_in_place() {
            return Ok(false);
        }
        self.waited_for_members += 1;
        if self.waited_for_members > MOST_WAITS {
            let running = self.servers.iter().filter(|server| server.running.is_some());
            let running: Vec<u64> = running.map(|server| server.id).collect();
            let members = self.members();
            let what =
                format!("the members are {members:?}, {lost:?} has lost its disk, and {running:?} run");
            return Err(Broken::new("progress_after_heal", what));
        }
        if !are_fine {
            self.ask_for_enough(lost);
        }
        Ok(true)
    }

    /// A member that has lost its disk.
    fn lost_member(&self) -> Option<u64> {
        self.member_servers().find(|server| server.is_out && server.life > 0).map(|server| server.id)
    }

    /// Whether the members run, all in the newest epoch, and nobody else does.
    fn are_in_place(&self) -> bool {
        let (members, newest) = (self.members(), self.invariants.one_chain.newest());
        self.servers.iter().all(|server| match members.contains(&server.id) {
            true => server.running.is_some() && server.epoch.get() == newest,
            false => server.running.is_none(),
        })
    }

    /// Asks that this member leaves, and that another server comes if there would be too few.
    fn ask_for_enough(&mut self, lost: Option<u64>) {
        let members = self.members();
        let is_unused = |id: &u64| self.servers[*id as usize - 1].life == 0 && !members.contains(id);
        let mut unused = (self.plan.founders() + 1..=self.plan.servers).filter(is_unused);
        let comes = unused.next().filter(|_| members.len() <= ENOUGH);
        let change = self.change(lost, comes);
        self.ask_for_change(members[0], &change);
    }
}
