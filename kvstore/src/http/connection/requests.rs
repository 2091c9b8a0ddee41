//! What the next request is, and what it asks for.

use niagara_engine::{Consistency, Reads};

use super::HttpConnection;
use super::receiving::Stage;
use crate::command;
use crate::http::fault::Fault;
use crate::http::idempotency;
use crate::http::listing::ListRequest;
use crate::http::page::Page;
use crate::http::preconditions::Verdict;
use crate::http::request::What;
use crate::http::tags::Current;
use crate::http::transaction::Timed;
use crate::protocol::{Ask, Circumstances, Engine, Input};

impl HttpConnection {
    /// What the next request asks for; `None`: it is not all there.
    pub(super) fn understand_next<E: Engine>(
        &mut self,
        input: &mut Input,
        engine: &E,
        now: Circumstances,
    ) -> Option<Ask> {
        loop {
            if self.must_name_life(engine) {
                return Some(Ask::Write);
            }
            match &mut self.stage {
                Stage::Head if self.last => {
                    input.consume(input.len());
                    return None;
                }
                Stage::Head => {
                    if !self.head(input, engine, now.is_short) {
                        return None;
                    }
                }
                Stage::Body { interim: true, .. } => return Some(Ask::Local),
                Stage::Body { .. } => {
                    if !self.body(input) {
                        return None;
                    }
                }
                Stage::Ready(_) => return Some(self.ask(engine, now.time)),
            }
        }
    }

    /// Whether the life of the state must be named before the next request.
    fn must_name_life<E: Engine>(&mut self, engine: &E) -> bool {
        let Stage::Ready(request) = &self.stage else { return false };
        // A follower cannot name it: until a member has, replies have no tags.
        let needs_life = request.what.needs_life() && !engine.follows();
        self.naming.is_next(|| engine.reader().life(), needs_life)
    }

    /// What a request asks for that is there. What cannot be served now becomes its fault.
    fn ask<E: Engine>(&mut self, engine: &E, time: Option<u64>) -> Ask {
        let Stage::Ready(request) = &mut self.stage else { panic!("only a request that is there asks") };
        let fault = match &request.what {
            What::Watch { .. } => return self.ask_for_changes(engine),
            What::Transaction { preconditions, .. }
                if preconditions.evaluate(Current::Absent) != Verdict::Proceed =>
            {
                Fault::condition_failed()
            }
            what @ (What::Put { .. } | What::Delete { .. } | What::Transaction { .. }) => {
                let is_once = request.once.is_some();
                let lasts = matches!(what, What::Put { lasts: Some(_), .. });
                let is_timed = lasts || matches!(what, What::Transaction { timed: Timed::Yes, .. });
                match time {
                    None if is_once || is_timed => Fault::no_clock(),
                    // What is executed once carries the time by which it is remembered.
                    Some(time) if is_once => {
                        self.time = time;
                        if !matches!(what, What::Delete { .. }) {
                            idempotency::set_time(&mut self.command, time);
                        }
                        return Ask::Write;
                    }
                    Some(time) if is_timed => {
                        command::set_time(&mut self.command, time);
                        return Ask::Write;
                    }
                    _ => return Ask::Write,
                }
            }
            What::Get { freshness, .. } | What::List { request: ListRequest { freshness, .. }, .. } => {
                if freshness.by_lease && engine.reads() != Reads::Lease {
                    Fault::no_leases()
                } else {
                    return Ask::Read(freshness.consistency);
                }
            }
            What::Page { page: Page::Readyz, .. } => match unready(engine) {
                Some(fault) => fault,
                None => return Ask::Read(Consistency::Strong),
            },
            What::Page { .. }
            | What::Change { .. }
            | What::Snapshot { .. }
            | What::Options(_)
            | What::Preflight(_)
            | What::Fail(_) => return Ask::Local,
        };
        request.what = What::Fail(fault);
        Ask::Local
    }
}

/// Why a server is not ready, as far as it knows by itself; `None`: there are leaders everywhere, and a strong read proves that a
/// quorum answers.
fn unready<E: Engine>(engine: &E) -> Option<Fault> {
    if engine.is_diverged() {
        Some(Fault::diverged())
    } else if engine.is_retiring() {
        Some(Fault::draining())
    } else if engine.has_quorum() {
        None
    } else {
        Some(Fault::not_ready())
    }
}
