//! What a connection has said about the commands that follow: MULTI, WATCH and SELECT.
//!
//! After MULTI, commands are collected, and EXEC sends them as one command of the log, for the database that was selected
//! before. Those behind a SELECT among them say that they are for another one.

use std::borrow::Cow;

use super::acts::{self, Acts};
use super::encoding::encode;
use super::parse::Arguments;
use super::plan::{self, Local, Plan, Print, Read, Write};
use super::settings;
use super::words::{is, shown};
use crate::command::{self, MAX_BLOCK_COMMANDS, MAX_VALUE_BYTES, Watch};
use crate::script::Scripts;
use crate::table::{Op, Spec};
use crate::{CommandError, Database, KvReader, Version};

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Conversation {
    transaction: Option<Transaction>,
    watched: Vec<Watched>,
    /// The database that was selected.
    database: Database,
}

/// A key that is watched.
#[derive(Debug)]
struct Watched {
    key: Vec<u8>,
    database: Database,
    version: Option<Version>,
}

/// The commands between MULTI and EXEC.
#[derive(Debug, Default)]
struct Transaction {
    /// Encoded, one behind the other, and where each ends.
    commands: Vec<u8>,
    ends: Vec<usize>,
    /// Which command of Redis each is.
    called: Vec<Op>,
    parts: Vec<Part>,
    acts: Acts,
    /// What a SELECT among them has selected.
    database: Option<Database>,
    /// One of them carries the time.
    timed: bool,
    /// One of them was invalid.
    broken: bool,
}

