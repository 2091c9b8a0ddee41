//! Which requests clients make, and how often.

use super::{Clients, Kind, Walk};
use crate::linearizability::{Condition, Input};
use crate::sim::request::{KEYS, LONG_KEYS, Request};
use crate::sim::sizes::{LENGTH_PART, SHARED_IN_PIPELINE};
use crate::sim::swarm::MOST_DRAWS;

/// How often a request is sent that is executed once.
const ONCE_SENT: u64 = 4;

/// A request, and behind every other write to the connection's own key a read of it.
fn with_own_read(request: Request, may_be_weak: bool) -> impl Iterator<Item = Request> {
    let read = match request {
        Request::Fifo { connection, number } if number % 2 == 1 => {
            Some(Request::OwnWrite { connection, number, weak: may_be_weak && number % 4 == 3 })
        }
        _ => None,
    };
    [request].into_iter().chain(read)
}

impl Clients {
    /// The requests that a client sends at once.
    pub(super) fn requests(&mut self, client: usize) -> Vec<Request> {
        let most = self.sizes.pipeline;
        match self.clients[client].kind {
            Kind::Embedded => vec![self.of_swarm(|me| me.embedded_request(client))],
            Kind::Redis { connection } => {
                let count = self.clients[client].chance.between(1, most);
                let draw = |me: &mut Self, number| me.redis_request(client, connection, number);
                let mut requests: Vec<Request> =
                    (0..count).map(|number| self.of_swarm(|me| draw(me, number))).collect();
                requests.extend(self.page_of_scan(client));
                requests.extend(self.about_expiry(client));
                requests.extend(self.about_users(client));
                requests.extend(self.elsewhere(client));
                requests.extend(self.about_memory(client));
                requests.into_iter().flat_map(|request| with_own_read(request, false)).collect()
            }
            Kind::Http { connection } => {
                let count = self.clients[client].chance.between(1, most);
                let draw = |me: &mut Self, number| me.http_request(client, connection, number);
                let requests = (0..count).map(|number| self.of_swarm(|me| draw(me, number)));
                let requests: Vec<Request> =
                    requests.flat_map(|request| with_own_read(request, true)).collect();
                requests.into_iter().chain(self.about_once(client)).collect()
            }
        }
    }

    /// A request of an enabled kind, if a few draws find one.
    fn of_swarm(&mut self, draw: impl Fn(&mut Self) -> Request) -> Request {
        let mut request = draw(self);
        for _ in 1..MOST_DRAWS {
            if self.swarm.has_request(&request) {
                break;
            }
            request = draw(self);
        }
        request
    }

    fn redis_request(&mut self, client: usize, connection: u32, number: u64) -> Request {
        let me = &mut self.clients[client];
        if let Some(stray) = me.strays.pop() {
            return Request::Stray(stray);
        }
        let all = if number < SHARED_IN_PIPELINE { 18 } else { 4 };
        match me.chance.below(all) {
            0 => Request::SetPair(self.value()),
            1 => Request::GetPair,
            2 | 3 => self.fifo_request(client, connection),
            4 | 5 if self.flushes && me.chance.one_in(8) => Request::FlushAll,
            4 | 5 if self.flushes => self.key_request(client),
            4 => Request::Append(self.value() / LENGTH_PART),
            5 if me.chance.one_in(3) => Request::AppendedLength,
            5 => Request::Appended,
            6 | 7 => self.group_request(client),
            8 => {
                let key = me.chance.below(KEYS.into()) as u8;
                Request::Swap { key, value: self.value() }
            }
            _ => self.key_request(client),
        }
    }

    fn http_request(&mut self, client: usize, connection: u32, number: u64) -> Request {
        let me = &mut self.clients[client];
        let all = if number < SHARED_IN_PIPELINE { 18 } else { 4 };
        let key = me.chance.below(KEYS.into()) as u8;
        match me.chance.below(all) {
            0 => Request::Weak { key },
            1 => Request::AtLeast { key, position: self.position },
            2 if me.chance.one_in(3) => Request::Health,
            2 | 3 => self.fifo_request(client, connection),
            4 | 5 if me.seen.contains_key(&key) => Request::Refresh { key, seen: me.seen[&key] },
            6 | 7 if me.seen.contains_key(&key) => self.conditional_request(client, key),
            _ => match self.key_request(client) {
                // HTTP has no increments.
                Request::Key { input: Input::Increment { .. }, .. } => {
                    Request::Key { key, input: Input::Delete { condition: Condition::IfPresent } }
                }
                request => request,
            },
        }
    }

    fn embedded_request(&mut self, client: usize) -> Request {
        let me = &mut self.clients[client];
        let key = me.chance.below(KEYS.into()) as u8;
        match me.chance.below(12) {
            0 => Request::AtLeast { key, position: self.position },
            1 => Request::Weak { key },
            2 | 3 if me.seen.contains_key(&key) => self.conditional_request(client, key),
            _ => self.key_request(client),
        }
    }

    /// A write on condition that a key is as the client has seen it.
    fn conditional_request(&mut self, client: usize, key: u8) -> Request {
        let me = &mut self.clients[client];
        let condition = Condition::IfVersion(me.seen[&key].version);
        let input = if me.chance.one_in(4) {
            Input::Delete { condition }
        } else {
            Input::Set { value: self.value(), condition }
        };
        Request::Key { key, input }
    }

