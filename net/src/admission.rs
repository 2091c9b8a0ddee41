//! Who may be at the other end: the checks that every channel makes, and the one that its owner adds.

use crate::hello::Hello;
use crate::refusal::Refusal;

/// The owner's say about who may connect, asked on both ends after the built-in checks (version, cluster, channel,
/// number of channels, known server, direction) have passed.
///
/// It runs on the transport's thread, once per connection, so it must not block. A server that is admitted may
/// still fail to come up.
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
    /// Whether the server may connect.
    ///
    /// # Errors
    ///
    /// The refusal that both ends are to see, usually [`Refusal::Store`].
    fn admit(&self, peer: &Hello) -> Result<(), Refusal>;
}

/// Admits every server that passes the built-in checks.
#[derive(Debug, Clone, Copy)]
pub struct AdmitAll;

impl Admission for AdmitAll {
    fn admit(&self, _: &Hello) -> Result<(), Refusal> {
        Ok(())
    }
}

/// The listener's checks of who dialled. `peer` is the index of that server among the peers.
pub(crate) fn check_dialler(own: &Hello, hello: &Hello, peer: Option<usize>) -> Result<usize, Refusal> {
    check_common(own, hello)?;
    let peer = peer.ok_or(Refusal::UnknownServer { server: hello.server })?;
    if hello.server < own.server {
        return Err(Refusal::NotYourTurn { refuser: own.server, refused: hello.server });
    }
    Ok(peer)
}

/// The dialler's checks of who answered.
pub(crate) fn check_dialled(own: &Hello, hello: &Hello, dialled: u64) -> Result<(), Refusal> {
    check_common(own, hello)?;
    if hello.server != dialled {
        return Err(Refusal::WrongServer { expected: dialled, found: hello.server });
    }
    Ok(())
}

fn check_common(own: &Hello, hello: &Hello) -> Result<(), Refusal> {
    if hello.cluster != own.cluster {
        return Err(Refusal::WrongCluster);
    }
    if hello.channels != own.channels {
        return Err(Refusal::WrongChannels { refuser: own.channels, refused: hello.channels });
    }
    if hello.channel != own.channel {
        return Err(Refusal::WrongChannel { refuser: own.channel, refused: hello.channel });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Hello = Hello { cluster: 9, server: 2, channel: 1, channels: 4, store: 7 };

    #[test]
    fn a_dialler_must_be_a_known_server_with_a_higher_id_on_the_same_channel() {
        let dialler = Hello { server: 3, store: 8, ..OWN };
        assert_eq!(check_dialler(&OWN, &dialler, Some(5)), Ok(5));

        let refused = |hello: Hello, peer| check_dialler(&OWN, &hello, peer).unwrap_err();
        assert_eq!(refused(Hello { cluster: 8, ..dialler }, Some(5)), Refusal::WrongCluster);
        assert_eq!(
            refused(Hello { channels: 5, ..dialler }, Some(5)),
            Refusal::WrongChannels { refuser: 4, refused: 5 }
        );
        assert_eq!(
            refused(Hello { channel: 2, ..dialler }, Some(5)),
            Refusal::WrongChannel { refuser: 1, refused: 2 }
        );
        assert_eq!(refused(dialler, None), Refusal::UnknownServer { server: 3 });
        assert_eq!(refused(OWN, None), Refusal::UnknownServer { server: 2 }, "ourselves");
        assert_eq!(
            refused(Hello { server: 1, ..dialler }, Some(5)),
            Refusal::NotYourTurn { refuser: 2, refused: 1 }
        );
    }

    #[test]
    fn who_answers_must_be_who_was_dialled() {
        let answer = Hello { server: 1, ..OWN };
        assert_eq!(check_dialled(&OWN, &answer, 1), Ok(()));
        assert_eq!(check_dialled(&OWN, &OWN, 1), Err(Refusal::WrongServer { expected: 1, found: 2 }));
        assert_eq!(check_dialled(&OWN, &Hello { cluster: 0, ..answer }, 1), Err(Refusal::WrongCluster));
    }
}
