//! Messages between servers on one group's links.
//!
//! Raft's messages have a codec of our own instead of protobuf: payloads stay [`Bytes`] from the socket that
//! they arrive on to the sockets and files that they go to, and foreign bytes meet no parser but this one. A
//! body starts with one byte for the kind of message; integers are little-endian. Consecutive entries carry
//! no index: the first one follows the message's own. An append names no receiver, so that one frame serves all
//! followers: it is for the server at the other end of the connection.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use niagara_net::Frame;
use niagara_sequencer::MAX_PLACE;
use raft::eraftpb::{Entry, EntryType, Message, MessageType};

use crate::batch::{MalformedBatch, SubBatch, data_sum, put_sub_batch_head, read_sub_batch};
use crate::digest_mark::DigestMark;

/// Payloads of at least this size go to the socket as they are. Smaller ones are copied behind their headers,
/// since another element in a vectored write costs about as much as copying this many bytes.
const SHARE_FROM: usize = 4 << 10;

const TAG_RAFT: u8 = 1;
const TAG_FORWARD: u8 = 2;
const TAG_NACK: u8 = 3;
const TAG_PAD_REQUEST: u8 = 4;
const TAG_CLAIM: u8 = 5;
const TAG_SNAPSHOT: u8 = 6;
const TAG_NOTICE: u8 = 7;
const TAG_DIGESTS: u8 = 8;
const TAG_ASK_PROMISE: u8 = 9;
const TAG_PROMISE: u8 = 10;

const FLAG_REJECT: u8 = 1;
const ENTRY_HEAD: usize = 15;

/// A message between two servers' replicas of a group.
#[derive(Clone, Debug, PartialEq)]
pub enum Wire {
    /// One of Raft's own messages.
    Raft(Box<Message>),
    /// One of Raft's appends, without entries, that announces a commit. The receiver does not acknowledge it.
    Notice(Box<Message>),
    /// Commands for the leader to append, on behalf of the sender's clients.
    Forward(SubBatch),
    /// The sender could not append forwarded commands: it does not lead, or is full.
    Nack {
        /// The lane that they came from.
        lane: u16,
        /// Attempt of the refused commands.
        attempt: u32,
    },
    /// The receiver's log ends before the sender's begins, so it needs a snapshot. The sender leads, and has
    /// one.
    Snapshot {
        /// Term of the sender.
        term: u64,
        /// Round of its snapshot.
        round: u64,
    },
    /// The sender's merge waits for this group while it holds a command at `level`.
    PadRequest {
        /// Place to pad to.
        level: u64,
    },
    /// The sender leads this group, and asks its followers to vote for nobody for a while.
    AskPromise {
        /// Term of the sender.
        term: u64,
        /// When it asked, by its own clock.
        asked: Duration,
    },
    /// The sender promises that.
    Promise {
        /// Term of the leader.
        term: u64,
        /// When the leader asked, by the leader's clock.
        asked: Duration,
    },
    /// The sender should lead this group, and is ready to.
    Claim,
    /// Digests of what the sender has executed, by rising position.
    Digests(Vec<DigestMark>),
}

