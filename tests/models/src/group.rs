//! What the included files know of a group's driver.

#[path = "../../../engine/src/group/lane_source.rs"]
mod lane_source;

pub use lane_source::LaneSource;
