//! What a server does to know the time, and so that keys expire in time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use niagara_planted::{self as planted, Bug};

use super::estimate::ClusterTime;
use crate::{ClockNews, KvReader, command};

/// An answer that takes longer says too little.
const LONGEST_ANSWER: Duration = Duration::from_millis(800);

/// Once a majority has answered, the others are waited for so long.
const GRACE: Duration = Duration::from_millis(250);

/// A question that no majority has answered by then is asked anew.
const QUESTION: Duration = Duration::from_secs(1);

/// How long what is known of the other clocks lasts, while any key expires.
const LASTS: Duration = Duration::from_secs(60);

/// A clock that has moved this much against the steady clock has jumped.
const JUMP_MS: u64 = 200;

/// Clocks that differ by no more than this agree.
const AGREE_MS: i64 = 1000;

/// How long a server waits for the one before it, whose turn it is to advance.
const TURN: Duration = Duration::from_millis(40);

/// Advances are at least so far apart, unless keys that have expired wait to be removed.
const PAUSE: Duration = Duration::from_millis(20);

/// What was proposed may be lost, and is proposed again.
const LOST: Duration = Duration::from_secs(1);

/// The longest sleep while any key expires, since clocks may jump meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);

/// What the clocks of a server show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// The steady one.
    pub(crate) steady: Instant,
    /// The one that people set, in milliseconds since 1970.
    pub(crate) wall: u64,
}

/// What a timekeeper needs of the cluster.
pub(crate) trait Cluster {
    /// The ids of all servers.
    fn servers(&self) -> Vec<u64>;
    /// Proposes a command whose outcome nobody waits for. Returns whether it was accepted.
    fn propose(&mut self, command: &[u8]) -> bool;
}

/// See the [module](super).
#[derive(Debug)]
pub(crate) struct Timekeeper {
    time: Arc<ClusterTime>,
    this: u64,
    servers: Vec<u64>,
    /// By server: what must be added to this server's steady clock to get the other one's, in milliseconds.
    offsets: BTreeMap<u64, i64>,
    /// The same for this server's own clock, at the last question.
    asked_at: i64,
    round: u64,
    /// The last question, and whether it is still open. Late answers count, too.
    question: Option<Question>,
    /// When a question was last answered.
    answered: Option<Instant>,
    /// Another server has asked, so it may have come back.
    others_ask: bool,
    /// The earliest deadline, and since when it has been that.
    next: Option<(u64, Instant)>,
    /// The advance that was proposed last: how many had been executed then, and when.
    proposed: Option<(u64, Instant)>,
    last_proposed: Option<Instant>,
    /// Whether the last advance was this server's, so that it goes on.
    continues: bool,
}

#[derive(Debug)]
struct Question {
    asked: Instant,
    heard: usize,
    is_open: bool,
}

impl Timekeeper {
    /// Of a server. `seed` tells this process's questions from those of all others.
    pub(crate) fn new(time: Arc<ClusterTime>, this: u64, seed: u64) -> Timekeeper {
        Timekeeper {
            time,
            this,
            servers: Vec::new(),
            offsets: BTreeMap::new(),
            asked_at: 0,
            round: seed,
            question: None,
            answered: None,
            others_ask: false,
            next: None,
            proposed: None,
            last_proposed: None,
            continues: false,
        }
    }

    /// Does what is due. Returns when the next turn is, if the reader's bell does not ring before.
    pub(crate) fn turn(
        &mut self,
        now: Moment,
        reader: &KvReader,
        cluster: &mut impl Cluster,
    ) -> Option<Instant> {
        for news in reader.take_clock_news() {
            self.hear(news, now, cluster);
        }
        let next_question = self.compare(now, reader.next_deadline().is_some(), cluster);
        let next_advance = self.advance(now.steady, reader, cluster);
        [next_question, next_advance].into_iter().flatten().min()
    }