/// Bytes that are not a message; says what is wrong with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed message: {0}")]
pub struct MalformedMessage(pub &'static str);

impl From<MalformedBatch> for MalformedMessage {
    fn from(error: MalformedBatch) -> Self {
        MalformedMessage(error.0)
    }
}

/// Collects a frame's parts: headers and small payloads in a scratch buffer, large payloads as they are.
struct FrameParts {
    done: Vec<Bytes>,
    scratch: BytesMut,
    /// How many bytes at the front the frame's checksum covers.
    covered: usize,
}

impl FrameParts {
    fn payload(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARE_FROM {
            self.scratch.extend_from_slice(bytes);
        } else {
            self.done.push(self.scratch.split().freeze());
            self.done.push(bytes.clone());
        }
    }

    /// Leaves what follows to the sums that the message holds.
    fn covered_up_to_here(&mut self) {
        self.covered = self.scratch.len() + self.done.iter().map(Bytes::len).sum::<usize>();
    }

    fn frame(mut self) -> Frame {
        if self.done.is_empty() {
            return Frame::with_open_end([self.scratch.freeze()], self.covered);
        }
        if !self.scratch.is_empty() {
            self.done.push(self.scratch.freeze());
        }
        Frame::with_open_end(self.done, self.covered)
    }
}

impl Wire {
    /// Encodes the message as a frame.
    pub fn encode(&self) -> Frame {
        let scratch = BytesMut::with_capacity(self.scratch_bytes());
        let mut parts = FrameParts { done: Vec::new(), scratch, covered: usize::MAX };
        match self {
            Wire::Raft(message) => encode_raft(TAG_RAFT, message, &mut parts),
            Wire::Notice(message) => encode_raft(TAG_NOTICE, message, &mut parts),
            Wire::Forward(batch) => {
                parts.scratch.put_u8(TAG_FORWARD);
                put_sub_batch_head(&mut parts.scratch, batch);
                parts.payload(&batch.body);
            }
            Wire::Nack { lane, attempt } => {
                parts.scratch.put_u8(TAG_NACK);
                parts.scratch.put_u16_le(*lane);
                parts.scratch.put_u32_le(*attempt);
            }
            Wire::Snapshot { term, round } => {
                parts.scratch.put_u8(TAG_SNAPSHOT);
                parts.scratch.put_u64_le(*term);
                parts.scratch.put_u64_le(*round);
            }
            Wire::PadRequest { level } => {
                parts.scratch.put_u8(TAG_PAD_REQUEST);
                parts.scratch.put_u64_le(*level);
            }
            Wire::AskPromise { term, asked } => {
                put_moment(TAG_ASK_PROMISE, *term, *asked, &mut parts.scratch);
            }
            Wire::Promise { term, asked } => put_moment(TAG_PROMISE, *term, *asked, &mut parts.scratch),
            Wire::Claim => parts.scratch.put_u8(TAG_CLAIM),
            Wire::Digests(marks) => {
                parts.scratch.put_u8(TAG_DIGESTS);
                marks.iter().for_each(|mark| mark.encode(&mut parts.scratch));
            }
        }
        let frame = parts.frame();
        if self.is_urgent() { frame.urgent() } else { frame }
    }

    /// Whether the message passes others on its way: what keeps a leader in office, what reads wait for, and
    /// acknowledgements. All are short, and none depends on what it passes. Appends and forwarded commands
    /// stay in their order, and a commit is announced after its entries.
    pub fn is_urgent(&self) -> bool {
        match self {
            Wire::Raft(message) => message.msg_type != MessageType::MsgAppend,
            Wire::Nack { .. }
            | Wire::Snapshot { .. }
            | Wire::PadRequest { .. }
            | Wire::AskPromise { .. }
            | Wire::Promise { .. }
            | Wire::Claim => true,
            Wire::Notice(_) | Wire::Forward(_) | Wire::Digests(_) => false,
        }
    }

    /// Parses a frame's body. Payloads share its buffer.
    pub fn decode(body: &Bytes) -> Result<Wire, MalformedMessage> {
        let mut input = Reader { body, at: 0 };
        let wire = match input.u8()? {
            TAG_RAFT => Wire::Raft(Box::new(decode_raft(&mut input)?)),
            TAG_NOTICE => match decode_raft(&mut input)? {
                message if message.msg_type == MessageType::MsgAppend && message.entries.is_empty() => {
                    Wire::Notice(Box::new(message))
                }
                _ => return Err(MalformedMessage("a notice is an append without entries")),
            },
            TAG_FORWARD => {
                let batch = read_sub_batch(&input.rest())?;
                input.at = body.len();
                Wire::Forward(batch)
            }
            TAG_NACK => Wire::Nack { lane: input.u16()?, attempt: input.u32()? },
            TAG_PAD_REQUEST => match input.u64()? {
                level @ 1..=MAX_PLACE => Wire::PadRequest { level },
                _ => return Err(MalformedMessage("there is no such place")),
            },
            TAG_SNAPSHOT => Wire::Snapshot { term: input.u64()?, round: input.u64()? },
            TAG_ASK_PROMISE => {
                Wire::AskPromise { term: input.u64()?, asked: Duration::from_nanos(input.u64()?) }
            }
            TAG_PROMISE => Wire::Promise { term: input.u64()?, asked: Duration::from_nanos(input.u64()?) },
            TAG_CLAIM => Wire::Claim,
            TAG_DIGESTS => {
                let marks = decode_digests(&input.rest())?;
                input.at = body.len();
                Wire::Digests(marks)
            }
            _ => return Err(MalformedMessage("unknown tag")),
        };
        if input.at != body.len() {
            return Err(MalformedMessage("bytes after the message"));
        }
        Ok(wire)
    }

    /// Whether a frame's body is a [`Forward`](Wire::Forward), if it is a message at all.
    pub fn is_forward(body: &[u8]) -> bool {
        body.first() == Some(&TAG_FORWARD)
    }

    /// Type of the Raft message in a frame's body; `None` if it is something else.
    pub fn raft_type(body: &[u8]) -> Option<MessageType> {
        match body {
            [TAG_RAFT, code, ..] => type_of(*code).ok(),
            _ => None,
        }
    }

    /// Approximate size on the wire, and in memory until then, in bytes.
    pub fn bytes(&self) -> usize {
        let large = |bytes: &Bytes| if bytes.len() < SHARE_FROM { 0 } else { bytes.len() };
        let shared = match self {
            Wire::Raft(message) => message.entries.iter().map(|entry| large(&entry.data)).sum(),
            Wire::Forward(batch) => large(&batch.body),
            _ => 0,
        };
        self.scratch_bytes() + shared
    }

    fn scratch_bytes(&self) -> usize {
        let small = |bytes: &Bytes| if bytes.len() < SHARE_FROM { bytes.len() } else { 0 };
        match self {
            Wire::Raft(message) | Wire::Notice(message) => {
                let entry = |entry: &Entry| ENTRY_HEAD + entry.context.len() + small(&entry.data);
                128 + message.context.len() + message.entries.iter().map(entry).sum::<usize>()
            }
            Wire::Forward(batch) => 64 + small(&batch.body),
            Wire::Digests(marks) => 1 + marks.len() * DigestMark::BYTES,
            Wire::Nack { .. }
            | Wire::PadRequest { .. }
            | Wire::Snapshot { .. }
            | Wire::AskPromise { .. }
            | Wire::Promise { .. }
            | Wire::Claim => 24,
        }
    }
}

fn put_moment(tag: u8, term: u64, moment: Duration, out: &mut BytesMut) {
    out.put_u8(tag);
    out.put_u64_le(term);
    out.put_u64_le(moment.as_nanos() as u64);
}

/// Code of a type that may cross the network in Raft's form. The other types are a replica's own business,
/// and a snapshot travels as [`Wire::Snapshot`].
fn type_code(kind: MessageType) -> Option<u8> {
    let code = match kind {
        MessageType::MsgAppend => 1,
        MessageType::MsgAppendResponse => 2,
        MessageType::MsgRequestVote => 3,
        MessageType::MsgRequestVoteResponse => 4,
        MessageType::MsgHeartbeat => 5,
        MessageType::MsgHeartbeatResponse => 6,
        MessageType::MsgTimeoutNow => 7,
        MessageType::MsgReadIndex => 8,
        MessageType::MsgReadIndexResp => 9,
        MessageType::MsgRequestPreVote => 10,
        MessageType::MsgRequestPreVoteResponse => 11,
        _ => return None,
    };
    Some(code)
}

fn type_of(code: u8) -> Result<MessageType, MalformedMessage> {
    Ok(match code {
        1 => MessageType::MsgAppend,
        2 => MessageType::MsgAppendResponse,
        3 => MessageType::MsgRequestVote,
        4 => MessageType::MsgRequestVoteResponse,
        5 => MessageType::MsgHeartbeat,
        6 => MessageType::MsgHeartbeatResponse,
        7 => MessageType::MsgTimeoutNow,
        8 => MessageType::MsgReadIndex,
        9 => MessageType::MsgReadIndexResp,
        10 => MessageType::MsgRequestPreVote,
        11 => MessageType::MsgRequestPreVoteResponse,
        _ => return Err(MalformedMessage("unknown type of Raft message")),
    })
}

/// Whether one of Raft's messages may leave this server in that form.
pub fn crosses_the_network(kind: MessageType) -> bool {
    type_code(kind).is_some()
}

fn encode_raft(tag: u8, message: &Message, parts: &mut FrameParts) {
    let out = &mut parts.scratch;
    out.put_u8(tag);
    out.put_u8(type_code(message.msg_type).expect("the driver sends only what crosses the network"));
    out.put_u8(if message.reject { FLAG_REJECT } else { 0 });
    let to = if message.msg_type == MessageType::MsgAppend { 0 } else { message.to };
    for number in [
        to,
        message.from,
        message.term,
        message.log_term,
        message.index,
        message.commit,
        message.commit_term,
        message.reject_hint,
        message.request_snapshot,
    ] {
        out.put_u64_le(number);
    }
    out.put_i64_le(message.priority);
    out.put_u16_le(u16::try_from(message.context.len()).expect("contexts of messages are a few bytes"));
    out.extend_from_slice(&message.context);
    out.put_u32_le(message.entries.len() as u32);
    for entry in &message.entries {
        out.put_u64_le(entry.term);
        out.put_u8(entry.entry_type as u8);
        out.put_u16_le(u16::try_from(entry.context.len()).expect("the driver bounds sub-batches per entry"));
        out.put_u32_le(u32::try_from(entry.data.len()).expect("config bounds an entry far below 4 GiB"));
        out.extend_from_slice(&entry.context);
    }
    // The receiver compares each entry's data with its sum. Entries of an older release have none.
    if message.entries.iter().all(|entry| entry.data.is_empty() || data_sum(&entry.context).is_some()) {
        parts.covered_up_to_here();
    }
    for entry in &message.entries {
        parts.payload(&entry.data);
    }
}

fn decode_raft(input: &mut Reader<'_>) -> Result<Message, MalformedMessage> {
    let mut message = Message { msg_type: type_of(input.u8()?)?, ..Message::default() };
    message.reject = match input.u8()? {
        0 => false,
        FLAG_REJECT => true,
        _ => return Err(MalformedMessage("unknown flags")),
    };
    message.to = input.u64()?;
    if message.msg_type == MessageType::MsgAppend && message.to != 0 {
        return Err(MalformedMessage("an append names its receiver"));
    }
    message.from = input.u64()?;
    message.term = input.u64()?;
    message.log_term = input.u64()?;
    message.index = input.u64()?;
    message.commit = input.u64()?;
    message.commit_term = input.u64()?;
    message.reject_hint = input.u64()?;
    message.request_snapshot = input.u64()?;
    message.priority = input.u64()? as i64;
    let context = input.u16()?;
    message.context = input.bytes(usize::from(context))?;
    let count = input.u32()? as usize;
    if count > input.rest().len() / ENTRY_HEAD {
        return Err(MalformedMessage("more entries than bytes"));
    }
    if message.index.checked_add(count as u64).is_none() {
        return Err(MalformedMessage("index out of range"));
    }
    // In other messages, the index says nothing about the entries (a read's context travels as an entry).
    let consecutive = message.msg_type == MessageType::MsgAppend;
    let mut entries = Vec::with_capacity(count);
    let mut lengths = Vec::with_capacity(count);
    for place in 1..=count as u64 {
        let term = input.u64()?;
        let entry_type = match input.u8()? {
            0 => EntryType::EntryNormal,
            1 => EntryType::EntryConfChange,
            2 => EntryType::EntryConfChangeV2,
            _ => return Err(MalformedMessage("unknown type of entry")),
        };
        let context = input.u16()?;
        lengths.push(input.u32()? as usize);
        let context = input.bytes(usize::from(context))?;
        let index = if consecutive { message.index + place } else { 0 };
        entries.push(Entry { term, entry_type, index, context, ..Entry::default() });
    }
    for (entry, length) in entries.iter_mut().zip(lengths) {
        entry.data = input.bytes(length)?;
    }
    message.entries = entries.into();
    Ok(message)
}

fn decode_digests(mut rest: &[u8]) -> Result<Vec<DigestMark>, MalformedMessage> {
    if rest.len() > DigestMark::MOST * DigestMark::BYTES {
        return Err(MalformedMessage("more digests than any server keeps"));
    }
    let mut marks: Vec<DigestMark> = Vec::with_capacity(rest.len() / DigestMark::BYTES);
    while !rest.is_empty() {
        let mark = DigestMark::decode(&mut rest).ok_or(MalformedMessage("a digest is cut short"))?;
        if mark.position <= marks.last().map_or(0, |before| before.position) {
            return Err(MalformedMessage("digests are out of order"));
        }
        marks.push(mark);
    }
    Ok(marks)
}

struct Reader<'a> {
    body: &'a Bytes,
    at: usize,
}

