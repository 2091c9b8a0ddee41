use super::{Broken, hold};

/// A strong read is answered in bounded time in a cluster in which nothing else happens, through every server.
pub fn check_idle_read_is_answered(unanswered: &[u64], waited_ms: u64) -> Result<(), Broken> {
    hold(unanswered.is_empty(), "idle_read_is_answered", || {
        format!(
            "nothing happens any more, but strong reads have had no answer for {waited_ms} ms at servers {unanswered:?}"
        )
    })
}
