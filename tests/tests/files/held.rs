//! What a file may hold after a loss of power.

/// A file's content.
#[derive(Clone, Debug, Default)]
pub struct Held {
    pub now: Vec<u8>,
    /// Contents since the last sync, the last one left out.
    pub before: Vec<Vec<u8>>,
    /// The least and the most that it has been long since.
    pub lengths: (usize, usize),
    /// What each byte has been since.
    bytes: Vec<Vec<u8>>,
    /// Behind the last byte that was written, rather than reserved.
    pub written: usize,
}

impl Held {
    /// What is durable.
    pub fn of(content: Vec<u8>) -> Held {
        let mut held = Held { written: content.len(), now: content, ..Held::default() };
        held.synced();
        held
    }

    pub fn changes(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        self.before.push(self.now.clone());
        change(&mut self.now);
        self.lengths = (self.lengths.0.min(self.now.len()), self.lengths.1.max(self.now.len()));
        self.bytes.resize(self.bytes.len().max(self.now.len()), vec![0]);
        // Behind its end a file holds zeros, which a length without its bytes shows.
        let behind = std::iter::repeat(&0);
        for (been, byte) in self.bytes.iter_mut().zip(self.now.iter().chain(behind)) {
            if !been.contains(byte) {
                been.push(*byte);
            }
        }
    }

    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let end = at + bytes.len();
        self.changes(|now| {
            now.resize(now.len().max(end), 0);
            now[at..end].copy_from_slice(bytes);
        });
        self.written = self.written.max(end);
    }

    pub fn synced(&mut self) {
        self.before.clear();
        self.lengths = (self.now.len(), self.now.len());
        self.bytes = self.now.iter().map(|byte| vec![*byte]).collect();
    }

    pub fn may_be(&self, content: &[u8]) -> bool {
        (self.lengths.0..=self.lengths.1).contains(&content.len())
            && content.iter().zip(&self.bytes).all(|(byte, been)| been.contains(byte))
    }
}

/// A content by its runs of equal bytes.
pub fn brief(content: &Option<Vec<u8>>) -> String {
    let Some(content) = content else { return "nothing".into() };
    let runs = content.chunk_by(|a, b| a == b).map(|run| format!("{}x{}", run.len(), run[0]));
    format!("[{}]", runs.collect::<Vec<_>>().join(" "))
}
