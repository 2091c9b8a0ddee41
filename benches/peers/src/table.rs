//! Tables in plain text: columns as wide as their widest cell.

/// A table that grows row by row.
#[derive(Clone, Debug)]
pub struct Table<const COLUMNS: usize> {
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// A table with these column titles.
    pub fn new(titles: [&str; COLUMNS]) -> Self {
        Table { rows: vec![titles.map(ToOwned::to_owned)] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: [String; COLUMNS]) {
        self.rows.push(cells);
    }

    /// The lines, titles first. Numbers stand at the right of their column, words at the left.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let width = |column: usize| self.rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let columns: Vec<(usize, bool)> = (0..COLUMNS).map(|at| (width(at), self.is_numeric(at))).collect();
        self.rows.iter().map(move |row| {
            let cells = row.iter().zip(&columns).map(|(cell, &(width, numeric))| match numeric {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
    }

    fn is_numeric(&self, column: usize) -> bool {
        let number = |cell: &str| cell == "-" || cell.starts_with(|c: char| c.is_ascii_digit());
        self.rows.iter().skip(1).all(|row| number(&row[column]))
    }
}

/// A number with its thousands set apart, as people read it: 1,234,567.
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
    fn numbers_stand_right_and_words_left() {
        let mut table = Table::new(["peer", "rate"]);
        table.row(["raft-rs".into(), grouped(1_234_567)]);
        table.row(["etcd".into(), grouped(12)]);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines, ["peer          rate", "raft-rs  1,234,567", "etcd            12"]);
    }
}
