//! Where a member has the resource that a follower cannot change.

use super::fault::Fault;
use super::parse::Head;
use super::request::{Request, What};
use super::site::Site;
use crate::directory;
use crate::protocol::Engine;

/// Sends a request for a change to a member, if this server is a follower: to one that it is connected to, if possible. Where
/// clients can speak TLS to this server, they are sent to where they can do so there.
pub(super) fn redirect<E: Engine>(site: &Site, engine: &E, head: &Head<'_>, request: Request) -> Request {
    if !engine.follows() || !is_for_members(&request.what) {
        return request;
    }
    let epoch = engine.epoch();
    let (scheme, members) = match site.tls {
        Some(_) => ("https", directory::members(&epoch, &site.members_https, |note| note.https)),
        None => ("http", directory::members(&epoch, &site.members, |note| note.http)),
    };
    let connected = engine.connected();
    let is_connected = |(server, _): &&(u64, String)| connected.contains(server);
    let member = members.iter().find(is_connected).or(members.first());
    let place = member.filter(|_| head.target.starts_with('/'));
    let place = place.map(|(_, address)| format!("{scheme}://{address}{}", head.target));
    Request::refused(head, Fault::follower(place), request.framing)
}

fn is_for_members(what: &What) -> bool {
    what.changes_keys() || matches!(what, What::Change { .. })
}
