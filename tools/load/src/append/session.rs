//! A running cluster, measured as often as wanted, at one load after the other.

use tempfile::TempDir;

use super::assignment::Request;
use super::cluster::{AppendCluster, commands_between, unknown};
use super::demand::Demand;
use super::options::AppendOptions;
use super::placement::Placement;
use super::quota::{OWNED, Quotas};
use super::report::{AppendReport, MeasuredWindow};
use super::route::Route;
use super::system_calls;
use crate::failure::Failure;

/// How long one measurement takes, in seconds, and what it counts beside.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Under load, before the window.
    pub warm_up: f64,
    /// The measured window.
    pub seconds: f64,
    /// Whether system calls are counted, for a second more.
    pub system_calls: bool,
}

/// Three servers that run until this is dropped.
pub struct Session {
    // Servers end before their quotas, which need groups without threads, and before their data.
    cluster: AppendCluster,
    _quotas: Quotas,
    _dir: TempDir,
    options: AppendOptions,
}

impl Session {
    /// Starts the servers, waits until every group has the leader that it is meant to have, and places their threads, if that is
    /// asked for. They are idle then. Of the options, load and times are given again with each measurement.
    ///
    /// # Errors
    /// When a server cannot be started, or threads cannot be placed.
    pub fn start(
        options: &AppendOptions,
        route: &Route,
        placement: Option<Placement>,
    ) -> Result<Session, Failure> {
        let prefix = format!("{OWNED}{}-", std::process::id());
        let (mut dir, parent) = (tempfile::Builder::new(), options.data_dir.clone());
        let dir = dir.prefix(&prefix).tempdir_in(parent.unwrap_or_else(std::env::temp_dir));
        let dir = dir.map_err(Failure::io(
            "cannot make a directory for the servers' data (--data-dir names another)",
        ))?;
        let mut cluster = AppendCluster::start(options, route, dir.path())?;
        cluster.all(Request::Ready)?;
        let quotas = match placement {
            Some(placement) => placement.apply(&cluster.processes())?,
            None => Quotas::none(),
        };
        Ok(Session { cluster, _quotas: quotas, _dir: dir, options: options.clone() })
    }

    /// Measures one window under this load. Nothing is in flight before it begins, nor afterwards.
    ///
    /// `wait` is told what it waits for, and for how many seconds; its error ends the measurement.
    ///
    /// # Errors
    /// When a server ends, the servers disagree, or `wait` fails.
    pub fn measure(
        &mut self,
        demand: Demand,
        span: Span,
        mut wait: impl FnMut(&'static str, f64) -> Result<(), Failure>,
    ) -> Result<AppendReport, Failure> {
        let options = self.options.with_demand(demand, span.warm_up, span.seconds);
        let weights = options.weights();
        let begun = self.cluster.each(|server| Request::Begin(demand.share(server, &weights)))?;
        wait("warming up", span.warm_up)?;
        let before = self.cluster.read()?;
        wait("measuring", span.seconds)?;
        let after = self.cluster.read()?;
        let calls = if span.system_calls { Some(self.count_system_calls()?) } else { None };
        self.cluster.all(Request::Drain)?;
        let unknown = unknown(&self.cluster.agree()?) - unknown(&begun);
        Ok(AppendReport::of(&options, &MeasuredWindow { before, after }, calls, unknown))
    }

    /// System calls per thousand commands, or why they are not known.
    fn count_system_calls(&mut self) -> Result<Result<f64, String>, Failure> {
        let before = self.cluster.all(Request::Read)?;
        let calls = system_calls::count_for_a_second(&self.cluster.processes());
        let after = self.cluster.all(Request::Read)?;
        let executed = commands_between(&before, &after).max(1);
        Ok(calls.map(|calls| 1000.0 * calls / executed as f64))
    }
}
