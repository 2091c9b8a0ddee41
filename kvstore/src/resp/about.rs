//! What a connection knows of its client.

use bytes::Bytes;

use crate::clients::{Member, Seat};

pub(super) const BAD_NAME: &str = "ERR Client names cannot contain spaces, newlines or special characters.";

/// What a connection knows of its client.
#[derive(Debug)]
pub(crate) struct About {
    /// Its place among the other clients.
    pub(super) member: Member,
    pub(super) name: Bytes,
    pub(super) library: Library,
    /// It has said that its reads are not to count as uses of a key.
    pub(super) touches_nothing: bool,
}

/// What a client's library says of itself.
#[derive(Debug, Default)]
pub(crate) struct Library {
    pub(super) name: Bytes,
    pub(super) version: Bytes,
}

impl About {
    pub(super) fn new(member: Member) -> About {
        About { member, name: Bytes::new(), library: Library::default(), touches_nothing: false }
    }

    pub(super) fn seat(&self) -> &Seat {
        self.member.seat()
    }

    /// Forgets what the client has said of itself, as RESET does.
    pub(super) fn reset(&mut self) {
        self.name = Bytes::new();
        self.touches_nothing = false;
        self.seat().spare(false);
    }

    /// Sets the name, unless it could break a line of CLIENT LIST.
    pub(super) fn rename(&mut self, name: &[u8]) -> bool {
        let printable = is_printable(name);
        if printable {
            self.name = Bytes::copy_from_slice(name);
        }
        printable
    }
}

/// Whether a text can stand in a line of CLIENT LIST.
pub(super) fn is_printable(text: &[u8]) -> bool {
    text.iter().all(|byte| (b'!'..=b'~').contains(byte))
}
