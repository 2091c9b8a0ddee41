//! What happens in a simulation, one event at a time.

use crate::parts::network::{Flight, Micros};

/// Kinds of threads of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thread {
    /// A group's, by zero-based index.
    Group(usize),
    /// That of a group's log.
    Log(usize),
    Sequencer,
    Application,
    Snapshots,
    /// The one that calls the engine for [`Simulation::propose`](super::Simulation::propose) and reads.
    Callers,
}

impl Thread {
    /// Whether it waits for the disk.
    pub fn uses_disk(self) -> bool {
        matches!(self, Thread::Log(_) | Thread::Snapshots)
    }

    /// Its bit in a set of threads.
    pub fn bit(self, groups: usize) -> u64 {
        1 << match self {
            Thread::Group(group) => group,
            Thread::Log(group) => groups + group,
            Thread::Sequencer => 2 * groups,
            Thread::Application => 2 * groups + 1,
            Thread::Snapshots => 2 * groups + 2,
            Thread::Callers => 2 * groups + 3,
        }
    }

    /// All threads of a server.
    pub fn all(groups: usize) -> impl Iterator<Item = Thread> {
        let of_groups = (0..groups).flat_map(|group| [Thread::Group(group), Thread::Log(group)]);
        of_groups.chain([Thread::Sequencer, Thread::Application, Thread::Snapshots, Thread::Callers])
    }
}

/// An event at a moment. Those with a life are void once that has ended.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A thread of a server makes a round.
    Round { server: u64, life: u64, thread: Thread },
    /// A step of a group's clock.
    GroupTick { server: u64, life: u64, group: usize },
    /// A step of the sequencer's clock.
    Tick { server: u64, life: u64 },
    /// The clock wakes the snapshots thread.
    KeepingDue { server: u64, life: u64 },
    /// A message arrives.
    Arrive(Flight),
    /// Two servers try to connect.
    Connect { a: u64, b: u64, link: usize },
    /// A fault strikes, and ends after a while, unless the season of faults is over.
    Fault { fault: Fault, lasts: Micros, season: u64 },
    /// A fault ends.
    FaultEnds(Fault),
}

impl Event {
    /// The server and the life that it belongs to, if it is of one.
    pub fn life(&self) -> Option<(u64, u64)> {
        match *self {
            Event::Round { server, life, .. }
            | Event::GroupTick { server, life, .. }
            | Event::Tick { server, life }
            | Event::KeepingDue { server, life } => Some((server, life)),
            _ => None,
        }
    }
}

/// A fault that [`Simulation::random_faults`](super::Simulation::random_faults) draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A process is killed.
    Crash(u64),
    /// A server loses power.
    PowerLoss(u64),
    /// All servers lose power at once.
    Blackout,
    /// Two servers do not hear each other.
    Cut(u64, u64),
    /// A server hears nobody, and nobody hears it.
    Isolation(u64),
    /// A process is paused.
    Pause(u64),
    /// A clock runs at another rate, in percent.
    Clock(u64, u64),
    /// A disk has no room.
    FullDisk(u64),
    /// No write or sync of a disk returns.
    HungDisk(u64),
    /// The next sync of a disk fails.
    FailedSync(u64),
    /// Not a fault, but as likely to come at a bad time: a snapshot is requested.
    Snapshot(u64),
}
