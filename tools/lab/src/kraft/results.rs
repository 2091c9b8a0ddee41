//! What was measured, as tables, figures and goals.

use niagara_engine::Durability;
use niagara_measure::{Cell, ResultTable};

use super::failures::{Case, FailureOutcome};
use super::published::{self, KRAFT, RAFT, SOURCE};
use super::services::{Agreement, Measurement, Service};
use crate::experiment_run::ExperimentRun;
use crate::figure::{Axis, Figure, SeriesKind};

/// Requests per second: a row for each service, a column for each number of clients.
pub(super) fn requests(measured: &[Measurement], clients: &[u32]) -> ResultTable {
    let mut columns = vec!["service".to_owned(), "durability".into(), "keep-alive".into()];
    columns.extend(clients.iter().map(|clients| format!("{clients} clients")));
    columns.extend(["longest request, ms".into(), "failed".into()]);
    let title = "Requests per second by number of clients (8,000 PUTs each)";
    let mut table = ResultTable { name: "requests".into(), title: title.into(), columns, rows: Vec::new() };
    for row in measured.chunk_by(alike) {
        let mut cells: Vec<Cell> =
            vec![row[0].service.name().into(), row[0].durability.name().into(), on_or_off(row[0].keep_alive)];
        cells.extend(row.iter().map(|one| Cell::Number(one.report.per_second, 0)));
        let longest = row.iter().map(|one| one.report.longest_ms).fold(0.0, f64::max);
        cells.extend([Cell::Number(longest, 0), row.iter().map(|one| one.report.failed).sum::<u64>().into()]);
        table.row(cells);
    }
    table
}

/// Whether two measurements differ in the number of clients only.
fn alike(one: &Measurement, other: &Measurement) -> bool {
    let setting = |one: &Measurement| (one.service, one.durability, one.keep_alive);
    setting(one) == setting(other)
}

fn on_or_off(keep_alive: bool) -> Cell {
    if keep_alive { "on" } else { "off" }.into()
}

/// What each server uses, with the largest number of clients.
pub(super) fn resources(measured: &[Measurement]) -> ResultTable {
    let mut table = ResultTable::new(
        "resources",
        "What each server uses, with the most clients",
        [
            "service",
            "durability",
            "keep-alive",
            "server",
            "CPU, % of a core",
            "CPU, us per request",
            "memory, MiB",
            "received, KiB/s",
            "sent, KiB/s",
        ],
    );
    for one in measured.chunk_by(alike).filter_map(|row| row.last()) {
        let seconds = one.report.seconds;
        for (server, used) in (1_u64..).zip(&one.used) {
            table.row([
                one.service.name().into(),
                one.durability.name().into(),
                on_or_off(one.keep_alive),
                server.into(),
                Cell::Number(100.0 * used.cpu_seconds / seconds, 0),
                Cell::Number(1e6 * used.cpu_seconds / one.report.complete as f64, 0),
                Cell::Number(used.resident_mib, 0),
                Cell::Number(used.received_bytes as f64 / 1024.0 / seconds, 0),
                Cell::Number(used.sent_bytes as f64 / 1024.0 / seconds, 0),
            ]);
        }
    }
    table
}

/// The best of each service beside what was published.
pub(super) fn comparison(measured: &[Measurement]) -> ResultTable {
    let columns = ["service", "requests/s", "share of not replicated", "source"];
    let mut table = ResultTable::new(
        "comparison",
        "Beside the published figures (other machines, other software)",
        columns,
    );
    let alone = published::ALONE.per_second;
    for published in published::ALL {
        let share = Cell::Number(published.per_second / alone, 2);
        table.row([published.name.into(), Cell::Number(published.per_second, 0), share, SOURCE.into()]);
    }
    for durability in [Durability::Fsync, Durability::Memory] {
        for keep_alive in [false, true] {
            for service in Service::ALL {
                let best = |service| best(measured, service, durability, keep_alive);
                let (own, alone) = (best(service), best(Service::ALONE));
                let how = if keep_alive { "on" } else { "off" };
                table.row([
                    format!("Niagara, {}", service.name()).into(),
                    Cell::Number(own, 0),
                    Cell::Number(own / alone, 2),
                    format!("measured: {durability}, keep-alive {how}, best number of clients").into(),
                ]);
            }
        }
    }
    table
}

fn best(measured: &[Measurement], service: Service, durability: Durability, keep_alive: bool) -> f64 {
    curve(measured, service, durability, keep_alive)
        .map(|(_, per_second)| per_second)
        .fold(f64::NAN, f64::max)
}

/// Requests per second by clients.
fn curve(
    measured: &[Measurement],
    service: Service,
    durability: Durability,
    keep_alive: bool,
) -> impl Iterator<Item = (f64, f64)> {
    let fits = move |one: &&Measurement| {
        (one.service, one.durability, one.keep_alive) == (service, durability, keep_alive)
    };
    measured.iter().filter(fits).map(|one| (f64::from(one.clients), one.report.per_second))
}

