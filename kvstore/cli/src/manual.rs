//! What `--help` says below the options: examples and exit statuses.

/// Of `niagara` itself.
pub const NIAGARA: &str = "\
Start here:
  niagara demo                                  a whole cluster in one process, under load
  niagara new-cluster --dir c                   files for a cluster of three servers on this machine
  niagara serve --config c/server-1.toml        one of its servers
  niagara put greeting hello; niagara get greeting
  niagara status --config c/server-1.toml

Look after it:
  niagara snapshot now --config c/server-1.toml
  niagara snapshot export FILE.snap --json      all keys and values, for other programs
  niagara log inspect c/data-1                  what the logs on disk hold

`niagara help COMMAND` explains one command in full.

Environment:
  NIAGARA_AT    where put, get, del, status and snapshot now find the servers, unless --at or --config says it
  NIAGARA_LOG   what serve and demo log
  NO_COLOR      no colours, even on a terminal

Exit status, of all commands:
  0  done
  1  the answer is no: there is no such key, a condition does not hold, a file is damaged; or it failed otherwise
  2  the command line is wrong
  3  it had no effect, and may be tried again: no server could be reached, or none took it
  4  the outcome is unknown: it may or may not have been executed
  5  it was done, but its output could not be written in full (without a message if the reader has gone)
The message on standard error says what happened and what to do.";

/// Of `niagara demo`.
pub const DEMO: &str = "\
The servers listen on free ports of 127.0.0.1. The load comes through their Redis front ends: writes, strongly \
consistent reads, and increments of one counter, in pipelines, on all servers at once. Afterwards every server's \
digests of the global log are compared, and the counter must hold every increment that was acknowledged. Without --dir \
nothing is left, whichever of SIGINT (Ctrl-C), SIGTERM and SIGHUP ends it.

Examples:
  niagara demo
  niagara demo --servers 5 --groups 8 --durability memory
  niagara demo --seconds 10 --json > summary.json
  niagara demo --dir d --durability os

Exit status:
  0  all servers agree, no request failed, and no acknowledged increment was lost
  1  one of these does not hold, or the cluster could not be started
  2  the command line is wrong
  5  the output could not be written in full";

/// Of `niagara new-cluster`.
pub const NEW_CLUSTER: &str = "\
Each server has a block of ports, rounded up to a multiple of ten: with 4 groups and base port 7000, server 1 has \
7000 (HTTP), 7001 (Redis), 7002 to 7005 (its groups) and 7006 (snapshots), server 2 has 7010 to 7016, and so on. Edit the files as you \
like before the first start; all must list the same members.

Examples:
  niagara new-cluster --dir c
  niagara new-cluster --dir c --servers 5 --groups 8 --base-port 9000
  niagara new-cluster --dir c --host 10.0.0.1,10.0.0.2,10.0.0.3

Exit status:
  0  the files are written
  1  a file exists already, or cannot be written
  2  the command line is wrong
  5  the files are written, but the output could not be";

/// Of `niagara serve`.
pub const SERVE: &str = "\
SIGTERM, SIGINT (Ctrl-C) and SIGHUP (its terminal closes; not under nohup) end the server cleanly; a second SIGTERM or SIGINT \
ends it at once, as a crash would, with status 130 or 143. Logs that standard error does not take are dropped and counted; they \
never hold up the server. It says in one line when it serves, with all addresses. The limit of open files is raised as far as the \
system allows.

Examples:
  niagara serve --config c/server-1.toml
  niagara serve --config c/server-1.toml --log info,niagara_engine=debug

Exit status:
  0  ended cleanly by a signal
  1  could not start: the message says why, and what to do
  2  the command line is wrong";

/// Of `niagara put`.
pub const PUT: &str = "\
Prints the write's position in the global log, for `get --read at-least:POSITION`, and the value's version, for \
`--if-match`. When a server cannot serve, the next one is tried. When a server's answer is lost, the write may or may \
not have been executed: it is then sent to the next server, which is said on standard error; a conditional one is not. Keys \
and values may begin with a dash; one that is like an option goes behind `--`. From standard input no more is read than the \
longest value has, 16 MiB.

Examples:
  niagara put greeting hello
  niagara put picture < picture.png
  niagara put number -5
  niagara put -- --key --value
  niagara put greeting hi --if-match 9f86d081884c7d65-1024
  niagara put lock me --if-absent --at http://10.0.0.1:7000,http://10.0.0.2:7000

