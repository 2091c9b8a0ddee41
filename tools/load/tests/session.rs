//! One cluster measured at one load after the other. Servers are this program again, so it has a `main` of its own.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use niagara_load::Failure;
use niagara_load::append::{
    self, AppendOptions, AppendReport, Core, Cores, Demand, Placement, Route, Session, Span,
};

fn main() -> ExitCode {
    let done = match std::env::args().nth(1).as_deref() {
        Some("append-server") => append::serve(),
        _ => loads_can_follow_each_other().and_then(|()| a_placement_holds_whole_servers()),
    };
    done.map_or_else(
        |failure| {
            eprintln!("{failure}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

const SPAN: Span = Span { warm_up: 0.2, seconds: 0.4, system_calls: false };

fn measure(session: &mut Session, demand: Demand) -> Result<AppendReport, Failure> {
    session.measure(demand, SPAN, |_, seconds| {
        thread::sleep(Duration::from_secs_f64(seconds));
        Ok(())
    })
}

fn loads_can_follow_each_other() -> Result<(), Failure> {
    let mut session = Session::start(&AppendOptions::microbenchmark(2), &Route::named("session"), None)?;
    let mut per_second = Vec::new();
    for demand in [
        Demand::Rate { per_second: 2000 },
        Demand::Unbounded,
        Demand::InFlight { commands: 1 },
        Demand::Rate { per_second: 20_000 },
    ] {
        let report = measure(&mut session, demand)?;
        assert_eq!((report.demand, report.unknown, report.origins), (demand, 0, 2));
        // Whatever was in flight before is not in this window: a lone command takes no time that a backlog would.
        assert!(report.latency_ms.p50 > 0.0, "{report}");
        per_second.push(report.commands_per_second);
    }
    // A machine that stands still for a moment must not fail this: the least that sets the loads apart is a lone command.
    assert!(
        per_second.iter().all(|commands| *commands > 0.0) && per_second[2] < per_second[1],
        "{per_second:?}"
    );
    println!("loads_can_follow_each_other: ok, {per_second:.0?} commands per second");
    Ok(())
}

/// A server with two cores of a hundredth each does less than it would by itself, and none of its control groups stay behind.
fn a_placement_holds_whole_servers() -> Result<(), Failure> {
    let placement = Placement { core: Core::Quota(2.0), cores: Cores::Together(2) };
    let mut session =
        match Session::start(&AppendOptions::microbenchmark(1), &Route::named("session"), Some(placement)) {
            Ok(session) => session,
            Err(failure) => {
                println!("a_placement_holds_whole_servers: skipped: {failure}");
                return Ok(());
            }
        };
    let report = measure(&mut session, Demand::Unbounded)?;
    let held: f64 = report
        .cpu_seconds_per_million_commands_by_thread
        .iter()
        .filter(|(kind, _)| **kind != append::ThreadKind::FrontEnd)
        .map(|(_, cpu)| cpu.total)
        .sum();
    let cores = held * report.commands_per_second / 1e6;
    // Three servers with 0.04 of a core each. A quota can be used up twice within a window that begins inside a period.
    assert!(cores < 0.25, "{cores} cores");
    drop(session);
    let left = std::fs::read_dir("/sys/fs/cgroup/cpu").into_iter().flatten().flatten().filter(|group| {
        let own = format!("niagara-load-{}-", std::process::id());
        group.file_name().to_string_lossy().starts_with(&own)
    });
    assert_eq!(left.count(), 0);
    println!("a_placement_holds_whole_servers: ok, {cores:.2} cores used");
    Ok(())
}
