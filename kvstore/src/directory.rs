//! Where clients find the members: as the chain of epochs says, or else as this server's file does.

use niagara_engine::{EpochView, ServerId};
use serde::{Deserialize, Serialize};

/// A member's addresses for clients, as `host:port`. The engine carries it as text, as the member's note.
///
/// ```
/// use niagara_kvstore::Note;
///
/// let note = Note { http: Some("10.0.0.4:7000".into()), ..Note::default() };
/// assert_eq!(Note::parse(&note.to_text()), note);
/// assert_eq!(Note::parse("no note"), Note::default());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// For HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// For HTTP with TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https: Option<String>,
    /// For the Redis protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<String>,
}

impl Note {
    /// As the engine carries it.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("plain data has a JSON form")
    }

    /// What a text says; nothing, if it is none of these.
    pub fn parse(text: &str) -> Note {
        serde_json::from_str(text).unwrap_or_default()
    }
}

/// The members of an epoch with the addresses that `pick` finds in their notes, or that the file says.
pub(crate) fn members<T: Clone>(
    epoch: &EpochView,
    configured: &[(ServerId, T)],
    pick: impl Fn(Note) -> Option<T>,
) -> Vec<(ServerId, T)> {
    // A server that knows no epoch yet.
    if epoch.members.is_empty() {
        return configured.to_vec();
    }
    let address = |server: &ServerId| {
        let contact = epoch.contacts.iter().find(|contact| contact.server == *server);
        let told = contact.and_then(|contact| pick(Note::parse(&contact.note)));
        let known =
            || configured.iter().find(|(member, _)| member == server).map(|(_, address)| address.clone());
        Some((*server, told.or_else(known)?))
    };
    epoch.members.iter().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use niagara_engine::MemberView;

    use super::*;

    #[test]
    fn the_chain_comes_before_the_file() {
        let configured = [(1, "a".to_owned()), (2, "b".to_owned())];
        let http = |note: Note| note.http;
        let mut epoch = EpochView::default();
        assert_eq!(members(&epoch, &configured, http), configured);
        epoch.members = vec![1, 3, 4];
        let note = Note { http: Some("c".into()), ..Note::default() }.to_text();
        epoch.contacts = vec![MemberView { server: 3, note, ..MemberView::default() }];
        assert_eq!(members(&epoch, &configured, http), [(1, "a".into()), (3, "c".into())]);
    }
}
