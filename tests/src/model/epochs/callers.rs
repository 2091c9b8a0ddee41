//! What callers see: commands of lanes, and strong reads.

use niagara_sequencer::epoch::lane_group;
use niagara_sequencer::{GroupId, Round, Slot};

use super::entry::{Command, Entry, Kind};
use super::plan::{LANES, Mistake, Plan, SERVERS, number};
use super::state::{Group, Read, State};

impl State {
    /// Sends a command of a lane to its group in an epoch. Returns whether somebody took it.
    pub(super) fn send(&mut self, plan: &Plan, server: usize, lane: usize, number: u8, epoch: usize) -> bool {
        let group = self.group_of(plan, lane, epoch);
        let start = self.servers[server].start;
        self.propose(plan, epoch, group, Kind::Command(Command { server, start, lane, number }))
    }

    fn group_of(&self, plan: &Plan, lane: usize, epoch: usize) -> usize {
        lane_group(lane as u16 + 1, self.groups_of(plan, epoch).len() as u16).index()
    }

    /// Numbers the next command of a lane, and sends it.
    pub(super) fn submit(&mut self, plan: &Plan, server: usize, lane: usize) {
        self.left.commands -= 1;
        self.servers[server].numbered[lane] += 1;
        let number = self.servers[server].numbered[lane];
        self.send(plan, server, lane, number, self.servers[server].at.epoch());
    }

    /// Whether a server may take commands: it is a member where its merge is.
    pub(super) fn takes_commands(&self, plan: &Plan, server: usize) -> bool {
        let this = &self.servers[server];
        this.up && self.is_member(plan, server, this.at.epoch())
    }

    /// The first command of a lane that has no outcome and stands nowhere before the merge.
    pub(super) fn to_resend(&self, plan: &Plan, server: usize, lane: usize) -> Option<u8> {
        let this = &self.servers[server];
        let mut waiting = this.done[lane] + 1..=this.numbered[lane];
        let lost = |number: &u8| !self.is_on_its_way(plan, server, lane, *number);
        self.takes_commands(plan, server).then(|| waiting.find(lost)).flatten()
    }

    fn is_on_its_way(&self, plan: &Plan, server: usize, lane: usize, number: u8) -> bool {
        let this = &self.servers[server];
        let command = Kind::Command(Command { server, start: this.start, lane, number });
        if plan.has(Mistake::LanesNotResent) {
            return self
                .groups
                .iter()
                .flatten()
                .flat_map(|group| &group.log)
                .any(|entry| entry.kind == command);
        }
        let epoch = this.at.epoch();
        let group = self.group_of(plan, lane, epoch);
        let layout = this.at.layout();
        let last_round = this.at.ending.last_round().unwrap_or(u64::MAX);
        let ahead = |entry: &&Entry| {
            let slot = Slot { place: entry.place, group: GroupId::new(group as u16 + 1) };
            layout.position_of(slot) > this.at.position && entry.place <= last_round
        };
        self.groups[epoch][group].log.iter().filter(ahead).any(|entry| entry.kind == command)
    }

    /// Whether a leader can answer the question of a read: a quorum confirms that it leads.
    pub(super) fn answers_reads(&self, plan: &Plan, server: usize, group: usize) -> bool {
        let epoch = self.servers[server].at.epoch();
        let confirm = |voter: &usize| self.acknowledges(plan, *voter, epoch);
        self.servers[server].up
            && self.proposer(plan, epoch, group).is_some()
            && (0..SERVERS).filter(confirm).count() >= self.quorum(plan, epoch)
    }

    pub(super) fn read(&mut self, server: usize) {
        self.left.reads -= 1;
        let must_see = self.history.len();
        let this = &mut self.servers[server];
        this.reads.queue(Read { must_see });
        this.asks = 0;
    }

    /// A read asks a group of the epoch where its server's merge is, and has the answer at once.
    pub(super) fn ask(&mut self, server: usize, group: usize) {
        let epoch = self.servers[server].at.epoch();
        let Group { log, committed, .. } = &self.groups[epoch][group];
        let place = log[..*committed].last().map_or(0, |entry| entry.place);
        let this = &mut self.servers[server];
        this.asks = this.asks.saturating_add(1);
        let asked = GroupId::new(group as u16 + 1);
        let round = this.reads.begin(asked).or_else(|| this.reads.tick(asked, true));
        if let Some(Round { id, .. }) = round {
            this.reads.answered(id, place);
        }
        self.release(server);
    }

    /// The merge of a server has ended an epoch.
    pub(super) fn reads_end_epoch(&mut self, plan: &Plan, server: usize, epoch: usize) {
        let this = &mut self.servers[server];
        let chain = &this.at.chain;
        let last_round = chain.last_round(number(epoch)).expect("it has ended");
        let next = chain.links()[epoch + 1].record.layout();
        let beyond = this.reads.next_barrier().is_some_and(|barrier| barrier > next.base());
        match plan.mistake {
            Some(Mistake::ReadsByPosition) => {}
            Some(Mistake::ReadsNotAskedAgain) if beyond => {
                let mut done = Vec::new();
                this.reads.extract(|_| true, &mut done);
                this.reads.end_epoch(last_round, next);
                self.answer(server, &done);
            }
            _ => {
                this.reads.end_epoch(last_round, next);
                this.asks = 0;
            }
        }
    }

    /// Answers the reads that may be answered.
    pub(super) fn release(&mut self, server: usize) {
        let this = &mut self.servers[server];
        let mut done = Vec::new();
        this.reads.release(this.at.position, &mut done);
        self.answer(server, &done);
    }

    fn answer(&mut self, server: usize, done: &[Read]) {
        if done.iter().any(|read| read.must_see > self.servers[server].at.executed) {
            self.violate("read_is_fresh");
        }
    }

    /// Whether a server owes an outcome.
    pub(super) fn owes(&self, server: usize) -> Option<&'static str> {
        let this = &self.servers[server];
        let commands = (0..LANES).any(|lane| this.done[lane] < this.numbered[lane]);
        match (commands, this.reads.is_empty()) {
            (true, _) => Some("has a command without an outcome"),
            (false, false) => Some("has a read without an answer"),
            (false, true) => None,
        }
    }
}
