//! The page that sums a run up, and drawing its figures again.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use niagara_load::Failure;
use niagara_measure::ResultTable;

use super::figure::Figure;
use super::plot;
use super::verdict::Verdict;

/// The page, in Markdown.
pub(super) fn page(verdict: &Verdict) -> String {
    let Verdict { experiment, about, command, begun, seconds, .. } = verdict;
    let mut text = format!("# {experiment}\n\n{about}.\n\n`{command}`, begun {begun}, {seconds:.0} s.\n\n");
    if !verdict.goals.is_empty() {
        text += &goals(verdict).markdown();
        text.push('\n');
    }
    for note in &verdict.notes {
        let _ = writeln!(text, "{note}\n");
    }
    for figure in &verdict.figures {
        let _ = writeln!(text, "![{figure}]({figure}.svg)\n");
    }
    for table in &verdict.tables {
        let _ = writeln!(text, "## {}\n\n{}", table.title, table.markdown());
    }
    let _ = writeln!(text, "## The machine\n\n{}", verdict.facts.table().markdown());
    text + "Raw data is in `raw/`, each table in a `.csv`, each figure's points in a `.figure.json` (`niagara-lab plot` draws them again).\n"
}

/// What the terminal shows last.
pub(super) fn closing(verdict: &Verdict, directory: &Path) -> String {
    let mut text = verdict.notes.iter().map(|note| format!("{note}\n")).collect::<String>();
    if !verdict.goals.is_empty() {
        text += &goals(verdict).aligned();
    }
    text + &format!("Results are in {}; begin with REPORT.md.", directory.display())
}

fn goals(verdict: &Verdict) -> ResultTable {
    let mut table = ResultTable::new("goals", "Goals", ["goal", "wanted", "measured", "reached"]);
    for goal in &verdict.goals {
        let reached = if goal.reached { "yes" } else { "NO" };
        table.row([&goal.what, &goal.wanted, &goal.measured, reached].map(Into::into));
    }
    table
}

/// Draws the figures of a run's directory again, and gives their names.
///
/// # Errors
/// When there are none, or one cannot be read or drawn.
pub fn replot(directory: &Path) -> Result<Vec<String>, Failure> {
    let read = || -> std::io::Result<Vec<_>> { fs::read_dir(directory)?.collect() };
    let entries = read().map_err(Failure::io(format!("cannot read {}", directory.display())))?;
    let mut paths: Vec<_> = entries.iter().map(fs::DirEntry::path).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(".figure.json"));
    paths.sort();
    if paths.is_empty() {
        return Err(Failure::new(format!(
            "{} holds no figures (*.figure.json); name the directory of a run",
            directory.display()
        )));
    }
    let draw = |path: &std::path::PathBuf| {
        let text = fs::read(path).map_err(Failure::io(format!("cannot read {}", path.display())))?;
        let figure: Figure = serde_json::from_slice(&text)
            .map_err(|error| Failure::new(format!("{} is no figure: {error}", path.display())))?;
        plot::draw(&figure, directory)?;
        Ok(figure.name)
    };
    paths.iter().map(draw).collect()
}
