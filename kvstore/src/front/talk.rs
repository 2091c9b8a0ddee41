//! A session of either protocol.

use super::session::Session;
use crate::http::HttpConnection;
use crate::resp::RespConnection;

/// One client's session.
pub(super) enum Talk<L> {
    Redis(Session<RespConnection, L>),
    Http(Session<HttpConnection, L>),
}

/// Calls the same method of either session.
macro_rules! either {
    ($talk:expr, $session:ident => $call:expr) => {
        match $talk {
            $crate::front::talk::Talk::Redis($session) => $call,
            $crate::front::talk::Talk::Http($session) => $call,
        }
    };
}

pub(super) use either;
