//! `niagara certificates`: an authority for a cluster, and certificates that it issues.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use niagara_engine::niagara_net::peer_name;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use super::failure::Failure;
use super::host::parse_host;
use super::manual;
use super::output::print;
use super::serve;

/// The authority's files.
const CA: &str = "ca";
/// A certificate is valid a while before it is made, for machines whose clocks are behind.
const BEFORE: Duration = Duration::from_secs(24 * 60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Browsers and others refuse certificates that last longer.
pub const DAYS: u32 = 825;
pub const CA_DAYS: u32 = 3650;

/// Make certificates for TLS: an authority, and what it issues to servers and clients.
#[derive(Debug, Args)]
#[command(after_long_help = manual::CERTIFICATES, arg_required_else_help = true)]
pub struct CertificatesArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a new authority: DIR/ca.pem, which everybody may see, and DIR/ca.key, which nobody else may.
    #[command(after_long_help = manual::NEW_CA)]
    NewCa(NewCaArgs),
    /// Issue a certificate to a server or a client: DIR/NAME.pem and DIR/NAME.key.
    #[command(after_long_help = manual::ISSUE)]
    Issue(IssueArgs),
}

#[derive(Debug, Args)]
struct NewCaArgs {
    /// The directory, which is made if it is not there. Existing files are never overwritten.
    #[arg(long)]
    dir: PathBuf,
    /// For how many days it is valid.
    #[arg(long, value_name = "DAYS", default_value_t = CA_DAYS, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
}

#[derive(Debug, Args)]
struct IssueArgs {
    /// The directory with the authority's ca.pem and ca.key.
    #[arg(long)]
    dir: PathBuf,
    /// The names of the files, such as server-1.
    #[arg(long, value_parser = parse_name)]
    name: String,
    /// A server's names and addresses, by which clients connect to it, separated by commas. Without any, it is a
    /// client's certificate.
    #[arg(long, value_delimiter = ',', value_parser = parse_host)]
    host: Vec<String>,
    /// The configuration file of the server that it is for: other servers of its cluster know it by the certificate.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Replace the files: the server reads them while it runs.
    #[arg(long)]
    replace: bool,
    /// For how many days it is valid.
    #[arg(long, value_name = "DAYS", default_value_t = DAYS, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
}

pub fn run(arguments: &CertificatesArgs) -> Result<ExitCode, Failure> {
    let dir = match &arguments.command {
        Command::NewCa(NewCaArgs { dir, days }) => {
            new_ca(dir, *days)?;
            dir
        }
        Command::Issue(IssueArgs { dir, name, host, config, replace, days }) => {
            let peer = config.as_deref().map(serve::read).transpose()?;
            let peer = peer.map(|config| peer_name(config.engine.cluster, config.engine.server));
            issue(dir, name, &Names { hosts: host, peer }, *days, *replace)?;
            dir
        }
    };
    let name = match &arguments.command {
        Command::NewCa(_) => CA,
        Command::Issue(IssueArgs { name, .. }) => name,
    };
    let [certificate, key] = files(dir, name).map(|path| path.display().to_string());
    print(format!("{certificate}\n{key}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// A name of files.
fn parse_name(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_name = !text.is_empty() && !text.starts_with('.') && text.bytes().all(allowed);
    if is_name && text != CA { Ok(text.to_owned()) } else { Err("write a name such as server-1".into()) }
}

fn files(dir: &Path, name: &str) -> [PathBuf; 2] {
    [dir.join(format!("{name}.pem")), dir.join(format!("{name}.key"))]
}

/// Makes an authority.
pub fn new_ca(dir: &Path, days: u32) -> Result<(), Failure> {
    // Each has a name of its own, so that a certificate of one is not taken for a damaged one of another.
    let mut number = [0; 4];
    getrandom::fill(&mut number).map_err(|error| {
        Failure::new(format!("cannot get a random number from the system: {error}"), "retry")
    })?;
    let name = format!("Niagara's authority {:08x}", u32::from_le_bytes(number));
    let mut params = params(Vec::new(), &name, days)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().map_err(|error| unmade(&error))?;
    let certificate = params.self_signed(&key).map_err(|error| unmade(&error))?;
    fs::create_dir_all(dir).map_err(|error| unwritten(dir, &error))?;
    write(dir, CA, &certificate.pem(), &key.serialize_pem(), false)
}

/// Whom a certificate names.
#[derive(Clone, Debug, Default)]
pub struct Names<'h> {
    /// The names and addresses by which clients connect to a server; none: it is a client's certificate.
    pub hosts: &'h [String],
    /// The name by which other servers know it.
    pub peer: Option<String>,
}

impl Names<'_> {
    /// All of them, without brackets. A server's own machine may call it localhost, too.
    fn all(&self) -> Vec<String> {
        let local = ["localhost", "127.0.0.1", "::1"].into_iter().filter(|_| !self.hosts.is_empty());
        let mut names: Vec<String> = Vec::new();
        for name in self.hosts.iter().map(|host| bare(host)).chain(local).chain(self.peer.as_deref()) {
            if !names.iter().any(|other| other == name) {
                names.push(name.to_owned());
            }
        }
        names
    }

    /// Servers also connect to each other.
    fn purposes(&self) -> Vec<ExtendedKeyUsagePurpose> {
        let is_server = !self.hosts.is_empty() || self.peer.is_some();
        let is_client = self.hosts.is_empty() || self.peer.is_some();
        let server = is_server.then_some(ExtendedKeyUsagePurpose::ServerAuth);
        server.into_iter().chain(is_client.then_some(ExtendedKeyUsagePurpose::ClientAuth)).collect()
    }
}

/// Issues a certificate.
pub fn issue(dir: &Path, name: &str, names: &Names<'_>, days: u32, replace: bool) -> Result<(), Failure> {
    let [ca, ca_key] = files(dir, CA);
    let read = |path: &Path| {
        fs::read_to_string(path).map_err(|error| {
            let what = format!("cannot read {}: {error}", path.display());
            Failure::new(what, "name the directory of an authority; `niagara certificates new-ca` makes one")
        })
    };
    let unusable = |error: rcgen::Error| {
        let what = format!("{} and {} are no authority's: {error}", ca.display(), ca_key.display());
        Failure::new(what, "name a directory that `niagara certificates new-ca` has made")
    };
    let key = KeyPair::from_pem(&read(&ca_key)?).map_err(unusable)?;
    let issuer = Issuer::from_ca_cert_pem(&read(&ca)?, key).map_err(unusable)?;
    let mut params = params(names.all(), name, days)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = names.purposes();
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(|error| unmade(&error))?;
    let certificate = params.signed_by(&key, &issuer).map_err(|error| unmade(&error))?;
    write(dir, name, &certificate.pem(), &key.serialize_pem(), replace)
}

/// An address without the brackets of URLs.
fn bare(host: &str) -> &str {
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.filter(|inner| inner.parse::<IpAddr>().is_ok()).unwrap_or(host)
}

fn params(names: Vec<String>, common_name: &str, days: u32) -> Result<CertificateParams, Failure> {
    let mut params = CertificateParams::new(names).map_err(|error| unmade(&error))?;
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, common_name);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let at = |since: Duration| date_time_ymd(1970, 1, 1) + since;
    (params.not_before, params.not_after) = (at(now.saturating_sub(BEFORE)), at(now + DAY * days));
    Ok(params)
}

