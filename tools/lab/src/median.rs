//! The median: of few measurements, on a machine with neighbours, it says more than the mean.

/// The middle one, or between the two in the middle; not a number where there are none.
pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        length if length.is_multiple_of(2) => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle() {
        let of = |values: &[f64]| median(values.iter().copied());
        assert_eq!((of(&[3.0, 1.0, 9.0]), of(&[4.0, 1.0, 2.0, 9.0])), (3.0, 3.0));
    }
}
