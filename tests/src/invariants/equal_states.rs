use niagara_engine::Status;
use niagara_engine::agreement::{Agreement, DigestOf};

use super::{Broken, hold};

/// Any two servers that have executed the same part of the global log have the same state, and none considers
/// itself diverged from the others. Each keeps digests of both at positions that it shares with the others.
pub fn check_equal_states(servers: &[Status]) -> Result<(), Broken> {
    match Agreement::of(servers, 0) {
        Agreement::Agree { position } => hold(position > 0, "equal_states", || {
            "nothing has been executed, so nothing was compared".to_owned()
        }),
        Agreement::Differ { of: DigestOf::Log, position, digests } => {
            Err(Broken::new("global_prefix", format!("digests differ at position {position}: {digests:?}")))
        }
        other => Err(Broken::new("equal_states", format!("{other:?}"))),
    }
}
