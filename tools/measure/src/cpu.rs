//! Processor time of processes.

use std::time::Duration;

use procfs::ProcResult;
use procfs::process::Process;

/// What a process has used since its start, all its threads together, in user mode and in the kernel, in steps of 10 ms.
///
/// # Errors
/// When it has ended.
pub fn cpu_time(process: u32) -> ProcResult<Duration> {
    let stat = Process::new(process.cast_signed())?.stat()?;
    Ok(ticks(stat.utime + stat.stime))
}

/// What several processes have used together, in seconds.
///
/// # Errors
/// When one of them has ended.
pub fn cpu_seconds(processes: &[u32]) -> ProcResult<f64> {
    processes.iter().map(|process| cpu_time(*process).map(|time| time.as_secs_f64())).sum()
}

/// So many of the units in which the kernel counts processor time.
pub fn ticks(count: u64) -> Duration {
    Duration::from_millis(1000 * count / procfs::ticks_per_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_processes_that_live_use_time() {
        assert!(cpu_time(std::process::id()).is_ok() && cpu_time(i32::MAX as u32).is_err());
    }
}
