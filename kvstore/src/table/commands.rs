//! The table of commands.

use super::Does::{Compact, Local as By, Read, TimedWrite, Write};
use super::{Group, Keys, Local, Op, Spec};

type Texts = (&'static str, &'static str, &'static str);

const fn spec(
    name: &'static str,
    arity: i8,
    keys: Keys,
    group: Group,
    does: super::Does,
    texts: Texts,
) -> Spec {
    let (since, syntax, summary) = texts;
    Spec { name, arity, keys, group, since, syntax, summary, does }
}

const NO: Keys = Keys::NONE;
const KEY: Keys = Keys::FIRST;

/// All commands, the most frequent first.
#[rustfmt::skip]
pub(crate) static COMMANDS: [Spec; 78] = [
    spec("GET", 2, KEY, Group::String, Read(Op::Get), ("1.0.0", "key", "Returns the value of a key.")),
    spec("SET", -3, KEY, Group::String, TimedWrite(Op::Set), ("1.0.0", "key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]", "Sets the value of a key, and when it expires.")),
    spec("INCR", 2, KEY, Group::String, Compact(Op::Incr), ("1.0.0", "key", "Adds one to the integer value of a key.")),
    spec("MGET", -2, Keys::ALL, Group::String, Read(Op::MGet), ("1.0.0", "key ..", "Returns the values of several keys at one moment.")),
    spec("DEL", -2, Keys::ALL, Group::Generic, Compact(Op::Del), ("1.0.0", "key ..", "Removes keys.")),
    spec("PING", -1, NO, Group::Connection, Read(Op::Ping), ("1.0.0", "[message]", "Answers PONG, or the message.")),
    spec("MSET", -3, Keys::PAIRS, Group::String, Compact(Op::MSet), ("1.0.1", "(key value) ..", "Sets several keys at once.")),
    spec("EXISTS", -2, Keys::ALL, Group::Generic, Read(Op::Exists), ("1.0.0", "key ..", "Counts the keys that exist.")),
    spec("INCRBY", 3, KEY, Group::String, Compact(Op::IncrBy), ("1.0.0", "key increment", "Adds to the integer value of a key.")),
    spec("DECR", 2, KEY, Group::String, Compact(Op::Decr), ("1.0.0", "key", "Subtracts one from the integer value of a key.")),
    spec("DECRBY", 3, KEY, Group::String, Compact(Op::DecrBy), ("1.0.0", "key decrement", "Subtracts from the integer value of a key.")),
    spec("INCRBYFLOAT", 3, KEY, Group::String, Write(Op::IncrByFloat), ("2.6.0", "key increment", "Adds a floating-point number to the value of a key.")),
    spec("APPEND", 3, KEY, Group::String, Compact(Op::Append), ("2.0.0", "key value", "Appends to the value of a key.")),
    spec("STRLEN", 2, KEY, Group::String, Read(Op::StrLen), ("2.2.0", "key", "Returns the length of a value in bytes.")),
    spec("SETEX", 4, KEY, Group::String, TimedWrite(Op::SetEx), ("2.0.0", "key seconds value", "Sets the value of a key that expires after some seconds.")),
    spec("PSETEX", 4, KEY, Group::String, TimedWrite(Op::PSetEx), ("2.6.0", "key milliseconds value", "Sets the value of a key that expires after some milliseconds.")),
    spec("SETNX", 3, KEY, Group::String, Compact(Op::SetNx), ("1.0.0", "key value", "Sets the value of a key that does not exist.")),
    spec("GETSET", 3, KEY, Group::String, Compact(Op::GetSet), ("1.0.0", "key value", "Sets the value of a key, and returns the previous one.")),
    spec("GETEX", -2, KEY, Group::String, TimedWrite(Op::GetEx), ("6.2.0", "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]", "Returns the value of a key, and sets when it expires.")),
    spec("GETDEL", 2, KEY, Group::String, Write(Op::GetDel), ("6.2.0", "key", "Returns the value of a key, and removes it.")),
    spec("GETRANGE", 4, KEY, Group::String, Read(Op::GetRange), ("2.4.0", "key start end", "Returns a part of a value.")),
    spec("SUBSTR", 4, KEY, Group::String, Read(Op::SubStr), ("1.0.0", "key start end", "Returns a part of a value, like GETRANGE.")),
    spec("SETRANGE", 4, KEY, Group::String, Write(Op::SetRange), ("2.2.0", "key offset value", "Overwrites a part of a value.")),
    spec("MSETNX", -3, Keys::PAIRS, Group::String, Compact(Op::MSetNx), ("1.0.1", "(key value) ..", "Sets several keys at once, if none of them exists.")),
    spec("LCS", -3, Keys::TWO, Group::String, Read(Op::Lcs), ("7.0.0", "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]", "Finds the longest common subsequence of two values.")),
    spec("NIAGARA.PUT", -5, KEY, Group::String, TimedWrite(Op::Put), ("0.1.0", "key value content-type content-encoding [PXAT unix-time-milliseconds]", "Sets the value of a key with its HTTP headers, and when it expires.")),
    spec("SETBIT", 4, KEY, Group::Bitmap, Write(Op::SetBit), ("2.2.0", "key offset value", "Sets a bit of a value, and returns the previous one.")),
    spec("GETBIT", 3, KEY, Group::Bitmap, Read(Op::GetBit), ("2.2.0", "key offset", "Returns a bit of a value.")),
    spec("BITCOUNT", -2, KEY, Group::Bitmap, Read(Op::BitCount), ("2.6.0", "key [start end [BYTE | BIT]]", "Counts the bits that are set in a value.")),
    spec("BITPOS", -3, KEY, Group::Bitmap, Read(Op::BitPos), ("2.8.7", "key bit [start [end [BYTE | BIT]]]", "Finds the first bit that is set, or clear, in a value.")),
    spec("BITOP", -4, Keys::FROM_SECOND, Group::Bitmap, Write(Op::BitOp), ("2.6.0", "(AND | OR | XOR | NOT) destkey key ..", "Combines values bit by bit, and stores the result.")),
    spec("BITFIELD", -2, KEY, Group::Bitmap, Write(Op::BitField), ("3.2.0", "key [[GET encoding offset | [OVERFLOW (WRAP | SAT | FAIL)] (SET encoding offset value | INCRBY encoding offset increment)] ..]", "Reads and changes integers of any width in a value.")),
    spec("BITFIELD_RO", -2, KEY, Group::Bitmap, Read(Op::BitFieldRo), ("6.0.0", "key [(GET encoding offset) ..]", "Reads integers of any width in a value.")),
    spec("UNLINK", -2, Keys::ALL, Group::Generic, Compact(Op::Unlink), ("4.0.0", "key ..", "Removes keys, like DEL.")),
    spec("TYPE", 2, KEY, Group::Generic, Read(Op::Type), ("1.0.0", "key", "Returns the type of a value.")),
    spec("TOUCH", -2, Keys::ALL, Group::Generic, Read(Op::Touch), ("3.2.1", "key ..", "Counts the keys that exist; nothing else is kept of accesses.")),
    spec("EXPIRE", -3, KEY, Group::Generic, TimedWrite(Op::Expire), ("1.0.0", "key seconds [NX | XX | GT | LT]", "Sets in how many seconds a key expires.")),
    spec("PEXPIRE", -3, KEY, Group::Generic, TimedWrite(Op::PExpire), ("2.6.0", "key milliseconds [NX | XX | GT | LT]", "Sets in how many milliseconds a key expires.")),
    spec("EXPIREAT", -3, KEY, Group::Generic, TimedWrite(Op::ExpireAt), ("1.2.0", "key unix-time-seconds [NX | XX | GT | LT]", "Sets the second in which a key expires.")),
    spec("PEXPIREAT", -3, KEY, Group::Generic, TimedWrite(Op::PExpireAt), ("2.6.0", "key unix-time-milliseconds [NX | XX | GT | LT]", "Sets the millisecond in which a key expires.")),
    spec("TTL", 2, KEY, Group::Generic, Read(Op::Ttl), ("1.0.0", "key", "Returns in how many seconds a key expires.")),
    spec("PTTL", 2, KEY, Group::Generic, Read(Op::PTtl), ("2.6.0", "key", "Returns in how many milliseconds a key expires.")),
    spec("EXPIRETIME", 2, KEY, Group::Generic, Read(Op::ExpireTime), ("7.0.0", "key", "Returns the second in which a key expires.")),
    spec("PEXPIRETIME", 2, KEY, Group::Generic, Read(Op::PExpireTime), ("7.0.0", "key", "Returns the millisecond in which a key expires.")),
    spec("PERSIST", 2, KEY, Group::Generic, Write(Op::Persist), ("2.2.0", "key", "Makes a key last that would expire.")),
    spec("KEYS", 2, NO, Group::Generic, Read(Op::Keys), ("1.0.0", "pattern", "Returns all keys that match a pattern.")),
    spec("SCAN", -2, NO, Group::Generic, Read(Op::Scan), ("2.8.0", "cursor [MATCH pattern] [COUNT count] [TYPE type]", "Visits keys, a page at a time.")),
    spec("RANDOMKEY", 1, NO, Group::Generic, Read(Op::RandomKey), ("1.0.0", "", "Returns some key.")),
    spec("RENAME", 3, Keys::TWO, Group::Generic, Write(Op::Rename), ("1.0.0", "key newkey", "Renames a key.")),
    spec("RENAMENX", 3, Keys::TWO, Group::Generic, Write(Op::RenameNx), ("1.0.0", "key newkey", "Renames a key, if the new name is free.")),
    spec("COPY", -3, Keys::TWO, Group::Generic, Write(Op::Copy), ("6.2.0", "source destination [DB destination-db] [REPLACE]", "Copies the value of a key to another one.")),
    spec("OBJECT", -2, Keys::SECOND, Group::Generic, Read(Op::Object), ("2.2.3", "subcommand [key]", "Tells how a value is kept.")),
    spec("DBSIZE", 1, NO, Group::Server, Read(Op::DbSize), ("1.0.0", "", "Counts the keys.")),
    spec("FLUSHALL", -1, NO, Group::Server, Compact(Op::FlushAll), ("1.0.0", "[ASYNC | SYNC]", "Removes all keys.")),
    spec("FLUSHDB", -1, NO, Group::Server, Compact(Op::FlushDb), ("1.0.0", "[ASYNC | SYNC]", "Removes all keys of the database.")),
    spec("TIME", 1, NO, Group::Server, Read(Op::Time), ("2.6.0", "", "Returns the time of the cluster.")),
    spec("ECHO", 2, NO, Group::Connection, Read(Op::Echo), ("1.0.0", "message", "Returns the message.")),
    spec("EVAL", -3, NO, Group::Scripting, TimedWrite(Op::Eval), ("2.6.0", "script numkeys [key ..] [arg ..]", "Executes a script in Lua.")),
    spec("EVAL_RO", -3, NO, Group::Scripting, TimedWrite(Op::EvalRo), ("7.0.0", "script numkeys [key ..] [arg ..]", "Executes a script in Lua that must not write.")),
    spec("EVALSHA", -3, NO, Group::Scripting, TimedWrite(Op::EvalSha), ("2.6.0", "sha1 numkeys [key ..] [arg ..]", "Executes a script that the server knows, by its digest.")),
    spec("EVALSHA_RO", -3, NO, Group::Scripting, TimedWrite(Op::EvalShaRo), ("7.0.0", "sha1 numkeys [key ..] [arg ..]", "The same for a script that must not write.")),
    spec("SCRIPT", -2, NO, Group::Scripting, Write(Op::Script), ("2.6.0", "subcommand [argument ..]", "Loads scripts, says which are known, forgets them.")),
    spec("MULTI", 1, NO, Group::Transactions, By(Local::Multi), ("1.2.0", "", "Begins a transaction.")),
    spec("EXEC", 1, NO, Group::Transactions, By(Local::Exec), ("1.2.0", "", "Executes the commands of a transaction.")),
    spec("DISCARD", 1, NO, Group::Transactions, By(Local::Discard), ("2.0.0", "", "Drops the commands of a transaction.")),
    spec("WATCH", -2, Keys::ALL, Group::Transactions, By(Local::Watch), ("2.2.0", "key ..", "Executes the next transaction only if these keys do not change before.")),
    spec("UNWATCH", 1, NO, Group::Transactions, By(Local::Unwatch), ("2.2.0", "", "Forgets the watched keys.")),
    spec("SELECT", 2, NO, Group::Connection, By(Local::Select), ("1.0.0", "index", "Selects the database; there is one.")),
    spec("HELLO", -1, NO, Group::Connection, By(Local::Hello), ("6.0.0", "[protover [AUTH username password] [SETNAME clientname]]", "Selects the version of the protocol.")),
    spec("AUTH", -2, NO, Group::Connection, By(Local::Auth), ("1.0.0", "[username] password", "Names the user; there are no passwords.")),
    spec("CLIENT", -2, NO, Group::Connection, By(Local::Client), ("2.4.0", "subcommand [argument ..]", "About this connection.")),
    spec("QUIT", -1, NO, Group::Connection, By(Local::Quit), ("1.0.0", "", "Closes the connection.")),
    spec("RESET", 1, NO, Group::Connection, By(Local::Reset), ("6.2.0", "", "Resets the connection.")),
    spec("COMMAND", -1, NO, Group::Server, By(Local::Command), ("2.8.13", "[subcommand [argument ..]]", "About the commands.")),
    spec("CONFIG", -2, NO, Group::Server, By(Local::Config), ("2.0.0", "subcommand [argument ..]", "Shows some settings.")),
    spec("INFO", -1, NO, Group::Server, By(Local::Info), ("1.0.0", "[section ..]", "About the server.")),
    spec("READONLY", 1, NO, Group::Cluster, By(Local::ReadOnly), ("3.0.0", "", "Lets this connection's reads be weak.")),
    spec("READWRITE", 1, NO, Group::Cluster, By(Local::ReadWrite), ("3.0.0", "", "Makes this connection's reads strong again.")),
];