/// Figure 12 again.
pub(super) fn figure(measured: &[Measurement], durability: Durability, clients: &[u32]) -> Figure {
    let mut figure = Figure::new(
        &format!("requests-{durability}"),
        "HTTP requests per second by number of clients",
        Axis::logarithmic("clients"),
        Axis::logarithmic("requests per second"),
    );
    figure.subtitle =
        format!("ApacheBench, 8,000 PUTs of 100 bytes; durability {durability}; after {SOURCE}, figure 12");
    for service in Service::ALL {
        for keep_alive in [true, false] {
            let kind = if service == Service::ALONE { SeriesKind::Baseline } else { SeriesKind::Ours };
            let name = format!("{}, keep-alive {}", service.name(), if keep_alive { "on" } else { "off" });
            figure.curve(name, kind, curve(measured, service, durability, keep_alive).collect());
        }
    }
    // They are single numbers, and so drawn as levels.
    let ends = clients.first().into_iter().chain(clients.last());
    for published in published::ALL {
        let level = ends.clone().map(|clients| (f64::from(*clients), published.per_second)).collect();
        figure.curve(format!("{} ({SOURCE})", published.name), SeriesKind::Published, level);
    }
    figure.leave_room_for_legend();
    figure
}

/// What became of requests while servers were killed.
pub(super) fn failures(outcomes: &[FailureOutcome]) -> ResultTable {
    let mut table = ResultTable::new(
        "failures",
        "A server is killed two seconds after ab starts (16 clients, keep-alive on, fsync)",
        ["service", "failure", "requests/s", "failed", "p99, ms", "longest request, ms"],
    );
    for FailureOutcome { service, case, report, .. } in outcomes {
        table.row([
            service.name().into(),
            case.name(service.groups).into(),
            Cell::Number(report.per_second, 0),
            report.failed.into(),
            Cell::Number(report.p99_ms, 0),
            Cell::Number(report.longest_ms, 0),
        ]);
    }
    table
}

/// When the servers were compared, and with what result.
pub(super) fn agreements<'a>(agreements: impl Iterator<Item = &'a Agreement>) -> ResultTable {
    let columns = ["service", "after", "last position", "hash of the log, on all servers"];
    let mut table = ResultTable::new("agreement", "The logs of all servers, compared", columns);
    for Agreement { service, after, position, hash } in agreements.filter(|one| one.service.servers > 1) {
        table.row([service.name().into(), after.as_str().into(), (*position).into(), hash.as_str().into()]);
    }
    table
}

/// What was to be shown.
pub(super) fn goals(
    run: &mut ExperimentRun,
    measured: &[Measurement],
    outcomes: &[FailureOutcome],
    agreements: &ResultTable,
) {
    let replicated: Vec<&Measurement> = measured.iter().filter(|one| one.service.servers > 1).collect();
    let least = replicated.iter().map(|one| one.report.per_second).fold(f64::INFINITY, f64::min);
    let bound = KRAFT.per_second.max(RAFT.per_second);
    run.goal(
        "replicated, in the slowest measurement (no feat: machines and software are others)",
        &format!("at least {bound:.0} requests/s, as Raft in {SOURCE}"),
        format!("{least:.0} requests/s"),
        least >= bound,
    );
    let share = |one: &&Measurement| {
        let alone = measured.iter().find(|other| {
            let setting = |one: &Measurement| (one.durability, one.keep_alive, one.clients);
            other.service == Service::ALONE && setting(other) == setting(one)
        });
        alone.map_or(f64::NAN, |alone| one.report.per_second / alone.report.per_second)
    };
    let least = replicated.iter().map(share).fold(f64::INFINITY, f64::min);
    let (kraft, raft) =
        (KRAFT.per_second / published::ALONE.per_second, RAFT.per_second / published::ALONE.per_second);
    run.goal(
        "share of the requests that is left with replication, in the worst measurement",
        &format!("above {kraft:.2} (KRaft) and {raft:.2} (Raft)"),
        format!("{least:.2}"),
        least > kraft.max(raft),
    );
    let failed: u64 = measured.iter().map(|one| one.report.failed).sum();
    run.goal("failed requests without failures", "0", failed.to_string(), failed == 0);
    for (case, what) in [(Case::Follower, "a follower"), (Case::Leader, "a leader")] {
        let hit = outcomes.iter().filter(|outcome| outcome.case == case);
        let failed: u64 = hit.map(|outcome| outcome.report.failed).sum();
        let what = format!("failed requests when {what} is killed that the clients do not talk to");
        run.goal(&what, "0", failed.to_string(), failed == 0);
    }
    // A log that differs ends the experiment.
    let compared = agreements.rows.len();
    run.goal(
        "hash of the log on all servers, after the measurements and after each failure",
        "equal",
        format!("equal in {compared} comparisons"),
        compared > 0,
    );
}
