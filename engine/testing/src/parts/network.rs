//! The links between servers, one for each pair of servers and group, with messages late, lost, doubled and
//! damaged.

use bytes::Bytes;
use niagara_group::wire::Wire;
use niagara_net::Frame;
use raft::eraftpb::MessageType;

use super::chance::Chance;
use super::messages::MessageKind;

/// Microseconds of virtual time.
pub type Micros = u64;

/// A millisecond.
pub const MS: Micros = 1000;

/// The latest that a second copy arrives.
pub const MOST_LATE: Micros = 1_000_000;
/// Messages that must be distinguished from those of another time are doubled this many times as often as
/// others.
const MORE_DOUBLED: u64 = 20;

/// One direction of a link: from, to, and the group's zero-based index.
pub type Direction = (u64, u64, usize);

/// What the network does to messages.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Least and greatest one-way delay of an ordinary message.
    pub delay: (Micros, Micros),
    /// Lost messages per 10,000.
    pub lost: u64,
    /// Messages per 10,000 that arrive twice.
    pub doubled: u64,
    /// Messages per 10,000 that are overtaken by later ones.
    pub overtaken: u64,
    /// Messages per 10,000 that arrive damaged, after which the receiver closes the connection.
    pub damaged: u64,
}

/// Counts what happens to messages: a fault that never fires proves nothing.
pub trait Counter {
    /// Something has happened, once.
    fn count(&mut self, what: &'static str);
}

/// Counts nothing.
impl Counter for () {
    fn count(&mut self, _: &'static str) {}
}

/// A message in flight.
#[derive(Clone, Debug)]
pub struct Flight {
    /// Its direction.
    pub direction: Direction,
    /// The connection that carries it, and whose end loses it. A late copy has none: the receiver had it long
    /// before it handles it, whatever has happened to the sender since.
    pub connection: Option<u64>,
    /// When it arrives.
    pub arrives: Micros,
    /// The frame's body, or the damaged frame as it arrives.
    pub cargo: Cargo,
}

/// What arrives.
#[derive(Clone, Debug)]
pub enum Cargo {
    /// The whole body of a frame.
    Body(Bytes),
    /// A frame's bytes, heads and body, with some of them changed, and the frame as it was sent.
    Damaged(Vec<u8>, Frame),
}

/// A direction of a link that takes few bytes.
#[derive(Clone, Copy, Debug)]
struct Thin {
    bytes_per_second: u64,
    free_at: Micros,
}

#[derive(Clone, Copy, Debug, Default)]
struct Way {
    /// The link's connection, if any: the same in both directions.
    connection: Option<u64>,
    /// Whether it loses everything.
    is_cut: bool,
    /// Extra delay of its messages.
    more: Micros,
    /// Bytes per second that it takes, and when the last sent byte has left.
    thin: Option<Thin>,
    /// When its last message arrives: others follow it, as over TCP.
    last_arrival: Micros,
    /// The same for its urgent messages, while others wait to leave.
    last_urgent: Micros,
}

/// All links.
#[derive(Debug)]
pub struct Network {
    chance: Chance,
    weather: Weather,
    servers: u64,
    links: usize,
    /// By direction, in their order.
    ways: Vec<Way>,
    /// Kinds whose messages are all lost, and whose messages those are; `None` means everybody's.
    losing: Vec<(Option<u64>, MessageKind)>,
    /// Numbers rise.
    next_connection: u64,
}

impl Network {
    /// A network of so many servers, with so many links between any two, without connections.
    pub fn new(chance: Chance, weather: Weather, servers: u64, links: usize) -> Network {
        let ways = vec![Way::default(); (servers * servers) as usize * links];
        Network { chance, weather, servers, links, ways, losing: Vec::new(), next_connection: 1 }
    }

    /// The last link between two servers is for snapshots.
    fn is_of_group(&self, (_, _, link): Direction) -> bool {
        link + 1 < self.links
    }

    fn place(&self, (from, to, group): Direction) -> usize {
        ((from - 1) * self.servers + to - 1) as usize * self.links + group
    }

    fn way(&self, direction: Direction) -> &Way {
        &self.ways[self.place(direction)]
    }

    fn way_mut(&mut self, direction: Direction) -> &mut Way {
        let place = self.place(direction);
        &mut self.ways[place]
    }

