//! What the demo shows while the load runs: on a terminal figures that renew themselves, else a line per second.

use std::io::Write;
use std::time::Duration;

use niagara_engine::Status;

use crate::cli::style::Paint;
use crate::cli::table::grouped;

/// Shows how the load goes. Nobody is harmed if it cannot be shown, so errors of the output are passed over.
pub struct View {
    output: Box<dyn Write>,
    paint: Paint,
    terminal: bool,
    /// Lines on the terminal that the next figures replace.
    shown: usize,
    /// The last time that a rate was taken, and the commands completed until then.
    last: (Duration, u64),
}

impl View {
    /// A view on an output.
    pub fn new(output: Box<dyn Write>, paint: Paint, terminal: bool) -> View {
        View { output, paint, terminal, shown: 0, last: (Duration::ZERO, 0) }
    }

    /// Shows the figures of a moment, unless it is too soon for the next line.
    pub fn show(&mut self, elapsed: Duration, completed: u64, statuses: &[Status]) {
        let interval = elapsed.saturating_sub(self.last.0);
        if interval.is_zero() || (!self.terminal && interval < Duration::from_secs(1)) {
            return;
        }
        let rate = (completed - self.last.1) as f64 / interval.as_secs_f64();
        self.last = (elapsed, completed);
        let head = head(elapsed, rate as u64, statuses);
        let _ = if self.terminal { self.redraw(&head, statuses) } else { self.append(&head, statuses) };
    }

    /// Leaves the last figures as they stand.
    pub fn end(&mut self) {
        if self.shown > 0 {
            let _ = writeln!(self.output);
            let _ = self.output.flush();
        }
    }

    fn redraw(&mut self, head: &str, statuses: &[Status]) -> std::io::Result<()> {
        let mut lines = vec![self.paint.strong(head), String::new()];
        lines.extend(leader_matrix(statuses));
        // Up to where the last figures began, and clear what is below. A line that is too long for the terminal is cut
        // (wrapping off, then on again), so that the count of lines stays true.
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

fn head(elapsed: Duration, rate: u64, statuses: &[Status]) -> String {
    let position = statuses.iter().map(|status| status.applied).max().unwrap_or(0);
    format!(
        "{:5.1} s  {:>11} commands/s  global position {}",
        elapsed.as_secs_f64(),
        grouped(rate),
        grouped(position)
    )
}

/// The leader of each group as a server sees it; `-` if it knows of none.
fn leaders_seen(status: &Status) -> Vec<String> {
    let leader = |leader: u64| if leader == 0 { "-".to_owned() } else { leader.to_string() };
    status.local.iter().map(|group| leader(group.leader)).collect()
}

/// A row for each server, a column for each group, and in each cell the group's leader as the server sees it.
fn leader_matrix(statuses: &[Status]) -> Vec<String> {
    let row = |title: String, cells: &[String]| {
        let cells: String = cells.iter().map(|cell| format!("{cell:>4}")).collect();
        format!("  {title:<20}{cells}")
    };
    let groups: Vec<String> = statuses
        .first()
        .map(|status| status.local.iter().map(|group| group.group.to_string()).collect())
        .unwrap_or_default();
    let mut lines = vec![row("leader of group".into(), &groups)];
    lines.extend(
        statuses
            .iter()
            .map(|status| row(format!("as server {} sees it", status.server), &leaders_seen(status))),
    );
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

    fn statuses() -> Vec<Status> {
        let group = |group, leader| GroupStatus { group, leader, ..Default::default() };
        let server = |server, applied| Status {
            server,
            applied,
            local: vec![group(1, 1), group(2, 0)],
            ..Default::default()
        };
        vec![server(1, 900), server(2, 1_000)]
    }

    #[test]
    fn without_a_terminal_there_is_a_line_per_second() {
        let output = Captured::default();
        let mut view = View::new(Box::new(output.clone()), Paint::PLAIN, false);
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
        let mut view = View::new(Box::new(output.clone()), Paint::PLAIN, true);
        view.show(Duration::from_millis(250), 10, &statuses());
        assert!(!output.text().contains("\x1b[5A"));
        view.show(Duration::from_millis(500), 20, &statuses());
        let text = output.text();
        assert_eq!(text.matches("\x1b[5A\x1b[J").count(), 1);
        assert!(text.contains("  as server 2 sees it    1   -\n"), "{text}");
    }
}
