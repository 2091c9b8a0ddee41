//! What a run came to.

use niagara_measure::ResultTable;
use serde::{Deserialize, Serialize};

use super::facts::Facts;

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The experiment.
    pub experiment: String,
    /// What it shows.
    pub about: String,
    /// Whether it was a quick run.
    pub quick: bool,
    /// The command line that repeats it.
    pub command: String,
    /// When it began, as RFC 3339 has it.
    pub begun: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The machine.
    pub(super) facts: Facts,
    /// Share of the processors' time that other virtual machines took meanwhile, where the kernel tells.
    pub stolen: Option<f64>,
    /// What the experiment was to show, and whether it did here.
    pub goals: Vec<Goal>,
    /// What else is to be said, in paragraphs.
    pub notes: Vec<String>,
    /// Names of the figures.
    pub figures: Vec<String>,
    /// The results.
    pub tables: Vec<ResultTable>,
}

/// Something that an experiment was to show.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Goal {
    /// What.
    pub what: String,
    /// What was wanted.
    pub wanted: String,
    /// What was measured.
    pub measured: String,
    /// Whether that is enough.
    pub reached: bool,
}
