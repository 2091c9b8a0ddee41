//! Error replies: what went wrong, and what to do.

use std::borrow::Cow;

use niagara_engine::{Refused, Unknown};
use serde::Serialize;

use super::head_error::HeadError;
use super::respond::{Framing, ResponseHead};
use super::site::Site;
use crate::Tag;
use crate::access::{Barred, PROTECTED, PROTECTED_HINT};
use crate::protocol::{Output, SHORT};
use crate::users::Denied;

/// A reply with a status of 400 or above. Its body is JSON: `error` is a fixed word, `message` says what
/// happened, and `hint` what to do.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Fault {
    #[serde(skip)]
    pub(super) status: u16,
    pub(super) error: &'static str,
    pub(super) message: Cow<'static, str>,
    pub(super) hint: Cow<'static, str>,
    /// The first position from which a client may watch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) least: Option<u64>,
    /// Where the request is to be sent instead.
    #[serde(skip)]
    pub(super) location: Option<Box<str>>,
    /// The resource's methods.
    #[serde(skip)]
    pub(super) allow: Option<&'static str>,
    /// The client has to give the password.
    #[serde(skip)]
    pub(super) challenge: bool,
    /// The same request may succeed a second later.
    #[serde(skip)]
    pub(super) retry: bool,
}

const SHORT_OF_MEMORY: &str = "short_of_memory";

/// The ways to give the password.
const CHALLENGE: &str = "Basic realm=\"niagara\", charset=\"UTF-8\", Bearer realm=\"niagara\"";

/// The position and the key's tag in an error reply.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Context {
    pub(super) position: Option<u64>,
    pub(super) tag: Option<Tag>,
    /// The reply repeats an earlier one.
    pub(super) is_again: bool,
}

impl Fault {
    pub(super) fn new(
        status: u16,
        error: &'static str,
        message: impl Into<Cow<'static, str>>,
        hint: impl Into<Cow<'static, str>>,
    ) -> Fault {
        Fault {
            status,
            error,
            message: message.into(),
            hint: hint.into(),
            least: None,
            location: None,
            allow: None,
            challenge: false,
            retry: false,
        }
    }

    pub(super) fn bad_request(
        message: impl Into<Cow<'static, str>>,
        hint: impl Into<Cow<'static, str>>,
    ) -> Fault {
        Fault::new(400, "bad_request", message, hint)
    }

    pub(super) fn method_not_allowed(allow: &'static str) -> Fault {
        let hint = format!("use one of {allow}");
        let fault = Fault::new(405, "method_not_allowed", "this resource does not have this method", hint);
        Fault { allow: Some(allow), ..fault }
    }