/// What EXEC shows for a command.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// The next reply.
    Command(Print),
    /// A word or an error that is known before.
    Word(&'static str),
    Error(Cow<'static, str>),
}

/// What the log takes as one command, with room for watched keys.
const MAX_TRANSACTION_BYTES: usize = MAX_VALUE_BYTES;

const ABORTED: &str = "EXECABORT Transaction discarded because of previous errors.";

/// What a client is told whose command needs memory that there is not.
pub(super) fn out_of_memory() -> String {
    let error = CommandError::OutOfMemory;
    format!("{} {error}", error.word())
}

impl Conversation {
    /// Interprets a request; `arguments` has at least one argument.
    pub(super) fn plan(&mut self, arguments: Arguments<'_>, scripts: &Scripts) -> Plan {
        let name = |word| is(arguments.get(0), word);
        let alone = arguments.len() == 1;
        if name("RESET") && alone {
            *self = Conversation::default();
        } else if self.transaction.is_some() && !name("QUIT") {
            return self.within(arguments, scripts);
        }
        let plan = plan::plan(arguments, scripts);
        match &plan {
            Plan::Local(Local::Multi) => self.transaction = Some(Transaction::default()),
            Plan::Local(Local::Unwatch) => self.watched.clear(),
            Plan::Local(Local::Select(database)) => self.database = *database,
            _ => {}
        }
        plan.outside()
    }

    /// Interprets a request between MULTI and EXEC.
    fn within(&mut self, arguments: Arguments<'_>, scripts: &Scripts) -> Plan {
        let name = |word| arguments.len() == 1 && is(arguments.get(0), word);
        if name("EXEC") {
            return self.execute();
        }
        if is(arguments.get(0), "EXEC") {
            self.abandon();
            let why = "wrong number of arguments for 'exec' command";
            return Plan::Refuse(format!("EXECABORT Transaction discarded because of: {why}").into());
        }
        if name("DISCARD") {
            self.abandon();
            return Plan::Local(Local::Discard);
        }
        let transaction = self.transaction.as_mut().expect("a transaction has begun");
        let called = Spec::find(arguments.get(0)).and_then(Spec::op);
        match plan::plan(arguments, scripts) {
            Plan::Invalid(text) => {
                transaction.broken = true;
                Plan::Refuse(text)
            }
            Plan::Local(Local::Multi) => Plan::Refuse("ERR MULTI calls can not be nested".into()),
            Plan::Read(Read::Watch) => Plan::Refuse("ERR WATCH inside MULTI is not allowed".into()),
            Plan::Refuse(text) => transaction.add(Part::Error(text)),
            Plan::Local(Local::KnownScripts) => {
                transaction.begin(self.database);
                command::encode_call(&mut transaction.commands, Op::Script, arguments.from(1).iter());
                transaction.add_command(called, Print::Ok)
            }
            Plan::Local(Local::Select(database)) => {
                transaction.database = Some(database);
                transaction.add(Part::Word("OK"))
            }
            Plan::Local(Local::Unwatch) => transaction.add(Part::Word("OK")),
            Plan::Local(Local::ConfigSet) => {
                transaction.add(Part::Error(settings::NOT_IN_A_TRANSACTION.into()))
            }
            Plan::Local(_)
            | Plan::Write(Write::SetUser { .. } | Write::RemoveUsers)
            | Plan::Read(Read::Users) => {
                transaction.broken = true;
                let name = shown(arguments.get(0), 128).to_uppercase();
                Plan::Refuse(
                    format!("ERR {name} is not allowed in a transaction: send it before MULTI").into(),
                )
            }
            Plan::Read(read) => {
                let op = if let Read::Call(op) = read { op } else { Op::Get };
                let timed = matches!(op, Op::Ttl | Op::PTtl | Op::Time);
                transaction.timed |= timed;
                transaction.begin(self.database);
                command::encode_call(&mut transaction.commands, op, arguments.from(1).iter());
                transaction.add_command(called, Print::Ok)
            }
            Plan::Write(write) => {
                transaction.timed |= write.is_timed();
                let database = transaction.database.unwrap_or(self.database);
                if let Some(act) = acts::of(&write, arguments, database) {
                    transaction.acts.add(act);
                }
                transaction.begin(self.database);
                let print = encode(&write, arguments, &mut transaction.commands);
                transaction.add_command(called, print)
            }
        }
    }

    fn execute(&mut self) -> Plan {
        let transaction = self.transaction.as_ref().expect("a transaction has begun");
        if transaction.broken {
            self.abandon();
            return Plan::Refuse(ABORTED.into());
        }
        Plan::Write(Write::Transaction)
    }

    /// Whether a command of a transaction is refused already when it comes, since it needs memory and there is none: by this
    /// server's state, which has all that this client has been answered. The transaction is not executed then. If there is
    /// none by the time of EXEC only, that is refused.
    pub(super) fn may_not_queue(&mut self, arguments: Arguments<'_>, reader: &KvReader) -> bool {
        let needs_memory = |spec: &Spec| spec.takes(arguments.len()) && spec.needs_memory();
        let is_refused = self.transaction.is_some()
            && reader.is_out_of_memory()
            && Spec::find(arguments.get(0)).is_some_and(needs_memory);
        if is_refused {
            self.refused();
            reader.count_short();
        }
        is_refused
    }

    /// A command was refused before it could be planned, so a transaction that it belongs to is not executed. Returns whether
    /// there is one.
    pub(super) fn refused(&mut self) -> bool {
        self.transaction.as_mut().map(|transaction| transaction.broken = true).is_some()
    }

    /// Whether the transaction that is about to be executed carries the time.
    pub(super) fn is_timed(&self) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| transaction.timed)
    }

    /// Which commands of Redis the transaction has.
    pub(super) fn called(&self) -> impl ExactSizeIterator<Item = Op> {
        let called = self.transaction.as_ref().map_or(&[][..], |transaction| &transaction.called);
        called.iter().copied()
    }

    /// What the transaction does that administers the cluster, if it does.
    pub(super) fn act(&self) -> Option<String> {
        self.transaction.as_ref().and_then(|transaction| transaction.acts.in_words())
    }

    /// Whether a command of the transaction may change something, or tell others of something.
    pub(super) fn changes_something(&self) -> bool {
        self.called().any(|op| !Spec::of(op).is_read() && !matches!(op, Op::EvalRo | Op::EvalShaRo))
    }

    /// Bytes of the commands that wait for EXEC, and of watched keys.
    pub(super) fn held(&self) -> usize {
        let of = |transaction: &Transaction| transaction.commands.capacity() + transaction.acts.bytes();
        let commands = self.transaction.as_ref().map_or(0, of);
        commands + self.watched.iter().map(|watched| watched.key.len()).sum::<usize>()
    }

    /// Drops the transaction: it is not executed.
    pub(super) fn abandon(&mut self) {
        self.transaction = None;
        self.watched.clear();
    }

    /// Appends the transaction as a command, and returns what its reply shows.
    pub(super) fn take(&mut self, out: &mut Vec<u8>) -> Vec<Part> {
        let Transaction { commands, ends, parts, database, .. } =
            self.transaction.take().expect("a transaction has begun");
        let watched = std::mem::take(&mut self.watched);
        let own = self.database;
        self.database = database.unwrap_or(own);
        let starts = [0].into_iter().chain(ends.iter().copied());
        let each: Vec<&[u8]> = starts.zip(&ends).map(|(start, end)| &commands[start..*end]).collect();
        let watched = watched.iter().map(|Watched { key, database, version }| Watch {
            key,
            database: Some(*database).filter(|database| *database != own),
            version: *version,
        });
        command::encode_block(out, watched, each.into_iter());
        parts
    }

    /// Watches a key in its present version. One that is watched already stays as it was.
    pub(super) fn watch(&mut self, key: &[u8], version: Option<Version>) {
        let database = self.database;
        if !self.watched.iter().any(|watched| watched.key == key && watched.database == database) {
            self.watched.push(Watched { key: key.to_vec(), database, version });
        }
    }

    /// Whether a transaction has begun.
    pub(super) fn is_open(&self) -> bool {
        self.transaction.is_some()
    }

    /// How many commands the transaction has; -1 if there is none.
    pub(super) fn queued(&self) -> isize {
        self.transaction.as_ref().map_or(-1, |transaction| transaction.parts.len() as isize)
    }

    /// The database that was selected.
    pub(super) fn database(&self) -> Database {
        self.database
    }

    /// Whether no more keys can be watched.
    pub(super) fn watches_too_many(&self, more: usize) -> bool {
        self.watched.len() + more > MAX_BLOCK_COMMANDS
    }
}

