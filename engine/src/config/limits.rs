//! The range of each setting. Within the ranges no sum, product or point in time overflows, in any
//! combination.

use std::time::Duration;

use niagara_group::batch::MOST_PIECE_BYTES;
use niagara_log::{SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
use niagara_net::DEFAULT_MAX_FRAME_BYTES;

use super::{Config, ConfigError, FIRST_LEVEL, KNOWN_LEVEL, TRANSFER_PIECE_BYTES};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

const MOST_ENTRY_BYTES: usize = 16 * MIB;
const MOST_COMMAND_BYTES: usize = 256 * MIB;

/// Room in an append beside the commands of one entry: for their headers, or for up to 1 MiB of other
/// entries.
const FRAME_SPARE_BYTES: usize = 8 * MIB;

/// The largest sub-batch of small commands from any server, however large that server's entries are
/// configured to be.
const MOST_SHARED_BYTES: usize = MOST_ENTRY_BYTES + MOST_PIECE_BYTES;

// An entry that fits no frame would never reach a follower. One of small commands fits, whatever other
// servers' settings are. For the largest command, frames are made large enough; a frame's length has 32 bits.
const _: () = assert!(MOST_SHARED_BYTES + FRAME_SPARE_BYTES <= DEFAULT_MAX_FRAME_BYTES);
const _: () = assert!(MOST_COMMAND_BYTES + FRAME_SPARE_BYTES <= u32::MAX as usize);

/// Keeps deadlines, and whatever is counted in ticks, within what clocks can represent.
const MOST_TICK: Duration = Duration::from_secs(10);
const MOST_ELECTION_TICKS: u32 = 10_000;
const MOST_HEARTBEAT_TICKS: u32 = MOST_ELECTION_TICKS / 5;
const MOST_DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);

struct Range {
    name: &'static str,
    value: u128,
    unit: &'static str,
    least: u128,
    most: u128,
}

fn bytes(name: &'static str, value: usize, least: usize, most: usize) -> Range {
    Range { name, value: value as u128, unit: "bytes", least: least as u128, most: most as u128 }
}

fn count(name: &'static str, unit: &'static str, value: u64, least: u64, most: u64) -> Range {
    Range { name, value: value.into(), unit, least: least.into(), most: most.into() }
}

fn time(name: &'static str, value: Duration, most: Duration) -> Range {
    Range { name, value: value.as_millis(), unit: "ms", least: 1, most: most.as_millis() }
}

/// The limit that a value exceeds, in words.
pub(super) fn bound(value: u128, least: u128, most: u128, unit: &str) -> String {
    if value < least {
        format!("at least {}", amount(least, unit))
    } else {
        format!("at most {}", amount(most, unit))
    }
}

/// A value with its unit, in a larger unit if it is a whole number of those.
pub(super) fn amount(value: u128, unit: &str) -> String {
    const KIB: u128 = 1 << 10;
    const MIB: u128 = 1 << 20;
    let Some(rest) = unit.strip_prefix("bytes").filter(|_| value > 0 && value.is_multiple_of(KIB)) else {
        return format!("{value} {unit}");
    };
    if value.is_multiple_of(MIB) {
        format!("{} MiB{rest}", value / MIB)
    } else {
        format!("{} KiB{rest}", value / KIB)
    }
}

impl Config {
    /// The longest message on a group's link, in bytes.
    pub(crate) fn frame_bytes(&self) -> usize {
        DEFAULT_MAX_FRAME_BYTES.max(self.sub_batch_bytes() + FRAME_SPARE_BYTES)
    }

    /// The largest sub-batch that a member sends, in bytes.
    pub(crate) fn sub_batch_bytes(&self) -> usize {
        self.command_bytes.max(MOST_SHARED_BYTES)
    }

