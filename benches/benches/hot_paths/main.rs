//! Benches of the hot paths; each file says what it bounds, and why. They share a binary, which is optimized as a whole.

mod codec;
mod end_to_end;
mod frame;
mod group_step;
mod kv_apply;
mod log_append;
mod merge;
mod parse;

use std::time::Duration;

use criterion::{Criterion, criterion_main};

/// Long enough for medians that can be compared, and short enough for all of them to be run.
fn measured_for(seconds: u64) -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(seconds))
}

criterion_main! {
    codec::benches,
    end_to_end::benches,
    frame::benches,
    group_step::benches,
    kv_apply::benches,
    log_append::benches,
    merge::benches,
    parse::benches
}
