//! A session of either protocol.

use super::session::Session;
use crate::http::HttpConnection;
use crate::resp::RespConnection;

/// One client's session.
pub(super) enum ClientSession<L> {
    Redis(Session<RespConnection, L>),
    Http(Session<HttpConnection, L>),
}

/// Calls the same method of either session.
macro_rules! either {
    ($talk:expr, $session:ident => $call:expr) => {
        match $talk {
            $crate::front::client_session::ClientSession::Redis($session) => $call,
            $crate::front::client_session::ClientSession::Http($session) => $call,
        }
    };
}

pub(super) use either;