    fn directions(&self) -> impl Iterator<Item = Direction> + use<> {
        let (servers, links) = (self.servers, self.links);
        (1..=servers)
            .flat_map(move |from| (1..=servers).map(move |to| (from, to)))
            .flat_map(move |(from, to)| (0..links).map(move |group| (from, to, group)))
    }

    /// Connects two servers. Returns the connection's number, or `None` if they are connected already or
    /// something is cut between them.
    pub fn connect(&mut self, a: u64, b: u64, group: usize) -> Option<u64> {
        let (there, back) = (self.way((a, b, group)), self.way((b, a, group)));
        if there.is_cut || back.is_cut || there.connection.is_some() {
            return None;
        }
        let connection = self.next_connection;
        self.next_connection += 1;
        self.way_mut((a, b, group)).connection = Some(connection);
        self.way_mut((b, a, group)).connection = Some(connection);
        Some(connection)
    }

    /// Ends a connection, and loses what is in flight; `false` if there was none.
    pub fn disconnect(&mut self, a: u64, b: u64, group: usize) -> bool {
        let mut was_connected = false;
        for direction in [(a, b, group), (b, a, group)] {
            let way = self.way_mut(direction);
            way.last_arrival = 0;
            if let Some(thin) = &mut way.thin {
                thin.free_at = 0;
            }
            was_connected |= way.connection.take().is_some();
        }
        was_connected
    }

    /// Peers, and links to them, that a server has a connection with.
    pub fn peers(&self, server: u64) -> Vec<(u64, usize)> {
        let of_server = self.directions().filter(|(from, ..)| *from == server);
        let connected = of_server.filter(|direction| self.way(*direction).connection.is_some());
        connected.map(|(_, to, group)| (to, group)).collect()
    }

    /// Whether two servers are connected, and hear each other.
    pub fn is_open(&self, a: u64, b: u64, group: usize) -> bool {
        let (there, back) = (self.way((a, b, group)), self.way((b, a, group)));
        there.connection.is_some() && !there.is_cut && !back.is_cut
    }

    /// Whether a message that was sent over a connection still arrives.
    pub fn delivers(&self, flight: &Flight) -> bool {
        let way = self.way(flight.direction);
        !way.is_cut && flight.connection.is_none_or(|on| way.connection == Some(on))
    }

    /// Sends a frame. Returns the resulting flights, two at most.
    pub fn send(
        &mut self,
        now: Micros,
        direction: Direction,
        frame: &Frame,
        counter: &mut dyn Counter,
    ) -> impl Iterator<Item = Flight> + use<> {
        let (copy, original) = self.flights(now, direction, frame, counter);
        copy.into_iter().chain(original)
    }

    /// A frame's second copy and itself, as far as they are sent at all.
    fn flights(
        &mut self,
        now: Micros,
        direction: Direction,
        frame: &Frame,
        counter: &mut dyn Counter,
    ) -> (Option<Flight>, Option<Flight>) {
        let Way { connection: Some(connection), is_cut, .. } = *self.way(direction) else {
            return (None, None);
        };
        if is_cut {
            counter.count("message lost in a partition");
            return (None, None);
        }
        if self.chance.per_myriad(self.weather.lost) {
            counter.count("message lost");
            return (None, None);
        }
        let body: Bytes = match frame.parts() {
            [only] => only.clone(),
            parts => parts.concat().into(),
        };
        if let Some(kind) = self.loses(direction, &body) {
            counter.count(kind.0);
            return (None, None);
        }
        // On a link that takes few bytes, urgent messages wait for none but their like.
        let passes = frame.is_urgent() && self.way(direction).thin.is_some();
        let now = if passes { now } else { self.leaves(now, direction, frame.len() as u64) };
        let mut doubled = self.weather.doubled;
        if doubled > 0 && self.is_of_a_time(direction, &body) {
            doubled *= MORE_DOUBLED;
        }
        let copy = self.chance.per_myriad(doubled).then(|| {
            let cargo = Cargo::Body(body.clone());
            let (connection, late) = if self.chance.one_in(3) {
                counter.count("message's copy very late");
                (None, self.chance.between(5_000, MOST_LATE))
            } else {
                counter.count("message doubled");
                (Some(connection), self.delay(direction) * 3)
            };
            Flight { direction, connection, arrives: now + late, cargo }
        });
        let cargo = if self.chance.per_myriad(self.weather.damaged) {
            counter.count("message damaged");
            Cargo::Damaged(self.damage(frame), frame.clone())
        } else {
            Cargo::Body(body)
        };
        if passes && now < self.way(direction).last_arrival {
            counter.count("bulk passed by an urgent message");
        }
        let arrives = self.arrival(now, direction, passes, counter);
        (copy, Some(Flight { direction, connection: Some(connection), arrives, cargo }))
    }

