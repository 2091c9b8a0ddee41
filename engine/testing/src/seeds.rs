//! Which seeds a test runs, and how one of them is run again.

use std::env;
use std::thread;

/// Set to a seed, makes [`seeds`] run that one alone.
const VARIABLE: &str = "NIAGARA_SEED";

/// The seeds to run: those given, or only the one in the environment variable `NIAGARA_SEED`.
///
/// # Panics
/// If that variable is not a number.
///
/// ```
/// let all: Vec<u64> = niagara_testing::seeds(1..=3).collect();
/// assert_eq!(all, [1, 2, 3]);
/// ```
pub fn seeds(given: impl IntoIterator<Item = u64>) -> impl Iterator<Item = u64> {
    let only = env::var(VARIABLE).ok().map(|text| {
        text.parse().unwrap_or_else(|_| panic!("{VARIABLE} must be a seed, a number, but is {text:?}"))
    });
    let given = only.is_none().then(|| given.into_iter());
    given.into_iter().flatten().chain(only)
}

/// The command that runs a seed again: that of this test, or of this program.
pub(crate) fn replay(seed: u64) -> String {
    match thread::current().name() {
        Some(test) if test != "main" => format!("{VARIABLE}={seed} cargo test {test}"),
        _ => format!("{VARIABLE}={seed} {}", env::args().collect::<Vec<_>>().join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_run_again_by_its_name() {
        let name = "seeds::tests::a_test_is_run_again_by_its_name";
        assert_eq!(replay(7), format!("NIAGARA_SEED=7 cargo test {name}"));
    }
}
