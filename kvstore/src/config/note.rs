//! Where the clients of a member find it: what its servers' files say, and later the chain of epochs.

use serde::{Deserialize, Serialize};

/// A member's addresses for clients, as `host:port`. The engine carries it as text, as the member's note.
///
/// ```
/// use niagara_kvstore::config::Note;
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
