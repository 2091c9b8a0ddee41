//! A counterexample as a text for people, who count servers, epochs, groups and lanes from 1.

use niagara_sequencer::epoch::Cut;

use super::entry::{Command, Entry, Kind};
use super::plan::Plan;
use super::state::State;
use super::steps::Step;
use crate::model::Counterexample;

pub(super) fn counterexample(
    plan: &Plan,
    property: &'static str,
    path: &[(State, Option<Step>)],
) -> Counterexample {
    let mut steps: Vec<String> = path.iter().filter_map(|(_, step)| step.map(describe)).collect();
    let last = &path.last().expect("a path has a state").0;
    let stuck = last.violated.is_none().then(|| last.stuck(plan)).flatten();
    match stuck {
        Some((why, rest)) => {
            steps.push(format!("nothing fails any more, but {why}"));
            Counterexample { property, steps, end: draw(&rest) }
        }
        None => Counterexample { property, steps, end: draw(last) },
    }
}

fn describe(step: Step) -> String {
    let group = |epoch: usize, group: usize| format!("group {} of epoch {}", group + 1, epoch + 1);
    match step {
        Step::Submit { server, lane } => {
            format!("server {} sends a command of lane {}", server + 1, lane + 1)
        }
        Step::Resend { server, lane } => {
            format!("server {} sends a command of lane {} again", server + 1, lane + 1)
        }
        Step::LateCopy { server, lane, number, epoch } => format!(
            "a late copy of command {number} of server {}, lane {}, reaches epoch {}",
            server + 1,
            lane + 1,
            epoch + 1
        ),
        Step::ProposeEnd { epoch, group: of, shape } => {
            format!("the leader of {} proposes the next epoch, in shape {}", group(epoch, of), shape + 1)
        }
        Step::Pad { epoch, group: of } => format!("the leader of {} pads its log", group(epoch, of)),
        Step::SkipAhead { epoch, group: of } => format!("the leader of {} skips ahead", group(epoch, of)),
        Step::Replicate { epoch, group: of, server } => {
            format!("server {} takes what the leader of {} has", server + 1, group(epoch, of))
        }
        Step::Install { epoch, group: of, server } => {
            format!("server {} installs the snapshot of the leader of {}", server + 1, group(epoch, of))
        }
        Step::Persist { server } => format!("what server {} holds is durable", server + 1),
        Step::Elect { epoch, group: of, server } => {
            format!("server {} leads {}", server + 1, group(epoch, of))
        }
        Step::Feed { server, from } => {
            format!("server {} takes committed entries from server {}", server + 1, from + 1)
        }
        Step::Fetch { server, from } => {
            format!("server {} installs a snapshot of server {}", server + 1, from + 1)
        }
        Step::Snapshot { server } => format!("server {} writes a snapshot", server + 1),
        Step::Compact { server } => format!("server {} compacts its logs", server + 1),
        Step::Close { server, epoch } => format!("server {} closes epoch {}", server + 1, epoch + 1),
        Step::Stop { server } => format!("server {} stops, since it was removed", server + 1),
        Step::Crash { server, damaged } => {
            let damage = if damaged { ", and its newest snapshot is damaged" } else { "" };
            format!("server {} crashes{damage}", server + 1)
        }
        Step::Restart { server } => format!("server {} comes back", server + 1),
        Step::Read { server } => format!("a client reads through server {}", server + 1),
        Step::Ask { server, group } => format!("the read of server {} asks group {}", server + 1, group + 1),
    }
}

fn entry(Entry { place, kind }: &Entry) -> String {
    match kind {
        Kind::Skip => format!("{place}: skip"),
        Kind::End(shape) => format!("{place}: end, shape {}", shape + 1),
        Kind::Command(Command { server, start, lane, number }) => {
            format!("{place}: command {number} of server {}, start {start}, lane {}", server + 1, lane + 1)
        }
    }
}

fn draw(state: &State) -> Vec<String> {
    let mut lines = Vec::new();
    for (epoch, groups) in state.groups.iter().enumerate() {
        for (number, group) in groups.iter().enumerate() {
            let entries: Vec<String> = group.log.iter().map(entry).collect();
            let leader = group.leader.map_or("nobody".to_owned(), |leader| format!("server {}", leader + 1));
            lines.push(format!(
                "epoch {}, group {}, led by {leader}, {} committed: [{}]",
                epoch + 1,
                number + 1,
                group.committed,
                entries.join(", ")
            ));
        }
    }
    for (number, server) in state.servers.iter().enumerate() {
        let down = match (server.up, server.stopped) {
            (true, _) => "",
            (false, true) => ", stopped",
            (false, false) => ", down",
        };
        let kept: Vec<String> = server.cuts().iter().map(Cut::to_string).collect();
        lines.push(format!(
            "server {}{down} has merged to position {} of epoch {}, executed {} commands, keeps snapshots {kept:?}; {:?}",
            number + 1,
            server.at.position,
            server.at.epoch() + 1,
            server.at.executed,
            server.marks
        ));
    }
    lines
}
