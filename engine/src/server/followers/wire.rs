//! Messages between a follower and the member that supplies it, on a channel of their own. The follower asks for each answer,
//! so a slow one is never overrun, and has to be remembered by nobody.
//!
//! ```text
//! follower                                    member
//!    | -- Follow (epoch, last of each group) -> |
//!    | <--------- Entries (what follows there)  |   when there is more, or at once if it asks so;
//!    |                                          |   or Behind, and it fetches a snapshot; or OtherChain
//!    | -- AskBarrier (number) ---------------->  |   for strong reads
//!    | <------------- Barrier (number, position) |
//! ```
//!
//! Snapshots travel on the same channel, as between members ([`Transfer`](crate::snapshot::Transfer)): their kinds are below
//! [`FIRST_KIND`]. A body starts with one byte for the kind of message; integers are little-endian.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use niagara_group::batch::check_entry;
use niagara_group::digest_mark::DigestMark;
use niagara_group::wire::MalformedMessage;
use niagara_log::LogEntry;
use niagara_net::Frame;
use niagara_sequencer::epoch::{ChainHash, Cut, Epoch};
use niagara_sequencer::{MAX_GROUPS, MAX_PLACE};

/// Number of the channel of followers, beyond those of all epochs.
pub(crate) const FEED_CHANNEL: u32 = u32::MAX;

/// The first kind of these messages.
const FIRST_KIND: u8 = 64;
const FOLLOW: u8 = 64;
const LEAVE: u8 = 65;
const ENTRIES: u8 = 66;
const BEHIND: u8 = 67;
const OTHER_CHAIN: u8 = 68;
const ASK_BARRIER: u8 = 69;
const BARRIER: u8 = 70;
const DIGESTS: u8 = 71;

/// Data from this length on goes to the socket as it is; shorter data is copied behind its head.
const SHARE_FROM: usize = 4 << 10;
/// Bytes of an entry's head.
const ENTRY_HEAD: usize = 27;

/// A message of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FeedMessage {
    /// Asks for what follows.
    Follow(Follow),
    /// Asks for nothing any more.
    Leave,
    /// Some of what follows. All of it is committed.
    Entries(Entries),
    /// What follows is not there any more. The sender has a snapshot at this cut.
    Behind {
        /// Where it cuts the global log.
        cut: Cut,
    },
    /// The sender's cluster has not gone through the epochs that the receiver has.
    OtherChain,
    /// Asks up to where everything has been executed that has been acknowledged by now.
    AskBarrier {
        /// Names the question.
        question: u64,
    },
    /// Answers that.
    Barrier {
        /// The question.
        question: u64,
        /// The position; `None` if that could not be found out.
        position: Option<u64>,
    },
    /// The sender's digests.
    Digests(Vec<DigestMark>),
}

/// What a follower has, and how much more it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Follow {
    /// The epoch that it is in; `None` if it has no state at all.
    pub epoch: Option<(Epoch, ChainHash)>,
    /// Whether an answer is due even if nothing follows yet.
    pub at_once: bool,
    /// For each group of that epoch.
    pub groups: Vec<GroupWish>,
}

/// What a follower has of a group's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupWish {
    /// Raft index of the last entry.
    pub last: u64,
    /// Bytes of further entries that it takes now. If that is not 0, one entry may exceed it.
    pub room: u32,
}

/// Committed entries of an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entries {
    pub epoch: Epoch,
    /// The position that the sender has executed.
    pub applied: u64,
    /// Each with the zero-based index of its group. Those of a group follow each other.
    pub entries: Vec<(u16, LogEntry)>,
}

/// Understands a message, and says it again.
///
/// # Errors
/// If the body is none of these messages.
pub fn encoded_again(body: &Bytes) -> Result<Frame, MalformedMessage> {
    FeedMessage::decode(body).map(|message| message.encode())
}

