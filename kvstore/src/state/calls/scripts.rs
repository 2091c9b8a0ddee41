//! Scripts: the commands that they call are executed on shards that are all locked, since nobody knows before which
//! keys a script looks at.

use std::time::SystemTime;

use bytes::Bytes;
use parking_lot::RwLockWriteGuard;

use super::words::{integer, is};
use super::{
    Answer, Call, Handler, Walking, Words, Writing, answered, compact, databases, execute_words, handler,
    walk_words,
};
use crate::audit::{CalledActs, called};
use crate::command::{MAX_KEY_BYTES, MAX_VALUE_BYTES};
use crate::script::{self, Host, Script};
use crate::state::map::Locked;
use crate::state::shard::Shard;
use crate::state::writer::Writer;
use crate::table::{Does, Local, Op, Spec};
use crate::users::{Context, User, Wanted};
use crate::{CommandError, Data, Database, Reply};

/// All shards.
type Everything<'m> = Locked<RwLockWriteGuard<'m, Shard>>;

/// Executes a call that is a script.
pub(in crate::state) fn eval(
    writer: &mut Writer<'_, Everything<'_>>,
    call: &Call<'_>,
    seed: u64,
    limited: Option<&User>,
) -> Reply {
    let words: Vec<&[u8]> = call.words.clone().collect();
    let mut acts = CalledActs::default();
    let data = answered(eval_words(writer, call.op, &words, (seed, limited), &mut acts));
    let acts = acts.into_acts();
    if acts.is_empty() { Reply::Data(data) } else { Reply::Administered { data, acts } }
}

fn eval_words(
    writer: &mut Writer<'_, Everything<'_>>,
    op: Op,
    words: Words<'_>,
    (seed, limited): (u64, Option<&User>),
    acts: &mut CalledActs,
) -> Answer {
    let (source, rest) = (words[0], &words[2..]);
    let keys = match integer(words[1])? {
        ..0 => return Err("ERR Number of keys can't be negative".into()),
        keys => usize::try_from(keys).ok().filter(|keys| *keys <= rest.len()),
    };
    let keys = keys.ok_or("ERR Number of keys can't be greater than number of args")?;
    let never_writes = declares(source, "no-writes")?;
    let is_declared = source.starts_with(b"#!");
    if op == Op::EvalRo && is_declared && !never_writes {
        return Err("ERR Can not execute a script with write flag using *_ro command.".into());
    }
    let read_only = op == Op::EvalRo || never_writes;
    let lacks_memory = writer.core.is_short && !declares(source, "allow-oom")?;
    if lacks_memory && !read_only && is_declared {
        writer.map.count_short();
        return Err(NOT_ALLOWED_SHORT.into());
    }
    writer.map.scripts.add(source);
    let script = Script { source, keys: &rest[..keys], arguments: &rest[keys..], clock: writer.map.clock() };
    let database = writer.database;
    Ok(script::run(&script, &mut Caller { writer, read_only, lacks_memory, database, seed, limited, acts }))
}

/// A script whose first line does not say that it needs no memory is refused like a command that does, as in Redis.
const NOT_ALLOWED_SHORT: &str = "OOM command not allowed when used memory > 'maxmemory'.";

/// What a script is told that calls what no script may.
const NOT_FROM_A_SCRIPT: &str = "ERR This Redis command is not allowed from script";

/// The flags that the first line of a script may name.
const FLAGS: [&str; 5] = ["no-writes", "allow-oom", "allow-stale", "no-cluster", "allow-cross-slot-keys"];

/// Whether a script's first line says this of it.
fn declares(source: &[u8], flag: &str) -> Result<bool, super::Failure> {
    if !source.starts_with(b"#!") {
        return Ok(false);
    }
    let end = source.iter().position(|byte| *byte == b'\n').ok_or("ERR Invalid script shebang")?;
    let line = String::from_utf8_lossy(&source[..end]);
    let mut words = line.split_whitespace();
    let engine = words.next().unwrap_or_default();
    if engine != "#!lua" {
        return Err(format!("ERR Unexpected engine in script shebang: {engine}").into());
    }
    let mut declared = false;
    for word in words {
        let Some(flags) = word.strip_prefix("flags=") else {
            return Err(format!("ERR Unknown lua shebang option: {word}").into());
        };
        for named in flags.split(',').filter(|_| !flags.is_empty()) {
            if !FLAGS.contains(&named) {
                return Err(format!("ERR Unexpected flag in script shebang: {named}").into());
            }
            declared |= named == flag;
        }
    }
    Ok(declared)
}

/// What executes the commands of a script.
struct Caller<'c, 'w, 'm> {
    writer: &'c mut Writer<'w, Everything<'m>>,
    read_only: bool,
    /// There was no memory when it began, and it has changed nothing yet. Once it has, it is not stopped halfway.
    lacks_memory: bool,
    /// The database that its commands are for; the script may select another one.
    database: Database,
    /// What is drawn at random follows from it.
    seed: u64,
    /// The user whose script it is, who may not do everything.
    limited: Option<&'c User>,
    /// What it has called that the audit tells of.
    acts: &'c mut CalledActs,
}

