//! Writes a key, reads it back from every server, and deletes it:
//!
//!     cargo run -p niagara-client --example greeting -- http://127.0.0.1:7000,http://127.0.0.1:7010

use std::process::ExitCode;

use niagara_client::{Cluster, DEFAULT_URL, Endpoint, Failed};

fn main() -> ExitCode {
    let urls = std::env::args().nth(1).unwrap_or_else(|| DEFAULT_URL.to_owned());
    match run(&urls) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(urls: &str) -> Result<(), Box<dyn std::error::Error>> {
    let cluster: Cluster = urls.parse()?;
    match cluster.put(b"greeting", b"hello") {
        Ok(written) => println!("written at position {}", written.position),
        // Sending this write again would have the same effect. Check the key first before you repeat a
        // conditional one.
        Err(failed @ Failed::Unknown(_)) => println!("{failed}"),
        Err(failed @ Failed::Refused(_)) => return Err(failed.into()),
    }
    for url in urls.split(',') {
        let found = Cluster::new([url.parse::<Endpoint>()?]).get(b"greeting")?;
        let value = found.map(|found| String::from_utf8_lossy(&found.value).into_owned());
        println!("{url} reads {value:?}");
    }
    println!("deleted at position {}", cluster.delete(b"greeting")?.position);
    Ok(())
}
