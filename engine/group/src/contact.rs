//! Which servers this replica has heard from without a break: only a server with steady links should lead.

/// When each peer was last heard, and since when without a break.
#[derive(Debug)]
pub(super) struct Contact {
    /// Silence of more ticks than this counts as a break.
    break_ticks: u64,
    heard: Vec<Heard>,
}

#[derive(Debug)]
struct Heard {
    server: u64,
    last: u64,
    since: u64,
}

impl Contact {
    pub fn new(break_ticks: u64) -> Contact {
        Contact { break_ticks, heard: Vec::new() }
    }

    /// Notes a message. A peer that is silent on purpose, as followers are among each other, does not count
    /// as steady.
    pub fn heard(&mut self, server: u64, now: u64) {
        match self.heard.iter_mut().find(|heard| heard.server == server) {
            Some(heard) => {
                if now - heard.last > self.break_ticks {
                    heard.since = now;
                }
                heard.last = now;
            }
            None => self.heard.push(Heard { server, last: now, since: now }),
        }
    }

    /// Whether the server has been heard lately, and its connection has not broken since.
    pub fn is_there(&self, server: u64, now: u64) -> bool {
        self.is_steady(server, now, 0)
    }

    /// Notes that the connection broke.
    pub fn broken(&mut self, server: u64) {
        self.heard.retain(|heard| heard.server != server);
    }

    /// Whether the server has been heard without a break for at least `ticks`.
    pub fn is_steady(&self, server: u64, now: u64, ticks: u64) -> bool {
        let heard = self.heard.iter().find(|heard| heard.server == server);
        heard.is_some_and(|heard| now - heard.last <= self.break_ticks && now - heard.since >= ticks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_and_a_broken_link_begin_anew() {
        let mut contact = Contact::new(6);
        (0..=20).for_each(|now| contact.heard(2, now));
        assert!(contact.is_steady(2, 26, 20));
        assert!(!contact.is_steady(2, 27, 20), "silent");
        assert!(!contact.is_steady(3, 20, 0), "never heard");
        contact.heard(2, 30);
        assert!(!contact.is_steady(2, 31, 20));
        (30..=50).for_each(|now| contact.heard(2, now));
        assert!(contact.is_steady(2, 50, 20));
        contact.broken(2);
        contact.heard(2, 51);
        assert!(!contact.is_steady(2, 51, 1));
    }
}
