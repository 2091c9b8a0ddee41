//! Who was refused lately, on this server: what `ACL LOG` shows.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

use super::rights::{Denial, Denied};

/// So many are remembered, as in Redis.
const MOST: usize = 128;

/// No more of a key or name is remembered.
const MOST_BYTES: usize = 256;

/// The same again within this time counts as one.
const GROUPED: Duration = Duration::from_secs(60);

/// Where a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    Alone,
    Transaction,
    Script,
}

/// One of them, or several alike.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) id: u64,
    pub(crate) count: u64,
    pub(crate) reason: &'static str,
    pub(crate) context: Context,
    pub(crate) object: Vec<u8>,
    pub(crate) user: Vec<u8>,
    /// The client, in the words of CLIENT LIST.
    pub(crate) client: String,
    pub(crate) first: SystemTime,
    pub(crate) last: SystemTime,
}

/// What is remembered of this server.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    remembered: Mutex<Remembered>,
    total: AtomicU64,
}

#[derive(Debug, Default)]
struct Remembered {
    /// The latest first.
    latest: VecDeque<Refusal>,
    next_id: u64,
}

impl Refusals {
    /// Notes that a user lacks a right.
    pub(crate) fn denied(&self, denied: &Denied, context: Context, client: &str, now: SystemTime) {
        let (reason, object) = match &denied.denial {
            Denial::Gone => ("auth", b"AUTH".as_slice()),
            Denial::Command(name) => ("command", name.as_bytes()),
            Denial::Key(key) => ("key", key.as_slice()),
            Denial::Channel(channel) => ("channel", channel.as_slice()),
        };
        self.note(reason, context, object, &denied.user, client, now);
    }

    /// Notes a wrong password, or a wrong name. A name that is none may be a password, and is not kept.
    pub(crate) fn unknown(&self, user: Option<&[u8]>, client: &str, now: SystemTime) {
        self.note("auth", Context::Alone, b"AUTH", user.unwrap_or(b"(unknown)"), client, now);
    }

    fn note(
        &self,
        reason: &'static str,
        context: Context,
        object: &[u8],
        user: &[u8],
        client: &str,
        now: SystemTime,
    ) {
        let (object, user) = (&object[..object.len().min(MOST_BYTES)], &user[..user.len().min(MOST_BYTES)]);
        self.total.fetch_add(1, Ordering::Relaxed);
        let mut remembered = self.remembered.lock();
        let Remembered { latest, next_id } = &mut *remembered;
        let alike = |known: &Refusal| {
            (known.reason, known.context) == (reason, context)
                && known.object == object
                && known.user == user
                && now.duration_since(known.last).is_ok_and(|since| since < GROUPED)
        };
        if let Some(at) = latest.iter().position(alike)
            && let Some(mut known) = latest.remove(at)
        {
            known.count += 1;
            known.last = now;
            known.client = client.to_owned();
            latest.push_front(known);
            return;
        }
        let id = *next_id;
        *next_id += 1;
        latest.truncate(MOST - 1);
        let (object, user, client) = (object.to_vec(), user.to_vec(), client.to_owned());
        latest.push_front(Refusal {
            id,
            count: 1,
            reason,
            context,
            object,
            user,
            client,
            first: now,
            last: now,
        });
    }

    /// The latest first.
    pub(crate) fn latest(&self, most: usize) -> Vec<Refusal> {
        self.remembered.lock().latest.iter().take(most).cloned().collect()
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        self.remembered.lock().latest.clear();
    }

    /// How many there have been.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}
