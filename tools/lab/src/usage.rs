//! What a process uses: processor, memory, network.

use std::collections::BTreeMap;
use std::fs;

use niagara_load::Failure;
use niagara_measure::cpu_time;
use serde::{Deserialize, Serialize};

/// What a process has used since its start, but for `resident_mib`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Usage {
    /// Seconds of processor time.
    pub cpu_seconds: f64,
    /// Main memory that it occupies now, in MiB.
    pub resident_mib: f64,
    /// Bytes that have arrived in its network namespace from outside of it.
    pub received_bytes: u64,
    /// Bytes that have left its network namespace.
    pub sent_bytes: u64,
}

impl Usage {
    /// Of a process, now.
    pub fn of(process: u32) -> Result<Usage, Failure> {
        let status = read(process, "status")?;
        let devices = read(process, "net/dev")?;
        let (received_bytes, sent_bytes) = traffic(&devices);
        let unreadable = || Failure::new(format!("cannot understand what /proc says of process {process}"));
        Ok(Usage {
            cpu_seconds: cpu_time(process)?.as_secs_f64(),
            resident_mib: resident_kib(&status).ok_or_else(unreadable)? as f64 / 1024.0,
            received_bytes,
            sent_bytes,
        })
    }

    /// What was used since an earlier moment; the memory is that of now.
    pub fn since(&self, before: &Usage) -> Usage {
        Usage {
            cpu_seconds: self.cpu_seconds - before.cpu_seconds,
            resident_mib: self.resident_mib,
            received_bytes: self.received_bytes.saturating_sub(before.received_bytes),
            sent_bytes: self.sent_bytes.saturating_sub(before.sent_bytes),
        }
    }
}

/// Bytes that have left a process's network namespace, by device; the loopback, which is no way out, is left out.
pub(super) fn sent_by_device(process: u32) -> Result<BTreeMap<String, u64>, Failure> {
    let devices = read(process, "net/dev")?;
    Ok(counters(&devices).map(|(device, _, sent)| (device.to_owned(), sent)).collect())
}

fn read(process: u32, file: &str) -> Result<String, Failure> {
    let path = format!("/proc/{process}/{file}");
    fs::read_to_string(&path).map_err(Failure::io(format!("cannot read {path}: has the process ended?")))
}

fn resident_kib(status: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()
}

/// Bytes received and sent by all devices.
fn traffic(devices: &str) -> (u64, u64) {
    counters(devices).fold((0, 0), |sum, (_, received, sent)| (sum.0 + received, sum.1 + sent))
}

/// Each device's name, with the bytes that it has received and sent, but for the loopback's.
fn counters(devices: &str) -> impl Iterator<Item = (&str, u64, u64)> {
    devices.lines().filter_map(|line| {
        let (name, numbers) = line.split_once(':')?;
        let numbers: Vec<u64> = numbers.split_whitespace().map_while(|number| number.parse().ok()).collect();
        (name.trim() != "lo").then_some((name.trim(), *numbers.first()?, *numbers.get(8)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_prints_is_understood() {
        assert_eq!(resident_kib("Name:\tx\nVmRSS:\t  2048 kB\n"), Some(2048));
        let devices = "Inter-| Receive | Transmit\n face |bytes\n    lo: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0\n \
                       link1: 100 1 0 0 0 0 0 0 200 1 0 0 0 0 0 0\n link2:1 1 0 0 0 0 0 0 2 1 0 0 0 0 0 0\n";
        assert_eq!(traffic(devices), (101, 202));
        assert_eq!(counters(devices).collect::<Vec<_>>(), [("link1", 100, 200), ("link2", 1, 2)]);
    }

    #[test]
    fn this_process_uses_something() {
        assert!(Usage::of(std::process::id()).unwrap().resident_mib > 0.1);
        assert!(Usage::of(u32::MAX).is_err());
    }
}
