//! Floating-point numbers as values.
//!
//! Redis adds numbers of 80 bits, which hold decimal fractions of 17 digits as good as exactly. Here they are added
//! as what they are, decimal fractions, so that 0.1 and 0.2 make 0.3; only what is too large or too long for that is
//! added as numbers of 64 bits.

use super::words::TOO_LARGE;
use super::{Answer, Failure, Words, Writing};
use crate::Data;
use crate::command::MAX_VALUE_BYTES;
use crate::notices::About;
use bytes::Bytes;

/// Digits behind the point.
const DIGITS: u32 = 17;
const ONE: i128 = 10i128.pow(DIGITS);

const NO_FLOAT: &str = "ERR value is not a valid float";

pub(super) fn incr_by_float(writing: &mut Writing<'_>, words: Words<'_>) -> Answer {
    let before = writing.get(words[0]).map(|entry| entry.value().to_bytes());
    let sum = sum(before.as_deref().unwrap_or(b"0"), words[1])?;
    if sum.len() > MAX_VALUE_BYTES {
        return Err(TOO_LARGE.into());
    }
    let value = Bytes::from(sum);
    writing.change(words[0], value.clone());
    writing.tell(About::String, "incrbyfloat", words[0]);
    Ok(Data::Bulk(value))
}

fn sum(one: &[u8], other: &[u8]) -> Result<String, Failure> {
    let (one, other) = (text(one)?, text(other)?);
    if let (Some(one), Some(other)) = (exact(one), exact(other))
        && let Some(sum) = one.checked_add(other)
    {
        let sign = if sum < 0 { "-" } else { "" };
        let (whole, part) =
            (sum.unsigned_abs() / ONE.unsigned_abs(), sum.unsigned_abs() % ONE.unsigned_abs());
        return Ok(trimmed(&format!("{sign}{whole}.{part:017}")));
    }
    let float = |text: &str| text.parse::<f64>().ok().filter(|number| !number.is_nan()).ok_or(NO_FLOAT);
    let sum = float(one)? + float(other)?;
    if !sum.is_finite() {
        return Err("ERR increment would produce NaN or Infinity".into());
    }
    Ok(trimmed(&format!("{sum:.17}")))
}

fn text(bytes: &[u8]) -> Result<&str, Failure> {
    let text = std::str::from_utf8(bytes).or(Err(NO_FLOAT))?;
    let is_number = text.parse::<f64>().is_ok_and(|number| !number.is_nan());
    if is_number && text.len() <= 256 { Ok(text) } else { Err(NO_FLOAT.into()) }
}

/// A number in units of the last digit, if that is exact.
fn exact(text: &str) -> Option<i128> {
    let (digits, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, digits) = match digits.as_bytes().first()? {
        b'-' => (true, &digits[1..]),
        b'+' => (false, &digits[1..]),
        _ => (false, digits),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let part = part.trim_end_matches('0');
    let mut number: i128 = 0;
    for digit in whole.bytes().chain(part.bytes()) {
        let digit = digit.is_ascii_digit().then(|| i128::from(digit - b'0'))?;
        number = number.checked_mul(10)?.checked_add(digit)?;
    }
    let scale = DIGITS as i32 + exponent - i32::try_from(part.len()).ok()?;
    let power = 10i128.checked_pow(scale.unsigned_abs())?;
    let number = if scale >= 0 {
        number.checked_mul(power)?
    } else {
        (number % power == 0).then_some(number / power)?
    };
    Some(if negative { -number } else { number })
}

/// Without zeros at the end of the fraction.
fn trimmed(text: &str) -> String {
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_fractions_are_added_exactly() {
        let sum = |one: &str, other: &str| sum(one.as_bytes(), other.as_bytes());
        for (one, other, expected) in [
            ("0.1", "0.2", "0.3"),
            ("10.50", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("3.0", "-5", "-2"),
            ("-0.5", "0.5", "0"),
            ("1e20", "0.5", "100000000000000000000.5"),
            ("1e-17", "0", "0.00000000000000001"),
        ] {
            assert_eq!(sum(one, other).unwrap(), expected, "{one} and {other}");
        }
        assert!(sum("1e300", "1e300").is_ok_and(|sum| sum.len() == 301));
        assert!(sum("1.7e308", "1.7e308").is_err());
        for bad in ["", "a", "nan", "1 ", " 1", "0x10", "1e"] {
            assert_eq!(sum(bad, "1"), Err(NO_FLOAT.into()), "{bad}");
        }
    }
}
