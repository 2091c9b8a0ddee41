//! Which of a command's words are keys.

/// Where a command's keys are among its words, the name being word 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keys {
    /// The first one; 0 if there is none.
    pub(crate) first: usize,
    /// The last one; below zero, counted from the end.
    pub(crate) last: isize,
    /// How far they are apart.
    pub(crate) step: usize,
}

impl Keys {
    pub(crate) const NONE: Keys = Keys { first: 0, last: 0, step: 0 };
    pub(crate) const FIRST: Keys = Keys { first: 1, last: 1, step: 1 };
    pub(crate) const SECOND: Keys = Keys { first: 2, last: 2, step: 1 };
    pub(crate) const TWO: Keys = Keys { first: 1, last: 2, step: 1 };
    pub(crate) const ALL: Keys = Keys { first: 1, last: -1, step: 1 };
    pub(crate) const FROM_SECOND: Keys = Keys { first: 2, last: -1, step: 1 };
    /// Alternately with values.
    pub(crate) const PAIRS: Keys = Keys { first: 1, last: -1, step: 2 };

    /// The places of the keys among so many words.
    pub(crate) fn among(self, words: usize) -> impl Iterator<Item = usize> + Clone {
        let end = match usize::try_from(self.last) {
            Ok(last) => (last + 1).min(words),
            Err(_) => words.saturating_sub(self.last.unsigned_abs() - 1),
        };
        let first = if self.first == 0 { end } else { self.first };
        (first..end.max(first)).step_by(self.step.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_where_the_table_says() {
        let among = |keys: Keys, words| keys.among(words).collect::<Vec<_>>();
        assert_eq!(among(Keys::NONE, 3), [0; 0]);
        assert_eq!(among(Keys::FIRST, 4), [1]);
        assert_eq!(among(Keys::SECOND, 4), [2]);
        assert_eq!(among(Keys::TWO, 3), [1, 2]);
        assert_eq!(among(Keys::ALL, 4), [1, 2, 3]);
        assert_eq!(among(Keys::FROM_SECOND, 4), [2, 3]);
        assert_eq!(among(Keys::PAIRS, 5), [1, 3]);
        assert_eq!(among(Keys::SECOND, 2), [0; 0], "a subcommand without a key");
    }
}
