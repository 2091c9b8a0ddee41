use super::{Broken, hold};

/// One read never finds different values in keys that are only ever set together, to the same value.
pub fn check_mset_is_whole<T: PartialEq + std::fmt::Debug>(values: &[T]) -> Result<(), Broken> {
    hold(values.windows(2).all(|pair| pair[0] == pair[1]), "mset_is_whole", || {
        format!("keys that are set together read as {values:?}")
    })
}
