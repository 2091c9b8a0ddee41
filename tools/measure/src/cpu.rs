//! Processor time, as the kernel tells it in `/proc`.

use std::fs;
use std::io;
use std::time::Duration;

/// Processor time of a process or a thread since its start, in steps of 10 ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTime {
    /// In the program.
    pub user: Duration,
    /// In the kernel on its behalf.
    pub kernel: Duration,
}

impl CpuTime {
    /// From the text of a file `stat`; nothing where the kernel writes it in another form.
    pub fn parse(stat: &str) -> Option<CpuTime> {
        // The second field is the name in parentheses, which may hold anything; utime and stime are the 14th and the 15th.
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
        let mut time = || {
            let ticks: u64 = fields.next()?.parse().ok()?;
            Some(Duration::from_millis(1000 * ticks / rustix::param::clock_ticks_per_second()))
        };
        Some(CpuTime { user: time()?, kernel: time()? })
    }

    /// In all.
    pub fn total(&self) -> Duration {
        self.user + self.kernel
    }
}

/// That of a process, all its threads together, in user mode and in the kernel.
///
/// # Errors
/// When it has ended.
pub fn cpu_time(process: u32) -> io::Result<Duration> {
    let path = format!("/proc/{process}/stat");
    let stat = fs::read_to_string(&path)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot read {path}: {error}")))?;
    CpuTime::parse(&stat)
        .map(|time| time.total())
        .ok_or_else(|| io::Error::other(format!("cannot understand {path}: {stat}")))
}

/// That of several processes together, in seconds.
///
/// # Errors
/// When one of them has ended.
pub fn cpu_seconds(processes: &[u32]) -> io::Result<f64> {
    processes.iter().map(|process| cpu_time(*process).map(|time| time.as_secs_f64())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_behind_any_name() {
        let stat = "42 (a ) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 7 0 8 9 10";
        let per_second = rustix::param::clock_ticks_per_second();
        let time = CpuTime::parse(stat).unwrap();
        assert_eq!(time.total(), Duration::from_millis(300_000 / per_second));
        assert_eq!(time.kernel, Duration::from_millis(50_000 / per_second));
        assert_eq!(CpuTime::parse("42 (a"), None);
    }

    #[test]
    fn only_processes_that_live_use_time() {
        assert!(cpu_time(std::process::id()).is_ok() && cpu_time(u32::MAX).is_err());
    }
}
