//! Draws figures, as SVG.

use std::ops::Range;
use std::path::Path;

use niagara_load::Failure;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use super::figure::{Axis, Figure, Series, SeriesKind};

const SIZE: (u32, u32) = (900, 560);
const FONT: &str = "sans-serif";
/// Colours that people with any kind of colour vision can tell apart (Okabe and Ito, 2008).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];
const PUBLISHED: [RGBColor; 3] = [RGBColor(110, 110, 110), RGBColor(150, 150, 150), RGBColor(185, 185, 185)];

/// Where a figure is drawn.
type Area<'f> = DrawingArea<SVGBackend<'f>, Shift>;

/// Draws a figure into a directory, as NAME.svg.
///
/// # Errors
/// When a file cannot be written.
pub(super) fn draw(figure: &Figure, directory: &Path) -> Result<(), Failure> {
    let path = directory.join(format!("{}.svg", figure.name));
    on(&SVGBackend::new(&path, SIZE).into_drawing_area(), figure)
        .map_err(|error| Failure::new(format!("cannot draw {}: {error}", path.display())))
}

/// Axes of both kinds are of different types, so each pair of kinds is a case.
fn on(area: &Area<'_>, figure: &Figure) -> Result<(), String> {
    let (x, y) = (range(figure, &figure.x, |point| point.0), range(figure, &figure.y, |point| point.1));
    match (figure.x.logarithmic, figure.y.logarithmic) {
        (false, false) => with(area, figure, x, y),
        (false, true) => with(area, figure, x, y.log_scale()),
        (true, false) => with(area, figure, x.log_scale(), y),
        (true, true) => with(area, figure, x.log_scale(), y.log_scale()),
    }
}

fn with<X, Y>(area: &Area<'_>, figure: &Figure, x: X, y: Y) -> Result<(), String>
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let text = |error: DrawingAreaErrorKind<<SVGBackend<'_> as DrawingBackend>::ErrorType>| error.to_string();
    area.fill(&WHITE).map_err(text)?;
    let area = area.margin(12, 8, 12, 24);
    let (head, area) = area.split_vertically(if figure.subtitle.is_empty() { 30 } else { 52 });
    head.draw(&Text::new(figure.title.clone(), (8, 2), (FONT, 21))).map_err(text)?;
    let grey = (FONT, 14).into_font().color(&RGBColor(90, 90, 90));
    head.draw(&Text::new(figure.subtitle.clone(), (8, 28), grey)).map_err(text)?;
    let mut builder = ChartBuilder::on(&area);
    builder.x_label_area_size(44).y_label_area_size(78);
    let mut chart = builder.build_cartesian_2d(x, y).map_err(text)?;
    let mut mesh = chart.configure_mesh();
    if let Some(count) = whole_numbers(figure) {
        mesh.x_labels(count);
    }
    mesh.x_desc(figure.x.label.clone())
        .y_desc(figure.y.label.clone())
        .x_label_formatter(&|value| short(*value))
        .y_label_formatter(&|value| short(*value))
        .axis_desc_style((FONT, 15))
        .label_style((FONT, 13))
        .light_line_style(WHITE)
        .bold_line_style(RGBColor(225, 225, 225))
        .draw()
        .map_err(text)?;
    let y_range = range(figure, &figure.y, |point| point.1);
    for mark in &figure.marks {
        let line = [(mark.at, y_range.start), (mark.at, y_range.end)];
        chart.draw_series(DashedLineSeries::new(line, 3, 4, RGBColor(120, 120, 120).into())).map_err(text)?;
        let label = Text::new(mark.label.clone(), (5, 0), (FONT, 13));
        let label = EmptyElement::at((mark.at, y_range.end)) + label;
        chart.draw_series([label]).map_err(text)?;
    }
    for (series, colour) in coloured(&figure.series) {
        let style = ShapeStyle { color: colour.to_rgba(), filled: true, stroke_width: 2 };
        let points = drawable(figure, series);
        let drawn = match series.kind {
            SeriesKind::Ours => chart.draw_series(LineSeries::new(points.iter().copied(), style)),
            SeriesKind::Baseline => {
                chart.draw_series(DashedLineSeries::new(points.iter().copied(), 7, 4, style))
            }
            SeriesKind::Published => {
                chart.draw_series(DashedLineSeries::new(points.iter().copied(), 2, 3, style))
            }
        };
        let filled = series.kind != SeriesKind::Published;
        let dot = ShapeStyle { filled, stroke_width: 1, ..style };
        drawn.map_err(text)?.label(series.name.clone()).legend(move |(x, y)| {
            EmptyElement::at((x, y))
                + PathElement::new([(0, 0), (22, 0)], style)
                + Circle::new((11, 0), 3, dot)
        });
        // A curve of very many points would be a band of dots.
        if points.len() <= 40 {
            chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, dot))).map_err(text)?;
        }
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.85))
        .border_style(RGBColor(200, 200, 200))
        .label_font((FONT, 14))
        .draw()
        .map_err(text)?;
    area.present().map_err(text)
}