Exit status:
  0  written
  1  not written: the condition does not hold
  2  the command line is wrong
  3  not written: no server could be reached, or none took it
  4  the outcome is unknown: it may or may not have been written
  5  written, but the output could not be";

/// Of `niagara get`.
pub const GET: &str = "\
The value is written as it is; only on a terminal is a line end put behind it. When a server cannot serve, the next \
one is tried.

Examples:
  niagara get greeting
  niagara get picture > picture.png
  niagara get greeting --read weak --at http://10.0.0.2:7000
  niagara get greeting --read at-least:1024 --verbose

Exit status:
  0  the value is on standard output
  1  there is no such key
  2  the command line is wrong
  3  no server could answer
  5  the output could not be written in full";

/// Of `niagara del`.
pub const DEL: &str = "\
To delete a key that does not exist is no failure: afterwards it does not exist. Servers that cannot serve and lost \
answers are treated as by `niagara put`.

Examples:
  niagara del greeting
  niagara del greeting --if-match 9f86d081884c7d65-1024

Exit status:
  0  the key does not exist any more
  1  not deleted: the condition does not hold
  2  the command line is wrong
  3  not deleted: no server could be reached, or none took it
  4  the outcome is unknown: it may or may not have been deleted
  5  deleted, but the output could not be written";

/// Of `niagara bench`.
pub const BENCH: &str = "\
Runs the load generator, which is also a program of its own, `niagara-load`: closed and open loops over HTTP or the Redis \
protocol, latencies as percentiles, and checks of what the servers answer. docs/load.md explains the workloads.

Examples:
  niagara bench --help
  niagara bench kv --http http://127.0.0.1:7000,http://127.0.0.1:7010
  niagara bench chain --help

Exit status: 0 if all went well; 1 if a check failed or the load could not run; 2 if the command was not understood.";

/// Of `niagara status`.
pub const STATUS: &str = "\
The servers that are named are asked, and those that they name: one address is enough. A row for each server and group:
  role      leader, follower, candidate or pre-candidate
  leader    the leader that this replica knows of
  term      the Raft term
  last      Raft index of the last entry in the local log
  commit    Raft index of the last committed entry
  handed    Raft index of the last entry that the merge has taken
and a line for each server:
  applied   the last global position that it has executed
  commands  commands executed since the first position of the global log
  no-ops    positions that no-ops filled
  digests   whether log and state are the same on all servers, as far as the slowest of them has come
  snapshot  its newest one; whether one is being written or received; why the last one failed

Examples:
  niagara status
  niagara status --config c/server-1.toml
  niagara status --at http://10.0.0.1:7000,http://10.0.0.2:7000 --json

Exit status:
  0  all servers answered, and every two of them agree at a position that both have executed (or none has executed \
anything yet)
  1  no server answered, or two differ at a common position, or one says that it has parted from the others, or they \
are of different clusters
  2  the command line is wrong
  4  unknown: a server did not answer or was not asked, has executed nothing while others have, or shares no position \
with another
  5  the output could not be written in full";

/// Of `niagara snapshot`.
pub const SNAPSHOT: &str = "\
Each server writes snapshots of its whole state by itself, into `snapshots` in its data directory, and keeps two. One \
file serves all groups: it makes their logs superfluous up to a position of the global log.

Examples:
  niagara snapshot now --config c/server-1.toml
  niagara snapshot inspect c/data-1/snapshots/0000000000000400.snap
  niagara snapshot export c/data-1/snapshots/0000000000000400.snap --json | head
  niagara snapshot import backup.snap --at 127.0.0.1:7001

Exit status:
  0  done
  1  failed; the message on standard error says what happened and what to do
  2  the command line is wrong
  3  it had no effect: no server could be reached
  4  an import ended early: some of it may have been loaded
  5  the output could not be written in full";

/// Of `niagara snapshot now`.
pub const SNAPSHOT_NOW: &str = "\
The servers are asked one after the other, so that only one of them is busy with it at a time; name one alone by --at to \
have a snapshot of that one. While a snapshot is written everything else goes on. If nothing has changed since the last \
one, it is as good as a new one, and none is written.

Examples:
  niagara snapshot now
  niagara snapshot now --config c/server-1.toml
  niagara snapshot now --at http://10.0.0.2:7000

Exit status:
  0  each server has a snapshot of all that it had executed when it was asked, up to the position that is printed
  1  some server has not; the message says which and why
  2  the command line is wrong
  3  some server could not be reached
  5  the output could not be written in full";

