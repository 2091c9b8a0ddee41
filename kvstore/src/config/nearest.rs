//! Suggests the key that a mistyped one was meant to be.

/// The known key nearest to the unknown one in a parser's message, if one is near enough.
///
/// serde says "unknown field `a`, expected `b`" or "expected one of `b`, `c`". The keys are what is between
/// backquotes. A test of the whole file parser fails if that wording ever changes.
pub(super) fn known_key(message: &str) -> Option<&str> {
    let mut keys = message.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2);
    let unknown = keys.next()?;
    let (distance, key) = keys.map(|key| (strsim::levenshtein(unknown, key), key)).min()?;
    (distance <= 2.max(key.len() / 2)).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_known_key_is_found() {
        let message =
            "unknown field `election_tick`, expected one of `tick_ms`, `heartbeat_ticks`, `election_ticks`";
        assert_eq!(known_key(message), Some("election_ticks"));
        assert_eq!(known_key("unknown field `liste`, expected `listen`"), Some("listen"));
    }

    #[test]
    fn nothing_is_suggested_for_a_key_that_is_like_no_other() {
        assert_eq!(known_key("unknown field `colour`, expected one of `http`, `redis`"), None);
        assert_eq!(known_key("unknown field `x`, there are no fields"), None);
        assert_eq!(known_key("missing field `http`"), None);
    }
}