/// Writes a certificate, and its key for the owner's eyes only. A reader finds the old pair or the new one, or a pair
/// that does not fit, which servers do not take.
fn write(dir: &Path, name: &str, certificate: &str, key: &str, replace: bool) -> Result<(), Failure> {
    let all = files(dir, name);
    if let Some(there) = all.iter().find(|path| !replace && path.exists()) {
        let hint =
            "it may be in use, so it is not overwritten: choose another directory or name, or say --replace";
        return Err(Failure::new(format!("{} already exists", there.display()), hint));
    }
    for (path, (text, mode)) in all.iter().zip([(certificate, 0o644), (key, 0o600)]).rev() {
        let part = path.with_extension("part");
        let written = (|| -> io::Result<()> {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&part)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&part, path)
        })();
        written.map_err(|error| unwritten(path, &error))?;
    }
    Ok(())
}

fn unmade(error: &rcgen::Error) -> Failure {
    Failure::new(format!("cannot make a certificate: {error}"), "check the names and addresses")
}

fn unwritten(path: &Path, error: &io::Error) -> Failure {
    let what = format!("cannot write {}: {error}", path.display());
    Failure::new(what, "choose another directory with --dir")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use niagara_client::{Access, ClientFiles};

    use super::*;

    #[test]
    fn an_authority_issues_certificates_whose_keys_only_their_owner_reads() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("certificates");
        let hosts = ["h".to_owned(), "[::1]".to_owned()];
        let server = Names { hosts: &hosts, peer: Some("server-1.0.niagara".to_owned()) };
        assert_eq!(server.all(), ["h", "::1", "localhost", "127.0.0.1", "server-1.0.niagara"]);
        assert!(issue(&dir, "server-1", &server, 1, false).is_err(), "there is no authority");
        new_ca(&dir, 1).unwrap();
        assert!(new_ca(&dir, 1).unwrap_err().what.contains("already exists"));
        issue(&dir, "server-1", &server, 1, false).unwrap();
        issue(&dir, "client", &Names::default(), 1, false).unwrap();
        let before = fs::read(dir.join("server-1.pem")).unwrap();
        assert!(issue(&dir, "server-1", &server, 1, false).is_err());
        assert_eq!(fs::read(dir.join("server-1.pem")).unwrap(), before);
        issue(&dir, "server-1", &server, 1, true).unwrap();
        assert_ne!(fs::read(dir.join("server-1.pem")).unwrap(), before);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        fs::write(dir.join("other"), "").unwrap();
        let usual = mode(&dir.join("other"));
        for name in ["ca", "server-1", "client"] {
            assert_eq!(files(&dir, name).map(|path| mode(&path)), [usual & 0o644, 0o600], "{name}");
        }
        let at = |name: &str| dir.join(name);
        let files = ClientFiles {
            ca: at("ca.pem"),
            certificate: Some(at("client.pem")),
            key: Some(at("client.key")),
        };
        Access::new().certificates(&files).unwrap();
    }

    #[test]
    fn no_two_authorities_have_one_name() {
        let names: Vec<String> = (0..2)
            .map(|_| {
                let dir = tempfile::tempdir().unwrap();
                new_ca(dir.path(), 1).unwrap();
                let text = fs::read_to_string(dir.path().join("ca.pem")).unwrap();
                let key = KeyPair::generate().unwrap();
                let issuer = Issuer::from_ca_cert_pem(&text, key).unwrap();
                format!("{issuer:?}")
            })
            .collect();
        assert!(names[0].contains("Niagara's authority ") && names[0] != names[1], "{names:?}");
    }
}
