//! The patterns of SCAN: `*`, `?`, `[a-z]`, `[^a-z]` and `\` as in Redis.

/// Whether the whole of `text` matches the pattern. Takes at most |pattern| x |text| steps, whatever the pattern, since
/// only the last star is ever tried again.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    // Behind the last star of the pattern, and the text that it has swallowed so far.
    let mut star: Option<(usize, usize)> = None;
    loop {
        if pattern.get(at) == Some(&b'*') {
            at += 1;
            star = Some((at, seen));
            continue;
        }
        match (text.get(seen), one(&pattern[at..], text.get(seen).copied())) {
            (Some(_), Some(width)) => {
                at += width;
                seen += 1;
            }
            (None, _) if at == pattern.len() => return true,
            (None, _) => return false,
            (Some(_), None) => {
                let Some((behind, swallowed)) = star else {
                    return false;
                };
                star = Some((behind, swallowed + 1));
                at = behind;
                seen = swallowed + 1;
            }
        }
    }
}

/// Whether the pattern's first element matches this byte: then how much of the pattern it takes.
fn one(pattern: &[u8], byte: Option<u8>) -> Option<usize> {
    let byte = byte?;
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'[', class @ ..] => {
            let (matched, width) = in_class(class, byte);
            matched.then_some(1 + width)
        }
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [literal, ..] => (*literal == byte).then_some(1),
    }
}

/// Whether the class behind an opening bracket holds the byte, and its width with the closing bracket. A class that is
/// not closed ends with the pattern.
fn in_class(class: &[u8], byte: u8) -> (bool, usize) {
    let negated = class.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut holds = false;
    loop {
        match &class[at..] {
            [] => return (holds != negated, at),
            [b']', ..] => return (holds != negated, at + 1),
            [b'\\', escaped, ..] => {
                holds |= *escaped == byte;
                at += 2;
            }
            [low, b'-', high, ..] if *high != b']' => {
                holds |= (*low.min(high)..=*low.max(high)).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                holds |= *literal == byte;
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_match_as_in_redis() {
        let cases = [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h*llo", "heeeello", true),
            ("*a*b", "xaxbxab", true),
            ("*a*b", "xaxbxa", false),
            ("h[ae]llo", "hallo", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            ("h[\\]]", "h]", true),
            ("h\\*llo", "h*llo", true),
            ("h\\*llo", "hello", false),
            ("[abc", "c", true),
            ("a[", "a[", false),
            ("user:*:name", "user:17:name", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_cost_no_more_than_one() {
        let pattern = "a*".repeat(50) + "b";
        assert!(!matches(pattern.as_bytes(), "a".repeat(5000).as_bytes()));
    }

    proptest! {
        #[test]
        fn anything_matches_a_star_and_its_own_escape(text in proptest::collection::vec(any::<u8>(), 0..20)) {
            let escaped: Vec<u8> = text.iter().flat_map(|byte| [b'\\', *byte]).collect();
            prop_assert!(matches(&escaped, &text));
            prop_assert!(matches(b"**", &text));
        }

        #[test]
        fn no_pattern_panics(pattern in "[a*?\\[\\]^\\\\-]{0,12}", text in "[a\\]^-]{0,8}") {
            matches(pattern.as_bytes(), text.as_bytes());
        }
    }
}
