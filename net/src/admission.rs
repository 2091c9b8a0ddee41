//! Who may connect: the checks of every channel, and the one that its owner adds.

use crate::hello::{Hello, LEVELS_VERSION, Levels, VERSION};
use crate::refusal::Refusal;

/// The owner's check of who may connect, made on both ends after the built-in checks (version, cluster,
/// channel, number of channels, known server, direction) have passed.
///
/// It runs on the transport's thread, once per connection, so it must not block. The connection of an
/// admitted server may still fail.
///
/// ```
/// use niagara_net::{Admission, Hello, Refusal};
///
/// struct SameStore(u128);
///
/// impl Admission for SameStore {
///     fn admit(&self, peer: &Hello) -> Result<(), Refusal> {
///         match peer.store == self.0 {
///             true => Ok(()),
///             false => Err(Refusal::Store(format!("server {} came back without its data", peer.server))),
///         }
///     }
/// }
/// ```
pub trait Admission: Send + Sync {
    /// Checks whether the server may connect.
    ///
    /// # Errors
    ///
    /// The refusal to report on both ends, usually [`Refusal::Store`].
    fn admit(&self, peer: &Hello) -> Result<(), Refusal>;

    /// Checks who dials a channel that is not open: a refusal that says what is wrong with that server explains more than
    /// the channel does. Nothing follows from an `Ok`.
    ///
    /// # Errors
    ///
    /// The refusal to report on both ends.
    fn recognise(&self, _peer: &Hello) -> Result<(), Refusal> {
        Ok(())
    }

    /// Called when another server has refused this one.
    fn refused(&self, _refusal: &Refusal) {}
}

/// Admits every server that passes the built-in checks.
#[derive(Debug, Clone, Copy)]
pub struct AdmitAll;

impl Admission for AdmitAll {
    fn admit(&self, _: &Hello) -> Result<(), Refusal> {
        Ok(())
    }
}

/// A server that knows the first level only refuses what the releases before levels refuse.
pub(crate) fn check_version(own: &Hello, hello: &Hello) -> Result<(), Refusal> {
    if own.levels.is_none() && hello.levels.is_some() {
        return Err(Refusal::WrongVersion { refuser: VERSION, refused: LEVELS_VERSION });
    }
    Ok(())
}

/// The listener's checks of the dialler. `peer` is that server's index among the peers.
pub(crate) fn check_dialler(own: &Hello, hello: &Hello, peer: Option<usize>) -> Result<usize, Refusal> {
    check_cluster(own, hello)?;
    let peer = peer.ok_or(Refusal::UnknownServer { server: hello.server })?;
    if hello.server < own.server {
        return Err(Refusal::NotYourTurn { refuser: own.server, refused: hello.server });
    }
    Ok(peer)
}

/// A host's checks of a guest. Any server of the cluster that runs it alike is welcome, but not the host itself.
pub(crate) fn check_guest(own: &Hello, hello: &Hello) -> Result<(), Refusal> {
    check_cluster(own, hello)?;
    match hello.server == own.server || hello.server == 0 {
        true => Err(Refusal::UnknownServer { server: hello.server }),
        false => Ok(()),
    }
}

/// The dialler's checks of the listener.
pub(crate) fn check_dialled(own: &Hello, hello: &Hello, dialled: u64) -> Result<(), Refusal> {
    check_cluster(own, hello)?;
    if hello.server != dialled {
        return Err(Refusal::WrongServer { expected: dialled, found: hello.server });
    }
    Ok(())
}

/// Checks that two servers belong to one cluster and run it alike. Both ends check each other.
///
/// ```
/// use niagara_net::{Hello, Refusal, check_cluster};
///
/// let hello = |members: &[u64]| Hello { members: members.to_vec(), ..Hello::default() };
/// assert_eq!(check_cluster(&hello(&[1, 2, 3]), &hello(&[1, 2, 3])), Ok(()));
/// assert!(matches!(check_cluster(&hello(&[1, 2, 3]), &hello(&[2])), Err(Refusal::Members(_))));
/// ```
///
/// # Errors
///
/// The refusal to report on both ends.
pub fn check_cluster(own: &Hello, hello: &Hello) -> Result<(), Refusal> {
    if hello.cluster != own.cluster {
        return Err(Refusal::WrongCluster);
    }
    if hello.channels != own.channels {
        return Err(Refusal::WrongChannels { refuser: own.channels, refused: hello.channels });
    }
    if hello.channel != own.channel {
        return Err(Refusal::WrongChannel { refuser: own.channel, refused: hello.channel });
    }
    if hello.members != own.members {
        return Err(Refusal::Members(format!(
            "the lists of members differ, so these servers would form two clusters: server {} lists {}; server {} lists {}. \
             List the same servers on all",
            own.server,
            listed(&own.members),
            hello.server,
            listed(&hello.members)
        )));
    }
    if hello.application != own.application {
        return Err(Refusal::Application(format!(
            "the servers would not execute all commands alike: the commands and limits of server {} are {:032x}, those of \
             server {} are {:032x}. Run the same release with the same limits on all",
            own.server, own.application, hello.server, hello.application
        )));
    }
    check_levels(own, hello)?;
    if hello.promise_us != own.promise_us {
        return Err(Refusal::Reads(format!(
            "the servers' leases differ, so a read could be stale: server {} has {}, server {} {}. \
             Set the same `reads`, `tick` and `election_ticks` on all",
            own.server,
            leases(own.promise_us),
            hello.server,
            leases(hello.promise_us)
        )));
    }
    Ok(())
}

