//! What `--help` prints below the options: examples and exit statuses.

/// Of `niagara` itself.
pub const NIAGARA: &str = "\
Start here:
  niagara demo                                  a whole cluster in one process, under load
  niagara new-cluster --dir c                   files for three servers on this machine
  niagara serve --config c/server-1.toml        one of its servers
  niagara put greeting hello; niagara get greeting
  niagara status --config c/server-1.toml

Operate it:
  niagara snapshot now --config c/server-1.toml
  niagara snapshot export FILE.snap --json      all keys and values, for other programs
  niagara log inspect c/data-1                  what the logs on disk hold
  niagara recover --from c/data-1               what is left of a cluster without a majority
  niagara bench --help                          put load on a cluster, and check its answers

`niagara help COMMAND` explains each command in full.

Environment:
  NIAGARA_AT    the servers' addresses, without --at or --config
  NIAGARA_USER  a user of the servers, instead of `default`
  NIAGARA_PASSWORD, or NIAGARA_PASSWORD_FILE with a file's name: that user's password
  NIAGARA_CA, NIAGARA_CERTIFICATE, NIAGARA_KEY: files for TLS (https://)
  NIAGARA_LOG   what serve and demo log
  NO_COLOR      no colours, even on a terminal

Exit status of all commands:
  0  done
  1  the answer is no (no such key, a condition does not hold, a damaged file), or it failed
  2  the command line is wrong
  3  no effect: no server could be reached (retry it unchanged), or the request was refused (the message says why)
  4  the outcome is unknown: the command may or may not have been executed
  5  done, but the output could not be written in full (no message if the reader has gone)
The message on standard error says what happened and what to do.";

/// Of `niagara demo`.
pub const DEMO: &str = "\
The servers listen on free ports of 127.0.0.1. The load goes through their Redis ports: pipelines of writes, \
strongly consistent reads, and increments of one counter, on all servers at once. Afterwards the demo \
compares the servers' digests of the global log, and checks that the counter holds every acknowledged \
increment. Without --dir it removes all its files, whether SIGINT (Ctrl-C), SIGTERM or SIGHUP ends it.

Examples:
  niagara demo
  niagara demo --servers 5 --groups 8 --durability memory
  niagara demo --seconds 10 --json > summary.json
  niagara demo --dir d --durability os

Exit status:
  0  all servers agree, no request failed, and no acknowledged increment was lost
  1  one of these does not hold, or the cluster could not start
  2  the command line is wrong
  5  the output could not be written in full";

/// Of `niagara new-cluster`.
pub const NEW_CLUSTER: &str = "\
Each server gets a block of ports, rounded up to a multiple of ten. With 4 groups and base port 7000, server \
1 has 7000 (HTTP), 7001 (Redis), 7002 to 7005 (its groups) and 7006 (snapshots), server 2 has 7010 to 7016, \
and so on. You may edit the files before the first start; all must list the same members.

With --tls, each server has two ports more, behind the others, at which clients speak TLS, and none at which they do \
not; DIR/certificates holds an authority (ca.pem), the servers' certificates and a client's.

Examples:
  niagara new-cluster --dir c
  niagara new-cluster --dir c --tls --password-file c.password
  niagara new-cluster --dir c --servers 5 --groups 8 --base-port 9000
  niagara new-cluster --dir c --groups auto --addresses 1
  niagara new-cluster --dir c --host 10.0.0.1,10.0.0.2,10.0.0.3

Exit status:
  0  the files are written
  1  a file already exists, or cannot be written
  2  the command line is wrong
  5  the files are written, but the output could not be";

/// Of `niagara serve`.
pub const SERVE: &str = "\
SIGTERM, SIGINT (Ctrl-C) and SIGHUP (the terminal closes; ignored under nohup) stop the server cleanly. At \
SIGHUP, a server with `tls` or `peer_tls` reads its certificates again instead. A \
second SIGTERM or SIGINT ends it immediately, as a crash would, with status 143 or 130. Log lines that \
standard error does not take are dropped and counted; the server never waits for them. Once it serves, it \
logs one line with its addresses. Lines of the audit (who has administered what) are written whatever \
--log says of other lines, unless it names them (audit=off). It raises the limit of open files as far as the system allows.

Examples:
  niagara serve --config c/server-1.toml
  niagara serve --config c/server-1.toml --log info,niagara_engine=debug
  niagara serve --config c/server-4.toml --join http://10.0.0.1:7000,http://10.0.0.2:7000
  niagara serve --config c/server-9.toml --follow http://10.0.0.1:7000,http://10.0.0.2:7000

A follower (--follow, or `role = \"follower\"` in its file) answers reads, refuses writes, and counts for no majority \
(docs/followers.md).

Exit status:
  0  stopped cleanly by a signal
  1  could not start; the message says why, and what to do
  2  the command line is wrong";

/// Of `niagara put`.
pub const PUT: &str = "\
Prints the write's position in the global log, for `get --read at-least:POSITION`, and the value's version, \
for `--if-match`. If a server cannot serve, the next one is tried. If a server's answer is lost, the write is \
sent again, for `--timeout` at most: it has an idempotency key, so servers execute it once. Keys and values may \
start with a dash; put one that looks like an option after `--`. Standard input is read only up to the length of the largest value, 16 MiB.

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
  3  not written: no server could be reached, or none accepted the write
  4  the outcome is unknown: the value may or may not have been written
  5  written, but the output could not be";

/// Of `niagara get`.
pub const GET: &str = "\
The value is written unchanged; a newline follows only on a terminal. If a server cannot serve, the next one \
is tried.

Examples:
  niagara get greeting
  niagara get picture > picture.png
  niagara get greeting --read weak --at http://10.0.0.2:7000
  niagara get greeting --read at-least:1024 --verbose

Exit status:
  0  the value is on standard output
  1  the key does not exist
  2  the command line is wrong
  3  no server could answer
  5  the output could not be written in full";

/// Of `niagara del`.
pub const DEL: &str = "\
Deleting a missing key succeeds. Failover and lost answers work as in `niagara put`.

Examples:
  niagara del greeting
  niagara del greeting --if-match 9f86d081884c7d65-1024

Exit status:
  0  the key no longer exists
  1  not deleted: the condition does not hold
  2  the command line is wrong
  3  not deleted: no server could be reached, or none accepted the command
  4  the outcome is unknown: the key may or may not have been deleted
  5  deleted, but the output could not be written";

/// Of `niagara list`.
pub const LIST: &str = "\
Keys come in no order; pipe them through `sort`. Each page of up to 1,000 keys shows one moment. A key that exists \
from the first page to the last is listed once; one that comes or goes meanwhile may be. If a server cannot \
serve, the next one continues. Keys are written unchanged, so one that holds a newline takes two lines; --json \
writes them so that each takes one.

Examples:
  niagara list
  niagara list user/ | sort
  niagara list user/ --json --values
  niagara list --read weak --at http://10.0.0.2:7000

Exit status:
  0  all keys are listed
  2  the command line is wrong
  3  no server could answer
  5  the output could not be written in full";

/// Of `niagara txn`.
pub const TXN: &str = "\
The operations of `then` are executed if every comparison holds, else those of `else`, as one command at one \
position. A comparison is of a key's `version` (as `put` prints it), its `value`, whether it `exists`, or whether \
its value comes `before` or `after` another; an operation is a put, a get or a delete. The results are printed as the server sends them. Failover and lost \
answers work as in `niagara put`. docs/http.md explains the JSON.

Examples:
  niagara txn '{\"then\":[{\"get\":{\"key\":\"a\"}},{\"get\":{\"key\":\"b\"}}]}'
  niagara txn < transaction.json
  niagara txn '{\"compare\":[{\"key\":\"lock\",\"exists\":false}],\"then\":[{\"put\":{\"key\":\"lock\",\"value\":\"me\"}}]}'

Exit status:
  0  executed, and the comparison holds
  1  executed, and the comparison does not hold: what `else` says was done
  2  the command line is wrong
  3  not executed: the transaction is invalid, no server could be reached, or none accepted it
  4  the outcome is unknown: it may or may not have been executed
  5  executed, but the output could not be written";

/// Of `niagara watch`.
pub const WATCH: &str = "\
Each change is a line with a JSON object: its position in the global log, its index at that position, its kind \
(set, delete, expire, deadline, flush) and its key, as docs/http.md explains. The order is that of the log. When a \
server is gone, the next one goes on behind the last line. A server keeps the latest 64 MiB of changes, and only \
while somebody watches; what is older is gone, and the command ends with status 1.

Examples:
  niagara watch
  niagara watch user/ --values
  niagara watch user/ --after 1024.3
  niagara watch lock --count 1

Exit status:
  0  --count changes are printed
  1  changes are gone: those that are missing were never printed, and none was skipped silently
  2  the command line is wrong
  3  for --timeout, no server could be reached, or none told changes
  5  the output could not be written";

/// Of `niagara bench`.
pub const BENCH: &str = "\
Runs the load generator, which is also a program of its own, `niagara-load`: closed and open loops over HTTP \
or the Redis protocol, latency percentiles, and checks of the servers' answers. docs/load.md explains the \
workloads.

Examples:
  niagara bench --help
  niagara bench kv --http http://127.0.0.1:7000,http://127.0.0.1:7010
  niagara bench chain --help

Exit status:
  0  success
  1  a check failed, or the load could not run
  2  the command line is wrong";

/// Of `niagara groups`.
pub const GROUPS: &str = "\
Without a command, shows for each server the epoch that its log is in, and the number of groups there.

`set` goes on with another number of groups while the servers run and clients write. The epoch ends at the \
same position on every server, and the next one begins there, with logs of its own. A write that is under way \
takes the time of an election longer. More groups use more cores and links of each server; `groups` in the \
configuration counts at the first start only.

Examples:
  niagara groups
  niagara groups set 8
  niagara groups set 2 --at http://10.0.0.1:7000 --timeout 60

Exit status:
  0  the servers that answer are in one epoch, with as many groups as you asked for
  1  it has not happened in time; what was waited for is printed
  2  the command line is wrong
  3  refused: no server answered, or no server leads a group
  4  no answer to the request, or another change came first: it may have been made";

/// Of `niagara level`.
pub const LEVEL: &str = "\
A level names the commands, entries and formats that the servers of a cluster may use. A release knows all levels up to its \
own, so servers of two releases work together, at the level of the older one (docs/levels.md).

`show` shows the level, and the highest one that each server knows. `raise` goes on at a higher level when all servers know \
it: stop and start them one after the other with the newer release first. The epoch ends at the same position on every \
server, and the next one has the level. After that, no server of an older release can take part, and there is no way back. \
The command can be repeated if its outcome is not known.

Examples:
  niagara level show
  niagara level raise
  niagara level raise --to 2 --at http://10.0.0.1:7000 --timeout 60

Exit status:
  0  the servers that answer are at the level that you asked for
  1  it has not happened in time; what was waited for is printed
  2  the command line is wrong
  3  refused: a server does not know the level or is not connected, or no server answered
  4  no answer to the request, or another change came first: it may have been made";

/// Of `niagara new-member`.
pub const NEW_MEMBER: &str = "\
Asks a running cluster for its id, its durability and its number of groups, and writes a file for one more server, \
with every setting explained. Asked by https://, the new server speaks TLS, too; issue its certificate before it starts. Copy \
other settings that all servers share, such as `reads` or `requirepass`, from the file of another server.

Examples:
  niagara new-member --dir cluster --base-port 7100
  niagara new-member --dir /etc/niagara --id 4 --host 10.0.0.4 --at http://10.0.0.1:7000

Exit status:
  0  the file is written
  1  it cannot be written
  2  the command line is wrong
  3  no server answered, or the id is in use";

/// Of `niagara member`.
pub const MEMBER: &str = "\
Adds, removes, replaces and moves servers while the others run and clients write. Each change ends the epoch at the same \
position on every server; the next one has the new members (docs/members.md).

A new server needs an id that was never used, a configuration file of its own (`niagara new-member` writes it), and a \
start with `niagara serve --join`. `add` first looks for it at its addresses, adds it, and waits until it has received \
the state and serves. A server that is removed stops when a majority of the others has gone on; one that is down learns of \
it when it starts. A server that moves is looked for at its new addresses, too: start it there before `update`. One \
change at a time; each can be repeated if its outcome is not known.

Examples:
  niagara serve --config server-4.toml --join http://10.0.0.1:7000
  niagara member add --file server-4.toml --at http://10.0.0.1:7000
  niagara member replace --id 2 --with 4 --addresses 10.0.0.4:7002 --transfer 10.0.0.4:7003 --http 10.0.0.4:7000
  niagara member remove --id 3 --timeout 60
  niagara member update --id 2 --weight 0
  niagara member list --json

Exit status:
  0  the servers that answer are in one epoch, with the members that you asked for
  1  it has not happened in time; what was waited for is printed
  2  the command line is wrong
  3  refused: no server answered, too few are up, or a server is not where it should be
  4  no answer to the request, or another change came first: it may have been made";

/// Of `niagara leaders`.
pub const LEADERS: &str = "\
Without an option, shows for each group the server that leads it, the one that should (`leaders` in the \
configuration, or round robin), and whether the others can take over. A server that should lead a group claims it \
when its links are steady and its log is up to date.

  --move G=S    waits until server S leads group G. S must be reachable for the leader and close behind it. The server \
that should lead the group leaves it to others from then on.
  --drain S     waits until server S leads nothing. It keeps serving clients.
  --balance     ends drains, and waits until every group is led by the server that should lead it

What was moved or drained stays so until --balance or until that server starts again.

Examples:
  niagara leaders
  niagara leaders --move 1=3
  niagara leaders --drain 2 --at http://10.0.0.1:7000
  niagara leaders --balance --timeout 60

Exit status:
  0  each group has a leader, and what you asked for has happened
  1  a group has no leader, or it has not happened in time; what was waited for is printed
  2  the command line is wrong
  3  refused: no server answered, or the server cannot take over; nothing has changed
  4  unknown: a server was asked and did not answer
  5  the output could not be written in full";

/// Of `niagara status`.
pub const STATUS: &str = "\
Asks the servers you name and those that they name, so one address is enough. Prints a row for each server \
and group:
  role      leader, follower, candidate or pre-candidate
  leader    the leader that this replica knows of
  term      the Raft term
  last      Raft index of the last entry in the local log
  commit    Raft index of the last committed entry
  handed    Raft index of the last entry that the merge has taken
  lease     in a cluster with leases: whether a leader holds its own (held, none, or given up)
and a line for each server:
  applied   the last global position that it has executed
  commands  commands executed since the first position of the global log
  no-ops    positions filled by no-ops
  digests   whether log and state are equal on all servers, as far as the slowest has come
  snapshot  the newest one; any in progress; why the last one failed

Examples:
  niagara status
  niagara status --config c/server-1.toml
  niagara status --at http://10.0.0.1:7000,http://10.0.0.2:7000 --json

Exit status:
  0  all servers answered, and every two of them agree at a position that both have executed (or none has \
executed anything yet)
  1  no server answered, two differ at a common position, one says that it has diverged from the others, or \
they belong to different clusters
  2  the command line is wrong
  4  unknown: a server did not answer or was not asked, has executed nothing while others have, or shares no \
position with another
  5  the output could not be written in full";

/// Of `niagara snapshot`.
pub const SNAPSHOT: &str = "\
Each server takes snapshots of its whole state automatically, into `snapshots` in its data directory, and \
keeps two. One file covers all groups: their logs are no longer needed up to its position in the global log.

Examples:
  niagara snapshot now --config c/server-1.toml
  niagara snapshot inspect c/data-1/snapshots/0000000000000400.snap
  niagara snapshot export c/data-1/snapshots/0000000000000400.snap --json | head
  niagara snapshot import backup.snap --at 127.0.0.1:7001

Exit status:
  0  done
  1  failed; the message on standard error says what happened and what to do
  2  the command line is wrong
  3  no effect: no server could be reached
  4  an import ended early; part of it may have been loaded
  5  the output could not be written in full";

/// Of `niagara snapshot now`.
pub const SNAPSHOT_NOW: &str = "\
Asks the servers one after the other, so only one is busy with it at a time. Name a single server with --at \
to take a snapshot of that one only. Everything else continues while a snapshot is written. If nothing has \
changed since the last one, none is written.

Examples:
  niagara snapshot now
  niagara snapshot now --config c/server-1.toml
  niagara snapshot now --at http://10.0.0.2:7000

Exit status:
  0  each server has a snapshot of all it had executed when it was asked, up to the position printed
  1  at least one server has none; the message says which and why
  2  the command line is wrong
  3  at least one server could not be reached
  5  the output could not be written in full";

/// Of `niagara snapshot inspect`.
pub const SNAPSHOT_INSPECT: &str = "\
Shows which server of which cluster wrote the file, the state's position in the global log, how much of each \
group's log it replaces, the group's members at that point, and which command is next in each server's \
lanes. Then it reads the whole file, checks each chunk and the trailer, and counts keys and bytes. It never \
changes the file. A damaged file is shown up to the damage.

Examples:
  niagara snapshot inspect c/data-1/snapshots/0000000000000400.snap
  niagara snapshot inspect backup.snap --json

Exit status:
  0  the file is intact
  1  the file is damaged or cannot be read; the message says what is wrong and at which offset
  2  the command line is wrong
  5  the output could not be written in full";

/// Of `niagara snapshot export`.
pub const SNAPSHOT_EXPORT: &str = "\
With --json, each line is an object such as {\"key\":\"greeting\",\"value\":\"hello\"}; bytes that are not \
UTF-8 are given in base64, as `key_base64` or `value_base64`. The content type and encoding that HTTP \
clients stored with a value are `content_type` and `content_encoding`. The number of a key's database is \
`database`, if it is not 0. With --resp, each key is a SET command of the Redis protocol, which has no place for \
content types; a SELECT precedes keys of another database. Keys come in no particular order. Versions \
(ETags) are not exported.

The file is checked while it is exported. If the export fails, what is on standard output is incomplete; a \
file named with --output is removed.

Examples:
  niagara snapshot export backup.snap --json | jq -r .key
  niagara snapshot export backup.snap --json --output backup.jsonl
  niagara snapshot export backup.snap --resp | redis-cli -p 6379 --pipe

Exit status:
  0  all keys and values are written
  1  incomplete: the file is damaged or cannot be read; the message says why
  2  the command line is wrong
  5  the output could not be written in full";

/// Of `niagara snapshot import`.
pub const SNAPSHOT_IMPORT: &str = "\
Loads a snapshot file, or an export in either format, through the Redis port of one server, which replicates \
it to the others. The target may have a different number of groups or servers. To move to another cluster: \
stop writing to the old one, run `niagara snapshot now`, start the new one, and import into it. Within a \
cluster, `niagara groups set` and `niagara member` change both. Versions (ETags) are new afterwards, since they name \
changes in the new cluster's log. Clients must read again before they write with --if-match.

If a server has no room for more, or no quorum answers, the import retries for half a minute. If it ends \
early, the message says how many keys were acknowledged. Running it again with --merge is harmless as long \
as nobody else writes these keys.

Examples:
  niagara snapshot import backup.snap --at 127.0.0.1:7001
  niagara snapshot import backup.jsonl --config new/server-1.toml
  niagara snapshot export backup.snap --resp | niagara snapshot import - --at 127.0.0.1:7001 --merge

Exit status:
  0  every key is loaded and acknowledged
  1  incomplete: the input is damaged or does not exist, or the cluster was not empty; the message says which
  2  the command line is wrong
  3  nothing was loaded: no server could be reached at a Redis port
  4  the server failed or refused: not all keys are loaded, but possibly more than were acknowledged
  5  every key is loaded, but the output could not be written";

/// Of `niagara log`.
pub const LOG: &str = "\
Each of a server's groups has its own log, in `group-1` and so on in the data directory.

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
Reads a log as a starting server would, but changes nothing. It shows the state that Raft keeps besides the \
entries, how far the log is compacted, and the frames (one for each write) and entries of each segment file. \
What follows the last frame is not damage: it is a write torn by a crash, or what the file held before it \
was reused.

With --entries, each entry follows in the order it was written; one with a lower index than the entry before \
replaces everything from there on. For each entry you see which place of the global log it fills and, if it \
holds commands, from which server, life (each start of a server is one) and lane. --json prints one object \
per line.

Examples:
  niagara log inspect c/data-1
  niagara log inspect c/data-1/group-2 --entries --from 1000 --to 1100
  niagara log inspect c/data-1 --entries --json | jq 'select(.fills == \"commands\")'

Exit status:
  0  a server would start on these logs as they are
  1  a log is damaged or cannot be read; the message says which
  2  the command line is wrong
  5  the output could not be written in full";

/// Of `niagara recover`.
pub const RECOVER: &str = "\
A cluster that has lost half of its servers or more, for good, can do nothing any more: not even you can add servers \
to it. This makes a new cluster, with an id of its own, out of the data directories that are left. It may have other \
servers and another number of groups. It begins with everything that the old logs hold, also with writes that were on \
their way and may have been acknowledged or not.

Without --into, it only says what is there. The account is complete if any majority of the old servers has a whole log \
here: one of two servers, two of three, three of five. If members have changed, those of the last change count: a server \
that was removed does not know what the others did since. Otherwise writes that were acknowledged may be missing, and it \
makes nothing unless you accept that. The directories that it reads stay as they are.

Before: make sure that no server of the lost cluster runs or can come back, and that clients no longer know its \
addresses. Afterwards: take each new data directory to its server, and start all of them.

Examples:
  niagara recover --from c/data-1 --from c/data-2
  niagara new-cluster --dir d --base-port 8000
  niagara recover --from c/data-1 --from c/data-2 --into d/server-1.toml --into d/server-2.toml --into d/server-3.toml
  niagara serve --config d/server-1.toml

Exit status:
  0  done, or said what is there
  1  nothing was made; the message on standard error says why, and what to do
  2  the command line is wrong
  5  the output could not be written in full";

/// Of `niagara certificates`.
pub const CERTIFICATES: &str = "\
Keep ca.key where no server runs: whoever has it can pass for any server. All files are in PEM. Only their \
owner can read the keys; everybody can read the certificates.

Examples:
  niagara certificates new-ca --dir certificates
  niagara certificates issue --dir certificates --name server-1 --config server-1.toml --host db-1.example.org,10.0.0.1
  niagara certificates issue --dir certificates --name operator

Exit status:
  0  the files are written
  1  they are not
  2  the command line is wrong
  5  the output could not be written in full";

/// Of `niagara certificates new-ca`.
pub const NEW_CA: &str = "\
Examples:
  niagara certificates new-ca --dir certificates

Exit status:
  0  the files are written
  1  they are not
  2  the command line is wrong
  5  the output could not be written in full";

/// Of `niagara certificates issue`.
pub const ISSUE: &str = "\
A server reads its files again when they change, so --replace needs no restart.

Examples:
  niagara certificates issue --dir certificates --name server-1 --config server-1.toml --host db-1.example.org,10.0.0.1 --replace
  niagara certificates issue --dir certificates --name operator

Exit status:
  0  the files are written
  1  they are not
  2  the command line is wrong
  5  the output could not be written in full";
