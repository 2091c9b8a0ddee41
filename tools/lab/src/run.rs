//! One run of an experiment: what it measures goes through here into its directory.

use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use niagara_load::Failure;
use niagara_load::output;
use niagara_measure::ResultTable;
use serde::{Deserialize, Serialize};

use super::experiment::Experiment;
use super::facts::{Facts, stolen};
use super::figure::Figure;
use super::interrupt::Interrupt;
use super::{doctor, leftovers, plot, report};

/// A wait looks this often whether it was interrupted.
const LOOK: Duration = Duration::from_millis(50);
/// From this share of stolen time on, the report warns.
const STOLEN_TOO_MUCH: f64 = 0.02;

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

/// The run, as an experiment sees it.
pub(super) struct ExperimentRun {
    /// Settings of single experiments.
    pub particulars: Particulars,
    directory: PathBuf,
    interrupt: Interrupt,
    bar: ProgressBar,
    verdict: Verdict,
    shown: bool,
}

/// Conducts an experiment.
///
/// # Errors
/// When there is no such experiment, the machine lacks what it needs, the directory cannot be written, or a measurement fails.
/// What was measured until then stays in the directory.
pub fn run(options: &RunOptions) -> Result<Verdict, Failure> {
    let experiment = Experiment::named(&options.experiment)?;
    doctor::check(experiment)?;
    let interrupt = Interrupt::watch()?;
    leftovers::remove()?;
    let mut run = ExperimentRun::begin(experiment, options, interrupt)?;
    let (began, stolen_before) = (Instant::now(), stolen());
    let conducted = (experiment.conduct)(&mut run);
    run.bar.finish_and_clear();
    run.verdict.seconds = began.elapsed().as_secs_f64();
    run.verdict.stolen = stolen_before.zip(stolen()).map(|(before, after)| {
        (after.0 - before.0).as_secs_f64() / (after.1 - before.1).as_secs_f64().max(1e-9)
    });
    if let Some(share) = run.verdict.stolen.filter(|share| *share > STOLEN_TOO_MUCH) {
        run.note(format!(
            "Other virtual machines took {:.0} % of the processors' time meanwhile.",
            100.0 * share
        ));
    }
    conducted?;
    run.save("run.json", &serde_json::to_vec_pretty(&run.verdict).expect("a verdict is plain data"))?;
    run.save("REPORT.md", report::page(&run.verdict).as_bytes())?;
    if run.shown {
        output::print_line(report::closing(&run.verdict, &run.directory))?;
    }
    Ok(run.verdict)
}

impl ExperimentRun {
    fn begin(
        experiment: &Experiment,
        options: &RunOptions,
        interrupt: Interrupt,
    ) -> Result<ExperimentRun, Failure> {
        let begun = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let directory = options.out.clone().unwrap_or_else(|| {
            PathBuf::from(format!("niagara-lab-{}-{}", experiment.name, begun.replace(':', "-")))
        });
        if directory.exists() {
            return Err(Failure::new(format!(
                "{} exists already, and results are never overwritten; name another directory by --out",
                directory.display()
            )));
        }
        fs::create_dir_all(directory.join("raw"))
            .map_err(Failure::io(format!("cannot make {} (--out names another)", directory.display())))?;
        let style = ProgressStyle::with_template("{spinner} [{pos}/{len}] {elapsed} {msg}")
            .expect("the template is sound");
        let bar = ProgressBar::new(0).with_style(style);
        bar.enable_steady_tick(Duration::from_millis(200));
        let verdict = Verdict {
            experiment: experiment.name.into(),
            about: experiment.about.into(),
            quick: options.quick,
            command: command_line(options),
            begun,
            seconds: 0.0,
            facts: Facts::gather(),
            stolen: None,
            goals: Vec::new(),
            notes: Vec::new(),
            figures: Vec::new(),
            tables: Vec::new(),
        };
        let particulars = options.particulars.clone();
        Ok(ExperimentRun { particulars, directory, interrupt, bar, verdict, shown: !options.json })
    }

