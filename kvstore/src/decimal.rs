//! Integers as Redis reads them.

/// The integer that a text spells: without space, plus sign, leading zero or minus zero.
pub(crate) fn decimal(text: &[u8]) -> Option<i64> {
    let (digits, negative) = match text {
        [b'-', digits @ ..] => (digits, true),
        digits => (digits, false),
    };
    let canonical = match digits {
        [b'0'] => !negative,
        [b'1'..=b'9', ..] => true,
        _ => false,
    };
    if !canonical {
        return None;
    }
    // Summed below zero, where there is one number more than above.
    let mut value = 0i64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_sub(i64::from(digit - b'0'))?;
    }
    if negative { Some(value) } else { value.checked_neg() }
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

    #[test]
    fn the_ends_of_the_range_are_in_it() {
        for number in [i64::MIN, i64::MAX, 0] {
            assert_eq!(decimal(number.to_string().as_bytes()), Some(number));
        }
        assert_eq!(decimal(b"9223372036854775808"), None);
        assert_eq!(decimal(b"-9223372036854775809"), None);
    }
}
