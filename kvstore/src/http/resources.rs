//! The resources of a server, and what can be done with each: the table behind `/openapi.json`. A test drives a server by it, and
//! compares it with the list in `docs/http.md`.

/// A resource.
#[derive(Debug)]
pub(super) struct Resource {
    /// With `{key}` for a key.
    pub(super) path: &'static str,
    pub(super) operations: &'static [Operation],
}

/// A method of a resource.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) method: &'static str,
    /// A name among all operations.
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) parameters: &'static [Parameter],
    pub(super) body: Option<Content>,
    /// By status; those that any request may get are left out.
    pub(super) replies: &'static [Answer],
}

/// A part of a request besides its body.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) place: Place,
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// The JSON schema of its value.
    pub(super) schema: &'static str,
    /// A value that works.
    pub(super) example: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Header,
}

/// What a body holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Content {
    pub(super) media_type: &'static str,
    pub(super) schema: &'static str,
    /// A body that works; empty for a reply.
    pub(super) example: &'static str,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) about: &'static str,
    pub(super) content: Option<Content>,
    pub(super) headers: &'static [&'static str],
}

const TEXT: &str = r#"{"type":"string"}"#;
const NUMBER: &str = r#"{"type":"integer","minimum":0}"#;
const FLAG: &str = r#"{"type":"boolean"}"#;
const ANYTHING: &str = r#"{"type":"object"}"#;
const BYTES: &str = "{}";

const fn reply(media_type: &'static str, schema: &'static str) -> Content {
    Content { media_type, schema, example: "" }
}

