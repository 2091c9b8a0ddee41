use bytes::Bytes;
use niagara_engine::{GlobalPosition, StateMachine};
use niagara_kvstore::{Kv, KvReader};

use super::{Broken, hold};

/// A state that was read from a snapshot is what the commands up to its position lead to, versions included.
pub fn check_restored_state(
    server: u64,
    position: u64,
    restored: &KvReader,
    log: &[(u64, Bytes)],
) -> Result<(), Broken> {
    let mut expected = Kv::new();
    for (at, command) in log.iter().take_while(|(at, _)| *at <= position) {
        expected.execute(GlobalPosition::new(*at), command);
    }
    let (expected, found) = (expected.reader().entries(), restored.entries());
    hold(expected == found, "restored_state", || {
        let differ = expected.iter().zip(&found).find(|(expected, found)| expected != found);
        format!(
            "server {server} resumes from position {position} with {} keys instead of {}; the first that differs: {differ:?}",
            found.len(),
            expected.len()
        )
    })
}
