//! What travels inside a Raft entry: commands in sub-batches, or a skip.
//!
//! An entry's *context* describes it and its *data* holds the commands, so the bytes of a command never move
//! to make room for a header.
//!
//! ```text
//! context  2 u8 (a skip) | slot u64
//!          3 u8 (commands) | slot u64 | CRC-32 (IEEE) of the data u32 | per sub-batch: 40-byte header
//!          1 u8 (commands of an older release, without a sum) | slot u64 | per sub-batch: 40-byte header
//!          4 u8 (the end of an epoch) | slot u64
//! header   server u64 | incarnation u64 | first u64 | count u32 | bytes u32 | attempt u32 | lane u16 | framing u8 | 0 u8
//! data     the bodies of the sub-batches, one after the other
//! body     framing 0: per command a LEB128 length and its bytes; framing 1: one command, whole
//! ```
//!
//! Integers are little-endian. Raft's own entries have an empty context: they fill no slot.
//!
//! The *sum* of the data is made once, where a leader cuts the entry. A server that receives the entry compares the
//! two before anything else looks at it. Whoever needs a checksum of the data later takes the sum.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use niagara_sequencer::MAX_PLACE;

use crate::epoch_end::{self, decode_end, is_end};
use crate::planted::{self, Bug};

const KIND_COMMANDS_WITHOUT_SUM: u8 = 1;
const KIND_SKIP: u8 = 2;
const KIND_COMMANDS: u8 = 3;
const CONTEXT_HEAD: usize = 9;
const SUM_BYTES: usize = 4;
/// Length of a sub-batch's header, in bytes.
pub const SUB_BATCH_HEAD: usize = 40;

/// Commands of at least this many bytes travel in a sub-batch of their own, in the buffer in which they
/// arrived. Copying a smaller one costs less than the bookkeeping of another buffer.
pub const LONE_COMMAND_BYTES: usize = 32 << 10;

/// The most bytes of small commands, lengths included, that enter a lane's queue as one piece.
pub const MOST_PIECE_BYTES: usize = 128 << 10;

/// Identifies the commands of a sub-batch: their lane, and their numbers in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Server that received the commands from its clients.
    pub server: u64,
    /// Incarnation of that server; each start raises it.
    pub incarnation: u64,
    /// The lane, as a zero-based group index.
    pub lane: u16,
    /// How often the lane had been resent when this sub-batch was sent.
    pub attempt: u32,
    /// Number of the first command, from 1.
    pub first: u64,
    /// Number of commands, at least 1.
    pub count: u32,
}

/// Consecutive commands of one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubBatch {
    /// Their lane and numbers.
    pub span: Span,
    /// Whether `body` is one command, without a length in front.
    pub lone: bool,
    /// The commands, in the framing that `lone` selects.
    pub body: Bytes,
}

/// What an entry means to the global log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryFill {
    /// One of Raft's own entries: fills no slot.
    Nothing,
    /// Commands, or the end of an epoch, in the slot of this place.
    Commands {
        /// Place p of the slot (p, r).
        place: u64,
    },
    /// No-ops up to this place.
    Skip {
        /// Last place that the entry fills.
        place: u64,
    },
}

