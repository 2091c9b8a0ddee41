//! Keeps the histories that are judged, for whoever wants to hand them to another checker too.

use std::any::Any;
use std::cell::RefCell;

use super::Operation;

thread_local! {
    /// What was judged last on this thread, if somebody wants to know.
    static KEPT: RefCell<Option<Vec<Operation<String>>>> = const { RefCell::new(None) };
}

/// Runs something that has a history [judged](super::check) on this thread, and hands that history out, too; an empty one if
/// it never came to that.
pub fn keeping_history<T>(run: impl FnOnce() -> T) -> (T, Vec<Operation<String>>) {
    KEPT.set(Some(Vec::new()));
    let result = run();
    (result, KEPT.take().expect("it was put there, and nobody else takes it"))
}

/// Keeps a history whose keys are text, as those of stores are.
pub(super) fn keep<K: 'static>(history: &[Operation<K>]) {
    let text =
        |operation: &Operation<K>| (operation as &dyn Any).downcast_ref::<Operation<String>>().cloned();
    KEPT.with_borrow_mut(|kept| {
        if let (Some(kept), Some(history)) = (kept, history.iter().map(text).collect()) {
            *kept = history;
        }
    });
}
