//! Rows of results: aligned or in Markdown for people, CSV for programs.

use std::fmt::Write as _;

use comfy_table::CellAlignment;
use comfy_table::presets::NOTHING;
use serde::{Deserialize, Serialize};

use crate::grouped::grouped;

/// A table of results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResultTable {
    /// The name of its file, without an ending.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// The heads of its columns, with units.
    pub columns: Vec<String>,
    /// Its rows, each as long as `columns`.
    pub rows: Vec<Vec<Cell>>,
}

/// One entry of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cell {
    /// A number, and how many digits behind the point people want to see.
    Number(f64, u8),
    /// Words.
    Text(String),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::Text(text)
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Cell {
        Cell::Number(number as f64, 0)
    }
}

impl Cell {
    fn for_people(&self) -> String {
        match self {
            Cell::Text(text) => text.clone(),
            Cell::Number(number, _) if !number.is_finite() => "-".into(),
            // What is set apart are the thousands of whole numbers only.
            Cell::Number(number, 0) => grouped(*number),
            Cell::Number(number, digits) => format!("{number:.*}", usize::from(*digits)),
        }
    }

    fn for_programs(&self) -> String {
        match self {
            Cell::Number(number, _) => number.to_string(),
            Cell::Text(text) => text.clone(),
        }
    }
}

impl ResultTable {
    /// An empty table.
    pub fn new<const N: usize>(name: &str, title: &str, columns: [&str; N]) -> ResultTable {
        ResultTable {
            name: name.to_owned(),
            title: title.to_owned(),
            columns: columns.map(str::to_owned).to_vec(),
            rows: Vec::new(),
        }
    }

    /// One more row.
    ///
    /// # Panics
    /// When it is not as long as the heads.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let row: Vec<Cell> = cells.into_iter().collect();
        assert_eq!(row.len(), self.columns.len(), "a row of table {} has a cell for each column", self.name);
        self.rows.push(row);
    }

    /// Comma-separated values, as RFC 4180 has them.
    pub fn csv(&self) -> String {
        let mut out = csv::Writer::from_writer(Vec::new());
        let rows = self.rows.iter().map(|row| row.iter().map(Cell::for_programs).collect());
        for row in std::iter::once(self.columns.clone()).chain(rows) {
            out.write_record(row).expect("a buffer takes all, and all rows are as long as the heads");
        }
        String::from_utf8(out.into_inner().expect("a buffer takes all")).expect("cells are text")
    }

    /// A table in Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("| {} |\n|", self.columns.join(" | "));
        for column in 0..self.columns.len() {
            text += if self.is_numeric(column) { "---:|" } else { "---|" };
        }
        text.push('\n');
        for row in &self.rows {
            let cells: Vec<String> = row.iter().map(Cell::for_people).collect();
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
        text
    }

    /// Columns under each other, numbers to the right.
    pub fn aligned(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(NOTHING).set_header(&self.columns);
        table.add_rows(self.rows.iter().map(|row| row.iter().map(Cell::for_people)));
        for (index, column) in table.column_iter_mut().enumerate() {
            let right = self.is_numeric(index);
            column.set_cell_alignment(if right { CellAlignment::Right } else { CellAlignment::Left });
        }
        let lines: String = table.lines().map(|line| format!(" {}\n", line.trim_end())).collect();
        format!("{}\n{lines}", self.title)
    }

    fn is_numeric(&self, column: usize) -> bool {
        self.rows.iter().all(|row| matches!(row[column], Cell::Number(..)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> ResultTable {
        let mut table = ResultTable::new("t", "A title", ["setting", "writes/s", "p90, ms"]);
        table.row(["R = 1".into(), Cell::Number(1234.4, 0), Cell::Number(0.25, 2)]);
        table.row(["R = 8, \"pinned\"".into(), Cell::Number(9876543.0, 0), Cell::Number(f64::NAN, 2)]);
        table
    }

    #[test]
    fn programs_get_all_digits_and_quotes() {
        let expected =
            "setting,writes/s,\"p90, ms\"\nR = 1,1234.4,0.25\n\"R = 8, \"\"pinned\"\"\",9876543,NaN\n";
        assert_eq!(table().csv(), expected);
    }

    #[test]
    fn people_get_columns() {
        let expected = "A title\n  setting           writes/s  p90, ms\n  R = 1                1,234     0.25\n  \
                        R = 8, \"pinned\"  9,876,543        -\n";
        assert_eq!(table().aligned(), expected);
        assert!(table().markdown().contains("| R = 1 | 1,234 | 0.25 |"), "{}", table().markdown());
    }

    #[test]
    #[should_panic(expected = "a cell for each column")]
    fn a_row_that_is_too_short_is_noticed() {
        table().row(["R = 2".into()]);
    }
}
