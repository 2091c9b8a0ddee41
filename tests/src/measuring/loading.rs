//! Loading keys as fast as they go: every server takes a share, many commands in flight.

use std::ops::Range;
use std::thread;

use indicatif::{ProgressBar, ProgressStyle};

use super::SetCommand;
use crate::{Endpoint, Value};

/// Commands that each connection has in flight.
const BATCH: u64 = 2000;

/// Sets so many keys.
///
/// # Panics
/// When a server does not serve.
pub(super) fn load(endpoints: &[Endpoint], keys: u64, value_bytes: usize) {
    let bar = ProgressBar::new(keys);
    let style = "loading  {bar:30} {human_pos}/{human_len} keys, {per_sec}";
    bar.set_style(ProgressStyle::with_template(style).expect("the template is correct"));
    let command = SetCommand::new(value_bytes);
    let share = keys.div_ceil(endpoints.len() as u64);
    thread::scope(|scope| {
        for (at, endpoint) in endpoints.iter().enumerate() {
            let from = at as u64 * share;
            let (range, command, bar) = (from..keys.min(from + share), &command, &bar);
            scope.spawn(move || load_range(endpoint, range, command, bar));
        }
    });
    bar.finish_and_clear();
}

fn load_range(endpoint: &Endpoint, keys: Range<u64>, command: &SetCommand, bar: &ProgressBar) {
    let mut redis = endpoint.redis();
    let mut bytes = Vec::new();
    for from in keys.clone().step_by(BATCH as usize) {
        let to = keys.end.min(from + BATCH);
        bytes.clear();
        (from..to).for_each(|n| command.append(n, &mut bytes));
        redis.send(&bytes).unwrap_or_else(|error| panic!("server {}: {error}", endpoint.server));
        for n in from..to {
            let reply = redis.receive().unwrap_or_else(|error| panic!("server {}: {error}", endpoint.server));
            assert_eq!(reply, Value::Simple("OK".into()), "the write of key {n}");
        }
        bar.inc(to - from);
    }
}
