//! Tables in plain text: columns as wide as their widest cell.

use crate::style::Paint;

#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column titles.
    pub fn new<'t>(titles: impl IntoIterator<Item = &'t str>) -> Self {
        Table { rows: vec![titles.into_iter().map(str::to_owned).collect()] }
    }

    /// Adds a row. A row with fewer cells than titles ends early, and its last cell widens no column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The lines, titles first. Numbers are aligned right, words left.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let columns = self.rows[0].len();
        let width = |column: usize| {
            let full = self.rows.iter().filter(|row| column + 1 < row.len() || row.len() == columns);
            full.filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let numeric: Vec<bool> = (0..columns).map(|column| self.is_numeric(column)).collect();
        self.rows.iter().map(move |row| {
            let cells = row.iter().zip(&widths).zip(&numeric);
            let line: Vec<String> = cells
                .map(|((cell, &width), numeric)| match numeric {
                    true => format!("{cell:>width$}"),
                    false => format!("{cell:<width$}"),
                })
                .collect();
            line.join("  ").trim_end().to_owned()
        })
    }

    /// All lines, with the titles highlighted.
    pub fn text(&self, paint: Paint) -> String {
        let mut lines = self.lines();
        let titles = paint.strong(lines.next().unwrap_or_default());
        std::iter::once(titles).chain(lines).map(|line| line + "\n").collect()
    }

    fn is_numeric(&self, column: usize) -> bool {
        let complete = self.rows.iter().skip(1).filter(|row| row.len() == self.rows[0].len());
        complete.filter_map(|row| row.get(column)).all(|cell| cell.starts_with(|c: char| c.is_ascii_digit()))
    }
}

/// A number with thousands separators: 1,234,567.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let texts = [0, 12, 999, 1_000, 12_345, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "12", "999", "1,000", "12,345", "1,234,567"]);
    }

    #[test]
    fn numbers_stand_right_and_words_left() {
        let mut table = Table::new(["server", "role", "last"]);
        table.row(["1".into(), "leader".into(), "7".into()]);
        table.row(["2".into(), "a much longer remark that ends the row".into()]);
        table.row(["3".into(), "follower".into(), "1,234".into()]);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(
            lines,
            [
                "server  role       last",
                "     1  leader        7",
                "     2  a much longer remark that ends the row",
                "     3  follower  1,234",
            ]
        );
    }
}
