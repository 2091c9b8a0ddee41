//! What is asked of a server, and what becomes of it.

use niagara_engine::{Consistency, Refused};

/// A kind of operation, as reports count them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Write,
    Read,
    Increment,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Write, Kind::Read, Kind::Increment];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Write => "write",
            Kind::Read => "read",
            Kind::Increment => "increment",
        }
    }
}

/// What to do to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// Set it to the operation's value.
    Set,
    /// Look at it.
    Get(Consistency),
    /// Add one.
    Increment,
}

impl Verb {
    pub fn kind(self) -> Kind {
        match self {
            Verb::Set => Kind::Write,
            Verb::Get(_) => Kind::Read,
            Verb::Increment => Kind::Increment,
        }
    }
}

/// One operation. A thread has one of these, which it fills again and again.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub verb: Verb,
    pub key: Vec<u8>,
    /// Of a set.
    pub value: Vec<u8>,
}

impl Operation {
    pub fn new() -> Operation {
        Operation { verb: Verb::Set, key: Vec::new(), value: Vec::new() }
    }
}

/// What became of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome<'a> {
    /// Done.
    Done(Done<'a>),
    /// Not done, or nobody knows; with what the server said about it, if it did.
    Failed(Trouble, &'a [u8]),
}

/// What a server answers to an operation that it has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Done<'a> {
    /// The position of a write, or how far the server was at a read; 0 if the protocol does not say.
    pub position: u64,
    /// What a read has found.
    pub value: Option<&'a [u8]>,
}

/// Why an operation was not done, as far as its client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    /// The connection broke while it was in flight.
    Lost,
    /// No answer in time.
    Timeout,
    /// The server says that it does not know.
    Unknown,
    /// `WAIT` has not heard of enough replicas.
    NotReplicated,
    /// What came is no reply of the protocol.
    Malformed,
    /// Too much waits on the server already.
    Overloaded,
    /// The server has no leader or no quorum.
    NoQuorum,
    /// The server is stopping, full, or serves no writes.
    Refused,
    /// The server does not take such a request.
    Rejected,
    /// No connection could be opened.
    Unreachable,
}

impl Trouble {
    pub const ALL: [Trouble; 10] = [
        Trouble::Lost,
        Trouble::Timeout,
        Trouble::Unknown,
        Trouble::NotReplicated,
        Trouble::Malformed,
        Trouble::Overloaded,
        Trouble::NoQuorum,
        Trouble::Refused,
        Trouble::Rejected,
        Trouble::Unreachable,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Trouble::Lost => "lost",
            Trouble::Timeout => "timeout",
            Trouble::Unknown => "unknown",
            Trouble::NotReplicated => "not_replicated",
            Trouble::Malformed => "malformed",
            Trouble::Overloaded => "overloaded",
            Trouble::NoQuorum => "no_quorum",
            Trouble::Refused => "refused",
            Trouble::Rejected => "rejected",
            Trouble::Unreachable => "unreachable",
        }
    }

    /// What it means, for the table.
    pub fn meaning(self) -> &'static str {
        match self {
            Trouble::Lost => "the connection broke first: the outcome is unknown",
            Trouble::Timeout => "no answer in time: the outcome is unknown",
            Trouble::Unknown => "the server does not know the outcome",
            Trouble::NotReplicated => "done, but not on as many replicas in time as --wait asks for",
            Trouble::Malformed => "the answer is not a valid reply of the protocol: the outcome is unknown",
            Trouble::Overloaded => "too much waited on the server: no effect",
            Trouble::NoQuorum => "the server had no leader or quorum: no effect",
            Trouble::Refused => "the server was stopping, full or read-only: no effect",
            Trouble::Rejected => "the server does not take such a request: no effect",
            Trouble::Unreachable => "attempts to connect that failed; no operations",
        }
    }

    /// By its name in reports.
    pub fn named(name: &str) -> Option<Trouble> {
        Trouble::ALL.into_iter().find(|trouble| trouble.name() == name)
    }

    /// Whether a write may have been executed, or may be yet.
    pub fn is_unknown(self) -> bool {
        matches!(
            self,
            Trouble::Lost | Trouble::Timeout | Trouble::Unknown | Trouble::NotReplicated | Trouble::Malformed
        )
    }

    /// Whether another server is likely to do better.
    pub fn is_local(self) -> bool {
        matches!(self, Trouble::NoQuorum | Trouble::Refused)
    }

    /// A command that an engine did not take.
    pub fn of(refused: Refused) -> Trouble {
        match refused {
            Refused::Overloaded => Trouble::Overloaded,
            Refused::NoLeader => Trouble::NoQuorum,
            Refused::TooLarge { .. } | Refused::NotACommand(_) => Trouble::Rejected,
            _ => Trouble::Refused,
        }
    }
}
