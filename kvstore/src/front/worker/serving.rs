//! What a thread does for its connections in a turn: what the engine has finished, what has arrived, and what goes out.

use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::{Worker, list};
use crate::clients::Paused;
use crate::front::connection::Fate;
use crate::front::portion;
use crate::front::session::Turn;
use crate::front::slot::EngineAnswer;
use crate::front::token::Origin;
use crate::protocol::Engine;
use crate::time::Moment;

impl<E: Engine> Worker<E> {
    /// Serves the connections that have something to do.
    pub(super) fn serve(&mut self, now: Instant, wall: SystemTime) {
        self.hear(now);
        self.say_farewell(now);
        self.watch();
        self.notice_room();
        self.resume_paced(now);
        self.end_killed();
        self.notice_pause(now);
        let mut active = self.work(now);
        if let Some(timekeeping) = &mut self.timekeeping
            && self.stop_at.is_none()
        {
            let wall = wall.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
            timekeeping.turn(Moment { steady: now, wall }, &mut self.engine);
        }
        if let Some(reporting) = &mut self.reporting
            && self.stop_at.is_none()
        {
            reporting.turn(now, &mut self.engine);
        }
        if let Some(evicting) = &mut self.evicting
            && self.stop_at.is_none()
        {
            evicting.turn(now, &mut self.engine);
        }
        self.shared.handover.turn(now, &self.engine);
        self.engine.flush();
        self.send(&mut active, now);
        if self.stop_at.is_some() {
            // Nothing is read any more, so what waits is sent, or waits for its socket.
            for index in active.drain(..) {
                self.table.get_mut(index).expect("active connections exist").listed = false;
            }
        }
        self.active = active;
    }

    /// Hands completions to their connections, if these still exist, and serves the connections that have
    /// something to do. Returns those.
    fn work(&mut self, now: Instant) -> Vec<u32> {
        let mut completions = std::mem::take(&mut self.completions);
        self.engine.collect(&mut completions);
        // What has happened before these is heard before these are printed.
        self.hear_changes(now);
        let Worker {
            number, engine, tally, command, table, active, streaming, shared, held_up, pace, ..
        } = self;
        let time = shared.time.at(now);
        let allowance = shared.allowance(0);
        let mut turn = Turn { allowance, engine, now, time, tally, command };
        for completion in completions.drain(..) {
            let (token, answer) = EngineAnswer::from(completion);
            let (origin, sequence) = Origin::of(token);
            if let Some(connection) = table.get_exact(origin) {
                connection.complete(sequence, answer, &mut turn);
                list(active, origin.index, connection);
            }
        }
        let active = std::mem::take(active);
        let most = portion::to_read(active.len());
        if self.stop_at.is_none() {
            for &index in &active {
                let connection = table.get_mut(index).expect("connections are closed at the end of a turn");
                turn.allowance = shared.allowance_at(pace, connection.held_by_address());
                // To read nothing would look like the end of the stream.
                let most = turn.allowance.left.map_or(most, |left| most.min(left).max(1));
                let read = connection.serve(&mut turn, &mut self.buffer, most);
                if turn.allowance.left.is_some() {
                    pace.take(read);
                }
                connection.settle(&shared.budget);
                shared.heaviest[*number].fetch_max(connection.counted(), Ordering::Relaxed);
                if connection.is_held_up() {
                    let paused = shared.clients.pausing(now).map_or(Paused::Writes, |pausing| pausing.what);
                    *held_up = (*held_up).max(Some(paused));
                }
                if connection.streams() {
                    streaming.insert(index);
                } else if !streaming.is_empty() {
                    streaming.remove(&index);
                }
            }
        }
        self.completions = completions;
        self.tell_trackers(active, now)
    }

    /// Sends replies, closes what is over, and leaves in `active` what has to be served again.
    fn send(&mut self, active: &mut Vec<u32>, now: Instant) {
        // Once it stops, no further turn may come.
        let most = if self.stop_at.is_none() { portion::to_send(active.len()) } else { usize::MAX };
        active.retain(|&index| {
            let connection = self.table.get_mut(index).expect("connections are closed at the end of a turn");
            connection.listed = false;
            let allowance = self.shared.allowance_at(&self.pace, connection.held_by_address());
            let fate = connection.send(most, allowance, now);
            connection.settle(&self.shared.budget);
            match fate {
                Fate::Wait => {
                    let waits = allowance.is_paused() && connection.may_have_unread();
                    if waits && !std::mem::replace(&mut connection.waits_for_pace, true) {
                        self.pace.wait(index);
                    }
                    false
                }
                Fate::Again => {
                    connection.listed = true;
                    true
                }
                Fate::Close => {
                    drop(self.close(index));
                    false
                }
            }
        });
    }
}
