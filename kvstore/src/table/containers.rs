//! The subcommands of commands.

const ANY: usize = usize::MAX;

/// A subcommand's name, and its least and greatest number of arguments.
pub(crate) type Known = (&'static str, usize, usize);

/// A command's subcommands, with one line of help for each.
pub(crate) type Container = &'static [(Known, &'static str)];

const ACL: Container = &[
    (("CAT", 0, 1), "[<category>]: the categories, or the commands of one"),
    (("DELUSER", 1, ANY), "<username> ...: removes users"),
    (("DRYRUN", 2, ANY), "<username> <command> [<arg> ...]: whether a user may run a command"),
    (("GENPASS", 0, 1), "[<bits>]: a random password"),
    (("GETUSER", 1, 1), "<username>: the rights of a user"),
    (("LIST", 0, 0), "all users, as rules"),
    (("LOG", 0, 1), "[<count> | RESET]: what this server has refused lately"),
    (("SETUSER", 1, ANY), "<username> [<rule> ...]: makes or changes a user"),
    (("USERS", 0, 0), "the names of all users"),
    (("WHOAMI", 0, 0), "the user of this connection"),
    (("HELP", 0, 0), "this help"),
];

const CLIENT: Container = &[
    (("CACHING", 1, 1), "(YES|NO): whether what the next command reads is tracked"),
    (("GETNAME", 0, 0), "the name of this connection"),
    (
        ("GETREDIR", 0, 0),
        "the id of the client that is told what this one must not use any more; 0: itself; -1: none",
    ),
    (("ID", 0, 0), "the id of this connection"),
    (("INFO", 0, 0), "about this connection"),
    (
        ("KILL", 1, ANY),
        "<ip:port> | (ID|ADDR|LADDR|TYPE|USER|SKIPME) <value> ...: disconnects clients of this server",
    ),
    (("LIST", 0, ANY), "[TYPE (NORMAL|PUBSUB|MASTER|REPLICA) | ID <id> ...]: the clients of this server"),
    (("NO-EVICT", 1, 1), "(ON|OFF): whether others are disconnected first when memory is short"),
    (("NO-TOUCH", 1, 1), "(ON|OFF): accepted; the client's reads count as uses nevertheless"),
    (("PAUSE", 1, 2), "<milliseconds> [WRITE|ALL]: lets the clients of this server wait"),
    (("REPLY", 1, 1), "(ON|OFF|SKIP): whether replies are sent"),
    (("SETINFO", 2, 2), "(LIB-NAME|LIB-VER) <text>: says what client this is"),
    (("SETNAME", 1, 1), "<name>: names this connection"),
    (
        ("TRACKING", 1, ANY),
        "(ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> ...] [OPTIN] [OPTOUT] [NOLOOP]: whether this client is told \
         when what it has read changes",
    ),
    (("TRACKINGINFO", 0, 0), "how this connection tracks"),
    (("UNBLOCK", 1, 2), "<id> [TIMEOUT|ERROR]: 0: no command blocks its client"),
    (("UNPAUSE", 0, 0), "ends a pause"),
    (("HELP", 0, 0), "this help"),
];

const CLUSTER: Container = &[
    (("FAILOVER", 0, 1), "[FORCE|TAKEOVER]: refused: FAILOVER goes to the server that is to hand over"),
    (("INFO", 0, 0), "whether this server serves, and how many are up"),
    (("KEYSLOT", 1, 1), "<key>: the slot of a key"),
    (("MYID", 0, 0), "the id of this server"),
    (("MYSHARDID", 0, 0), "the id of the only shard"),
    (("NODES", 0, 0), "the servers that are up, one a line"),
    (("REPLICAS", 1, 1), "<node-id>: the other servers, as lines of NODES"),
    (("SHARDS", 0, 0), "the servers that are up, in one shard"),
    (("SLAVES", 1, 1), "<node-id>: the same as REPLICAS"),
    (("SLOTS", 0, 0), "the servers that are up; each has all slots"),
    (("HELP", 0, 0), "this help"),
];

const COMMAND: Container = &[
    (("COUNT", 0, 0), "the number of commands"),
    (("DOCS", 0, ANY), "[<command> ...]: what commands do, and their arguments"),
    (("GETKEYS", 1, ANY), "<command> [<arg> ...]: the keys of a command"),
    (("GETKEYSANDFLAGS", 1, ANY), "<command> [<arg> ...]: the keys of a command, and what it does with them"),
    (("INFO", 0, ANY), "[<command> ...]: arity, flags and places of keys"),
    (("LIST", 0, ANY), "[FILTERBY (MODULE <name>|ACLCAT <category>|PATTERN <pattern>)]: names of commands"),
    (("HELP", 0, 0), "this help"),
];