    pub(super) fn barred(barred: Barred) -> Fault {
        let unauthorized = |message: &'static str| {
            let hint = "send it with `Authorization: Basic`, as the user `default` or your own, or with `Authorization: Bearer`";
            Fault { challenge: true, ..Fault::new(401, "unauthorized", message, hint) }
        };
        match barred {
            Barred::Protected => Fault::new(403, "protected", PROTECTED, PROTECTED_HINT),
            Barred::Nameless => unauthorized("this server has a password, and the request has none"),
            Barred::Wrong => unauthorized("the password is wrong, or the user is unknown or off"),
            Barred::TooOften(_) => {
                let message =
                    "too many wrong passwords came from this address, so this one was not looked at";
                let hint = "retry after a second";
                Fault { retry: true, ..Fault::new(429, "too_many_failures", message, hint) }
            }
        }
    }

    pub(super) fn forbidden(denied: &Denied) -> Fault {
        let hint = "ask an operator for the right (ACL SETUSER), or send the password of a user who has it";
        Fault::new(403, "forbidden", denied.text(), hint)
    }

    pub(super) fn misdirected(name: &str) -> Fault {
        let message = format!("this server is not called {name:?}");
        let hint = "use its address; or add the name to `names`, in [front] of its configuration file, and restart it";
        Fault::new(421, "misdirected", message, hint)
    }

    pub(super) fn foreign_page(origin: &str) -> Fault {
        let message = format!("pages of {origin:?} may change nothing here");
        let hint = "add the page's origin to `origins`, in [front] of the server's configuration file, and restart it";
        Fault::new(403, "foreign_origin", message, hint)
    }

    pub(super) fn form() -> Fault {
        let message = "this is the body of a form, which browsers send for any page";
        let hint = "send Content-Type: application/json with a body, and none without";
        Fault::new(415, "form", message, hint)
    }

    pub(super) fn unknown_method() -> Fault {
        let hint = "use GET, HEAD, PUT, DELETE, POST or OPTIONS";
        Fault::new(501, "unknown_method", "this server does not know the method", hint)
    }

    pub(super) fn header_too_large(name: &str, most: usize) -> Fault {
        let message = format!("{name} has more than {most} bytes");
        Fault::new(431, "header_too_large", message, "shorten it, or put the data into the value")
    }

    pub(super) fn no_such_key() -> Fault {
        Fault::new(404, "not_found", "the key does not exist", "create it with PUT /kv/{key}")
    }

    pub(super) fn condition_failed() -> Fault {
        let hint = "read the key again, then decide; ETag holds its current version, if the key exists";
        Fault::new(412, "precondition_failed", "the condition of the request does not hold", hint)
    }

    pub(super) fn too_large() -> Fault {
        let message = "the value is larger than 16 MiB (16777216 bytes)";
        Fault::new(413, "too_large", message, "split the value over several keys")
    }

    /// The body, a JSON object, is missing.
    pub(super) fn length_required(message: String) -> Fault {
        Fault::new(411, "length_required", message, "send a JSON object with Content-Length")
    }

    pub(super) fn no_quorum() -> Fault {
        let message = "no quorum has confirmed in time that this server is up to date";
        let hint = "retry, ask another server, or read this server's current state with ?read=weak";
        Fault { retry: true, ..Fault::new(503, "no_quorum", message, hint) }
    }

    pub(super) fn no_clock() -> Fault {
        let message = "the servers have not compared their clocks yet, by which keys expire";
        let hint = "retry; a majority of the servers must be up";
        Fault { retry: true, ..Fault::new(503, "no_clock", message, hint) }
    }

    pub(super) fn overtaken() -> Fault {
        let message = "a request behind this one in the pipeline may have been executed before it, so it cannot be \
                       answered in its place";
        Fault { retry: true, ..Fault::new(503, "no_quorum", message, "read again") }
    }

    pub(super) fn no_leases() -> Fault {
        let hint = "leave ?read=lease out; or stop all servers, set `reads = \"lease\"` in each one's file, and start them";
        Fault::new(400, "no_leases", "this cluster has no leases to read by", hint)
    }

    pub(super) fn diverged() -> Fault {
        let message =
            "this server has diverged from others, so it answers no such reads and accepts no writes";
        let hint = "ask another server; `niagara status` shows what is wrong; ?read=weak reads this server's current state";
        Fault { retry: true, ..Fault::new(503, "diverged", message, hint) }
    }

    pub(super) fn too_many_connections() -> Fault {
        let message = "the server has reached its limit of connections, or this client's address its own";
        let hint =
            "close some, or use another server; /status, /metrics, /healthz and /readyz are still served";
        Fault { retry: true, ..Fault::new(503, "too_many_connections", message, hint) }
    }

    pub(super) fn not_ready() -> Fault {
        let message = "a group has no leader, or no quorum answers";
        let hint = "see /status; this ends once a majority of the servers can reach each other";
        Fault { retry: true, ..Fault::new(503, "not_ready", message, hint) }
    }

    /// What only members can do was asked of a follower. `place` is the same resource of a member, if one is known.
    pub(super) fn follower(place: Option<String>) -> Fault {
        match place {
            Some(place) => Fault {
                location: Some(place.into()),
                ..Fault::new(
                    307,
                    "follower",
                    Refused::Follower.to_string(),
                    "send the request to the member in Location",
                )
            },
            None => Fault::refused(Refused::Follower),
        }
    }

    /// Of the server, not of a request.
    pub(super) fn draining() -> Fault {
        let message = "the server is draining: it is about to stop, and takes no more requests";
        Fault { retry: true, ..Fault::new(503, "draining", message, "use another server") }
    }

    /// There is no memory for the request.
    pub(super) fn short() -> Fault {
        let hint = "retry after a pause, or use another server; /status, /metrics, /healthz and /readyz are still served";
        Fault { retry: true, ..Fault::new(429, SHORT_OF_MEMORY, SHORT, hint) }
    }

    /// Whether it says that there is no memory.
    pub(super) fn is_short(&self) -> bool {
        self.error == SHORT_OF_MEMORY
    }

    pub(super) fn out_of_memory() -> Fault {
        let message = "keys and values take more than `maxmemory` allows, and no key may be evicted";
        let hint = "remove keys, raise the limit (CONFIG SET maxmemory), or choose another policy (CONFIG SET maxmemory-policy); \
                    reads and removals are still served";
        Fault::new(507, "out_of_memory", message, hint)
    }

    pub(super) fn unknown() -> Fault {
        let hint =
            "read the key before you repeat the request; a PUT without a condition can be repeated unchanged";
        Fault::new(504, "unknown_outcome", Unknown::Deadline.to_string(), hint)
    }

    pub(super) fn refused(refused: Refused) -> Fault {
        let (status, error, hint) = match refused {
            Refused::Diverged => return Fault::diverged(),
            Refused::NotACommand(_) => (500, "internal", "this is a bug in the server: please report it"),
            Refused::Overloaded => (429, "overloaded", "retry after a pause, with fewer requests in flight"),
            Refused::NoLeader => {
                (503, "no_leader", "retry later; see /status for the groups without a leader")
            }
            Refused::Level { .. } => {
                (409, "needs_level", "GET /level shows the level, and which servers know more")
            }
            Refused::TooLarge { .. } => (413, "too_large", "split the value over several keys"),
            Refused::ReadOnly => (
                507,
                "disk_full",
                "free space on this server's disk, or retry at another server; reads are still served",
            ),
            Refused::Follower => (503, "follower", "send it to a member: GET /members lists them"),
            _ => (503, "stopping", "retry at another server"),
        };
        Fault {
            retry: status == 429 || status == 503,
            ..Fault::new(status, error, refused.to_string(), hint)
        }
    }

    pub(super) fn head(error: HeadError) -> Fault {
        let message = error.to_string();
        match error {
            HeadError::TooLong => {
                Fault::new(431, "head_too_large", message, "use a shorter key, or fewer headers")
            }
            HeadError::TooManyHeaders => Fault::new(431, "head_too_large", message, "send fewer headers"),
            HeadError::UnknownCoding => {
                Fault::new(501, "unknown_coding", message, "send the body as it is, with Content-Length")
            }
            HeadError::UnsupportedVersion => {
                Fault::new(505, "version_not_supported", message, "send HTTP/1.1 (RFC 9112)")
            }
            HeadError::UnknownExpectation => {
                Fault::new(417, "expectation_failed", message, "send Expect: 100-continue, or none")
            }
            HeadError::Unhonoured(_) => {
                let hint = "leave it out, and send the method, target and value you mean";
                Fault::bad_request(message, hint)
            }
            HeadError::Tls => Fault::bad_request(message, "use http:// instead of https://"),
            HeadError::Malformed(_) => Fault::bad_request(message, "send HTTP/1.1 (RFC 9112)"),
        }
    }

    pub(super) fn print(&self, context: Context, framing: Framing, site: &Site, output: &mut Output) {
        let mut head = ResponseHead::begin(output, self.status, framing, site);
        if let Some(allow) = self.allow {
            head = head.header("Allow", allow);
        }
        if let Some(location) = &self.location {
            head = head.header("Location", location);
        }
        if self.challenge {
            head = head.header("WWW-Authenticate", CHALLENGE);
        }
        if self.retry {
            head = head.number("Retry-After", 1);
        }
        head = head.again(context.is_again).tag(context.tag);
        if let Some(position) = context.position {
            head = head.number("Niagara-Position", position);
        }
        let mut body = serde_json::to_vec(self).expect("texts can be written as JSON");
        body.push(b'\n');
        head.no_cache().end_with("application/json", &body);
    }
}
