//! Numbers of bytes as Redis writes them.

/// What each unit stands for.
const UNITS: [(&str, u64); 8] = [
    ("", 1),
    ("b", 1),
    ("k", 1000),
    ("kb", 1 << 10),
    ("m", 1_000_000),
    ("mb", 1 << 20),
    ("g", 1_000_000_000),
    ("gb", 1 << 30),
];

/// Reads a number of bytes: digits, and one of the units `b`, `k`, `kb`, `m`, `mb`, `g` and `gb`, in any case.
pub(crate) fn bytes(word: &[u8]) -> Option<u64> {
    let digits = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, unit) = word.split_at(digits);
    let factor = UNITS.iter().find(|(name, _)| unit.eq_ignore_ascii_case(name.as_bytes()))?.1;
    std::str::from_utf8(digits).ok()?.parse::<u64>().ok()?.checked_mul(factor)
}

/// A number of bytes as INFO shows it to people.
pub(crate) fn shown(bytes: u64) -> String {
    let in_units = |unit: u64| bytes as f64 / unit as f64;
    match bytes {
        0..=1023 => format!("{bytes}B"),
        1024..=0xf_ffff => format!("{:.2}K", in_units(1 << 10)),
        0x10_0000..=0x3fff_ffff => format!("{:.2}M", in_units(1 << 20)),
        _ => format!("{:.2}G", in_units(1 << 30)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_those_of_redis() {
        for (word, expected) in [
            ("0", 0),
            ("100", 100),
            ("100b", 100),
            ("1k", 1000),
            ("1KB", 1024),
            ("2m", 2_000_000),
            ("100mb", 100 << 20),
            ("3G", 3_000_000_000),
            ("3gB", 3 << 30),
        ] {
            assert_eq!(bytes(word.as_bytes()), Some(expected), "{word}");
        }
        for wrong in ["", "mb", "-1", "1 mb", "1tb", "1.5gb", "18446744073709551616", "18446744073709551615k"]
        {
            assert_eq!(bytes(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn people_see_two_digits_behind_the_point() {
        for (bytes, expected) in
            [(0, "0B"), (1023, "1023B"), (1536, "1.50K"), (100 << 20, "100.00M"), (5 << 29, "2.50G")]
        {
            assert_eq!(shown(bytes), expected);
        }
    }
}
