//! What a figure shows. How it is drawn is `plot.rs`.

use serde::{Deserialize, Serialize};

/// Curves over a common axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The name of its files, without an ending.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// Under what conditions, in a smaller line; may be empty.
    pub subtitle: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The curves, in the order of the legend.
    pub series: Vec<Series>,
    /// Moments on the horizontal axis that are marked by a line, like that of a failure.
    #[serde(default)]
    pub marks: Vec<Mark>,
}

/// An axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Axis {
    /// What it measures, with its unit.
    pub label: String,
    /// Whether steps multiply rather than add. Values that are not above zero are left out then.
    #[serde(default)]
    pub logarithmic: bool,
    /// The least end of the axis that is wanted; it reaches farther if values do.
    #[serde(default)]
    pub at_least: Option<f64>,
}

/// A curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Where it comes from.
    pub kind: SeriesKind,
    /// Points, from left to right.
    pub points: Vec<(f64, f64)>,
}

/// Where a curve comes from, which decides how it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SeriesKind {
    /// Measured here: Niagara. A solid line.
    Ours,
    /// Measured here: what it is compared with. A dashed line.
    Baseline,
    /// Taken from a publication, whose machines were others. A grey line with hollow points.
    Published,
}

/// A marked moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// Where on the horizontal axis.
    pub at: f64,
    /// What happened there.
    pub label: String,
}

impl Axis {
    /// An axis with equal steps.
    pub fn linear(label: &str) -> Axis {
        Axis { label: label.to_owned(), logarithmic: false, at_least: None }
    }

    /// An axis whose steps multiply.
    pub fn logarithmic(label: &str) -> Axis {
        Axis { logarithmic: true, ..Axis::linear(label) }
    }
}

impl Figure {
    /// A figure without curves.
    pub fn new(name: &str, title: &str, x: Axis, y: Axis) -> Figure {
        Figure {
            name: name.to_owned(),
            title: title.to_owned(),
            subtitle: String::new(),
            x,
            y,
            series: Vec::new(),
            marks: Vec::new(),
        }
    }

    /// Leaves room for the legend above the curves of a logarithmic axis: a part of it for each entry.
    pub fn leave_room_for_legend(&mut self) {
        let values =
            || self.series.iter().flat_map(|series| &series.points).map(|(_, y)| *y).filter(|y| *y > 0.0);
        let (least, greatest) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
        let share = 0.045 * self.series.len() as f64;
        self.y.at_least = Some(greatest * (greatest / least).powf(share / (1.0 - share)));
    }

    /// Adds a curve.
    pub fn curve(&mut self, name: impl Into<String>, kind: SeriesKind, points: Vec<(f64, f64)>) {
        self.series.push(Series { name: name.into(), kind, points });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_legend_gets_its_share_of_a_logarithmic_axis() {
        let mut figure = Figure::new("f", "t", Axis::linear("x"), Axis::logarithmic("y"));
        let points = vec![(0.0, 10.0), (1.0, 1000.0), (2.0, 0.0)];
        (0..10).for_each(|_| figure.curve("curve", SeriesKind::Ours, points.clone()));
        figure.leave_room_for_legend();
        // Ten entries take 45 of a hundred parts, and two decades the other 55.
        let decades = (figure.y.at_least.unwrap() / 1000.0).log10();
        assert!((decades / (2.0 + decades) - 0.45).abs() < 1e-9, "{decades}");
    }
}
