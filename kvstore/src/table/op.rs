//! Numbers of the commands that read or change the state.

macro_rules! ops {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// A command that reads or changes the state. Its number stands in logs, and never changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "the names are those of the commands of Redis")]
        #[non_exhaustive]
        #[repr(u16)]
        pub enum Op {
            $($name = $number,)*
        }

        impl Op {
            /// The command with this number, if this release knows it.
            pub fn of(number: u16) -> Option<Op> {
                match number {
                    $($number => Some(Op::$name),)*
                    _ => None,
                }
            }

            /// All of them.
            pub fn all() -> impl Iterator<Item = Op> {
                [$(Op::$name,)*].into_iter()
            }
        }
    };
}

// Numbers are never reused. Hashes begin at 200, lists at 300, sets at 400, sorted sets at 500, streams at 600.
ops! {
    Get = 1,
    Set = 2,
    IncrBy = 3,
    Incr = 4,
    Decr = 5,
    DecrBy = 6,
    Append = 7,
    StrLen = 8,
    SetNx = 9,
    GetSet = 10,
    MGet = 11,
    MSet = 12,
    MSetNx = 13,
    SetEx = 14,
    PSetEx = 15,
    GetEx = 16,
    GetDel = 17,
    GetRange = 18,
    SubStr = 19,
    SetRange = 20,
    IncrByFloat = 21,
    Lcs = 22,
    Put = 23,
    SetBit = 40,
    GetBit = 41,
    BitCount = 42,
    BitPos = 43,
    BitOp = 44,
    BitField = 45,
    BitFieldRo = 46,
    Del = 60,
    Unlink = 61,
    Exists = 62,
    Type = 63,
    Touch = 64,
    Expire = 65,
    PExpire = 66,
    ExpireAt = 67,
    PExpireAt = 68,
    Ttl = 69,
    PTtl = 70,
    ExpireTime = 71,
    PExpireTime = 72,
    Persist = 73,
    Keys = 74,
    Scan = 75,
    RandomKey = 76,
    Rename = 77,
    RenameNx = 78,
    Copy = 79,
    Object = 80,
    Memory = 86,
    Dump = 87,
    Restore = 88,
    DbSize = 81,
    FlushAll = 82,
    FlushDb = 83,
    Move = 84,
    SwapDb = 85,
    Eval = 90,
    EvalRo = 91,
    EvalSha = 92,
    EvalShaRo = 93,
    Script = 94,
    Ping = 100,
    Echo = 101,
    Time = 102,
    Publish = 110,
    SPublish = 111,
    Config = 120,
}
