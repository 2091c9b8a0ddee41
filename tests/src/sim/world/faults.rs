//! How faults strike, and how they end.

use super::script::BEGINS;
use super::{Event, World};
use crate::sim::disk::FailingSync;
use crate::sim::fault::Fault;
use crate::sim::network::{Direction, Micros};

impl World {
    /// Starts a planned fault.
    pub(crate) fn strike(&mut self, number: usize) {
        let fault = self.plan.faults[number].fault.clone();
        self.trace.line(|| format!("FAULT {fault:?}"));
        match fault {
            Fault::Kill { server, down } => {
                if self.is_running(server) {
                    self.coverage.count("process killed");
                }
                self.take_down(server, false, down);
            }
            Fault::PowerLoss { server, down } => {
                if self.is_running(server) {
                    self.coverage.count("power lost");
                }
                self.take_down(server, true, down);
            }
            Fault::Stop { server, power, down } => self.stop(server, power, down),
            Fault::AllPowerLost { down } => {
                self.coverage.count("all power lost");
                for server in 1..=self.plan.servers {
                    let apart = self.chance.below(20_000);
                    self.take_down(server, true, down + apart);
                }
            }
            Fault::DieInWrite { server, changes, power, down } => {
                self.server(server).after_disk = Some((power, down));
                self.server(server).disk.trouble(|trouble| trouble.dies_after = Some(changes));
                self.coverage.count("killed in the midst of a write");
            }
            Fault::DieAt { server, aim, after, power, down } => {
                self.server(server).after_disk = Some((power, down));
                self.server(server).disk.trouble(|trouble| trouble.dies_at = Some((aim, after)));
            }
            Fault::Pause { server, lasts } => {
                let until = self.now + lasts;
                if self.is_running(server) {
                    let before = self.server(server).paused_until.unwrap_or(0);
                    self.server(server).paused_until = Some(until.max(before));
                    // To all but the machine's clock it looks the same if the machine sleeps.
                    self.server(server).slept += until.saturating_sub(before.max(self.now));
                    self.after(lasts, Event::Resume(server));
                    self.coverage.count("server paused");
                }
            }
            Fault::Drain { server, .. } => self.drain(server, true),
            Fault::SlowServer { server, factor, .. } => {
                self.server(server).slowness = factor;
                self.coverage.count("server slowed");
            }
            Fault::SlowDisk { server, factor, .. } => {
                self.server(server).disk_slowness = factor;
                self.coverage.count("disk slowed");
            }
            Fault::HungDisk { server, .. } => {
                self.server(server).disk.trouble(|trouble| trouble.hangs = true);
                self.coverage.count("disk hung");
            }
            Fault::HungApplication { server, .. } => {
                self.server(server).application_hangs = true;
                self.coverage.count("application hung");
            }
            Fault::HungGroup { server, group, lasts } => {
                let (first, until) = (self.plan.groups_beside(group).start, self.now + lasts);
                let hangs_until = self.server(server).groups_hang_until.entry(first).or_default();
                *hangs_until = until.max(*hangs_until);
                self.coverage.count("group's thread hung");
            }
            Fault::DiskNearlyFull { server, .. } => {
                self.server(server).disk.trouble(|trouble| trouble.nearly_full = true);
                self.coverage.count("disk nearly full");
            }
            Fault::DiskFull { server, .. } => {
                self.server(server).disk.trouble(|trouble| trouble.full = true);
                self.coverage.count("disk full");
            }
            Fault::NoRoomForSnapshots { server, .. } => {
                self.server(server).disk.trouble(|trouble| trouble.no_room_for_snapshots = true);
                self.coverage.count("no room for snapshots");
            }
            Fault::SyncFails { server, aim, power, down } => {
                self.server(server).after_disk = Some((power, down));
                self.server(server).disk.trouble(|trouble| trouble.sync_fails = Some(FailingSync(aim)));
            }
            Fault::FlipBit { server, down } => self.flip_bit(server, down),
            // Their effects are checked where they can occur.
            Fault::Lose { .. } | Fault::OldCopy { .. } | Fault::OtherMembers { .. } => {}
            Fault::SlowLink { a, b, more, .. } => {
                self.coverage.count("link slowed");
                for direction in self.between(a, b) {
                    self.network.slow(direction, more);
                }
            }
            Fault::ThinLinks { server, bytes_per_second, .. } => {
                self.coverage.count("links thin");
                self.thin_links(server, Some(bytes_per_second));
            }
            Fault::Flapping { server, each, lasts } => {
                self.coverage.count("links flap");
                let until = (self.now + lasts).min(BEGINS);
                self.flap(server, each, until, true);
            }
            Fault::LoseMessages { from, kind, .. } => self.network.lose(from, kind, true),
            Fault::Groups { server, groups } => self.ask_for_groups(number, server, groups),
            Fault::Level { server } => self.ask_for_level(number, server),
            Fault::Members { server, leaves, comes, .. } => {
                self.ask_for_members(number, server, leaves, comes);
            }
            Fault::LoseDisk { server } => self.lose_disk(number, server),
            Fault::FollowerDies { power, down } => self.follower_dies(power, down),
            Fault::Reset { server, .. } => {
                self.close_connections(server);
                let (what, directions) = self.directions_of(&fault);
                self.coverage.count(what);
                self.network.cut(directions);
            }
            ref cut => {
                let (what, directions) = self.directions_of(cut);
                self.coverage.count(what);
                self.network.cut(directions);
            }
        }
        if let Some(lasts) = lasts(&fault) {
            self.after(lasts, Event::FaultEnds(number));
        }
    }

