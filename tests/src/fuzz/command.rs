//! The commands that the global log carries.

use std::collections::HashSet;

use bytes::{Bytes, BytesMut};
use niagara_engine::{GlobalPosition, StateMachine};
use niagara_group::batch::{Span, SubBatch, put_command};
use niagara_kvstore::command::{self, Command};
use niagara_kvstore::{CommandError, Cursor, Kv, KvReader, Reply, Version};

use super::script::Script;

/// **Whatever bytes a log holds as commands, all servers execute them alike.** Each decodes to a command or an error; a
/// command is encoded to bytes that decode to the same command. Executed one by one on one state, and in batches on
/// another, which keeps its keys in another order, they answer the same and leave the same keys, values and versions;
/// what is no command changes nothing. No key is in the same version twice.
///
/// ```text
/// positions: count u8 | count x (length u16 | command)
/// ```
///
/// # Panics
/// When the property does not hold.
pub fn command(data: &[u8]) {
    let mut script = Script(data);
    let (mut one_by_one, mut in_batches) = (Kv::new(), Kv::new());
    let (mut position, mut versions) = (0, HashSet::new());
    while !script.is_empty() {
        position += 1;
        let count = script.byte();
        let commands: Vec<Bytes> = (0..count).map(|_| Bytes::copy_from_slice(script.sized(true))).collect();
        let at = GlobalPosition::new(position);
        let expected: Vec<Reply> =
            commands.iter().map(|bytes| execute(&mut one_by_one, at, bytes, &mut versions)).collect();

        let batch = batch(&commands);
        let mut replies = Vec::new();
        in_batches.apply(at, batch.commands(), &mut replies);
        assert_eq!(replies, expected, "executed in a batch: {commands:?}");
    }
    assert_eq!(contents(&one_by_one.reader()), contents(&in_batches.reader()));
    assert_eq!(one_by_one.reader().life(), in_batches.reader().life());
}

/// Executes one command. `versions` are those that each key has had.
fn execute(
    kv: &mut Kv,
    position: GlobalPosition,
    bytes: &Bytes,
    versions: &mut HashSet<(Vec<u8>, Version)>,
) -> Reply {
    let decoded = command::decode(bytes);
    if let Ok(command) = &decoded {
        let encoded = encode(command);
        assert_eq!(command::decode(&encoded).as_ref(), Ok(command), "encoded as {encoded:?}");
    }
    let changed = decoded.as_ref().ok().and_then(last_key);
    let keys = kv.reader().len();
    let reply = kv.execute(position, bytes);
    if let Reply::Stored { version, .. } | Reply::Appended { version, .. } | Reply::Counted { version, .. } =
        reply
    {
        let key = changed.expect("these replies are to commands with a key");
        assert!(versions.insert((key.to_vec(), version)), "{key:?} has been in version {version} before");
    }
    match (decoded, &reply) {
        (Err(error), _) => {
            assert_eq!(reply, Reply::Failed(CommandError::Malformed(error)));
            assert_eq!(kv.reader().len(), keys);
        }
        (Ok(Command::Set { key, value, description, lasts: None, .. }), Reply::Stored { version, .. }) => {
            assert_eq!(kv.reader().get(key), Some((Bytes::copy_from_slice(value), *version)));
            kv.reader()
                .with(key, |found| assert_eq!(found.map(|found| found.description), Some(description)));
        }
        (Ok(Command::NameLife { .. }), Reply::Named { life }) => {
            assert_eq!(kv.reader().life(), Some(*life));
        }
        (Ok(Command::FlushAll), _) => assert!(kv.reader().is_empty()),
        (Ok(_), _) => assert!(!matches!(reply, Reply::Failed(CommandError::Malformed(_)))),
    }
    reply
}

/// The key whose version a reply has, if the command can change one.
fn last_key<'a>(command: &Command<'a>) -> Option<&'a [u8]> {
    match command {
        Command::Set { key, .. } | Command::Append { key, .. } | Command::IncrBy { key, .. } => Some(key),
        Command::MSet { pairs, .. } => pairs.clone().last().map(|(key, _)| key),
        Command::Once(once) => last_key(&command::decode(once.command).ok()?),
        Command::Timed { command, .. } | Command::By { command, .. } | Command::In { command, .. } => {
            last_key(&command::decode(command).ok()?)
        }
        _ => None,
    }
}

