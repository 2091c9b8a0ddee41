//! What must hold in every state: the invariants of ARCHITECTURE.md that a state shows.

use niagara_sequencer::SKIP_AHEAD_ROUNDS;
use stateright::Property;

use super::state::{RETRY_TICKS, Server, State};
use super::{Padded, Plan, Search};

/// Without further inputs, everything must be done after this many ticks. An overdue round is retried after
/// `RETRY_TICKS`. Its answer may be beyond the frontier; one more tick shows that the merge has halted, and
/// another brings the answer of the group that it awaits. A last tick is to spare.
pub(super) const TICKS_TO_REST: u32 = RETRY_TICKS + 4;

pub(super) fn all() -> Vec<Property<Search>> {
    vec![
        Property::always("slots_rise", |search, state| search.verdicts.judge(slots_rise(state))),
        Property::always("global_prefix", |search, state| search.verdicts.judge(global_prefix(state))),
        Property::always("read_is_fresh", |search, state: &State| search.verdicts.judge(!state.stale_answer)),
        Property::always("pads_are_bounded", |search, state| {
            search.verdicts.judge(pads_are_bounded(&search.plan, state))
        }),
        Property::always("idle_read_is_answered", |search, state| {
            search.verdicts.judge(idle_read_is_answered(&search.plan, state))
        }),
    ]
}

/// Places rise along a log, whoever led.
pub(super) fn slots_rise(state: &State) -> bool {
    state.groups.iter().all(|group| group.log.is_sorted_by(|a, b| a.place < b.place))
}

/// Any two servers' global logs agree on their common prefix.
fn global_prefix(state: &State) -> bool {
    let upto =
        |server: &Server, end| server.global.iter().take_while(|held| held.0 <= end).copied().collect();
    state.servers.iter().all(|a| {
        state.servers.iter().all(|b| {
            let common = a.merge.emitted().min(b.merge.emitted());
            let (of_a, of_b): (Vec<_>, Vec<_>) = (upto(a, common), upto(b, common));
            of_a == of_b
        })
    })
}

/// A command costs another group at most two skips, or as many again under a new leader that lacks those. And
/// no log runs away: a command raises the highest place by one, or, where leaders skip ahead, by as much as
/// they do.
fn pads_are_bounded(plan: &Plan, state: &State) -> bool {
    let commands = u64::from(plan.all_commands() - state.left.commands);
    let elections = u64::from(plan.elections - state.left.elections);
    let distance = match plan.padded {
        Padded::ToTheLevel { skip_ahead: true } => SKIP_AHEAD_ROUNDS,
        Padded::ToTheLevel { skip_ahead: false } | Padded::ByCount => 0,
    };
    state.groups.iter().all(|group| {
        let skips = group.log.iter().filter(|entry| entry.command.is_none()).count() as u64;
        let last = group.log.last().map_or(0, |entry| entry.place);
        skips <= 2 * commands * (1 + elections) && last <= commands * (1 + distance)
    })
}

/// When only time passes, every strong read is answered, and every server applies every committed command.
fn idle_read_is_answered(plan: &Plan, state: &State) -> bool {
    let mut steps = Vec::new();
    state.steps_within(plan, &mut steps);
    if !steps.is_empty() {
        return true;
    }
    let mut rest = state.clone();
    rest.settle(plan, TICKS_TO_REST);
    let committed = rest.groups.iter().flat_map(|group| &group.log[..group.committed]);
    let commands: Vec<u8> = committed.filter_map(|entry| entry.command).collect();
    rest.servers.iter().all(|server| {
        let applied = |command: &u8| server.global.iter().any(|held| held.1 == *command);
        server.reads.is_empty() && commands.iter().all(applied)
    })
}
