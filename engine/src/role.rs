//! Whether a server is a member of its cluster, or follows it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a server is in its cluster.
///
/// ```
/// use niagara_engine::ServerRole;
///
/// assert_eq!("follower".parse(), Ok(ServerRole::Follower));
/// assert_eq!(ServerRole::default().to_string(), "member");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerRole {
    /// It votes, and keeps logs (`member`).
    #[default]
    Member,
    /// It executes what the members have committed and answers reads, but counts for no majority (`follower`).
    Follower,
}

/// A word that is not one of [`ServerRole`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is unknown; write \"member\" or \"follower\"")]
pub struct UnknownRole(String);

impl ServerRole {
    /// Whether it is what servers are unless their configuration says otherwise.
    pub fn is_member(&self) -> bool {
        *self == ServerRole::Member
    }
}

impl fmt::Display for ServerRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ServerRole::Member => "member",
            ServerRole::Follower => "follower",
        })
    }
}

impl FromStr for ServerRole {
    type Err = UnknownRole;

    fn from_str(word: &str) -> Result<Self, UnknownRole> {
        let all = [ServerRole::Member, ServerRole::Follower];
        all.into_iter().find(|role| role.to_string() == word).ok_or_else(|| UnknownRole(word.to_owned()))
    }
}
