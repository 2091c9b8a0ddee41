//! Says for how many days certificates are still valid, as a server would take them.
//!
//! `cargo run -p niagara-tls --example expiry server-1.pem server-1.key`

use std::error::Error;
use std::time::SystemTime;

use niagara_tls::{Acceptor, ServerFiles};

fn main() -> Result<(), Box<dyn Error>> {
    let mut paths = std::env::args_os().skip(1);
    let (Some(certificate), Some(key)) = (paths.next(), paths.next()) else {
        return Err("name a certificate and its key".into());
    };
    let files = ServerFiles { certificate: certificate.into(), key: key.into(), client_ca: None };
    let acceptor = Acceptor::open(files)?;
    match acceptor.expires().duration_since(SystemTime::now()) {
        Ok(left) => println!("valid for {} days", left.as_secs() / 86_400),
        Err(ended) => println!("ended {} days ago", ended.duration().as_secs() / 86_400),
    }
    Ok(())
}