    fn hear(&mut self, news: ClockNews, now: Moment, cluster: &mut impl Cluster) {
        let this = self.this;
        match news {
            ClockNews::Asked { server, round } if server != this => {
                self.others_ask = true;
                let mut answer = Vec::new();
                command::encode_tell_clock(&mut answer, this, (server, round), now.wall);
                // If it is refused, the other server asks again.
                let _ = cluster.propose(&answer);
            }
            ClockNews::Told { server, asker, round, time } if (asker, round) == (this, self.round) => {
                let Some(question) = &mut self.question else { return };
                let took = now.steady.saturating_duration_since(question.asked);
                if took <= LONGEST_ANSWER && server != this {
                    let time = i64::try_from(time).unwrap_or(i64::MAX / 4);
                    let half = took.as_millis() as i64 / 2;
                    self.offsets.insert(server, time + half - self.time.steady(now.steady));
                    question.heard += 1;
                }
            }
            _ => {}
        }
    }

    /// Keeps the estimate, and asks for the others' clocks. Returns when there is something to do.
    fn compare(&mut self, now: Moment, expires: bool, cluster: &mut impl Cluster) -> Option<Instant> {
        let own = i64::try_from(now.wall).unwrap_or(i64::MAX / 4) - self.time.steady(now.steady);
        if self.servers.is_empty() {
            self.servers = cluster.servers();
        }
        let others = self.servers.len().saturating_sub(1);
        if others == 0 {
            self.time.set(Some(own));
            return None;
        }
        if let Some(question) = self.question.as_mut().filter(|question| question.is_open) {
            let waited = now.steady.saturating_duration_since(question.asked);
            let is_majority = (question.heard + 1) * 2 > others + 1;
            if question.heard >= others || is_majority && waited >= GRACE {
                question.is_open = false;
                self.answered = Some(now.steady);
            } else if waited < QUESTION {
                return Some(question.asked + if is_majority { GRACE } else { QUESTION });
            }
        }
        let middle = self.answered.and_then(|_| self.middle(own));
        self.time.set(middle);
        let asked = self.question.as_ref().map(|question| question.asked);
        let since = asked.map_or(Duration::MAX, |asked| now.steady.saturating_duration_since(asked));
        let has_jumped = own.abs_diff(self.asked_at) > JUMP_MS;
        let others_ask = std::mem::take(&mut self.others_ask);
        let is_wanted = match middle {
            // Clocks that disagree are compared again when something depends on it, or a server has come back.
            None => self.answered.is_none() || expires || others_ask || since >= LASTS,
            Some(_) => has_jumped || since >= LASTS && expires,
        };
        if is_wanted && since < QUESTION {
            self.others_ask = others_ask;
            return asked.map(|asked| asked + QUESTION);
        }
        if is_wanted {
            self.round = self.round.wrapping_add(1);
            self.asked_at = own;
            let mut question = Vec::new();
            command::encode_ask_clocks(&mut question, self.this, self.round);
            self.servers = cluster.servers();
            let asked = match cluster.propose(&question) {
                true => now.steady,
                // The group may have no leader yet: as if it had been asked long enough ago to ask again soon.
                false => now.steady.checked_sub(QUESTION - GRACE).unwrap_or(now.steady),
            };
            self.question = Some(Question { asked, heard: 0, is_open: true });
            return Some(asked + QUESTION);
        }
        None
    }

    /// The middle one of all clocks; of an even number, the earlier one, since a key that lasts too long does less harm than
    /// one that is gone too early. While some are not known, a majority must agree.
    fn middle(&self, own: i64) -> Option<i64> {
        if planted::is(Bug::OwnClockTrusted) {
            return Some(own);
        }
        let is_member = |server: &u64| self.servers.contains(server);
        let others = self.offsets.iter().filter(|(server, _)| is_member(server)).map(|(_, offset)| *offset);
        let mut known: Vec<i64> = others.chain([own]).collect();
        known.sort_unstable();
        let middle = |clocks: &[i64]| clocks[(clocks.len() - 1) / 2];
        if known.len() >= self.servers.len() {
            return Some(middle(&known));
        }
        let majority = self.servers.len() / 2 + 1;
        let agree = |clocks: &&[i64]| clocks[clocks.len() - 1] - clocks[0] <= AGREE_MS;
        (majority..=known.len()).rev().find_map(|count| known.windows(count).find(agree).map(middle))
    }

