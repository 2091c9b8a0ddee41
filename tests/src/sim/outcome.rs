//! The result of a simulation, as a line of JSON: from the process that simulated to the one that asked.

use serde_json::{Value, json};

use super::coverage::Coverage;
use super::run::{Failure, Report};

/// What remains of a report without its history and trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What happened, and how often.
    pub coverage: Coverage,
    /// What went wrong, if anything did.
    pub failure: Option<Failure>,
}

impl From<Report> for Outcome {
    fn from(Report { coverage, failure, .. }: Report) -> Outcome {
        Outcome { coverage, failure }
    }
}

impl Outcome {
    /// One line, without its end.
    pub fn to_line(&self) -> String {
        let coverage: serde_json::Map<String, Value> =
            self.coverage.rows().map(|(what, times)| (what.to_owned(), times.into())).collect();
        let failure = self
            .failure
            .as_ref()
            .map(|Failure { invariant, what, at }| json!({ "invariant": invariant, "what": what, "at": at }));
        json!({ "coverage": coverage, "failure": failure }).to_string()
    }

    /// Reads such a line; `None` if it is not one.
    pub fn of_line(line: &str) -> Option<Outcome> {
        let value: Value = serde_json::from_str(line).ok()?;
        let rows = value.get("coverage")?.as_object()?;
        let coverage = rows.iter().map(|(what, times)| Some((what.clone(), times.as_u64()?)));
        let failure = match value.get("failure")? {
            Value::Null => None,
            failure => Some(Failure {
                invariant: failure.get("invariant")?.as_str()?.to_owned(),
                what: failure.get("what")?.as_str()?.to_owned(),
                at: failure.get("at")?.as_u64()?,
            }),
        };
        Some(Outcome { coverage: coverage.collect::<Option<_>>()?, failure })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_the_same_behind_a_pipe() {
        let mut coverage = Coverage::default();
        coverage.count("power lost");
        coverage.add("events", u64::MAX);
        let what = "a \"quoted\"\nline, and \u{e9}".to_owned();
        let failure = Failure { invariant: "log_matching".into(), what, at: 7 };
        for failure in [None, Some(failure)] {
            let outcome = Outcome { coverage: coverage.clone(), failure };
            let line = outcome.to_line();
            assert!(!line.contains('\n'));
            assert_eq!(Outcome::of_line(&line), Some(outcome));
        }
    }

    #[test]
    fn a_part_of_a_line_is_no_outcome() {
        let line = Outcome::default().to_line();
        assert!((0..line.len()).all(|end| Outcome::of_line(&line[..end]).is_none()));
    }
}
