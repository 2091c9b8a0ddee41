//! Client sessions, one for each lane: which commands have been executed. They make retries harmless.
//!
//! This is replicated state: every server applies the same rules to the same log, so all decide alike. One
//! number per lane suffices, since a lane numbers its commands without gaps and they are executed in order.

use bytes::{Buf, BufMut};
use niagara_group::batch::Span;

use crate::planted::{self, Bug};

/// Number of the next command to execute, by server and lane. Only members have rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneSessions {
    lanes: usize,
    rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    server: u64,
    incarnation: u64,
    next: Vec<u64>,
}

/// What to do with a sub-batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Execute it without the first `skip` commands, which have been executed already.
    Execute {
        /// Number of commands to skip at the front.
        skip: u32,
    },
    /// All of it has been executed: another copy of a retry.
    Duplicate,
    /// Commands before it are missing: skip all of it. Its origin will resend it after the missing ones.
    Gap,
    /// It comes from an earlier life of its server, or not from a member: skip it.
    Stale,
}

impl LaneSessions {
    /// Sessions of a cluster with an empty log.
    ///
    /// ```
    /// use niagara_engine::internals::apply::{LaneSessions, Verdict};
    /// use niagara_group::batch::Span;
    ///
    /// let mut sessions = LaneSessions::new(&[1, 2, 3], 4);
    /// let span = Span { server: 2, incarnation: 1, lane: 0, attempt: 0, first: 1, count: 10 };
    /// assert_eq!(sessions.admit(&span), Verdict::Execute { skip: 0 });
    /// assert_eq!(sessions.admit(&span), Verdict::Duplicate);
    /// ```
    pub fn new(servers: &[u64], lanes: u16) -> Self {
        let row = |&server| Row { server, incarnation: 0, next: vec![1; usize::from(lanes)] };
        LaneSessions { lanes: usize::from(lanes), rows: servers.iter().map(row).collect() }
    }

    /// Incarnation of this server, and the number of the next command to execute in each of its lanes.
    pub fn lanes_of(&self, server: u64) -> Option<(u64, &[u64])> {
        let row = self.rows.iter().find(|row| row.server == server)?;
        Some((row.incarnation, &row.next))
    }

    /// An epoch begins with these members and so many lanes for each. Rows of servers that leave are dropped, those of servers
    /// that come begin, and so do lanes that come.
    pub(crate) fn begin_epoch(&mut self, members: &[u64], lanes: u16) {
        if !planted::is(Bug::LanesDoNotCome) {
            self.lanes = lanes.into();
        }
        let stays = |row: &Row| members.contains(&row.server);
        let loses = planted::is(Bug::FirstResultLostAtChange)
            && !(self.rows.iter().all(stays) && members.len() == self.rows.len());
        self.rows.retain(stays);
        for row in &mut self.rows {
            row.next.resize(self.lanes, 1);
            if planted::is(Bug::SessionsBeginAnew) {
                row.next.fill(1);
            }
            if loses {
                row.next[0] += 1;
            }
        }
        for server in members {
            if self.rows.iter().all(|row| row.server != *server) {
                self.rows.push(Row { server: *server, incarnation: 0, next: vec![1; self.lanes] });
            }
        }
    }

    /// The servers that have a row.
    pub fn servers(&self) -> impl Iterator<Item = u64> {
        self.rows.iter().map(|row| row.server)
    }

    /// Encodes the sessions for a snapshot: the number of rows (4 bytes), then for each row its server,
    /// incarnation, and the next number of each lane.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u32_le(self.rows.len() as u32);
        for row in &self.rows {
            [row.server, row.incarnation].iter().chain(&row.next).for_each(|number| out.put_u64_le(*number));
        }
    }

    /// Parses what [`encode`](Self::encode) wrote.
    pub(crate) fn decode(input: &mut &[u8], lanes: u16) -> Option<LaneSessions> {
        let lanes = usize::from(lanes);
        let rows = input.try_get_u32_le().ok()? as usize;
        if rows > input.len() / (8 * (2 + lanes)) {
            return None;
        }
        let mut number = || input.try_get_u64_le().ok();
        let row = |_| {
            let (server, incarnation) = (number()?, number()?);
            let next = (0..lanes).map(|_| number()).collect::<Option<_>>()?;
            Some(Row { server, incarnation, next })
        };
        let rows = (0..rows).map(row).collect::<Option<_>>()?;
        Some(LaneSessions { lanes, rows })
    }

    /// Decides on a sub-batch. Commands that are to be executed count as executed afterwards.
    pub fn admit(&mut self, span: &Span) -> Verdict {
        let Some(row) = self.rows.iter_mut().find(|row| row.server == span.server) else {
            return Verdict::Stale;
        };
        let lane = usize::from(span.lane);
        if planted::is(Bug::OldIncarnationApplied) && span.incarnation < row.incarnation {
            return Verdict::Execute { skip: 0 };
        }
        if span.incarnation < row.incarnation || lane >= self.lanes {
            return Verdict::Stale;
        }
        if span.incarnation > row.incarnation {
            // The server has restarted: its lanes count from 1 again.
            row.incarnation = span.incarnation;
            row.next.fill(1);
        }
        let next = row.next[lane];
        let end = span.first + u64::from(span.count);
        if span.first > next && planted::is(Bug::GapApplied) {
            row.next[lane] = end;
            return Verdict::Execute { skip: 0 };
        }
        if end <= next && planted::is(Bug::DuplicateApplied) {
            return Verdict::Execute { skip: 0 };
        }
        if span.first > next {
            return Verdict::Gap;
        }
        if end <= next {
            return Verdict::Duplicate;
        }
        row.next[lane] = end;
        Verdict::Execute { skip: (next - span.first) as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(incarnation: u64, first: u64, count: u32) -> Span {
        Span { server: 1, incarnation, lane: 1, attempt: 0, first, count }
    }

    #[test]
    fn an_overlap_executes_its_tail_and_a_gap_nothing() {
        let mut sessions = LaneSessions::new(&[1], 2);
        assert_eq!(sessions.admit(&span(1, 1, 5)), Verdict::Execute { skip: 0 });
        assert_eq!(sessions.admit(&span(1, 3, 5)), Verdict::Execute { skip: 3 });
        assert_eq!(sessions.admit(&span(1, 9, 1)), Verdict::Gap);
        assert_eq!(sessions.admit(&span(1, 8, 1)), Verdict::Execute { skip: 0 });
        assert_eq!(sessions.admit(&span(1, 9, 1)), Verdict::Execute { skip: 0 });
    }

    #[test]
    fn an_epoch_keeps_what_stays_and_begins_what_comes() {
        let mut sessions = LaneSessions::new(&[1, 2], 2);
        sessions.admit(&span(1, 1, 5));
        sessions.begin_epoch(&[1, 3], 4);
        assert_eq!(sessions.lanes_of(1), Some((1, &[1, 6, 1, 1][..])));
        assert_eq!(sessions.lanes_of(3), Some((0, &[1, 1, 1, 1][..])));
        assert_eq!(sessions.lanes_of(2), None);
    }

    #[test]
    fn a_new_life_counts_anew_and_the_old_one_is_over() {
        let mut sessions = LaneSessions::new(&[1], 2);
        sessions.admit(&span(1, 1, 5));
        assert_eq!(sessions.admit(&span(2, 1, 1)), Verdict::Execute { skip: 0 });
        assert_eq!(sessions.admit(&span(1, 6, 1)), Verdict::Stale);
        let stranger = Span { server: 9, ..span(1, 1, 1) };
        assert_eq!(sessions.admit(&stranger), Verdict::Stale);
    }
}
