//! The links between servers: one for each pair of servers and group, with messages late, lost, doubled and damaged.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use niagara_engine::wire::Wire;
use niagara_net::Frame;
use raft::eraftpb::MessageType;

use super::coverage::Coverage;
use super::messages::MessageKind;
use crate::chance::Chance;

/// Microseconds of virtual time.
pub type Micros = u64;

/// A millisecond.
pub const MS: Micros = 1000;

/// A copy comes so late at most.
pub const MOST_LATE: Micros = 1_000_000;
/// Messages that must be told from those of another time come twice so many times as often as others.
const MORE_DOUBLED: u64 = 20;

/// One direction of a link: from, to, and the group's zero-based index.
pub type Direction = (u64, u64, usize);

/// What the network does to messages.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Least and most one-way delay of an ordinary message.
    pub delay: (Micros, Micros),
    /// Lost messages per 10,000.
    pub lost: u64,
    /// Messages per 10,000 that arrive twice.
    pub doubled: u64,
    /// Messages per 10,000 that are overtaken by later ones.
    pub overtaken: u64,
    /// Messages per 10,000 that arrive damaged, upon which the receiver closes the connection.
    pub damaged: u64,
}

/// A message on its way.
#[derive(Clone, Debug)]
pub struct Flight {
    /// From where to where.
    pub direction: Direction,
    /// The connection that it is on, and with which it goes. A late copy is on none: the receiver had it in its hands long
    /// before it looks at it, whatever has become of the sender since.
    pub connection: Option<u64>,
    /// When it arrives.
    pub arrives: Micros,
    /// The frame's body, or the damaged frame as it arrives.
    pub cargo: Cargo,
}

/// What arrives.
#[derive(Clone, Debug)]
pub enum Cargo {
    /// A frame's body, whole.
    Body(Bytes),
    /// A frame's bytes, head and body, with some of them changed.
    Damaged(Vec<u8>),
}

/// A direction of a link that takes few bytes.
#[derive(Clone, Copy, Debug)]
struct Thin {
    bytes_per_second: u64,
    free_at: Micros,
}

/// All links.
#[derive(Debug)]
pub struct Network {
    chance: Chance,
    weather: Weather,
    /// The connection that each link (lower server first) has, if any. Numbers rise.
    connections: BTreeMap<Direction, u64>,
    next_connection: u64,
    /// Directions that lose everything.
    cut: BTreeSet<Direction>,
    /// Additional delay of a direction.
    slow: BTreeMap<Direction, Micros>,
    /// Kinds of which all messages are lost, and whose; nothing is everybody's.
    losing: Vec<(Option<u64>, MessageKind)>,
    /// Directions that take so many bytes a second, and when the last byte that was sent has left.
    thin: BTreeMap<Direction, Thin>,
    /// When the last message of each direction arrives: others come behind it, as over TCP.
    last_arrival: BTreeMap<Direction, Micros>,
}

impl Network {
    /// A network without connections.
    pub fn new(chance: Chance, weather: Weather) -> Network {
        Network {
            chance,
            weather,
            connections: BTreeMap::new(),
            next_connection: 1,
            cut: BTreeSet::new(),
            slow: BTreeMap::new(),
            losing: Vec::new(),
            thin: BTreeMap::new(),
            last_arrival: BTreeMap::new(),
        }
    }

    /// Two servers connect; the connection's number, or nothing if they are connected, or something is cut between them.
    pub fn connect(&mut self, a: u64, b: u64, group: usize) -> Option<u64> {
        let blocked = self.cut.contains(&(a, b, group)) || self.cut.contains(&(b, a, group));
        if blocked || self.connections.contains_key(&link(a, b, group)) {
            return None;
        }
        let connection = self.next_connection;
        self.next_connection += 1;
        self.connections.insert(link(a, b, group), connection);
        Some(connection)
    }