    /// Ends a fault that lasts a while.
    pub(crate) fn fault_ends(&mut self, number: usize) {
        let fault = self.plan.faults[number].fault.clone();
        self.trace.line(|| format!("ends: {fault:?}"));
        match fault {
            Fault::SlowServer { server, .. } => self.server(server).slowness = 1,
            Fault::Drain { server, .. } => self.drain(server, false),
            Fault::SlowDisk { server, .. } => self.server(server).disk_slowness = 1,
            Fault::HungDisk { server, .. } => {
                self.server(server).disk.trouble(|trouble| trouble.hangs = false);
                self.follow(server);
            }
            Fault::HungApplication { server, .. } => {
                self.server(server).application_hangs = false;
                self.follow(server);
            }
            Fault::HungGroup { server, .. } => self.follow(server),
            Fault::DiskNearlyFull { server, .. } => {
                self.server(server).disk.trouble(|trouble| trouble.nearly_full = false);
            }
            Fault::DiskFull { server, .. } => {
                self.server(server).disk.trouble(|trouble| trouble.full = false);
            }
            Fault::NoRoomForSnapshots { server, .. } => {
                self.server(server).disk.trouble(|trouble| trouble.no_room_for_snapshots = false);
            }
            Fault::SlowLink { a, b, .. } => {
                for direction in self.between(a, b) {
                    self.network.slow(direction, 0);
                }
            }
            Fault::ThinLinks { server, .. } => {
                self.thin_links(server, None);
                // What waits for thin links would still take long: it is lost.
                self.close_connections(server);
            }
            Fault::LoseMessages { from, kind, .. } => self.network.lose(from, kind, false),
            // Ends on its own.
            Fault::Flapping { .. } | Fault::OldCopy { .. } => {}
            ref cut => {
                let (_, directions) = self.directions_of(cut);
                self.network.mend(directions);
            }
        }
    }

    /// Ends all faults, and starts servers that do not run.
    pub(crate) fn heal(&mut self) {
        for (a, b, group) in self.network.calm() {
            self.break_connection(a, b, group);
        }
        let now = self.now;
        for id in 1..=self.plan.servers {
            let server = self.server(id);
            server.slowness = 1;
            server.disk_slowness = 1;
            server.application_hangs = false;
            server.groups_hang_until.values_mut().for_each(|until| *until = now.min(*until));
            if let Some(running) = &server.running {
                running.machine.client().balance();
            }
            server.disk.trouble(|trouble| *trouble = crate::sim::disk::Trouble::default());
            if let Some(flipped) = server.flipped.take() {
                server.disk.flip_back(&flipped);
            }
            self.start_after(id, 1000);
            self.follow(id);
        }
        self.heal_follower();
    }

    pub(crate) fn take_down(&mut self, server: u64, power: bool, down: u64) {
        self.count_figures(server);
        self.process_ends(server, power);
        self.start_after(server, down);
    }

