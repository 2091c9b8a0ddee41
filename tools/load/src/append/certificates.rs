//! Certificates by which the servers of a measurement prove to each other who they are.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use niagara_engine::niagara_net::peer_name;
use niagara_tls::{Mutual, MutualFiles};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::demand::CLUSTER;
use crate::failure::Failure;

/// Makes an authority, and a certificate for each server, in a directory.
pub(super) fn make(dir: &Path, servers: u64) -> Result<(), Failure> {
    let unmade = |error: rcgen::Error| Failure::new(format!("cannot make certificates: {error}"));
    let write = |name: &str, text: String| {
        fs::write(dir.join(name), text).map_err(Failure::io("cannot write certificates"))
    };
    let key = KeyPair::generate().map_err(unmade)?;
    let mut params = CertificateParams::new(Vec::new()).map_err(unmade)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    write("ca.pem", params.self_signed(&key).map_err(unmade)?.pem())?;
    let issuer = Issuer::new(params, key);
    for server in 1..=servers {
        let key = KeyPair::generate().map_err(unmade)?;
        let params = CertificateParams::new(vec![peer_name(CLUSTER, server)]).map_err(unmade)?;
        write(&format!("{server}.pem"), params.signed_by(&key, &issuer).map_err(unmade)?.pem())?;
        write(&format!("{server}.key"), key.serialize_pem())?;
    }
    Ok(())
}

/// What a server shows, of such a directory.
pub(super) fn open(dir: &Path, server: u64) -> Result<Arc<Mutual>, Failure> {
    let at = |name: String| dir.join(name);
    let (certificate, key) = (at(format!("{server}.pem")), at(format!("{server}.key")));
    let mutual = Mutual::open(MutualFiles { ca: dir.join("ca.pem"), certificate, key });
    mutual.map(Arc::new).map_err(|error| Failure::new(error.to_string()))
}
