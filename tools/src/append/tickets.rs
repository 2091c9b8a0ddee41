//! What an origin waits for: when each command in flight was meant to start.

/// Tickets of commands in flight, by number. Each is used again once its command is done.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    /// When the command began, in nanoseconds; `FREE` if there is none.
    began: Vec<u64>,
    free: Vec<u32>,
}

const FREE: u64 = u64::MAX;

impl Tickets {
    /// A ticket for a command that begins, or was meant to begin, at this time.
    pub fn issue(&mut self, began: u64) -> u64 {
        assert_ne!(began, FREE, "no clock gets that far");
        let ticket = self.free.pop().unwrap_or_else(|| {
            self.began.push(FREE);
            self.began.len() as u32 - 1
        });
        self.began[ticket as usize] = began;
        u64::from(ticket)
    }

    /// Ends a ticket, and says when its command began.
    ///
    /// # Panics
    /// When there is no such command in flight: the engine has completed one twice, or one that nobody proposed.
    pub fn end(&mut self, ticket: u64) -> u64 {
        let began = std::mem::replace(&mut self.began[ticket as usize], FREE);
        assert_ne!(began, FREE, "applied_once: ticket {ticket} is completed, and nothing is in flight under it");
        self.free.push(ticket as u32);
        began
    }

    /// Commands in flight.
    pub fn in_flight(&self) -> u64 {
        (self.began.len() - self.free.len()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_are_used_again() {
        let mut tickets = Tickets::default();
        let (first, second) = (tickets.issue(10), tickets.issue(20));
        assert_eq!((tickets.end(first), tickets.in_flight()), (10, 1));
        assert_eq!(tickets.issue(30), first);
        assert_eq!((tickets.end(second), tickets.end(first), tickets.in_flight()), (20, 30, 0));
    }

    #[test]
    #[should_panic(expected = "applied_once")]
    fn a_command_is_completed_once() {
        let mut tickets = Tickets::default();
        let ticket = tickets.issue(10);
        tickets.end(ticket);
        tickets.end(ticket);
    }
}