impl Reader<'_> {
    fn bytes(&mut self, length: usize) -> Result<Bytes, MalformedMessage> {
        if length > self.body.len() - self.at {
            return Err(MalformedMessage("message ends too early"));
        }
        let bytes = if length == 0 { Bytes::new() } else { self.body.slice(self.at..self.at + length) };
        self.at += length;
        Ok(bytes)
    }

    fn rest(&self) -> Bytes {
        self.body.slice(self.at..)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], MalformedMessage> {
        let bytes = self.body.get(self.at..self.at + N).ok_or(MalformedMessage("message ends too early"))?;
        self.at += N;
        Ok(bytes.try_into().expect("the slice has this length"))
    }

    fn u8(&mut self) -> Result<u8, MalformedMessage> {
        Ok(self.array::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16, MalformedMessage> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, MalformedMessage> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, MalformedMessage> {
        Ok(u64::from_le_bytes(self.array()?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::batch::{Span, encode_commands, encode_skip};

    fn joined(frame: &Frame) -> Bytes {
        frame
            .parts()
            .iter()
            .fold(BytesMut::new(), |mut all, part| {
                all.extend_from_slice(part);
                all
            })
            .freeze()
    }

    /// As it arrives: it names no receiver.
    fn append(index: u64, payloads: &[Vec<u8>]) -> Wire {
        let entry = |(i, data): (usize, &Vec<u8>)| Entry {
            term: 7 + i as u64,
            index: index + 1 + i as u64,
            data: data.clone().into(),
            context: Bytes::from(vec![1; i % 50]),
            ..Entry::default()
        };
        Wire::Raft(Box::new(Message {
            msg_type: MessageType::MsgAppend,
            to: 0,
            from: 1,
            term: 9,
            log_term: 8,
            index,
            commit: 3,
            entries: payloads.iter().enumerate().map(entry).collect::<Vec<_>>().into(),
            ..Message::default()
        }))
    }

    proptest! {
        #[test]
        #[cfg_attr(miri, ignore = "takes too long")]
        fn appends_come_back_as_they_were(index in 0u64..1 << 40, payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9000), 0..6)) {
            let wire = append(index, &payloads);
            prop_assert_eq!(Wire::decode(&joined(&wire.encode())).unwrap(), wire);
        }

        #[test]
        fn cut_or_changed_bytes_never_panic(cut in 0usize..400, at in 0usize..400, to in any::<u8>()) {
            let whole = joined(&append(5, &[vec![1; 100], vec![2; 100]]).encode());
            let _ = Wire::decode(&whole.slice(..cut.min(whole.len())));
            let mut changed = whole.to_vec();
            let at = at % changed.len();
            changed[at] = to;
            let _ = Wire::decode(&changed.into());
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Wire::decode(&bytes.into());
        }
    }

    #[test]
    fn large_payloads_are_shared_both_ways() {
        let wire = append(1, &[vec![3; SHARE_FROM]]);
        let Wire::Raft(message) = &wire else { unreachable!() };
        let frame = wire.encode();
        assert!(frame.parts().iter().any(|part| part.as_ptr() == message.entries[0].data.as_ptr()));
        let body = joined(&frame);
        let Wire::Raft(back) = Wire::decode(&body).unwrap() else { unreachable!() };
        assert!(body.as_ptr_range().contains(&back.entries[0].data.as_ptr()));
    }

    /// The frame leaves data to sums that it covers, and covers data of entries that have none.
    #[test]
    fn only_summed_data_is_left_to_its_sum() {
        let span = Span { server: 2, incarnation: 1, lane: 0, attempt: 0, first: 1, count: 1 };
        let commands = |bytes| {
            let body = Bytes::from(vec![5; bytes]);
            let (context, data) = encode_commands(7, &[SubBatch { span, lone: true, body }]);
            Entry { term: 7, context, data, ..Entry::default() }
        };
        let frame = |entries: Vec<Entry>| {
            let message =
                Message { msg_type: MessageType::MsgAppend, entries: entries.into(), ..Message::default() };
            Wire::Raft(Box::new(message)).encode()
        };
        let skip = Entry { context: encode_skip(9), ..Entry::default() };
        let old = Entry {
            context: Bytes::from_static(&[1; 49]),
            data: Bytes::from_static(b"old"),
            ..Entry::default()
        };
        for bytes in [1, SHARE_FROM] {
            let length = |frame: &Frame| frame.slices().map(<[u8]>::len).sum::<usize>();
            let new = frame(vec![commands(bytes), skip.clone()]);
            assert!(new.has_open_end());
            assert_eq!(length(&new), new.len() + 12);
            assert!(!frame(vec![commands(bytes), old.clone()]).has_open_end());
        }
        assert!(!frame(vec![skip]).has_open_end());
        assert!(
            !Wire::Forward(SubBatch { span, lone: true, body: Bytes::from_static(b"x") })
                .encode()
                .has_open_end()
        );
    }

    /// Without entries, nothing follows the message's own index.
    #[test]
    fn the_greatest_index_comes_back_and_nothing_follows_it() {
        let wire = append(u64::MAX, &[]);
        assert_eq!(Wire::decode(&joined(&wire.encode())), Ok(wire));
        let mut beyond = joined(&append(1, &[vec![1]]).encode()).to_vec();
        beyond[3 + 4 * 8..][..8].fill(0xff);
        assert_eq!(Wire::decode(&beyond.into()), Err(MalformedMessage("index out of range")));
    }

    #[test]
    fn small_messages_come_back() {
        let snapshot = Wire::Snapshot { term: 3, round: 4 };
        let mark = |position, state| DigestMark { position, log: 7, state };
        let digests = Wire::Digests(vec![mark(1, None), mark(9, Some(0))]);
        let pad = Wire::PadRequest { level: MAX_PLACE };
        let ask = Wire::AskPromise { term: 5, asked: Duration::new(6, 7) };
        let promise = Wire::Promise { term: 5, asked: Duration::from_nanos(u64::MAX) };
        for wire in [Wire::Nack { lane: 2, attempt: 3 }, pad, Wire::Claim, snapshot, digests, ask, promise] {
            assert_eq!(Wire::decode(&joined(&wire.encode())).unwrap(), wire);
        }
    }
}
