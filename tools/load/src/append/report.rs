//! The figures of one window.

use std::collections::BTreeMap;

use niagara_measure::Latency;
use serde::Serialize;

use super::cluster::{Moment, commands_between};
use super::demand::{Demand, leader_of};
use super::options::AppendOptions;
use super::reading::Reading;
use super::threads::{Cpu, ThreadKind};

/// What one run has measured. Figures are of the three servers together, unless they say otherwise.
#[derive(Clone, Debug, Serialize)]
pub struct AppendReport {
    /// The command line that repeats it.
    pub command: String,
    /// Raft groups, R.
    pub groups: u16,
    /// Bytes of each command.
    pub payload: u32,
    /// What an acknowledged command survives.
    pub durability: String,
    /// How commands were generated.
    #[serde(rename = "load")]
    pub demand: Demand,
    /// On how many servers.
    pub origins: u64,
    /// Length of the window.
    pub seconds: f64,
    /// Commands per second that the slowest server has executed from the global log.
    pub commands_per_second: f64,
    /// From the (intended) start of a command to the completion of its ticket.
    pub latency_ms: Latency,
    /// Strong reads per second, if there were any.
    pub reads_per_second: f64,
    /// Their latency.
    pub read_latency_ms: Latency,
    /// CPU time of all three servers per million commands.
    pub cpu_seconds_per_million_commands: CpuSeconds,
    /// The same for each kind of thread.
    pub cpu_seconds_per_million_commands_by_thread: BTreeMap<ThreadKind, CpuSeconds>,
    /// The part of it that the threads of the groups' leaders take: what bounds a group that has a core for each thread.
    pub leader_cpu_seconds_per_million_commands: f64,
    /// Commands per second of CPU time, of all three servers together: the reciprocal of the total above.
    pub commands_per_cpu_second: f64,
    /// Cores used, on average over the window.
    pub cores_used: f64,
    /// Positions of the global log that no-ops fill, per command.
    pub noops_per_command: f64,
    /// Commands that share an entry, on average.
    pub commands_per_entry: f64,
    /// Bytes written to sockets per command.
    pub wire_bytes_per_command: f64,
    /// Times that a thread went to sleep, per thousand commands.
    pub sleeps_per_thousand_commands: f64,
    /// System calls per thousand commands, counted in the second after the window; nothing where they cannot be counted.
    pub system_calls_per_thousand_commands: Option<f64>,
    /// Why they cannot; nothing where nobody asked.
    pub system_calls_not_counted: Option<String>,
    /// Writes of logs per second, each with a sync where that is what durability asks for.
    pub log_writes_per_second: f64,
    /// Times that the engine refused a command as overload, and it was proposed again.
    pub refused: u64,
    /// Commands and reads whose outcome is unknown.
    pub unknown: u64,
}

/// CPU time, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct CpuSeconds {
    /// In all.
    pub total: f64,
    /// In the program.
    pub user: f64,
    /// In the kernel on its behalf.
    pub kernel: f64,
}

/// Two moments, and what lies between them.
pub(super) struct MeasuredWindow {
    pub before: Moment,
    pub after: Moment,
}