    /// A connection is gone, with what is on its way; `false` if there was none.
    pub fn disconnect(&mut self, a: u64, b: u64, group: usize) -> bool {
        for direction in [(a, b, group), (b, a, group)] {
            self.last_arrival.remove(&direction);
            if let Some(thin) = self.thin.get_mut(&direction) {
                thin.free_at = 0;
            }
        }
        self.connections.remove(&link(a, b, group)).is_some()
    }

    /// The peers that a server has a connection with.
    pub fn peers(&self, server: u64) -> Vec<(u64, usize)> {
        let of = |&(a, b, group): &Direction| match server {
            _ if server == a => Some((b, group)),
            _ if server == b => Some((a, group)),
            _ => None,
        };
        self.connections.keys().filter_map(of).collect()
    }

    /// Whether two servers are connected, and hear each other.
    pub fn is_open(&self, a: u64, b: u64, group: usize) -> bool {
        let cut = |direction| self.cut.contains(&direction);
        self.connections.contains_key(&link(a, b, group)) && !cut((a, b, group)) && !cut((b, a, group))
    }

    /// Whether a message that was sent over a connection still arrives.
    pub fn delivers(&self, flight: &Flight) -> bool {
        let (from, to, group) = flight.direction;
        let connection = self.connections.get(&link(from, to, group));
        flight.connection.is_none_or(|on| connection == Some(&on)) && !self.cut.contains(&flight.direction)
    }

    /// Sends a frame: the flights that come of it.
    pub fn send(
        &mut self,
        now: Micros,
        direction: Direction,
        frame: &Frame,
        coverage: &mut Coverage,
    ) -> Vec<Flight> {
        let (from, to, group) = direction;
        let Some(&connection) = self.connections.get(&link(from, to, group)) else { return Vec::new() };
        if self.cut.contains(&direction) {
            coverage.count("message lost in a partition");
            return Vec::new();
        }
        if self.chance.per_myriad(self.weather.lost) {
            coverage.count("message lost");
            return Vec::new();
        }
        let body: Bytes = match frame.parts() {
            [only] => only.clone(),
            parts => parts.concat().into(),
        };
        if let Some(kind) = self.loses(direction, &body) {
            coverage.count(kind.0);
            return Vec::new();
        }
        let now = self.leaves(now, direction, frame.len() as u64);
        let mut flights = Vec::new();
        let mut doubled = self.weather.doubled;
        if doubled > 0 && is_of_a_time(&body) {
            doubled *= MORE_DOUBLED;
        }
        if self.chance.per_myriad(doubled) {
            let cargo = Cargo::Body(body.clone());
            let (connection, late) = if self.chance.one_in(3) {
                coverage.count("message's copy very late");
                (None, self.chance.between(5_000, MOST_LATE))
            } else {
                coverage.count("message doubled");
                (Some(connection), self.delay(direction) * 3)
            };
            flights.push(Flight { direction, connection, arrives: now + late, cargo });
        }
        let cargo = if self.chance.per_myriad(self.weather.damaged) {
            coverage.count("message damaged");
            Cargo::Damaged(self.damage(frame))
        } else {
            Cargo::Body(body)
        };
        let arrives = self.arrival(now, direction, coverage);
        flights.push(Flight { direction, connection: Some(connection), arrives, cargo });
        flights
    }

    /// The kind of a message, if all of its kind are lost.
    fn loses(&self, (from, ..): Direction, body: &Bytes) -> Option<MessageKind> {
        if self.losing.is_empty() {
            return None;
        }
        let kind = MessageKind::of(body)?;
        self.losing
            .iter()
            .any(|(whose, lost)| *lost == kind && whose.is_none_or(|id| id == from))
            .then_some(kind)
    }

