//! Requested rates over settings: what the paper's figures 3 and 4 are drawn from.
//!
//! | setting | groups | cores |
//! |---|---|---|
//! | Niagara, R = 1, 2, 4, 8, or 12 | R | one for each group's thread; all others float |
//! | Raft, N = 1, 2, 4 | 1 | N for the whole server, as with `taskset` |
//!
//! Every server's application generates commands of 16 bytes at a constant rate, of which nothing is written to disk; latency counts
//! from the time at which a command was meant to begin.
//!
//! # What a core is
//!
//! One of the machine's, where it has one for each busy thread of the three servers. Elsewhere a share of one, by CPU quota: threads
//! that spin at the lowest priority take what is left. A quota is used up at full speed and then waited for, so latencies near
//! saturation come in steps of its period (50 ms). Cores that are fifty times as slow make time run fifty times as fast: an open
//! loop with its usual steps of 0.25 ms would spend them on thousands of entries with a few commands each. So steps are
//! longer by as much, for all settings.
//!
//! `taskset -c 0..N-1` on a single Raft means: all threads of the server together have N cores, and no thread more than one. Under
//! quotas that is a control group of N quotas with one of a single quota for each thread inside. Quotas without that inner bound
//! would let the one thread of the one group run on several cores at once. The thread that generates commands stands for
//! clients, and is outside: of all settings alike. So what more cores can give to a single Raft is that sequencer and application no
//! longer share one with the group's thread, and nothing in the measurement says how much that is.

use std::thread;
use std::time::Duration;

use niagara_load::Failure;
use niagara_load::append::{
    AppendOptions, AppendReport, Core, Cores, Demand, Placement, Route, Session, Span, real_cores_suffice,
};

use super::experiment_run::ExperimentRun;
use super::figure::SeriesKind;
use super::load::LOAD;
use super::saturation::{Curve, SweepSample};
use crate::awake::Awake;
use crate::median::median;

/// Percent of one of the machine's cores that stand for a core. With R = 8 the 24 threads of groups then take half of one, and leave
/// two cores enough for the others, which do eight times the work of R = 1.
const QUOTA_PERCENT: f64 = 2.0;
const GROUPS: [u16; 4] = [1, 2, 4, 8];
const MOST_GROUPS: u16 = 12;
const RAFT_CORES: [u16; 3] = [1, 2, 4];
/// Requested rates, as multiples of what R = 1 does at most.
const RATES: [f64; 9] = [0.25, 0.5, 0.7, 0.9, 1.2, 2.0, 4.0, 7.0, 11.0];

/// Something that is measured at all rates.
pub(super) struct Setting {
    pub name: String,
    pub groups: u16,
    cores: Cores,
}

impl Setting {
    fn niagara(groups: u16) -> Setting {
        Setting { name: format!("Niagara, R = {groups}"), groups, cores: Cores::PerGroup }
    }

    fn raft(cores: u16) -> Setting {
        let name = format!("Raft, {cores} {}", if cores == 1 { "core" } else { "cores" });
        Setting { name, groups: 1, cores: Cores::Together(cores) }
    }

    /// How many cores it has for what is measured.
    pub fn cores(&self) -> u16 {
        match self.cores {
            Cores::PerGroup => self.groups,
            Cores::Together(cores) => cores,
        }
    }

    pub fn kind(&self) -> SeriesKind {
        match self.cores {
            Cores::PerGroup => SeriesKind::Ours,
            Cores::Together(_) => SeriesKind::Baseline,
        }
    }
}

/// All settings, measured.
pub(super) struct Sweep {
    core: Core,
    pub settings: Vec<(Setting, Curve)>,
}