/// Bytes that this module did not write; says what is wrong with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed batch: {0}")]
pub struct MalformedBatch(pub &'static str);

impl EntryFill {
    /// Parses the fixed part of an entry's context.
    pub fn of(context: &[u8]) -> Result<EntryFill, MalformedBatch> {
        if context.is_empty() {
            return Ok(EntryFill::Nothing);
        }
        if context.len() < CONTEXT_HEAD {
            return Err(MalformedBatch("context is too short"));
        }
        let place = read_u64(context, 1);
        if !(1..=MAX_PLACE).contains(&place) {
            return Err(MalformedBatch("there is no such place"));
        }
        match context[0] {
            KIND_COMMANDS | KIND_COMMANDS_WITHOUT_SUM | epoch_end::KIND => Ok(EntryFill::Commands { place }),
            KIND_SKIP => Ok(EntryFill::Skip { place }),
            _ => Err(MalformedBatch("unknown kind of entry")),
        }
    }
}

impl EntryFill {
    /// Last place that the entry fills; `None` for Raft's own.
    pub fn place(&self) -> Option<u64> {
        match *self {
            EntryFill::Nothing => None,
            EntryFill::Commands { place } | EntryFill::Skip { place } => Some(place),
        }
    }
}

/// Context of a skip up to `place`.
pub fn encode_skip(place: u64) -> Bytes {
    let mut context = BytesMut::with_capacity(CONTEXT_HEAD);
    context.put_u8(KIND_SKIP);
    context.put_u64_le(place);
    context.freeze()
}

/// Context and data of an entry that holds `batches` in the slot of `place`. A single body is used as it is;
/// several are joined.
pub fn encode_commands(place: u64, batches: &[SubBatch]) -> (Bytes, Bytes) {
    let data = match batches {
        [only] => only.body.clone(),
        _ => {
            let mut data = BytesMut::with_capacity(batches.iter().map(|batch| batch.body.len()).sum());
            for batch in batches {
                data.extend_from_slice(&batch.body);
            }
            data.freeze()
        }
    };
    let summed = if planted::is(Bug::FirstBodySummed) { &batches[0].body } else { &data };
    let mut context = BytesMut::with_capacity(CONTEXT_HEAD + SUM_BYTES + batches.len() * SUB_BATCH_HEAD);
    context.put_u8(KIND_COMMANDS);
    context.put_u64_le(place);
    context.put_u32_le(crc32fast::hash(summed));
    for batch in batches {
        put_sub_batch_head(&mut context, batch);
    }
    (context.freeze(), data)
}

/// The sum of an entry's data, as its context says; `None` if it says none.
pub fn data_sum(context: &[u8]) -> Option<u32> {
    let has_sum = context.first() == Some(&KIND_COMMANDS) && context.len() >= CONTEXT_HEAD + SUM_BYTES;
    has_sum.then(|| read_u32(context, CONTEXT_HEAD))
}

/// Checks an entry from another server, down to the lengths of its commands, and calls `visit` with the span
/// of each sub-batch. An entry that passes can be executed.
pub fn check_entry(
    context: &[u8],
    data: &Bytes,
    mut visit: impl FnMut(&Span),
) -> Result<EntryFill, MalformedBatch> {
    let fill = EntryFill::of(context)?;
    let lies = |sum| sum != crc32fast::hash(data) && !planted::is(Bug::SumNotCompared);
    if data_sum(context).is_some_and(lies) {
        return Err(MalformedBatch("an entry's data has another sum than its context says"));
    }
    match fill {
        EntryFill::Commands { .. } if is_end(context) => check_end(context, data)?,
        EntryFill::Commands { .. } => {
            let mut bodies = Ok(());
            walk_heads(context, data.len(), |span, lone, body| {
                visit(&span);
                if bodies.is_ok() && !lone {
                    bodies = check_body(&data[body], span.count);
                }
            })?;
            bodies?;
        }
        EntryFill::Nothing | EntryFill::Skip { .. } if data.is_empty() => {}
        EntryFill::Nothing | EntryFill::Skip { .. } => {
            return Err(MalformedBatch("an entry without commands has data"));
        }
    }
    Ok(fill)
}

/// Checks an entry that ends an epoch.
fn check_end(context: &[u8], data: &[u8]) -> Result<(), MalformedBatch> {
    if context.len() != CONTEXT_HEAD {
        return Err(MalformedBatch("context has a broken length"));
    }
    decode_end(data).map(drop).ok_or(MalformedBatch("the end of an epoch is broken"))
}

/// Sub-batches of an entry with commands; none if it ends an epoch. Their bodies share `data`'s buffer.
pub fn decode_commands(context: &[u8], data: &Bytes) -> Result<Vec<SubBatch>, MalformedBatch> {
    let mut batches = Vec::with_capacity(context.len() / SUB_BATCH_HEAD);
    if is_end(context) {
        check_end(context, data)?;
        return Ok(batches);
    }
    walk_heads(context, data.len(), |span, lone, body| {
        batches.push(SubBatch { span, lone, body: data.slice(body) });
    })?;
    Ok(batches)
}

/// Calls `visit` with each sub-batch's span, framing, and the range of its body in the data.
fn walk_heads(
    context: &[u8],
    data: usize,
    mut visit: impl FnMut(Span, bool, Range<usize>),
) -> Result<(), MalformedBatch> {
    let fixed = CONTEXT_HEAD + if context.first() == Some(&KIND_COMMANDS) { SUM_BYTES } else { 0 };
    let heads = context.get(fixed..).filter(|heads| heads.len().is_multiple_of(SUB_BATCH_HEAD));
    let heads = heads.ok_or(MalformedBatch("context has a broken length"))?;
    let mut at = 0;
    for head in heads.chunks_exact(SUB_BATCH_HEAD) {
        let (span, lone, bytes) = read_sub_batch_head(head)?;
        if bytes > data - at {
            return Err(MalformedBatch("bodies are longer than the data"));
        }
        visit(span, lone, at..at + bytes);
        at += bytes;
    }
    if at != data {
        return Err(MalformedBatch("data is longer than the bodies"));
    }
    Ok(())
}

/// Writes a sub-batch's header, in the layout that entries and forwarded commands share.
pub(crate) fn put_sub_batch_head(out: &mut BytesMut, batch: &SubBatch) {
    let span = &batch.span;
    out.put_u64_le(span.server);
    out.put_u64_le(span.incarnation);
    out.put_u64_le(span.first);
    out.put_u32_le(span.count);
    out.put_u32_le(u32::try_from(batch.body.len()).expect("config bounds a batch far below 4 GiB"));
    out.put_u32_le(span.attempt);
    out.put_u16_le(span.lane);
    out.put_u8(u8::from(batch.lone));
    out.put_u8(0);
}

/// Parses what [`put_sub_batch_head`] wrote: span, framing, and length of the body.
fn read_sub_batch_head(head: &[u8]) -> Result<(Span, bool, usize), MalformedBatch> {
    let span = Span {
        server: read_u64(head, 0),
        incarnation: read_u64(head, 8),
        first: read_u64(head, 16),
        count: read_u32(head, 24),
        attempt: read_u32(head, 32),
        lane: u16::from_le_bytes([head[36], head[37]]),
    };
    let lone = match head[38] {
        0 => false,
        1 => true,
        _ => return Err(MalformedBatch("unknown framing of commands")),
    };
    span.check()?;
    if lone && span.count != 1 {
        return Err(MalformedBatch("a lone command counts as one"));
    }
    Ok((span, lone, read_u32(head, 28) as usize))
}

/// Parses a forwarded sub-batch, and checks it down to its commands.
pub(crate) fn read_sub_batch(bytes: &Bytes) -> Result<SubBatch, MalformedBatch> {
    if bytes.len() < SUB_BATCH_HEAD {
        return Err(MalformedBatch("a sub-batch ends within its head"));
    }
    let (span, lone, length) = read_sub_batch_head(&bytes[..SUB_BATCH_HEAD])?;
    if length != bytes.len() - SUB_BATCH_HEAD {
        return Err(MalformedBatch("a sub-batch's length is wrong"));
    }
    let batch = SubBatch { span, lone, body: bytes.slice(SUB_BATCH_HEAD..) };
    batch.check()?;
    Ok(batch)
}

impl Span {
    /// Checks that the command numbers are possible.
    pub(crate) fn check(&self) -> Result<(), MalformedBatch> {
        if self.count == 0 || self.first == 0 || self.first.checked_add(u64::from(self.count)).is_none() {
            return Err(MalformedBatch("impossible command numbers"));
        }
        Ok(())
    }
}

impl SubBatch {
    /// Checks that the body holds exactly the commands that the header announces. This runs once, when a
    /// sub-batch arrives from another server; what is in the log has passed it.
    pub fn check(&self) -> Result<(), MalformedBatch> {
        match self.span.count {
            1 if self.lone => Ok(()),
            _ if self.lone => Err(MalformedBatch("a lone command counts as one")),
            count => check_body(&self.body, count),
        }
    }

    /// Number after the last command's.
    pub fn end(&self) -> u64 {
        self.span.first + u64::from(self.span.count)
    }
}

/// Checks that a body with framing 0 holds exactly `count` commands.
///
/// Each length says where the next one is, so a plain walk waits for memory at every command. Most bodies
/// hold commands of few sizes: the size of a run is guessed from its first command, and checking the guesses
/// needs no such waits.
fn check_body(body: &[u8], count: u32) -> Result<(), MalformedBatch> {
    let (mut at, mut left) = (0, count);
    while left > 0 {
        let (length, start) =
            checked_length(body, at).ok_or(MalformedBatch("a command's length is broken"))?;
        if length > body.len() - start {
            return Err(MalformedBatch("a command is longer than its body"));
        }
        let (head, step) = (body[at], start - at + length);
        at += step;
        left -= 1;
        if head < 0x80 {
            while left > 0 && step <= body.len() - at && body[at] == head {
                at += step;
                left -= 1;
            }
        }
    }
    if at == body.len() { Ok(()) } else { Err(MalformedBatch("bytes after the last command")) }
}

/// Appends a command to a body with framing 0.
#[inline]
pub fn put_command(body: &mut BytesMut, command: &[u8]) {
    let mut rest = command.len();
    while rest >= 0x80 {
        body.put_u8(rest as u8 | 0x80);
        rest >>= 7;
    }
    body.put_u8(rest as u8);
    if command.len() > SHORT_BYTES {
        return body.extend_from_slice(command);
    }
    // Short commands are copied in steps of a fixed length, which compile to no call.
    let (steps, rest) = command.as_chunks::<STEP_BYTES>();
    steps.iter().for_each(|step| body.extend_from_slice(step));
    if !rest.is_empty() {
        body.extend_from_slice(rest);
    }
}

const SHORT_BYTES: usize = 64;
const STEP_BYTES: usize = 16;

/// Start and end of the command at `cursor`, in a checked body with framing 0.
#[inline]
pub(crate) fn command_bounds(body: &[u8], cursor: usize) -> (usize, usize) {
    let first = body[cursor];
    if first < 0x80 {
        return (cursor + 1, cursor + 1 + usize::from(first));
    }
    let (length, start) = checked_length(body, cursor).expect("bodies are checked before they enter a log");
    (start, start + length)
}

fn checked_length(body: &[u8], cursor: usize) -> Option<(usize, usize)> {
    let mut length = 0usize;
    // Five groups of seven bits hold any length below 4 GiB.
    for (i, byte) in body.get(cursor..)?.iter().take(5).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((length, cursor + i + 1));
        }
    }
    None
}

