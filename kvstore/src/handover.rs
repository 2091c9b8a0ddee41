//! All that this server leads, handed over to others because somebody wants it: whoever asks over HTTP, or by FAILOVER.
//!
//! Without more, the engine drains by itself. What it does not know is kept here: one server that is to take over, and a time
//! at which a handover ends that has not come to its end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use niagara_engine::{GroupLeader, Leaders, ServerId};
use parking_lot::Mutex;

use crate::protocol::Engine;

/// How often to look whether this server leads nothing any more.
const LOOK: Duration = Duration::from_millis(100);

/// When a server is asked again that has not taken over. A group takes no commands while its leader waits for that.
const AGAIN: Duration = Duration::from_secs(2);

/// How all is to be handed over that this server leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Who takes over; `None`: whoever can.
    pub(crate) to: Option<ServerId>,
    /// When it ends if this server still leads something: then it takes back what it should lead.
    pub(crate) until: Option<Instant>,
    /// By then, whoever can takes over.
    pub(crate) forces: bool,
}

/// How far it is, in the words of Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nobody wants it, or this server leads nothing.
    Nothing,
    /// No server that may take over could do so now.
    WaitsForSync,
    Hands,
}

impl Stage {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Stage::Nothing => "no-failover",
            Stage::WaitsForSync => "waiting-for-sync",
            Stage::Hands => "failover-in-progress",
        }
    }
}

/// See the [module](self). All front-end threads share it, and each does what is due.
#[derive(Debug, Default)]
pub(crate) struct Handover {
    is_watched: AtomicBool,
    watched: Mutex<Option<Watched>>,
}

/// A handover that the engine cannot complete by itself.
#[derive(Debug)]
struct Watched {
    wanted: Wanted,
    /// When to look.
    due: Instant,
    /// When the server that is to take over may be asked again.
    again: Instant,
}

impl Handover {
    /// Starts to hand over all that this server leads to whoever can take over, and claims nothing from now on.
    pub(crate) fn drain(&self, engine: &impl Engine) {
        self.watch(None);
        engine.drain(true);
    }

    /// The same, as somebody wants it.
    pub(crate) fn begin(&self, wanted: Wanted, now: Instant, engine: &impl Engine) {
        if wanted.to.is_none() {
            engine.drain(true);
        } else {
            for group in engine.leaders().groups {
                let _ = engine.leave(group.group);
            }
        }
        self.watch(Some(Watched { wanted, due: now, again: now }));
        self.turn(now, engine);
    }

    /// Ends it, and claims what this server should lead.
    pub(crate) fn end(&self, engine: &impl Engine) {
        self.watch(None);
        engine.drain(false);
    }

    fn watch(&self, next: Option<Watched>) {
        let mut watched = self.watched.lock();
        self.is_watched.store(next.is_some(), Ordering::Release);
        *watched = next;
    }

    /// Who leads, as the engine says, and as this server means it while it waits for one server to take over.
    pub(crate) fn leaders(&self, engine: &impl Engine) -> Leaders {
        let mut leaders = engine.leaders();
        leaders.draining |= self.target().is_some();
        leaders
    }

    /// How far it is, by [`leaders`](Self::leaders).
    pub(crate) fn stage(&self, leaders: &Leaders) -> Stage {
        let target = self.target();
        let may = |server: ServerId| target.is_none_or(|target| target == server);
        let moves = |group: &GroupLeader| {
            group.moving_to != 0
                || group.followers.iter().any(|other| other.unfit.is_none() && may(other.server))
        };
        let led: Vec<&GroupLeader> = leaders.led_here().collect();
        if !leaders.draining || led.is_empty() {
            Stage::Nothing
        } else if led.into_iter().any(moves) {
            Stage::Hands
        } else {
            Stage::WaitsForSync
        }
    }

    fn target(&self) -> Option<ServerId> {
        self.watched.lock().as_ref().and_then(|watched| watched.wanted.to)
    }

    /// When there is something to do.
    pub(crate) fn due(&self) -> Option<Instant> {
        if !self.is_watched.load(Ordering::Acquire) {
            return None;
        }
        self.watched.lock().as_ref().map(|watched| watched.due)
    }

    /// Does what is due.
    pub(crate) fn turn(&self, now: Instant, engine: &impl Engine) {
        if !self.is_watched.load(Ordering::Acquire) {
            return;
        }
        let mut watched = self.watched.lock();
        if watched.as_mut().is_some_and(|watched| now >= watched.due && !watched.goes_on(now, engine)) {
            *watched = None;
            self.is_watched.store(false, Ordering::Release);
        }
    }
}

impl Watched {
    /// Looks how far it is. `false`: the engine does the rest by itself, if there is any.
    fn goes_on(&mut self, now: Instant, engine: &impl Engine) -> bool {
        let Wanted { to, until, forces } = self.wanted;
        let leaders = engine.leaders();
        let is_left_to_the_engine = to.is_none() && (until.is_none() || !leaders.draining);
        if leaders.retiring || is_left_to_the_engine {
            return false;
        }
        let led: Vec<u16> = leaders.led_here().map(|group| group.group).collect();
        if led.is_empty() {
            engine.drain(true);
            return false;
        }
        if until.is_some_and(|until| now >= until) {
            tracing::info!(groups = ?led, forces, "a handover was not complete in time: these groups are led here");
            engine.drain(forces);
            return false;
        }
        if let Some(to) = to
            && now >= self.again
        {
            // Those that cannot move yet cost nothing.
            let moves = led.iter().filter(|group| engine.move_leadership(**group, to).is_ok()).count();
            self.again = now + if moves > 0 { AGAIN } else { LOOK };
        }
        self.due = until.map_or(now + LOOK, |until| until.min(now + LOOK));
        true
    }
}
