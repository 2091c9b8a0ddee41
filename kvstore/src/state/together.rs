//! Several commands that are executed as if they were one: everybody sees what they change together, all of it or nothing.

use niagara_planted as planted;
use parking_lot::RwLockWriteGuard;

use super::Kv;
use super::apply::{Caller, write};
use super::calls::{self, Walking};
use super::entry::Entry;
use super::map::Locked;
use super::shard::Shard;
use super::writer::{Share, Writer, Writing};
use crate::Database;
use crate::command::{self, Block, Choice, Command, Test, Watch};
use crate::reply::Reply;
use crate::table::Op;
use crate::users::{User, Wanted};

/// The shards that the commands need.
type Together<'m> = Locked<RwLockWriteGuard<'m, Shard>>;

impl Kv {
    /// Executes commands, unless a key that they watch has changed.
    pub(super) fn block(&mut self, caller: &Caller<'_>, block: &Block<'_>, share: Share<'_>) -> Reply {
        let limited = self.map.directory.limited(caller.user);
        let watched = block.watches().map(|watch| watch.key);
        Reply::Block(self.together(caller.database, watched, block.commands(), share, |writer, clock| {
            block
                .watches()
                .all(|watch| is_unchanged(writer, &watch))
                .then(|| execute_block(writer, limited.as_deref(), &caller.called, clock, block))
        }))
    }

    /// Executes one of two lists of commands, by what keys hold, if the user may do all of either.
    pub(super) fn choice(&mut self, caller: &Caller<'_>, choice: &Choice<'_>, share: Share<'_>) -> Reply {
        let limited = self.map.directory.limited(caller.user);
        let denied =
            limited.as_ref().and_then(|user| Wanted::parts(choice).find_map(|part| user.denied(&part)));
        if let Some(denied) = denied {
            return Reply::Denied(Box::new(denied));
        }
        let tested = choice.tests().map(|(key, _)| key);
        let commands = choice.commands(true).chain(choice.commands(false));
        self.together(caller.database, tested, commands, share, |writer, clock| {
            let hold = choice.tests().all(|(key, test)| holds(writer, key, &test));
            let each = choice.commands(hold).enumerate();
            let replies = each
                .map(|(number, command)| execute_part(writer, limited.as_deref(), (clock, number), command));
            Reply::Chosen { hold, replies: replies.collect() }
        })
    }

    /// Locks what these keys and commands need.
    fn together<'k, T>(
        &mut self,
        database: Database,
        keys: impl Iterator<Item = &'k [u8]>,
        commands: impl Iterator<Item = Command<'k>>,
        share: Share<'_>,
        act: impl FnOnce(&mut Writer<'_, Together<'_>>, u64) -> T,
    ) -> T {
        let mut is_whole = false;
        let of_commands = commands.flat_map(|command| {
            is_whole |= needs_all(&command);
            keys_of(&command)
        });
        let places = self.places(keys.chain(of_commands));
        let Kv { map, core, .. } = self;
        let mut shards = if is_whole { map.write_everything() } else { map.write_all(&places) };
        let clock = map.clock();
        write((map, core), &mut shards, (database, share), |writer| act(writer, clock))
    }
}

/// Whether a command needs all shards.
fn needs_all(command: &Command<'_>) -> bool {
    match command {
        Command::FlushAll => true,
        Command::Call(call) => call.is_whole() || call.is_script() || call.changes_all(),
        Command::In { command, .. } => needs_all(&inner(command)),
        _ => false,
    }
}

/// What is executed in another database.
fn inner(command: &[u8]) -> Command<'_> {
    command::decode(command).expect("decode has checked it")
}

/// Whether a watched key is in the version that the client has seen.
fn is_unchanged(writer: &mut Writer<'_, Together<'_>>, watch: &Watch<'_>) -> bool {
    let database = watch.database.unwrap_or(writer.database);
    writer.within(database, |there| there.get(watch.key).map(Entry::version)) == watch.version
}

