use super::{Broken, hold};

/// A server that drains leads no group once it has had the time to hand over, while the others can take over; nor does it get
/// any.
pub fn check_drained_leads_nothing(server: u64, group: usize, leads: bool) -> Result<(), Broken> {
    hold(!leads, "drained_leads_nothing", || {
        format!("server {server} drains, and leads group {}, which others could lead", group + 1)
    })
}
