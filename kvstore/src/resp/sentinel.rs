//! SENTINEL: every server is a sentinel, too, that watches the cluster's only master.

use bytes::Bytes;

use super::encode::Replies;
use super::parse::Arguments;
use super::printing::data;
use super::topology::{Node, Topology};
use super::words::is;
use crate::Data;

/// How long it takes at most until a server is no longer named: a machine that vanishes is noticed by then.
const DOWN_AFTER_MS: usize = 5_000;

/// What a sentinel knows.
pub(super) struct Watched<'t> {
    pub(super) topology: &'t Topology,
    /// The master's name in lists.
    pub(super) name: &'t str,
    /// Number of the cluster's servers.
    pub(super) servers: usize,
    /// Last global position that this server has executed.
    pub(super) applied: u64,
}

/// A subcommand that `containers` has accepted.
pub(super) fn sentinel(arguments: Arguments<'_>, watched: &Watched<'_>, replies: &mut Replies<'_>) {
    let what = arguments.get(1);
    let topology = watched.topology;
    let named = arguments.iter().nth(2).unwrap_or(watched.name.as_bytes());
    if is(what, "CKQUORUM") {
        return quorum(watched, replies);
    }
    let told = if is(what, "GET-MASTER-ADDR-BY-NAME") {
        if topology.serves() {
            let address = &topology.master.address;
            Data::Array(vec![text(&address.host), number(address.port.into())])
        } else {
            return replies.null_array();
        }
    } else if is(what, "MASTERS") {
        Data::Array(vec![watched.master(watched.name.as_bytes())])
    } else if is(what, "MASTER") {
        watched.master(named)
    } else if is(what, "SENTINELS") {
        Data::Array(topology.others().map(sentinel_instance).collect())
    } else if is(what, "MYID") {
        text(&topology.own().id)
    } else if is(what, "IS-MASTER-DOWN-BY-ADDR") {
        Data::Array(vec![Data::flag(!topology.serves()), text("*"), Data::Integer(0)])
    } else {
        // REPLICAS, or by its old name SLAVES.
        Data::Array(topology.replicas.iter().map(|node| watched.replica(node)).collect())
    };
    data(&told, replies);
}

fn quorum(watched: &Watched<'_>, replies: &mut Replies<'_>) {
    let usable = watched.topology.nodes().count();
    if watched.topology.serves() && usable >= watched.majority() {
        replies.simple(&format!(
            "OK {usable} usable Sentinels. Quorum and failover authorization can be reached"
        ));
    } else {
        replies.error(&format!(
            "NOQUORUM {usable} usable Sentinels. Not enough available Sentinels to reach the majority and \
             authorize a failover"
        ));
    }
}

impl Watched<'_> {
    fn majority(&self) -> usize {
        self.servers / 2 + 1
    }

    fn master(&self, name: &[u8]) -> Data {
        let Topology { master, replicas, .. } = self.topology;
        let flags = if self.topology.serves() { "master" } else { "s_down,o_down,master" };
        let mut all = instance(name, master, flags);
        all.extend([
            ("role-reported", text("master")),
            ("role-reported-time", number(0)),
            ("config-epoch", number(0)),
            ("num-slaves", number(replicas.len())),
            ("num-other-sentinels", number(self.topology.others().count())),
            ("quorum", number(self.majority())),
            ("failover-timeout", number(DOWN_AFTER_MS)),
            ("parallel-syncs", number(1)),
        ]);
        map(all)
    }

    fn replica(&self, node: &Node) -> Data {
        let master = &self.topology.master.address;
        let mut all = instance(node.address.to_string().as_bytes(), node, "slave");
        all.extend([
            ("role-reported", text("slave")),
            ("role-reported-time", number(0)),
            ("master-link-down-time", number(0)),
            ("master-link-status", text("ok")),
            ("master-host", text(&master.host)),
            ("master-port", number(master.port.into())),
            ("slave-priority", number(100)),
            ("slave-repl-offset", text(&self.applied.to_string())),
            ("replica-announced", number(1)),
        ]);
        map(all)
    }
}

fn sentinel_instance(node: &Node) -> Data {
    let mut all = instance(node.id.as_bytes(), node, "sentinel");
    all.extend([
        ("last-hello-message", number(0)),
        ("voted-leader", text("?")),
        ("voted-leader-epoch", number(0)),
    ]);
    map(all)
}

type Fields = Vec<(&'static str, Data)>;

/// What is said of every server. Times are zero: what is told is known at this moment.
fn instance(name: &[u8], node: &Node, flags: &str) -> Fields {
    vec![
        ("name", Data::Bulk(Bytes::copy_from_slice(name))),
        ("ip", text(&node.address.host)),
        ("port", number(node.address.port.into())),
        ("runid", text(&node.id)),
        ("flags", text(flags)),
        ("link-pending-commands", number(0)),
        ("link-refcount", number(1)),
        ("last-ping-sent", number(0)),
        ("last-ok-ping-reply", number(0)),
        ("last-ping-reply", number(0)),
        ("down-after-milliseconds", number(DOWN_AFTER_MS)),
        ("info-refresh", number(0)),
    ]
}

fn map(fields: Fields) -> Data {
    Data::Map(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

fn text(text: &str) -> Data {
    Data::Bulk(Bytes::copy_from_slice(text.as_bytes()))
}

/// Sentinels tell numbers as text.
fn number(number: usize) -> Data {
    text(itoa::Buffer::new().format(number))
}