impl Host for Caller<'_, '_, '_> {
    fn call(&mut self, words: &[&[u8]]) -> Data {
        let (name, behind) = (words[0], &words[1..]);
        let act = called(name, behind, self.database);
        let answer = answered(self.execute(name, behind));
        self.acts.note(act, &answer);
        answer
    }
}

impl Caller<'_, '_, '_> {
    fn execute(&mut self, name: &[u8], words: Words<'_>) -> Answer {
        let spec = Spec::find(name).ok_or("ERR Unknown Redis command called from script")?;
        let count = words.len() + 1;
        if !spec.takes(count) || spec.lacks_value(count) {
            return Err("ERR Wrong number of args calling Redis command from script".into());
        }
        if spec.keys.among(count).any(|at| words[at - 1].len() > MAX_KEY_BYTES) {
            return Err(format!("ERR the key is longer than {MAX_KEY_BYTES} bytes (64 KiB)").into());
        }
        if words.iter().any(|word| word.len() > MAX_VALUE_BYTES) {
            return Err("ERR string exceeds maximum allowed size (16 MiB)".into());
        }
        if self.read_only && !spec.is_read() && !matches!(spec.does, Does::Local(_)) {
            return Err("ERR Write commands are not allowed from read-only scripts.".into());
        }
        if let Some(denied) = self.limited.and_then(|user| user.denied(&Wanted::request(spec, words))) {
            self.writer.map.directory.refusals.denied(&denied, Context::Script, "", SystemTime::now());
            return Err(format!("NOPERM ACL failure in script: {}", denied.text()).into());
        }
        if self.lacks_memory && spec.needs_memory() {
            self.writer.map.count_short();
            let error = CommandError::OutOfMemory;
            return Err(format!("{} {error}", error.word()).into());
        }
        self.lacks_memory &= !spec.changes_keys();
        let Writer { map, core, shards, .. } = &mut *self.writer;
        let op = match spec.does {
            Does::Local(Local::Select) => {
                self.database = databases::database(words[0])?;
                return Ok(Data::OK);
            }
            Does::Local(_) => return Err(NOT_FROM_A_SCRIPT.into()),
            Does::Compact(op) | Does::Write(op) | Does::TimedWrite(op) | Does::Read(op) => op,
        };
        if matches!(op, Op::Config | Op::Script) {
            return Err(NOT_FROM_A_SCRIPT.into());
        }
        if let Handler::Whole(_) = handler(op) {
            self.seed = self.seed.wrapping_add(1);
            let space = core.ledger.spaces.of(self.database);
            let walking = Walking { whole: &**shards, space, clock: map.clock(), seed: self.seed };
            return Ok(walk_words(&walking, op, words));
        }
        // What a script sets is in no buffer of the log's.
        let database = self.database;
        let mut writing =
            Writing { map, core, shards: &mut **shards, database, share: &Bytes::copy_from_slice };
        match handler(op) {
            Handler::Script => Err(NOT_FROM_A_SCRIPT.into()),
            Handler::Compact => compact::execute(&mut writing, op, words),
            _ => {
                let data = execute_words(&mut writing, op, words);
                // How many hear a message differs from server to server, and what a script does must not.
                let is_message = matches!(op, Op::Publish | Op::SPublish);
                Ok(if is_message { Data::Integer(0) } else { data })
            }
        }
    }
}

/// Executes `SCRIPT`. What scripts a server knows is no part of the state, so this changes nothing that is compared.
pub(super) fn script(writing: &mut Writing<'_>, words: Words<'_>) -> Answer {
    let scripts = &writing.map.scripts;
    match words {
        [load, source] if is(load, "LOAD") => {
            declares(source, "no-writes")?;
            script::check(source)?;
            Ok(Data::Bulk(Bytes::copy_from_slice(&scripts.add(source))))
        }
        [exists, names @ ..] if is(exists, "EXISTS") => {
            Ok(Data::Array(names.iter().map(|name| Data::flag(scripts.find(name).is_some())).collect()))
        }
        [flush, how @ ..] if is(flush, "FLUSH") => {
            if how.len() > 1 || how.iter().any(|how| !is(how, "ASYNC") && !is(how, "SYNC")) {
                return Err("ERR SCRIPT FLUSH only support SYNC|ASYNC option".into());
            }
            scripts.clear();
            Ok(Data::OK)
        }
        [kill] if is(kill, "KILL") => Err("NOTBUSY No scripts in execution right now.".into()),
        // Servers look at the number of words before they put a command into the log.
        _ => Err("ERR unknown subcommand or wrong number of arguments. Try SCRIPT HELP.".into()),
    }
}
