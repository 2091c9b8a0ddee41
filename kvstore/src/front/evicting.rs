//! Evictions that no client's command brings about: when a limit has been lowered, or keys may go that might not before, and
//! nobody writes.

use std::time::{Duration, Instant};

use super::token::NOBODY;
use crate::KvReader;
use crate::command::encode_make_room;
use crate::protocol::Engine;
use crate::state::EVICTED_AT_ONCE;

/// Writes evict what they need, so a server leaves it to them while they come.
const QUIET: Duration = Duration::from_millis(100);

/// How long a server waits for the one before it, whose turn it is to propose.
const TURN: Duration = Duration::from_millis(40);

/// What was proposed may be lost, or refused since the cluster's level is too low, and is proposed again.
const LOST: Duration = Duration::from_secs(1);

/// When a server proposes that keys are evicted.
#[derive(Debug)]
pub(super) struct Evicting {
    reader: KvReader,
    /// How many keys had gone, and since when no more have.
    quiet: Option<(u64, Instant)>,
    proposal: Option<Proposal>,
    /// When something was last proposed.
    proposed: Option<Instant>,
    /// When there is something to do.
    due: Option<Instant>,
    command: Vec<u8>,
}

/// What was proposed and is not known to be executed.
#[derive(Debug)]
struct Proposal {
    at: Instant,
    /// How many such commands had been executed.
    rooms: u64,
    /// How many keys had gone.
    evicted: u64,
}

impl Evicting {
    pub(super) fn new(reader: KvReader) -> Evicting {
        Evicting { reader, quiet: None, proposal: None, proposed: None, due: None, command: Vec::new() }
    }

    /// When there is something to do, unless too much is taken before: then the timekeeper's bell rings.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// When it last proposed a command.
    pub(super) fn proposed(&self) -> Option<Instant> {
        self.proposed
    }

    /// Does what is due, before the port is flushed.
    pub(super) fn turn(&mut self, now: Instant, engine: &mut impl Engine) {
        self.due = match self.reader.eviction_due() {
            None => {
                (self.quiet, self.proposal) = (None, None);
                None
            }
            Some(evicted) => Some(self.evict(evicted, now, engine)),
        };
    }

    /// Proposes an eviction if it is time for it, and returns when to look again.
    fn evict(&mut self, evicted: u64, now: Instant, engine: &mut impl Engine) -> Instant {
        let rooms = self.reader.rooms_made();
        let mut continues = false;
        if let Some(proposal) = &self.proposal {
            if rooms == proposal.rooms && now < proposal.at + LOST {
                return proposal.at + LOST;
            }
            // It did all that one command may, and that was not enough.
            continues = rooms > proposal.rooms && evicted >= proposal.evicted + EVICTED_AT_ONCE;
            self.proposal = None;
        }
        let since = match self.quiet {
            Some((known, since)) if known == evicted => since,
            _ => now,
        };
        self.quiet = Some((evicted, since));
        let due = since + QUIET + turn_of(engine, evicted);
        if now < due && !continues {
            return due;
        }
        self.command.clear();
        encode_make_room(&mut self.command);
        let lane = engine.choose_lane();
        if engine.propose(lane, NOBODY, &self.command).is_ok() {
            self.proposed = Some(now);
        }
        // What is refused, for want of a leader or of a level, is tried again as late as what is lost.
        self.proposal = Some(Proposal { at: now, rooms, evicted });
        now + LOST
    }
}

/// How long this server waits for those whose turn comes before.
fn turn_of(engine: &impl Engine, evicted: u64) -> Duration {
    let status = engine.status();
    let count = status.voters.len().max(1) as u64;
    let place = status.voters.iter().position(|server| *server == status.server).unwrap_or(0) as u64;
    TURN * ((place + evicted) % count) as u32
}
