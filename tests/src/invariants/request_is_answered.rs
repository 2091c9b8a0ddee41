use super::{Broken, hold};

/// Whoever has asked something is told its outcome by the deadline, in one of the ways that there are, as long as the server and the
/// connection live; and where many were asked at once, no longer passes between two answers. Times are in milliseconds.
pub fn check_request_is_answered(
    server: u64,
    waited: u64,
    bound: u64,
    request: impl FnOnce() -> String,
) -> Result<(), Broken> {
    hold(waited <= bound, "request_is_answered", || {
        format!(
            "server {server} has lived for {waited} ms since it was asked, and has not answered {}",
            request()
        )
    })
}
