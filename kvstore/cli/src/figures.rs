//! Sizes, spans of time and dates as people read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::table::grouped;

/// A number of bytes, in the unit that leaves one to four digits before the point.
pub fn size(bytes: u64) -> String {
    let unit = [("KiB", 1), ("MiB", 2), ("GiB", 3), ("TiB", 4)]
        .into_iter()
        .rfind(|(_, power)| bytes >> (10 * power) > 0);
    match unit {
        None => format!("{bytes} bytes"),
        Some((unit, power)) => format!("{:.1} {unit}", bytes as f64 / (1_u64 << (10 * power)) as f64),
    }
}

/// How long ago a time in milliseconds since 1970 was, by this machine's clock. Clocks differ, so a time in
/// the future counts as now.
pub fn age(unix_ms: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    span(now.saturating_sub(Duration::from_millis(unix_ms)))
}

/// A span of time, in its largest whole unit.
fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", grouped(seconds / 86_400)),
    }
}

/// A time in milliseconds since 1970, as a date and a time of day.
pub fn moment(unix_ms: u64) -> String {
    let time = UNIX_EPOCH + Duration::from_millis(unix_ms.min(END_OF_9999_MS));
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.replace('T', " ").replace('Z', " UTC")
}

/// Later times, which only a damaged file names, have no date.
const END_OF_9999_MS: u64 = 253_402_300_799_999;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_unit_that_fits() {
        let texts = [0, 1_023, 1_024, 1_536, 5 << 20, (3 << 30) + (1 << 29)].map(size);
        assert_eq!(texts, ["0 bytes", "1023 bytes", "1.0 KiB", "1.5 KiB", "5.0 MiB", "3.5 GiB"]);
        assert_eq!(size(u64::MAX), "16777216.0 TiB");
    }

    #[test]
    fn spans_have_the_unit_that_fits() {
        let texts = [0, 119, 120, 7_199, 7_200, 172_799, 172_800].map(|s| span(Duration::from_secs(s)));
        assert_eq!(texts, ["0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 days"]);
        assert_eq!(age(u64::MAX), "0 s");
    }

    #[test]
    fn moments_are_dates_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_709_164_800, "2024-02-29 00:00:00 UTC"),
            (1_735_689_599, "2024-12-31 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(moment(seconds * 1_000 + 999), expected);
        }
        assert_eq!(moment(u64::MAX), "9999-12-31 23:59:59 UTC");
    }
}
