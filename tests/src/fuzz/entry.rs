//! What Raft's entries hold.

use bytes::Bytes;
use niagara_group::batch::{EntryFill, SubBatch, data_sum, decode_commands, encode_commands, encode_skip};
use niagara_group::epoch_end::{decode_end, encode_end, is_end};

use super::script::Script;

const HEAD: usize = 9;
const SUM: usize = 4;
/// The kind of an entry with commands and a sum.
const COMMANDS: u8 = 3;
const SUB_BATCH_HEAD: usize = 40;

/// **Whatever an entry's context and data, reading them gives a skip, sub-batches, the end of an epoch or an error, and what
/// was read is encoded to the same bytes, with the sum of the data.** A sub-batch that passes its check has as many commands as it says, and nothing behind them.
///
/// ```text
/// length of the context u16 | context | data
/// ```
///
/// # Panics
/// When the property does not hold.
pub fn entry(data: &[u8]) {
    let mut script = Script(data);
    let context = script.sized(true);
    check(context, &Bytes::copy_from_slice(script.0));
}

/// Checks one entry.
pub(super) fn check(context: &[u8], data: &Bytes) {
    let fill = EntryFill::of(context);
    // Which sub-batches there are does not depend on the first bytes of the context, but who asks knows of what kind it is.
    let (Ok(EntryFill::Commands { place } | EntryFill::Skip { place }), Ok(batches)) =
        (&fill, decode_commands(context, data))
    else {
        return assert!(fill != Ok(EntryFill::Nothing) || context.is_empty());
    };
    batches.iter().filter(|batch| batch.check().is_ok()).for_each(walk);
    if let Ok(EntryFill::Skip { place }) = fill {
        return assert_eq!(encode_skip(place), context[..HEAD]);
    }
    if is_end(context) {
        let end = decode_end(data).expect("what was taken for the end of an epoch says which comes next");
        return assert_eq!(encode_end(*place, &end), (context.to_vec().into(), data.clone()));
    }
    let sum = crc32fast::hash(data);
    let said = data_sum(context);
    assert_eq!(said.is_some(), context[0] == COMMANDS);
    let heads = if said.is_some() { &context[HEAD + SUM..] } else { &context[HEAD..] };
    // An older release wrote no sum.
    let mut expected = [&[COMMANDS], &context[1..HEAD], &sum.to_le_bytes(), heads].concat();
    for head in expected[HEAD + SUM..].chunks_exact_mut(SUB_BATCH_HEAD) {
        head[SUB_BATCH_HEAD - 1] = 0;
    }
    assert_eq!(encode_commands(*place, &batches), (expected.into(), data.clone()));
}

/// Walks over the commands of a sub-batch that has passed its check, beside a second reading of the format.
pub(super) fn walk(batch: &SubBatch) {
    let commands: Vec<&[u8]> = batch.commands().map(|command| command.as_slice()).collect();
    assert_eq!(commands.len(), batch.span.count as usize);
    if batch.lone {
        return assert_eq!(commands, [&batch.body[..]]);
    }
    let mut rest = &batch.body[..];
    for command in commands {
        let last = rest.iter().position(|byte| byte & 0x80 == 0).expect("a length ends");
        let (groups, behind) = rest.split_at(last + 1);
        let length = groups.iter().rev().fold(0, |length, group| length << 7 | usize::from(group & 0x7f));
        let (expected, behind) = behind.split_at(length);
        assert_eq!(command, expected);
        rest = behind;
    }
    assert!(rest.is_empty(), "{rest:?} behind the last command");
}