/// Of `niagara snapshot inspect`.
pub const SNAPSHOT_INSPECT: &str = "\
Shows which server of which cluster wrote the file, the state's position in the global log, what of each group's log it \
stands for, with the group's members then, and which command each server's lanes await next. Then it reads the whole \
file, checks each chunk and the trailer, and counts keys and bytes. The file is not changed. A damaged file is shown as \
far as it can be read.

Examples:
  niagara snapshot inspect c/data-1/snapshots/0000000000000400.snap
  niagara snapshot inspect backup.snap --json

Exit status:
  0  the file is whole
  1  the file is damaged, or cannot be read; the message says what is wrong and at which offset
  2  the command line is wrong
  5  the output could not be written in full";

/// Of `niagara snapshot export`.
pub const SNAPSHOT_EXPORT: &str = "\
With --json each line is an object such as {\"key\":\"greeting\",\"value\":\"hello\"}; what is not UTF-8 stands in base64, as \
`key_base64` or `value_base64`. What HTTP clients have said of a value stands beside it, as `content_type` and \
`content_encoding`. With --resp each key is a SET command of the Redis protocol, which has no room for that. The order of \
keys means nothing. Versions (ETags) are not exported. The file is checked on the way: after a failure, what has been written to \
standard output is not all; a file named by --output is removed again.

Examples:
  niagara snapshot export backup.snap --json | jq -r .key
  niagara snapshot export backup.snap --json --output backup.jsonl
  niagara snapshot export backup.snap --resp | redis-cli -p 6379 --pipe

Exit status:
  0  all keys and values are written
  1  they are not: the file is damaged, or cannot be read; the message says why
  2  the command line is wrong
  5  the output could not be written in full";

/// Of `niagara snapshot import`.
pub const SNAPSHOT_IMPORT: &str = "\
Loads a snapshot's file, or an export of either format, through the Redis front end of one server, which replicates it to \
the others. The cluster may have another number of groups or servers than the one that the snapshot is from: that is how \
to change the number of groups. Stop writing to the old cluster, `niagara snapshot now`, start a new one with `niagara \
new-cluster --groups R`, and import into it. Versions (ETags) are new afterwards: they name changes in the new cluster's \
log, so clients read again before they write with --if-match.

When a server has no room for more, or no quorum answers, it is asked again for half a minute. If the import ends early, \
the message says how many keys were acknowledged; running it again with --merge is harmless, as long as nobody else \
writes these keys.

Examples:
  niagara snapshot import backup.snap --at 127.0.0.1:7001
  niagara snapshot import backup.jsonl --config new/server-1.toml
  niagara snapshot export backup.snap --resp | niagara snapshot import - --at 127.0.0.1:7001 --merge

Exit status:
  0  every key is loaded, and acknowledged
  1  not all are: the input is damaged or does not exist, or the cluster was not empty; the message says what happened
  2  the command line is wrong
  3  nothing was loaded: no server could be reached at a Redis port
  4  the server went away or refused: not all are loaded, and more may be than were acknowledged
  5  every key is loaded, but the output could not be written";

/// Of `niagara log`.
pub const LOG: &str = "\
Each of a server's groups has a log of its own, in `group-1` and so on in the data directory.

Examples:
  niagara log inspect c/data-1
  niagara log inspect c/data-1/group-2 --entries

Exit status:
  0  done
  1  failed; the message on standard error says what happened and what to do
  2  the command line is wrong
  5  the output could not be written in full";

/// Of `niagara log inspect`.
pub const LOG_INSPECT: &str = "\
Reads a log as a start of its server would, but changes nothing. It shows what Raft keeps besides the entries, up to where \
the log is compacted, and for each segment file its frames (one for each write) and entries. What stands behind the last \
frame is no damage: a write that a crash has torn, or what the file held before it was used again.

With --entries each entry follows in the order in which it was written; one with a lower index than the one before replaces \
everything from there on. An entry says which place of the global log it fills, and with commands of which server, \
life (each start of a server is one) and lane. --json prints one object a line.

Examples:
  niagara log inspect c/data-1
  niagara log inspect c/data-1/group-2 --entries --from 1000 --to 1100
  niagara log inspect c/data-1 --entries --json | jq 'select(.fills == \"commands\")'

Exit status:
  0  a start would take the logs as they are
  1  some log is damaged, or cannot be read; the message says which
  2  the command line is wrong
  5  the output could not be written in full";
