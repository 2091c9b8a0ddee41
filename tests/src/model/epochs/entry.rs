//! Entries of a group's log.

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Skip,
    Command(Command),
    /// A request to end the epoch, and which shape the next one shall have.
    End(usize),
}

/// A command, by who has numbered it: a server since its latest start, for one of its lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Command {
    pub server: usize,
    pub start: u8,
    pub lane: usize,
    pub number: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    pub place: u64,
    pub kind: Kind,
}
