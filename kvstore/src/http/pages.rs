//! Pages about the server, and requests for snapshots.

use std::fmt::Display;
use std::net::SocketAddr;

use niagara_engine::{ServerId, Status};
use serde::Serialize;

use super::exposition::prometheus_text;
use super::fault::{Context, Fault};
use super::groups::{GroupsChange, GroupsPage};
use super::leaders::LeadersChange;
use super::level::LevelChange;
use super::media_type::Exposition;
use super::members::{self, MembersPage};
use super::openapi;
use super::preconditions::{Preconditions, Verdict};
use super::request::Page;
use super::respond::{Framing, ResponseHead};
use super::site::Site;
use super::tags::Current;
use crate::access::Entrance;
use crate::audit::Act;
use crate::directory;
use crate::protocol::{Engine, Output, Served};

/// The content of /status.
#[derive(Serialize)]
struct StatusPage<'s> {
    #[serde(flatten)]
    status: Status,
    http: SocketAddr,
    redis: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    https: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rediss: Option<SocketAddr>,
    /// A client that knows one server finds the others here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    members: Vec<MemberEntry<'s>>,
}

/// A member of the cluster.
#[derive(Serialize)]
struct MemberEntry<'s> {
    server: ServerId,
    http: &'s str,
    #[serde(skip_serializing_if = "Option::is_none")]
    https: Option<&'s str>,
}

/// Whether the conditions let a request for a resource without a tag pass. If not, prints the reply.
pub(super) fn passes(
    site: &Site,
    preconditions: &Preconditions,
    current: Current,
    framing: Framing,
    output: &mut Output,
) -> bool {
    let verdict = preconditions.evaluate(current);
    match verdict {
        Verdict::Proceed => {}
        Verdict::Failed => Fault::condition_failed().print(Context::default(), framing, site, output),
        Verdict::Unchanged => ResponseHead::begin(output, 304, framing, site).no_cache().end(),
    }
    verdict == Verdict::Proceed
}

/// Reports that the server is ready.
pub(super) fn ready(site: &Site, preconditions: &Preconditions, framing: Framing, output: &mut Output) {
    if passes(site, preconditions, Current::Untagged, framing, output) {
        let head = ResponseHead::begin(output, 200, framing, site).no_cache();
        head.end_with("text/plain", b"ok\n");
    }
}

/// Prints a page of a healthy server.
pub(super) fn page<E: Engine>(
    site: &Site,
    page: Page,
    preconditions: &Preconditions,
    framing: Framing,
    engine: &E,
    output: &mut Output,
) {
    if !passes(site, preconditions, Current::Untagged, framing, output) {
        return;
    }
    let head = ResponseHead::begin(output, 200, framing, site).no_cache();
    match page {
        Page::Healthz | Page::Readyz => head.end_with("text/plain", b"ok\n"),
        Page::Status => {
            let Site { http, redis, tls, .. } = site;
            let epoch = engine.epoch();
            let members = directory::members(&epoch, &site.members, |note| note.http);
            let members_https = directory::members(&epoch, &site.members_https, |note| note.https);
            let members = members.iter().map(|(server, http)| {
                let https =
                    members_https.iter().find(|(other, _)| other == server).map(|(_, https)| https.as_str());
                MemberEntry { server: *server, http, https }
            });
            let page = StatusPage {
                status: engine.status(),
                http: *http,
                redis: *redis,
                https: tls.map(|(https, _)| https),
                rediss: tls.map(|(_, rediss)| rediss),
                members: members.collect(),
            };
            end_with_json(head, &page);
        }
        Page::OpenApi => head.end_with("application/json", openapi::document()),
        Page::Leaders => end_with_json(head, &site.handover.leaders(engine)),
        Page::Groups => end_with_json(head, &GroupsPage::of(engine.epoch())),
        Page::Level => end_with_json(head, &engine.level()),
        Page::Members => end_with_json(head, &MembersPage::of(engine)),
        Page::Metrics(exposition) => {
            let mut body = String::new();
            engine.encode_metrics(&mut body);
            if exposition == Exposition::Text {
                body = prometheus_text(&body);
            }
            head.header("Vary", "Accept").end_with(exposition.content_type(), body.as_bytes());
        }
    }
}

