//! Media types of values, and those that a client accepts (RFC 9110, sections 8.3.1 and 12.5.1).

use super::list::{elements, is_token, quoted, split};

/// Whether a text is a media type: two tokens, and parameters.
pub(super) fn is_media_type(text: &[u8]) -> bool {
    let mut parts = split(text, b';');
    let is_pair = |part: &[u8], separator: u8, is_value: fn(&[u8]) -> bool| {
        let at = part.iter().position(|byte| *byte == separator);
        at.is_some_and(|at| is_token(&part[..at]) && is_value(&part[at + 1..]))
    };
    parts.next().is_some_and(|range| is_pair(range, b'/', is_token))
        && parts.all(|parameter| {
            let is_value = |value: &[u8]| is_token(value) || quoted(value).is_some();
            parameter.is_empty() || is_pair(parameter, b'=', is_value)
        })
}

/// The formats of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exposition {
    /// Prometheus' text format, 0.0.4.
    Text,
    /// OpenMetrics, 1.0.0.
    OpenMetrics,
}

impl Exposition {
    /// The format that a client's Accept prefers. The text format if it names none, or neither, or both
    /// alike.
    pub(super) fn negotiate(accept: Option<&[u8]>) -> Exposition {
        let weight = |exposition| accept.map_or(0, |accept| weight_of(accept, exposition));
        if weight(Exposition::OpenMetrics) > weight(Exposition::Text) {
            Exposition::OpenMetrics
        } else {
            Exposition::Text
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Exposition::Text => "text/plain; version=0.0.4; charset=utf-8",
            Exposition::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    fn name_and_version(self) -> ([&'static [u8]; 2], &'static [u8]) {
        match self {
            Exposition::Text => ([b"text", b"plain"], b"0.0.4"),
            Exposition::OpenMetrics => ([b"application", b"openmetrics-text"], b"1.0.0"),
        }
    }
}

/// The weight that the most specific matching range gives an exposition, in thousandths.
fn weight_of(accept: &[u8], exposition: Exposition) -> u16 {
    let ranges = elements(accept).filter_map(|range| weight_in(range, exposition));
    ranges.max().map_or(0, |(_, weight)| weight)
}

/// How specific a range is for an exposition, and its weight; `None` if it does not match.
fn weight_in(range: &[u8], exposition: Exposition) -> Option<(u8, u16)> {
    let ([main, sub], version) = exposition.name_and_version();
    let mut parts = split(range, b';');
    let name = parts.next()?;
    let mut precision = match name.split_at(name.iter().position(|byte| *byte == b'/')?) {
        (b"*", b"/*") => 0,
        (some, b"/*") if some.eq_ignore_ascii_case(main) => 1,
        (some, rest) if some.eq_ignore_ascii_case(main) && rest[1..].eq_ignore_ascii_case(sub) => 2,
        _ => return None,
    };
    let mut weight = 1000;
    for parameter in parts {
        let at = parameter.iter().position(|byte| *byte == b'=').unwrap_or(parameter.len());
        let (name, value) = (&parameter[..at], parameter.get(at + 1..).unwrap_or_default());
        let value = quoted(value).unwrap_or(value);
        if name.eq_ignore_ascii_case(b"q") {
            weight = thousandths(value)?;
        } else if name.eq_ignore_ascii_case(b"version") {
            if value != version {
                return None;
            }
            precision = 3;
        }
    }
    Some((precision, weight))
}

/// A weight: 0 to 1 with up to three decimals.
fn thousandths(text: &[u8]) -> Option<u16> {
    let (whole, decimals) = match text {
        [whole, b'.', decimals @ ..] => (*whole, decimals),
        [whole] => (*whole, &b""[..]),
        _ => return None,
    };
    if decimals.len() > 3 || !decimals.iter().all(u8::is_ascii_digit) || !matches!(whole, b'0' | b'1') {
        return None;
    }
    let digit = |at: usize| u16::from(decimals.get(at).map_or(0, |digit| digit - b'0'));
    let weight = u16::from(whole - b'0') * 1000 + digit(0) * 100 + digit(1) * 10 + digit(2);
    (weight <= 1000).then_some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_two_tokens_and_parameters() {
        for text in [
            "text/plain",
            "text/plain;charset=utf-8",
            "text/plain ; charset=\"utf-8; x\" ;",
            "application/vnd.a+json",
            "a/b;;c=d",
        ] {
            assert!(is_media_type(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            "text",
            "text/",
            "/plain",
            "text/plain/x",
            "text/pl ain",
            "text/plain, a/b",
            "a/b; c",
            "a/b; c=",
            "a/b; c=\"d",
            "a/b; =d",
            "*",
        ] {
            assert!(!is_media_type(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn the_better_liked_exposition_is_chosen() {
        let open = "application/openmetrics-text";
        for (accept, expected) in [
            ("", Exposition::Text),
            ("*/*", Exposition::Text),
            ("text/html, */*;q=0.1", Exposition::Text),
            (open, Exposition::OpenMetrics),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"", Exposition::OpenMetrics),
            ("application/openmetrics-text;version=0.0.1", Exposition::Text),
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                Exposition::OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=1.0.0;q=0.3,text/plain;version=0.0.4;q=0.5",
                Exposition::Text,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
                Exposition::OpenMetrics,
            ),
            ("application/*, text/*;q=0.9", Exposition::OpenMetrics),
            ("application/openmetrics-text;q=0, */*", Exposition::Text),
            ("*/*;q=0.9, text/plain;q=0", Exposition::OpenMetrics),
            (",, ,application/openmetrics-text ; q=0.001 ,", Exposition::OpenMetrics),
            ("application/openmetrics-text;q=2", Exposition::Text),
            ("application/openmetrics-text;q=0.0001", Exposition::Text),
            ("application/openmetrics-text;q=1.001", Exposition::Text),
            ("application/json", Exposition::Text),
            ("application", Exposition::Text),
        ] {
            assert_eq!(Exposition::negotiate(Some(accept.as_bytes())), expected, "{accept}");
        }
        assert_eq!(Exposition::negotiate(None), Exposition::Text);
    }
}
