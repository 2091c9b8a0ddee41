//! CLUSTER: this server holds all slots, and the others are its replicas.

use std::fmt::Write as _;

use bytes::Bytes;

use super::encode::Replies;
use super::key_slot::{SLOTS, key_slot};
use super::parse::Arguments;
use super::printing::data;
use super::topology::{Node, Topology};
use super::words::{is, shown};
use crate::Data;

pub(super) const DISABLED: &str = "ERR This instance has cluster support disabled";

/// The answer of a server that knows neither a quorum nor another server, to clients that ask where slots are.
pub(super) const DOWN: &str =
    "CLUSTERDOWN this server does not serve, and is connected to no other: ask another one";

/// In Redis, a replica takes over from its master.
const NOBODY_TAKES_OVER: &str =
    "ERR no server takes over from another one: send FAILOVER to the one that is to hand over what it leads";

const LAST_SLOT: i64 = SLOTS as i64 - 1;

/// Whether this asks which servers have the slots.
pub(super) fn is_about_slots(arguments: Arguments<'_>) -> bool {
    ["SLOTS", "SHARDS", "NODES"].iter().any(|what| is(arguments.get(1), what))
}

/// A subcommand that `containers` has accepted. `applied` is the last global position that this server has executed.
/// `false`: it names no such node.
pub(super) fn cluster(
    arguments: Arguments<'_>,
    topology: &Topology,
    applied: u64,
    replies: &mut Replies<'_>,
) -> bool {
    let what = arguments.get(1);
    if is(what, "SLOTS") {
        data(&slots(topology), replies);
    } else if is(what, "SHARDS") {
        data(&shards(topology, applied), replies);
    } else if is(what, "NODES") {
        let nodes = topology.nodes();
        replies.verbatim(&nodes.map(|node| line(topology, node) + "\n").collect::<String>());
    } else if is(what, "INFO") {
        replies.verbatim(&info(topology));
    } else if is(what, "MYID") {
        replies.bulk(topology.own().id.as_bytes());
    } else if is(what, "MYSHARDID") {
        replies.bulk(topology.shard.as_bytes());
    } else if is(what, "KEYSLOT") {
        replies.count(key_slot(arguments.get(2)).into());
    } else if is(what, "FAILOVER") {
        replies.error(NOBODY_TAKES_OVER);
        return false;
    } else {
        // REPLICAS, or by its old name SLAVES.
        return replicas(arguments.get(2), topology, replies);
    }
    true
}

/// From slot, to slot, and the servers that have them: the master first.
fn slots(topology: &Topology) -> Data {
    let node = |node: &Node| {
        let Node { address, id, .. } = node;
        let port = Data::Integer(address.port.into());
        Data::Array(vec![text(&address.host), port, text(id), Data::Array(Vec::new())])
    };
    let range = [Data::Integer(0), Data::Integer(LAST_SLOT)];
    Data::Array(vec![Data::Array(range.into_iter().chain(topology.nodes().map(node)).collect())])
}

fn shards(topology: &Topology, applied: u64) -> Data {
    let node = |node: &Node| {
        let role = if topology.master == *node { "master" } else { "replica" };
        Data::Map(vec![
            ("id".into(), text(&node.id)),
            ("port".into(), Data::Integer(node.address.port.into())),
            ("ip".into(), text(&node.address.host)),
            ("endpoint".into(), text(&node.address.host)),
            ("role".into(), text(role)),
            ("replication-offset".into(), Data::count(applied as usize)),
            ("health".into(), text("online")),
        ])
    };
    Data::Array(vec![Data::Map(vec![
        ("slots".into(), Data::Array(vec![Data::Integer(0), Data::Integer(LAST_SLOT)])),
        ("nodes".into(), Data::Array(topology.nodes().map(node).collect())),
    ])])
}

/// A line of CLUSTER NODES. There is no bus, so its port is 0.
fn line(topology: &Topology, node: &Node) -> String {
    let Node { address, id, server } = node;
    let myself = if *server == topology.own { "myself," } else { "" };
    let master = &topology.master;
    if node == master {
        format!("{id} {address}@0 {myself}master - 0 0 1 connected 0-{LAST_SLOT}")
    } else {
        format!("{id} {address}@0 {myself}slave {} 0 0 1 connected", master.id)
    }
}

fn replicas(of: &[u8], topology: &Topology, replies: &mut Replies<'_>) -> bool {
    if of == topology.master.id.as_bytes() {
        let lines = topology.replicas.iter().map(|node| text(&line(topology, node)));
        data(&Data::Array(lines.collect()), replies);
        return true;
    }
    if topology.replicas.iter().any(|node| node.id.as_bytes() == of) {
        replies.error("ERR The specified node is not a master");
    } else {
        replies.error(&format!("ERR Unknown node {}", shown(of, 40)));
    }
    false
}

fn info(topology: &Topology) -> String {
    let (state, ok) = if topology.serves() { ("ok", SLOTS) } else { ("fail", 0) };
    let mut text = String::new();
    let fields = [
        ("cluster_slots_assigned", SLOTS),
        ("cluster_slots_ok", ok),
        ("cluster_slots_pfail", 0),
        ("cluster_slots_fail", SLOTS - ok),
        ("cluster_known_nodes", topology.nodes().count() as u16),
        ("cluster_size", 1),
        ("cluster_current_epoch", 1),
        ("cluster_my_epoch", 1),
        ("cluster_stats_messages_sent", 0),
        ("cluster_stats_messages_received", 0),
    ];
    let _ = write!(text, "cluster_state:{state}\r\n");
    for (name, value) in fields {
        let _ = write!(text, "{name}:{value}\r\n");
    }
    text
}

fn text(text: &str) -> Data {
    Data::Bulk(Bytes::copy_from_slice(text.as_bytes()))
}
