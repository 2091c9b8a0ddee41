//! How long a key lasts.

use std::num::NonZeroU64;

pub(super) const LASTS_HINT: &str = "send 60 for a minute, or 1500ms; it is above 0";

/// A thousand years: whoever means longer means for ever.
const MOST_LASTS_MS: u64 = 1000 * 366 * 86_400_000;

/// In milliseconds, from a text such as `60`, in seconds, or `1500ms`.
pub(super) fn parse(text: &str) -> Option<NonZeroU64> {
    let (digits, unit) = text.strip_suffix("ms").map_or((text, 1000), |digits| (digits, 1));
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| is_number)?;
    NonZeroU64::new(number.checked_mul(unit).filter(|lasts| *lasts <= MOST_LASTS_MS)?)
}
