//! A cluster with certificates and a password, by the commands of docs/security.md.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use niagara_kvstore::config::ConfigFile;
use rustix::process::Signal;

use crate::process::{Finished, run};
use crate::servers::{Cluster, text};

/// A server's ports for clients that speak TLS.
fn encrypted(cluster: &Cluster, server: u64) -> (String, String) {
    let tls = ConfigFile::read(cluster.file(server)).unwrap().server.front.tls.unwrap();
    (format!("https://{}", tls.http), format!("rediss://{}", tls.redis))
}

fn at(cluster: &Cluster, name: &str) -> String {
    text(&cluster.dir.path().join(name)).to_owned()
}

/// What a program says, if this machine has it.
fn other(program: &str, arguments: &[&str]) -> Option<String> {
    match Command::new(program).args(arguments).output() {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(error) => {
            eprintln!("without {program}: {error}");
            None
        }
    }
}

#[test]
fn a_cluster_with_certificates_and_a_password_serves_who_has_both() {
    let elsewhere = tempfile::tempdir().unwrap();
    let password = text(&elsewhere.path().join("operator.password")).to_owned();
    let mut cluster = Cluster::start_with(1, 1, &["--tls", "--password-file", &password]);
    let (https, rediss) = encrypted(&cluster, 1);
    let ca = at(&cluster, "certificates/ca.pem");

    let as_operator = |arguments: &[&str]| -> Finished {
        run(arguments.iter().chain(&["--at", &https, "--ca", &ca, "--password-file", &password]).copied())
    };
    let written = cluster.run_when_ready(&["put", "greeting", "hello", "--password-file", &password]);
    assert_eq!(written.status, Some(0), "{written:?}");
    assert_eq!(as_operator(&["get", "greeting"]).stdout, b"hello");
    assert!(as_operator(&["status"]).text().contains(&https));
    assert_eq!(as_operator(&["leaders"]).status, Some(0));

    // Without one of both.
    let nameless = run(["get", "greeting", "--at", &https, "--ca", &ca]);
    assert!(nameless.status == Some(3) && nameless.stderr.contains("has a password"), "{nameless:?}");
    let trusting = run(["get", "greeting", "--at", &https, "--password-file", &password]);
    assert!(trusting.status == Some(3) && trusting.stderr.contains("--ca FILE"), "{trusting:?}");
    let plain = https.replace("https://", "http://");
    let plain = run(["get", "greeting", "--at", &plain, "--password-file", &password]);
    assert!(plain.status == Some(3) && plain.stderr.contains("speaks TLS"), "{plain:?}");

    // Export and import.
    let lines = cluster.dir.path().join("lines");
    fs::write(&lines, "{\"key\":\"imported\",\"value\":\"too\"}\n").unwrap();
    let import = ["snapshot", "import", "--merge", text(&lines), "--at", &rediss, "--ca", &ca];
    assert_eq!(run(import.iter().chain(&["--password-file", &password]).copied()).status, Some(0));
    assert_eq!(as_operator(&["get", "imported"]).stdout, b"too");

    let user = format!("default:{}", fs::read_to_string(&password).unwrap().trim_end());
    let url = format!("{https}/kv/greeting");
    if let Some(said) = other("curl", &["-s", "--cacert", &ca, "-u", &user, &url]) {
        assert_eq!(said, "hello");
        let said = other("curl", &["-s", "--cacert", &ca, &url]).unwrap();
        assert!(said.contains("unauthorized"), "{said}");
    }

    // A certificate is replaced while the server runs; one that is no good is not taken.
    let certificate = cluster.dir.path().join("certificates/server-1.pem");
    fs::write(&certificate, "nonsense").unwrap();
    cluster.servers[0].signal(Signal::HUP);
    cluster.servers[0].wait_for("the certificate that was in use stays so");
    assert_eq!(as_operator(&["get", "greeting"]).stdout, b"hello");
    let dir = at(&cluster, "certificates");
    let issue =
        ["certificates", "issue", "--dir", &dir, "--name", "server-1", "--host", "127.0.0.1", "--replace"];
    assert_eq!(run(issue).status, Some(0));
    cluster.servers[0].wait_for("new connections are shown the certificate");
    assert_eq!(as_operator(&["get", "greeting"]).stdout, b"hello");

    let server = cluster.servers.remove(0);
    assert_eq!(server.end_with(Signal::TERM).0.code(), Some(0));
}

