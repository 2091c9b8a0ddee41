//! Finds two listeners at one address, of this server or of two.

use std::collections::{HashMap, HashSet};
use std::net::{SocketAddr, ToSocketAddrs};

use super::ConfigFileError;
use super::tables::File;

/// A setting, and its addresses.
struct Listener {
    setting: String,
    text: String,
    port: Option<u16>,
    addresses: Vec<SocketAddr>,
    is_here: bool,
}

/// Finds two settings with the same address.
pub(super) fn check(file: &File) -> Result<(), ConfigFileError> {
    let all = listeners(file);
    let (mut texts, mut addresses) = (HashMap::new(), HashMap::new());
    for one in &all {
        if one.port != Some(0)
            && let Some(other) = texts.insert(one.text.to_ascii_lowercase(), one)
        {
            one.refuse_beside(other, file.server)?;
        }
        for address in one.addresses.iter().filter(|address| address.port() != 0) {
            if let Some(other) = addresses.insert(*address, one) {
                one.refuse_beside(other, file.server)?;
            }
        }
    }
    let here: Vec<_> = all.iter().filter(|listener| listener.is_here).collect();
    for (i, one) in here.iter().enumerate() {
        if let Some(other) = here[..i].iter().find(|other| one.meets(other)) {
            one.refuse_beside(other, file.server)?;
        }
    }
    Ok(())
}

/// This server's listeners, from all settings, and those of the others that need no name lookup.
fn listeners(file: &File) -> Vec<Listener> {
    let mut all = vec![Listener::here("http", &file.http), Listener::here("redis", &file.redis)];
    if let Some(tls) = &file.tls {
        all.extend([Listener::here("tls.http", &tls.http), Listener::here("tls.redis", &tls.redis)]);
    }
    for member in &file.members {
        let name = |what: &str| format!("members[server {}].{what}", member.server);
        let is_here = member.server == file.server;
        let listener = if is_here { Listener::here } else { Listener::elsewhere };
        for (index, address) in member.addresses.iter().enumerate() {
            let link = file.links.get(index).and_then(|link| link.listen.as_ref()).filter(|_| is_here);
            all.push(match link {
                Some(listen) => Listener::here(&format!("links[{}].listen", index + 1), listen),
                None => listener(&name(&format!("addresses[{}]", index + 1)), address),
            });
        }
        all.push(listener(&name("transfer"), &member.transfer));
        for (setting, address) in [("http", &member.http), ("https", &member.https), ("redis", &member.redis)]
        {
            let address = address.iter().filter(|address| is_here || !is_wildcard(address));
            all.extend(address.map(|address| listener(&name(setting), address)));
        }
    }
    all
}

/// Whether an address stands for all of a machine's addresses. Another server may listen there, but nobody
/// can reach it by that.
pub(super) fn is_wildcard(address: &str) -> bool {
    address.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_unspecified())
}

impl Listener {
    /// The addresses that this machine resolves a name to. A name that does not resolve is refused elsewhere.
    fn here(setting: &str, text: &str) -> Listener {
        let addresses: HashSet<_> = text.to_socket_addrs().into_iter().flatten().collect();
        Listener::new(setting, text, addresses.into_iter().collect(), true)
    }

    fn elsewhere(setting: &str, text: &str) -> Listener {
        Listener::new(setting, text, text.parse().into_iter().collect(), false)
    }

    fn new(setting: &str, text: &str, addresses: Vec<SocketAddr>, is_here: bool) -> Listener {
        let port = text.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        Listener { setting: setting.into(), text: text.into(), port, addresses, is_here }
    }

    /// Refuses both, unless they are one: the port that others are told is the one that is opened for clients.
    fn refuse_beside(&self, other: &Listener, server: u64) -> Result<(), ConfigFileError> {
        let told = [("http", "http"), ("tls.http", "https"), ("redis", "redis"), ("tls.redis", "redis")];
        let is_told = told.iter().any(|(own, told)| {
            other.setting == *own && self.setting == format!("members[server {server}].{told}")
        });
        if is_told {
            return Ok(());
        }
        let reason = format!(
            "\"{}\" is the same address as \"{}\", which `{}` has: give each its own port",
            self.text, other.text, other.setting
        );
        Err(ConfigFileError::Value { key: self.setting.clone(), reason })
    }

    fn meets(&self, other: &Listener) -> bool {
        self.addresses.iter().any(|one| other.addresses.iter().any(|other| is_same(one, other)))
    }
}

/// Whether only one of two sockets can listen at these addresses. `[::]` takes the IPv4 port, too.
fn is_same(one: &SocketAddr, other: &SocketAddr) -> bool {
    let takes = |one: &SocketAddr, other: &SocketAddr| {
        one.ip().is_unspecified() && (one.is_ipv6() || other.is_ipv4())
    };
    one.port() == other.port()
        && one.port() != 0
        && (one.ip() == other.ip() || takes(one, other) || takes(other, one))
}
