//! The pure rules that merge many local logs into one global log.
