//! What a request, or a command of the log, wants to touch.

use super::ids::Id;
use super::patterns::Access;
use crate::command::{self, Call, Choice, Command};
use crate::table::{Does, Local, Op, Spec, is};

/// A command on keys and channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted<'a> {
    /// One of these must be allowed, if there are any. The log carries several commands in one form; they do the same.
    pub(super) ids: Vec<Id>,
    /// The first argument, as far as the log carries it.
    pub(super) argument: Option<&'a [u8]>,
    pub(super) touched: Vec<Touched<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Touched<'a> {
    Key(&'a [u8], Access),
    Channel(&'a [u8]),
    /// Subscribing to what a pattern matches.
    ChannelPattern(&'a [u8]),
}

impl<'a> Wanted<'a> {
    /// A request in the Redis protocol: the words behind the name of the command.
    pub(crate) fn request(spec: &Spec, words: &[&'a [u8]]) -> Wanted<'a> {
        let argument = words.first().copied();
        Wanted { ids: vec![Id::of(spec, argument)], argument, touched: touched(spec, words) }
    }

    /// A command on one key, as HTTP asks for it.
    pub(crate) fn on_key(op: Op, key: &'a [u8], access: Access) -> Wanted<'a> {
        let ids = vec![Id::of(Spec::of(op), None)];
        Wanted { ids, argument: Some(key), touched: vec![Touched::Key(key, access)] }
    }

    /// A command without keys, or a subcommand.
    pub(crate) fn named(command: &str, subcommand: Option<&str>) -> Wanted<'static> {
        let spec = Spec::find(command.as_bytes()).expect("only commands of the table are named");
        let ids = vec![Id::of(spec, subcommand.map(str::as_bytes))];
        Wanted { ids, argument: None, touched: Vec::new() }
    }

    /// A message that a subscriber hears.
    pub(crate) fn message(channel: &'a [u8], pattern: Option<&'a [u8]>) -> Wanted<'a> {
        let touched = pattern.map_or(Touched::Channel(channel), Touched::ChannelPattern);
        Wanted { ids: Vec::new(), argument: None, touched: vec![touched] }
    }

    /// A command of the log, apart from those in a block or choice, each of which is asked for by itself. `called` is what the user
    /// has called; without it, any command will do that has this form.
    pub(crate) fn command(command: &Command<'a>, called: Option<Op>) -> Wanted<'a> {
        let some = |ops: &[Op], touched: Vec<Touched<'a>>| {
            let called = called.filter(|called| ops.contains(called));
            let ops = called.as_slice().iter().chain(ops.iter().filter(|_| called.is_none()));
            let argument = match touched.first() {
                Some(Touched::Key(key, _)) => Some(*key),
                _ => None,
            };
            Wanted { ids: ops.map(|op| Id::of(Spec::of(*op), None)).collect(), argument, touched }
        };
        match command {
            Command::Set { key, want_old, .. } => {
                let access = if *want_old { Access::BOTH } else { Access::WRITE };
                let ops = [Op::Set, Op::SetNx, Op::GetSet, Op::Put, Op::SetEx, Op::PSetEx];
                some(&ops, vec![Touched::Key(key, access)])
            }
            Command::Append { key, .. } => some(&[Op::Append], vec![Touched::Key(key, Access::WRITE)]),
            Command::IncrBy { key, .. } => {
                let ops = [Op::Incr, Op::IncrBy, Op::Decr, Op::DecrBy];
                some(&ops, vec![Touched::Key(key, Access::BOTH)])
            }
            Command::Delete { keys, .. } => {
                let keys = keys.clone().map(|key| Touched::Key(key, Access::WRITE)).collect();
                some(&[Op::Del, Op::Unlink], keys)
            }
            Command::MSet { pairs, .. } => {
                let keys = pairs.clone().map(|(key, _)| Touched::Key(key, Access::WRITE)).collect();
                some(&[Op::MSet, Op::MSetNx], keys)
            }
            Command::Look { key } => some(&[Op::Get], vec![Touched::Key(key, Access::READ)]),
            Command::FlushAll => some(&[Op::FlushAll, Op::FlushDb], Vec::new()),
            Command::Call(call) => Wanted::call(call, called),
            Command::SetUser { .. } => Wanted::named("ACL", Some("SETUSER")),
            Command::RemoveUsers { .. } => Wanted::named("ACL", Some("DELUSER")),
            Command::Block(_) | Command::Choice(_) => Wanted::named("EXEC", None),
            Command::In { command, .. } => {
                let command = command::decode(command).expect("decode has checked it");
                Wanted::command(&command, called)
            }
            Command::Once(once) => {
                let command = command::decode(once.command).expect("decode has checked it");
                Wanted::command(&command, called)
            }
            // Servers propose these by themselves. What another command carries is asked for by itself.
            Command::NameLife { .. }
            | Command::Timed { .. }
            | Command::By { .. }
            | Command::Advance { .. }
            | Command::KeepChanges
            | Command::Used(_)
            | Command::MakeRoom
            | Command::AskClocks { .. }
            | Command::TellClock { .. } => some(&[], Vec::new()),
        }
    }

    /// What a choice wants to touch, whichever of its commands are executed. Each must be allowed, since what is executed
    /// tells what the tests have found.
    pub(crate) fn parts(choice: &Choice<'a>) -> impl Iterator<Item = Wanted<'a>> + use<'a> {
        let tests = choice.tests().map(|(key, _)| Wanted::on_key(Op::Get, key, Access::READ));
        let commands = choice.commands(true).chain(choice.commands(false));
        tests.chain(commands.map(|command| {
            let called = match &command {
                Command::Set { .. } => Some(Op::Set),
                Command::Delete { .. } => Some(Op::Del),
                _ => None,
            };
            Wanted::command(&command, called)
        }))
    }

    /// A call in the words of a client.
    pub(crate) fn call(call: &Call<'a>, called: Option<Op>) -> Wanted<'a> {
        let words: Vec<&'a [u8]> = call.words.clone().collect();
        let spec = Spec::of(call.op);
        let wanted = Wanted::request(spec, &words);
        // The log carries the source of a script that was called by its name.
        let by_name = match call.op {
            Op::Eval => Op::EvalSha,
            Op::EvalRo => Op::EvalShaRo,
            _ => return wanted,
        };
        let ops = [call.op, by_name];
        let fits = |op: &&Op| called.is_none_or(|called| called == **op || !ops.contains(&called));
        Wanted { ids: ops.iter().filter(fits).map(|op| Id::of(Spec::of(*op), None)).collect(), ..wanted }
    }
}

fn touched<'a>(spec: &Spec, words: &[&'a [u8]]) -> Vec<Touched<'a>> {
    match spec.does {
        Does::Write(Op::Publish | Op::SPublish) => channels(&words[..words.len().min(1)]),
        Does::Local(Local::Subscribe | Local::SSubscribe) => channels(words),
        Does::Local(Local::PSubscribe) => words.iter().map(|word| Touched::ChannelPattern(word)).collect(),
        Does::TimedWrite(op @ (Op::Eval | Op::EvalSha | Op::EvalRo | Op::EvalShaRo)) => {
            let access = if matches!(op, Op::Eval | Op::EvalSha) { Access::BOTH } else { Access::READ };
            let digits = words.get(1).and_then(|word| std::str::from_utf8(word).ok());
            let keys = digits.and_then(|digits| digits.parse().ok()).unwrap_or(0);
            words.iter().skip(2).take(keys).map(|key| Touched::Key(key, access)).collect()
        }
        _ => {
            let places = spec.keys.among(words.len() + 1);
            let keys = places.enumerate().map(|(number, at)| (number, words[at - 1]));
            keys.map(|(number, key)| Touched::Key(key, access(spec.op(), number, words))).collect()
        }
    }
}

fn channels<'a>(words: &[&'a [u8]]) -> Vec<Touched<'a>> {
    words.iter().map(|word| Touched::Channel(word)).collect()
}

