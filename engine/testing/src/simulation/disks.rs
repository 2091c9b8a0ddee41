//! Disks that fill up, hang and fail.

use super::Simulation;
use crate::parts::disk::FailingSync;
use crate::recording::Observable;

impl<S: Observable> Simulation<S> {
    /// Takes all room on a server's disk, until [`mend_disk`](Simulation::mend_disk). The server refuses commands
    /// with [`ReadOnly`](niagara_engine::Refused::ReadOnly), and what others send it waits for room. Until then it
    /// takes no snapshot, and does not start.
    pub fn fill_disk(&mut self, server: u64) {
        self.note(&format!("server {server}'s disk is full"));
        self.server(server).disk.trouble(|trouble| trouble.full = true);
    }

    /// Makes a server's disk hang: no write or sync returns until [`mend_disk`](Simulation::mend_disk), and the
    /// server does not start.
    pub fn hang_disk(&mut self, server: u64) {
        self.note(&format!("server {server}'s disk hangs"));
        self.server(server).disk.trouble(|trouble| trouble.hangs = true);
    }

    /// Makes the next sync of a server's disk fail. If it is one of a log, the server's process ends, as every
    /// server does then; [`restart`](Simulation::restart) it. If the power fails before it is written again, what the sync was to make
    /// durable is lost.
    pub fn fail_next_sync(&mut self, server: u64) {
        self.note(&format!("server {server}'s next sync fails"));
        self.server(server).disk.trouble(|trouble| trouble.sync_fails = Some(FailingSync(None)));
    }

    /// Makes a server's disk work again, and starts the server if it could not start without.
    pub fn mend_disk(&mut self, server: u64) {
        let mended = self.server_mut(server);
        let mut was_bad = false;
        mended.disk.trouble(|trouble| {
            was_bad = trouble.full || trouble.hangs;
            (trouble.full, trouble.hangs, trouble.sync_fails) = (false, false, None);
        });
        if was_bad {
            self.note(&format!("server {server}'s disk works again"));
        }
        if std::mem::take(&mut self.server_mut(server).awaits_disk) {
            self.restart(server);
        } else {
            self.follow(server);
        }
    }

    /// A server cannot start; `true` if its disk is the reason.
    pub(super) fn awaits_disk(&mut self, server: u64, why: &str) -> bool {
        let server_of = self.server_mut(server);
        let mut is_full = false;
        server_of.disk.trouble(|trouble| is_full = trouble.full);
        let failed = server_of.disk.take_failed().is_some();
        if is_full || failed {
            server_of.awaits_disk = true;
            self.note(&format!("server {server} does not start: {why}"));
        }
        is_full || failed
    }
}
