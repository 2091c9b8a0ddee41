//! What a run is doing, on standard error, if that is a terminal.

use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use niagara_measure::grouped;

use super::report::Interval;
use super::run::Watch;
use super::workload::Phase;

/// One line that says how the run goes: the rate, the latency and the errors of the last interval.
pub struct ProgressLine {
    line: ProgressBar,
    seconds: f64,
    errors: u64,
    /// When the interval before began.
    last: Option<f64>,
}

impl ProgressLine {
    /// For a run with a window of so many seconds.
    pub fn new(seconds: f64) -> ProgressLine {
        let style = ProgressStyle::with_template("{spinner} {msg}").expect("the template is sound");
        let line = ProgressBar::new_spinner().with_style(style).with_message("connecting");
        line.enable_steady_tick(std::time::Duration::from_millis(200));
        ProgressLine { line, seconds, errors: 0, last: None }
    }
}

impl Watch for ProgressLine {
    fn interval(&mut self, phase: Phase, interval: &Interval, _: &Histogram<u64>) {
        self.errors += interval.errors;
        let step = self.last.map_or(1.0, |last| interval.at_seconds - last);
        self.last = Some(interval.at_seconds);
        let step = if step > 0.0 { step } else { 1.0 };
        let what = match phase {
            Phase::Prepare => "preparing".to_owned(),
            Phase::Run if interval.at_seconds < 0.0 => "warming up".to_owned(),
            Phase::Run => format!("{:.0} of {:.0} s", interval.at_seconds + step, self.seconds),
            Phase::Check => "checking".to_owned(),
        };
        let rate = grouped(interval.completed as f64 / step);
        self.line.set_message(format!(
            "{what}: {rate} per second, p99 {:.3} ms, {} errors so far",
            interval.p99_ms, self.errors
        ));
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.line.finish_and_clear();
    }
}