impl AppendReport {
    pub(super) fn of(
        options: &AppendOptions,
        window: &MeasuredWindow,
        calls: Option<Result<f64, String>>,
        unknown: u64,
    ) -> AppendReport {
        let MeasuredWindow { before, after } = window;
        let seconds = after.servers[0].at - before.servers[0].at;
        let pairs = || before.servers.iter().zip(&after.servers);
        let sum = |field: fn(&Reading) -> u64| {
            pairs().map(|(before, after)| field(after) - field(before)).sum::<u64>() as f64
        };
        let commands = commands_between(&before.servers, &after.servers) as f64;
        let slowest =
            pairs().map(|(before, after)| (after.commands - before.commands) as f64 / (after.at - before.at));
        let per_command = 1.0 / commands.max(1.0);
        let kinds: BTreeMap<ThreadKind, Cpu> =
            ThreadKind::ALL.into_iter().map(|kind| (kind, spent(window, kind))).collect();
        let all: Cpu = kinds.values().copied().sum();
        let cpu = all.user + all.kernel;
        let per_million = |cpu: &Cpu| CpuSeconds {
            total: (cpu.user + cpu.kernel) * 1e6 * per_command,
            user: cpu.user * 1e6 * per_command,
            kernel: cpu.kernel * 1e6 * per_command,
        };
        let by_thread: BTreeMap<ThreadKind, CpuSeconds> =
            kinds.iter().map(|(kind, cpu)| (*kind, per_million(cpu))).collect();
        let reads: u64 =
            after.servers.iter().flat_map(|server| &server.read_nanos).map(|(_, count)| count).sum();
        AppendReport {
            command: command_line(options),
            groups: options.groups,
            payload: options.payload,
            durability: options.durability.name().to_owned(),
            demand: options.demand(),
            origins: options.origins(),
            seconds,
            commands_per_second: slowest.fold(f64::INFINITY, f64::min),
            latency_ms: Latency::of_pairs(after.servers.iter().flat_map(|server| &server.command_nanos)),
            reads_per_second: reads as f64 / seconds,
            read_latency_ms: Latency::of_pairs(after.servers.iter().flat_map(|server| &server.read_nanos)),
            cpu_seconds_per_million_commands: per_million(&all),
            cpu_seconds_per_million_commands_by_thread: by_thread,
            leader_cpu_seconds_per_million_commands: per_million(&spent_leading(window)).total,
            commands_per_cpu_second: commands / cpu,
            cores_used: cpu / seconds,
            noops_per_command: sum(|reading| reading.noops) / after.servers.len() as f64 * per_command,
            commands_per_entry: commands / sum(|reading| reading.entries).max(1.0),
            wire_bytes_per_command: sum(|reading| reading.sent_bytes) * per_command,
            sleeps_per_thousand_commands: 1000.0 * all.sleeps * per_command,
            system_calls_per_thousand_commands: calls.as_ref().and_then(|calls| calls.as_ref().ok().copied()),
            system_calls_not_counted: calls.and_then(Result::err),
            log_writes_per_second: sum(|reading| reading.log_writes) / seconds,
            refused: sum(|reading| reading.refused) as u64,
            unknown,
        }
    }
}

/// CPU time that threads of this kind have used in the window, on all servers.
fn spent(window: &MeasuredWindow, kind: ThreadKind) -> Cpu {
    spent_by(window, |_, name| ThreadKind::of(name) == kind)
}

/// CPU time that each group's thread has used at the group's leader.
fn spent_leading(window: &MeasuredWindow) -> Cpu {
    spent_by(window, |server, name| {
        // A thread with several groups leads some of them, on each server.
        let group = name.strip_prefix("group-").and_then(|group| group.parse::<u64>().ok());
        group.map_or(ThreadKind::of(name) == ThreadKind::Group, |group| leader_of(group) == server)
    })
}

/// CPU time of the threads that are chosen by their server and their name.
fn spent_by(window: &MeasuredWindow, chosen: impl Fn(u64, &str) -> bool) -> Cpu {
    let of = |moment: &Moment| -> Cpu {
        let threads = (1..).zip(&moment.cpu).flat_map(|(server, cpu)| cpu.iter().map(move |of| (server, of)));
        threads.filter(|(server, (name, _))| chosen(*server, name)).map(|(_, (_, cpu))| *cpu).sum()
    };
    let (before, after) = (of(&window.before), of(&window.after));
    // A share of the kernel's can seem to go back, since it is derived from a ratio.
    Cpu {
        user: (after.user - before.user).max(0.0),
        kernel: (after.kernel - before.kernel).max(0.0),
        sleeps: after.sleeps - before.sleeps,
    }
}

/// The command line that repeats a run.
fn command_line(options: &AppendOptions) -> String {
    let mut words = vec![format!(
        "niagara-load append --groups {} --payload {} --durability {} --seconds {}",
        options.groups,
        options.payload,
        options.durability.name(),
        options.seconds
    )];
    words.extend(options.rate.map(|rate| format!("--rate {rate}")));
    words.extend((options.step_micros != 250).then(|| format!("--step-micros {}", options.step_micros)));
    words.extend(options.in_flight.map(|commands| format!("--in-flight {commands}")));
    words.extend(options.origins.map(|origins| format!("--origins {origins}")));
    words.extend(options.led_groups.then(|| "--led-groups".into()));
    words.extend((options.warm_up != 2.0).then(|| format!("--warm-up {}", options.warm_up)));
    words.extend((options.reads > 0).then(|| format!("--reads {}", options.reads)));
    words.extend(options.threads.map(|threads| format!("--threads {threads}")));
    words.extend(options.group_quota.map(|percent| format!("--group-quota {percent}")));
    words.extend((options.entry_kib != 64).then(|| format!("--entry-kib {}", options.entry_kib)));
    words.extend(
        (options.log_cache_kib != 2048).then(|| format!("--log-cache-kib {}", options.log_cache_kib)),
    );
    words.extend((options.window != 4).then(|| format!("--window {}", options.window)));
    words.extend(options.snapshot_mib.map(|mib| format!("--snapshot-mib {mib}")));
    words.join(" ")
}
