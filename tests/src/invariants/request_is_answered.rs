use super::{Broken, hold};

/// Every caller learns an outcome by the deadline, of one kind or another, as long as the server and the
/// connection live. If many requests were sent at once, no more time than that passes between two answers.
/// Times are in milliseconds.
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