/// Whether a body is one of these messages, rather than one about snapshots.
pub(crate) fn is_of_feed(body: &[u8]) -> bool {
    body.first().is_some_and(|kind| *kind >= FIRST_KIND)
}

impl FeedMessage {
    /// Encodes the message as a frame. Long data is sent without a copy; what reads wait for passes it.
    pub fn encode(&self) -> Frame {
        let mut head = BytesMut::with_capacity(64);
        match self {
            FeedMessage::Follow(Follow { epoch, at_once, groups }) => {
                head.put_u8(FOLLOW);
                head.put_u32_le(epoch.map_or(0, |(epoch, _)| epoch.get()));
                head.put_u128_le(epoch.map_or(0, |(_, hash)| hash.get()));
                head.put_u8(u8::from(*at_once));
                for GroupWish { last, room } in groups {
                    head.put_u64_le(*last);
                    head.put_u32_le(*room);
                }
            }
            FeedMessage::Leave => head.put_u8(LEAVE),
            FeedMessage::Entries(entries) => return entries.encode(),
            FeedMessage::Behind { cut: Cut { epoch, round } } => {
                head.put_u8(BEHIND);
                head.put_u32_le(epoch.get());
                head.put_u64_le(*round);
            }
            FeedMessage::OtherChain => head.put_u8(OTHER_CHAIN),
            FeedMessage::AskBarrier { question } => {
                head.put_u8(ASK_BARRIER);
                head.put_u64_le(*question);
                return Frame::from(head.freeze()).urgent();
            }
            FeedMessage::Barrier { question, position } => {
                head.put_u8(BARRIER);
                head.put_u64_le(*question);
                head.put_u8(u8::from(position.is_some()));
                head.put_u64_le(position.unwrap_or(0));
                return Frame::from(head.freeze()).urgent();
            }
            FeedMessage::Digests(marks) => {
                head.put_u8(DIGESTS);
                marks.iter().for_each(|mark| mark.encode(&mut head));
            }
        }
        Frame::from(head.freeze())
    }

    /// Parses a frame's body. Entries share its buffer, and have been checked: they can be executed.
    ///
    /// # Errors
    /// If the body is none of these messages.
    pub fn decode(body: &Bytes) -> Result<FeedMessage, MalformedMessage> {
        let mut input = body.clone();
        let message = match take(&mut input, 1)?.get_u8() {
            FOLLOW => FeedMessage::Follow(Follow::decode(&mut input)?),
            LEAVE => FeedMessage::Leave,
            ENTRIES => FeedMessage::Entries(Entries::decode(&mut input)?),
            BEHIND => {
                let mut input = take(&mut input, 12)?;
                let (epoch, round) = (input.get_u32_le(), input.get_u64_le());
                if epoch == 0 || round > MAX_PLACE {
                    return Err(MalformedMessage("there is no such cut"));
                }
                FeedMessage::Behind { cut: Cut { epoch: Epoch::new(epoch), round } }
            }
            OTHER_CHAIN => FeedMessage::OtherChain,
            ASK_BARRIER => FeedMessage::AskBarrier { question: take(&mut input, 8)?.get_u64_le() },
            BARRIER => {
                let mut input = take(&mut input, 17)?;
                let (question, is_known) = (input.get_u64_le(), flag(input.get_u8())?);
                let position = input.get_u64_le();
                if !is_known && position != 0 {
                    return Err(MalformedMessage("a position is unknown, and yet there"));
                }
                FeedMessage::Barrier { question, position: is_known.then_some(position) }
            }
            DIGESTS => FeedMessage::Digests(decode_digests(&mut input)?),
            _ => return Err(MalformedMessage("unknown kind")),
        };
        if input.is_empty() { Ok(message) } else { Err(MalformedMessage("a message has the wrong length")) }
    }
}

