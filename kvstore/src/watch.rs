//! Changes of keys, for a program that embeds a server: what [`GET /watch`](crate::http) tells HTTP clients.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::iter::FusedIterator;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use niagara_engine::{Client, EngineState, Refused, ServerRole, Unknown, Wake};
use parking_lot::Mutex;

use crate::Kv;
use crate::changes::{Lookout, Watched, Watcher};
use crate::command::encode_keep_changes;

pub use crate::changes::{Change, ChangeId, Gone, Kind, Now};

/// Bytes of changes that a watch loads at once, with one more change: it holds them whether or not the server still does.
const LOADED_BYTES: usize = 256 << 10;

/// Changes of the keys of database 0 with a prefix, each once, in the order of the global log.
///
/// A watch is an iterator that blocks until there is another change. [`wait_timeout`](Self::wait_timeout) and
/// [`try_next`](Self::try_next) block for a while or not at all, [`poll_next`](Self::poll_next) serves executors. It sees all
/// keys, whatever users may read.
///
/// A watch never blocks the server, and never leaves out or repeats a change silently. A server keeps the latest changes, 64
/// MiB of them, while somebody watches on any server. A watch that awaits what is gone ends with [`Gone`], and so does one whose
/// server continues from another server's snapshot. Take changes promptly: it is this that has them kept on, and 32 MiB of
/// changes after the last call, they may be kept no longer.
///
/// ```
/// # use niagara_engine::{Config, Durability, Member};
/// # use niagara_kvstore::{FrontEndConfig, server::{Server, ServerConfig}};
/// use niagara_kvstore::command::{self, Condition};
/// use niagara_kvstore::watch::Kind;
///
/// # let any = "127.0.0.1:0".to_owned();
/// # let members = vec![Member { server: 1, addresses: vec![any.clone()], transfer: any.clone() }];
/// # let mut engine = Config::new(0xc1, 1, members);
/// # engine.durability = Durability::Memory;
/// # let any = any.parse()?;
/// # let front = FrontEndConfig { http: any, redis: any, threads: 1, ..FrontEndConfig::default() };
/// # let server = Server::start(ServerConfig { engine, front, peer_tls: None })?;
/// let mut watch = server.watch(b"color/", None)?;
/// for (key, value) in [("color/sky", "blue"), ("shape", "round"), ("color/sea", "green")] {
///     let mut set = Vec::new();
///     command::encode_set_head(&mut set, key.as_bytes(), &Condition::Always, false);
///     set.extend_from_slice(value.as_bytes());
///     server.client().propose(set.into())?.wait()?;
/// }
/// let sky = watch.next().expect("a watch says why it ends")?;
/// assert_eq!((sky.kind, &sky.key[..]), (Kind::Set, &b"color/sky"[..]));
/// drop(watch);
///
/// // Whoever stores the name of a change with what it has made of it goes on behind it, on any server.
/// let mut resumed = server.watch(b"color/", Some(sky.id.next()))?;
/// let sea = resumed.wait()?;
/// assert_eq!((&sea.key[..], sea.now.and_then(|now| now.value)), (&b"color/sea"[..], Some("green".into())));
/// server.stop();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// To follow a state, begin to watch, then read the keys, then take the changes: one that the state shows already has a
/// [version](Now::version) that is not above the one there.
pub struct KeyWatch {
    client: Client<Kv>,
    /// What the server is doing: it may stop.
    server: niagara_engine::Watch,
    bell: Arc<Bell>,
    watcher: Watcher,
    lookout: Lookout,
    /// What was loaded, and not taken yet.
    loaded: VecDeque<Change>,
    ended: Option<WatchError>,
    /// The iterator has said why it has ended.
    is_over: bool,
}

/// Why a watch did not begin, or has ended. It has told every change before [`KeyWatch::awaited`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// What it awaits is not kept.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// This server stops, or has diverged from others, or cannot have changes kept at the moment. In the first two cases, watch
    /// from the same change on another server.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The cluster has not confirmed in time that changes are kept: watch again, which does no harm.
    #[error(
        "the cluster has not confirmed that changes are kept from now on: watch again, here or on another server"
    )]
    Unconfirmed(#[source] Unknown),
}

impl KeyWatch {
    /// Watches keys with a prefix (all keys, if it is empty) from a change on, or what is executed from now on. The first one to
    /// watch in a cluster has changes kept on all servers, and waits for that as long as for any command.
    ///
    /// # Errors
    /// If changes from there on are not kept any more, or cannot be from now on.
    ///
    /// # Panics
    /// As [`Ticket::wait`](niagara_engine::Ticket::wait).
    pub fn begin(client: &Client<Kv>, prefix: &[u8], from: Option<ChangeId>) -> Result<KeyWatch, WatchError> {
        let mut server = client.watch();
        check(&server.current().state)?;
        let reader = client.reader();
        let feed = reader.changes();
        if client.role() == ServerRole::Member && feed.begin().is_none() {
            client.propose(keep_changes().into())?.wait().map_err(WatchError::Unconfirmed)?;
        }
        let bell = Arc::new(Bell::default());
        let lookout = Lookout::new(Arc::<Bell>::clone(&bell));
        let watcher = lookout.watch(feed, prefix.to_vec(), from, client.applied().get())?;
        let loaded = VecDeque::new();
        Ok(KeyWatch {
            client: client.clone(),
            server,
            bell,
            watcher,
            lookout,
            loaded,
            ended: None,
            is_over: false,
        })
    }

