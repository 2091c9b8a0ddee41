//! A counterexample as a text for people.

use std::fmt::{self, Display, Formatter};

use super::properties::TICKS_TO_REST;
use super::state::{Group, Message, State, Step};
use super::{Plan, Report};

/// A violation of a property.
#[derive(Clone, Debug)]
pub struct Counterexample {
    /// Name of the property.
    pub property: &'static str,
    /// What happens, step by step.
    pub steps: Vec<String>,
    /// The cluster after that: its logs, and what each server waits for.
    pub end: Vec<String>,
}

impl Counterexample {
    pub(super) fn new(plan: &Plan, property: &'static str, path: &[(State, Option<Step>)]) -> Self {
        let steps = path.iter().filter_map(|(state, step)| Some(describe(plan, state, (*step)?)));
        let mut last = path.last().expect("a path has a state").0.clone();
        let mut steps: Vec<String> = steps.collect();
        if property == "idle_read_is_answered" {
            steps.push(format!("nothing else happens for {TICKS_TO_REST} ticks"));
            last.settle(plan, TICKS_TO_REST);
        }
        Self { property, steps, end: draw(&last) }
    }
}

/// Servers are numbered from 1 for people, and from 0 in code.
fn describe(plan: &Plan, state: &State, step: Step) -> String {
    let mut after = state.clone();
    after.take(plan, step);
    let leader = |group: niagara_sequencer::GroupId| state.groups[group.index()].leader + 1;
    let last = |group: niagara_sequencer::GroupId| {
        cell(&after.groups[group.index()], after.groups[group.index()].log.len() - 1)
    };
    match step {
        Step::Command(group) => {
            format!("server {} leads group {group}, and cuts a command: {}", leader(group), last(group))
        }
        Step::Pad(group) => {
            format!("server {} leads group {group}, and pads: {}", leader(group), last(group))
        }
        Step::Read(server) => {
            let asked = after.messages.iter().find(|message| !state.messages.contains(message));
            match asked {
                Some(Message::Ask { group, .. }) => {
                    format!("a client reads through server {}, which asks group {group}", server + 1)
                }
                _ => {
                    format!("a client reads through server {}; the read waits for a round to end", server + 1)
                }
            }
        }
        Step::Tick(server) => format!("a tick passes on server {}", server + 1),
        Step::Elect(group, server) => {
            let kept = after.groups[group.index()].log.len();
            let lost = state.groups[group.index()].log.len() - kept;
            format!(
                "server {} becomes the leader of group {group}; {lost} of its {} entries are lost",
                server + 1,
                kept + lost
            )
        }
        Step::Replicate(group, server) => {
            format!("server {} stores the entries of group {group}", server + 1)
        }
        Step::Commit(group) => {
            let group_after = &after.groups[group.index()];
            format!("group {group} commits {}", cell(group_after, group_after.committed - 1))
        }
        Step::Learn(group, server) => format!(
            "server {} hears what group {group} has committed, and has merged up to position {}",
            server + 1,
            after.servers[server].merge.emitted()
        ),
        Step::Deliver(message) => match state.messages[message] {
            Message::Ask { from, group, .. } => {
                let place = after.messages.iter().find_map(|message| match message {
                    Message::Answer { to, place, .. } if *to == from => Some(*place),
                    _ => None,
                });
                format!(
                    "group {group} answers server {}: my last committed place is {}",
                    from + 1,
                    place.unwrap_or(0)
                )
            }
            Message::Answer { to, .. } => {
                let barrier = after.servers[to].reads.next_barrier();
                match barrier {
                    Some(barrier) => format!(
                        "the answer reaches server {}: the read waits until all below position {barrier} is applied",
                        to + 1
                    ),
                    None => format!("the answer reaches server {}, and the read is answered", to + 1),
                }
            }
        },
    }
}

/// An entry: its place, and a letter for a command, or a dash for no-ops up to the place.
fn cell(group: &Group, index: usize) -> String {
    let entry = &group.log[index];
    let content = entry.command.map_or('-', |command| char::from(b'a' + command % 26));
    format!("{content} at place {}", entry.place)
}

fn draw(state: &State) -> Vec<String> {
    let groups = (1..).zip(&state.groups).map(|(number, group)| {
        let cells: Vec<String> = (0..group.log.len()).map(|index| cell(group, index)).collect();
        format!(
            "group {number}, led by server {}, {} committed: {}",
            group.leader + 1,
            group.committed,
            cells.join(", ")
        )
    });
    let servers = (1..).zip(&state.servers).map(|(number, server)| {
        let reads = match (server.reads.is_empty(), server.reads.next_barrier()) {
            (true, _) => "no reads wait".to_owned(),
            (false, None) => "reads wait for an answer".to_owned(),
            (false, Some(barrier)) => format!("reads wait until all below position {barrier} is applied"),
        };
        let global: String = server.global.iter().map(|held| char::from(b'a' + held.1 % 26)).collect();
        format!(
            "server {number} has merged up to position {} (commands {global:?}), and awaits slot {}; {reads}",
            server.merge.emitted(),
            server.merge.awaited()
        )
    });
    groups.chain(servers).collect()
}

impl Display for Counterexample {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} is violated:", self.property)?;
        (1..).zip(&self.steps).try_for_each(|(number, step)| writeln!(f, "{number:>4}. {step}"))?;
        writeln!(f, "Then:")?;
        self.end.iter().try_for_each(|line| writeln!(f, "      {line}"))
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Report { states, depth, took, counterexample } = self;
        write!(f, "{states} states, up to {depth} steps deep, in {:.1} s", took.as_secs_f64())?;
        match counterexample {
            Some(counterexample) => write!(f, "\n{counterexample}"),
            None => Ok(()),
        }
    }
}