/// What a command does to its key with this number, as Redis says.
fn access(op: Option<Op>, number: usize, words: &[&[u8]]) -> Access {
    let Some(op) = op else { return Access::NONE };
    match op {
        Op::Get
        | Op::MGet
        | Op::GetRange
        | Op::SubStr
        | Op::Lcs
        | Op::GetBit
        | Op::BitCount
        | Op::BitPos
        | Op::BitFieldRo
        | Op::Ttl
        | Op::PTtl
        | Op::ExpireTime
        | Op::PExpireTime
        | Op::Dump => Access::READ,
        Op::StrLen | Op::Exists | Op::Touch | Op::Type | Op::Object | Op::Memory => Access::NONE,
        Op::BitField if only_gets(words) => Access::READ,
        Op::Set if !words.iter().skip(2).any(|word| is(word, "GET")) => Access::WRITE,
        Op::MSet
        | Op::MSetNx
        | Op::SetNx
        | Op::SetEx
        | Op::PSetEx
        | Op::Append
        | Op::SetRange
        | Op::Put
        | Op::Del
        | Op::Unlink
        | Op::Expire
        | Op::PExpire
        | Op::ExpireAt
        | Op::PExpireAt
        | Op::Persist
        | Op::Restore => Access::WRITE,
        Op::BitOp | Op::Rename | Op::RenameNx | Op::Copy => of_several(op, number),
        // Whatever is new reads and writes until this list says otherwise.
        _ => Access::BOTH,
    }
}

/// Whether a BITFIELD only reads. What is not understood counts as a write.
fn only_gets(words: &[&[u8]]) -> bool {
    let mut rest = words.get(1..).unwrap_or_default();
    loop {
        rest = match rest {
            [] => return true,
            [word, _, _, rest @ ..] if is(word, "GET") => rest,
            [word, _, rest @ ..] if is(word, "OVERFLOW") => rest,
            _ => return false,
        };
    }
}

/// Commands that do different things to their keys.
fn of_several(op: Op, number: usize) -> Access {
    match (op, number) {
        (Op::BitOp, 0) => Access::WRITE,
        (Op::BitOp, _) | (Op::Copy, 0) => Access::READ,
        (Op::Rename | Op::RenameNx, 0) => Access::BOTH,
        _ => Access::WRITE,
    }
}
