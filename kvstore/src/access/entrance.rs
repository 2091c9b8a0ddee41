//! How far one connection has come.

use std::net::IpAddr;
use std::sync::Arc;

use super::guard::{Barred, Guard, USER};

/// One client's way past the guard.
#[derive(Debug)]
pub(crate) struct Entrance {
    guard: Arc<Guard>,
    address: Option<IpAddr>,
    /// It has shown a certificate.
    certified: bool,
    /// It has given the password.
    known: bool,
    barred: Option<Barred>,
}

impl Entrance {
    /// A connection from an address. `certified`: its client has shown a certificate that this server trusts.
    pub(crate) fn new(guard: Arc<Guard>, address: Option<IpAddr>, certified: bool) -> Entrance {
        let barred = guard.admits(address, certified).err();
        Entrance { guard, address, certified, known: false, barred }
    }

    /// Everybody is welcome.
    pub(crate) fn open() -> Entrance {
        Entrance::new(Arc::default(), None, false)
    }

    /// Why what this client asks for is not served, if so, unless it comes with the password.
    pub(crate) fn barred(&self) -> Option<Barred> {
        self.barred
    }

    /// Whether there is a password.
    pub(crate) fn has_password(&self) -> bool {
        self.guard.has_password()
    }

    /// Takes the password for all that follows on the connection.
    pub(crate) fn enter(&mut self, user: &[u8], password: &[u8]) -> Result<(), Barred> {
        self.guard.hear(self.address, user, password)?;
        self.known = true;
        self.barred = None;
        Ok(())
    }

    /// Takes the password of one request. Proxies send those of several clients over one connection.
    pub(crate) fn pass(&mut self, given: Option<(&[u8], &[u8])>) -> Result<(), Barred> {
        match (self.barred, given) {
            (None, _) => Ok(()),
            (Some(Barred::Nameless), Some((user, password))) => {
                // A name need not be given over HTTP.
                let user = if user.is_empty() { USER } else { user };
                if !self.known || !self.guard.is_right(user, password) {
                    self.guard.hear(self.address, user, password)?;
                    self.known = true;
                }
                Ok(())
            }
            (Some(barred), _) => {
                if barred == Barred::Protected {
                    self.guard.note_protected();
                }
                Err(barred)
            }
        }
    }

    /// Counts a client that is turned away.
    pub(crate) fn turn_away(&self) {
        self.guard.note_protected();
    }

    /// Forgets the password.
    pub(crate) fn leave(&mut self) {
        self.known = false;
        self.barred = self.guard.admits(self.address, self.certified).err();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AccessConfig;

    const HERE: &str = "127.0.0.1";
    const THERE: &str = "192.0.2.7";

    fn entrance(config: &AccessConfig, address: &str, certified: bool) -> Entrance {
        Entrance::new(Arc::new(Guard::new(config)), Some(address.parse().unwrap()), certified)
    }

    #[test]
    fn without_a_password_other_machines_are_barred() {
        let none = AccessConfig::default();
        let insecure = AccessConfig { insecure: true, ..AccessConfig::default() };
        for here in [HERE, "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(entrance(&none, here, false).barred(), None, "{here}");
        }
        for there in [THERE, "::ffff:192.0.2.7", "fe80::1", "0.0.0.0"] {
            let mut barred = entrance(&none, there, false);
            assert_eq!(barred.pass(Some((b"", b"guess"))), Err(Barred::Protected), "{there}");
            assert_eq!(entrance(&insecure, there, false).barred(), None, "{there}");
            assert_eq!(entrance(&none, there, true).barred(), None, "{there}");
        }
        assert_eq!(Entrance::open().barred(), None);
    }

    #[test]
    fn with_a_password_everybody_needs_it() {
        let config = AccessConfig {
            password: Some("secret".parse().unwrap()),
            insecure: true,
            ..AccessConfig::default()
        };
        for (address, certified) in [(HERE, false), (THERE, false), (THERE, true)] {
            let mut entrance = entrance(&config, address, certified);
            assert_eq!(entrance.pass(None), Err(Barred::Nameless));
            assert_eq!(entrance.pass(Some((b"", b"secre"))), Err(Barred::Wrong));
            assert_eq!(entrance.pass(Some((b"root", b"secret"))), Err(Barred::Wrong));
            assert_eq!(entrance.pass(Some((b"", b"secret"))), Ok(()));
            assert_eq!(entrance.pass(None), Err(Barred::Nameless), "each request needs it");
            assert_eq!(entrance.enter(b"default", b"secret"), Ok(()));
            assert_eq!(entrance.pass(None), Ok(()), "the connection has it");
            entrance.leave();
            assert_eq!(entrance.barred(), Some(Barred::Nameless));
        }
    }

    #[test]
    fn who_guesses_is_not_heard_for_a_while() {
        let config = AccessConfig { password: Some("secret".parse().unwrap()), ..AccessConfig::default() };
        let guard = Arc::new(Guard::new(&config));
        let at = |address: &str| Entrance::new(Arc::clone(&guard), Some(address.parse().unwrap()), false);
        let mut known = at(THERE);
        assert_eq!(known.pass(Some((b"", b"secret"))), Ok(()));
        let barred = (0..100)
            .map(|_| at(THERE).enter(b"default", b"guess"))
            .find(|barred| *barred != Err(Barred::Wrong));
        assert!(matches!(barred, Some(Err(Barred::TooOften(_)))), "{barred:?}");
        assert!(
            matches!(at(THERE).enter(b"default", b"secret"), Err(Barred::TooOften(_))),
            "nor is it right"
        );
        assert_eq!(known.pass(Some((b"", b"secret"))), Ok(()), "who is known goes on");
        assert_eq!(at(HERE).enter(b"default", b"secret"), Ok(()));
    }
}
