//! INFO, by section.

use std::fmt::Write as _;

use niagara_engine::Status;

use super::encode::Replies;
use super::local::REDIS_VERSION;
use super::parse::Arguments;
use super::replication;
use super::site::RedisSite;
use super::topology::Topology;
use super::words::is;
use crate::clients::Counts;
use crate::handover::Stage;
use crate::memory::{Memory, shown};
use crate::protocol::Engine;
use crate::tracking::Tracked;
use crate::{Database, KvReader};

/// What the sections tell of.
struct Told<'t> {
    status: &'t Status,
    reader: &'t KvReader,
    site: &'t RedisSite,
    topology: &'t Topology,
    counts: Counts,
    /// How far it is in handing over what it leads.
    stage: Stage,
}

type Section = (&'static str, fn(&Told<'_>, &mut String) -> std::fmt::Result);

/// All sections, in order. A name that is none of these has nothing to tell.
const SECTIONS: [Section; 8] = [
    ("server", server),
    ("clients", clients),
    ("memory", memory),
    ("stats", stats),
    ("replication", |told, out| replication::describe(told.topology, told.status, told.stage, out)),
    ("cluster", cluster),
    ("niagara", niagara),
    ("keyspace", keyspace),
];

/// `INFO [section ..]`: all sections, or those that are named.
pub(super) fn info(
    arguments: Arguments<'_>,
    (engine, status): (&impl Engine, &Status),
    (site, topology, counts): (&RedisSite, &Topology, Counts),
    replies: &mut Replies<'_>,
) {
    let asked = arguments.from(1);
    let has_all = asked.len() == 0
        || asked.iter().any(|name| ["default", "all", "everything"].iter().any(|all| is(name, all)));
    let stage = site.handover.stage(&site.handover.leaders(engine));
    let told = Told { status, reader: engine.reader(), site, topology, counts, stage };
    let mut text = String::new();
    for (name, describe) in SECTIONS {
        if has_all || asked.iter().any(|asked| is(asked, name)) {
            if !text.is_empty() {
                text.push_str("\r\n");
            }
            describe(&told, &mut text).expect("writing to a string never fails");
        }
    }
    replies.verbatim(&text);
}

fn server(told: &Told<'_>, out: &mut String) -> std::fmt::Result {
    let (mode, version) = (told.site.mode(), env!("CARGO_PKG_VERSION"));
    write!(
        out,
        "# Server\r\nredis_version:{REDIS_VERSION}\r\nredis_mode:{mode}\r\n\
         niagara_version:{version}\r\n"
    )
}

/// Those of the Redis port of this server.
fn clients(told: &Told<'_>, out: &mut String) -> std::fmt::Result {
    let Counts { all, most, subscribers, held_up } = told.counts;
    let tracking = told.reader.tracking().tracked().clients;
    write!(
        out,
        "# Clients\r\nconnected_clients:{all}\r\nmaxclients:{most}\r\nblocked_clients:{held_up}\r\n\
         tracking_clients:{tracking}\r\npubsub_clients:{subscribers}\r\n"
    )
}

/// What keys and values take, and may.
fn memory(told: &Told<'_>, out: &mut String) -> std::fmt::Result {
    let (_, used) = told.reader.sizes();
    let Memory { most, policy, .. } = told.reader.memory();
    write!(out, "# Memory\r\nused_memory:{used}\r\nused_memory_human:{}\r\n", shown(used))?;
    write!(out, "used_memory_dataset:{used}\r\nmaxmemory:{most}\r\nmaxmemory_human:{}\r\n", shown(most))?;
    write!(out, "maxmemory_policy:{}\r\n", policy.name())
}

/// How many keys have gone since memory was short, ever: the same on all servers. What is tracked, on this one.
fn stats(told: &Told<'_>, out: &mut String) -> std::fmt::Result {
    let Tracked { keys, items, prefixes, .. } = told.reader.tracking().tracked();
    write!(out, "# Stats\r\nevicted_keys:{}\r\n", told.reader.memory().evicted)?;
    write!(out, "tracking_total_keys:{keys}\r\ntracking_total_items:{items}\r\n")?;
    write!(out, "tracking_total_prefixes:{prefixes}\r\n")
}

fn cluster(told: &Told<'_>, out: &mut String) -> std::fmt::Result {
    write!(out, "# Cluster\r\ncluster_enabled:{}\r\n", u8::from(told.site.failover.cluster))
}

fn niagara(told: &Told<'_>, out: &mut String) -> std::fmt::Result {
    let Status { server, cluster, groups, durability, applied, commands, noops, .. } = told.status;
    write!(out, "# Niagara\r\nserver:{server}\r\ncluster:{cluster}\r\n")?;
    write!(out, "groups:{groups}\r\ndurability:{durability}\r\n")?;
    write!(out, "applied:{applied}\r\ncommands:{commands}\r\nnoops:{noops}\r\n")?;
    for group in &told.status.local {
        let (number, role, leader) = (group.group, group.role, group.leader);
        write!(
            out,
            "group{number}:role={role},leader={leader},term={},commit={}\r\n",
            group.term, group.commit
        )?;
    }
    Ok(())
}

fn keyspace(told: &Told<'_>, out: &mut String) -> std::fmt::Result {
    write!(out, "# Keyspace\r\n")?;
    for database in Database::all() {
        let (keys, expiring) = told.reader.keys_of(database);
        if keys > 0 {
            write!(out, "db{}:keys={keys},expires={expiring},avg_ttl=0\r\n", database.number())?;
        }
    }
    Ok(())
}
