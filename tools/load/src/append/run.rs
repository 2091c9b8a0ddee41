//! One cluster, measured once.

use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::options::AppendOptions;
use super::placement::{Core, Cores, Placement};
use super::report::AppendReport;
use super::route::Route;
use super::session::{Session, Span};
use crate::failure::Failure;

/// Runs a cluster and measures one window.
///
/// # Errors
/// When a server cannot be started or ends, or when the servers disagree in the end.
pub fn run(options: &AppendOptions, route: &Route) -> Result<AppendReport, Failure> {
    let placement =
        options.group_quota.map(|percent| Placement { core: Core::Quota(percent), cores: Cores::PerGroup });
    let mut session = Session::start(options, route, placement)?;
    let span = Span { warm_up: options.warm_up, seconds: options.seconds, system_calls: true };
    session.measure(options.demand(), span, |what, seconds| {
        wait(what, seconds);
        Ok(())
    })
}

/// Waits with a progress bar on standard error, if that is a terminal.
fn wait(what: &'static str, seconds: f64) {
    let style = ProgressStyle::with_template("{msg:12} {bar:40} {eta}").expect("the template is sound");
    let steps = (seconds * 10.0).ceil().max(1.0) as u64;
    let bar = ProgressBar::new(steps).with_style(style).with_message(what);
    let begun = Instant::now();
    for step in 1..=steps {
        let at = Duration::from_secs_f64(seconds * step as f64 / steps as f64);
        thread::sleep(at.saturating_sub(begun.elapsed()));
        bar.inc(1);
    }
    bar.finish_and_clear();
}
