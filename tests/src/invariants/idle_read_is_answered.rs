use super::{Broken, hold};

/// In a cluster where nothing else happens, every server answers a strong read in bounded time.
pub fn check_idle_read_is_answered(unanswered: &[u64], waited_ms: u64) -> Result<(), Broken> {
    hold(unanswered.is_empty(), "idle_read_is_answered", || {
        format!(
            "nothing happens any more, but strong reads have had no answer for {waited_ms} ms at servers {unanswered:?}"
        )
    })
}
