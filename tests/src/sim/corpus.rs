//! The corpus: seeds that reach what few others do, or that once found something. Long runs start with them.

use std::collections::BTreeMap;
use std::fmt;

use super::coverage::Coverage;

/// The corpus of this repository.
const SEEDS: &str = include_str!("../../data/seeds");
/// What fewer seeds of a run reach is rare.
const FEW: usize = 5;

/// A seed of the corpus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The seed.
    pub seed: u64,
    /// Why it is kept: what it reached, or found.
    pub reasons: Vec<String>,
}

/// What a run has reached, and by which seeds.
#[derive(Debug, Default)]
pub struct Reached {
    /// The first few seeds of each row of the coverage table, and of each broken invariant.
    by: BTreeMap<String, Vec<u64>>,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<20}  # {}", self.seed, self.reasons.join(", "))
    }
}

/// The seeds that long runs start with.
pub fn corpus() -> Vec<Kept> {
    parse(SEEDS).expect("tests/data/seeds holds seeds")
}

/// Reads seeds, one per line, each with its reasons after a `#`. Lines that start with `#` are comments.
///
/// # Errors
/// The line that is not a seed.
pub fn parse(text: &str) -> Result<Vec<Kept>, String> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let kept = |line: &str| {
        let (seed, reasons) = line.split_once('#').unwrap_or((line, ""));
        let seed = seed.trim().parse().ok()?;
        let reasons = reasons.split(',').map(|reason| reason.trim().to_owned());
        Some(Kept { seed, reasons: reasons.filter(|reason| !reason.is_empty()).collect() })
    };
    lines.map(|line| kept(line).ok_or_else(|| line.to_owned())).collect()
}

impl Reached {
    /// Records what a seed has reached.
    pub fn note(&mut self, seed: u64, coverage: &Coverage, broken: Option<&str>) {
        let found = broken.map(|invariant| format!("found {invariant}"));
        for reason in coverage.rows().map(|(what, _)| what.to_owned()).chain(found) {
            let by = self.by.entry(reason).or_default();
            if by.len() < FEW {
                by.push(seed);
            }
        }
    }

    /// What few seeds have reached, and no seed of the corpus is kept for: a seed for each.
    pub fn rare(&self, corpus: &[Kept]) -> Vec<Kept> {
        let is_known = |reason: &String| corpus.iter().any(|kept| kept.reasons.contains(reason));
        let rare = self.by.iter().filter(|(reason, by)| by.len() < FEW && !is_known(reason));
        let mut chosen: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for (reason, by) in rare {
            // Prefer a seed that was chosen already.
            let seed = by.iter().find(|seed| chosen.contains_key(seed)).unwrap_or(&by[0]);
            chosen.entry(*seed).or_default().push(reason.clone());
        }
        chosen.into_iter().map(|(seed, reasons)| Kept { seed, reasons }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_is_what_it_says() {
        let corpus = corpus();
        assert!(!corpus.is_empty());
        assert!(corpus.iter().all(|kept| !kept.reasons.is_empty()));
        let text: Vec<String> = corpus.iter().map(ToString::to_string).collect();
        assert_eq!(parse(&text.join("\n")), Ok(corpus));
        assert_eq!(parse("# seeds\n\n12 # x\n12 broad"), Err("12 broad".into()));
    }

    #[test]
    fn what_few_reach_is_kept_once() {
        let mut reached = Reached::default();
        for number in 1..=100 {
            let mut coverage = Coverage::default();
            coverage.count("events");
            coverage.add("disk full", u64::from(number == 70 || number == 90));
            coverage.add("bit flipped", u64::from(number == 90 || number == 95));
            let broken = (number == 90).then_some("log_matching");
            reached.note(number, &coverage, broken);
        }
        let reasons = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
        let both = Kept { seed: 90, reasons: reasons(&["bit flipped", "disk full", "found log_matching"]) };
        assert_eq!(reached.rare(&[]), [both]);
        let known = Kept { seed: 3, reasons: reasons(&["bit flipped", "found log_matching"]) };
        let left = Kept { seed: 70, reasons: reasons(&["disk full"]) };
        assert_eq!(reached.rare(&[known]), [left]);
    }
}
