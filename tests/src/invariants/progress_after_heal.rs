use super::{Broken, hold};

/// What still waits; must be empty when all faults ended a while ago.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Servers, with the number of commands in their lanes that are not executed.
    pub commands: Vec<(u64, usize)>,
    /// Servers of the probes that were not executed in time.
    pub probes: Vec<u64>,
    /// Servers, with how many commands of the global log they have executed, if these numbers differ.
    pub executed: Vec<(u64, u64)>,
}

/// When the faults end, every command that waits is executed, and so are new ones, through every server.
pub fn check_progress_after_heal(pending: &Pending, when: &str) -> Result<(), Broken> {
    hold(*pending == Pending::default(), "progress_after_heal", || format!("{when}, {pending:?}"))
}
