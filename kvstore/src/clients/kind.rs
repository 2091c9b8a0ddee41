//! Kinds of clients, as Redis knows them.

/// What kind of client it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    /// It subscribes to something.
    Subscriber,
    /// A server of Redis. None of these connects here.
    Server,
}

impl Kind {
    /// The kind of this name, in any case.
    pub(crate) fn named(name: &[u8]) -> Option<Kind> {
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        if is("normal") {
            Some(Kind::Normal)
        } else if is("pubsub") {
            Some(Kind::Subscriber)
        } else {
            ["master", "replica", "slave"].into_iter().any(is).then_some(Kind::Server)
        }
    }
}
