//! What can go wrong in a simulation, and when.

use std::fmt;

use super::aim::Aim;
use super::disk::Loss;
use super::messages::MessageKind;
use super::network::{MS, Micros};

/// A fault and when it strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// In microseconds of virtual time.
    pub at: Micros,
    /// The fault.
    pub fault: Fault,
}

/// What can go wrong. Times are in microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "what the fields are is said with what goes wrong")]
pub enum Fault {
    /// The process is killed, and restarts after a while.
    Kill { server: u64, down: Micros },
    /// The server stops cleanly; then the power may fail, and takes nothing.
    Stop { server: u64, power: bool, down: Micros },
    /// The power fails, and what was not synced is lost or torn.
    PowerLoss { server: u64, down: Micros },
    /// The power of all servers fails at once.
    AllPowerLost { down: Micros },
    /// The process ends in the middle of a write, after so many other changes of the disk.
    DieInWrite { server: u64, changes: u64, power: Power, down: Micros },
    /// The process ends at a step in which the server uses its disk, or right after it.
    DieAt { server: u64, aim: Aim, after: bool, power: Power, down: Micros },
    /// The server hands over all that it leads, and claims nothing for a while.
    Drain { server: u64, lasts: Micros },
    /// The process is paused, and resumes as if nothing had happened.
    Pause { server: u64, lasts: Micros },
    /// Everything that the server does takes so many times as long.
    SlowServer { server: u64, factor: u64, lasts: Micros },
    /// Syncs take so many times as long.
    SlowDisk { server: u64, factor: u64, lasts: Micros },
    /// Writes and syncs return only when this ends.
    HungDisk { server: u64, lasts: Micros },
    /// The state machine takes so long for each stretch that nothing is executed meanwhile.
    HungApplication { server: u64, lasts: Micros },
    /// The thread of a group (by zero-based index) gets no turn, while the others of its server do.
    HungGroup { server: u64, group: usize, lasts: Micros },
    /// The disk has less room than the reserve: the server accepts no commands.
    DiskNearlyFull { server: u64, lasts: Micros },
    /// The disk has no room: writes wait until there is some.
    DiskFull { server: u64, lasts: Micros },
    /// The next sync fails, or the next of this kind: the process ends, if it relied on that.
    SyncFails { server: u64, aim: Option<Aim>, power: Power, down: Micros },
    /// There is no room for snapshots, though there is for logs.
    NoRoomForSnapshots { server: u64, lasts: Micros },
    /// A bit of a record, or of the newest snapshot, is flipped while the server is down: it must not start
    /// before the bit is flipped back.
    FlipBit { server: u64, down: Micros },
    /// A part of a server's directory is lost while it is down: it must not start before the part is put
    /// back.
    Lose { server: u64, loss: Loss, down: Micros },
    /// A server's directory is copied, and the copy is put back after a while in which the server started
    /// again: whoever has met the later start must refuse it, and then it must not start before the right
    /// directory is put back.
    OldCopy { server: u64, down: Micros, lasts: Micros },
    /// A server is started with another list of members: it must not start, and others must not admit it.
    OtherMembers { server: u64, down: Micros },
    /// Two servers do not hear each other.
    CutPair { a: u64, b: u64, lasts: Micros },
    /// One server does not hear the other.
    CutOneWay { from: u64, to: u64, lasts: Micros },
    /// A server hears nobody, and nobody hears it.
    CutServer { server: u64, lasts: Micros },
    /// Something on the way closes all connections of a server, in the name of both ends, and lets nothing
    /// through for a while: to the others it looks as if its process had ended.
    Reset { server: u64, lasts: Micros },
    /// Two servers do not hear each other in one group (by zero-based index); the other groups' links work.
    CutGroup { a: u64, b: u64, group: usize, lasts: Micros },
    /// Messages between two servers take longer.
    SlowLink { a: u64, b: u64, more: Micros, lasts: Micros },
    /// A server's links take no more than so many bytes a second, each of them and in both directions.
    ThinLinks { server: u64, bytes_per_second: u64, lasts: Micros },
    /// A server hears nobody and nobody hears it for a while, again and again.
    Flapping { server: u64, each: Micros, lasts: Micros },
    /// All messages of one kind are lost, from all servers or from one.
    LoseMessages { from: Option<u64>, kind: MessageKind, lasts: Micros },
    /// Somebody asks for another number of groups, through this server or, if it does not take it, another one.
    Groups { server: u64, groups: u16 },
    /// Somebody asks for the newest level, likewise.
    Level { server: u64 },
    /// Somebody asks for other members, likewise: that one leaves, or else the next one that is a member, and a new one comes,
    /// which ends once, so long after it has joined.
    Members { server: u64, leaves: Option<u64>, comes: Option<u64>, dies: Option<Micros> },
    /// The server's disk is lost for good as soon as the others can do without it. So it never comes back, and has to be removed.
    LoseDisk { server: u64 },
    /// The follower's process ends, with its power or not.
    FollowerDies { power: bool, down: Micros },
    /// The follower reaches nobody.
    CutFollower { lasts: Micros },
}

/// What the power does when a process has ended, or a sync has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// It stays on.
    Stays,
    /// It fails at the same moment.
    Fails,
    /// It fails so many microseconds later, when the next process may have relied on what it found.
    FailsLater(Micros),
}

impl Fault {
    /// Whether it affects a server's disk, or ends its process, which forgets everything if it has no disk.
    pub fn needs_disk(&self) -> bool {
        match self {
            Fault::Pause { .. }
            | Fault::Drain { .. }
            | Fault::SlowServer { .. }
            | Fault::HungApplication { .. }
            | Fault::HungGroup { .. }
            | Fault::CutPair { .. }
            | Fault::CutOneWay { .. }
            | Fault::CutServer { .. }
            | Fault::Reset { .. }
            | Fault::CutGroup { .. }
            | Fault::SlowLink { .. }
            | Fault::ThinLinks { .. }
            | Fault::Flapping { .. }
            | Fault::LoseMessages { .. }
            | Fault::Groups { .. }
            | Fault::Level { .. }
            | Fault::Members { .. }
            | Fault::CutFollower { .. } => false,
            Fault::Kill { .. }
            | Fault::Stop { .. }
            | Fault::PowerLoss { .. }
            | Fault::AllPowerLost { .. }
            | Fault::DieInWrite { .. }
            | Fault::DieAt { .. }
            | Fault::SlowDisk { .. }
            | Fault::HungDisk { .. }
            | Fault::DiskNearlyFull { .. }
            | Fault::DiskFull { .. }
            | Fault::SyncFails { .. }
            | Fault::NoRoomForSnapshots { .. }
            | Fault::FlipBit { .. }
            | Fault::Lose { .. }
            | Fault::OldCopy { .. }
            | Fault::OtherMembers { .. }
            | Fault::LoseDisk { .. }
            | Fault::FollowerDies { .. } => true,
        }
    }

    /// Whether it is checked by starts that a removal of the server would prevent.
    pub fn is_of_fixed_members(&self) -> bool {
        matches!(self, Fault::Lose { .. } | Fault::OldCopy { .. } | Fault::OtherMembers { .. })
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>5} ms  {:?}", self.at / MS, self.fault)
    }
}
