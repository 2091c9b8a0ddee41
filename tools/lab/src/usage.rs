//! What a process uses: processor, memory, network.

use std::collections::BTreeMap;

use niagara_load::Failure;
use niagara_measure::cpu_time;
use procfs::net::DeviceStatus;
use procfs::process::Process;
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
    ///
    /// # Errors
    /// When it has ended.
    pub fn of(process: u32) -> Result<Usage, Failure> {
        let found = Process::new(process.cast_signed())?;
        let ended = || Failure::new(format!("process {process} has ended"));
        let (mut received_bytes, mut sent_bytes) = (0, 0);
        for device in devices(&found)? {
            received_bytes += device.recv_bytes;
            sent_bytes += device.sent_bytes;
        }
        Ok(Usage {
            cpu_seconds: cpu_time(process)?.as_secs_f64(),
            resident_mib: found.status()?.vmrss.ok_or_else(ended)? as f64 / 1024.0,
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

/// Bytes that have left a process's network namespace, by device.
pub(super) fn sent_by_device(process: u32) -> Result<BTreeMap<String, u64>, Failure> {
    let process = Process::new(process.cast_signed())?;
    Ok(devices(&process)?.map(|device| (device.name, device.sent_bytes)).collect())
}

/// The devices of its network namespace, but for the loopback, which is no way out.
fn devices(process: &Process) -> Result<impl Iterator<Item = DeviceStatus>, Failure> {
    Ok(process.dev_status()?.into_values().filter(|device| device.name != "lo"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        assert!(Usage::of(std::process::id()).unwrap().resident_mib > 0.1);
        assert!(Usage::of(i32::MAX as u32).is_err());
        assert!(!sent_by_device(std::process::id()).unwrap().contains_key("lo"));
    }
}
