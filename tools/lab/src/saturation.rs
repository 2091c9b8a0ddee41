//! What a setting provides by what was requested of it: medians over rounds, and where it is saturated.

use niagara_load::append::AppendReport;
use serde::Serialize;

use crate::median::median;

/// A setting that provides less than this share of what is requested is saturated.
const KEEPS_UP: f64 = 0.95;

/// One measurement.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SweepSample {
    pub setting: String,
    /// From 1.
    pub round: usize,
    /// Commands per second that were requested.
    pub requested: f64,
    pub report: AppendReport,
}

/// What several measurements at one requested rate came to, in commands per second and milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub requested: f64,
    pub provided: f64,
    pub p50: f64,
    pub p90: f64,
    /// CPU time that leaders' group threads took per command, in nanoseconds.
    pub leader_nanos: f64,
}

/// A setting at all rates, and in each round by itself.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    /// Medians over the rounds, by rising rate.
    pub points: Vec<Point>,
    /// What the setting did in each round when more was requested than it could do.
    pub saturated: Vec<f64>,
}

impl Point {
    fn of(report: &AppendReport, requested: f64) -> Point {
        let latency = report.latency_ms;
        Point {
            requested,
            provided: report.commands_per_second,
            p50: latency.p50,
            p90: latency.p90,
            leader_nanos: 1e3 * report.leader_cpu_seconds_per_million_commands,
        }
    }

    /// Whether what was requested was provided.
    pub fn keeps_up(&self) -> bool {
        self.provided >= KEEPS_UP * self.requested
    }
}

impl Curve {
    /// From the samples of a setting.
    pub fn of<'a>(samples: impl Iterator<Item = &'a SweepSample>) -> Curve {
        let mut rounds: Vec<Vec<Point>> = Vec::new();
        for sample in samples {
            rounds.resize(rounds.len().max(sample.round), Vec::new());
            rounds[sample.round - 1].push(Point::of(&sample.report, sample.requested));
        }
        Curve::of_rounds(&rounds)
    }

    fn of_rounds(rounds: &[Vec<Point>]) -> Curve {
        let rates = rounds.first().map_or(0, Vec::len);
        let at = |rate: usize, of: fn(&Point) -> f64| median(rounds.iter().map(|round| of(&round[rate])));
        let point = |rate| Point {
            requested: at(rate, |point| point.requested),
            provided: at(rate, |point| point.provided),
            p50: at(rate, |point| point.p50),
            p90: at(rate, |point| point.p90),
            leader_nanos: at(rate, |point| point.leader_nanos),
        };
        Curve {
            points: (0..rates).map(point).collect(),
            saturated: rounds.iter().map(|round| saturation(round)).collect(),
        }
    }

    /// Commands per second beyond which more requests bring nothing, the median over the rounds.
    pub fn saturation(&self) -> f64 {
        median(self.saturated.iter().copied())
    }

    /// How many times as much as another setting it does when saturated: least, median and greatest of the rounds' own ratios.
    pub fn times(&self, other: &Curve) -> (f64, f64, f64) {
        let ratios: Vec<f64> =
            self.saturated.iter().zip(&other.saturated).map(|(own, other)| own / other).collect();
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = ratios.iter().copied().fold(0.0, f64::max);
        (least, median(ratios.into_iter()), greatest)
    }

    /// The points up to the first that is saturated: beyond that, latency only says for how long there was too much.
    pub fn until_saturated(&self) -> &[Point] {
        let beyond = self.points.iter().position(|point| !point.keeps_up());
        &self.points[..beyond.map_or(self.points.len(), |at| at + 1)]
    }
}

/// Of one round: the median of what was provided where more was requested, or else the most that was.
fn saturation(round: &[Point]) -> f64 {
    let beyond: Vec<f64> =
        round.iter().filter(|point| !point.keeps_up()).map(|point| point.provided).collect();
    if beyond.is_empty() {
        return round.iter().map(|point| point.provided).fold(0.0, f64::max);
    }
    median(beyond.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(points: &[(f64, f64, f64)]) -> Vec<Point> {
        points
            .iter()
            .map(|&(requested, provided, p90)| Point {
                requested,
                provided,
                p50: p90 / 2.0,
                p90,
                leader_nanos: 15.0,
            })
            .collect()
    }

    #[test]
    fn a_curve_has_the_medians_of_its_rounds() {
        let curve = Curve::of_rounds(&[
            round(&[(100.0, 100.0, 1.0), (200.0, 120.0, 9.0)]),
            round(&[(100.0, 98.0, 3.0), (200.0, 140.0, 8.0)]),
            round(&[(100.0, 99.0, 2.0), (200.0, 130.0, 7.0)]),
        ]);
        let expected = round(&[(100.0, 99.0, 2.0), (200.0, 130.0, 8.0)]);
        assert_eq!((curve.points.clone(), curve.saturation()), (expected, 130.0));
        let half = Curve { points: Vec::new(), saturated: vec![60.0, 35.0, 65.0] };
        assert_eq!(curve.times(&half), (2.0, 2.0, 4.0));
    }

    #[test]
    fn saturation_is_what_is_provided_beyond_it() {
        let with_noise = round(&[(10.0, 10.0, 1.0), (20.0, 14.0, 5.0), (40.0, 16.0, 9.0), (80.0, 15.0, 9.0)]);
        assert_eq!(saturation(&with_noise), 15.0);
        assert_eq!(saturation(&round(&[(10.0, 10.0, 1.0), (20.0, 19.5, 1.0)])), 19.5);
        let curve = Curve::of_rounds(&[with_noise]);
        assert_eq!(curve.until_saturated().len(), 2);
    }
}
