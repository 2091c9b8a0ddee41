//! `Idempotency-Key`: a request that has one is executed once, however often it is sent.

use sha2::{Digest, Sha256};

use super::fault::Fault;
use super::parse::Head;
use crate::command::{self, Command};
use crate::receipts::{LEAST_MS, Name, WINDOW_MS};
use crate::reply::NotOnce;

/// The longest key.
const MOST_BYTES: usize = 256;

/// The key of a request, if it has one. Only requests that change keys may have one: who sends it with another relies on what
/// nobody promises.
pub(super) fn key(head: &Head<'_>, changes_keys: bool) -> Result<Option<Box<[u8]>>, Fault> {
    let Some(key) = head.idempotency_key else { return Ok(None) };
    let is_printable = key.iter().all(|byte| (b'!'..=b'~').contains(byte));
    if key.is_empty() || key.len() > MOST_BYTES || !is_printable {
        let message = format!("Idempotency-Key is not 1 to {MOST_BYTES} visible characters");
        return Err(Fault::bad_request(message, "make a random one for each request, such as a UUID"));
    }
    match (changes_keys, head.method) {
        (true, _) => Ok(Some(key.into())),
        (false, "POST") => {
            let message = "Idempotency-Key is not served here";
            Err(Fault::bad_request(message, "leave it out; PUT, DELETE and POST to /txn may have one"))
        }
        // It changes nothing, however often it is sent.
        (false, _) => Ok(None),
    }
}

/// The name of a key: no two users share one.
pub(super) fn name(user: &[u8], key: &[u8]) -> Name {
    let mut digest = Sha256::new();
    digest.update((user.len() as u64).to_le_bytes());
    digest.update(user);
    digest.update(key);
    first_half(digest)
}

/// The name of all that a command asks for. Whose it is stands in the name of the key, and whether the command says so, too,
/// depends on that user's rights.
fn name_of_request(command: &[u8]) -> Name {
    let asked = match command::decode(command) {
        Ok(Command::By { command, .. }) => command,
        _ => command,
    };
    let mut digest = Sha256::new();
    digest.update(asked);
    first_half(digest)
}

fn first_half(digest: Sha256) -> Name {
    let whole: [u8; 32] = digest.finalize().into();
    *whole.first_chunk().expect("16 of 32 bytes")
}

/// Begins a command that is executed once, without its times and the name of its request.
pub(super) fn begin(out: &mut Vec<u8>, key: Name) {
    command::encode_time(out, 0);
    command::encode_once(out, 0, key, Name::default());
}

/// Sets the name of the request of a complete command.
pub(super) fn complete(command: &mut [u8]) {
    let request = name_of_request(&command[command::TIMED_ONCE_BYTES..]);
    command::set_request(command, request);
}

/// Makes a complete command one that is executed once. If it carries the time, it begins with that.
pub(super) fn wrap(command: &mut Vec<u8>, is_timed: bool, key: Name) {
    let inner = if is_timed { &command[command::TIME_BYTES..] } else { &command[..] };
    let mut out = Vec::with_capacity(command::TIMED_ONCE_BYTES + inner.len());
    begin(&mut out, key);
    out.extend_from_slice(inner);
    complete(&mut out);
    *command = out;
}

/// Sets the time of such a command, in milliseconds since 1970.
pub(super) fn set_time(command: &mut [u8], time: u64) {
    command::set_times(command, time, time.saturating_add(WINDOW_MS));
}

/// Why a request with a key was not executed.
pub(super) fn not_once(why: NotOnce) -> Fault {
    match why {
        NotOnce::OtherRequest => Fault::new(
            422,
            "idempotency_key_reused",
            "another request was executed with this Idempotency-Key",
            "make a new key for each request; send the same request, body included, to repeat one",
        ),
        NotOnce::Late => {
            let message = format!(
                "the request was under way for {} s, so it is not executed any more",
                WINDOW_MS / 1000
            );
            let hint = "send it again, with the same Idempotency-Key";
            Fault { retry: true, ..Fault::new(503, "too_late", message, hint) }
        }
        NotOnce::Full => {
            let seconds = LEAST_MS / 1000;
            let message = format!(
                "there have been so many requests with an Idempotency-Key in the last {seconds} s that no further one can be \
                 remembered"
            );
            let hint = "retry later, or send it without a key";
            Fault { retry: true, ..Fault::new(503, "too_many_idempotency_keys", message, hint) }
        }
    }
}

/// What the documentation promises.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::receipts::RETENTION_MS;

    #[test]
    fn users_and_keys_are_told_apart() {
        let all = [name(b"alice", b"k"), name(b"alicek", b""), name(b"", b"alicek"), name(b"alice", b"l")];
        assert!((1..all.len()).all(|at| !all[..at].contains(&all[at])));
    }

    #[test]
    fn a_request_stays_the_same_when_rights_of_its_user_change() {
        let (mut plain, mut named) = (Vec::new(), Vec::new());
        command::encode_by(&mut named, b"default", [crate::Op::Set].into_iter());
        for command in [&mut plain, &mut named] {
            command::encode_set_head(command, b"k", &command::Condition::Always, false);
            command.push(b'v');
        }
        assert_eq!(name_of_request(&plain), name_of_request(&named));
        named.push(b'w');
        assert_ne!(name_of_request(&plain), name_of_request(&named));
    }

    #[test]
    fn the_page_names_the_times() {
        let page = include_str!("../../../docs/http.md");
        let minutes = |ms: u64| ms / 60_000;
        assert_eq!((minutes(RETENTION_MS), minutes(LEAST_MS), 2 * WINDOW_MS), (10, 1, LEAST_MS));
        for text in ["for ten minutes", "a minute has passed", "within half a minute"] {
            assert!(page.contains(text), "{text}");
        }
    }
}
