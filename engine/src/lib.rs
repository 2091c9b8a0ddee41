//! The embeddable multi-core Raft engine.
