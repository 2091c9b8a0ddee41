//! A caller that notes what it is told, for the tests of lanes.

use super::Sink;
use crate::outcome::Completion;
use crate::sync::Mutex;

#[derive(Default)]
pub(super) struct Heard(pub(super) Mutex<Vec<Completion<u64>>>);

impl Sink<u64> for Heard {
    fn deliver(&self, completions: &mut Vec<Completion<u64>>) {
        self.0.lock().append(completions);
    }
}
