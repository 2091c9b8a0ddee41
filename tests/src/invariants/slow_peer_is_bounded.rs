use super::{Broken, hold};

/// Bytes that wait for one server on one group's link stay within this bound, however slow the link is.
pub fn check_slow_peer_is_bounded(
    (server, peer, group): (u64, u64, usize),
    waiting: usize,
    bound: usize,
) -> Result<(), Broken> {
    hold(waiting <= bound, "slow_peer_is_bounded", || {
        format!("at server {server} {waiting} bytes wait for server {peer} in group {}", group + 1)
    })
}
