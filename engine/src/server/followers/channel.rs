//! The channel of followers, on both ends. Members have it beside that of their snapshots, at the same address.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use niagara_net::{AdmitAll, Dialling, LinkConfig, Peer, Transport};

use super::admission::FollowerAdmission;
use super::wire::FEED_CHANNEL;
use crate::config::{Config, MOST_FOLLOWERS, MOST_PENDING, Member};
use crate::identity::{Identity, random};
use crate::server::start_error::StartError;

/// Opens a member's end, where it listens for snapshots.
pub(super) fn open_as_host(
    transport: &mut dyn Transport,
    config: &Config,
    identity: &Identity,
    listening: SocketAddr,
    admission: &Arc<FollowerAdmission>,
) -> Result<(), StartError> {
    let mut link = LinkConfig::new(identity.feed_hello(config, FEED_CHANNEL), listening, Vec::new());
    link.dialling = Dialling::Host { most: MOST_FOLLOWERS };
    link.max_pending_connections = MOST_PENDING;
    limit(&mut link, config);
    let admission = Arc::<FollowerAdmission>::clone(admission);
    transport.open(link, None, admission).map_err(StartError::Transfer)
}

/// Opens a follower's end, which dials these members.
pub(in crate::server) fn open_as_guest(
    transport: &mut dyn Transport,
    config: &Config,
    identity: &Identity,
    members: &[Member],
) -> Result<(), StartError> {
    let peer = |member: &Member| Peer { server: member.server, address: member.transfer.clone() };
    let peers = members.iter().map(peer).collect();
    let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let mut link = LinkConfig::new(identity.feed_hello(config, FEED_CHANNEL), nowhere, peers);
    link.dialling = Dialling::Guest;
    limit(&mut link, config);
    transport.open(link, None, Arc::new(AdmitAll)).map_err(StartError::Transfer)
}

fn limit(link: &mut LinkConfig, config: &Config) {
    (link.tls, link.plain) = (config.tls.clone(), config.plain);
    link.max_frame_bytes = config.frame_bytes();
    link.seed = random() as u64;
}
