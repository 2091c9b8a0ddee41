use super::{Broken, hold};

/// An mset that was not done, because one of its keys existed, has set none of the others.
pub fn check_refused_mset_sets_nothing(key: &str, found: Option<&[u8]>) -> Result<(), Broken> {
    hold(found.is_none(), "refused_mset_sets_nothing", || {
        let value = String::from_utf8_lossy(found.unwrap_or_default());
        format!("{key} holds {value:?}, and the only mset that has ever named it was not done")
    })
}
