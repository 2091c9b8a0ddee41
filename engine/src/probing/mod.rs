//! Whether servers are where they are said to be: asked before a change of members, since one that cannot be reached counts as
//! one that is down.

mod prober;
mod responder;

use std::net::{Ipv4Addr, SocketAddr};

use niagara_net::{Hello, Levels, LinkConfig};

use crate::config::{Config, FIRST_LEVEL};

pub(crate) use prober::Prober;
pub use responder::ProbeResponder;

/// How a server greets in a probe, and at which level.
fn link_config(config: &Config, level: u32) -> LinkConfig {
    let hello = Hello {
        cluster: config.cluster,
        server: config.server,
        application: config.application,
        promise_us: config.promise().map_or(0, |promise| promise.as_micros() as u64),
        levels: (config.known_level > FIRST_LEVEL)
            .then_some(Levels { in_force: level, known: config.known_level }),
        ..Hello::default()
    };
    let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let mut link_config = LinkConfig::new(hello, anywhere, Vec::new());
    (link_config.tls, link_config.plain) = (config.tls.clone(), config.plain);
    link_config
}
