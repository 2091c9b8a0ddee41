//! Starts what requests want to change about the cluster.

use std::fmt::Display;

use niagara_engine::NotChanged;

use super::change::Change;
use super::fault::{Context, Fault};
use super::groups::GroupsChange;
use super::leaders::LeadersChange;
use super::level::LevelChange;
use super::members;
use super::pages::{end_with_page, passes};
use super::preconditions::Preconditions;
use super::respond::{Framing, ResponseHead};
use super::site::Site;
use super::tags::Current;
use crate::access::Entrance;
use crate::audit::Act;
use crate::protocol::{Engine, Output, Served};

impl Change {
    /// Starts the change, and prints how things are. Later requests for the page show what becomes of it.
    pub(super) fn start<E: Engine>(
        self,
        site: &Site,
        (preconditions, by): (&Preconditions, &Entrance),
        body: &[u8],
        framing: Framing,
        engine: &E,
        output: &mut Output,
    ) -> Served {
        if !passes(site, preconditions, Current::Absent, framing, output) {
            return Served::Answered;
        }
        let started = match self {
            Change::Leaders => change_leaders(site, by, body, engine),
            Change::Groups => change_groups(by, body, engine),
            Change::Level => raise_level(by, body, engine),
            Change::Members => change_members(by, body, engine),
        };
        if let Err(fault) = started {
            fault.print(Context::default(), framing, site, output);
            return if fault.status == 400 { Served::Malformed } else { Served::Answered };
        }
        let head = ResponseHead::begin(output, 202, framing, site);
        end_with_page(head, self.page(), site, engine);
        Served::Answered
    }
}

fn change_leaders<E: Engine>(site: &Site, by: &Entrance, body: &[u8], engine: &E) -> Result<(), Fault> {
    let change = LeadersChange::parse(body)?;
    let act = by.begin(change.words());
    let started = match change {
        LeadersChange::Move { group, to } => engine.move_leadership(group, to),
        LeadersChange::Leave { group } => engine.leave(group),
        LeadersChange::Drain {} => {
            site.handover.drain(engine);
            Ok(())
        }
        LeadersChange::Balance {} => {
            site.handover.end(engine);
            Ok(())
        }
    };
    audited(act, started).map_err(|why| Fault::not_moved(&why))
}

fn change_groups<E: Engine>(by: &Entrance, body: &[u8], engine: &E) -> Result<(), Fault> {
    let GroupsChange { groups } = GroupsChange::parse(body)?;
    let act = by.begin(format!("ask for {groups} groups"));
    let is_so = engine.epoch().groups == groups;
    let asked = if is_so { Err(NotChanged::Same) } else { engine.ask_for_groups(groups) };
    audited(act, asked).map_err(|why| Fault::not_changed(&why))
}

fn raise_level<E: Engine>(by: &Entrance, body: &[u8], engine: &E) -> Result<(), Fault> {
    let LevelChange { level } = LevelChange::parse(body)?;
    let act = by.begin(format!("ask for level {level}"));
    audited(act, engine.ask_for_level(level)).map_err(|why| Fault::level_not_changed(&why))
}

fn change_members<E: Engine>(by: &Entrance, body: &[u8], engine: &E) -> Result<(), Fault> {
    let change = members::parse(body)?;
    let act = by.begin(members::in_words(&change));
    audited(act, engine.start_to_change_members(change)).map_err(|why| Fault::members_not_changed(&why))
}

/// Tells the audit what became of an act.
fn audited<W: Display>(act: Act, done: Result<(), W>) -> Result<(), W> {
    match &done {
        Ok(()) => act.done(),
        Err(why) => act.refused(why),
    }
    done
}
