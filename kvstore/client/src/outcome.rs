//! What became of a request.

/// What became of a request, as a server's reply says it. `docs/http.md` and `docs/redis.md` list the replies.
///
/// ```
/// use niagara_client::Outcome;
///
/// assert_eq!(Outcome::of_status(201), Outcome::Applied);
/// assert_eq!(Outcome::of_status(503), Outcome::Refused);
/// assert_eq!(Outcome::of_error(b"UNKNOWN the deadline has passed"), Outcome::Unknown);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It has been executed. Its result may be a no: there is no such key, or the condition did not hold.
    Applied,
    /// It has had no effect, and never will have one.
    Refused,
    /// Nobody knows: it may have been executed, or be executed later.
    Unknown,
}

impl Outcome {
    /// What the status of an HTTP reply says.
    pub fn of_status(status: u16) -> Outcome {
        match status {
            200..=399 | 404 | 412 => Outcome::Applied,
            // Servers check before they execute; where one fails in the midst of it, nobody knows how far it came.
            500 | 502 | 504 => Outcome::Unknown,
            _ => Outcome::Refused,
        }
    }

    /// What an error of the Redis protocol says, without its `-`: the first word tells.
    pub fn of_error(text: &[u8]) -> Outcome {
        match text.split(|byte| *byte == b' ').next() {
            Some(b"UNKNOWN") => Outcome::Unknown,
            _ => Outcome::Refused,
        }
    }
}