/// How many labels the horizontal axis needs if it counts a few things, like links: there is no half of one.
fn whole_numbers(figure: &Figure) -> Option<usize> {
    let values = || figure.series.iter().flat_map(|series| drawable(figure, series)).map(|point| point.0);
    let counts = !figure.x.logarithmic && values().all(|value| value.fract() == 0.0 && value >= 0.0);
    let greatest = values().fold(0.0, f64::max);
    (counts && (1.0..=12.0).contains(&greatest)).then_some(greatest as usize + 1)
}

/// Published curves are grey, so that nobody takes them for measurements made here.
fn coloured(series: &[Series]) -> impl Iterator<Item = (&Series, RGBColor)> {
    let (mut ours, mut published) = (COLOURS.iter().cycle(), PUBLISHED.iter().cycle());
    series.iter().map(move |series| {
        let colours = if series.kind == SeriesKind::Published { &mut published } else { &mut ours };
        (series, *colours.next().expect("a cycle has no end"))
    })
}

/// Points that the axes have a place for.
fn drawable(figure: &Figure, series: &Series) -> Vec<(f64, f64)> {
    let fits = |axis: &Axis, value: f64| value.is_finite() && (!axis.logarithmic || value > 0.0);
    let points = series.points.iter().copied();
    points.filter(|(x, y)| fits(&figure.x, *x) && fits(&figure.y, *y)).collect()
}

/// From the least to the greatest value of an axis, with room at the end; from zero where steps are equal.
fn range(figure: &Figure, axis: &Axis, of: impl Fn(&(f64, f64)) -> f64) -> Range<f64> {
    let values: Vec<f64> =
        figure.series.iter().flat_map(|series| drawable(figure, series)).map(|point| of(&point)).collect();
    let greatest = values.iter().copied().fold(axis.at_least.unwrap_or(0.0), f64::max);
    if axis.logarithmic {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        return if values.is_empty() { 0.1..10.0 } else { least / 1.5..greatest.max(least) * 1.5 };
    }
    let least = values.iter().copied().fold(0.0, f64::min);
    if greatest > least { least..greatest + 0.06 * (greatest - least) } else { least..least + 1.0 }
}

/// A number beside an axis: 2.5M, 300k, 12, 0.25.
fn short(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        size if size >= 1e6 => (value / 1e6, "M"),
        size if size >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let digits = match scaled.abs() {
        size if size >= 100.0 || scaled.fract() == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 => 2,
        _ => 3,
    };
    let text = format!("{scaled:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_beside_axes_are_short() {
        let texts: Vec<String> = [0.0, 0.25, 7.5, 12.0, 9_999.0, 300_000.0, 2_500_000.0].map(short).to_vec();
        assert_eq!(texts, ["0", "0.25", "7.5", "12", "9999", "300k", "2.5M"]);
    }

    #[test]
    fn any_figure_is_drawn() {
        let directory = tempfile::tempdir().unwrap();
        for (logarithmic, points) in [
            (false, vec![(0.0, 0.0), (1.0, 3.0)]),
            (true, vec![(0.0, 1.0), (10.0, 100.0), (f64::NAN, 3.0)]),
            (true, vec![]),
            (false, vec![(5.0, 5.0)]),
        ] {
            let axis = Axis { logarithmic, ..Axis::linear("x") };
            let mut figure = Figure::new("figure", "A title", axis.clone(), axis);
            figure.curve("ours", SeriesKind::Ours, points.clone());
            figure.curve("published", SeriesKind::Published, points);
            draw(&figure, directory.path()).unwrap();
            let svg = std::fs::read_to_string(directory.path().join("figure.svg")).unwrap();
            assert!(svg.contains("A title") && svg.contains("published"), "{svg}");
        }
    }
}
