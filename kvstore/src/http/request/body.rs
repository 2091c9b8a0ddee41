//! Which requests have a body, and how long it may be.

use super::What;
use crate::command::MAX_VALUE_BYTES;
use crate::http::fault::Fault;
use crate::http::parse::Body;
use crate::http::transaction;

impl What {
    /// The longest body that it may have, in bytes; `None`: it has none.
    pub(in crate::http) fn longest_body(&self) -> Option<usize> {
        match self {
            What::Put { .. } => Some(MAX_VALUE_BYTES),
            What::Change { what, .. } => Some(what.longest_body()),
            What::Transaction { .. } => Some(transaction::MAX_BYTES),
            _ => None,
        }
    }

    /// Its body is longer than the longest.
    pub(in crate::http) fn too_large(&self) -> Fault {
        match self {
            What::Put { .. } => Fault::too_large(),
            What::Change { what, .. } => what.too_large(),
            What::Transaction { .. } => Fault::transaction_too_large(),
            _ => panic!("only what has a body has one that is too large: {self:?}"),
        }
    }

    /// Whether it may have this body; its end must be known.
    pub(super) fn check_body(&self, body: Body) -> Result<(), Fault> {
        match (self.longest_body(), body) {
            (None, Body::Absent | Body::Length(0)) => Ok(()),
            (None, _) => {
                let message =
                    "only a PUT, and a POST to /txn, /leaders, /groups, /level and /members, has a body";
                Err(Fault::bad_request(message, "leave it out"))
            }
            (Some(_), Body::Absent) => Err(self.without_body()),
            (Some(most), Body::Length(length)) if length > most as u64 => Err(self.too_large()),
            (Some(_), _) => Ok(()),
        }
    }

    fn without_body(&self) -> Fault {
        match self {
            What::Put { .. } => {
                let hint = "send Content-Length, 0 for an empty value";
                Fault::new(411, "length_required", "a PUT must give the length of its body", hint)
            }
            What::Change { what, .. } => what.without_body(),
            _ => Fault::length_required("a transaction has a body".into()),
        }
    }
}