    /// Whether a message belongs to one attempt, life, or file: commands for a leader, answers for reads,
    /// parts of transfers.
    fn is_of_a_time(&self, direction: Direction, body: &[u8]) -> bool {
        !self.is_of_group(direction)
            || Wire::is_forward(body)
            || Wire::raft_type(body) == Some(MessageType::MsgReadIndexResp)
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

    fn arrival(
        &mut self,
        now: Micros,
        direction: Direction,
        passes: bool,
        counter: &mut dyn Counter,
    ) -> Micros {
        let arrives = now + self.delay(direction);
        if self.chance.per_myriad(self.weather.overtaken) {
            counter.count("message overtaken");
            return arrives + self.chance.between(1, 5) * self.weather.delay.1;
        }
        let way = self.way_mut(direction);
        let last = if passes { &mut way.last_urgent } else { &mut way.last_arrival };
        *last = arrives.max(*last + 1);
        *last
    }

    /// When the last byte of a message has left.
    fn leaves(&mut self, now: Micros, direction: Direction, bytes: u64) -> Micros {
        let Some(thin) = &mut self.way_mut(direction).thin else { return now };
        thin.free_at = thin.free_at.max(now) + bytes * 1_000_000 / thin.bytes_per_second;
        thin.free_at
    }

    /// Bytes of a direction that have not left; `None` if the two are not connected.
    pub fn queued_bytes(&self, now: Micros, direction: Direction) -> Option<usize> {
        let way = self.way(direction);
        way.connection?;
        let left = |thin: &Thin| thin.free_at.saturating_sub(now) * thin.bytes_per_second / 1_000_000;
        Some(way.thin.as_ref().map_or(0, left) as usize)
    }

    fn delay(&mut self, direction: Direction) -> Micros {
        let (least, most) = self.weather.delay;
        self.chance.between(least, most) + self.way(direction).more
    }

    /// The frame as on the wire, with a few of its bits changed.
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
        directions.into_iter().for_each(|direction| self.way_mut(direction).is_cut = true);
    }

    /// Ends a [`cut`](Self::cut).
    pub fn mend(&mut self, directions: impl IntoIterator<Item = Direction>) {
        directions.into_iter().for_each(|direction| self.way_mut(direction).is_cut = false);
    }

    /// Whether everything in a direction is lost.
    pub fn is_cut(&self, direction: Direction) -> bool {
        self.way(direction).is_cut
    }

    /// Delays a direction's messages by so much more; 0 ends that.
    pub fn slow(&mut self, direction: Direction, more: Micros) {
        self.way_mut(direction).more = more;
    }

    /// Loses all messages of a kind from one server, or from all; with `lost` false, ends that.
    pub fn lose(&mut self, from: Option<u64>, kind: MessageKind, lost: bool) {
        self.losing.retain(|known| *known != (from, kind));
        if lost {
            self.losing.push((from, kind));
        }
    }

    /// Limits a direction to so many bytes a second; `None` ends that.
    pub fn thin(&mut self, direction: Direction, bytes_per_second: Option<u64>) {
        self.way_mut(direction).thin =
            bytes_per_second.map(|bytes_per_second| Thin { bytes_per_second, free_at: 0 });
    }

    /// Ends all cuts and delays, and from now on loses, doubles, damages and overtakes nothing. Returns the
    /// directions that were thin: what waits there has yet to arrive.
    pub fn calm(&mut self) -> Vec<Direction> {
        self.losing.clear();
        self.weather = Weather { lost: 0, doubled: 0, overtaken: 0, damaged: 0, ..self.weather };
        for way in &mut self.ways {
            (way.is_cut, way.more) = (false, 0);
        }
        self.directions().filter(|direction| self.way_mut(*direction).thin.take().is_some()).collect()
    }
}