fn read_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sub_batch(commands: &[Vec<u8>], first: u64) -> SubBatch {
        let mut body = BytesMut::new();
        for command in commands {
            put_command(&mut body, command);
        }
        let span =
            Span { server: 2, incarnation: 7, lane: 3, attempt: 1, first, count: commands.len() as u32 };
        SubBatch { span, lone: false, body: body.freeze() }
    }

    proptest! {
        #[test]
        fn entries_come_back_as_they_were(
            groups in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..8), 1..5),
            place in 1..=MAX_PLACE,
        ) {
            let batches: Vec<_> =
                groups.iter().enumerate().map(|(i, commands)| sub_batch(commands, i as u64 * 100 + 1)).collect();
            let (context, data) = encode_commands(place, &batches);
            prop_assert_eq!(EntryFill::of(&context).unwrap(), EntryFill::Commands { place });
            let back = decode_commands(&context, &data).unwrap();
            prop_assert_eq!(&back, &batches);
            for (batch, commands) in back.iter().zip(&groups) {
                batch.check().unwrap();
                let read: Vec<Vec<u8>> = crate::Commands::new(batch, 0).map(|c| c.as_slice().to_vec()).collect();
                prop_assert_eq!(&read, commands);
            }
        }

        #[test]
        fn foreign_bytes_are_refused_without_a_panic(context in prop::collection::vec(any::<u8>(), 0..120), data in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = EntryFill::of(&context);
            if let Ok(batches) = decode_commands(&context, &Bytes::from(data)) {
                for batch in batches {
                    let _ = batch.check();
                }
            }
        }

        /// The guesses lead to the same result as a walk from command to command.
        #[test]
        fn the_check_is_a_walk(
            lengths in prop::collection::vec(prop_oneof![Just(3usize), 0..140usize], 1..40),
            cut in 0..30usize,
            more in -2i32..3,
            flip in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let mut body = BytesMut::new();
            lengths.iter().for_each(|length| put_command(&mut body, &vec![3; *length]));
            body.truncate(body.len() - cut.min(body.len() - 1));
            if let Some((at, byte)) = flip {
                let at = at.index(body.len());
                body[at] = byte;
            }
            let count = (lengths.len() as i32 + more).max(1) as u32;
            let walked = (0..count).try_fold(0, |at, _| {
                let (length, start) = checked_length(&body, at)?;
                (length <= body.len() - start).then_some(start + length)
            });
            prop_assert_eq!(check_body(&body, count).is_ok(), walked == Some(body.len()));
        }

        #[test]
        fn a_checked_body_can_be_walked(body in prop::collection::vec(any::<u8>(), 0..64), count in 1u32..20) {
            let span = Span { server: 1, incarnation: 1, lane: 0, attempt: 0, first: 1, count };
            let batch = SubBatch { span, lone: false, body: body.into() };
            if batch.check().is_ok() {
                prop_assert_eq!(crate::Commands::new(&batch, 0).count(), count as usize);
            }
        }
    }

    /// As an older release wrote it.
    fn without_sum(context: &[u8]) -> Vec<u8> {
        [&[KIND_COMMANDS_WITHOUT_SUM], &context[1..CONTEXT_HEAD], &context[CONTEXT_HEAD + SUM_BYTES..]]
            .concat()
    }

    #[test]
    fn entries_of_an_older_release_are_read() {
        let batches = [sub_batch(&[vec![1; 50], vec![2; 3]], 1), sub_batch(&[vec![3]], 9)];
        let (context, data) = encode_commands(7, &batches);
        let old = without_sum(&context);
        assert_eq!((data_sum(&context), data_sum(&old)), (Some(crc32fast::hash(&data)), None));
        assert_eq!(decode_commands(&old, &data).unwrap(), batches);
        assert_eq!(check_entry(&old, &data, |_| ()), Ok(EntryFill::Commands { place: 7 }));
    }

    #[test]
    fn an_entry_whose_sum_is_wrong_is_refused() {
        let (context, data) = encode_commands(7, &[sub_batch(&[vec![1; 50]], 1)]);
        assert_eq!(check_entry(&context, &data, |_| ()), Ok(EntryFill::Commands { place: 7 }));
        let mut lie = context.to_vec();
        lie[CONTEXT_HEAD] ^= 1;
        let error = check_entry(&lie, &data, |_| ()).unwrap_err();
        assert_eq!(error.0, "an entry's data has another sum than its context says");
        let mut damaged = data.to_vec();
        damaged[20] ^= 1;
        assert_eq!(check_entry(&context, &damaged.into(), |_| ()), Err(error));
        let cut = &context[..CONTEXT_HEAD + SUM_BYTES - 1];
        assert_eq!((data_sum(cut), check_entry(cut, &Bytes::new(), |_| ()).is_err()), (None, true));
    }

    #[test]
    fn one_body_is_not_copied() {
        let batch = sub_batch(&[vec![1; 50]], 1);
        let (_, data) = encode_commands(9, std::slice::from_ref(&batch));
        assert_eq!(data.as_ptr(), batch.body.as_ptr());
    }

    #[test]
    fn a_skip_says_how_far() {
        assert_eq!(EntryFill::of(&encode_skip(17)).unwrap(), EntryFill::Skip { place: 17 });
        assert_eq!(EntryFill::of(&[]).unwrap(), EntryFill::Nothing);
    }
}