const JSON: Option<Content> = Some(reply("application/json", ANYTHING));
const PLAIN: Option<Content> = Some(reply("text/plain", TEXT));
const ERROR: Option<Content> = Some(reply("application/json", r##"{"$ref":"#/components/schemas/Error"}"##));

const POSITION: &[&str] = &["Niagara-Position"];
const VERSIONED: &[&str] = &["Niagara-Position", "ETag"];

const fn answer(
    status: u16,
    about: &'static str,
    content: Option<Content>,
    headers: &'static [&'static str],
) -> Answer {
    Answer { status, about, content, headers }
}

const fn parameter(
    place: Place,
    name: &'static str,
    about: &'static str,
    schema: &'static str,
    example: &'static str,
) -> Parameter {
    Parameter { place, name, about, schema, example }
}

const KEY: Parameter =
    parameter(Place::Path, "key", "The key, percent-encoded: any bytes, up to 64 KiB.", TEXT, "greeting");
const READ: Parameter = parameter(
    Place::Query,
    "read",
    "How fresh: strong (the default), lease, weak, or at-least:POSITION.",
    TEXT,
    "strong",
);
const TTL: Parameter =
    parameter(Place::Query, "ttl", "In how many seconds the key expires; 1500ms is 1.5.", TEXT, "60");
const ONCE: Parameter = parameter(
    Place::Header,
    "Idempotency-Key",
    "Executes the request once, however often it is sent.",
    r#"{"type":"string","minLength":1,"maxLength":256}"#,
    "6f1c0a52-8a3e-4a0e-9d0c-0d6f3c1f7b11",
);
const IF_MATCH: Parameter =
    parameter(Place::Header, "If-Match", "Only if the key has one of these versions, or any: *.", TEXT, "*");
const IF_NONE_MATCH: Parameter = parameter(
    Place::Header,
    "If-None-Match",
    "Only if the key has none of these versions, or is absent: *.",
    TEXT,
    "\"1-1\"",
);
const PREFIX: Parameter = parameter(Place::Query, "prefix", "What the keys begin with.", TEXT, "greet");
const VALUES: Parameter = parameter(Place::Query, "values", "Whether values are told, too.", FLAG, "true");

const CONDITION_FAILED: Answer = answer(412, "A condition does not hold.", ERROR, &[]);
const NO_KEY: Answer = answer(404, "The key does not exist.", ERROR, POSITION);
const UNKNOWN: Answer = answer(504, "The outcome is unknown.", ERROR, &[]);
const KEY_REUSED: Answer = answer(422, "Another request has had this Idempotency-Key.", ERROR, &[]);
const UNCHANGED: Answer = answer(304, "Not modified.", None, &["ETag"]);

/// All of them, in the order of the documentation.
pub(super) static RESOURCES: [Resource; 14] = [
    Resource {
        path: "/kv/{key}",
        operations: &[
            Operation {
                method: "GET",
                id: "getKey",
                summary: "Returns the value of a key.",
                parameters: &[KEY, READ, IF_NONE_MATCH],
                body: None,
                replies: &[
                    answer(200, "The value.", Some(reply("*/*", BYTES)), VERSIONED),
                    UNCHANGED,
                    NO_KEY,
                    CONDITION_FAILED,
                ],
            },
            Operation {
                method: "PUT",
                id: "putKey",
                summary: "Sets the value of a key.",
                parameters: &[KEY, TTL, IF_NONE_MATCH, ONCE],
                body: Some(Content { media_type: "*/*", schema: BYTES, example: "hello" }),
                replies: &[
                    answer(200, "The value is replaced.", None, VERSIONED),
                    answer(201, "The key is new.", None, VERSIONED),
                    CONDITION_FAILED,
                    KEY_REUSED,
                    UNKNOWN,
                ],
            },
            Operation {
                method: "DELETE",
                id: "deleteKey",
                summary: "Removes a key.",
                parameters: &[KEY, IF_MATCH, ONCE],
                body: None,
                replies: &[
                    answer(200, "The key is removed.", None, POSITION),
                    NO_KEY,
                    CONDITION_FAILED,
                    KEY_REUSED,
                    UNKNOWN,
                ],
            },
        ],
    },
    Resource {
        path: "/kv",
        operations: &[Operation {
            method: "GET",
            id: "listKeys",
            summary: "Lists the keys with a prefix, page by page.",
            parameters: &[
                PREFIX,
                parameter(
                    Place::Query,
                    "limit",
                    "The most keys on the page.",
                    r#"{"type":"integer","minimum":1,"maximum":1000}"#,
                    "10",
                ),
                parameter(Place::Query, "after", "What `next` was on the page before.", TEXT, "0"),
                VALUES,
                READ,
            ],
            body: None,
            replies: &[answer(
                200,
                "The page.",
                Some(reply("application/json", r##"{"$ref":"#/components/schemas/Page"}"##)),
                POSITION,
            )],
        }],
    },
    Resource {
        path: "/txn",
        operations: &[Operation {
            method: "POST",
            id: "transact",
            summary: "Compares keys, then puts, gets and deletes, all at one position.",
            parameters: &[ONCE],
            body: Some(Content {
                media_type: "application/json",
                schema: r##"{"$ref":"#/components/schemas/Transaction"}"##,
                example: r#"{"compare":[{"key":"greeting","exists":true}],"then":[{"get":{"key":"greeting"}}]}"#,
            }),
            replies: &[
                answer(200, "What was executed.", JSON, POSITION),
                answer(413, "The transaction is too large.", ERROR, &[]),
                KEY_REUSED,
                UNKNOWN,
            ],
        }],
    },
    Resource {
        path: "/watch",
        operations: &[Operation {
            method: "GET",
            id: "watchKeys",
            summary: "Tells each change of the keys with a prefix, in a reply without an end.",
            parameters: &[
                PREFIX,
                parameter(Place::Query, "from", "The position to begin with.", NUMBER, "1"),
                parameter(
                    Place::Query,
                    "after",
                    "The `id` of the last change or heartbeat seen.",
                    TEXT,
                    "1.0",
                ),
                VALUES,
                parameter(
                    Place::Query,
                    "heartbeat",
                    "Seconds between heartbeats.",
                    r#"{"type":"integer","minimum":1,"maximum":60}"#,
                    "10",
                ),
                parameter(
                    Place::Header,
                    "Accept",
                    "application/x-ndjson: lines instead of events.",
                    TEXT,
                    "text/event-stream",
                ),
            ],
            body: None,
            replies: &[
                answer(200, "The changes.", Some(reply("text/event-stream", TEXT)), &[]),
                answer(410, "The changes from there on are not kept any more.", ERROR, &[]),
            ],
        }],
    },
    Resource {
        path: "/status",
        operations: &[Operation {
            method: "GET",
            id: "status",
            summary: "Returns the state of the server and its groups.",
            parameters: &[],
            body: None,
            replies: &[answer(200, "The status.", JSON, &[])],
        }],
    },
    Resource {
        path: "/groups",
        operations: &[
            Operation {
                method: "GET",
                id: "groups",
                summary: "Returns the epoch, and its groups.",
                parameters: &[],
                body: None,
                replies: &[answer(200, "The epoch.", JSON, &[])],
            },
            Operation {
                method: "POST",
                id: "changeGroups",
                summary: "Asks for another number of groups.",
                parameters: &[],
                body: Some(Content {
                    media_type: "application/json",
                    schema: r#"{"type":"object","required":["groups"],"properties":{"groups":{"type":"integer","minimum":1}}}"#,
                    example: r#"{"groups":2}"#,
                }),
                replies: &[
                    answer(202, "The epoch is about to end.", JSON, &[]),
                    answer(
                        409,
                        "This server leads no group, or the epoch is about to end already.",
                        ERROR,
                        &[],
                    ),
                ],
            },
        ],
    },
    Resource {
        path: "/level",
        operations: &[
            Operation {
                method: "GET",
                id: "level",
                summary: "Returns the cluster's level, and the highest that each member knows.",
                parameters: &[],
                body: None,
                replies: &[answer(200, "The level.", JSON, &[])],
            },
            Operation {
                method: "POST",
                id: "raiseLevel",
                summary: "Asks for a higher level.",
                parameters: &[],
                body: Some(Content {
                    media_type: "application/json",
                    schema: r#"{"type":"object","required":["level"],"properties":{"level":{"type":"integer","minimum":1}}}"#,
                    example: r#"{"level":2}"#,
                }),
                replies: &[
                    answer(202, "The epoch is about to end, and the next one has the level.", JSON, &[]),
                    answer(
                        400,
                        "A member does not know the level, or the cluster is at a higher one.",
                        ERROR,
                        &[],
                    ),
                    answer(
                        409,
                        "A member is not connected, this server leads no group, or the epoch is about to end already.",
                        ERROR,
                        &[],
                    ),
                ],
            },
        ],
    },
    Resource {
        path: "/members",
        operations: &[
            Operation {
                method: "GET",
                id: "members",
                summary: "Returns the cluster's id, the epoch, and its members.",
                parameters: &[],
                body: None,
                replies: &[answer(200, "The members.", JSON, &[])],
            },
            Operation {
                method: "POST",
                id: "changeMembers",
                summary: "Asks for other members: some leave, some come, some move.",
                parameters: &[],
                body: Some(Content {
                    media_type: "application/json",
                    schema: r#"{"type":"object","properties":{"leave":{"type":"array","items":{"type":"integer","minimum":1}},"come":{"type":"array","items":{"type":"object","required":["server","addresses","transfer"],"properties":{"server":{"type":"integer","minimum":1},"addresses":{"type":"array","items":{"type":"string"}},"transfer":{"type":"string"},"weight":{"type":"integer","minimum":0},"note":{"type":"string"}}}}}}"#,
                    example: r#"{"leave":[2],"come":[{"server":4,"addresses":["10.0.0.4:7002"],"transfer":"10.0.0.4:7003"}]}"#,
                }),
                replies: &[
                    answer(202, "The request is on its way.", JSON, &[]),
                    answer(
                        409,
                        "This server leads no group, the epoch is about to end already, or too few members are up.",
                        ERROR,
                        &[],
                    ),
                ],
            },
        ],
    },
    Resource {
        path: "/leaders",
        operations: &[
            Operation {
                method: "GET",
                id: "leaders",
                summary: "Returns who leads which group.",
                parameters: &[],
                body: None,
                replies: &[answer(200, "The leaders.", JSON, &[])],
            },
            Operation {
                method: "POST",
                id: "changeLeaders",
                summary: "Asks this server to move, leave, drain or balance leaderships.",
                parameters: &[],
                body: Some(Content {
                    media_type: "application/json",
                    schema: r#"{"type":"object","minProperties":1,"maxProperties":1}"#,
                    example: r#"{"balance":{}}"#,
                }),
                replies: &[
                    answer(202, "It has begun.", JSON, &[]),
                    answer(404, "There is no such group or server.", ERROR, &[]),
                    answer(409, "The leadership cannot move.", ERROR, &[]),
                ],
            },
        ],
    },
    Resource {
        path: "/healthz",
        operations: &[Operation {
            method: "GET",
            id: "healthz",
            summary: "Answers while the server runs.",
            parameters: &[],
            body: None,
            replies: &[answer(200, "It runs.", PLAIN, &[])],
        }],
    },
    Resource {
        path: "/readyz",
        operations: &[Operation {
            method: "GET",
            id: "readyz",
            summary: "Says whether the server can serve reads and writes.",
            parameters: &[],
            body: None,
            replies: &[answer(200, "It can.", PLAIN, &[])],
        }],
    },
    Resource {
        path: "/metrics",
        operations: &[Operation {
            method: "GET",
            id: "metrics",
            summary: "Returns metrics for Prometheus.",
            parameters: &[],
            body: None,
            replies: &[answer(200, "The metrics.", PLAIN, &[])],
        }],
    },
    Resource {
        path: "/snapshot",
        operations: &[Operation {
            method: "POST",
            id: "snapshot",
            summary: "Requests a snapshot.",
            parameters: &[],
            body: None,
            replies: &[answer(202, "It was requested; the status shows the outcome.", JSON, &[])],
        }],
    },
    Resource {
        path: "/openapi.json",
        operations: &[Operation {
            method: "GET",
            id: "openapi",
            summary: "Returns this description.",
            parameters: &[],
            body: None,
            replies: &[answer(200, "The description.", JSON, &[])],
        }],
    },
];

/// The answer of a follower to requests for changes.
pub(super) static ELSEWHERE: Answer = answer(
    307,
    "This server is a follower: without effect, and to be sent to the member in Location.",
    ERROR,
    &["Location"],
);

/// The replies that any request may get.
pub(super) static ANYWHERE: [Answer; 5] = [
    answer(400, "The request is not understood.", ERROR, &[]),
    answer(401, "The password is missing or wrong.", ERROR, &["WWW-Authenticate"]),
    answer(403, "The user, or this web page, may not do that.", ERROR, &[]),
    answer(429, "Overloaded: without effect, and may be sent again.", ERROR, &["Retry-After"]),
    answer(
        503,
        "Cannot serve now: without effect, and another server may serve it.",
        ERROR,
        &["Retry-After"],
    ),
];