    /// Proposes that what has expired is removed, when that is due and it is this server's turn. Returns when to look
    /// again.
    fn advance(&mut self, now: Instant, reader: &KvReader, cluster: &mut impl Cluster) -> Option<Instant> {
        let deadline = reader.next_deadline()?;
        let (clock, executed) = (reader.clock(), reader.advances());
        if self.proposed.is_some_and(|(before, _)| executed > before) {
            self.proposed = None;
            self.continues = true;
        }
        if self.next.is_none_or(|(known, _)| known != deadline) {
            self.next = Some((deadline, now));
        }
        let latest = now + LONGEST_SLEEP;
        let Some(time) = self.time.at(now) else { return Some(latest) };
        if let Some((_, since)) = self.proposed
            && now.saturating_duration_since(since) < LOST
        {
            return Some(since + LOST);
        }
        if time < deadline {
            self.continues = false;
            let left = Duration::from_millis(deadline - time).min(LONGEST_SLEEP);
            return Some((now + left + self.turn_of(deadline)).min(latest));
        }
        let (_, since) = self.next.expect("set above");
        let is_waiting = deadline <= clock;
        let came = now.checked_sub(Duration::from_millis(time - deadline)).unwrap_or(since);
        let turn = if self.continues { Duration::ZERO } else { self.turn_of(deadline) };
        let due = came.max(since.min(now)) + turn;
        let due = match self.last_proposed {
            Some(last) if !is_waiting => due.max(last + PAUSE),
            _ => due,
        };
        if now < due {
            return Some(due);
        }
        let mut advance = Vec::new();
        command::encode_advance(&mut advance, time);
        if cluster.propose(&advance) {
            self.proposed = Some((executed, now));
            self.last_proposed = Some(now);
            Some(now + LOST)
        } else {
            Some(now + PAUSE)
        }
    }

    /// How long this server waits for those whose turn comes before.
    fn turn_of(&self, deadline: u64) -> Duration {
        let count = self.servers.len().max(1) as u64;
        let place = self.servers.iter().position(|server| *server == self.this).unwrap_or(0) as u64;
        TURN * ((place + deadline) % count) as u32
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use niagara_engine::{GlobalPosition, StateMachine};

    use super::*;
    use crate::{Data, Kv, Op, Reply};

    /// A server: its state, its timekeeper, and how far its clock is ahead, in milliseconds.
    struct Server {
        kv: Kv,
        timekeeper: Timekeeper,
        time: Arc<ClusterTime>,
        ahead: i64,
        is_up: bool,
    }

    /// Servers with a log in common, which executes at once.
    struct World {
        start: Instant,
        now: u64,
        log: Vec<Vec<u8>>,
        servers: Vec<Server>,
    }

    struct Proposals<'l>(&'l mut Vec<Vec<u8>>);

    impl Cluster for Proposals<'_> {
        fn servers(&self) -> Vec<u64> {
            vec![1, 2, 3]
        }

