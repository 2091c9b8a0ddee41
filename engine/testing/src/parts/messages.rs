//! Kinds of messages between servers, so that all of one kind can be lost for a while.
//!
//! Each message is resent in some way, or another replaces it. Losing some at random hardly tests that: the
//! next one of the kind arrives a moment later.

use bytes::Bytes;
use niagara_group::wire::Wire;
use raft::eraftpb::MessageType;

/// A kind of message, by the name of its loss in the coverage table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageKind(pub &'static str);

const VOTE: MessageKind = MessageKind("requests for votes lost");
const VOTED: MessageKind = MessageKind("votes lost");
const HEARTBEAT: MessageKind = MessageKind("heartbeats lost");
const HEARD: MessageKind = MessageKind("answers to heartbeats lost");
const HAND_OVER: MessageKind = MessageKind("hand-overs lost");
const READ: MessageKind = MessageKind("questions for reads lost");
const READABLE: MessageKind = MessageKind("answers for reads lost");
const NOTICE: MessageKind = MessageKind("notices lost");
const FORWARD: MessageKind = MessageKind("forwarded commands lost");
const NACK: MessageKind = MessageKind("nacks lost");
const SNAPSHOT: MessageKind = MessageKind("offers of snapshots lost");
const PAD_REQUEST: MessageKind = MessageKind("pad requests lost");
const CLAIM: MessageKind = MessageKind("claims lost");
const DIGESTS: MessageKind = MessageKind("digests lost");

/// When messages of a kind are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// All the time.
    Always,
    /// When leaders change.
    Change,
    /// When a server lags too far behind for the logs.
    Lag,
}

impl MessageKind {
    /// Appends.
    pub const APPEND: MessageKind = MessageKind("appends lost");
    /// Answers to appends.
    pub const APPENDED: MessageKind = MessageKind("answers to appends lost");

    /// When messages of this kind are sent.
    pub fn occasion(self) -> Occasion {
        match self {
            VOTE | VOTED | HAND_OVER | CLAIM | NACK => Occasion::Change,
            SNAPSHOT => Occasion::Lag,
            _ => Occasion::Always,
        }
    }

    /// Whether a leader learns from it that its sender takes it for the leader.
    pub fn is_answer(self) -> bool {
        matches!(self, HEARD | Self::APPENDED)
    }

    /// All kinds.
    pub const ALL: &[MessageKind] = &[
        Self::APPEND,
        Self::APPENDED,
        VOTE,
        VOTED,
        HEARTBEAT,
        HEARD,
        HAND_OVER,
        READ,
        READABLE,
        NOTICE,
        FORWARD,
        NACK,
        SNAPSHOT,
        PAD_REQUEST,
        CLAIM,
        DIGESTS,
    ];

    /// The kind of a message on a group's link; `None` for what raft-rs does not send here.
    pub fn of(body: &Bytes) -> Option<MessageKind> {
        Some(match Wire::decode(body).ok()? {
            Wire::Raft(message) => match message.msg_type {
                MessageType::MsgAppend => Self::APPEND,
                MessageType::MsgAppendResponse => Self::APPENDED,
                MessageType::MsgRequestVote | MessageType::MsgRequestPreVote => VOTE,
                MessageType::MsgRequestVoteResponse | MessageType::MsgRequestPreVoteResponse => VOTED,
                MessageType::MsgHeartbeat => HEARTBEAT,
                MessageType::MsgHeartbeatResponse => HEARD,
                MessageType::MsgTimeoutNow => HAND_OVER,
                MessageType::MsgReadIndex => READ,
                MessageType::MsgReadIndexResp => READABLE,
                _ => return None,
            },
            Wire::Notice(_) => NOTICE,
            Wire::Forward(_) => FORWARD,
            Wire::Nack { .. } => NACK,
            Wire::Snapshot { .. } => SNAPSHOT,
            Wire::PadRequest { .. } => PAD_REQUEST,
            Wire::AskPromise { .. } => HEARTBEAT,
            Wire::Promise { .. } => HEARD,
            Wire::Claim => CLAIM,
            Wire::Digests(_) => DIGESTS,
        })
    }
}
