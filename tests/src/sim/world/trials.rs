//! What an operator does to a server that is down: its directory loses a part, is replaced by an old copy, or
//! its list of members is edited. Each time the server is started on that, must be refused, and gets its
//! directory back.

use niagara_engine::{IdentityError, StartError};
use niagara_log::LogError;
use niagara_net::{Hello, Refusal};

use super::World;
use crate::invariants::Broken;
use crate::sim::disk::Loss;
use crate::sim::fault::Fault;
use crate::sim::server::Running;

const INVARIANT: &str = "a_loss_is_noticed";

impl World {
    /// Starts a fault of this kind; ignores others.
    pub(crate) fn begin_trial(&mut self, number: usize) -> Result<(), Broken> {
        match self.plan.faults[number].fault {
            Fault::Lose { server, loss, down } => {
                self.take_down(server, false, down);
                self.try_without(server, loss)
            }
            Fault::OtherMembers { server, down } => {
                self.take_down(server, false, down);
                self.try_other_members(server)
            }
            Fault::OldCopy { server, down, .. } => {
                self.take_down(server, false, down);
                let Some(life) = self.whole_life(server) else { return Ok(()) };
                let image = self.server(server).disk.image();
                self.copies.insert(number, (life, image));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Ends what [`begin_trial`](Self::begin_trial) has started and what lasts a while.
    pub(crate) fn end_trial(&mut self, number: usize) -> Result<(), Broken> {
        let Some((life, image)) = self.copies.remove(&number) else { return Ok(()) };
        let Fault::OldCopy { server, down, .. } = self.plan.faults[number].fault else { return Ok(()) };
        let know_better: Vec<u64> = (1..=self.plan.servers)
            .filter(|other| self.is_running(*other) && *other != server)
            .filter(|other| self.met.get(&(*other, server)).is_some_and(|met| *met > life))
            .collect();
        if know_better.is_empty() || self.whole_life(server).is_none() {
            return Ok(());
        }
        self.take_down(server, false, down);
        let newest = self.server(server).disk.image();
        self.server(server).disk.put_back(image);
        let tried = self.try_old_copy(server, &know_better);
        self.server(server).running = None;
        self.server(server).disk.put_back(newest);
        tried?;
        self.coverage.count("old copy put back");
        Ok(())
    }

    /// The life that a directory belongs to; `None` while a bit of it is flipped.
    fn whole_life(&mut self, id: u64) -> Option<u64> {
        let server = self.server(id);
        (server.flipped.is_none() && server.rotten == 0).then_some(server.life)
    }

    fn try_without(&mut self, id: u64, loss: Loss) -> Result<(), Broken> {
        if self.whole_life(id).is_none() {
            return Ok(());
        }
        let has_epochs = self.plan.has_epochs();
        let server = self.server(id);
        let whole = server.disk.image();
        server.disk.trouble(|trouble| *trouble = crate::sim::disk::Trouble::default());
        let mut tried = Ok(());
        if server.disk.lose(loss) {
            let why = format!("{loss:?} is lost");
            let started = server.start();
            let found = server.running.take().map(|running| logs_of(&running));
            tried = match (loss, started, found) {
                (Loss::FirstSegment(_) | Loss::Snapshots, Ok(()), Some(found)) => {
                    self.server(id).disk.put_back(whole.clone());
                    self.expect_logs(id, &why, &found)
                }
                (Loss::Log(_) | Loss::LastSegment(_) | Loss::EndOfSegment(_), Ok(()), Some(found))
                    if has_epochs =>
                {
                    self.server(id).disk.put_back(whole.clone());
                    self.expect_same_logs(id, &why, &found)
                }
                (_, started, _) => expect_refusal(id, &why, started, is_told_by_marks),
            };
            self.coverage.count(match loss {
                Loss::Log(_) => "log lost",
                Loss::LastSegment(_) => "last segment lost",
                Loss::FirstSegment(_) => "first segment lost",
                Loss::EndOfSegment(_) => "end of a segment lost",
                Loss::Snapshots => "snapshots lost",
                Loss::Identity => "identity lost",
                Loss::PartOfIdentity => "identity torn",
            });
        }
        self.server(id).disk.put_back(whole);
        tried
    }

    /// What is lost was of an ended epoch that a start does not need any more, or else it must refuse.
    fn expect_same_logs(&mut self, id: u64, why: &str, found: &[Vec<u64>]) -> Result<(), Broken> {
        let whole = self.logs_of_whole(id)?;
        if whole == found {
            self.coverage.count("log of an ended epoch not missed");
            return Ok(());
        }
        let what = format!("server {id} starts although {why}; it had {whole:?}, and has {found:?}");
        Err(Broken::new(INVARIANT, what))
    }

    /// What a start on the whole directory finds.
    fn logs_of_whole(&mut self, id: u64) -> Result<Vec<Vec<u64>>, Broken> {
        let server = self.server(id);
        server.disk.trouble(|trouble| *trouble = crate::sim::disk::Trouble::default());
        let started = server.start();
        let whole = server.running.take().map(|running| logs_of(&running));
        whole.ok_or_else(|| {
            let what = format!("server {id} does not start on its whole directory: {started:?}");
            Broken::new("a_sound_log_opens", what)
        })
    }

    /// A start on the whole directory must find the same as one on the rest of it.
    fn expect_logs(&mut self, id: u64, why: &str, found: &[Vec<u64>]) -> Result<(), Broken> {
        let whole = self.logs_of_whole(id)?;
        let misses =
            |(whole, found): (&Vec<u64>, &Vec<u64>)| !whole.ends_with(found) && !found.ends_with(whole);
        if whole.iter().zip(found).any(misses) || found.iter().any(|terms| terms.contains(&0)) {
            let what = format!("server {id} starts although {why}; it had {whole:?}, and has {found:?}");
            return Err(Broken::new(INVARIANT, what));
        }
        Ok(())
    }

    /// With itself alone it would form its own cluster; with the others it would disagree on what a majority
    /// is.
    fn try_other_members(&mut self, id: u64) -> Result<(), Broken> {
        // After a change, what the configuration says of members is a hint.
        let has_changed = self.coverage.of("groups of an epoch made") > 0;
        if self.whole_life(id).is_none() || has_changed {
            return Ok(());
        }
        let server = self.server(id);
        let whole = server.disk.image();
        server.disk.trouble(|trouble| *trouble = crate::sim::disk::Trouble::default());
        let alone = server.members().iter().filter(|member| member.server == id).cloned().collect();
        let started = server.start_with(alone);
        let is_expected =
            |error: &StartError| matches!(error, StartError::Identity(IdentityError::Members { .. }));
        let tried = expect_refusal(id, "its list of members was edited", started, is_expected);
        server.running = None;
        server.disk.put_back(whole);
        tried?;
        for (here, there) in (1..=self.plan.servers).zip(2..=self.plan.servers) {
            let hello = self.server(there).running.as_ref().map(|running| running.machine.hello(1));
            let (Some(hello), Some(running)) = (hello, &self.server(here).running) else { continue };
            let admitted = running.machine.admit(1, &Hello { members: vec![there], ..hello });
            if !matches!(admitted, Err(Refusal::Members(_))) {
                let what = format!("server {here} lets in server {there}, which lists itself alone");
                return Err(Broken::new(INVARIANT, what));
            }
        }
        self.coverage.count("other members listed");
        Ok(())
    }

    fn try_old_copy(&mut self, id: u64, know_better: &[u64]) -> Result<(), Broken> {
        let server = self.server(id);
        server.disk.trouble(|trouble| *trouble = crate::sim::disk::Trouble::default());
        // A copy is consistent with itself, so only the others can notice.
        if let Err(error) = server.start() {
            return Err(Broken::new(
                "a_sound_log_opens",
                format!("server {id} does not start on a copy: {error}"),
            ));
        }
        let hello = server.running.as_ref().expect("just started").machine.hello(1);
        for other in know_better {
            let Some(running) = &self.server(*other).running else { continue };
            let admitted = running.machine.admit(1, &hello);
            let Err(refusal @ Refusal::OldCopy(_)) = admitted else {
                let what =
                    format!("server {other} has met server {id} in a later state, and says: {admitted:?}");
                return Err(Broken::new(INVARIANT, what));
            };
            if let Some(running) = &self.server(id).running {
                running.machine.refused(&refusal);
            }
        }
        let server = self.server(id);
        server.running = None;
        let is_expected =
            |error: &StartError| matches!(error, StartError::Identity(IdentityError::OldCopy(_)));
        expect_refusal(id, "it was refused as an old copy", server.start(), is_expected)
    }
}

/// For each group's log, the terms from the first entry on that a start can use: above the floor of the
/// newest snapshot.
fn logs_of(running: &Running) -> Vec<Vec<u64>> {
    let machine = &running.machine;
    let snapshot = machine.snapshots().next_back().cloned();
    let log = |group: usize| {
        if !machine.has_group(group) {
            return Vec::new();
        }
        let (epoch, index) = machine.epoch_and_group(group);
        let of_epoch = snapshot.as_ref().filter(|header| header.cut().epoch == epoch);
        let floor = of_epoch.map_or(0, |header| header.floors[index].entry.index);
        let last = machine.log(group).last_index();
        (floor + 1..=last).map(|index| machine.log(group).term(index).unwrap_or(0)).collect()
    };
    (0..running.last.len()).map(log).collect()
}

fn is_told_by_marks(error: &StartError) -> bool {
    matches!(
        error,
        StartError::Log {
            source: LogError::Vanished { .. } | LogError::Corrupt { .. } | LogError::Lost { .. },
            ..
        } | StartError::SnapshotMissing { .. }
            | StartError::LogBehindSnapshot { .. }
            | StartError::EpochClosed { .. }
            | StartError::Identity(IdentityError::NoIdentity { .. } | IdentityError::Damaged { .. })
    )
}

fn expect_refusal(
    id: u64,
    why: &str,
    started: Result<(), StartError>,
    is_expected: impl Fn(&StartError) -> bool,
) -> Result<(), Broken> {
    match started {
        Err(error) if is_expected(&error) => Ok(()),
        Err(error) => Err(Broken::new(INVARIANT, format!("server {id}: {why}, and it says: {error}"))),
        Ok(()) => Err(Broken::new(INVARIANT, format!("server {id} starts although {why}"))),
    }
}