    /// The first change that it has yet to return, or a name before it: everything before was returned, or is of other keys.
    /// To resume after an interruption, on any server, watch from here.
    pub fn awaited(&self) -> ChangeId {
        self.loaded.front().map_or_else(|| self.watcher.awaited(), |change| change.id)
    }

    /// The next change, if there is one already.
    ///
    /// # Errors
    /// If the watch has ended.
    pub fn try_next(&mut self) -> Result<Option<Change>, WatchError> {
        match self.poll(Waker::noop()) {
            Poll::Ready(next) => next.map(Some),
            Poll::Pending => Ok(None),
        }
    }

    /// Blocks until there is another change.
    ///
    /// # Errors
    /// If the watch has ended.
    pub fn wait(&mut self) -> Result<Change, WatchError> {
        self.wait_until(None).expect("it has no deadline")
    }

    /// Blocks until there is another change, or this time has passed: then it returns `None`.
    ///
    /// # Errors
    /// If the watch has ended.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<Option<Change>, WatchError> {
        self.wait_until(Instant::now().checked_add(timeout)).transpose()
    }

    /// Polls for the next change, as `poll_next` of a stream does.
    ///
    /// # Errors
    /// If the watch has ended.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Change, WatchError>> {
        self.poll(context.waker())
    }

    fn wait_until(&mut self, deadline: Option<Instant>) -> Option<Result<Change, WatchError>> {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            if let Poll::Ready(next) = self.poll(&waker) {
                return Some(next);
            }
            let Some(deadline) = deadline else {
                thread::park();
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            thread::park_timeout(left);
        }
    }

    fn poll(&mut self, waker: &Waker) -> Poll<Result<Change, WatchError>> {
        if self.loaded.is_empty() && self.ended.is_none() {
            // Whatever comes from here on wakes the caller.
            self.bell.listen(waker);
            let loading = self.load();
            self.ended = loading.and_then(|()| self.look_at_server(waker)).err();
        }
        match (self.loaded.pop_front(), self.ended) {
            (Some(change), _) => Poll::Ready(Ok(change)),
            (None, Some(end)) => Poll::Ready(Err(end)),
            (None, None) => Poll::Pending,
        }
    }

    /// Loads changes, if there are any.
    fn load(&mut self) -> Result<(), WatchError> {
        if self.client.is_diverged() {
            return Err(Refused::Diverged.into());
        }
        self.lookout.take_news();
        if self.lookout.must_speak() {
            // If it is refused, or lost, it is said again when more has changed.
            let _ = self.client.propose(keep_changes().into());
        }
        // Loaded before the changes are read, so none of them is missing.
        let applied = self.client.applied().get();
        let mut bytes = 0;
        while self.loaded.is_empty() {
            let watched = self.watcher.read(|change| {
                bytes += change.bytes();
                self.loaded.push_back(change.clone());
                bytes < LOADED_BYTES
            })?;
            if watched == Watched::All {
                if self.loaded.is_empty() {
                    self.watcher.pass(applied);
                }
                break;
            }
        }
        Ok(())
    }

    /// Ends if the server does; otherwise that will wake the caller.
    fn look_at_server(&mut self, waker: &Waker) -> Result<(), WatchError> {
        while self.loaded.is_empty() {
            check(&self.server.current().state)?;
            if pin!(self.server.changed()).poll(&mut Context::from_waker(waker)).is_pending() {
                break;
            }
        }
        Ok(())
    }
}

/// Refuses to watch on a server that has nothing to tell, or soon will not.
fn check(state: &EngineState) -> Result<(), Refused> {
    match state {
        EngineState::Stopping | EngineState::Stopped | EngineState::Removed { .. } => Err(Refused::Stopping),
        EngineState::Diverged { .. } => Err(Refused::Diverged),
        _ => Ok(()),
    }
}

fn keep_changes() -> Vec<u8> {
    let mut command = Vec::new();
    encode_keep_changes(&mut command);
    command
}

/// Blocks until there is another change. The last element says why the watch has ended.
impl Iterator for KeyWatch {
    type Item = Result<Change, WatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let next = self.wait();
        self.is_over = next.is_err();
        Some(next)
    }
}

impl FusedIterator for KeyWatch {}

impl fmt::Debug for KeyWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("KeyWatch");
        shown.field("awaited", &self.awaited()).field("ended", &self.ended).finish_non_exhaustive()
    }
}

/// Wakes whoever has polled last.
#[derive(Default)]
struct Bell(Mutex<Option<Waker>>);

impl Bell {
    fn listen(&self, waker: &Waker) {
        let waker = waker.clone();
        // Dropped outside of the lock, since that runs the executor's code.
        let before = self.0.lock().replace(waker);
        drop(before);
    }
}

impl Wake for Bell {
    fn wake(&self) {
        let waker = self.0.lock().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

struct Unpark(Thread);

impl std::task::Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests;