    /// Whether it is to be short.
    pub fn quick(&self) -> bool {
        self.verdict.quick
    }

    /// One of two values: for a quick run, and for a full one.
    pub fn either<T>(&self, quick: T, full: T) -> T {
        if self.quick() { quick } else { full }
    }

    /// So many more steps come.
    pub fn steps(&self, count: usize) {
        self.bar.inc_length(count as u64);
    }

    /// The next step begins.
    pub fn step(&self, what: impl Into<String>) -> Result<(), Failure> {
        self.interrupt.check()?;
        let what = what.into();
        self.bar.inc(1);
        // Where nobody watches a bar, a log has lines.
        if !std::io::stderr().is_terminal() {
            let (at, of) = (self.bar.position(), self.bar.length().unwrap_or(0));
            output::note(format_args!("[{at}/{of}] {what}"));
        }
        self.bar.set_message(what);
        Ok(())
    }

    /// Tells whoever watches.
    pub fn say(&self, text: &str) {
        self.bar.suspend(|| output::note(text));
    }

    /// Sleeps; an interrupt ends it.
    pub fn sleep(&self, time: Duration) -> Result<(), Failure> {
        let until = Instant::now() + time;
        loop {
            self.interrupt.check()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(LOOK));
        }
    }

    /// Looks again and again until something is there; `None` if it is not within that time. An interrupt ends it.
    pub fn await_that<T>(
        &self,
        within: Duration,
        mut look: impl FnMut() -> Result<Option<T>, Failure>,
    ) -> Result<Option<T>, Failure> {
        let until = Instant::now() + within;
        loop {
            let found = look()?;
            if found.is_some() || Instant::now() > until {
                return Ok(found);
            }
            self.sleep(LOOK)?;
        }
    }

    /// Where files of this run go.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Keeps data as it was measured.
    pub fn raw(&self, name: &str, data: &impl Serialize) -> Result<(), Failure> {
        let json = serde_json::to_vec(data)
            .map_err(|error| Failure::new(format!("cannot write {name} as JSON: {error}")))?;
        self.save(&format!("raw/{name}.json"), &json)
    }

    /// A table of results: into a file, the report, and onto the terminal.
    pub fn table(&mut self, table: ResultTable) -> Result<(), Failure> {
        self.save(&format!("{}.csv", table.name), table.csv().as_bytes())?;
        if self.shown {
            self.bar.suspend(|| output::print_line(table.aligned()))?;
        }
        self.verdict.tables.push(table);
        Ok(())
    }

    /// A figure of results: its data, and its pictures.
    pub fn figure(&mut self, figure: &Figure) -> Result<(), Failure> {
        let json = serde_json::to_vec_pretty(figure).expect("a figure is plain data");
        self.save(&format!("{}.figure.json", figure.name), &json)?;
        plot::draw(figure, &self.directory)?;
        self.verdict.figures.push(figure.name.clone());
        Ok(())
    }

    /// Whether something was shown that the experiment is for.
    pub fn goal(&mut self, what: &str, wanted: &str, measured: impl Into<String>, reached: bool) {
        let (what, wanted, measured) = (what.to_owned(), wanted.to_owned(), measured.into());
        self.verdict.goals.push(Goal { what, wanted, measured, reached });
    }

    /// A paragraph for the report.
    pub fn note(&mut self, text: impl Into<String>) {
        self.verdict.notes.push(text.into());
    }

    fn save(&self, name: &str, content: &[u8]) -> Result<(), Failure> {
        let path = self.directory.join(name);
        fs::write(&path, content).map_err(Failure::io(format!("cannot write {}", path.display())))
    }
}

/// The command line that repeats a run, but for its directory.
fn command_line(options: &RunOptions) -> String {
    let mut words = vec![format!("niagara-lab run {}", options.experiment)];
    words.extend(options.quick.then(|| "--quick".into()));
    words.extend(options.particulars.link_mbit.map(|rate| format!("--link-mbit {rate}")));
    words.extend(options.particulars.paper_links.then(|| "--paper-links".into()));
    words.join(" ")
}
