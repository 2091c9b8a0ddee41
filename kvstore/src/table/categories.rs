//! The categories of commands, by which rights are given: those of Redis.

use super::{Does, Group, Spec};

/// All of them, in the order of their bits.
pub(crate) const NAMES: [&str; 21] = [
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

const KEYSPACE: u32 = 1;
const READ: u32 = 1 << 1;
const WRITE: u32 = 1 << 2;
const STRING: u32 = 1 << 7;
const BITMAP: u32 = 1 << 8;
const PUBSUB: u32 = 1 << 12;
const ADMIN: u32 = 1 << 13;
const FAST: u32 = 1 << 14;
const SLOW: u32 = 1 << 15;
const DANGEROUS: u32 = 1 << 17;
const CONNECTION: u32 = 1 << 18;
const TRANSACTION: u32 = 1 << 19;
const SCRIPTING: u32 = 1 << 20;

/// Commands that take the same short time whatever they are given.
const QUICK: [&str; 50] = [
    "APPEND",
    "ASKING",
    "AUTH",
    "BITFIELD_RO",
    "DBSIZE",
    "DECR",
    "DECRBY",
    "DISCARD",
    "ECHO",
    "EXISTS",
    "EXPIRE",
    "EXPIREAT",
    "EXPIRETIME",
    "GET",
    "GETBIT",
    "GETDEL",
    "GETEX",
    "GETSET",
    "HELLO",
    "INCR",
    "INCRBY",
    "INCRBYFLOAT",
    "MGET",
    "MOVE",
    "MULTI",
    "PERSIST",
    "PEXPIRE",
    "PEXPIREAT",
    "PEXPIRETIME",
    "PING",
    "PTTL",
    "PUBLISH",
    "QUIT",
    "READONLY",
    "READWRITE",
    "RENAMENX",
    "RESET",
    "ROLE",
    "SELECT",
    "SETNX",
    "SPUBLISH",
    "STRLEN",
    "SWAPDB",
    "TIME",
    "TOUCH",
    "TTL",
    "TYPE",
    "UNLINK",
    "UNWATCH",
    "WATCH",
];

/// A set of categories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Categories(u32);

impl Categories {
    /// The category of a name, in any case.
    pub(crate) fn named(name: &[u8]) -> Option<Categories> {
        let at = NAMES.iter().position(|known| super::is(name, known))?;
        Some(Categories(1 << at))
    }

    /// Whether a command takes the same short time whatever it is given.
    pub(crate) fn are_fast(self) -> bool {
        self.0 & FAST != 0
    }

    /// Whether they have one in common.
    pub(crate) fn meet(self, other: Categories) -> bool {
        self.0 & other.0 != 0
    }

    /// Their names.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().enumerate().filter(move |(at, _)| self.0 & 1 << at != 0).map(|(_, name)| name)
    }

    /// Those of a command.
    pub(crate) fn of(spec: &Spec) -> Categories {
        let is_quick = QUICK.contains(&spec.name);
        let pace = if is_quick { FAST } else { SLOW };
        Categories(
            pace | match spec.name {
                // What they do depends on the subcommand.
                "ACL" | "CLIENT" | "CLUSTER" | "CONFIG" | "LATENCY" | "MEMORY" | "OBJECT" | "PUBSUB"
                | "SCRIPT" | "SENTINEL" | "SLOWLOG" | "TIME" => 0,
                "COMMAND" | "WAIT" => CONNECTION,
                "DBSIZE" => KEYSPACE | READ,
                "FLUSHALL" | "FLUSHDB" | "RESTORE" | "SWAPDB" => KEYSPACE | WRITE | DANGEROUS,
                "INFO" => DANGEROUS,
                "KEYS" => KEYSPACE | READ | DANGEROUS,
                "FAILOVER" | "ROLE" => ADMIN | DANGEROUS,
                _ => of_group(spec.group, spec.does),
            },
        )
    }

    /// Those of a subcommand.
    pub(crate) fn of_subcommand(command: &str, subcommand: &str) -> Categories {
        let is_harmless = match command {
            "ACL" => matches!(subcommand, "CAT" | "GENPASS" | "WHOAMI" | "HELP"),
            "CLIENT" => !matches!(subcommand, "KILL" | "LIST" | "NO-EVICT" | "PAUSE" | "UNBLOCK" | "UNPAUSE"),
            "CLUSTER" => !matches!(subcommand, "FAILOVER" | "REPLICAS" | "SLAVES"),
            "CONFIG" | "LATENCY" | "SENTINEL" | "SLOWLOG" => subcommand == "HELP",
            _ => true,
        };
        let group = match command {
            "CLIENT" | "COMMAND" => CONNECTION,
            "MEMORY" if subcommand == "USAGE" => READ,
            "OBJECT" if subcommand == "HELP" => KEYSPACE,
            "OBJECT" => KEYSPACE | READ,
            "PUBSUB" if subcommand != "HELP" => PUBSUB,
            "SCRIPT" => SCRIPTING,
            _ => 0,
        };
        Categories(SLOW | group | if is_harmless { 0 } else { ADMIN | DANGEROUS })
    }
}