    pub(super) fn check_limits(&self) -> Result<(), ConfigError> {
        for Range { name, value, unit, least, most } in self.ranges() {
            if !(least..=most).contains(&value) {
                return Err(ConfigError::OutOfRange { name, value, unit, least, most });
            }
        }
        if self.election_ticks < 5 * self.heartbeat_ticks {
            return Err(ConfigError::Unfit(format!(
                "election_ticks must be at least 5 times heartbeat_ticks, which is {}, but is {}",
                self.heartbeat_ticks, self.election_ticks
            )));
        }
        if self.first_level > self.known_level {
            return Err(ConfigError::Unfit(format!(
                "first_level must be at most known_level, which is {}, but is {}",
                self.known_level, self.first_level
            )));
        }
        if self.lane_bytes < 2 * self.command_bytes {
            return Err(ConfigError::Unfit(format!(
                "lane_bytes must be at least twice command_bytes, which is {} bytes, but is {} bytes",
                self.command_bytes, self.lane_bytes
            )));
        }
        Ok(())
    }

    fn ranges(&self) -> [Range; 26] {
        let tib = 1 << 40;
        let segment = |bytes: u64| bytes as usize;
        [
            time("tick", self.tick, MOST_TICK),
            time("deadline", self.deadline, MOST_DEADLINE),
            count("heartbeat_ticks", "ticks", self.heartbeat_ticks.into(), 1, MOST_HEARTBEAT_TICKS.into()),
            count("election_ticks", "ticks", self.election_ticks.into(), 5, MOST_ELECTION_TICKS.into()),
            count("window", "entries", self.window as u64, 1, 1 << 16),
            bytes("entry_bytes", self.entry_bytes, KIB, MOST_ENTRY_BYTES),
            bytes("command_bytes", self.command_bytes, KIB, MOST_COMMAND_BYTES),
            count("lane_commands", "commands", self.lane_commands as u64, 1, 1 << 30),
            bytes("lane_bytes", self.lane_bytes, 2 * KIB, 64 * GIB),
            bytes(
                "segment_bytes",
                segment(self.segment_bytes),
                segment(SEGMENT_BYTES_MIN),
                segment(SEGMENT_BYTES_MAX),
            ),
            bytes("log_cache_bytes", self.log_cache_bytes, 0, 64 * GIB),
            bytes("unsynced_bytes", self.unsynced_bytes, KIB, 64 * GIB),
            bytes("merge_bytes", self.merge_bytes, KIB, 64 * GIB),
            count("behind_bytes", "bytes", self.behind_bytes, KIB as u64, 1024 * tib),
            count("disk_reserve_bytes", "bytes", self.disk_reserve_bytes, 0, 1024 * tib),
            bytes("send_queue_bytes", self.send_queue_bytes, KIB, 64 * GIB),
            count("snapshot_entries", "entries", self.snapshot_entries, 1, tib),
            count("snapshot_bytes", "bytes", self.snapshot_bytes, 1, 1024 * tib),
            count("snapshot_write_rate", "bytes per second", self.snapshot_write_rate, MIB as u64, tib),
            count("snapshot_transfer_rate", "bytes per second", self.snapshot_transfer_rate, MIB as u64, tib),
            count(
                "snapshot_piece_bytes",
                "bytes",
                self.snapshot_piece_bytes.into(),
                1,
                TRANSFER_PIECE_BYTES.into(),
            ),
            bytes("subscription_bytes", self.subscription_bytes, KIB, 64 * GIB),
            count("snapshot_pin_bytes", "bytes", self.snapshot_pin_bytes, 0, 1024 * tib),
            count("known_level", "", self.known_level.into(), FIRST_LEVEL.into(), KNOWN_LEVEL.into()),
            count("first_level", "", self.first_level.into(), FIRST_LEVEL.into(), KNOWN_LEVEL.into()),
            // A follower may be told of them later.
            count("members", "servers", self.members.len() as u64, u64::from(!self.follows()), 1024),
        ]
    }
}

#[cfg(test)]
mod tests;
