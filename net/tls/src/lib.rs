//! TLS around sockets, with rustls.
//!
//! | file | holds |
//! |---|---|
//! | `stream.rs` | a connection, plain or encrypted, over a socket that blocks or does not |
//! | `acceptor.rs` | a server's certificate, replaced while it is in use |
//! | `mutual.rs` | both together, for servers that connect to each other |
//! | `connector.rs` | what a client needs: whom it trusts, and its own certificate |
//! | `shown.rs` | whom a certificate names |
//! | `files.rs` | certificates and keys in files, and what is wrong with them |
//!
//! The cryptography is that of ring, which needs neither cmake nor perl. It knows nothing of Niagara.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

mod acceptor;
mod connector;
mod files;
mod mutual;
mod shown;
mod stream;

pub use acceptor::{Acceptor, ServerFiles};
pub use connector::{ClientFiles, Connector};
pub use files::TlsFileError;
pub use mutual::{Mutual, MutualFiles};
pub use shown::Shown;
pub use stream::{NotTls, Stream};

/// The example in README.md, as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadmeDoctests;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
