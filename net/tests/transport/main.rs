//! Transports on the loopback device: what they promise each other, and what they withstand from strangers.
//!
//! Most tests poll all transports in the test's own thread, in turn, until a condition holds. They wait for
//! conditions, never for time, and only a failing test reaches its deadline.

mod channels;
mod exchange;
mod greeting;
mod guests;
mod probe;
mod queue;
mod reconnect;
mod rig;
mod strangers;
mod tls;
mod wake;
