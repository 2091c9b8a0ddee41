//! Whom a certificate names that the other end of a connection has shown.

use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// A certificate that one of the trusted authorities has issued.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'s>(pub(crate) &'s CertificateDer<'static>);

impl Shown<'_> {
    /// Whether it is valid for this name or address of a server.
    pub fn has_name(&self, name: &str) -> bool {
        let Ok(name) = ServerName::try_from(name) else { return false };
        ParsedCertificate::try_from(self.0).is_ok_and(|parsed| verify_server_name(&parsed, &name).is_ok())
    }

    /// The names that it is valid for, as far as they are names of hosts.
    pub fn names(&self) -> Vec<String> {
        self.parsed(|certificate| {
            let alternatives = certificate.subject_alternative_name().ok().flatten()?;
            let dns = |name: &GeneralName<'_>| {
                if let GeneralName::DNSName(name) = name { Some((*name).to_owned()) } else { None }
            };
            Some(alternatives.value.general_names.iter().filter_map(dns).collect())
        })
        .unwrap_or_default()
    }

    /// The common name of its subject, if it has exactly one.
    pub fn common_name(&self) -> Option<String> {
        self.parsed(|certificate| {
            let mut names = certificate.subject().iter_common_name();
            let name = names.next()?.as_str().ok()?.to_owned();
            names.next().is_none().then_some(name)
        })
    }

    fn parsed<T>(&self, look: impl FnOnce(&X509Certificate<'_>) -> Option<T>) -> Option<T> {
        X509Certificate::from_der(self.0).ok().and_then(|(_, certificate)| look(&certificate))
    }
}
