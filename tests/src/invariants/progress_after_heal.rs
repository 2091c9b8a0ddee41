use super::{Broken, hold};

/// What still waits, of which nothing may when all faults have ended a while ago.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Per server: commands of its lanes that are not executed.
    pub commands: Vec<(u64, usize)>,
    /// Probes, by the server that they went to, that were not executed in time.
    pub probes: Vec<u64>,
    /// Per server: how many of the global log's commands it has executed, if they differ.
    pub executed: Vec<(u64, u64)>,
}

/// When the faults end, every command that waits is executed, and new ones are, through every server.
pub fn check_progress_after_heal(pending: &Pending, when: &str) -> Result<(), Broken> {
    hold(*pending == Pending::default(), "progress_after_heal", || format!("{when}, {pending:?}"))
}
