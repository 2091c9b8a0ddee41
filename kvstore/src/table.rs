//! The commands of the Redis protocol: one table, from which everything that is known of a command follows.
//!
//! Which requests are valid, where their keys are, what `COMMAND` tells clients, the help of `redis-cli` and
//! the list in `docs/redis.md` come from [`COMMANDS`]. What a command does is a function in `state::calls`, or
//! `resp` for commands about the connection.
//!
//! | file | holds |
//! |---|---|
//! | `op.rs` | the numbers of the commands that read or change the state, as the log carries them |
//! | `commands.rs` | the table |
//! | `keys.rs` | which arguments are keys |
//! | `access.rs` | what commands do with their keys |
//! | `containers.rs` | the subcommands of commands |
//! | `categories.rs` | the categories of commands, by which rights are given |
//! | `syntax.rs` | a command's arguments, read from the line that describes them |

mod access;
mod categories;
mod commands;
mod containers;
mod keys;
mod op;
mod syntax;

use std::sync::OnceLock;

pub(crate) use access::Use;
pub(crate) use categories::{Categories, NAMES as CATEGORIES};
pub(crate) use commands::COMMANDS;
pub(crate) use containers::subcommands;
pub(crate) use keys::Keys;
pub use op::Op;
pub(crate) use syntax::{Argument, Kind};

/// A command of the Redis protocol.
#[derive(Debug)]
pub(crate) struct Spec {
    /// In capitals.
    pub(crate) name: &'static str,
    /// The number of words with the name; below zero, at least that many.
    pub(crate) arity: i8,
    pub(crate) keys: Keys,
    pub(crate) group: Group,
    /// The version of Redis that introduced it.
    pub(crate) since: &'static str,
    /// Its arguments, as the manual of Redis writes them.
    pub(crate) syntax: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) does: Does,
}

/// What executes a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    /// The state machine, at a position of the log, by a command of its own.
    Compact(Op),
    /// The state machine, by a call with the client's words.
    Write(Op),
    /// The same, and the command carries the time of the server that took it.
    TimedWrite(Op),
    /// A look at the state.
    Read(Op),
    /// The server that took it, by itself.
    Local(Local),
}

/// A command about a connection or its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Local {
    Acl,
    Asking,
    Auth,
    Client,
    Cluster,
    Command,
    Discard,
    Exec,
    Failover,
    Hello,
    Info,
    Latency,
    Multi,
    PSubscribe,
    PUnsubscribe,
    PubSub,
    Quit,
    ReadOnly,
    ReadWrite,
    Reset,
    Role,
    SSubscribe,
    SUnsubscribe,
    Select,
    Sentinel,
    SlowLog,
    Subscribe,
    Unsubscribe,
    Unwatch,
    Wait,
    Watch,
}

/// Where the manual of Redis lists a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    Generic,
    String,
    Bitmap,
    Transactions,
    Scripting,
    PubSub,
    Connection,
    Server,
    Cluster,
    Sentinel,
}

impl Group {
    /// As `COMMAND DOCS` names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Group::Generic => "generic",
            Group::String => "string",
            Group::Bitmap => "bitmap",
            Group::Transactions => "transactions",
            Group::Scripting => "scripting",
            Group::PubSub => "pubsub",
            Group::Connection => "connection",
            Group::Server => "server",
            Group::Cluster => "cluster",
            Group::Sentinel => "sentinel",
        }
    }
}