fn of_group(group: Group, does: Does) -> u32 {
    let access = match does {
        Does::Compact(_) | Does::Write(_) | Does::TimedWrite(_) => WRITE,
        Does::Read(_) => READ,
        Does::Local(_) => 0,
    };
    match group {
        Group::Generic => KEYSPACE | access,
        Group::String => STRING | access,
        Group::Bitmap => BITMAP | access,
        Group::Transactions => TRANSACTION,
        Group::Scripting => SCRIPTING,
        Group::PubSub => PUBSUB,
        Group::Connection | Group::Cluster => CONNECTION,
        Group::Server | Group::Sentinel => access,
    }
}

#[cfg(test)]
mod tests {
    use super::super::COMMANDS;
    use super::*;

    fn names(command: &str) -> String {
        let spec = Spec::find(command.as_bytes()).expect("it is a command");
        Categories::of(spec).names().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn commands_are_in_the_categories_that_redis_puts_them_into() {
        for (command, categories) in [
            ("GET", "read string fast"),
            ("SET", "write string slow"),
            ("DEL", "keyspace write slow"),
            ("KEYS", "keyspace read slow dangerous"),
            ("BITOP", "write bitmap slow"),
            ("EVAL", "slow scripting"),
            ("EXEC", "slow transaction"),
            ("PUBLISH", "pubsub fast"),
            ("AUTH", "fast connection"),
            ("ROLE", "admin fast dangerous"),
            ("FAILOVER", "admin slow dangerous"),
            ("FLUSHALL", "keyspace write slow dangerous"),
            ("TIME", "fast"),
            ("ACL", "slow"),
            ("SLOWLOG", "slow"),
            ("WAIT", "slow connection"),
        ] {
            assert_eq!(names(command), categories, "{command}");
        }
        let of = |command, sub| Categories::of_subcommand(command, sub).names().collect::<Vec<_>>().join(" ");
        for sub in ["KILL", "LIST", "NO-EVICT", "PAUSE", "UNBLOCK", "UNPAUSE"] {
            assert_eq!(of("CLIENT", sub), "admin slow dangerous connection", "{sub}");
        }
        assert_eq!(of("CLIENT", "INFO"), "slow connection");
        assert_eq!(of("ACL", "SETUSER"), "admin slow dangerous");
        assert_eq!(of("ACL", "WHOAMI"), "slow");
        assert_eq!(of("CLUSTER", "FAILOVER"), "admin slow dangerous");
        assert_eq!(of("SENTINEL", "FAILOVER"), "admin slow dangerous");
        assert_eq!(of("SLOWLOG", "GET"), "admin slow dangerous");
        assert_eq!(of("MEMORY", "USAGE"), "read slow");
        assert_eq!(of("MEMORY", "STATS"), "slow");
        assert_eq!(of("OBJECT", "HELP"), "keyspace slow");
    }

    #[test]
    fn every_quick_command_exists() {
        for name in &QUICK {
            assert!(COMMANDS.iter().any(|spec| spec.name == *name), "{name}");
        }
    }
}
