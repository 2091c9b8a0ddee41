//! What `--help` says below the options: examples and exit statuses.

/// Of `niagara` itself.
pub const NIAGARA: &str = "\
Start here:
  niagara demo                                  a whole cluster in one process, under load
  niagara new-cluster --dir c                   files for a cluster of three servers on this machine
  niagara serve --config c/server-1.toml        one of its servers
  niagara put greeting hello; niagara get greeting
  niagara status --config c/server-1.toml

`niagara help COMMAND` explains one command in full.

Environment:
  NIAGARA_AT    where put, get, del and status find the servers, unless --at or --config says it
  NIAGARA_LOG   what serve and demo log
  NO_COLOR      no colours, even on a terminal

Exit status:
  0  done
  1  failed; the message on standard error says what happened and what to do
  2  the command line is wrong";

/// Of `niagara demo`.
pub const DEMO: &str = "\
The servers listen on free ports of 127.0.0.1. The load comes through their Redis front ends: writes, strongly \
consistent reads, and increments of one counter, in pipelines, on all servers at once. Afterwards every server's \
digests of the global log are compared, and the counter must hold every increment that was acknowledged.

Examples:
  niagara demo
  niagara demo --servers 5 --groups 8 --durability memory
  niagara demo --seconds 10 --json > summary.json
  niagara demo --dir d --durability os

Exit status:
  0  all servers agree, no request failed, and no acknowledged increment was lost
  1  one of these does not hold, or the cluster could not be started
  2  the command line is wrong";

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
  2  the command line is wrong";

/// Of `niagara serve`.
pub const SERVE: &str = "\
SIGTERM and SIGINT (Ctrl-C) end the server cleanly; a second one ends it at once, as a crash would, with status 130 \
or 143. It says in one line when it serves, with all addresses. The limit of open files is raised as far as the \
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
not have been executed: it is then sent to the next server, which is said on standard error; a conditional one is not.

Examples:
  niagara put greeting hello
  niagara put picture < picture.png
  niagara put greeting hi --if-match 1024
  niagara put lock me --if-absent --at http://10.0.0.1:7000,http://10.0.0.2:7000

Exit status:
  0  written
  1  not written, or the outcome is unknown; the message says which
  2  the command line is wrong";

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
  1  there is no such key, or no server could answer; the message says which
  2  the command line is wrong";

/// Of `niagara del`.
pub const DEL: &str = "\
To delete a key that does not exist is no failure: afterwards it does not exist. Servers that cannot serve and lost \
answers are treated as by `niagara put`.

Examples:
  niagara del greeting
  niagara del greeting --if-match 1024

Exit status:
  0  the key does not exist any more
  1  not deleted, or the outcome is unknown; the message says which
  2  the command line is wrong";

/// Of `niagara status`.
pub const STATUS: &str = "\
A row for each server and group:
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
  digests   whether its global log is the same as the others', up to a position that it shares with them

Examples:
  niagara status
  niagara status --config c/server-1.toml
  niagara status --at http://10.0.0.1:7000,http://10.0.0.2:7000 --json

Exit status:
  0  at least one server answered, and no two disagree
  1  none answered, or two servers' digests differ at a common position, or they are of different clusters
  2  the command line is wrong";
