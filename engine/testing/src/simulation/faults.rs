//! Faults: called for, or drawn at random.

use std::time::Duration;

use niagara_engine::Durability;

use super::Simulation;
use super::events::{Event, Fault};
use crate::parts::network::{MS, Micros};
use crate::recording::Observable;

/// Faults that are drawn at random begin about so far apart.
const APART: Micros = 300 * MS;
/// The shortest and longest time that one lasts.
const LASTS: (Micros, Micros) = (20 * MS, 1500 * MS);
/// Rates that clocks run at, in percent.
const RATES: &[u64] = &[50, 80, 125, 200];

impl<S: Observable> Simulation<S> {
    /// Cuts all links between two servers: messages are lost, in both directions, until
    /// [`heal`](Simulation::heal).
    pub fn cut(&mut self, a: u64, b: u64) {
        self.note(&format!("servers {a} and {b} are cut apart"));
        let directions = self.between(self.server(a).id, self.server(b).id);
        self.network.cut(directions);
    }

    /// Ends all cuts.
    pub fn heal(&mut self) {
        for a in self.servers() {
            for b in self.servers().filter(|b| *b > a) {
                self.mend(a, b);
            }
        }
    }

    /// Ends the cut between two servers, if there is one.
    fn mend(&mut self, a: u64, b: u64) {
        let directions = self.between(a, b);
        if self.network.is_cut(directions[0]) {
            self.note(&format!("servers {a} and {b} hear each other again"));
            self.network.mend(directions);
        }
    }

    /// Kills a server's process. Everything that it has written stays in its files. Its callers'
    /// outcomes are [`Down`](super::Outcome::Down).
    pub fn crash(&mut self, server: u64) {
        self.process_ends(server, false);
    }

    /// Takes a server's power: of what it has not synced, all, nothing, or any part is lost.
    ///
    /// # Panics
    /// If the durability is not [`Fsync`](Durability::Fsync): nobody promises anything then.
    pub fn lose_power(&mut self, server: u64) {
        assert!(
            self.settings.config.durability == Durability::Fsync,
            "acknowledged commands survive a loss of power with Durability::Fsync alone: use it, or crash the server"
        );
        self.process_ends(server, true);
    }

    /// Starts a server's process again, with its files; does nothing if it runs.
    pub fn restart(&mut self, server: u64) {
        self.start(server);
    }

    /// Makes a server's clock run at this rate from now on, in percent of real time.
    ///
    /// # Panics
    /// If the rate is 0: use [`pause`](Simulation::pause).
    pub fn set_clock(&mut self, server: u64, percent: u64) {
        assert!(percent > 0, "a clock that stands still ends no wait: pause the server instead");
        let now = self.now;
        if self.server_mut(server).set_rate(now, percent) {
            self.note(&format!("server {server}'s clock runs at {percent} percent"));
            self.follow(server);
        }
    }

    /// Pauses a server's process, as a virtual machine is paused: it continues where it was, late. Does
    /// nothing if it does not run.
    pub fn pause(&mut self, server: u64) {
        if self.is_running(server) {
            self.note(&format!("server {server} is paused"));
            self.server_mut(server).is_paused = true;
        }
    }

    /// Ends a pause.
    pub fn resume(&mut self, server: u64) {
        let resumed = self.server_mut(server);
        if std::mem::replace(&mut resumed.is_paused, false) {
            let held = std::mem::take(&mut resumed.held);
            self.note(&format!("server {server} resumes"));
            for event in held {
                self.after(0, event);
            }
            self.follow(server);
        }
    }

    /// Requests a snapshot of a server's state; does nothing if it does not run.
    pub fn snapshot(&mut self, server: u64) {
        if let Some(running) = &self.server(server).running {
            running.machine.client().snapshot();
            self.follow(server);
        }
    }

    /// Draws faults that begin within this time from now, about three a second: crashes, losses of power, of
    /// all servers, too, cuts, pauses, clocks that run fast or slowly, disks that are full, hang or fail, and
    /// snapshots. Each ends after 1.5 seconds at most, and crashed servers start again. The seed decides which
    /// and when.
    pub fn random_faults(&mut self, within: Duration) {
        let within = within.as_micros() as Micros;
        let (mut at, season) = (0, self.season);
        loop {
            at += self.chance_of_faults.between(1, 2 * APART);
            if at > within {
                return;
            }
            let fault = self.draw();
            let lasts = self.chance_of_faults.between(LASTS.0, LASTS.1);
            self.after(at, Event::Fault { fault, lasts, season });
        }
    }

    fn draw(&mut self) -> Fault {
        let syncs = self.settings.config.durability == Durability::Fsync;
        let servers = self.servers.len() as u64;
        let chance = &mut self.chance_of_faults;
        let server = chance.between(1, servers);
        let peer = (server + chance.below(servers)) % servers + 1;
        match chance.below(13) {
            10 => Fault::FullDisk(server),
            11 => Fault::HungDisk(server),
            12 => Fault::FailedSync(server),
            0 | 1 => Fault::Crash(server),
            2 if syncs => Fault::PowerLoss(server),
            3 if syncs && chance.one_in(2) => Fault::Blackout,
            4 if peer != server => Fault::Cut(server, peer),
            5 | 6 if servers > 1 => Fault::Isolation(server),
            7 => Fault::Pause(server),
            8 => Fault::Clock(server, *chance.pick(RATES)),
            _ => Fault::Snapshot(server),
        }
    }

    /// Ends all faults, and forgets those that were drawn for later.
    pub fn calm_down(&mut self) {
        self.season += 1;
        self.heal();
        for server in self.servers() {
            self.resume(server);
            self.set_clock(server, 100);
            self.mend_disk(server);
            self.restart(server);
        }
    }

    pub(super) fn strike(&mut self, fault: Fault, lasts: Micros) {
        match fault {
            Fault::Crash(server) => self.crash(server),
            Fault::PowerLoss(server) => self.lose_power(server),
            Fault::Blackout => self.servers().for_each(|server| self.lose_power(server)),
            Fault::Cut(a, b) => self.cut(a, b),
            Fault::Isolation(server) => self.isolate(server),
            Fault::Pause(server) => self.pause(server),
            Fault::Clock(server, percent) => self.set_clock(server, percent),
            Fault::FullDisk(server) => self.fill_disk(server),
            Fault::HungDisk(server) => self.hang_disk(server),
            Fault::FailedSync(server) => self.fail_next_sync(server),
            Fault::Snapshot(server) => self.snapshot(server),
        }
        self.after(lasts, Event::FaultEnds(fault));
    }

    pub(super) fn fault_ends(&mut self, fault: Fault) {
        match fault {
            Fault::Crash(server) | Fault::PowerLoss(server) => self.restart(server),
            Fault::Blackout => self.servers().for_each(|server| self.restart(server)),
            Fault::Cut(a, b) => self.mend(a, b),
            Fault::Isolation(server) => {
                let peers = self.servers().filter(|peer| *peer != server);
                peers.for_each(|peer| self.mend(server, peer));
            }
            Fault::Pause(server) => self.resume(server),
            Fault::Clock(server, _) => self.set_clock(server, 100),
            Fault::FullDisk(server) | Fault::HungDisk(server) => self.mend_disk(server),
            Fault::FailedSync(server) => {
                self.mend_disk(server);
                self.restart(server);
            }
            Fault::Snapshot(_) => {}
        }
    }

    fn isolate(&mut self, server: u64) {
        for peer in self.servers().filter(|peer| *peer != server) {
            self.cut(server, peer);
        }
    }
}