impl Sweep {
    /// Measures every setting at every rate, in rounds. All clusters run all the time, and those that are not measured are idle, so
    /// that settings take turns within seconds: a busy neighbour troubles all of them.
    pub fn measure(run: &ExperimentRun) -> Result<Sweep, Failure> {
        let core = if real_cores_suffice(GROUPS[GROUPS.len() - 1]) {
            Core::Real
        } else {
            Core::Quota(QUOTA_PERCENT)
        };
        let _awake = matches!(core, Core::Quota(_)).then(Awake::keep);
        let settings = settings(core);
        let rounds = run.either(3, 6);
        run.steps(settings.len() + 1 + rounds * RATES.len());
        let route = Route::named(LOAD);
        let mut sessions = Vec::new();
        for setting in &settings {
            run.step(format!("starting {}", setting.name))?;
            let placement = Placement { core, cores: setting.cores };
            sessions.push(Session::start(&options(setting.groups, core), &route, Some(placement))?);
        }
        let rates = rates(run, &mut sessions[0])?;
        let mut samples = Vec::new();
        for (round, per_second) in (1..=rounds).flat_map(|round| rates.iter().map(move |rate| (round, *rate)))
        {
            run.step(format!("round {round} of {rounds}: {per_second}/s"))?;
            for (setting, session) in settings.iter().zip(&mut sessions) {
                let report = measure(run, session, Demand::Rate { per_second })?;
                let (setting, requested) = (setting.name.clone(), per_second as f64);
                samples.push(SweepSample { setting, round, requested, report });
            }
        }
        run.raw("samples", &samples)?;
        let curve = |setting: Setting| {
            let curve = Curve::of(samples.iter().filter(|sample| sample.setting == setting.name));
            (setting, curve)
        };
        Ok(Sweep { core, settings: settings.into_iter().map(curve).collect() })
    }

    /// Niagara with so many groups.
    pub fn niagara(&self, groups: u16) -> &Curve {
        self.find(SeriesKind::Ours, groups)
    }

    /// The single Raft with the most cores.
    pub fn raft(&self) -> &Curve {
        self.find(SeriesKind::Baseline, RAFT_CORES[RAFT_CORES.len() - 1])
    }

    fn find(&self, kind: SeriesKind, cores: u16) -> &Curve {
        let found =
            self.settings.iter().find(|(setting, _)| setting.kind() == kind && setting.cores() == cores);
        &found.expect("it is among the settings").1
    }

    /// Under what conditions, in a line.
    pub fn conditions(&self) -> String {
        let machine = thread::available_parallelism().map_or(1, usize::from);
        let core = match self.core {
            Core::Quota(percent) => {
                format!("one core stands for {percent} % of one of this machine's {machine}")
            }
            Core::Real => format!("each core is one of this machine's {machine}"),
        };
        format!("16-byte commands in memory, three servers on one machine; {core}")
    }
}

fn settings(core: Core) -> Vec<Setting> {
    let twelve = core == Core::Real && real_cores_suffice(MOST_GROUPS);
    let groups = GROUPS.into_iter().chain(twelve.then_some(MOST_GROUPS));
    groups.map(Setting::niagara).chain(RAFT_CORES.into_iter().map(Setting::raft)).collect()
}

fn options(groups: u16, core: Core) -> AppendOptions {
    let usual = AppendOptions::microbenchmark(groups);
    let step_micros = match core {
        Core::Quota(percent) => (f64::from(usual.step_micros) * 100.0 / percent).round() as u32,
        Core::Real => usual.step_micros,
    };
    AppendOptions { step_micros, ..usual }
}

/// The rates for a machine on which R = 1 does what it does here.
fn rates(run: &ExperimentRun, one: &mut Session) -> Result<Vec<u64>, Failure> {
    run.step("how much R = 1 does at most")?;
    let attempts = (0..3).map(|_| Ok(measure(run, one, Demand::Unbounded)?.commands_per_second));
    let most = median(attempts.collect::<Result<Vec<f64>, Failure>>()?.into_iter());
    Ok(RATES.map(|times| two_digits(times * most)).to_vec())
}

fn measure(run: &ExperimentRun, session: &mut Session, demand: Demand) -> Result<AppendReport, Failure> {
    let (warm_up, seconds) = run.either((0.25, 0.8), (0.5, 1.5));
    let span = Span { warm_up, seconds, system_calls: false };
    session.measure(demand, span, |_, seconds| run.sleep(Duration::from_secs_f64(seconds)))
}

/// A rate that can be read: its first two digits, and zeros.
fn two_digits(rate: f64) -> u64 {
    let unit = 10f64.powf(rate.max(1.0).log10().floor() - 1.0).max(1.0);
    ((rate / unit).round() * unit) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_round_and_rise() {
        assert_eq!(
            [0.3, 7.4, 123.0, 918_273.0, 12_999_999.0].map(two_digits),
            [0, 7, 120, 920_000, 13_000_000]
        );
        assert!(RATES.is_sorted());
    }

    #[test]
    fn twelve_groups_need_cores_for_them() {
        let names: Vec<String> = settings(Core::Quota(4.0)).into_iter().map(|setting| setting.name).collect();
        assert_eq!(names.len(), GROUPS.len() + RAFT_CORES.len());
        assert_eq!((names[0].as_str(), names[4].as_str()), ("Niagara, R = 1", "Raft, 1 core"));
    }
}