/// Whether a key holds what it should.
fn holds(writer: &mut Writer<'_, Together<'_>>, key: &[u8], test: &Test<'_>) -> bool {
    let life = writer.map.life();
    let entry = writer.get(key);
    match test {
        Test::Condition(condition) => condition.holds(entry.map(Entry::version), life),
        Test::Value(value) => entry.is_some_and(|entry| *entry.value() == **value),
        Test::OtherValue(value) => entry.is_none_or(|entry| *entry.value() != **value),
        Test::Before(value) => entry.is_some_and(|entry| entry.value()[..] < **value),
        Test::After(value) => entry.is_some_and(|entry| entry.value()[..] > **value),
    }
}

/// Executes those commands of a block that the user may do.
fn execute_block(
    whole: &mut Writer<'_, Together<'_>>,
    limited: Option<&User>,
    called: &[Op],
    clock: u64,
    block: &Block<'_>,
) -> Vec<Reply> {
    let replies = block.commands().enumerate().map(|(number, command)| {
        let called = called.get(number).copied();
        match limited.and_then(|user| user.denied(&Wanted::command(&command, called))) {
            Some(denied) => Reply::Denied(Box::new(denied)),
            None => execute_part(whole, limited, (clock, number), command),
        }
    });
    replies.collect()
}

fn execute_part(
    whole: &mut Writer<'_, Together<'_>>,
    limited: Option<&User>,
    (clock, number): (u64, usize),
    command: Command<'_>,
) -> Reply {
    planted::pause();
    if let Command::Call(call) = &command {
        let seed = whole.core.versions.position().wrapping_add(number as u64);
        if call.is_whole() {
            let space = whole.space();
            return Reply::Data(calls::walk(&Walking { whole: &*whole.shards, space, clock, seed }, call));
        }
        if call.is_script() {
            return calls::eval(whole, call, seed, limited);
        }
    }
    if let Command::In { database, command } = &command {
        return whole
            .within(*database, |there| execute_part(there, limited, (clock, number), inner(command)));
    }
    let Writer { map, core, database, share, .. } = whole;
    let writer = &mut Writing { map, core, shards: &mut *whole.shards, database: *database, share: *share };
    match command {
        Command::Set { key, value, description, condition, want_old, lasts } => {
            let attributes = writer.attributes(description, lasts);
            writer.set(key, value, attributes, &condition, want_old)
        }
        Command::Append { key, value } => writer.append(key, value),
        Command::IncrBy { key, delta } => writer.incr_by(key, delta),
        Command::Delete { keys, condition } => writer.delete(keys, &condition),
        Command::MSet { pairs, if_absent } => writer.mset(pairs, if_absent),
        Command::FlushAll => {
            let before = writer.flush(true);
            writer.core.garbage.free(Box::new(before));
            Reply::Flushed
        }
        Command::NameLife { life } => Reply::Named { life: writer.map.name_life(life) },
        Command::Call(call) => Reply::Data(calls::execute(writer, &call)),
        Command::Look { key } => writer.look(key),
        Command::Timed { .. }
        | Command::By { .. }
        | Command::In { .. }
        | Command::SetUser { .. }
        | Command::RemoveUsers { .. }
        | Command::Block(_)
        | Command::Choice(_)
        | Command::Once(_)
        | Command::Advance { .. }
        | Command::KeepChanges
        | Command::Used(_)
        | Command::MakeRoom
        | Command::AskClocks { .. }
        | Command::TellClock { .. } => unreachable!("decode refuses it among others"),
    }
}

/// The keys of a command that may be executed together with others.
fn keys_of<'a>(command: &Command<'a>) -> Vec<&'a [u8]> {
    match command {
        Command::Set { key, .. }
        | Command::Append { key, .. }
        | Command::IncrBy { key, .. }
        | Command::Look { key } => vec![key],
        Command::Delete { keys, .. } => keys.clone().collect(),
        Command::MSet { pairs, .. } => pairs.clone().map(|(key, _)| key).collect(),
        Command::Call(call) => call.keys().collect(),
        Command::In { command, .. } => keys_of(&inner(command)),
        _ => Vec::new(),
    }
}