    /// Has a server give its leaderships away, or claim them again.
    fn drain(&mut self, server: u64, begins: bool) {
        let Some(running) = &self.server(server).running else { return };
        let client = running.machine.client();
        if begins {
            client.drain();
            self.coverage.count("leaderships drained");
        } else {
            client.balance();
        }
        self.follow(server);
    }

    fn flip_bit(&mut self, id: u64, down: u64) {
        if self.server(id).is_out {
            return;
        }
        self.take_down(id, false, down);
        let mut chance = self.chance.fork(7);
        let server = self.server(id);
        if server.flipped.is_none() {
            server.flipped = server.disk.flip_bit(&mut chance);
            if server.flipped.is_some() {
                self.coverage.count("bit flipped");
            }
        }
    }

    fn thin_links(&mut self, server: u64, bytes_per_second: Option<u64>) {
        for other in (1..=self.plan.servers).filter(|other| *other != server) {
            for direction in self.between(server, other) {
                self.network.thin(direction, bytes_per_second);
            }
        }
    }

    /// Ends all connections of a server.
    fn close_connections(&mut self, server: u64) {
        for (peer, link) in self.network.peers(server) {
            self.break_connection(server, peer, link);
        }
    }

    /// Alternately cuts and mends a server's links. They are up for half as long as they are down, which is
    /// too short to be steady.
    pub(crate) fn flap(&mut self, server: u64, each: Micros, until: Micros, cut: bool) {
        let (_, directions) = self.directions_of(&Fault::CutServer { server, lasts: each });
        if cut && self.now < until {
            self.network.cut(directions);
        } else {
            self.network.mend(directions);
        }
        if self.now < until {
            let lasts = if cut { each } else { each / 2 };
            self.after(lasts, Event::Flap { server, each, until, cut: !cut });
        }
    }

    /// Both directions between two servers, in all groups and for snapshots.
    fn between(&self, a: u64, b: u64) -> Vec<Direction> {
        (0..self.links()).flat_map(|group| [(a, b, group), (b, a, group)]).collect()
    }

    /// Both directions between a server and each of the others.
    fn around(&self, server: u64) -> Vec<Direction> {
        let others = (1..=self.plan.servers).filter(|other| *other != server);
        others.flat_map(|other| self.between(server, other)).collect()
    }

    /// Which directions a cut cuts, and its name in the coverage table.
    fn directions_of(&self, cut: &Fault) -> (&'static str, Vec<Direction>) {
        match *cut {
            Fault::CutPair { a, b, .. } => ("servers cut apart", self.between(a, b)),
            Fault::CutOneWay { from, to, .. } => {
                ("servers cut apart one way", (0..self.links()).map(|link| (from, to, link)).collect())
            }
            Fault::CutServer { server, .. } => ("server cut off", self.around(server)),
            Fault::CutFollower { .. } => ("follower cut off", self.around_follower()),
            Fault::Reset { server, .. } => ("connections closed on the way", self.around(server)),
            Fault::CutGroup { a, b, group, .. } => {
                ("one group's link cut", vec![(a, b, group), (b, a, group)])
            }
            ref other => unreachable!("{other:?} cuts nothing"),
        }
    }
}

/// How long a fault lasts that does not end on its own.
fn lasts(fault: &Fault) -> Option<u64> {
    match *fault {
        Fault::SlowServer { lasts, .. }
        | Fault::Drain { lasts, .. }
        | Fault::SlowDisk { lasts, .. }
        | Fault::HungDisk { lasts, .. }
        | Fault::HungApplication { lasts, .. }
        | Fault::HungGroup { lasts, .. }
        | Fault::DiskNearlyFull { lasts, .. }
        | Fault::DiskFull { lasts, .. }
        | Fault::NoRoomForSnapshots { lasts, .. }
        | Fault::SlowLink { lasts, .. }
        | Fault::OldCopy { lasts, .. }
        | Fault::ThinLinks { lasts, .. }
        | Fault::CutPair { lasts, .. }
        | Fault::CutOneWay { lasts, .. }
        | Fault::CutServer { lasts, .. }
        | Fault::CutFollower { lasts }
        | Fault::Reset { lasts, .. }
        | Fault::CutGroup { lasts, .. }
        | Fault::LoseMessages { lasts, .. } => Some(lasts),
        // A pause ends with the server's pause time, the others with the server's start.
        _ => None,
    }
}
