//! How far one connection has come.

use std::net::IpAddr;
use std::sync::Arc;

use super::guard::{Barred, Guard};
use crate::audit::Act;
use crate::users::{DEFAULT, Denied, Directory, RESCUE, User, Users, Wanted};

/// One client's way past the guard, and the user that it is then.
#[derive(Debug)]
pub(crate) struct Entrance {
    guard: Arc<Guard>,
    directory: Arc<Directory>,
    address: Option<IpAddr>,
    /// It has shown a certificate.
    certified: bool,
    /// The user whose rights count.
    user: Arc<User>,
    /// The name that its certificate gives it.
    shown: Option<Box<[u8]>>,
    /// It has given a password for all that follows.
    entered: bool,
    /// Any would have done, since the default user has none.
    unproven: bool,
    /// The user whose password it has given before.
    known: Option<Box<[u8]>>,
    barred: Option<Barred>,
    /// Of the directory, when this was looked up.
    revision: u64,
}

/// The user of a connection was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

impl Entrance {
    /// A connection from an address to a server with these users. `certified`: its client has shown a certificate that
    /// this server trusts.
    pub(crate) fn new(
        guard: Arc<Guard>,
        directory: Arc<Directory>,
        address: Option<IpAddr>,
        certified: bool,
    ) -> Entrance {
        let revision = directory.revision();
        let users = directory.users();
        let barred = guard.admits(&users, address, certified).err();
        let user = Arc::clone(users.default_user());
        Entrance {
            guard,
            directory,
            address,
            certified,
            user,
            shown: None,
            entered: false,
            unproven: false,
            known: None,
            barred,
            revision,
        }
    }

    /// Everybody is welcome.
    pub(crate) fn open(directory: &Arc<Directory>) -> Entrance {
        Entrance::new(Arc::default(), Arc::clone(directory), None, false)
    }

    /// The client has shown a certificate with this name. If it is a user's, the client is that user until it gives
    /// another one's password.
    pub(crate) fn introduce(&mut self, name: &str) {
        self.shown = Some(name.as_bytes().into());
        self.become_nobody();
    }

    /// Why what this client asks for is not served, if so, unless it comes with a password.
    pub(crate) fn barred(&self) -> Option<Barred> {
        self.barred
    }

    /// Whether the default user has a password.
    pub(crate) fn has_password(&self) -> bool {
        self.guard.has_password(&self.directory.users())
    }

    pub(crate) fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// Where the client is, if it is known.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// What the client is about to do to the server or its cluster, for the audit.
    pub(crate) fn begin(&self, what: impl Into<String>) -> Act {
        Act::by(self.user.name(), self.address, what)
    }

    pub(crate) fn user(&self) -> &User {
        &self.user
    }

    /// The name that commands and queries carry, unless it is that of the default user who may do everything.
    pub(crate) fn carried(&self) -> Option<&[u8]> {
        Some(self.user.name()).filter(|name| *name != DEFAULT || !self.user.is_unlimited())
    }

