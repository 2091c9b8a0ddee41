//! How a follower that has no state yet gets its [first one](crate::server::first_state): it asks the members until one has a
//! snapshot.

use std::sync::Arc;

use bytes::Bytes;
use niagara_log::Files;
use niagara_net::Frame;

use super::channel::open_as_guest;
use super::wire::{FEED_CHANNEL, FeedMessage, Follow, is_of_feed};
use crate::config::Config;
use crate::identity::Identity;
use crate::server::first_state::{FirstState, Said, Servers, Source};
use crate::server::start_error::StartError;
use crate::server::surroundings::MakeTransport;

/// Fetches a snapshot from the members.
///
/// # Errors
/// If the channel cannot be opened, or the disk fails.
pub(in crate::server) fn follow_first_state(
    config: &Config,
    identity: &Arc<Identity>,
    files: &Arc<dyn Files>,
    make_transport: &MakeTransport,
) -> Result<(), StartError> {
    let mut transport = make_transport().map_err(StartError::Transfer)?;
    open_as_guest(&mut *transport, config, identity, &config.members)?;
    tracing::info!("follows a cluster for the first time: waiting for its state");
    let members = Servers { transport, channel: FEED_CHANNEL, source: Fed };
    FirstState::fetch(config, identity, files, members)
}

/// The members, which answer when they have a snapshot.
struct Fed;

impl Source for Fed {
    fn read(&self, from: u64, body: &Bytes) -> Said {
        if !is_of_feed(body) {
            return Said::of_transfer(from, body);
        }
        match FeedMessage::decode(body) {
            Ok(FeedMessage::Behind { cut }) => Said::Has(cut),
            Ok(_) => Said::Nothing,
            Err(error) => {
                tracing::warn!(from, %error, "dropped a message for followers");
                Said::Nothing
            }
        }
    }

    /// Asks for everything.
    fn question(&self) -> Option<Frame> {
        let all = FeedMessage::Follow(Follow { epoch: None, at_once: true, groups: Vec::new() });
        Some(all.encode())
    }

    fn say_what_is_awaited(&self, connected: &[u64]) {
        if connected.is_empty() {
            tracing::info!("still waiting for a connection to any member");
        } else {
            tracing::info!(
                ?connected,
                "still waiting for a member that has a snapshot: nothing may have been written yet"
            );
        }
    }
}
