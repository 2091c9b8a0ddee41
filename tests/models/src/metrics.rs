//! Metrics that count nothing: no decision depends on them.

/// A counter, gauge or histogram.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Nothing;

impl Nothing {
    pub fn inc_by(self, _: u64) {}
    pub fn set(self, _: i64) {}
    pub fn observe(self, _: f64) {}
}

/// The metrics that the included files touch.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub applied: Nothing,
    pub commands: Nothing,
    pub duplicates: Nothing,
    pub gaps: Nothing,
    pub attached_reads: Nothing,
    pub noops: Nothing,
    pub read_wait: Nothing,
    pub reads_failed: Nothing,
    pub freeze_duration: Nothing,
}
