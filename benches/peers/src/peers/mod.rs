//! The implementations that are measured, each in a folder of its own.

pub mod etcd;
pub mod omnipaxos;
pub mod openraft;
pub mod raft_rs;
