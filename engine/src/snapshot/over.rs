//! Who is told that epochs are over: servers that may be behind, and that nobody in their own epoch can tell.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use niagara_sequencer::epoch::{Cut, Epoch};

use super::wire::Transfer;
use crate::planted::{self, Bug};

/// What a server tells the others about epochs that are over. A server is told until it has said the same, or later: while
/// all are in one epoch, nobody says anything.
#[derive(Debug)]
pub(crate) struct OverNews {
    /// The servers that are connected, and the latest epoch that each has named.
    peers: BTreeMap<u64, Epoch>,
    /// Where this server's newest snapshot is, if an epoch is over there.
    cut: Option<Cut>,
    every: Duration,
    due: Option<Instant>,
}

impl OverNews {
    /// Says it again after this time.
    pub fn new(every: Duration) -> OverNews {
        OverNews { peers: BTreeMap::new(), cut: None, every, due: None }
    }

    /// A server is connected, and may know nothing.
    pub fn is_up(&mut self, now: Instant, peer: u64) {
        self.peers.insert(peer, Epoch::FIRST);
        self.due = Some(now);
    }

    /// A server is not connected any more.
    pub fn is_down(&mut self, peer: u64) {
        self.peers.remove(&peer);
    }

    /// This server has a snapshot at this cut.
    pub fn kept(&mut self, now: Instant, cut: Cut) {
        if self.cut.is_none_or(|before| before.epoch < cut.epoch) {
            self.due = Some(now);
        }
        self.cut = (cut.epoch > Epoch::FIRST).then_some(cut);
    }

    /// A server has said where it is.
    pub fn heard(&mut self, peer: u64, cut: Cut) {
        if let Some(known) = self.peers.get_mut(&peer) {
            *known = cut.epoch.max(*known);
        }
    }

    /// The cut at which this server has a snapshot, if that is in this epoch or a later one.
    pub fn reached(&self, epoch: Epoch) -> Option<Cut> {
        self.cut.filter(|cut| cut.epoch >= epoch)
    }

    /// When there is something to say again.
    pub fn due(&self) -> Option<Instant> {
        self.due.filter(|_| self.behind().next().is_some())
    }

    /// What is to be said now.
    pub fn take_due(&mut self, now: Instant, out: &mut Vec<(u64, Transfer)>) {
        if self.due.is_none_or(|due| due > now) || planted::is(Bug::OverNotTold) {
            return;
        }
        self.due = Some(now + self.every);
        if let Some(cut) = self.cut {
            out.extend(self.behind().map(|peer| (peer, Transfer::Over { cut })));
        }
    }

    fn behind(&self) -> impl Iterator<Item = u64> {
        let cut = self.cut;
        let is_behind = move |named: Epoch| cut.is_some_and(|cut| named < cut.epoch);
        self.peers.iter().filter(move |(_, named)| is_behind(**named)).map(|(peer, _)| *peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(news: &mut OverNews, now: Instant) -> Vec<u64> {
        let mut out = Vec::new();
        news.take_due(now, &mut out);
        out.into_iter().map(|(peer, _)| peer).collect()
    }

    #[test]
    fn who_may_be_behind_is_told_until_it_has_said_the_same() {
        let (mut now, every) = (Instant::now(), Duration::from_secs(1));
        let mut news = OverNews::new(every);
        news.is_up(now, 2);
        news.is_up(now, 3);
        let cut = |epoch, round| Cut { epoch: Epoch::new(epoch), round };
        news.kept(now, cut(1, 70));
        assert!(said(&mut news, now).is_empty() && news.due().is_none(), "nothing is over");
        now += every;
        news.kept(now, cut(2, 0));
        assert_eq!(said(&mut news, now), [2, 3]);
        assert!(said(&mut news, now).is_empty());
        news.heard(2, cut(2, 5));
        assert_eq!(news.due(), Some(now + every));
        assert_eq!(said(&mut news, now + every), [3]);
        news.is_down(3);
        assert_eq!(news.due(), None);
        news.is_up(now, 3);
        assert_eq!(said(&mut news, now), [3]);
    }
}