/// Starts to change who leads, and prints who does. Later requests show what becomes of it.
pub(super) fn change_leaders<E: Engine>(
    site: &Site,
    (preconditions, by): (&Preconditions, &Entrance),
    body: &[u8],
    framing: Framing,
    engine: &E,
    output: &mut Output,
) -> Served {
    if !passes(site, preconditions, Current::Absent, framing, output) {
        return Served::Answered;
    }
    let started = LeadersChange::parse(body).and_then(|change| {
        let act = by.begin(change.words());
        let started = match change {
            LeadersChange::Move { group, to } => engine.move_leadership(group, to),
            LeadersChange::Leave { group } => engine.leave(group),
            LeadersChange::Drain {} => {
                site.handover.drain(engine);
                Ok(())
            }
            LeadersChange::Balance {} => {
                site.handover.end(engine);
                Ok(())
            }
        };
        audited(act, started).map_err(|why| Fault::not_moved(&why))
    });
    answer_change(site, started, || site.handover.leaders(engine), framing, output)
}

/// Asks for another number of groups, and prints the epoch as it is. Later requests show when the next one has begun.
pub(super) fn change_groups<E: Engine>(
    site: &Site,
    (preconditions, by): (&Preconditions, &Entrance),
    body: &[u8],
    framing: Framing,
    engine: &E,
    output: &mut Output,
) -> Served {
    if !passes(site, preconditions, Current::Absent, framing, output) {
        return Served::Answered;
    }
    let asked = GroupsChange::parse(body).and_then(|GroupsChange { groups }| {
        let act = by.begin(format!("ask for {groups} groups"));
        audited(act, engine.ask_for_groups(groups)).map_err(|why| Fault::not_changed(&why))
    });
    answer_change(site, asked, || GroupsPage::of(engine.epoch()), framing, output)
}

/// Asks for a higher level, and prints the present one. Later requests show when the next one is in force.
pub(super) fn change_level<E: Engine>(
    site: &Site,
    (preconditions, by): (&Preconditions, &Entrance),
    body: &[u8],
    framing: Framing,
    engine: &E,
    output: &mut Output,
) -> Served {
    if !passes(site, preconditions, Current::Absent, framing, output) {
        return Served::Answered;
    }
    let asked = LevelChange::parse(body).and_then(|LevelChange { level }| {
        let act = by.begin(format!("ask for level {level}"));
        audited(act, engine.ask_for_level(level)).map_err(|why| Fault::level_not_changed(&why))
    });
    answer_change(site, asked, || engine.level(), framing, output)
}

/// Asks for other members, and prints those that there are. Later requests show what becomes of it.
pub(super) fn change_members<E: Engine>(
    site: &Site,
    (preconditions, by): (&Preconditions, &Entrance),
    body: &[u8],
    framing: Framing,
    engine: &E,
    output: &mut Output,
) -> Served {
    if !passes(site, preconditions, Current::Absent, framing, output) {
        return Served::Answered;
    }
    let asked = members::parse(body).and_then(|change| {
        let act = by.begin(members::in_words(&change));
        audited(act, engine.start_to_change_members(change)).map_err(|why| Fault::members_not_changed(&why))
    });
    answer_change(site, asked, || MembersPage::of(engine), framing, output)
}

/// Tells the audit what became of an act.
fn audited<W: Display>(act: Act, done: Result<(), W>) -> Result<(), W> {
    match &done {
        Ok(()) => act.done(),
        Err(why) => act.refused(why),
    }
    done
}

/// Answers a request for a change that has begun, with how things are, or one that has not.
fn answer_change<P: Serialize>(
    site: &Site,
    begun: Result<(), Fault>,
    page: impl FnOnce() -> P,
    framing: Framing,
    output: &mut Output,
) -> Served {
    match begun {
        Ok(()) => {
            end_with_json(ResponseHead::begin(output, 202, framing, site), &page());
            Served::Answered
        }
        Err(fault) => {
            fault.print(Context::default(), framing, site, output);
            if fault.status == 400 { Served::Malformed } else { Served::Answered }
        }
    }
}

/// Requests a snapshot and prints the snapshot's status. Later requests for the status show the outcome.
pub(super) fn snapshot<E: Engine>(
    site: &Site,
    (preconditions, by): (&Preconditions, &Entrance),
    framing: Framing,
    engine: &E,
    output: &mut Output,
) {
    if !passes(site, preconditions, Current::Absent, framing, output) {
        return;
    }
    engine.snapshot();
    by.begin("ask for a snapshot").done();
    let head = ResponseHead::begin(output, 202, framing, site);
    end_with_json(head, &engine.status().snapshot);
}

fn end_with_json(head: ResponseHead<'_>, page: &impl Serialize) {
    let mut body = serde_json::to_vec(page).expect("plain data has a JSON form");
    body.push(b'\n');
    head.end_with("application/json", &body);
}
