//! What the demo shows while the load runs: on a terminal, figures that refresh in place; elsewhere, a line
//! per second.

use std::io::Write;
use std::time::Duration;

use niagara_engine::Status;

use crate::style::Paint;
use crate::table::grouped;

/// The width of a row's title.
const TITLE_COLUMNS: usize = 22;
/// The width of a group's cell.
const CELL_COLUMNS: usize = 4;

/// Shows the load's progress. Output errors are ignored: nothing depends on it.
pub struct View {
    output: Box<dyn Write>,
    paint: Paint,
    /// The columns of the terminal, if it is one.
    columns: Option<usize>,
    /// Lines on the terminal that the next figures replace.
    shown: usize,
    /// When the last rate was taken, and the commands completed until then.
    last: (Duration, u64),
}

impl View {
    pub fn new(output: Box<dyn Write>, paint: Paint, columns: Option<usize>) -> View {
        View { output, paint, columns, shown: 0, last: (Duration::ZERO, 0) }
    }

    /// Shows the current figures, unless it is too soon for the next line.
    pub fn show(&mut self, elapsed: Duration, completed: u64, statuses: &[Status]) {
        let interval = elapsed.saturating_sub(self.last.0);
        if interval.is_zero() || (self.columns.is_none() && interval < Duration::from_secs(1)) {
            return;
        }
        let rate = (completed - self.last.1) as f64 / interval.as_secs_f64();
        self.last = (elapsed, completed);
        let head = head(elapsed, rate as u64, statuses);
        let _ = match self.columns {
            Some(columns) => self.redraw(&head, statuses, columns),
            None => self.append(&head.join("  "), statuses),
        };
    }

    /// Leaves the last figures on the screen.
    pub fn end(&mut self) {
        if self.shown > 0 {
            let _ = writeln!(self.output);
            let _ = self.output.flush();
        }
    }

    fn redraw(&mut self, head: &[String; 2], statuses: &[Status], columns: usize) -> std::io::Result<()> {
        let whole = head.join("  ");
        let mut lines = match whole.len() <= columns {
            true => vec![self.paint.strong(whole), String::new()],
            false => vec![self.paint.strong(&head[0]), self.paint.strong(&head[1]), String::new()],
        };
        lines.extend(leader_matrix(statuses, columns));
        // Moves up to where the last figures began, and clears everything below. A line that is too long for
        // the terminal is cut (wrapping off, then on again), so that the count of lines stays right.
        if self.shown > 0 {
            write!(self.output, "\x1b[{}A\x1b[J", self.shown)?;
        }
        write!(self.output, "\x1b[?7l{}\n\x1b[?7h", lines.join("\n"))?;
        self.shown = lines.len();
        self.output.flush()
    }

    fn append(&mut self, head: &str, statuses: &[Status]) -> std::io::Result<()> {
        let leaders = statuses.first().map(|status| leaders_seen(status).join(" ")).unwrap_or_default();
        writeln!(self.output, "{head}  leaders {leaders}")?;
        self.output.flush()
    }
}

fn head(elapsed: Duration, rate: u64, statuses: &[Status]) -> [String; 2] {
    let position = statuses.iter().map(|status| status.applied).max().unwrap_or(0);
    [
        format!("{:5.1} s  {:>11} commands/s", elapsed.as_secs_f64(), grouped(rate)),
        format!("global position {}", grouped(position)),
    ]
}

/// The leader of each group as a server sees it; `-` if it knows of none.
fn leaders_seen(status: &Status) -> Vec<String> {
    let leader = |leader: u64| if leader == 0 { "-".to_owned() } else { leader.to_string() };
    status.local.iter().map(|group| leader(group.leader)).collect()
}

/// A row for each server and a column for each group. Each cell holds the group's leader as the server sees
/// it. Groups that do not fit side by side follow below.
fn leader_matrix(statuses: &[Status], columns: usize) -> Vec<String> {
    let Some(first) = statuses.first() else { return Vec::new() };
    let cells: Vec<_> = statuses.iter().map(leaders_seen).collect();
    let groups: Vec<_> = first.local.iter().map(|group| group.group.to_string()).collect();
    let beside = (columns.saturating_sub(TITLE_COLUMNS) / CELL_COLUMNS).max(1);
    let mut lines = Vec::new();
    for from in (0..groups.len()).step_by(beside) {
        let part = |cells: &[String]| {
            cells.iter().skip(from).take(beside).map(|cell| format!("{cell:>CELL_COLUMNS$}")).collect()
        };
        let row = |title: &str, cells: String| format!("  {title:<20}{cells}");
        lines.push(row("leader of group", part(&groups)));
        lines.extend(
            statuses
                .iter()
                .zip(&cells)
                .map(|(status, cells)| row(&format!("as server {} sees it", status.server), part(cells))),
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use niagara_engine::GroupStatus;

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Captured {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn group(number: u16, leader: u64) -> GroupStatus {
        let mut group = GroupStatus::default();
        (group.group, group.leader) = (number, leader);
        group
    }

    fn statuses() -> Vec<Status> {
        let server = |server, applied| {
            let mut status = Status::default();
            (status.server, status.applied) = (server, applied);
            status.local = vec![group(1, 1), group(2, 0)];
            status
        };
        vec![server(1, 900), server(2, 1_000)]
    }

    #[test]
    fn without_a_terminal_there_is_a_line_per_second() {
        let output = Captured::default();
        let mut view = View::new(Box::new(output.clone()), Paint::PLAIN, None);
        for (millis, completed) in [(250, 10), (1_000, 500), (1_500, 800), (2_000, 2_500)] {
            view.show(Duration::from_millis(millis), completed, &statuses());
        }
        view.end();
        assert_eq!(
            output.text(),
            "  1.0 s          500 commands/s  global position 1,000  leaders 1 -\n  \
             2.0 s        2,000 commands/s  global position 1,000  leaders 1 -\n"
        );
    }

    #[test]
    fn on_a_terminal_the_figures_replace_each_other() {
        let output = Captured::default();
        let mut view = View::new(Box::new(output.clone()), Paint::PLAIN, Some(80));
        view.show(Duration::from_millis(250), 10, &statuses());
        assert!(!output.text().contains("\x1b[5A"));
        view.show(Duration::from_millis(500), 20, &statuses());
        let text = output.text();
        assert_eq!(text.matches("\x1b[5A\x1b[J").count(), 1);
        assert!(text.contains("  as server 2 sees it    1   -\n"), "{text}");
    }

    #[test]
    fn a_narrow_terminal_cuts_nothing() {
        let mut status = Status::default();
        (status.server, status.applied) = (1, 123_456_789);
        status.local = (1..=10).map(|number| group(number, 1)).collect();
        let output = Captured::default();
        View::new(Box::new(output.clone()), Paint::PLAIN, Some(40)).show(
            Duration::from_secs(1),
            1_234_567,
            &[status],
        );
        let text = output.text().replace("\x1b[?7l", "").replace("\x1b[?7h", "");
        assert!(text.lines().all(|line| line.len() <= 40), "{text}");
        assert!(text.contains("global position 123,456,789\n") && text.contains("   9  10\n"), "{text}");
    }
}
