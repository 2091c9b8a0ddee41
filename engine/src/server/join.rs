//! How a server that joins a running cluster gets its [first state](super::first_state): a snapshot of an epoch of which it is
//! a member.

use std::sync::Arc;

use bytes::Bytes;
use niagara_log::{Files, SystemFiles};
use niagara_net::Frame;
use niagara_sequencer::epoch::Record;

use super::channels::open_transfer;
use super::first_state::{FirstState, Said, Servers, Source};
use super::start_error::{StartError, check_level};
use super::surroundings::MakeTransport;
use crate::config::Config;
use crate::identity::{self, Identity, Past};
use crate::snapshot::Transfer;

/// What the data directory shows of its server's past: one that has had a part in its cluster starts again without
/// [`Config::join`].
///
/// ```
/// use niagara_engine::{Config, Past, past};
///
/// let mut config = Config::local(1, 1)?.remove(0);
/// config.data_dir = std::env::temp_dir().join("niagara-of-nobody");
/// assert_eq!(past(&config)?, Past::None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the directory's file `identity` cannot be read.
pub fn past(config: &Config) -> Result<Past, StartError> {
    Ok(identity::past(config, &SystemFiles)?)
}

/// Fetches a snapshot from other members.
///
/// # Errors
/// If this server is no member of the epoch that it is to join, cannot listen, or its disk fails.
pub(super) fn fetch_first_state(
    config: &Config,
    identity: &Arc<Identity>,
    files: &Arc<dyn Files>,
    make_transport: &MakeTransport,
) -> Result<(), StartError> {
    let not_a_member = || StartError::NotAMember { server: config.server };
    let record = config.join.as_ref().ok_or_else(not_a_member)?.joined();
    if !record.is_member(config.server) {
        return Err(not_a_member());
    }
    check_level(config, record.terms.level)?;
    let mut transport = make_transport().map_err(StartError::Transfer)?;
    let channel = open_transfer(&mut *transport, config, &record, identity, None)?;
    tracing::info!(epoch = record.epoch.get(), "joins a running cluster: waiting for its state");
    FirstState::fetch(config, identity, files, Servers { transport, channel, source: Members(record) })
}

/// The other members of an epoch. They tell by themselves whoever is behind.
struct Members(Record);

impl Source for Members {
    fn read(&self, from: u64, body: &Bytes) -> Said {
        match Said::of_transfer(from, body) {
            Said::Transfer(Transfer::Over { cut }) if cut.epoch >= self.0.epoch => Said::Has(cut),
            said => said,
        }
    }

    fn question(&self) -> Option<Frame> {
        None
    }

    /// A majority: one alone may only be unable to write down whom it meets.
    fn gives_up(&self, refused_by: usize) -> bool {
        refused_by > (self.0.terms.members.len() - 1) / 2
    }

    fn say_what_is_awaited(&self, _: &[u64]) {
        tracing::info!("still waiting for a member that has a snapshot of an epoch with this server");
    }
}
