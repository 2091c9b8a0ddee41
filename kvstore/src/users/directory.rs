//! The users of the moment, for all threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::RwLock;

use super::all::{DEFAULT, Users};
use super::refusals::Refusals;
use super::rights::Denied;
use super::user::User;
use super::wanted::Wanted;

/// What the thread that executes commands publishes of its users.
#[derive(Debug)]
pub(crate) struct Directory {
    users: RwLock<Arc<Users>>,
    /// Raised with each change, after it.
    revision: AtomicU64,
    /// The default user may do everything.
    open: AtomicBool,
    pub(crate) refusals: Refusals,
}

impl Default for Directory {
    fn default() -> Directory {
        Directory {
            users: RwLock::default(),
            revision: AtomicU64::new(0),
            open: AtomicBool::new(true),
            refusals: Refusals::default(),
        }
    }
}

impl Directory {
    /// The users of the moment.
    pub(crate) fn users(&self) -> Arc<Users> {
        Arc::clone(&self.users.read())
    }

    /// How often they have changed. Load it before the users.
    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Publishes a change. Only the thread that executes commands calls it.
    pub(crate) fn publish(&self, users: Arc<Users>) {
        self.open.store(users.default_user().is_unlimited(), Ordering::Release);
        *self.users.write() = users;
        self.revision.fetch_add(1, Ordering::AcqRel);
    }

    /// A user, or the default one, unless that user may do everything.
    pub(crate) fn limited(&self, user: Option<&[u8]>) -> Option<Arc<User>> {
        if user.is_none() && self.open.load(Ordering::Acquire) {
            return None;
        }
        let users = self.users();
        users.find(user.unwrap_or(DEFAULT)).filter(|user| !user.is_unlimited()).cloned()
    }

    /// Why a user, or the default one, may not do something. Where nobody has given or taken rights, it is one load.
    pub(crate) fn denied<'w>(
        &self,
        user: Option<&[u8]>,
        wanted: impl FnOnce() -> Wanted<'w>,
    ) -> Option<Denied> {
        if user.is_none() && self.open.load(Ordering::Acquire) {
            return None;
        }
        self.users().denied(user.unwrap_or(DEFAULT), wanted)
    }
}