fn encode(command: &Command<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    match command {
        Command::Set { key, value, description, condition, want_old, lasts } => {
            if let Some(lasts) = lasts {
                command::encode_lasting(&mut out, *lasts);
            }
            command::encode_put_head(&mut out, key, condition, *want_old, *description);
            out.extend_from_slice(value);
        }
        Command::Delete { keys, condition } => command::encode_delete(&mut out, keys.clone(), condition),
        Command::MSet { pairs, if_absent } => command::encode_mset(&mut out, pairs.clone(), *if_absent),
        Command::Append { key, value } => command::encode_append(&mut out, key, value),
        Command::IncrBy { key, delta } => command::encode_incr_by(&mut out, key, *delta),
        Command::FlushAll => command::encode_flush_all(&mut out),
        Command::NameLife { life } => command::encode_name_life(&mut out, *life),
        Command::Timed { time, command } => {
            command::encode_time(&mut out, *time);
            out.extend_from_slice(command);
        }
        Command::By { user, called, command } => {
            command::encode_by(&mut out, user, called.clone());
            out.extend_from_slice(command);
        }
        Command::In { database, command } => {
            command::encode_in(&mut out, *database);
            out.extend_from_slice(command);
        }
        Command::Once(once) => {
            command::encode_once(&mut out, once.until, once.key, once.request);
            out.extend_from_slice(once.command);
        }
        Command::SetUser { name, rules } => command::encode_set_user(&mut out, name, rules.clone()),
        Command::RemoveUsers { names } => command::encode_remove_users(&mut out, names.clone()),
        Command::Call(call) => command::encode_call(&mut out, call.op, call.words.clone()),
        Command::Block(block) => command::encode_block(&mut out, block.watches(), block.encoded()),
        Command::Choice(choice) => {
            command::encode_choice(&mut out, choice.tests(), choice.encoded(true), choice.encoded(false));
        }
        Command::KeepChanges => command::encode_keep_changes(&mut out),
        Command::Used(used) => command::encode_used(&mut out, used.clone()),
        Command::MakeRoom => command::encode_make_room(&mut out),
        Command::Look { key } => command::encode_look(&mut out, key),
        Command::Advance { time } => command::encode_advance(&mut out, *time),
        Command::AskClocks { server, round } => command::encode_ask_clocks(&mut out, *server, *round),
        Command::TellClock { server, asker, round, time } => {
            command::encode_tell_clock(&mut out, *server, (*asker, *round), *time);
        }
    }
    out
}

/// The commands as an entry carries them.
fn batch(commands: &[Bytes]) -> SubBatch {
    let mut body = BytesMut::new();
    commands.iter().for_each(|command| put_command(&mut body, command));
    let count = commands.len() as u32;
    let span = Span { server: 1, incarnation: 1, lane: 0, attempt: 0, first: 1, count };
    let batch = SubBatch { span, lone: false, body: body.freeze() };
    assert_eq!(batch.check(), Ok(()));
    batch
}

/// All keys in order, with their values and versions, from a scan in small pages.
fn contents(reader: &KvReader) -> Vec<(Vec<u8>, Bytes, Version)> {
    let mut contents = Vec::new();
    let mut cursor = Cursor::START;
    loop {
        let mut keys = Vec::new();
        cursor = reader.scan(cursor, 5, |key| keys.push(key.to_vec()));
        for key in keys {
            let (value, version) = reader.get(&key).expect("nothing is removed meanwhile");
            contents.push((key, value, version));
        }
        if cursor == Cursor::START {
            break;
        }
    }
    contents.sort();
    let twice = contents.windows(2).find(|pair| pair[0].0 == pair[1].0);
    assert!(twice.is_none(), "a scan has shown a key twice: {twice:?}");
    // What has expired counts until it is removed.
    assert!(contents.len() as u64 <= reader.len());
    assert!(contents.len() as u64 + reader.expiring() >= reader.len());
    contents
}
