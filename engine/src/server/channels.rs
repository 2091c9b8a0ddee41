//! Opens the channels to the other servers, as the configuration describes them.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use niagara_net::{LinkConfig, Peer, Transport};
use niagara_sequencer::epoch::{Epoch, Record};
use parking_lot::Mutex;

use super::start_error::StartError;
use crate::config::{Config, MOST_PENDING, Member};
use crate::identity::{Identity, random};
use crate::progress::channel_of;

/// Room in a message beside its entries' commands.
const MESSAGE_HEADS_BYTES: usize = 16 << 10;
/// Larger buffers are not worth the memory that they pin.
const READ_BUFFER_BYTES_MAX: usize = 1 << 20;

/// Where this server listens for its groups, by the index of the address, as far as it does already. Empty if it does not
/// listen.
#[derive(Clone, Debug, Default)]
pub(super) struct Listening(Arc<Mutex<BTreeMap<usize, SocketAddr>>>);

impl Listening {
    /// Where it listens at the address with this index.
    pub fn at(&self, index: usize) -> Option<SocketAddr> {
        self.0.lock().get(&index).copied()
    }

    fn listens(&self, index: usize, at: SocketAddr) {
        self.0.lock().insert(index, at);
    }

    /// Another group begins to listen, as this link says.
    pub fn joins(&self, config: &Config, group: u16, link: &LinkConfig) {
        let mut known = self.0.lock();
        if !known.is_empty() {
            known.entry(config.own().address_of(group.into())).or_insert(link.listen);
        }
    }
}

/// Opens a group's channel.
pub(super) fn open_group(
    transport: &mut dyn Transport,
    config: &Config,
    record: &Record,
    group: u16,
    identity: &Arc<Identity>,
    listening: &Listening,
) -> Result<(), StartError> {
    let (number, channel) = (group + 1, channel_of(record.epoch, group.into()));
    let at = config.own().address_of(group.into());
    let link_config = group_link(config, record, group, identity, listening)?;
    let admission = Arc::<Identity>::clone(identity);
    let listener = if listening.at(at).is_some() { None } else { config.listeners.take(at as u16 + 1) };
    let opened = transport.open(link_config, listener, admission);
    opened.map_err(|source| StartError::Link { group: number, source })?;
    transport.local_addr(channel).into_iter().for_each(|local| listening.listens(at, local));
    Ok(())
}

/// How a group's channel is to be opened.
pub(super) fn group_link(
    config: &Config,
    record: &Record,
    group: u16,
    identity: &Arc<Identity>,
    listening: &Listening,
) -> Result<LinkConfig, StartError> {
    let (number, channel) = (group + 1, channel_of(record.epoch, group.into()));
    let own = config.own();
    let at = own.address_of(group.into());
    let link = config.links.get(at).cloned().unwrap_or_default();
    let listen = match (listening.at(at), link.listen) {
        // With port 0, only this is known to be the one.
        (Some(listening), _) => listening,
        (None, Some(listen)) => listen,
        (None, None) => resolve(&own.addresses[at]).map_err(|source| StartError::Address {
            group: number,
            address: own.addresses[at].clone(),
            source,
        })?,
    };
    let hello = identity.hello(config, channel, Some(record));
    let address = |member: &Member| member.addresses[member.address_of(group.into())].clone();
    let peers = config.others(record);
    let count = peers.len();
    let peers = peers.iter().map(|member| Peer { server: member.server, address: address(member) });
    let mut link_config = LinkConfig::new(hello, listen, peers.collect());
    link_config.bind_address = link.bind_address;
    link_config.bind_device = link.bind_device;
    (link_config.tls, link_config.plain) = (config.tls.clone(), config.plain);
    link_config.max_frame_bytes = config.frame_bytes();
    // The replica stops when its own bound is exceeded, so one message may come on top; nothing is ever
    // dropped here.
    link_config.send_queue_bytes = config.send_queue_bytes + link_config.max_frame_bytes;
    link_config.max_pending_connections = MOST_PENDING + count;
    // A leader that is ahead by its whole window sends that in one message.
    let message_bytes = config.entry_bytes * (config.window + 1) + MESSAGE_HEADS_BYTES;
    link_config.read_buffer_bytes = message_bytes.clamp(link_config.read_buffer_bytes, READ_BUFFER_BYTES_MAX);
    link_config.seed = random() as u64;
    Ok(link_config)
}

/// Number of the snapshots' channel of the servers that are members since this epoch.
pub(super) fn transfer_channel(since: Epoch) -> u32 {
    channel_of(since, 0) - 1
}

/// Opens the snapshots' channel of servers that are members since an epoch, where other such channels listen already, or a
/// socket does. Returns its number.
pub(super) fn open_transfer(
    transport: &mut dyn Transport,
    config: &Config,
    since: &Record,
    identity: &Arc<Identity>,
    listening: Option<SocketAddr>,
) -> Result<u32, StartError> {
    let number = transfer_channel(since.epoch);
    let others = config.others(since).into_iter();
    let peers: Vec<Peer> =
        others.map(|member| Peer { server: member.server, address: member.transfer }).collect();
    let own = config.own();
    let listen = match listening {
        Some(listening) => listening,
        None => resolve(&own.transfer)
            .map_err(|source| StartError::TransferAddress { address: own.transfer.clone(), source })?,
    };
    let listener = if listening.is_none() { config.listeners.take(0) } else { None };
    let pending = MOST_PENDING + peers.len();
    let hello = identity.transfer_hello(config, number, since);
    let mut link_config = LinkConfig::new(hello, listen, peers);
    link_config.max_pending_connections = pending;
    (link_config.tls, link_config.plain) = (config.tls.clone(), config.plain);
    link_config.seed = random() as u64;
    let admission = Arc::<Identity>::clone(identity);
    transport.open(link_config, listener, admission).map_err(StartError::Transfer)?;
    Ok(number)
}

fn resolve(address: &str) -> io::Result<SocketAddr> {
    address
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "it has no address"))
}
