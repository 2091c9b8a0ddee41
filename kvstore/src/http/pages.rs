//! Pages about the server, and requests for snapshots.

use std::net::SocketAddr;

use niagara_engine::{ServerId, Status};
use serde::Serialize;

use super::exposition::prometheus_text;
use super::fault::{Context, Fault};
use super::groups::GroupsPage;
use super::media_type::Exposition;
use super::members::MembersPage;
use super::openapi;
use super::page::Page;
use super::preconditions::{Preconditions, Verdict};
use super::respond::{Framing, ResponseHead};
use super::site::Site;
use super::tags::Current;
use crate::access::Entrance;
use crate::directory;
use crate::protocol::{Engine, Output};

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
    end_with_page(head, page, site, engine);
}

/// Ends a reply with a page.
pub(super) fn end_with_page<E: Engine>(head: ResponseHead<'_>, page: Page, site: &Site, engine: &E) {
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
