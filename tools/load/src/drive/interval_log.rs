//! A run's intervals as an HdrHistogram interval log, which the tools around HdrHistogram read and plot.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriter, IntervalLogWriterBuilder};

use super::options::PaceOptions;
use super::report::Interval;
use super::run::Watch;
use super::workload::Phase;
use crate::failure::Failure;

type Log<'f> = IntervalLogWriter<'f, 'f, BufWriter<File>, V2DeflateSerializer>;

/// The file that a log goes to.
pub struct LogFile {
    out: BufWriter<File>,
    serializer: V2DeflateSerializer,
}

impl LogFile {
    /// Makes a file, or empties it.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn create(path: &Path) -> Result<LogFile, Failure> {
        let file = File::create(path).map_err(Failure::io(format!("cannot write {}", path.display())))?;
        Ok(LogFile { out: BufWriter::new(file), serializer: V2DeflateSerializer::new() })
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn close(mut self) -> Result<(), Failure> {
        self.out.flush().map_err(Failure::io("cannot write the interval log"))
    }
}

/// Writes each interval of the window: seconds since the window's start, latencies in nanoseconds, the longest in milliseconds.
pub struct IntervalLog<'f> {
    file: Option<&'f mut LogFile>,
    log: Option<Log<'f>>,
    step: f64,
    seconds: f64,
    failed: Option<String>,
}

impl<'f> IntervalLog<'f> {
    /// For a run at this pace.
    pub fn new(file: &'f mut LogFile, pace: &PaceOptions) -> IntervalLog<'f> {
        let step = pace.interval_ms as f64 / 1e3;
        IntervalLog { file: Some(file), log: None, step, seconds: pace.seconds, failed: None }
    }

    /// Whether all could be written.
    ///
    /// # Errors
    /// When not.
    pub fn finish(self) -> Result<(), Failure> {
        self.failed
            .map_or(Ok(()), |error| Err(Failure::new(format!("cannot write the interval log: {error}"))))
    }
}

impl Watch for IntervalLog<'_> {
    fn begins(&mut self, unix_ms: u64) {
        let Some(LogFile { out, serializer }) = self.file.take() else { return };
        let start = UNIX_EPOCH + Duration::from_millis(unix_ms);
        let begun = IntervalLogWriterBuilder::new()
            .with_start_time(start)
            .with_base_time(start)
            .with_max_value_divisor(1e6)
            .begin_log_with(out, serializer);
        match begun {
            Ok(log) => self.log = Some(log),
            Err(error) => self.failed = Some(error.to_string()),
        }
    }

    fn interval(&mut self, phase: Phase, interval: &Interval, nanos: &Histogram<u64>) {
        let Some(log) = self.log.as_mut().filter(|_| phase == Phase::Run && interval.at_seconds >= 0.0)
        else {
            return;
        };
        let start = Duration::from_secs_f64(interval.at_seconds);
        let length = Duration::from_secs_f64(self.step.min(self.seconds - interval.at_seconds).max(0.0));
        if let Err(error) = log.write_histogram(nanos, start, length, None) {
            self.failed.get_or_insert_with(|| format!("{error:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
    use niagara_measure::nanoseconds;

    use super::*;

    #[test]
    fn the_intervals_of_the_window_are_there() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let mut file = LogFile::create(path.path()).unwrap();
        let pace = PaceOptions { seconds: 2.5, ..PaceOptions::default() };
        let mut log = IntervalLog::new(&mut file, &pace);
        let mut nanos = nanoseconds();
        nanos.record(3_000_000).unwrap();
        log.begins(1_700_000_000_000);
        for at_seconds in [-1.0, 0.0, 1.0, 2.0] {
            log.interval(Phase::Run, &Interval { at_seconds, ..Interval::default() }, &nanos);
        }
        log.finish().unwrap();
        file.close().unwrap();
        let text = fs::read(path.path()).unwrap();
        let seen: Vec<(f64, f64, f64)> = IntervalLogIterator::new(&text)
            .filter_map(|entry| match entry.unwrap() {
                LogEntry::Interval(interval) => Some((
                    interval.start_timestamp().as_secs_f64(),
                    interval.duration().as_secs_f64(),
                    interval.max().round(),
                )),
                LogEntry::BaseTime(time) => {
                    assert_eq!(time.as_secs(), 1_700_000_000);
                    None
                }
                _ => None,
            })
            .collect();
        assert_eq!(seen, [(0.0, 1.0, 3.0), (1.0, 1.0, 3.0), (2.0, 0.5, 3.0)]);
    }
}
