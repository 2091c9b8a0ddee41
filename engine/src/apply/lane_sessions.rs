//! Which commands of which lane have been executed: what makes retries harmless.
//!
//! Replicated state: every server decides by the same rules, from the same log, so all decide the same. One number per
//! lane suffices, since a lane numbers its commands without gaps and they are executed in order.

use bytes::{Buf, BufMut};
use niagara_group::batch::Span;

use crate::planted::{self, Bug};

/// The number of the next command to execute, per server and lane. Rows exist for members only.
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

/// What is to be done with a sub-batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Execute it from command number `skip` (zero-based) on; those before have been executed.
    Execute {
        /// How many commands at the front to pass over.
        skip: u32,
    },
    /// Executed before, all of it: a retry's other copy.
    Duplicate,
    /// Commands before it are missing: skip it whole. Its origin sends it again, behind what is missing.
    Gap,
    /// From a life of its server that has ended, or from no member: skip it.
    Stale,
}

impl LaneSessions {
    /// The sessions of a cluster whose log is empty.
    ///
    /// ```
    /// use niagara_engine::apply::{LaneSessions, Verdict};
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

    /// This server's incarnation, and the number of the next command to execute in each of its lanes.
    pub fn lanes_of(&self, server: u64) -> Option<(u64, &[u64])> {
        let row = self.rows.iter().find(|row| row.server == server)?;
        Some((row.incarnation, &row.next))
    }

    /// The servers that have a row.
    pub fn servers(&self) -> impl Iterator<Item = u64> {
        self.rows.iter().map(|row| row.server)
    }

    /// The sessions in a snapshot: the number of rows (4 bytes), then per row server, incarnation, and the lanes' next numbers.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u32_le(self.rows.len() as u32);
        for row in &self.rows {
            [row.server, row.incarnation].iter().chain(&row.next).for_each(|number| out.put_u64_le(*number));
        }
    }

    /// Reads what [`encode`](Self::encode) wrote.
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

    /// Decides on a sub-batch, and notes its commands as executed if they are to be.
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
            // The server has started anew: its lanes count from 1 again.
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
    fn a_new_life_counts_anew_and_the_old_one_is_over() {
        let mut sessions = LaneSessions::new(&[1], 2);
        sessions.admit(&span(1, 1, 5));
        assert_eq!(sessions.admit(&span(2, 1, 1)), Verdict::Execute { skip: 0 });
        assert_eq!(sessions.admit(&span(1, 6, 1)), Verdict::Stale);
        let stranger = Span { server: 9, ..span(1, 1, 1) };
        assert_eq!(sessions.admit(&stranger), Verdict::Stale);
    }
}
