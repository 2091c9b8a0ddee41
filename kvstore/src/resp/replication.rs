//! What clients ask about replication: ROLE, WAIT, and their part of INFO.

use std::fmt::Write as _;

use bytes::Bytes;
use niagara_engine::Status;

use super::encode::Replies;
use super::parse::Arguments;
use super::plan::NOT_AN_INTEGER;
use super::printing::data;
use super::topology::Topology;
use crate::Data;
use crate::decimal::decimal;
use crate::handover::Stage;

/// The part of INFO.
pub(super) fn describe(
    topology: &Topology,
    status: &Status,
    stage: Stage,
    out: &mut String,
) -> std::fmt::Result {
    let (master, applied) = (&topology.master.address, status.applied);
    let role = if topology.is_master() { "master" } else { "slave" };
    write!(out, "# Replication\r\nrole:{role}\r\n")?;
    if !topology.is_master() {
        write!(out, "master_host:{}\r\nmaster_port:{}\r\n", master.host, master.port)?;
        let read_only = u8::from(!status.role.is_member());
        write!(out, "master_link_status:up\r\nslave_repl_offset:{applied}\r\n")?;
        write!(out, "slave_read_only:{read_only}\r\n")?;
    }
    let replicas = if topology.is_master() { topology.replicas.as_slice() } else { &[] };
    write!(out, "connected_slaves:{}\r\n", replicas.len())?;
    for (number, node) in replicas.iter().enumerate() {
        let (host, port) = (&node.address.host, node.address.port);
        write!(out, "slave{number}:ip={host},port={port},state=online,offset={applied},lag=0\r\n")?;
    }
    write!(out, "master_failover_state:{}\r\n", stage.name())?;
    write!(out, "master_replid:{}\r\nmaster_repl_offset:{applied}\r\n", topology.shard)
}

/// `ROLE`. Offsets are positions of the global log.
pub(super) fn tell_role(topology: &Topology, applied: u64, replies: &mut Replies<'_>) {
    let text = |text: &str| Data::Bulk(Bytes::copy_from_slice(text.as_bytes()));
    let offset = Data::count(applied as usize);
    let told = if topology.is_master() {
        let replicas = topology.replicas.iter().map(|node| {
            let address = &node.address;
            let parts = [&address.host, &address.port.to_string(), &applied.to_string()];
            Data::Array(parts.map(|part| text(part)).into())
        });
        vec![text("master"), offset, Data::Array(replicas.collect())]
    } else {
        let master = &topology.master.address;
        vec![text("slave"), text(&master.host), Data::Integer(master.port.into()), text("connected"), offset]
    };
    data(&Data::Array(told), replies);
}

/// How many other servers hold the connection's last write for sure: a majority has it, this server aside, once its
/// client knows its outcome.
pub(super) fn copies(status: &Status, is_certain: bool) -> u64 {
    if is_certain { status.voters.len() as u64 / 2 } else { 0 }
}

/// `WAIT numreplicas timeout`: nothing is waited for, since an acknowledged write has its copies.
pub(super) fn wait(arguments: Arguments<'_>, copies: u64, replies: &mut Replies<'_>) -> bool {
    let checked = check(arguments);
    match checked {
        Ok(()) => replies.count(copies),
        Err(wrong) => replies.error(wrong),
    }
    checked.is_ok()
}

fn check(arguments: Arguments<'_>) -> Result<(), &'static str> {
    decimal(arguments.get(1)).ok_or(NOT_AN_INTEGER)?;
    match decimal(arguments.get(2)) {
        Some(0..) => Ok(()),
        Some(_) => Err("ERR timeout is negative"),
        None => Err("ERR timeout is not an integer or out of range"),
    }
}