impl Follow {
    fn decode(input: &mut Bytes) -> Result<Follow, MalformedMessage> {
        let mut head = take(input, 21)?;
        let (epoch, hash) = (head.get_u32_le(), ChainHash::new(head.get_u128_le()));
        let at_once = flag(head.get_u8())?;
        let mut groups = Vec::new();
        while !input.is_empty() {
            let mut group = take(input, 12)?;
            groups.push(GroupWish { last: group.get_u64_le(), room: group.get_u32_le() });
        }
        if groups.len() > usize::from(MAX_GROUPS) || groups.is_empty() != (epoch == 0) {
            return Err(MalformedMessage("an epoch has an impossible number of groups"));
        }
        if epoch == 0 && hash.get() != 0 {
            return Err(MalformedMessage("who is in no epoch has gone through none"));
        }
        if groups.iter().any(|group| group.last == u64::MAX) {
            return Err(MalformedMessage("nothing follows the last entry that there can be"));
        }
        let epoch = (epoch != 0).then(|| (Epoch::new(epoch), hash));
        Ok(Follow { epoch, at_once, groups })
    }
}

impl Entries {
    fn encode(&self) -> Frame {
        let mut parts = Vec::new();
        let mut out = BytesMut::with_capacity(1 << 10);
        out.put_u8(ENTRIES);
        out.put_u32_le(self.epoch.get());
        out.put_u64_le(self.applied);
        for (group, LogEntry { index, term, kind, context, data }) in &self.entries {
            out.put_u16_le(*group);
            out.put_u64_le(*index);
            out.put_u64_le(*term);
            out.put_u8(*kind);
            out.put_u32_le(context.len() as u32);
            out.put_u32_le(data.len() as u32);
            out.put_slice(context);
            if data.len() < SHARE_FROM {
                out.put_slice(data);
            } else {
                parts.push(out.split().freeze());
                parts.push(data.clone());
            }
        }
        parts.push(out.freeze());
        parts.retain(|part| !part.is_empty());
        Frame::from_parts(parts)
    }

    fn decode(input: &mut Bytes) -> Result<Entries, MalformedMessage> {
        let mut head = take(input, 12)?;
        let (epoch, applied) = (head.get_u32_le(), head.get_u64_le());
        if epoch == 0 {
            return Err(MalformedMessage("there is no such epoch"));
        }
        let mut entries = Vec::new();
        while !input.is_empty() {
            let mut head = take(input, ENTRY_HEAD)?;
            let (group, index, term) = (head.get_u16_le(), head.get_u64_le(), head.get_u64_le());
            let (kind, context, data) = (head.get_u8(), head.get_u32_le(), head.get_u32_le());
            let (context, data) = (take(input, context as usize)?, take(input, data as usize)?);
            check_entry(&context, &data, |_| ())
                .map_err(|_| MalformedMessage("an entry cannot be executed"))?;
            entries.push((group, LogEntry { index, term, kind, context, data }));
        }
        Ok(Entries { epoch: Epoch::new(epoch), applied, entries })
    }
}

fn decode_digests(input: &mut Bytes) -> Result<Vec<DigestMark>, MalformedMessage> {
    let mut marks = Vec::new();
    while !input.is_empty() && marks.len() < DigestMark::MOST {
        let mark = take(input, DigestMark::BYTES)?;
        marks.push(DigestMark::decode(&mut &mark[..]).ok_or(MalformedMessage("a digest is malformed"))?);
    }
    Ok(marks)
}

/// The next bytes, if there are so many.
fn take(input: &mut Bytes, length: usize) -> Result<Bytes, MalformedMessage> {
    if input.len() < length {
        return Err(MalformedMessage("a message is too short"));
    }
    Ok(input.split_to(length))
}