        fn propose(&mut self, command: &[u8]) -> bool {
            self.0.push(command.to_vec());
            true
        }
    }

    const BEGIN: i64 = 1_700_000_000_000;

    impl World {
        fn new(ahead: [i64; 3]) -> World {
            let start = Instant::now();
            let servers = (1..).zip(ahead).map(|(id, ahead)| {
                let time = Arc::new(ClusterTime::new(start));
                let timekeeper = Timekeeper::new(Arc::clone(&time), id, id << 32);
                Server { kv: Kv::new(), timekeeper, time, ahead, is_up: true }
            });
            World { start, now: 0, log: Vec::new(), servers: servers.collect() }
        }

        /// Everybody has a turn, and what they propose is executed everywhere.
        fn step(&mut self, passed: u64) {
            self.now += passed;
            let steady = self.start + Duration::from_millis(self.now);
            let before = self.log.len();
            for server in self.servers.iter_mut().filter(|server| server.is_up) {
                let wall = (BEGIN + self.now as i64 + server.ahead) as u64;
                let reader = server.kv.reader();
                server.timekeeper.turn(Moment { steady, wall }, &reader, &mut Proposals(&mut self.log));
            }
            for position in before..self.log.len() {
                self.execute(position);
            }
        }

        fn execute(&mut self, position: usize) -> Reply {
            let command = Bytes::copy_from_slice(&self.log[position]);
            let at = GlobalPosition::new(position as u64 + 1);
            let all = self.servers.iter_mut();
            all.map(|server| server.kv.execute(at, &command)).last().expect("there are servers")
        }

        /// What a server takes for the time, against what it is.
        fn error(&self, server: usize) -> Option<i64> {
            let time = self.servers[server].time.at(self.start + Duration::from_millis(self.now))?;
            Some(time as i64 - BEGIN - self.now as i64)
        }

        fn set(&mut self, server: usize, lasts: &str) {
            let time = self.servers[server].time.at(self.start + Duration::from_millis(self.now));
            let mut command = Vec::new();
            command::encode_time(&mut command, time.expect("it is known"));
            let words: [&[u8]; 4] = [b"k", b"v", b"PX", lasts.as_bytes()];
            command::encode_call(&mut command, Op::Set, words.into_iter());
            self.log.push(command);
            assert_eq!(self.execute(self.log.len() - 1), Reply::Data(Data::OK));
        }

        fn exists(&self, server: usize) -> bool {
            self.servers[server].kv.reader().get(b"k").is_some()
        }
    }

    const HOUR: i64 = 3_600_000;

    #[test]
    fn a_wrong_clock_changes_nothing() {
        for wrong in 0..3 {
            for ahead in [-HOUR, HOUR] {
                let mut clocks = [20, -30, 10];
                clocks[wrong] = ahead;
                let mut world = World::new(clocks);
                (0..20).for_each(|_| world.step(1));
                for server in 0..3 {
                    let error = world.error(server).expect("all have answered");
                    assert!(error.abs() < 100, "server {server} is off by {error} ms, {wrong} being wrong");
                }
                world.set(wrong, "500");
                (0..48).for_each(|_| world.step(10));
                assert!(world.exists(0), "it is there until its time has come");
                (0..14).for_each(|_| world.step(10));
                assert!(
                    (0..3)
                        .all(|server| !world.exists(server) && world.servers[server].kv.reader().is_empty())
                );
            }
        }
    }

    #[test]
    fn clocks_that_disagree_are_relied_on_only_once_a_majority_agrees() {
        let mut world = World::new([0, HOUR, 0]);
        world.servers[2].is_up = false;
        (0..300).for_each(|_| world.step(10));
        assert_eq!(
            (world.error(0), world.error(1)),
            (None, None),
            "one of two is wrong, and nobody knows which"
        );
        world.servers[2].is_up = true;
        (0..300).for_each(|_| world.step(10));
        assert!((0..3).all(|server| world.error(server).is_some_and(|error| error.abs() < 100)));
        world.servers[2].is_up = false;
        world.servers[0].ahead = -HOUR;
        (0..300).for_each(|_| world.step(10));
        assert!(
            (0..2).all(|server| world.error(server).is_some_and(|error| error.abs() <= HOUR)),
            "they remember it"
        );
    }

    #[test]
    fn another_server_advances_if_the_first_one_is_down() {
        for down in 0..3 {
            let mut world = World::new([0, 5, -5]);
            (0..20).for_each(|_| world.step(1));
            world.set(0, "100");
            world.servers[down].is_up = false;
            (0..20).for_each(|_| world.step(10));
            assert!(!world.exists((down + 1) % 3), "server {down} is down");
        }
    }

    #[test]
    fn nobody_proposes_anything_while_nothing_expires() {
        let mut world = World::new([0, 5, -5]);
        (0..20).for_each(|_| world.step(1));
        let asked = world.log.len();
        (0..1000).for_each(|_| world.step(1000));
        assert_eq!(world.log.len(), asked);
        assert_eq!(asked, 3 + 3 * 2, "each asks once, and both others answer");
    }
}
