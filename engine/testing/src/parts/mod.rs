//! What simulators are made of: a network, disks, time and choices, all of which follow from a seed.
//!
//! [`Simulation`](crate::Simulation) is built of these, and so is Niagara's own simulator. A simulator of
//! your own connects them with [`SimServer`](niagara_engine::internals::sim::SimServer).
//!
//! | module | holds |
//! |---|---|
//! | [`chance`] | random choices that follow from a seed |
//! | [`queue`] | pending events, in the order of time |
//! | [`network`], [`messages`] | links: late, lost, doubled, overtaken and damaged messages; kinds of messages |
//! | [`disk`] | a disk that forgets what was not synced, tears writes, fills up and breaks |
//! | [`joining`] | servers that join a cluster, and are removed from it |
//! | [`aim`] | steps in which a server uses its disk, to aim faults at |
//!
//! ```
//! use niagara_log::Files;
//! use niagara_testing::parts::chance::Chance;
//! use niagara_testing::parts::disk::Disk;
//! use std::path::Path;
//!
//! let disk = Disk::new(Chance::new(42));
//! let file = disk.create(Path::new("a"))?;
//! file.write_all_at(&mut [std::io::IoSlice::new(b"synced")], 0)?;
//! file.sync_all()?;
//! disk.sync_dir(Path::new(""))?;
//! disk.power_fails();
//! assert_eq!(disk.open(Path::new("a"))?.length()?, 6);
//! # Ok::<(), std::io::Error>(())
//! ```

pub mod aim;
pub mod chance;
pub mod disk;
pub mod joining;
pub mod messages;
mod names;
pub mod network;
pub mod queue;
