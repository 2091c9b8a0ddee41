//! Facts about the machine, without which no figure can be compared with another one.

use std::time::Duration;

use niagara_measure::{ResultTable, ticks};
use procfs::{CpuInfo, Current as _, CurrentSI as _, KernelStats};
use rustix::system::{sysinfo, uname};
use serde::{Deserialize, Serialize};

/// What the machine is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Facts {
    /// The processor's model.
    pub processor: String,
    /// Processors that this process may use.
    pub cores: usize,
    /// Main memory, in MiB.
    pub memory_mib: u64,
    /// The kernel's name and release.
    pub kernel: String,
    /// Niagara's version.
    pub niagara: String,
    /// Load of the machine (one-minute average) before the run.
    pub load: f64,
}

impl Facts {
    pub fn gather() -> Facts {
        let system = uname();
        let info = sysinfo();
        let text = |value: &std::ffi::CStr| value.to_string_lossy().into_owned();
        Facts {
            processor: processor().unwrap_or_else(|| "unknown".into()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: (info.totalram as u64 * u64::from(info.mem_unit)) >> 20,
            kernel: format!(
                "{} {} {}",
                text(system.sysname()),
                text(system.release()),
                text(system.machine())
            ),
            niagara: env!("CARGO_PKG_VERSION").into(),
            load: info.loads[0] as f64 / 65536.0,
        }
    }

    pub fn table(&self) -> ResultTable {
        let mut table = ResultTable::new("machine", "The machine", ["what", "value"]);
        let mut row = |what: &str, value: String| table.row([what.into(), value.into()]);
        row("processor", self.processor.clone());
        row("cores", self.cores.to_string());
        row("memory", format!("{} MiB", self.memory_mib));
        row("kernel", self.kernel.clone());
        row("Niagara", self.niagara.clone());
        row("load before the run", format!("{:.2}", self.load));
        table
    }
}

fn processor() -> Option<String> {
    CpuInfo::current().ok()?.model_name(0).map(str::to_owned)
}

/// Time that this virtual machine's processors wanted to run and that went to other machines, and all time of its processors,
/// since its start.
pub(super) fn stolen() -> Option<(Duration, Duration)> {
    let all = KernelStats::current().ok()?.total;
    let later = [all.iowait, all.irq, all.softirq, all.steal].into_iter().flatten().sum::<u64>();
    // Guests' time is in that of users already.
    Some((ticks(all.steal?), ticks(all.user + all.nice + all.system + all.idle + later)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_facts() {
        let facts = Facts::gather();
        assert!(facts.cores > 0 && facts.memory_mib > 0 && facts.kernel.contains("Linux"), "{facts:?}");
        let (stolen, all) = stolen().unwrap();
        assert!(stolen <= all && !all.is_zero());
    }
}