fn flag(byte: u8) -> Result<bool, MalformedMessage> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(MalformedMessage("a flag is neither 0 nor 1")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry() -> impl Strategy<Value = (u16, LogEntry)> {
        // Entries without commands, and one of an earlier release that has some.
        let context = prop_oneof![
            Just((Bytes::new(), Bytes::new())),
            (1..1000u64).prop_map(|place| {
                let mut context = vec![2];
                context.extend(place.to_le_bytes());
                (Bytes::from(context), Bytes::new())
            }),
        ];
        (0..9u16, 1..u64::MAX, any::<u64>(), any::<u8>(), context).prop_map(
            |(group, index, term, kind, (context, data))| {
                (group, LogEntry { index, term, kind, context, data })
            },
        )
    }

    fn message() -> impl Strategy<Value = FeedMessage> {
        let wish = (0..u64::MAX, any::<u32>()).prop_map(|(last, room)| GroupWish { last, room });
        let follow = (1..u32::MAX, any::<u128>(), any::<bool>(), prop::collection::vec(wish, 1..5));
        let mark = any::<(u64, u64, Option<u64>)>();
        let mark = mark.prop_map(|(position, log, state)| DigestMark { position, log, state });
        let entries = (1..u32::MAX, any::<u64>(), prop::collection::vec(entry(), 0..6));
        prop_oneof![
            follow.prop_map(|(epoch, hash, at_once, groups)| FeedMessage::Follow(Follow {
                epoch: Some((Epoch::new(epoch), ChainHash::new(hash))),
                at_once,
                groups
            })),
            any::<bool>().prop_map(|at_once| FeedMessage::Follow(Follow {
                epoch: None,
                at_once,
                groups: Vec::new()
            })),
            Just(FeedMessage::Leave),
            entries.prop_map(|(epoch, applied, entries)| {
                FeedMessage::Entries(Entries { epoch: Epoch::new(epoch), applied, entries })
            }),
            (1..u32::MAX, 0..MAX_PLACE).prop_map(|(epoch, round)| FeedMessage::Behind {
                cut: Cut { epoch: Epoch::new(epoch), round }
            }),
            Just(FeedMessage::OtherChain),
            any::<u64>().prop_map(|question| FeedMessage::AskBarrier { question }),
            any::<(u64, Option<u64>)>()
                .prop_map(|(question, position)| FeedMessage::Barrier { question, position }),
            prop::collection::vec(mark, 0..5).prop_map(FeedMessage::Digests),
        ]
    }

    fn body(message: &FeedMessage) -> Bytes {
        message.encode().parts().concat().into()
    }

    proptest! {
        #[test]
        fn messages_come_back_as_they_were(message in message()) {
            let body = body(&message);
            prop_assert!(is_of_feed(&body));
            prop_assert_eq!(FeedMessage::decode(&body), Ok(message));
        }

        #[test]
        fn cut_and_foreign_bytes_never_panic(message in message(), cut in 0usize..200, noise in prop::collection::vec(any::<u8>(), 0..80)) {
            let body = body(&message);
            let _ = FeedMessage::decode(&body.slice(..cut.min(body.len())));
            let _ = FeedMessage::decode(&noise.into());
        }
    }

    #[test]
    fn long_data_is_not_copied() {
        let data = Bytes::from(vec![7; 5 << 10]);
        let (context, data) = niagara_group::batch::encode_commands(1, &[lone(data)]);
        let entry = LogEntry { index: 3, term: 2, kind: 0, context, data: data.clone() };
        let message =
            FeedMessage::Entries(Entries { epoch: Epoch::FIRST, applied: 9, entries: vec![(1, entry)] });
        let frame = message.encode();
        assert!(frame.parts().iter().any(|part| part.as_ptr() == data.as_ptr()));
        assert_eq!(FeedMessage::decode(&body(&message)), Ok(message));
    }

    fn lone(command: Bytes) -> niagara_group::batch::SubBatch {
        let span =
            niagara_group::batch::Span { server: 1, incarnation: 1, lane: 0, first: 1, count: 1, attempt: 0 };
        niagara_group::batch::SubBatch { span, lone: true, body: command }
    }
}
