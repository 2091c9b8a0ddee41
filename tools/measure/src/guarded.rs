//! Processes that end with who started them.

use std::ops::{Deref, DerefMut};
use std::process::Child;

/// A child process that is killed when this is dropped. What it has written is thrown away by then, so it need not end in order.
#[derive(Debug)]
pub struct GuardedChild(Child);

impl From<Child> for GuardedChild {
    fn from(child: Child) -> GuardedChild {
        GuardedChild(child)
    }
}

impl Deref for GuardedChild {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for GuardedChild {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for GuardedChild {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
