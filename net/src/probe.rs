//! Probes: whether the server that is said to be at an address answers there.
//!
//! A probe is a greeting on a channel that carries no messages. The listener checks the prober as it would on any other channel
//! (cluster, application, level, certificate), answers with its own hello, and closes. A server that only waits to become
//! a member answers, too: see [`Responder`](crate::Responder).

use crate::admission::check_cluster;
use crate::hello::Hello;
use crate::refusal::Refusal;

/// The channel of probes. Those of a [`Responder`](crate::Responder), one for each address, are counted down from it.
pub(crate) const PROBE_CHANNEL: u32 = u32::MAX - 1;
/// The lowest channel that is one of probes.
const FIRST_PROBE_CHANNEL: u32 = 0xffff_8000;

/// Whether a channel is one of probes.
pub(crate) fn is_probe(channel: u32) -> bool {
    (FIRST_PROBE_CHANNEL..=PROBE_CHANNEL).contains(&channel)
}

/// What a server says of itself in a probe: nothing about its data, and nothing that may differ between a member and a
/// server that is to become one.
pub(crate) fn hello(own: &Hello) -> Hello {
    let Hello { cluster, server, application, promise_us, levels, .. } = *own;
    Hello { cluster, server, channel: PROBE_CHANNEL, application, promise_us, levels, ..Hello::default() }
}

/// What a server answers who is greeted with a probe.
pub(crate) fn answer(own: &Hello, prober: &Hello) -> Result<Hello, Refusal> {
    let own = hello(own);
    check_cluster(&own, prober)?;
    Ok(own)
}