/// Whether each end knows the level that is in force at the other.
fn check_levels(own: &Hello, hello: &Hello) -> Result<(), Refusal> {
    let too_old = |needs: &Hello, lacks: &Hello| {
        let (Levels { in_force, .. }, Levels { known, .. }) = (needs.levels(), lacks.levels());
        let server = lacks.server;
        (known < in_force).then(|| {
            Refusal::Level(format!(
                "the cluster is at level {in_force}, and server {server} runs a release that knows levels up to {known}: \
                 install a newer release there"
            ))
        })
    };
    too_old(own, hello).or_else(|| too_old(hello, own)).map_or(Ok(()), Err)
}

fn leases(promise_us: u64) -> String {
    match promise_us {
        0 => "none".to_owned(),
        promise => format!("promises of {} ms", promise as f64 / 1000.0),
    }
}

fn listed(members: &[u64]) -> String {
    members.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Hello = Hello {
        cluster: 9,
        server: 2,
        channel: 1,
        channels: 4,
        store: 7,
        incarnation: 1,
        lives: [1, 0, 0, 0, 0, 0, 0, 0],
        application: 3,
        members: Vec::new(),
        promise_us: 0,
        levels: None,
    };

    #[test]
    fn each_end_knows_the_level_of_the_other() {
        let with =
            |server, in_force, known| Hello { server, levels: Some(Levels { in_force, known }), ..OWN };
        for (own, hello, lacking) in [
            (with(2, 1, 2), OWN, None),
            (OWN, with(3, 1, 2), None),
            (with(2, 2, 2), with(3, 1, 2), None),
            (with(2, 2, 2), Hello { server: 3, ..OWN }, Some("level 2, and server 3")),
            (Hello { server: 2, ..OWN }, with(3, 2, 3), Some("level 2, and server 2")),
            (with(2, 1, 2), with(3, 3, 3), Some("level 3, and server 2")),
        ] {
            match (check_cluster(&own, &hello), lacking) {
                (Ok(()), None) => {}
                (Err(Refusal::Level(why)), Some(words)) => assert!(why.contains(words), "{why}"),
                (checked, _) => panic!("{own:?}, {hello:?}: {checked:?}"),
            }
        }
    }

    #[test]
    fn a_dialler_must_be_a_known_server_with_a_higher_id_on_the_same_channel() {
        let dialler = Hello { server: 3, store: 8, ..OWN };
        assert_eq!(check_dialler(&OWN, &dialler, Some(5)), Ok(5));

        let refused = |change: fn(&mut Hello), peer| {
            let mut hello = dialler.clone();
            change(&mut hello);
            check_dialler(&OWN, &hello, peer).unwrap_err()
        };
        assert_eq!(refused(|hello| hello.cluster = 8, Some(5)), Refusal::WrongCluster);
        assert_eq!(
            refused(|hello| hello.channels = 5, Some(5)),
            Refusal::WrongChannels { refuser: 4, refused: 5 }
        );
        assert_eq!(
            refused(|hello| hello.channel = 2, Some(5)),
            Refusal::WrongChannel { refuser: 1, refused: 2 }
        );
        assert_eq!(refused(|_| (), None), Refusal::UnknownServer { server: 3 });
        assert_eq!(refused(|hello| *hello = OWN, None), Refusal::UnknownServer { server: 2 }, "ourselves");
        assert_eq!(
            refused(|hello| hello.server = 1, Some(5)),
            Refusal::NotYourTurn { refuser: 2, refused: 1 }
        );
    }

    #[test]
    fn a_guest_is_any_other_server_of_the_cluster() {
        for server in [1, 3] {
            assert_eq!(check_guest(&OWN, &Hello { server, store: 8, ..OWN }), Ok(()));
        }
        assert_eq!(check_guest(&OWN, &OWN), Err(Refusal::UnknownServer { server: 2 }), "ourselves");
        let stranger = Hello { server: 3, cluster: 8, ..OWN };
        assert_eq!(check_guest(&OWN, &stranger), Err(Refusal::WrongCluster));
    }

    #[test]
    fn servers_of_one_cluster_list_the_same_members_and_execute_alike() {
        let own = Hello { members: vec![1, 2, 3], ..OWN };
        let other = Hello { server: 3, ..own.clone() };
        assert_eq!(check_cluster(&own, &other), Ok(()));
        let fewer = check_cluster(&own, &Hello { members: vec![3], ..other.clone() }).unwrap_err();
        let words = fewer.to_string();
        assert!(matches!(fewer, Refusal::Members(_)), "{words}");
        assert!(words.contains("server 2 lists 1, 2, 3") && words.contains("server 3 lists 3"), "{words}");
        let refused = check_cluster(&own, &Hello { application: 4, ..other.clone() }).unwrap_err();
        assert!(matches!(refused, Refusal::Application(_)), "{refused}");
        let refused = check_cluster(&own, &Hello { promise_us: 500_000, ..other }).unwrap_err();
        let words = refused.to_string();
        assert!(matches!(refused, Refusal::Reads(_)) && words.contains("server 2 has none"), "{words}");
        assert!(words.contains("server 3 promises of 500 ms"), "{words}");
    }

    #[test]
    fn who_answers_must_be_who_was_dialled() {
        let answer = Hello { server: 1, ..OWN };
        assert_eq!(check_dialled(&OWN, &answer, 1), Ok(()));
        assert_eq!(check_dialled(&OWN, &OWN, 1), Err(Refusal::WrongServer { expected: 1, found: 2 }));
        assert_eq!(check_dialled(&OWN, &Hello { cluster: 0, ..answer }, 1), Err(Refusal::WrongCluster));
    }
}
