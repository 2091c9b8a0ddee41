//! A server's end of a link: it carries so many bytes a second, of all connections that share it.

use std::collections::VecDeque;

use bytes::Bytes;
use niagara_net::Frame;

/// What a full segment of TCP carries, and what it takes on the wire.
const SEGMENT: (usize, u64) = (1448, 1514);
/// Bytes that the system takes of a connection before they leave: nothing passes them any more.
const UNSENT: usize = 128 << 10;

/// Connections to all servers over one link, which take turns segment by segment.
pub struct Uplink {
    bytes_per_second: u64,
    lines: Vec<Line>,
    /// The connection whose turn it is.
    next: usize,
    pub is_busy: bool,
    /// Time that it was busy, in microseconds.
    pub busy: u64,
}

/// One connection: frames that wait, and those that the system has taken, each with the bytes that are left of it.
#[derive(Default)]
struct Line {
    urgent: VecDeque<Frame>,
    bulk: VecDeque<Frame>,
    taken: VecDeque<(Frame, usize)>,
    taken_bytes: usize,
}

/// A segment that is about to leave.
pub struct Segment {
    pub peer: u64,
    pub takes: u64,
    /// Bodies that have left as a whole with it.
    pub bodies: Vec<Bytes>,
}

impl Uplink {
    /// An idle one, with connections to so many servers.
    pub fn new(servers: u64, bytes_per_second: u64) -> Uplink {
        let lines = (0..servers).map(|_| Line::default()).collect();
        Uplink { bytes_per_second, lines, next: 0, is_busy: false, busy: 0 }
    }

    pub fn push(&mut self, peer: u64, frame: Frame) {
        let line = &mut self.lines[peer as usize - 1];
        if frame.is_urgent() {
            line.urgent.push_back(frame);
        } else {
            line.bulk.push_back(frame);
        }
        line.take();
    }

    /// Bytes that wait for a server and that the system has not taken.
    pub fn waiting(&self, peer: u64) -> usize {
        let line = &self.lines[peer as usize - 1];
        line.urgent.iter().chain(&line.bulk).map(Frame::len).sum()
    }

    /// The next segment, if any waits.
    pub fn segment(&mut self) -> Option<Segment> {
        let count = self.lines.len();
        let turns = (0..count).map(|more| (self.next + more) % count);
        let at = turns.into_iter().find(|at| !self.lines[*at].taken.is_empty());
        self.is_busy = at.is_some();
        let at = at?;
        self.next = at + 1;
        let (bytes, bodies) = self.lines[at].cut();
        let wire = bytes as u64 + SEGMENT.1 - SEGMENT.0 as u64;
        let takes = (wire * 1_000_000).div_ceil(self.bytes_per_second);
        self.busy += takes;
        Some(Segment { peer: at as u64 + 1, takes, bodies })
    }
}

impl Line {
    /// Moves frames to the system while it takes any.
    fn take(&mut self) {
        while self.taken_bytes < UNSENT
            && let Some(frame) = self.urgent.pop_front().or_else(|| self.bulk.pop_front())
        {
            let bytes = frame.len() + niagara_net::HEAD_BYTES;
            self.taken_bytes += bytes;
            self.taken.push_back((frame, bytes));
        }
    }

    fn cut(&mut self) -> (usize, Vec<Bytes>) {
        let (mut bytes, mut bodies) = (0, Vec::new());
        while bytes < SEGMENT.0
            && let Some((_, left)) = self.taken.front_mut()
        {
            let now = (*left).min(SEGMENT.0 - bytes);
            (bytes, *left) = (bytes + now, *left - now);
            if *left == 0 {
                let (frame, _) = self.taken.pop_front().expect("it is there");
                bodies.push(Bytes::from(frame.parts().concat()));
            }
        }
        self.taken_bytes -= bytes;
        self.take();
        (bytes, bodies)
    }
}
