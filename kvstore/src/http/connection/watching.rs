//! How a connection watches: it has changes kept, begins a reply without an end, and goes on with it.

use std::time::Instant;

use niagara_engine::Refused;

use super::HttpConnection;
use super::receiving::Stage;
use crate::access::Entrance;
use crate::changes::Watched;
use crate::http::fault::{Context, Fault};
use crate::http::preconditions::Verdict;
use crate::http::request::{Request, What};
use crate::http::respond::{Framing, ResponseHead};
use crate::http::rights;
use crate::http::tags::Current;
use crate::http::watch::{Watch, WatchRequest};
use crate::protocol::{Ask, Engine, Outcome, Output, Streamed};

/// How far a connection is that asks for changes to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeping {
    Unasked,
    /// The next write asks for it.
    Next,
    Asked,
}

impl HttpConnection {
    /// The outcome of the command that has changes kept.
    pub(super) fn kept(&mut self, outcome: &Outcome) {
        let fault = match outcome {
            Outcome::Applied { .. } => return,
            Outcome::Refused(refused) => Fault::refused(*refused),
            Outcome::Unknown => Fault::no_quorum(),
        };
        if let Stage::Ready(request) = &mut self.stage {
            self.keeping = Keeping::Unasked;
            request.what = What::Fail(fault);
        }
    }

    /// What a request for changes needs next.
    pub(super) fn ask_for_changes<E: Engine>(&mut self, engine: &E) -> Ask {
        let Stage::Ready(Request { what, .. }) = &mut self.stage else { panic!("there is a request") };
        let What::Watch { preconditions, .. } = &*what else { panic!("it is for changes") };
        let fault = if preconditions.evaluate(Current::Untagged) != Verdict::Proceed {
            Some(Fault::condition_failed())
        } else if engine.is_retiring() {
            Some(Fault::refused(Refused::Stopping))
        } else {
            engine.is_diverged().then(Fault::diverged)
        };
        if let Some(fault) = fault {
            *what = What::Fail(fault);
        } else if self.keeping == Keeping::Unasked
            && !engine.follows()
            && engine.reader().changes().begin().is_none()
        {
            self.keeping = Keeping::Next;
            return Ask::Write;
        }
        Ask::Local
    }

    /// Begins a reply with changes.
    pub(super) fn begin_to_watch<E: Engine>(
        &mut self,
        request: WatchRequest,
        framing: Framing,
        engine: &E,
        output: &mut Output,
    ) {
        // It has an end only when the connection has.
        let framing = Framing { keep_alive: false, ..framing };
        let feed = engine.reader().changes();
        let site = &self.site;
        match site.lookout.watch(feed, request.prefix.clone(), request.from, engine.applied().get()) {
            Err(gone) => {
                Fault::gone(gone).print(Context::default(), framing, site, output);
                self.replied(framing);
            }
            Ok(watcher) => {
                let head = ResponseHead::begin(output, 200, framing, site).no_cache();
                let chunked = head.end_with_stream(request.content_type(), framing.minor);
                let watch = Watch::new(watcher, request, self.naming.life(), chunked);
                self.watch = Some(Box::new(watch));
            }
        }
    }

    /// Goes on with a reply that tells changes, if there is one.
    pub(super) fn go_on_watching<E: Engine>(
        &mut self,
        engine: &E,
        now: Instant,
        output: &mut Output,
    ) -> Option<Streamed> {
        let watch = self.watch.as_mut()?;
        // Loaded before the changes are read, so none of them is missing.
        let applied = engine.applied().get();
        let entrance = &mut self.entrance;
        let mut lost = None;
        // Rights that are looked up now are not older than the change.
        let watched = watch.go_on(applied, now, output, |key| {
            lost = lost.take().or_else(|| lost_right(entrance));
            lost.is_none() && rights::shows(entrance, key)
        });
        let lost = lost.or_else(|| lost_right(&mut self.entrance));
        let fault = match (lost, watched) {
            (Some(fault), _) => fault,
            (None, Err(gone)) => Fault::gone(gone),
            (None, Ok(_)) if engine.is_retiring() => Fault::refused(Refused::Stopping),
            (None, Ok(_)) if engine.is_diverged() => Fault::diverged(),
            (None, Ok(Watched::All)) => return Some(Streamed::All),
            (None, Ok(Watched::Some)) => return Some(Streamed::Some),
        };
        watch.end(&fault, output);
        self.watch = None;
        self.over = true;
        Some(Streamed::All)
    }
}

/// Why a client may not watch any more, if so.
fn lost_right(entrance: &mut Entrance) -> Option<Fault> {
    if let Err(barred) = entrance.look_on() {
        return Some(Fault::barred(barred));
    }
    entrance.denied(rights::key_names).map(|denied| Fault::forbidden(&denied))
}
