use super::{Activity, Broken, hold};

/// Messages and work are in proportion to what clients request and to time, whatever goes wrong: nothing is
/// sent over and over, and elections do not follow each other without end. An entry costs each server a round
/// of its log, its sequencer, its application and a front end. In 500 seeds the most was a quarter to two
/// thirds of each bound. One of 16,000 sent 3.2 times what its followers needed: its disk had room for less than an entry, so
/// appends were dropped and sent again.
pub fn check_cost_is_bounded(did: Activity, (servers, groups): (u64, u64), ticks: u64) -> Result<(), Broken> {
    let followers = servers - 1;
    let within = did.elections <= 30 * groups
        && did.messages <= 8 * followers * (did.entries + ticks * groups)
        && did.sent_bytes <= 4 * (followers * did.appended_bytes + 100 * did.messages)
        && did.rounds <= 4 * (did.messages + servers * (did.entries + ticks * groups));
    hold(within, "cost_is_bounded", || {
        format!("{servers} servers with {groups} groups did {did:?} in {ticks} ticks")
    })
}
