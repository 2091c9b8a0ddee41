//! Who may use this server: by which names it is called, which web pages may ask it, and who knows a password. What a user
//! may do then is in [`users`](crate::users).
//!
//! | file | holds |
//! |---|---|
//! | `names.rs` | the names and origins that a request over HTTP may come with |
//! | `secret.rs` | the password, as its digest |
//! | `network.rs` | what counts as one address |
//! | `attempts.rs` | how often an address has failed to say it |
//! | `guard.rs` | the rules together, for all connections of a server |
//! | `entrance.rs` | how far one connection has come |
//!
//! It knows no protocol: [`resp`](crate::resp) and [`http`](crate::http) say the same things in different words.

mod attempts;
mod entrance;
mod guard;
mod names;
mod network;
mod secret;

pub(crate) use entrance::Entrance;
pub(crate) use guard::{Barred, Guard, GuardCollector, PROTECTED, PROTECTED_HINT};
pub(crate) use names::{Names, OriginKind, is_origin};
pub(crate) use network::network_of;
pub use secret::{NotASecret, Secret};

/// Who may use a server.
///
/// ```
/// use niagara_kvstore::AccessConfig;
///
/// let access = AccessConfig { password: Some("correct horse".parse()?), ..AccessConfig::default() };
/// assert!(!format!("{access:?}").contains("horse"));
/// # Ok::<(), niagara_kvstore::NotASecret>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct AccessConfig {
    /// The password that clients have to give. Without one, only clients of this machine are served, and those
    /// that a certificate names.
    pub password: Option<Secret>,
    /// The password of the user `niagara.rescue`, who may do everything, whatever the users' rights are: the way back for an
    /// operator who has locked himself out.
    pub rescue_password: Option<Secret>,
    /// Serves clients of other machines although there is no password, and lets servers speak to each other without TLS.
    pub insecure: bool,
    /// The client of a certificate is the user whose name is the common name of the certificate's subject.
    pub users_by_certificate: bool,
    /// Names by which HTTP clients call this server, without ports. Those of the loopback, addresses, and the name of
    /// the machine need not be among them.
    pub names: Vec<String>,
    /// Origins of web pages whose scripts may use this server, such as `https://app.example.org`.
    pub origins: Vec<String>,
}
