use super::{Broken, hold};

/// A delete of several keys removes all of them: of keys that only exist together, it finds all or none.
pub fn check_delete_is_whole(removed: i64, keys: usize) -> Result<(), Broken> {
    hold(removed == 0 || removed == keys as i64, "delete_is_whole", || {
        format!("a delete has removed {removed} of {keys} keys that are only there together")
    })
}
