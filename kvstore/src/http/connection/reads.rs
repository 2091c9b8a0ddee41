//! Reads of the state: now, or attached to a write before them.

use niagara_engine::Consistency;
use niagara_planted::{self as planted, Bug};

use super::HttpConnection;
use super::receiving::Stage;
use crate::http::fault::{Context, Fault};
use crate::http::pages;
use crate::http::preconditions::{Preconditions, Verdict};
use crate::http::request::{Request, What};
use crate::http::respond::{Framing, ResponseHead};
use crate::http::rights;
use crate::http::tags::Current;
use crate::protocol::{Output, Shown, Unread, View};
use crate::{Found, Reply, Version, query};

/// What must be remembered of an attached read to print its reply.
#[derive(Debug)]
pub(crate) struct Look {
    framing: Framing,
    preconditions: Preconditions,
}

/// A read of a longer key, or with more tags, is not remembered while it is in flight.
const MOST_ATTACHED_KEY_BYTES: usize = 1 << 10;
const MOST_ATTACHED_TAGS: usize = 16;

impl HttpConnection {
    /// Executes a read, unless its user has lost the right to it, and answers it.
    pub(super) fn look(&mut self, view: &View<'_>, output: &mut Output) {
        let Request { what, framing, .. } = self.take_request();
        // The user may have lost the right since the request came.
        self.entrance.look_again();
        if let Some(denied) = rights::wanted(&what).and_then(|wanted| self.entrance.denied(|| wanted)) {
            Fault::forbidden(&denied).print(Context::default(), framing, &self.site, output);
            return self.replied(framing);
        }
        let site = &self.site;
        match (&what, view.applied) {
            (What::Get { .. }, Some(applied)) => self.get(&what, framing, view, applied, output),
            (What::List { request, preconditions }, Some(applied)) => {
                if pages::passes(site, preconditions, Current::Untagged, framing, output) {
                    let shows = |key: &[u8]| rights::shows(&self.entrance, key);
                    let mut page = view.reader.list_some(request.after, request.listed(), shows);
                    // Rights that are looked up now are not older than what the page shows.
                    self.entrance.look_again();
                    page.entries.retain(|(key, _)| rights::shows(&self.entrance, key));
                    let head = ResponseHead::begin(output, 200, framing, site);
                    request.print(&page, applied, self.naming.life(), head);
                }
            }
            (_, None) if view.diverged => Fault::diverged().print(Context::default(), framing, site, output),
            (What::Get { .. } | What::List { .. }, None) => {
                Fault::no_quorum().print(Context::default(), framing, site, output);
            }
            (What::Page { preconditions, .. }, Some(_)) => {
                pages::ready(&self.site, preconditions, framing, output);
            }
            (other, Some(_)) => panic!("only a key and the readiness are read, not {other:?}"),
            (_, None) => Fault::not_ready().print(Context::default(), framing, site, output),
        }
        self.replied(framing);
    }

    fn get(&self, what: &What, framing: Framing, view: &View<'_>, applied: u64, output: &mut Output) {
        let What::Get { key, preconditions, freshness } = what else { panic!("only a GET looks at a key") };
        view.reader.with(key, |found| {
            let misses = |version: Version| {
                planted::is(Bug::LooseReadBelowPosition)
                    && freshness.consistency != Consistency::Strong
                    && version.position >= applied
            };
            let found = found.filter(|found| !misses(found.version));
            self.print_read(found, applied, preconditions, framing, output);
        });
    }

    fn print_read(
        &self,
        found: Option<Found<'_>>,
        applied: u64,
        preconditions: &Preconditions,
        framing: Framing,
        output: &mut Output,
    ) {
        let site = &self.site;
        let tag = found.and_then(|found| self.naming.tag(found.version));
        let context = Context { position: Some(applied), tag, is_again: false };
        // Conditions decide only what would have succeeded without them (RFC 9110, section 13.2.1).
        let Some(found) = found else {
            return Fault::no_such_key().print(context, framing, site, output);
        };
        let verdict = preconditions.evaluate(tag.map_or(Current::Untagged, Current::Tagged));
        if verdict == Verdict::Failed {
            return Fault::condition_failed().print(context, framing, site, output);
        }
        let unchanged = verdict == Verdict::Unchanged;
        let head = ResponseHead::begin(output, if unchanged { 304 } else { 200 }, framing, site)
            .tag(tag)
            .number("Niagara-Position", applied)
            .expires(found.deadline)
            .no_cache();
        if unchanged { head.end() } else { head.end_with_value(found.value, found.description) }
    }

    /// Whether the next request is a read that may be executed between commands. Until the life of the state is known, replies wait
    /// for its name.
    pub(super) fn may_look_between(&self) -> bool {
        let Stage::Ready(Request { what: What::Get { key, preconditions, .. }, .. }) = &self.stage else {
            return false;
        };
        self.naming.is_known()
            && key.len() <= MOST_ATTACHED_KEY_BYTES
            && preconditions.tags() <= MOST_ATTACHED_TAGS
    }

    /// Encodes a read that is executed behind a command.
    pub(super) fn look_behind(&mut self, query: &mut Vec<u8>) -> Look {
        let Request { what, framing, .. } = self.take_request();
        let What::Get { key, preconditions, .. } = what else { panic!("only a GET is attached") };
        if let Some(user) = self.entrance.carried() {
            query::encode_by(query, user);
        }
        query::encode_entry(query, &key);
        Look { framing, preconditions }
    }

    /// Answers such a read.
    pub(super) fn show_look(
        &mut self,
        Look { framing, preconditions }: Look,
        shown: Shown,
        output: &mut Output,
    ) {
        let site = &self.site;
        let fault = match shown {
            Shown::Answer { applied, reply: Reply::Entry(stored) } => {
                let found = stored.as_ref().map(|stored| Found {
                    value: stored.value().into(),
                    version: stored.version(),
                    description: stored.description(),
                    deadline: stored.deadline(),
                });
                self.print_read(found, applied, &preconditions, framing, output);
                return self.replied(framing);
            }
            Shown::Answer { reply: Reply::Denied(denied), .. } => Fault::forbidden(&denied),
            Shown::Answer { reply, .. } => panic!("a query is not answered with {reply:?}"),
            Shown::Nothing(Unread::NoQuorum) => Fault::no_quorum(),
            Shown::Nothing(Unread::Diverged) => Fault::diverged(),
            Shown::Nothing(Unread::Overtaken) => Fault::overtaken(),
        };
        fault.print(Context::default(), framing, site, output);
        self.replied(framing);
    }
}