/// Whether a client's word is this one, in any case.
pub(crate) fn is(word: &[u8], name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

impl Spec {
    /// Finds a command by its name, in any case.
    pub(crate) fn find(name: &[u8]) -> Option<&'static Spec> {
        // The commonest come first in the table.
        if let Some(spec) = COMMANDS[..HOT].iter().find(|spec| is(name, spec.name)) {
            return Some(spec);
        }
        static SORTED: OnceLock<Vec<&Spec>> = OnceLock::new();
        let sorted = SORTED.get_or_init(|| {
            let mut all: Vec<&Spec> = COMMANDS.iter().collect();
            all.sort_unstable_by_key(|spec| spec.name);
            all
        });
        let capitals = || name.iter().map(u8::to_ascii_uppercase);
        let at = sorted.binary_search_by(|spec| spec.name.bytes().cmp(capitals())).ok()?;
        Some(sorted[at])
    }

    /// The command that a number stands for.
    pub(crate) fn of(op: Op) -> &'static Spec {
        static BY_OP: OnceLock<Vec<Option<&Spec>>> = OnceLock::new();
        let by_op = BY_OP.get_or_init(|| {
            let number = |spec: &Spec| spec.op().map(|op| op as usize);
            let most = COMMANDS.iter().filter_map(number).max().unwrap_or(0);
            let mut by_op = vec![None; most + 1];
            for spec in &COMMANDS {
                if let Some(number) = number(spec) {
                    by_op[number] = Some(spec);
                }
            }
            by_op
        });
        by_op[op as usize].expect("a test checks that the table has every number")
    }

    /// Its place in the table.
    pub(crate) fn place(&self) -> usize {
        (std::ptr::from_ref(self).addr() - COMMANDS.as_ptr().addr()) / size_of::<Spec>()
    }

    /// Its number, if it reads or changes the state.
    pub(crate) fn op(&self) -> Option<Op> {
        match self.does {
            Does::Compact(op) | Does::Write(op) | Does::TimedWrite(op) | Does::Read(op) => Some(op),
            Does::Local(_) => None,
        }
    }

    /// Whether the log may carry it as a call.
    pub(crate) fn is_call(&self) -> bool {
        matches!(self.does, Does::Write(_) | Does::TimedWrite(_) | Does::Read(_))
    }

    /// Whether it changes nothing.
    pub(crate) fn is_read(&self) -> bool {
        matches!(self.does, Does::Read(_))
    }

    /// Whether it is refused when keys and values take more than they may.
    pub(crate) fn needs_memory(&self) -> bool {
        self.op().is_some_and(|op| {
            matches!(
                op,
                Op::Append
                    | Op::BitField
                    | Op::BitOp
                    | Op::Copy
                    | Op::Decr
                    | Op::DecrBy
                    | Op::GetSet
                    | Op::Incr
                    | Op::IncrBy
                    | Op::IncrByFloat
                    | Op::MSet
                    | Op::MSetNx
                    | Op::PSetEx
                    | Op::Put
                    | Op::Restore
                    | Op::Set
                    | Op::SetBit
                    | Op::SetEx
                    | Op::SetNx
                    | Op::SetRange
            )
        })
    }

    /// Whether it changes keys, so that a script that has called it cannot be stopped without a trace.
    pub(crate) fn changes_keys(&self) -> bool {
        self.flags().contains(&"write")
    }

    /// Whether a read of its keys is a use of them; it is none if somebody only asks what there is.
    pub(crate) fn uses_keys(&self) -> bool {
        let looks = ["EXISTS", "TYPE", "TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME", "MEMORY", "OBJECT"];
        self.is_read() && !looks.contains(&self.name)
    }

    /// Whether so many words, with the name, can be this command.
    pub(crate) fn takes(&self, words: usize) -> bool {
        let least = usize::from(self.arity.unsigned_abs());
        if self.arity < 0 { words >= least } else { words == least }
    }

    /// Whether a value is missing behind a key.
    pub(crate) fn lacks_value(&self, words: usize) -> bool {
        self.keys.step == 2 && words.is_multiple_of(2)
    }

    /// What `COMMAND INFO` says of it, but for `fast`, which is a [category](Categories).
    pub(crate) fn flags(&self) -> &'static [&'static str] {
        if matches!(self.does, Does::Write(Op::Publish | Op::SPublish)) {
            return &["pubsub", "loading", "stale"];
        }
        if self.group == Group::PubSub {
            return &["pubsub", "noscript", "loading", "stale"];
        }
        match self.does {
            Does::Write(Op::Config) => &["admin", "noscript", "loading", "stale"],
            Does::TimedWrite(Op::Eval | Op::EvalRo | Op::EvalSha | Op::EvalShaRo) => {
                &["noscript", "stale", "no_mandatory_keys", "movablekeys"]
            }
            Does::Compact(_) | Does::Write(_) | Does::TimedWrite(_) if self.needs_memory() => {
                &["write", "denyoom"]
            }
            Does::Compact(_) | Does::Write(_) | Does::TimedWrite(_) => &["write"],
            Does::Read(_) => &["readonly"],
            Does::Local(Local::Auth | Local::Hello | Local::Quit | Local::Reset) => {
                &["noscript", "loading", "stale", "no_auth"]
            }
            Does::Local(Local::Failover) => &["admin", "noscript", "stale"],
            Does::Local(_) => &["noscript", "loading", "stale"],
        }
    }
}