    /// Why the user may not do something.
    pub(crate) fn denied<'w>(&self, wanted: impl FnOnce() -> Wanted<'w>) -> Option<Denied> {
        if self.user.is_unlimited() {
            return None;
        }
        self.user.denied(&wanted())
    }

    /// Takes note of what has become of the users meanwhile: one load if nothing has. Whoever is in without a password may
    /// need one from now on; whoever has given one goes on until the user is removed.
    pub(crate) fn refresh(&mut self) -> Result<(), Gone> {
        let revision = self.directory.revision();
        if revision == self.revision {
            return Ok(());
        }
        self.revision = revision;
        let users = self.directory.users();
        if self.unproven && self.guard.admits(&users, self.address, self.certified).is_err() {
            (self.entered, self.unproven) = (false, false);
        }
        if self.entered {
            let user = users.find(self.user.name()).ok_or(Gone)?;
            self.user = Arc::clone(user);
        } else {
            let was_shown = self.is_as_shown();
            self.become_nobody();
            if was_shown && !self.is_as_shown() {
                return Err(Gone);
            }
        }
        Ok(())
    }

    /// Whether the client is the user of its certificate, and nobody by a password.
    fn is_as_shown(&self) -> bool {
        !self.entered && self.barred.is_none() && self.shown.as_deref() == Some(self.user.name())
    }

    /// Takes note of what has become of the user who has made a request.
    pub(crate) fn look_again(&mut self) {
        let revision = self.directory.revision();
        if revision != self.revision {
            self.revision = revision;
            let users = self.directory.users();
            let gone = || Arc::new(User::new(self.user.name()));
            self.user = users.find(self.user.name()).map_or_else(gone, Arc::clone);
        }
    }

    /// The same for a request without an end. One that came without a password may not go on once there is one.
    pub(crate) fn look_on(&mut self) -> Result<(), Barred> {
        let (revision, is_nobodys) = (self.revision, self.barred.is_none() && self.user.name() == DEFAULT);
        self.look_again();
        if is_nobodys && self.revision != revision {
            self.guard.admits(&self.directory.users(), self.address, self.certified)?;
        }
        Ok(())
    }

    /// Becomes who a client is that has given no password: the user of its certificate, or the default user.
    fn become_nobody(&mut self) {
        self.revision = self.directory.revision();
        let users = self.directory.users();
        let shown = self.shown.as_deref().and_then(|name| self.guard.shown(&users, name));
        if let Some(user) = shown {
            self.user = Arc::clone(user);
            self.barred = None;
            return;
        }
        self.user = Arc::clone(users.default_user());
        self.barred = self.guard.admits(&users, self.address, self.certified).err();
    }

    /// Takes a password for all that follows on the connection.
    pub(crate) fn enter(&mut self, user: &[u8], password: &[u8]) -> Result<(), Barred> {
        let (client, users) = ((self.address, self.certified), self.directory.users());
        self.user = self.guard.hear(&users, client, user, password)?;
        self.entered = true;
        self.unproven = self.user.name() == DEFAULT && !self.guard.has_password(&users);
        self.barred = None;
        Ok(())
    }

    /// Takes the password of one request, if it has one. Proxies send those of several clients over one connection.
    pub(crate) fn pass(&mut self, given: Option<(&[u8], &[u8])>) -> Result<(), Barred> {
        let is_sound = self.entered && self.refresh().is_ok();
        // What was given is void once users have changed.
        if is_sound && self.entered {
            return Ok(());
        }
        // Where nobody has users, and the last request was the default user's, this is one load.
        if self.revision != self.directory.revision() || self.user.name() != DEFAULT {
            self.become_nobody();
        }
        let is_default = !self.is_as_shown();
        match (self.barred, given) {
            (None, None) => Ok(()),
            (None, Some((DEFAULT, _))) if is_default => Ok(()),
            // Where there is nobody else, no password is wrong.
            (None, Some((name, _))) if name != RESCUE && !self.directory.users().are_several() => Ok(()),
            (None | Some(Barred::Nameless), Some((user, password))) => {
                self.user = self.look_up(&self.directory.users(), user, password)?;
                self.known = Some(self.user.name().into());
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

    /// The user of a password. Who has given it before is heard even if others of the same address guess.
    fn look_up(&self, users: &Users, user: &[u8], password: &[u8]) -> Result<Arc<User>, Barred> {
        if let Some(known) = &self.known {
            let trusted = self.guard.trusts(self.address, self.certified);
            let again = self.guard.recognise(users, trusted, user, password);
            if let Some(again) = again.filter(|again| again.name() == &**known) {
                return Ok(again);
            }
        }
        self.guard.hear(users, (self.address, self.certified), user, password)
    }

    /// Counts a client that is turned away.
    pub(crate) fn turn_away(&self) {
        self.guard.note_protected();
    }

    /// Forgets the password.
    pub(crate) fn leave(&mut self) {
        (self.entered, self.unproven) = (false, false);
        self.known = None;
        self.become_nobody();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AccessConfig;
    use crate::users::prepare;

    const HERE: &str = "127.0.0.1";
    const THERE: &str = "192.0.2.7";

    fn entrance(config: &AccessConfig, address: &str, certified: bool) -> Entrance {
        Entrance::new(Arc::new(Guard::new(config)), Arc::default(), Some(address.parse().unwrap()), certified)
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
        assert_eq!(Entrance::open(&Arc::default()).barred(), None);
    }

    #[test]
    fn the_name_of_a_certificate_is_that_of_a_user() {
        let directory = directory("alice", "on >secret +get ~*");
        change(&directory, "bob", "off +get ~*");
        let config = AccessConfig { users_by_certificate: true, ..AccessConfig::default() };
        let guard = Arc::new(Guard::new(&config));
        let shows = |name: &str| {
            let address = Some(THERE.parse().unwrap());
            let mut entrance = Entrance::new(Arc::clone(&guard), Arc::clone(&directory), address, true);
            entrance.introduce(name);
            entrance
        };
        let mut alice = shows("alice");
        assert_eq!((alice.barred(), alice.user().name()), (None, b"alice".as_slice()));
        assert_eq!((alice.pass(None), alice.user().name()), (Ok(()), b"alice".as_slice()));
        assert_eq!(alice.pass(Some((b"default", b""))), Err(Barred::Wrong), "default is another user");
        assert_eq!((alice.pass(None), alice.user().name()), (Ok(()), b"alice".as_slice()));
        for stranger in ["carol", "bob", "niagara.rescue", ""] {
            let mut stranger = shows(stranger);
            assert_eq!(stranger.barred(), Some(Barred::Nameless));
            assert_eq!(stranger.pass(None), Err(Barred::Nameless));
            assert_eq!(stranger.enter(b"alice", b"secret"), Ok(()), "a password counts as before");
        }
        assert_eq!(alice.refresh(), Ok(()));
        change(&directory, "alice", "off");
        assert_eq!(alice.refresh(), Err(Gone));
        let mut plain =
            Entrance::new(Arc::default(), Arc::clone(&directory), Some(THERE.parse().unwrap()), true);
        plain.introduce("alice");
        assert_eq!(plain.user().name(), DEFAULT, "unless the server is told so");
    }

    #[test]
    fn any_password_of_the_default_user_does_until_there_is_one() {
        for rules in [">secret", "off"] {
            let directory = directory("alice", "on >secret");
            let at = |address: &str| {
                Entrance::new(Arc::default(), Arc::clone(&directory), Some(address.parse().unwrap()), false)
            };
            assert_eq!(at(THERE).enter(b"default", b"any"), Err(Barred::Wrong), "only at this machine");
            let (mut here, mut alice) = (at(HERE), at(HERE));
            assert_eq!((here.enter(b"default", b"any"), alice.enter(b"alice", b"secret")), (Ok(()), Ok(())));
            change(&directory, "bob", "on");
            assert_eq!((here.refresh(), here.barred()), (Ok(()), None));
            change(&directory, "default", rules);
            assert_eq!((here.refresh(), here.barred()), (Ok(()), Some(Barred::Nameless)), "{rules}");
            assert_eq!((alice.refresh(), alice.barred()), (Ok(()), None));
        }
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
        let at = |address: &str| {
            Entrance::new(Arc::clone(&guard), Arc::default(), Some(address.parse().unwrap()), false)
        };
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

    /// A directory in which a user was made by these rules.
    fn directory(name: &str, rules: &str) -> Arc<Directory> {
        let directory = Directory::default();
        change(&directory, name, rules);
        Arc::new(directory)
    }

    fn change(directory: &Directory, name: &str, rules: &str) {
        let mut users = Users::clone(&directory.users());
        let rules = prepare(rules.split(' ').map(str::as_bytes)).unwrap();
        users.set(name.as_bytes(), rules.iter().map(Vec::as_slice)).unwrap();
        directory.publish(Arc::new(users));
    }

    fn from(config: &AccessConfig, directory: &Arc<Directory>, address: &str) -> Entrance {
        let address = Some(address.parse().unwrap());
        Entrance::new(Arc::new(Guard::new(config)), Arc::clone(directory), address, false)
    }

    #[test]
    fn users_get_in_from_anywhere_by_their_passwords() {
        let directory = directory("alice", "on >secret");
        let mut there = from(&AccessConfig::default(), &directory, THERE);
        assert_eq!(there.barred(), Some(Barred::Nameless), "it may be alice");
        for (user, password) in [
            ("alice", "wrong"),
            ("bob", "secret"),
            ("default", ""),
            ("default", "secret"),
            ("niagara.rescue", ""),
        ] {
            let entered = there.enter(user.as_bytes(), password.as_bytes());
            assert_eq!(entered, Err(Barred::Wrong), "{user} {password}");
        }
        assert_eq!(there.enter(b"alice", b"secret"), Ok(()));
        assert_eq!((there.user().name(), there.barred()), (&b"alice"[..], None));
        there.leave();
        assert_eq!((there.user().name(), there.barred()), (&b"default"[..], Some(Barred::Nameless)));
        change(&directory, "alice", "off");
        assert_eq!(there.enter(b"alice", b"secret"), Err(Barred::Wrong));
        change(&directory, "alice", "on nopass");
        assert_eq!(there.enter(b"alice", b"anything"), Ok(()));
    }

    #[test]
    fn the_file_s_password_and_replicated_ones_are_all_right_for_the_default_user() {
        let config = AccessConfig { password: Some("file".parse().unwrap()), ..AccessConfig::default() };
        let directory = directory("default", "on >replicated");
        for password in ["file", "replicated"] {
            assert_eq!(from(&config, &directory, THERE).enter(DEFAULT, password.as_bytes()), Ok(()));
        }
        change(&directory, "default", "nopass");
        let mut here = from(&config, &directory, HERE);
        assert_eq!(here.enter(DEFAULT, b"anything"), Err(Barred::Wrong), "the file asks for one");
        assert_eq!(here.barred(), Some(Barred::Nameless));
        change(&directory, "default", "off");
        assert_eq!(here.enter(DEFAULT, b"file"), Err(Barred::Wrong));
    }

    #[test]
    fn whoever_is_locked_out_comes_back_by_the_file_of_a_server() {
        let directory = directory("default", "reset");
        let rescue_password = Some("help".parse().unwrap());
        let config = AccessConfig { rescue_password, ..AccessConfig::default() };
        for address in [HERE, THERE] {
            let mut entrance = from(&config, &directory, address);
            assert_eq!(entrance.enter(DEFAULT, b"help"), Err(Barred::Wrong));
            assert_eq!(entrance.enter(b"niagara.rescue", b"hel"), Err(Barred::Wrong));
            assert_eq!(entrance.enter(b"niagara.rescue", b"help"), Ok(()));
            assert_eq!(entrance.denied(|| Wanted::named("ACL", Some("SETUSER"))), None);
        }
        let none = AccessConfig::default();
        for guess in ["", "help"] {
            let entered = from(&none, &directory, HERE).enter(b"niagara.rescue", guess.as_bytes());
            assert_eq!(entered, Err(Barred::Wrong), "no such password is set");
        }
    }

    #[test]
    fn each_request_is_its_own_user_s() {
        let directory = directory("alice", "on >secret");
        change(&directory, "bob", "on >token");
        let mut here = from(&AccessConfig::default(), &directory, HERE);
        for (given, user) in [
            (Some((&b"alice"[..], &b"secret"[..])), "alice"),
            (None, "default"),
            (Some((b"", b"token")), "bob"),
            (Some((b"default", b"ignored")), "default"),
        ] {
            assert_eq!(here.pass(given), Ok(()));
            assert_eq!(here.user().name(), user.as_bytes());
        }
        assert_eq!(here.pass(Some((b"", b"wrong"))), Err(Barred::Wrong));
        assert_eq!(here.pass(Some((b"alice", b"token"))), Err(Barred::Wrong));
    }

    #[test]
    fn where_there_are_no_users_no_password_is_wrong() {
        let rescue_password = Some("help".parse().unwrap());
        let config = AccessConfig { rescue_password, ..AccessConfig::default() };
        let mut here = from(&config, &Arc::default(), HERE);
        for (given, user) in [
            ((&b"root"[..], &b"x"[..]), "default"),
            ((b"", b"x"), "default"),
            ((b"niagara.rescue", b"help"), "niagara.rescue"),
            ((b"default", b"x"), "default"),
        ] {
            assert_eq!(here.pass(Some(given)), Ok(()));
            assert_eq!(here.user().name(), user.as_bytes());
        }
        assert_eq!(here.pass(Some((b"niagara.rescue", b"x"))), Err(Barred::Wrong));
    }

    #[test]
    fn what_becomes_of_users_is_noticed_by_open_connections() {
        let directory = directory("alice", "on >secret +get allkeys");
        let config = AccessConfig::default();
        let (mut alice, mut nobody) = (from(&config, &directory, HERE), from(&config, &directory, HERE));
        alice.enter(b"alice", b"secret").unwrap();
        let get = || Wanted::on_key(crate::table::Op::Get, b"k", crate::users::Access::READ);
        change(&directory, "alice", "-get off");
        change(&directory, "default", ">password");
        assert_eq!(alice.denied(get), None, "it has not looked");
        assert_eq!((alice.refresh(), nobody.refresh()), (Ok(()), Ok(())));
        assert!(alice.denied(get).is_some() && alice.barred().is_none());
        assert_eq!(nobody.barred(), Some(Barred::Nameless), "it had given none");
        let mut users = Users::clone(&directory.users());
        users.remove(std::iter::once(&b"alice"[..])).unwrap();
        directory.publish(Arc::new(users));
        assert_eq!(alice.refresh(), Err(Gone));
    }
}
