//! What a request asks for. How that is found out is in `understanding`.

mod body;
mod understanding;

use std::num::NonZeroU64;

use niagara_engine::Consistency;

use self::understanding::understand;
use super::change::Change;
use super::description::OwnDescription;
use super::fault::Fault;
use super::idempotency;
use super::listing::ListRequest;
use super::page::Page;
use super::parameters::Freshness;
use super::parse::{Body, Head};
use super::preconditions::Preconditions;
use super::respond::Framing;
use super::transaction::Timed;
use super::watch::WatchRequest;
use crate::command::Condition;

/// A valid request, apart from its body.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) what: What,
    /// Its Idempotency-Key.
    pub(super) once: Option<Box<[u8]>>,
    pub(super) framing: Framing,
}

#[derive(Debug)]
pub(super) enum What {
    Put {
        key: Vec<u8>,
        condition: Condition,
        description: OwnDescription,
        /// How long the key lasts, in milliseconds.
        lasts: Option<NonZeroU64>,
    },
    Delete {
        key: Vec<u8>,
        condition: Condition,
    },
    Get {
        key: Vec<u8>,
        freshness: Freshness,
        preconditions: Preconditions,
    },
    /// A page of keys.
    List {
        request: ListRequest,
        preconditions: Preconditions,
    },
    /// Changes of keys.
    Watch {
        request: WatchRequest,
        preconditions: Preconditions,
    },
    /// A page about the server.
    Page {
        page: Page,
        preconditions: Preconditions,
    },
    /// Something about the cluster is to change, as the body says.
    Change {
        what: Change,
        preconditions: Preconditions,
    },
    /// A transaction, in the body.
    Transaction {
        /// Known once the body has arrived.
        timed: Timed,
        preconditions: Preconditions,
    },
    /// A snapshot was requested.
    Snapshot {
        preconditions: Preconditions,
    },
    /// The methods that there are.
    Options(&'static str),
    /// The same, and what a script of another origin may send.
    Preflight(&'static str),
    Fail(Fault),
}

impl What {
    /// Whether it takes memory in proportion to what clients have stored, or are about to.
    pub(super) fn takes_memory(&self) -> bool {
        matches!(
            self,
            What::Put { .. }
                | What::Delete { .. }
                | What::Get { .. }
                | What::List { .. }
                | What::Watch { .. }
                | What::Transaction { .. }
        )
    }
}

impl Request {
    /// A request that cannot be served. What follows it in the stream may be its body, so the connection ends
    /// with it.
    pub(super) fn fail(fault: Fault, framing: Framing) -> Request {
        Request { what: What::Fail(fault), once: None, framing: Framing { keep_alive: false, ..framing } }
    }

    /// The connection's only request, which is for a page about the server, or is refused.
    pub(super) fn for_a_page(self) -> Request {
        let framing = Framing { keep_alive: false, ..self.framing };
        match self.what {
            What::Page { .. } | What::Fail(_) => Request { framing, ..self },
            _ => Request::fail(Fault::too_many_connections(), framing),
        }
    }

    pub(super) fn of(head: &Head<'_>) -> Request {
        let framing = Framing {
            minor: head.minor,
            keep_alive: head.keep_alive,
            head_only: head.method == "HEAD",
            page: None,
        };
        let understood = understand(head).and_then(|what| {
            what.check_body(head.body)?;
            let once = idempotency::key(head, what.changes_keys())?;
            Ok((what, once))
        });
        match understood {
            Ok((what, once)) => Request { what, once, framing },
            Err(fault) => Request::refused(head, fault, framing),
        }
    }

    /// A request that gets an error. If nothing follows it, the connection goes on.
    pub(super) fn refused(head: &Head<'_>, fault: Fault, framing: Framing) -> Request {
        match head.body {
            Body::Absent if head.method != "CONNECT" => {
                Request { what: What::Fail(fault), once: None, framing }
            }
            _ => Request::fail(fault, framing),
        }
    }
}

impl What {
    /// Whether it may change keys.
    pub(super) fn changes_keys(&self) -> bool {
        matches!(self, What::Put { .. } | What::Delete { .. } | What::Transaction { .. })
    }

    /// Whether the reply may have a fresh tag, so that the state needs a life. A server that is ready has a
    /// life, so reads write nothing from then on.
    pub(super) fn needs_life(&self) -> bool {
        match self {
            What::Put { .. } | What::Transaction { .. } | What::Watch { .. } => true,
            What::Delete { condition, .. } => *condition != Condition::Always,
            What::Get { freshness, .. } | What::List { request: ListRequest { freshness, .. }, .. } => {
                freshness.consistency == Consistency::Strong
            }
            What::Page { page, .. } => *page == Page::Readyz,
            What::Change { .. }
            | What::Snapshot { .. }
            | What::Options(_)
            | What::Preflight(_)
            | What::Fail(_) => false,
        }
    }
}
