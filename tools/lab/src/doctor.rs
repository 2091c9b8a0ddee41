//! What this machine allows, and what to do about the rest.

use std::fmt;
use std::path::Path;

use niagara_load::Failure;
use niagara_load::append::real_cores_suffice;
use niagara_measure::{ResultTable, find_program};
use niagara_namespaces::Namespaces;
use rustix::process::geteuid;
use serde::Serialize;

use super::experiment::{EXPERIMENTS, Experiment, Need};
use super::facts::Facts;
use super::leftovers;

/// What `niagara-lab doctor` has found.
#[derive(Debug, Serialize)]
pub struct Doctor {
    facts: Facts,
    findings: Vec<Finding>,
    experiments: Vec<Outlook>,
}

/// Something that experiments need.
#[derive(Debug, Serialize)]
struct Finding {
    what: String,
    found: bool,
    /// Where it was found, or what to do.
    detail: String,
}

/// Whether an experiment can be run.
#[derive(Debug, Serialize)]
struct Outlook {
    experiment: &'static str,
    possible: bool,
    /// What it lacks.
    lacks: Vec<String>,
}

impl Need {
    const ALL: [Need; 5] = [Need::Namespaces, Need::Throttling, Need::Cores, Need::Quotas, Need::ApacheBench];

    fn name(self) -> &'static str {
        match self {
            Need::Namespaces => "network namespaces",
            Need::Throttling => "links of a chosen rate (tc tbf)",
            Need::Cores => "33 cores, or CPU quotas",
            Need::Quotas => "CPU quotas (cgroup v1)",
            Need::ApacheBench => "ab, ApacheBench",
        }
    }

    /// Whether it is there, and where, or what to do.
    fn look(self) -> Result<String, String> {
        match self {
            Need::Namespaces => network(|_| Ok("ip netns works".into())),
            Need::Throttling => network(|network| {
                network
                    .can_throttle()
                    .map_err(|error| format!("{error}; the kernel needs its module sch_tbf"))?;
                Ok("tc can shape links".into())
            }),
            Need::Cores if real_cores_suffice(8) => Ok("a core for each busy thread".into()),
            Need::Cores => quotas().map(|_| "quotas stand for cores".into()),
            Need::Quotas => quotas(),
            Need::ApacheBench => program("ab", "apache2-utils"),
        }
    }
}

fn network(task: impl FnOnce(&Namespaces) -> Result<String, String>) -> Result<String, String> {
    let network = Namespaces::create(1, 1).map_err(|error| {
        format!("{error}; run this as root, with iproute2 installed (apt-get install iproute2)")
    })?;
    task(&network)
}

fn quotas() -> Result<String, String> {
    let period = Path::new("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
    match (geteuid().is_root(), period.exists()) {
        (false, _) => Err("run this as root".into()),
        (_, false) => Err(
            "/sys/fs/cgroup/cpu is missing: boot with systemd.unified_cgroup_hierarchy=0, or use a machine with a core for each thread"
                .into(),
        ),
        _ => Ok("/sys/fs/cgroup/cpu takes threads".into()),
    }
}

fn program(name: &str, package: &str) -> Result<String, String> {
    match find_program(name) {
        Some(path) => Ok(path.display().to_string()),
        None => Err(format!("not installed; on Debian: apt-get install {package}")),
    }
}

/// Looks at everything, and removes what a killed run has left.
///
/// # Errors
/// When that cannot be removed.
pub fn doctor() -> Result<Doctor, Failure> {
    // Where `ip` is missing there can be nothing, and the findings say so.
    if find_program("ip").is_some() {
        leftovers::remove()?;
    }
    let mut findings: Vec<Finding> = Vec::new();
    let mut finding = |what: &str, look: Result<String, String>| {
        let found = look.is_ok();
        findings.push(Finding { what: what.into(), found, detail: look.unwrap_or_else(|lack| lack) });
    };
    let root = geteuid().is_root();
    finding("root", if root { Ok("yes".into()) } else { Err("most experiments need it: use sudo".into()) });
    let needs = Need::ALL.map(|need| (need, need.look()));
    for (need, look) in &needs {
        finding(need.name(), look.clone());
    }
    // Each of these is skipped by its experiment where it is missing.
    finding("etcd (for peers)", program("etcd", "etcd-server"));
    finding("redis-server (for peers)", program("redis-server", "redis-server"));
    let outlook = |experiment: &Experiment| {
        let lacking = needs.iter().filter(|(need, look)| experiment.needs.contains(need) && look.is_err());
        let lacks: Vec<String> = lacking.map(|(need, _)| need.name().to_owned()).collect();
        Outlook { experiment: experiment.name, possible: lacks.is_empty(), lacks }
    };
    Ok(Doctor { facts: Facts::gather(), experiments: EXPERIMENTS.iter().map(outlook).collect(), findings })
}

/// Whether an experiment can be run here.
///
/// # Errors
/// What is missing, and what to do.
pub(super) fn check(experiment: &Experiment) -> Result<(), Failure> {
    for need in experiment.needs {
        need.look()
            .map_err(|lack| Failure::new(format!("{} needs {}: {lack}", experiment.name, need.name())))?;
    }
    Ok(())
}

impl fmt::Display for Doctor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut findings = ResultTable::new("findings", "What it allows", ["what", "there", "detail"]);
        for Finding { what, found, detail } in &self.findings {
            findings.row([what.as_str(), if *found { "yes" } else { "NO" }, detail].map(Into::into));
        }
        let mut outlooks =
            ResultTable::new("experiments", "Experiments", ["experiment", "possible", "lacks"]);
        for Outlook { experiment, possible, lacks } in &self.experiments {
            let lacks = lacks.join(", ");
            outlooks.row([*experiment, if *possible { "yes" } else { "NO" }, &lacks].map(Into::into));
        }
        writeln!(f, "{}\n{}", self.facts.table().aligned(), findings.aligned())?;
        write!(f, "{}", outlooks.aligned())
    }
}
