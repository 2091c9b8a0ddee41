//! The patterns of SCAN: `*`, `?`, `[a-z]`, `[^a-z]` and `\`, as in Redis.

/// The longest pattern, in bytes. Matching costs one step per byte of a key and 64 bytes of pattern.
pub(crate) const MAX_PATTERN_BYTES: usize = 1 << 10;

/// A pattern as an automaton: state n stands for its first n elements. All possible states are followed
/// together, 64 in a word, so no pattern takes more steps per byte of the text than it has words.
#[derive(Debug)]
pub(crate) struct Glob {
    /// For each byte, the states from which it leads to the next one, in as many words as `stays` has.
    leads_on: Box<[u64]>,
    /// The states in which any byte may stay: those before a star.
    stays: Box<[u64]>,
    /// The state that stands for the whole pattern.
    last: usize,
}

impl Glob {
    /// `None`: the pattern is too long.
    pub(crate) fn new(pattern: &[u8]) -> Option<Glob> {
        if pattern.len() > MAX_PATTERN_BYTES {
            return None;
        }
        // A state for each element, of at least a byte, and one for the start.
        let words = pattern.len() / 64 + 1;
        let (leads_on, stays) = (vec![0; 256 * words].into(), vec![0; words].into());
        let mut glob = Glob { leads_on, stays, last: 0 };
        let mut rest = pattern;
        while let [first, tail @ ..] = rest {
            if *first == b'*' {
                set(&mut glob.stays, glob.last);
                rest = tail;
            } else {
                rest = glob.add(rest);
            }
        }
        Some(glob)
    }

    /// Adds the pattern's first element, and returns what follows it.
    fn add<'p>(&mut self, pattern: &'p [u8]) -> &'p [u8] {
        let state = self.last;
        self.last += 1;
        let words = self.stays.len();
        let leads_on = self.leads_on.chunks_mut(words);
        match pattern {
            [b'[', class @ ..] => {
                let (_, width) = in_class(class, 0);
                for (byte, leads_on) in (0..=u8::MAX).zip(leads_on) {
                    if in_class(class, byte).0 {
                        set(leads_on, state);
                    }
                }
                &class[width..]
            }
            [b'?', rest @ ..] => {
                leads_on.for_each(|leads_on| set(leads_on, state));
                rest
            }
            [b'\\', literal, rest @ ..] | [literal, rest @ ..] => {
                set(&mut self.leads_on[usize::from(*literal) * words..], state);
                rest
            }
            [] => panic!("an empty pattern has no element"),
        }
    }

    /// Whether the whole of `text` matches.
    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        let mut states = [0; MAX_PATTERN_BYTES / 64 + 1];
        let states = &mut states[..self.stays.len()];
        states[0] = 1;
        let mut is_open = true;
        for byte in text {
            if !is_open || (is_set(states, self.last) && is_set(&self.stays, self.last)) {
                break;
            }
            is_open = self.step(states, *byte);
        }
        is_set(states, self.last)
    }

    /// Processes one byte; `false` if no state is left.
    fn step(&self, states: &mut [u64], byte: u8) -> bool {
        let (mut carry, mut any) = (0, 0);
        let leads_on = &self.leads_on[usize::from(byte) * states.len()..];
        for ((states, leads_on), stays) in states.iter_mut().zip(leads_on).zip(&self.stays) {
            let onward = *states & leads_on;
            *states = onward << 1 | carry | *states & stays;
            carry = onward >> 63;
            any |= *states;
        }
        any != 0
    }
}

fn set(states: &mut [u64], state: usize) {
    states[state / 64] |= 1 << (state % 64);
}

fn is_set(states: &[u64], state: usize) -> bool {
    states[state / 64] >> (state % 64) & 1 == 1
}

/// Whether the class after an opening bracket holds the byte, and its width including the closing bracket. A
/// class that is not closed ends with the pattern.
fn in_class(class: &[u8], byte: u8) -> (bool, usize) {
    let negated = class.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut holds = false;
    loop {
        match &class[at..] {
            [] => return (holds != negated, at),
            [b'\\', escaped, ..] => {
                holds |= *escaped == byte;
                at += 2;
            }
            [b']', ..] => return (holds != negated, at + 1),
            // As in Redis, the upper end may be a closing bracket.
            [low, b'-', high, ..] => {
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
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &[u8], text: &[u8]) -> bool {
        Glob::new(pattern).expect("it is short enough").matches(text)
    }

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
            ("[a-]", "b", false),
            ("[a-]", "_", true),
            ("[^]x", "ax", true),
            ("a\\", "a\\", true),
            ("user:*:name", "user:17:name", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    /// Any pattern takes a step per byte and word of states, even where backtracking from each star would
    /// take 10^9.
    #[test]
    #[cfg_attr(miri, ignore = "takes too long")]
    fn no_pattern_is_slow() {
        let text = "a".repeat(64 << 10);
        for pattern in
            ["a*".repeat(511) + "b", format!("*{}b", "a".repeat(1000)), format!("*{}b*", "[a-b]".repeat(200))]
        {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()));
        }
        assert!(Glob::new(&[b'a'; MAX_PATTERN_BYTES]).is_some());
        assert!(Glob::new(&[b'a'; MAX_PATTERN_BYTES + 1]).is_none());
    }

    /// The meaning of a pattern, in the plainest way.
    fn plainly(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], _) => text.is_empty(),
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|skipped| plainly(rest, &text[skipped..])),
            (_, []) => false,
            ([b'?', rest @ ..], [_, tail @ ..]) => plainly(rest, tail),
            ([b'[', class @ ..], [byte, tail @ ..]) => {
                let (holds, width) = in_class(class, *byte);
                holds && plainly(&class[width..], tail)
            }
            ([b'\\', literal, rest @ ..] | [literal, rest @ ..], [byte, tail @ ..]) => {
                literal == byte && plainly(rest, tail)
            }
        }
    }

    proptest! {
        #[test]
        fn anything_matches_a_star_and_its_own_escape(text in vec(any::<u8>(), 0..20)) {
            let escaped: Vec<u8> = text.iter().flat_map(|byte| [b'\\', *byte]).collect();
            prop_assert!(matches(&escaped, &text));
            prop_assert!(matches(b"**", &text));
        }

        #[test]
        fn patterns_mean_what_they_say(pattern in "[ab*?\\[\\]^\\\\-]{0,12}", text in "[ab\\]^-]{0,8}") {
            let expected = plainly(pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected);
            // The same where the states take several words.
            let (pattern, text) = (format!("{}{pattern}", "a".repeat(120)), format!("{}{text}", "a".repeat(120)));
            prop_assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected);
        }
    }
}