    fn arrival(&mut self, now: Micros, direction: Direction, coverage: &mut Coverage) -> Micros {
        let arrives = now + self.delay(direction);
        if self.chance.per_myriad(self.weather.overtaken) {
            coverage.count("message overtaken");
            return arrives + self.chance.between(1, 5) * self.weather.delay.1;
        }
        let last = self.last_arrival.entry(direction).or_default();
        *last = arrives.max(*last + 1);
        *last
    }

    /// When the last byte of a message has left.
    fn leaves(&mut self, now: Micros, direction: Direction, bytes: u64) -> Micros {
        let Some(thin) = self.thin.get_mut(&direction) else { return now };
        thin.free_at = thin.free_at.max(now) + bytes * 1_000_000 / thin.bytes_per_second;
        thin.free_at
    }

    /// Bytes of a direction that have not left; nothing if the two are not connected.
    pub fn queued_bytes(&self, now: Micros, direction: Direction) -> Option<usize> {
        let (from, to, group) = direction;
        self.connections.get(&link(from, to, group))?;
        let left = |thin: &Thin| thin.free_at.saturating_sub(now) * thin.bytes_per_second / 1_000_000;
        Some(self.thin.get(&direction).map_or(0, left) as usize)
    }

    fn delay(&mut self, direction: Direction) -> Micros {
        let (least, most) = self.weather.delay;
        self.chance.between(least, most) + self.slow.get(&direction).copied().unwrap_or(0)
    }

    /// The frame as it goes over the wire, with a few of its bits changed.
    fn damage(&mut self, frame: &Frame) -> Vec<u8> {
        let mut bytes = frame.slices().collect::<Vec<_>>().concat();
        for _ in 0..self.chance.between(1, 4) {
            let at = self.chance.below(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << self.chance.below(8);
        }
        bytes
    }

    /// Loses everything in these directions from now on.
    pub fn cut(&mut self, directions: impl IntoIterator<Item = Direction>) {
        self.cut.extend(directions);
    }

    /// Ends what [`cut`](Self::cut) began.
    pub fn mend(&mut self, directions: impl IntoIterator<Item = Direction>) {
        for direction in directions {
            self.cut.remove(&direction);
        }
    }

    /// Delays a direction's messages by so much more; 0 ends it.
    pub fn slow(&mut self, direction: Direction, more: Micros) {
        self.slow.insert(direction, more);
    }

    /// Loses all messages of a kind that a server sends, or everybody; or no more.
    pub fn lose(&mut self, from: Option<u64>, kind: MessageKind, lost: bool) {
        self.losing.retain(|known| *known != (from, kind));
        if lost {
            self.losing.push((from, kind));
        }
    }

    /// Lets a direction take no more than so many bytes a second; nothing ends it.
    pub fn thin(&mut self, direction: Direction, bytes_per_second: Option<u64>) {
        match bytes_per_second {
            Some(bytes_per_second) => {
                self.thin.insert(direction, Thin { bytes_per_second, free_at: 0 });
            }
            None => {
                self.thin.remove(&direction);
            }
        }
    }

    /// Ends all cuts and delays, and from now on loses, doubles, damages and overtakes nothing. Returns the directions that were
    /// thin: what waits there is still to come.
    pub fn calm(&mut self) -> Vec<Direction> {
        self.cut.clear();
        self.slow.clear();
        self.losing.clear();
        self.weather = Weather { lost: 0, doubled: 0, overtaken: 0, damaged: 0, ..self.weather };
        std::mem::take(&mut self.thin).into_keys().collect()
    }
}

/// Whether a message is one of an attempt, of a life, or of a file: commands for a leader, answers for reads, parts of transfers.
fn is_of_a_time(body: &Bytes) -> bool {
    match Wire::decode(body) {
        Ok(Wire::Raft(message)) => message.msg_type == MessageType::MsgReadIndexResp,
        Ok(message) => matches!(message, Wire::Forward(_)),
        Err(_) => true,
    }
}

fn link(a: u64, b: u64, group: usize) -> Direction {
    (a.min(b), a.max(b), group)
}
