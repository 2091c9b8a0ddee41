use std::sync::Arc;

use niagara_log::{Durability, SystemFiles};
use proptest::prelude::*;

use super::*;
use crate::example::Counter;
use crate::internals::sim::{Clock, Environment, SimServer};
use crate::{Member, Pinning};

fn config() -> Config {
    let address = || "nowhere:0".to_owned();
    let member = |server| Member { server, addresses: vec![address()], transfer: address() };
    let mut config = Config::new(1, 1, (1..=3).map(member).collect());
    config.durability = Durability::Memory;
    config.pinning = Pinning::Off;
    config
}

fn change(config: &mut Config, field: usize, value: u64) {
    let short = u32::try_from(value).unwrap_or(u32::MAX);
    let long = value as usize;
    match field {
        0 => config.tick = Duration::from_millis(value),
        1 => config.deadline = Duration::from_millis(value),
        2 => config.heartbeat_ticks = short,
        3 => config.election_ticks = short,
        4 => config.window = long,
        5 => config.entry_bytes = long,
        6 => config.command_bytes = long,
        7 => config.lane_commands = long,
        8 => config.lane_bytes = long,
        9 => config.segment_bytes = value,
        10 => config.log_cache_bytes = long,
        11 => config.unsynced_bytes = long,
        12 => config.merge_bytes = long,
        13 => config.behind_bytes = value,
        14 => config.disk_reserve_bytes = value,
        15 => config.send_queue_bytes = long,
        16 => config.snapshot_entries = value,
        17 => config.snapshot_bytes = value,
        18 => config.snapshot_write_rate = value,
        19 => config.snapshot_transfer_rate = value,
        20 => config.snapshot_piece_bytes = short,
        21 => config.subscription_bytes = long,
        22 => config.snapshot_pin_bytes = value,
        23 => config.known_level = short,
        _ => config.first_level = short,
    }
}

const FIELDS: usize = 25;

/// Runs a server for a moment: it campaigns, and accepts and cuts commands.
fn run(config: &Config) {
    let environment = Environment {
        boot: 1,
        clock: Clock::System,
        files: Arc::new(SystemFiles),
        prepare_beside: false,
        election_seed: Some(1),
    };
    let mut machine =
        SimServer::open(config, &environment, Counter::default()).expect("memory can be opened");
    drop(machine.client().propose("command".into()));
    drop(machine.client().read(crate::Consistency::Strong));
    for _ in 0..4 {
        machine.tick_group(0);
        machine.turn(0);
        machine.write_log(0).expect("memory can be written");
        machine.merge();
        machine.execute();
        machine.tick();
        machine.keep_snapshots();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn what_passes_the_check_starts(
        changes in prop::collection::vec((0..FIELDS, prop_oneof![
            (0..64u32, 0..3u64).prop_map(|(power, near)| (1u64 << power).wrapping_add(near).wrapping_sub(1)),
            any::<u64>(),
        ]), 1..4),
    ) {
        let mut config = config();
        changes.iter().for_each(|(field, value)| change(&mut config, *field, *value));
        if config.check().is_ok() {
            run(&config);
        }
    }
}

/// Both ends of each range on its own, then all greatest and all least values together.
#[test]
fn the_ends_of_every_range_start_and_what_is_beyond_is_named() {
    let ranges = config().ranges();
    let (mut least, mut most) = (config(), config());
    for (field, range) in ranges.iter().enumerate().take(FIELDS) {
        for (end, value) in [(true, range.most), (false, range.least)] {
            let mut config = config();
            change(&mut config, field, value as u64);
            match config.check() {
                Ok(()) => run(&config),
                Err(error) => assert!(matches!(error, ConfigError::Unfit(_)), "{error}"),
            }
            let Some(beyond) = (if end { value.checked_add(1) } else { value.checked_sub(1) }) else {
                continue;
            };
            change(&mut config, field, beyond as u64);
            let error = config.check().unwrap_err();
            assert!(matches!(error, ConfigError::OutOfRange { name, .. } if name == range.name), "{error}");
            let text = error.to_string();
            let limit = if end {
                format!("at most {}", amount(value, range.unit))
            } else {
                format!("at least {}", amount(value, range.unit))
            };
            for part in [range.name, &limit, &amount(beyond, range.unit)] {
                assert!(text.contains(part), "{text} does not say {part}");
            }
        }
        change(&mut least, field, range.least as u64);
        change(&mut most, field, range.most as u64);
    }
    most.check().unwrap();
    run(&most);
    least.election_ticks = 5;
    least.check().unwrap();
    run(&least);
}

#[test]
fn a_frame_holds_whatever_an_entry_holds() {
    for (entry, command) in [(KIB, KIB), (MOST_ENTRY_BYTES, KIB), (KIB, MOST_COMMAND_BYTES)] {
        let config = Config { entry_bytes: entry, command_bytes: command, ..config() };
        let largest = (entry + MOST_PIECE_BYTES).max(command);
        assert!(config.frame_bytes() >= largest + FRAME_SPARE_BYTES);
        assert!(config.sub_batch_bytes() >= largest);
    }
}