    fn fifo_request(&mut self, client: usize, connection: u32) -> Request {
        let me = &mut self.clients[client];
        me.fifo += 1;
        Request::Fifo { connection, number: me.fifo }
    }

    fn key_request(&mut self, client: usize) -> Request {
        if !self.sizes.values.is_empty() && self.clients[client].chance.one_in(4) {
            return self.long_request(client);
        }
        let me = &mut self.clients[client];
        let key = me.chance.below(KEYS.into()) as u8;
        let input = match me.chance.below(16) {
            0..=4 => Input::Get,
            5..=8 => Input::Set { value: self.value(), condition: Condition::Always },
            9 => Input::Set { value: self.value(), condition: Condition::IfAbsent },
            10 => Input::Set { value: self.value(), condition: Condition::IfPresent },
            11 => Input::Delete { condition: Condition::Always },
            _ => Input::Increment { by: me.chance.between(1, 3) as i64 },
        };
        Request::Key { key, input }
    }

    fn long_request(&mut self, client: usize) -> Request {
        let value = self.value();
        let me = &mut self.clients[client];
        let key = *me.chance.pick(&LONG_KEYS);
        let input = match me.chance.below(8) {
            0 | 1 => Input::Get,
            2 => Input::Delete { condition: Condition::Always },
            _ => {
                let value = value + *me.chance.pick(&self.sizes.values) as u64;
                Input::Set { value, condition: Condition::Always }
            }
        };
        Request::Key { key, input }
    }

    fn group_request(&mut self, client: usize) -> Request {
        let me = &mut self.clients[client];
        Request::Group(match me.chance.below(8) {
            0..=2 => Input::Get,
            3 => Input::Set { value: self.value(), condition: Condition::Always },
            4 | 5 => Input::Set { value: self.value(), condition: Condition::IfAbsent },
            _ => Input::Delete { condition: Condition::Always },
        })
    }

    /// Sometimes the next page of the client's scan, which may be the first one.
    fn page_of_scan(&mut self, client: usize) -> Option<Request> {
        let me = &mut self.clients[client];
        if self.flushes || !me.chance.one_in(2) {
            return None;
        }
        let begin = || Walk { cursor: 0, server: me.server, scan: self.scans.begin() };
        let cursor = me.walk.get_or_insert_with(begin).cursor;
        Some(Request::Scan { cursor, count: me.chance.between(4, 16) })
    }

    /// Sometimes a key that expires, or a look at one. These are drawn apart from all others.
    fn about_expiry(&mut self, client: usize) -> Option<Request> {
        let me = &mut self.clients[client];
        if self.flushes || self.evicts || !me.expiry_chance.one_in(3) {
            return None;
        }
        let key = (me.expiry_chance.one_in(2)).then(|| me.expiring.iter().next_back().copied()).flatten();
        let request = match key {
            Some(key) => Request::LookAtExpiring(key),
            None => {
                self.next_expiring += 1;
                let lasts = *me.expiry_chance.pick(&[1, 20, 60, 300, 900, 1800, 2500]);
                Request::Expiring { key: self.next_expiring, lasts }
            }
        };
        self.swarm.has_request(&request).then_some(request)
    }

    /// Sometimes a right that is given or taken, or a use of one, by another client than the one who changes it. These, too,
    /// are drawn apart from all others.
    fn about_users(&mut self, client: usize) -> Vec<Request> {
        let me = &mut self.clients[client];
        if !self.has_users || !me.expiry_chance.one_in(2) {
            return Vec::new();
        }
        let own = me.changes.filter(|user| self.rights.may(*user).is_some());
        if me.expiry_chance.one_in(3) {
            let user = own.unwrap_or_else(|| {
                self.next_user += 1;
                self.next_user
            });
            me.changes = Some(user);
            let may = self.rights.may(user) != Some(true);
            return vec![Request::Grant { user, may }];
        }
        match self.rights.latest().filter(|user| Some(*user) != own) {
            None => Vec::new(),
            Some(user) => {
                let value = self.value();
                vec![Request::Become(user), Request::SetAsUser { user, value }, Request::BecomeNobody]
            }
        }
    }

    /// Sometimes a request that is executed once: each is sent several times, whatever became of it before, and through whichever
    /// servers. These are drawn apart from all others.
    fn about_once(&mut self, client: usize) -> Option<Request> {
        let me = &mut self.clients[client];
        if !self.has_once || !me.expiry_chance.one_in(2) {
            return None;
        }
        let (number, left) = me.once.filter(|(_, left)| *left > 0).unwrap_or_else(|| {
            self.next_once += 1;
            (self.next_once, ONCE_SENT)
        });
        me.once = Some((number, left - 1));
        Some(Request::Once(number))
    }

    /// Something in another database.
    fn elsewhere(&mut self, client: usize) -> Option<Request> {
        let chance = &mut self.clients[client].expiry_chance;
        (self.has_users && chance.one_in(3)).then(|| Request::Elsewhere(chance.below(1 << 20)))
    }

    /// Something about keys that may be evicted.
    fn about_memory(&mut self, client: usize) -> Vec<Request> {
        let chance = &mut self.clients[client].expiry_chance;
        let count = if self.evicts { chance.between(1, 3) } else { 0 };
        (0..count).map(|_| Request::Cache(chance.below(1 << 20))).collect()
    }

    /// A value that nobody else writes.
    fn value(&mut self) -> u64 {
        self.next_value += 1;
        self.next_value * LENGTH_PART
    }
}
