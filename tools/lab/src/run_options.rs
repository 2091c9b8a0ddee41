//! What can be typed behind `niagara-lab run`.

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

/// Options of `niagara-lab run`.
#[derive(Args, Clone, Debug)]
pub struct RunOptions {
    /// The experiment; `niagara-lab list` shows them
    #[arg(value_name = "NAME")]
    pub experiment: String,
    /// Fewer and shorter measurements: at most four minutes in all
    #[arg(long)]
    pub quick: bool,
    /// Directory for the results; must not exist [default: niagara-lab-NAME-TIME]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print what run.json holds instead of tables
    #[arg(long)]
    pub json: bool,
    /// Settings of single experiments.
    #[command(flatten)]
    pub particulars: Particulars,
}

/// Settings of single experiments.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Particulars {
    /// fig5: rate of each link in megabits per second [default: the highest at which links, not processors, limit, as measured]
    #[arg(long, value_name = "MBIT", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub link_mbit: Option<u32>,
    /// fig5: the paper's rate, 250 Mbit/s for each link
    #[arg(long, conflicts_with = "link_mbit")]
    pub paper_links: bool,
}

/// The command line that repeats a run, but for its directory.
pub(super) fn command_line(options: &RunOptions) -> String {
    let mut words = vec![format!("niagara-lab run {}", options.experiment)];
    words.extend(options.quick.then(|| "--quick".into()));
    words.extend(options.particulars.link_mbit.map(|rate| format!("--link-mbit {rate}")));
    words.extend(options.particulars.paper_links.then(|| "--paper-links".into()));
    words.join(" ")
}
