//! How operations reach servers.

use super::clock::Clock;
use super::operation::{Operation, Outcome};

/// Something that carries operations: sockets, or ports of engines.
///
/// An operation in flight has a *place*, a number that its caller chooses and that the outcome names. The places of one
/// connection are neighbours.
pub(super) trait Transport: Send {
    /// Whether this connection takes an operation now. If not, [`Event::Opened`] says when it does.
    fn takes(&self, connection: usize) -> bool;

    /// Stages an operation on a connection that takes one.
    fn send(&mut self, now: u64, connection: usize, place: usize, operation: &Operation);

    /// Hands over all that is staged, sleeps until something comes or this time has, and says what has come and when.
    fn turn(&mut self, clock: Clock, until: u64, heard: &mut impl FnMut(u64, Event<'_>));
}

/// What happens on a transport.
pub(super) enum Event<'a> {
    /// An operation ends.
    Outcome { place: usize, outcome: Outcome<'a> },
    /// A connection takes operations.
    Opened { connection: usize },
    /// A connection could not be opened; the reason.
    Unreachable { why: String },
}