const CONFIG: Container = &[
    (("GET", 1, ANY), "<pattern> ...: some settings; the others are in the server's file"),
    (("RESETSTAT", 0, 0), "does nothing: no counter of INFO starts anew"),
    (("REWRITE", 0, 0), "refused: nothing that CONFIG SET changes is in a file"),
    (("SET", 2, ANY), "<name> <value> ...: changes settings that all servers share"),
    (("HELP", 0, 0), "this help"),
];

const PUBSUB: Container = &[
    (("CHANNELS", 0, 1), "[<pattern>]: the channels that somebody here subscribes to"),
    (("NUMPAT", 0, 0), "the number of patterns that somebody here subscribes to"),
    (("NUMSUB", 0, ANY), "[<channel> ...]: how many connections here subscribe to channels"),
    (("SHARDCHANNELS", 0, 1), "[<pattern>]: the same as CHANNELS, of shards"),
    (("SHARDNUMSUB", 0, ANY), "[<channel> ...]: the same as NUMSUB, of shards"),
    (("HELP", 0, 0), "this help"),
];

const SENTINEL: Container = &[
    (("CKQUORUM", 1, 1), "<master>: whether a majority of the servers is up"),
    (("FAILOVER", 1, 1), "<master>: lets this server hand over all that it leads, as FAILOVER does"),
    (
        ("GET-MASTER-ADDR-BY-NAME", 1, 1),
        "<master>: this server's address, or another's if this one does not serve",
    ),
    (("IS-MASTER-DOWN-BY-ADDR", 4, 4), "<ip> <port> <epoch> <runid>: whether nobody here serves"),
    (("MASTER", 1, 1), "<master>: about the only master, under any name"),
    (("MASTERS", 0, 0), "about the only master"),
    (("MYID", 0, 0), "the id of this server"),
    (("REPLICAS", 1, 1), "<master>: about the other servers"),
    (("SENTINELS", 1, 1), "<master>: about the other servers, as sentinels"),
    (("SLAVES", 1, 1), "<master>: the same as REPLICAS"),
    (("HELP", 0, 0), "this help"),
];

const MEMORY: Container = &[
    (("STATS", 0, 0), "what all keys and values take"),
    (("USAGE", 1, 3), "<key> [SAMPLES <count>]: about how many bytes a key takes"),
    (("HELP", 0, 0), "this help"),
];

const OBJECT: Container = &[
    (("ENCODING", 1, 1), "<key>: how a value is kept"),
    (("FREQ", 1, 1), "<key>: how often it is used"),
    (("IDLETIME", 1, 1), "<key>: how long it has not been used"),
    (("REFCOUNT", 1, 1), "<key>: how many hold it"),
    (("HELP", 0, 0), "this help"),
];

const SCRIPT: Container = &[
    (("EXISTS", 1, ANY), "<sha1> ...: which scripts are known"),
    (("FLUSH", 0, ANY), "[ASYNC|SYNC]: forgets all scripts"),
    (("KILL", 0, 0), "ends nothing"),
    (("LOAD", 1, 1), "<script>: makes a script known"),
    (("HELP", 0, 0), "this help"),
];

const LATENCY: Container = &[
    (("DOCTOR", 0, 0), "what there is to say about it"),
    (
        ("HISTORY", 1, 1),
        "<event>: when requests of the slow log ended, and how long they took; the event is command",
    ),
    (("LATEST", 0, 0), "the latest one, and the longest"),
    (("RESET", 0, ANY), "[<event> ...]: forgets them, as SLOWLOG RESET does"),
    (("HELP", 0, 0), "this help"),
];

const SLOWLOG: Container = &[
    (("GET", 0, 1), "[<count>]: the latest requests that have taken long: 10, or all for -1"),
    (("LEN", 0, 0), "how many there are"),
    (("RESET", 0, 0), "forgets them"),
    (("HELP", 0, 0), "this help"),
];

/// All commands that have subcommands, with these.
pub(crate) const CONTAINERS: [(&str, Container); 12] = [
    ("ACL", ACL),
    ("CLIENT", CLIENT),
    ("CLUSTER", CLUSTER),
    ("COMMAND", COMMAND),
    ("CONFIG", CONFIG),
    ("LATENCY", LATENCY),
    ("MEMORY", MEMORY),
    ("OBJECT", OBJECT),
    ("PUBSUB", PUBSUB),
    ("SCRIPT", SCRIPT),
    ("SENTINEL", SENTINEL),
    ("SLOWLOG", SLOWLOG),
];

/// The subcommands of a command; most have none.
pub(crate) fn subcommands(command: &str) -> Container {
    CONTAINERS.iter().find(|(name, _)| *name == command).map_or(&[], |(_, subcommands)| subcommands)
}
