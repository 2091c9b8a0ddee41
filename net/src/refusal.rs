//! Why one server refuses another.

/// Longest text of a refusal, in bytes of UTF-8. Longer ones are cut.
pub const MAX_REFUSAL_TEXT_BYTES: usize = 256;

/// Why a connection was refused. It is sent to the other end, so that both servers' operators read the same
/// reason. In every variant `refuser` is the end that refused, and `refused` is the other end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The cluster ids differ.
    #[error(
        "the servers belong to different clusters: check the address, and the data directory it was started on"
    )]
    WrongCluster,
    /// The wire versions differ.
    #[error(
        "the refusing server speaks version {refuser} of the protocol, the refused one {refused}: \
         run the same release on both"
    )]
    WrongVersion {
        /// Version of the refusing server.
        refuser: u16,
        /// Version of the refused server.
        refused: u16,
    },
    /// The connection reached the address of another channel.
    #[error(
        "the connection is for channel {refused}, but reached channel {refuser}: \
         list every server's addresses in channel order"
    )]
    WrongChannel {
        /// Channel of the refusing server.
        refuser: u32,
        /// Channel of the refused server.
        refused: u32,
    },
    /// The refusing server has no such channel, or not at this address.
    #[error(
        "channel {channel} is not open there: it has been closed, or will be opened, or has another address"
    )]
    NotOpen {
        /// The channel that the connection is for.
        channel: u32,
    },
    /// The servers have different numbers of channels.
    #[error(
        "the refusing server has {refuser} channels, the refused one {refused}: one of them does not know the present number, \
         or its data directory was emptied; if both are new, configure the same number on every server"
    )]
    WrongChannels {
        /// Number of channels of the refusing server.
        refuser: u32,
        /// Number of channels of the refused server.
        refused: u32,
    },
    /// The server that answers at this address is not the one that was dialled.
    #[error("server {found} answered at the address of server {expected}: correct the address")]
    WrongServer {
        /// The server that was dialled.
        expected: u64,
        /// The server that answered.
        found: u64,
    },
    /// The refusing server has no such server among its peers.
    #[error("server {server} is not among the peers of the refusing server: add it there, or correct its id")]
    UnknownServer {
        /// The id in the refused server's hello.
        server: u64,
    },
    /// The wrong end dialled. Of two servers the one with the higher id dials, so that one connection joins
    /// them.
    #[error(
        "server {refused} dialled server {refuser}, and the higher id dials: check that both ids are right"
    )]
    NotYourTurn {
        /// Id of the refusing server.
        refuser: u64,
        /// Id of the refused server.
        refused: u64,
    },
    /// The [`Admission`](crate::Admission) refused, with this reason: the refused server's store is not the
    /// one that the refusing server knows under this id.
    #[error("{0}")]
    Store(String),
    /// The servers list different members of the cluster.
    #[error("{0}")]
    Members(String),
    /// The servers' applications would not execute all commands alike.
    #[error("{0}")]
    Application(String),
    /// The servers do not agree on how reads are made sure to be fresh.
    #[error("{0}")]
    Reads(String),
    /// The refused server's data was restored from a copy that is older than what the refusing server has
    /// met.
    #[error("{0}")]
    OldCopy(String),
    /// The refused server's certificate is not that of the server that it says it is, or it has none.
    #[error("{0}")]
    Certificate(String),
    /// One of the servers does not know the level that the cluster is at, or they began at different ones.
    #[error("{0}")]
    Level(String),
    /// The refusing server has as many guests as it takes.
    #[error(
        "the refusing server has {most} guests already, which is the most that it takes: ask another one"
    )]
    Full {
        /// The most guests.
        most: u64,
    },
    /// A reason that only a newer release knows.
    #[error("refused with code {code}: {text}")]
    Other {
        /// Code on the wire.
        code: u16,
        /// The refusing server's explanation.
        text: String,
    },
}

/// A refusal as numbers and text: its form on the wire, which every version must be able to read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Coded<'a> {
    pub(crate) code: u16,
    pub(crate) refuser: u64,
    pub(crate) refused: u64,
    pub(crate) text: &'a str,
}

impl Refusal {
    pub(crate) fn coded(&self) -> Coded<'_> {
        let (code, refuser, refused, text) = match self {
            Refusal::WrongCluster => (1, 0, 0, ""),
            Refusal::WrongVersion { refuser, refused } => (2, u64::from(*refuser), u64::from(*refused), ""),
            Refusal::WrongChannel { refuser, refused } => (3, u64::from(*refuser), u64::from(*refused), ""),
            Refusal::WrongChannels { refuser, refused } => (4, u64::from(*refuser), u64::from(*refused), ""),
            Refusal::WrongServer { expected, found } => (5, *expected, *found, ""),
            Refusal::UnknownServer { server } => (6, 0, *server, ""),
            Refusal::NotYourTurn { refuser, refused } => (7, *refuser, *refused, ""),
            Refusal::Store(text) => (8, 0, 0, text.as_str()),
            Refusal::Members(text) => (9, 0, 0, text.as_str()),
            Refusal::Application(text) => (10, 0, 0, text.as_str()),
            Refusal::OldCopy(text) => (11, 0, 0, text.as_str()),
            Refusal::Reads(text) => (12, 0, 0, text.as_str()),
            Refusal::NotOpen { channel } => (13, 0, u64::from(*channel), "the channel is not open"),
            Refusal::Certificate(text) => (20, 0, 0, text.as_str()),
            Refusal::Level(text) => (21, 0, 0, text.as_str()),
            Refusal::Full { most } => (22, *most, 0, "the server has as many guests as it takes"),
            Refusal::Other { code, text } => (*code, 0, 0, text.as_str()),
        };
        Coded { code, refuser, refused, text: &text[..text.floor_char_boundary(MAX_REFUSAL_TEXT_BYTES)] }
    }

    /// `None` if a number is out of its field's range, which no server sends.
    pub(crate) fn from_coded(coded: &Coded<'_>) -> Option<Refusal> {
        let &Coded { code, refuser, refused, text } = coded;
        Some(match code {
            1 => Refusal::WrongCluster,
            2 => {
                Refusal::WrongVersion { refuser: refuser.try_into().ok()?, refused: refused.try_into().ok()? }
            }
            3 => {
                Refusal::WrongChannel { refuser: refuser.try_into().ok()?, refused: refused.try_into().ok()? }
            }
            4 => Refusal::WrongChannels {
                refuser: refuser.try_into().ok()?,
                refused: refused.try_into().ok()?,
            },
            5 => Refusal::WrongServer { expected: refuser, found: refused },
            6 => Refusal::UnknownServer { server: refused },
            7 => Refusal::NotYourTurn { refuser, refused },
            8 => Refusal::Store(text.to_owned()),
            9 => Refusal::Members(text.to_owned()),
            10 => Refusal::Application(text.to_owned()),
            11 => Refusal::OldCopy(text.to_owned()),
            12 => Refusal::Reads(text.to_owned()),
            13 => Refusal::NotOpen { channel: refused.try_into().ok()? },
            20 => Refusal::Certificate(text.to_owned()),
            21 => Refusal::Level(text.to_owned()),
            22 => Refusal::Full { most: refuser },
            code => Refusal::Other { code, text: text.to_owned() },
        })
    }
}