/// Servers prove to each other who they are, and one that has another one's certificate stays out.
#[test]
fn servers_speak_only_with_those_that_their_certificates_name() {
    let mut cluster = Cluster::start_with(3, 2, &["--tls"]);
    let written = cluster.run_when_ready(&["put", "greeting", "hello"]);
    assert_eq!(written.status, Some(0), "{written:?}");

    let second = cluster.servers.remove(1);
    assert_eq!(second.end_with(Signal::TERM).0.code(), Some(0));
    let (dir, third) = (at(&cluster, "certificates"), text(&cluster.file(3)).to_owned());
    let issue =
        ["certificates", "issue", "--dir", &dir, "--name", "server-2", "--config", &third, "--replace"];
    assert_eq!(run(issue).status, Some(0));
    let stranger = cluster.serve(2);
    // The third server dials it, and it dials the first one.
    cluster.servers[1].wait_for("do not trust each other's certificates");
    cluster.servers[0].wait_for("the certificate of server 2 has to be for server-2.");
    assert_eq!(cluster.run_when_ready(&["get", "greeting"]).stdout, b"hello", "the others go on");

    drop(stranger);
    let second = text(&cluster.file(2)).to_owned();
    let issue = [
        "certificates",
        "issue",
        "--dir",
        &dir,
        "--name",
        "server-2",
        "--config",
        &second,
        "--host",
        "127.0.0.1",
    ];
    assert_eq!(run(issue.into_iter().chain(["--replace"])).status, Some(0));
    let mut again = cluster.serve(2);
    again.wait_for("connected");
    cluster.servers.push(again);
}

#[test]
fn a_command_is_the_user_that_it_names() {
    let cluster = Cluster::start(1, 1);
    assert_eq!(cluster.run_when_ready(&["put", "greeting", "hello"]).status, Some(0));
    let redis = ConfigFile::read(cluster.file(1)).unwrap().server.front.redis;
    let mut operator = TcpStream::connect(redis).unwrap();
    operator.write_all(b"ACL SETUSER alice on >secret ~* +get\r\n").unwrap();
    let mut answer = [0; 5];
    operator.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+OK\r\n");
    let password = cluster.dir.path().join("alice.password");
    fs::write(&password, "secret\n").unwrap();
    let as_alice = ["--user", "alice", "--password-file", text(&password)];
    assert_eq!(cluster.run(&[&["get", "greeting"], &as_alice[..]].concat()).stdout, b"hello");
    let denied = cluster.run(&[&["put", "greeting", "bye"], &as_alice[..]].concat());
    assert!(
        denied.status != Some(0) && denied.stderr.contains("User alice has no permissions"),
        "{denied:?}"
    );
    fs::write(&password, "guess\n").unwrap();
    let wrong = cluster.run(&[&["get", "greeting"], &as_alice[..]].concat());
    assert!(wrong.status == Some(3) && wrong.stderr.contains("password is wrong"), "{wrong:?}");
}

/// A server whose addresses for others are not of this machine does not start without certificates.
#[test]
fn servers_of_several_machines_need_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let to = |name: &str| text(&dir.path().join(name)).to_owned();
    for (name, option) in [("plain", None), ("insecure", Some("--insecure"))] {
        let (to, options) = (to(name), ["--servers", "1", "--groups", "1", "--host", "192.0.2.7"]);
        let made = run(["new-cluster", "--dir", &to].into_iter().chain(options).chain(option));
        assert_eq!(made.status, Some(0), "{made:?}");
        let served = run(["serve", "--config", &format!("{to}/server-1.toml")]);
        assert_eq!(served.status, Some(1), "{served:?}");
        // Without TLS it is refused for that; else for the address, which this machine does not have.
        assert_eq!(served.stderr.contains("[peer_tls]"), option.is_none(), "{served:?}");
        assert_eq!(made.text().contains("[peer_tls]"), option.is_none(), "{made:?}");
    }
}

/// Nothing that a server or a command prints shows a password.
#[test]
fn passwords_are_shown_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let password = dir.path().join("password");
    fs::write(&password, "hunter2hunter2\n").unwrap();
    let to = dir.path().join("c");
    let made = run(["new-cluster", "--dir", text(&to), "--password-file", text(&password)]);
    assert_eq!(made.status, Some(0));
    let file = fs::read_to_string(to.join("server-1.toml")).unwrap();
    assert!(file.contains("requirepass = \"sha256:") && !file.contains("hunter2"));
    assert!(!made.text().contains("hunter2") && !made.stderr.contains("hunter2"));
    // A file with a mistake beside its password.
    fs::write(
        to.join("server-1.toml"),
        file.replace("requirepass = \"sha256:", "requirepass = \"sha256:hunter2"),
    )
    .unwrap();
    let fails = || {
        let failed = run(["serve", "--config", text(&to.join("server-1.toml"))]);
        assert!(failed.status == Some(1) && !failed.stderr.contains("hunter2"), "{failed:?}");
    };
    fails();
    let wrong = file
        .lines()
        .map(|line| if line.starts_with("requirepass") { "requirepass = \"hunter2" } else { line });
    fs::write(to.join("server-1.toml"), wrong.collect::<Vec<_>>().join("\n")).unwrap();
    fails();
}
