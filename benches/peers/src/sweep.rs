//! All peers, on all kinds of work.

use crate::measure::measure;
use crate::report::PeerOutcome;
use crate::work::{Durability, Peer, PeerWork};

/// An append, and a write of a value.
const PAYLOADS: [u32; 2] = [16, 2048];
const DURABILITIES: [Durability; 2] = [Durability::Memory, Durability::Fsync];

/// Measures every peer on every kind of work. What is to be compared runs one right after the other, so that what else
/// the machine does hits all alike. A peer that fails does not end the rest: its reason stands in its place.
///
/// `watch` is told of each run before it begins.
pub fn sweep(work: &PeerWork, mut watch: impl FnMut(&str)) -> (Vec<PeerOutcome>, Vec<anyhow::Error>) {
    let (mut outcomes, mut failures) = (Vec::new(), Vec::new());
    for payload in PAYLOADS {
        for durability in DURABILITIES {
            let work = PeerWork { payload, durability, ..work.clone() };
            for peer in Peer::ALL {
                watch(&work.command_line(peer));
                match measure(peer, &work) {
                    Ok(outcome) => outcomes.push(outcome),
                    Err(error) => failures.push(error),
                }
            }
        }
    }
    (outcomes, failures)
}
