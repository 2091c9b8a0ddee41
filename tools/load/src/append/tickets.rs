//! What an origin waits for: when each command in flight was meant to start.

/// Tickets of commands in flight, by rising number. They end about in the order in which they were issued, so a ring holds them.
#[derive(Debug)]
pub(super) struct Tickets {
    /// When the command began, in nanoseconds, at its number modulo the length; `FREE` if there is none.
    began: Vec<u64>,
    next: u64,
    in_flight: u64,
}

const FREE: u64 = u64::MAX;
/// Places of an empty ring; a power of two.
const PLACES: usize = 1 << 10;

impl Tickets {
    /// None are in flight.
    pub fn new() -> Tickets {
        Tickets { began: vec![FREE; PLACES], next: 0, in_flight: 0 }
    }

    /// A ticket for a command that begins, or was meant to begin, at this time.
    pub fn issue(&mut self, began: u64) -> u64 {
        assert_ne!(began, FREE, "no clock gets that far");
        while self.began[self.place(self.next)] != FREE {
            self.grow();
        }
        let (ticket, place) = (self.next, self.place(self.next));
        self.began[place] = began;
        self.next += 1;
        self.in_flight += 1;
        ticket
    }

    /// Ends a ticket, and says when its command began.
    ///
    /// # Panics
    /// When there is no such command in flight: the engine has completed one twice, or one that nobody proposed.
    pub fn end(&mut self, ticket: u64) -> u64 {
        let place = self.place(ticket);
        let began = std::mem::replace(&mut self.began[place], FREE);
        // A number that has left the ring would find a later command's place, which is a whole ring behind.
        let in_ring = ticket < self.next && self.next - ticket <= self.began.len() as u64;
        assert!(
            in_ring && began != FREE,
            "applied_once: ticket {ticket} is completed, and nothing is in flight under it"
        );
        self.in_flight -= 1;
        began
    }

    /// Commands in flight.
    pub fn in_flight(&self) -> u64 {
        self.in_flight
    }

    fn place(&self, ticket: u64) -> usize {
        ticket as usize & (self.began.len() - 1)
    }

    /// Twice as many places. All that are in flight lie within the last ring's length of numbers.
    fn grow(&mut self) {
        let places = 2 * self.began.len();
        let old = std::mem::replace(&mut self.began, vec![FREE; places]);
        for ticket in self.next.saturating_sub(old.len() as u64)..self.next {
            let place = self.place(ticket);
            self.began[place] = old[ticket as usize & (old.len() - 1)];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_end_in_any_order() {
        let mut tickets = Tickets::new();
        let (first, second) = (tickets.issue(10), tickets.issue(20));
        assert_eq!((tickets.end(first), tickets.in_flight()), (10, 1));
        let third = tickets.issue(30);
        assert_eq!((tickets.end(third), tickets.end(second), tickets.in_flight()), (30, 20, 0));
    }

    #[test]
    fn one_that_stays_long_is_not_run_over() {
        let mut tickets = Tickets::new();
        let first = tickets.issue(7);
        let others: Vec<u64> = (0..5000).map(|began| tickets.issue(began)).collect();
        assert_eq!(others.iter().map(|ticket| tickets.end(*ticket)).sum::<u64>(), 4999 * 5000 / 2);
        for began in 0..5000 {
            let ticket = tickets.issue(began);
            assert_eq!(tickets.end(ticket), began);
        }
        assert_eq!((tickets.end(first), tickets.in_flight()), (7, 0));
    }

    #[test]
    #[should_panic(expected = "applied_once")]
    fn a_command_is_completed_once() {
        let mut tickets = Tickets::new();
        let ticket = tickets.issue(10);
        tickets.end(ticket);
        tickets.end(ticket);
    }
}
