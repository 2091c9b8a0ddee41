//! `niagara bench`: the load generator under another name.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Args;

use super::manual;

/// Put load on a cluster, measure it, and check its answers.
#[derive(Debug, Args)]
#[command(after_long_help = manual::BENCH, disable_help_flag = true)]
pub struct BenchArgs {
    /// A workload of `niagara-load` and its options; `niagara bench --help` lists them.
    #[arg(value_name = "WORKLOAD AND OPTIONS", num_args = 0.., allow_hyphen_values = true, trailing_var_arg = true)]
    words: Vec<OsString>,
}

pub fn run(arguments: BenchArgs) -> ExitCode {
    niagara_load::run("niagara bench", arguments.words)
}
