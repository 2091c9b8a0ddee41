//! The outcome of a request.

/// The outcome of a request, as the server's reply reports it. `docs/http.md` and `docs/redis.md` list the
/// replies.
///
/// ```
/// use niagara_client::Outcome;
///
/// assert_eq!(Outcome::of_status(201), Outcome::Applied);
/// assert_eq!(Outcome::of_status(503), Outcome::Refused);
/// assert_eq!(Outcome::of_status(307), Outcome::Refused, "a follower does not write");
/// assert_eq!(Outcome::of_error(b"UNKNOWN the deadline has passed"), Outcome::Unknown);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was executed. The result may be negative: the key does not exist, or the condition does not hold.
    Applied,
    /// It had no effect, and never will.
    Refused,
    /// It may have been executed, or may be executed later.
    Unknown,
}

impl Outcome {
    /// The outcome that an HTTP status stands for.
    pub fn of_status(status: u16) -> Outcome {
        match status {
            // A follower has sent it to a member.
            307 => Outcome::Refused,
            200..=399 | 404 | 412 => Outcome::Applied,
            // Servers check before they execute. If one fails halfway, nobody knows how far it got.
            500 | 502 | 504 => Outcome::Unknown,
            _ => Outcome::Refused,
        }
    }

    /// The outcome that a Redis error stands for, without its `-`. The first word decides.
    pub fn of_error(text: &[u8]) -> Outcome {
        match text.split(|byte| *byte == b' ').next() {
            Some(b"UNKNOWN") => Outcome::Unknown,
            _ => Outcome::Refused,
        }
    }
}
