//! The end that asks.

use std::time::Duration;

use niagara_net::{LinkConfig, Peer, ProbeError, Refusal, probe};

use super::link_config;
use crate::config::{Config, FIRST_LEVEL, Link};
use crate::members::MemberView;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a server probes others with.
#[derive(Debug)]
pub(crate) struct Prober {
    config: LinkConfig,
    /// This server's end of its addresses' links.
    links: Vec<Link>,
}

impl Prober {
    pub fn of(config: &Config) -> Prober {
        Prober { config: link_config(config, FIRST_LEVEL), links: config.links.clone() }
    }

    /// Looks for a server at each of its addresses, in a cluster at this level. Blocks for seconds if it does not answer.
    ///
    /// # Errors
    /// The first address at which it is not, and what is there.
    pub fn find(&self, member: &MemberView, level: u32) -> Result<(), String> {
        let groups = member.addresses.iter().enumerate().map(|(at, address)| (self.links.get(at), address));
        groups.chain([(None, &member.transfer)]).try_for_each(|(link, address)| {
            let peer = Peer { server: member.server, address: address.clone() };
            match probe(self.link(link, level), peer, PATIENCE) {
                // A release without probes has been compared by its cluster at least.
                Ok(()) | Err(ProbeError::Unsupported) => Ok(()),
                Err(ProbeError::Refused(Refusal::WrongServer { found, .. })) => {
                    Err(format!("server {found} is at {address}, not server {}", member.server))
                }
                Err(error) => Err(format!("server {} is not found at {address}: {error}", member.server)),
            }
        })
    }

    fn link(&self, link: Option<&Link>, level: u32) -> LinkConfig {
        let mut config = self.config.clone();
        if let Some(levels) = &mut config.hello.levels {
            levels.in_force = level;
        }
        if let Some(link) = link {
            config.bind_address = link.bind_address;
            config.bind_device.clone_from(&link.bind_device);
        }
        config
    }
}