impl Transaction {
    /// Begins a command, in another database than the transaction's if that was selected.
    fn begin(&mut self, own: Database) {
        if let Some(database) = self.database.filter(|database| *database != own) {
            command::encode_in(&mut self.commands, database);
        }
    }

    fn add(&mut self, part: Part) -> Plan {
        if self.parts.len() >= MAX_BLOCK_COMMANDS || self.commands.len() > MAX_TRANSACTION_BYTES {
            self.broken = true;
            return Plan::Refuse(
                format!(
                    "ERR a transaction has at most {MAX_BLOCK_COMMANDS} commands and {MAX_TRANSACTION_BYTES} bytes: send several"
                )
                .into(),
            );
        }
        self.parts.push(part);
        Plan::Local(Local::Queued)
    }

    fn add_command(&mut self, called: Option<Op>, print: Print) -> Plan {
        self.called.push(called.expect("what the log carries has a number"));
        self.ends.push(self.commands.len());
        self.add(Part::Command(print))
    }
}

impl Plan {
    /// What a server can answer by itself outside of a transaction need not be read.
    fn outside(self) -> Plan {
        match self {
            Plan::Read(Read::Call(Op::Ping)) => Plan::Local(Local::Ping),
            Plan::Read(Read::Call(Op::Echo)) => Plan::Local(Local::Echo),
            Plan::Invalid(text) => Plan::Refuse(text),
            plan => plan,
        }
    }
}

/// Whether a read may be executed between commands, where everybody waits for it.
pub(super) fn is_quick(op: Op) -> bool {
    let spec = Spec::of(op);
    spec.keys.first != 0 && op != Op::Lcs
}