/// So many commands are looked for one by one.
const HOT: usize = 6;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_command_is_found_by_its_name_and_by_its_number() {
        let mut names = BTreeSet::new();
        let mut ops = BTreeSet::new();
        for spec in &COMMANDS {
            assert!(names.insert(spec.name), "{} occurs twice", spec.name);
            assert_eq!(Spec::find(spec.name.to_lowercase().as_bytes()).unwrap().name, spec.name);
            assert_eq!(COMMANDS[spec.place()].name, spec.name);
            if let Some(op) = spec.op() {
                assert!(ops.insert(op), "{op:?} occurs twice");
                assert_eq!(Spec::of(op).name, spec.name);
            }
        }
        assert_eq!(Spec::find(b"GETX").map(|spec| spec.name), None);
        assert_eq!(ops, Op::all().collect(), "the table has every number");
    }

    /// `docs/redis.md` has the table. NIAGARA_BLESS=1 writes it.
    #[test]
    fn the_documentation_lists_all_commands() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/redis.md");
        let Ok(page) = std::fs::read_to_string(path) else {
            // The package alone has no documentation of the whole.
            return;
        };
        let (begin, end) = ("<!-- commands -->\n", "<!-- end of commands -->");
        let from = page.find(begin).expect("the page marks the begin of the table") + begin.len();
        let to = page.find(end).expect("the page marks the end of the table");
        let mut all: Vec<&Spec> = COMMANDS.iter().collect();
        all.sort_unstable_by_key(|spec| (spec.group, spec.name));
        let mut table = String::from("| command | what it does | since |\n|---|---|---|\n");
        for spec in all {
            let call = format!("{} {}", spec.name, spec.syntax.replace('|', "\\|"));
            table += &format!("| `{}` | {} | {} |\n", call.trim_end(), spec.summary, spec.since);
        }
        if std::env::var_os("NIAGARA_BLESS").is_some() {
            std::fs::write(path, [&page[..from], &table, &page[to..]].concat()).unwrap();
        } else {
            assert!(page[from..to] == table, "run again with NIAGARA_BLESS=1 to write the table into {path}");
        }
    }

    #[test]
    fn what_is_said_of_a_command_fits_together() {
        for spec in &COMMANDS {
            let arguments = Argument::parse(spec.syntax);
            assert!(arguments.is_ok(), "{}: {arguments:?}", spec.name);
            let least = 1 + arguments.unwrap().iter().map(Argument::least).sum::<usize>();
            let arity = usize::from(spec.arity.unsigned_abs());
            assert!(least <= arity, "{}: its syntax needs {least} words, its arity {arity}", spec.name);
            assert!(spec.keys.first <= arity, "{}", spec.name);
            assert!(spec.summary.ends_with('.'), "{}", spec.name);
        }
    }
}
