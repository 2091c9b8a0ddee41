//! Numbers of Lua as Redis writes them for commands and in answers.

/// A number as a word of a command or an answer: whole ones in full, as far as they are well within integers of 64 bits, and others as short
/// as they are exact.
pub(super) fn word(number: f64) -> String {
    let is_whole = number.fract() == 0.0 && number.abs() <= i64::MAX as f64 / 2.0;
    if is_whole { (number as i64).to_string() } else { shortest(number) }
}

/// The fewest digits that tell a number from all others; with an exponent if many zeros, or many digits behind the point,
/// would be needed.
fn shortest(number: f64) -> String {
    if number.is_nan() {
        return "nan".into();
    }
    let sign = if number < 0.0 { "-" } else { "" };
    if number.is_infinite() {
        return format!("{sign}inf");
    }
    let scientific = format!("{:e}", number.abs());
    let (mantissa, exponent) = scientific.split_once('e').expect("it has an exponent");
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let exponent: i32 = exponent.parse().expect("it is a number");
    let count = digits.len() as i32;
    // The number is `digits` times ten to this.
    let scale = exponent + 1 - count;
    let size = exponent.abs();
    if scale >= 0 && size < count + 7 {
        return format!("{sign}{digits}{}", "0".repeat(scale as usize));
    }
    if scale < 0 && (scale > -7 || size < 4) {
        let whole = count + scale;
        return if whole <= 0 {
            format!("{sign}0.{}{digits}", "0".repeat(-whole as usize))
        } else {
            let (whole, fraction) = digits.split_at(whole as usize);
            format!("{sign}{whole}.{fraction}")
        };
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{first}{point}{rest}e{exponent_sign}{size}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_in_redis() {
        for (number, as_word, short) in [
            (0.0, "0", "0"),
            (-0.0, "0", "0"),
            (3.0, "3", "3"),
            (-7.5, "-7.5", "-7.5"),
            (0.1, "0.1", "0.1"),
            (1.0 / 3.0, "0.3333333333333333", "0.3333333333333333"),
            (1e15, "1000000000000000", "1e+15"),
            (1e17, "100000000000000000", "1e+17"),
            (123_456_789_012_345_678.0, "123456789012345680", "123456789012345680"),
            (9_223_372_036_854_775_808.0, "9223372036854776000", "9223372036854776000"),
            (1e20, "1e+20", "1e+20"),
            (0.00001, "0.00001", "0.00001"),
            (0.000_012_345, "1.2345e-5", "1.2345e-5"),
            (1e-7, "1e-7", "1e-7"),
            (12_345.678_901_2, "1.23456789012e+4", "1.23456789012e+4"),
            (123.456_789_012, "123.456789012", "123.456789012"),
            (-2.5e300, "-2.5e+300", "-2.5e+300"),
            (f64::INFINITY, "inf", "inf"),
            (f64::NEG_INFINITY, "-inf", "-inf"),
            (f64::NAN, "nan", "nan"),
        ] {
            assert_eq!((word(number).as_str(), shortest(number).as_str()), (as_word, short));
        }
    }
}
