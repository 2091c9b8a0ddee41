//! Tables and figures.

use niagara_load::Failure;
use niagara_measure::{Cell, ResultTable};

use super::contender::Contender;
use super::programs;
use super::store::StoreMeasurement;
use super::work::StoreWork;
use crate::experiment_run::ExperimentRun;
use crate::figure::{Axis, Figure, SeriesKind};

/// Makes all of them.
pub(super) fn report(run: &mut ExperimentRun, measured: &[StoreMeasurement]) -> Result<(), Failure> {
    run.table(guarantees(measured))?;
    for work in StoreWork::ALL {
        run.table(table(measured, work))?;
        run.figure(&figure(measured, work))?;
    }
    for (program, version) in
        programs::versions(measured.iter().filter_map(|one| one.contender.product.program()))
    {
        run.note(format!("{program}: {version}."));
    }
    run.note(
        "Strong is not the same everywhere: see the guarantees. WAIT 1 waits until one replica has a write in memory, whatever it \
         syncs later. It makes no consensus: a failover to the other replica loses what was acknowledged, and so does one that happens \
         while the old primary goes on; its reads then are old. WAIT also stops its connection, so that pipelined writes with \
         WAIT are done one after the other. Weak reads are what the asked server has at hand; etcd calls them serializable, and \
         for Redis they are reads of all servers, replicas too.",
    );
    run.note(
        "Clients are spread over all servers of Niagara and etcd; Redis' primary takes all but weak reads. etcd is driven over gRPC by a \
         client in this program, the others by niagara-load. All servers, the clients and what joins them share this machine's cores, \
         so operations per second depend on the load generators too; processor time per operation, over all three servers, is the \
         steadier figure.",
    );
    Ok(())
}

fn contenders(measured: &[StoreMeasurement]) -> Vec<Contender> {
    let mut contenders: Vec<Contender> = measured.iter().map(|one| one.contender).collect();
    contenders.dedup();
    contenders
}

fn guarantees(measured: &[StoreMeasurement]) -> ResultTable {
    let columns = ["store", "an acknowledged write is", "and survives", "strong reads are"];
    let mut table = ResultTable::new(
        "guarantees",
        "What each store promises (Niagara with any R, over any protocol)",
        columns,
    );
    let mut contenders = contenders(measured);
    contenders.dedup_by(|one, before| one.promises_like(*before));
    for contender in contenders {
        let [place, survives] = contender.write_promise();
        table.row(
            [contender.name(), place.into(), survives.into(), contender.read_promise().into()]
                .map(Cell::from),
        );
    }
    table
}

fn table(measured: &[StoreMeasurement], work: StoreWork) -> ResultTable {
    let mut table = ResultTable::new(
        &file(work),
        &format!("{}: 16-byte keys, 100-byte values, three servers", capital(work.name())),
        ["store", "in flight", "operations/s", "p50, ms", "p99, ms", "CPU of all servers, us each", "errors"],
    );
    for one in measured.iter().filter(|one| one.work == work) {
        table.row([
            one.contender.name().into(),
            one.shape.name().into(),
            Cell::Number(one.per_second, 0),
            Cell::Number(one.driven.latency.p50, 2),
            Cell::Number(one.driven.latency.p99, 2),
            Cell::Number(one.cpu_us, 1),
            one.driven.errors.into(),
        ]);
    }
    table
}

fn figure(measured: &[StoreMeasurement], work: StoreWork) -> Figure {
    let mut figure = Figure::new(
        &file(work),
        &format!("{} by operations in flight", capital(work.name())),
        Axis::logarithmic("operations in flight (up to 64 connections)"),
        Axis::logarithmic("operations per second"),
    );
    figure.subtitle =
        "16-byte keys, 100-byte values, three servers; synced to disk before the acknowledgement".into();
    for contender in contenders(measured).into_iter().filter(|contender| contender.is_synced()) {
        let fits = |one: &&StoreMeasurement| one.contender == contender && one.work == work;
        let point = |one: &StoreMeasurement| (f64::from(one.shape.in_flight()), one.per_second);
        let points = measured.iter().filter(fits).map(point).collect();
        let kind = if contender.is_ours() { SeriesKind::Ours } else { SeriesKind::Baseline };
        figure.curve(contender.name(), kind, points);
    }
    figure.leave_room_for_legend();
    figure
}

fn file(work: StoreWork) -> String {
    work.name().replace([' ', ','], "-").replace("--", "-")
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
