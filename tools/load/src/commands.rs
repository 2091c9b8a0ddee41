//! What `niagara-load` does, command by command.

use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::append::{self, AppendOptions, Route};
use crate::drive::{
    self, ChainOptions, CounterOptions, IntervalLog, KvOptions, LoadOptions, LoadReport, LogFile,
    PaceOptions, ProgressLine, TargetOptions, WorkloadOptions, WriteOptions,
};
use crate::failure::Failure;
use crate::output;

/// More than the longest report has: what is named by mistake may have no end.
const REPORT_BYTES_MAX: u64 = 64 << 20;

/// Does what these words ask for, prints what came of it, and gives the exit status.
///
/// `name` is how whoever typed them calls this: "niagara-load", or a program and the words that lead on to here, as in
/// "niagara-lab load". Where servers are needed, the program starts itself again by those words.
pub fn run(name: &str, words: impl IntoIterator<Item = OsString>) -> ExitCode {
    match output::understood_as::<Arguments>(name, words) {
        Ok(arguments) => {
            let done = arguments.task.perform(&Route::named(name));
            done.unwrap_or_else(|failure| output::failed(name, &failure))
        }
        Err(code) => code,
    }
}

/// Generates load on a cluster, measures it, and checks the results
#[derive(Parser)]
#[command(name = "niagara-load", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Drive a cluster with sets and gets
    Kv {
        #[command(flatten)]
        run: RunArguments,
        #[command(flatten)]
        workload: KvOptions,
    },
    /// Drive a cluster with writes of one size, so that the log grows and the state does not
    ///
    /// Unlike `append`, which starts servers of its own and generates commands within them, this goes the way of clients: through
    /// front ends, protocols and the key-value state machine.
    Write {
        #[command(flatten)]
        run: RunArguments,
        #[command(flatten)]
        workload: WriteOptions,
    },
    /// Drive a cluster with increments of shared counters, and check that none is lost and none done twice
    Counter {
        #[command(flatten)]
        run: RunArguments,
        #[command(flatten)]
        workload: CounterOptions,
    },
    /// Drive a cluster with hash chains, and check that what was acknowledged is there, in the end and after every crash
    Chain {
        #[command(flatten)]
        run: RunArguments,
        #[command(flatten)]
        workload: ChainOptions,
    },
    /// Hold a saved report of `chain --json` against a cluster
    Verify {
        /// The report
        file: PathBuf,
        #[command(flatten)]
        target: TargetOptions,
        /// Print one JSON document instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Put saved reports (`--json`) of one workload together
    Merge {
        /// The reports
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        form: FormArguments,
    },
    /// Append to the replicated log of three server processes on this machine
    ///
    /// Starts three servers over loopback whose applications generate the commands, warms up, measures one window, and checks
    /// that all servers have executed the same. CPU seconds are the figure to compare by: on a busy machine commands per second
    /// say more about the neighbours.
    Append {
        #[command(flatten)]
        options: AppendOptions,
        /// Print one JSON document instead of a table
        #[arg(long)]
        json: bool,
    },
    /// One server of a measured cluster; speaks to its parent over pipes
    #[command(hide = true)]
    AppendServer,
}

/// What the workloads that drive a cluster have in common.
#[derive(Args)]
struct RunArguments {
    #[command(flatten)]
    target: TargetOptions,
    #[command(flatten)]
    pace: PaceOptions,
    #[command(flatten)]
    form: FormArguments,
    /// Write the intervals to this file, too, as an HdrHistogram log
    #[arg(long, value_name = "FILE")]
    hdr: Option<PathBuf>,
}

/// How a report is printed.
#[derive(Args)]
struct FormArguments {
    /// Print one line of JSON instead of a table
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print the timeline as comma-separated values instead of a table
    #[arg(long)]
    csv: bool,
}

impl Task {
    fn perform(self, route: &Route) -> Result<ExitCode, Failure> {
        match self {
            Task::Kv { run, workload } => drive(run, WorkloadOptions::Kv(workload)),
            Task::Write { run, workload } => drive(run, WorkloadOptions::Write(workload)),
            Task::Counter { run, workload } => drive(run, WorkloadOptions::Counter(workload)),
            Task::Chain { run, workload } => drive(run, WorkloadOptions::Chain(workload)),
            Task::Verify { file, target, json } => verify(&file, target, json),
            Task::Merge { files, form } => merge(&files, &form),
            Task::Append { options, json } => append(&options, route, json),
            Task::AppendServer => append::serve().map(|()| ExitCode::SUCCESS),
        }
    }
}

fn drive(run: RunArguments, workload: WorkloadOptions) -> Result<ExitCode, Failure> {
    let RunArguments { target, pace, form, hdr } = run;
    let options = LoadOptions { target, pace, workload };
    let mut progress = ProgressLine::new(options.pace.seconds);
    let report = match hdr {
        None => drive::run(&options, &mut progress)?,
        Some(path) => {
            let mut file = LogFile::create(&path)?;
            let mut both = (IntervalLog::new(&mut file, &options.pace), &mut progress);
            let report = drive::run(&options, &mut both)?;
            both.0.finish()?;
            file.close()?;
            report
        }
    };
    drop(progress);
    form.print(&report)?;
    Ok(exit_code(report.is_good()))
}

fn verify(file: &Path, target: TargetOptions, json: bool) -> Result<ExitCode, Failure> {
    let report = drive::verify(&read(file)?, target, &mut ProgressLine::new(0.0))?;
    FormArguments { json, csv: false }.print(&report)?;
    Ok(exit_code(report.check.is_some_and(|check| check.failed.is_empty())))
}

fn merge(files: &[PathBuf], form: &FormArguments) -> Result<ExitCode, Failure> {
    let reports: Vec<LoadReport> = files.iter().map(|file| read(file)).collect::<Result<_, _>>()?;
    let report = drive::merge(&reports)?;
    form.print(&report)?;
    Ok(exit_code(report.is_good()))
}

fn read(file: &Path) -> Result<LoadReport, Failure> {
    let mut text = Vec::new();
    let opened = fs::File::open(file).and_then(|input| input.take(REPORT_BYTES_MAX).read_to_end(&mut text));
    opened.map_err(Failure::io(format!("cannot read {}", file.display())))?;
    serde_json::from_slice(&text).map_err(|error| {
        Failure::new(format!(
            "{} is not a report as `niagara-load ... --json` prints it: {error}",
            file.display()
        ))
    })
}

impl FormArguments {
    fn print(&self, report: &LoadReport) -> Result<(), Failure> {
        if self.json {
            output::print_json(report)
        } else if self.csv {
            output::print(report.csv())
        } else {
            output::print(report)
        }
    }
}

fn exit_code(is_good: bool) -> ExitCode {
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn append(options: &AppendOptions, route: &Route, json: bool) -> Result<ExitCode, Failure> {
    let report = append::run(options, route)?;
    if json {
        output::print_json(&report)?;
    } else {
        output::print(&report)?;
    }
    Ok(exit_code(report.unknown == 0))
}
