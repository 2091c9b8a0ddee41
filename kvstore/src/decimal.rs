//! Integers as Redis reads them.

/// The integer that a text spells: no space, no plus sign, no leading zero, no minus zero.
pub(crate) fn decimal(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let canonical = match digits {
        [b'0'] => digits.len() == text.len(),
        [b'1'..=b'9', ..] => true,
        _ => false,
    };
    // 19 digits and a sign are the longest; it spares a look at megabytes.
    if !canonical || text.len() > 20 {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn only_what_would_be_printed_is_read(text in "[-+0-9]{0,22}") {
            let printed = text.parse::<i64>().ok().filter(|number| number.to_string() == text);
            prop_assert_eq!(decimal(text.as_bytes()), printed);
        }

        #[test]
        fn what_is_printed_is_read(number: i64) {
            prop_assert_eq!(decimal(number.to_string().as_bytes()), Some(number));
        }
    }
}
