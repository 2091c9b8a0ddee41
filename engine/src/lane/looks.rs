//! Looks at the state right after single commands, by callers that have submitted both at once.
//!
//! A look is fresh, and in its place, for the same reasons as an [attached read](super::attached).

use std::any::Any;
use std::collections::VecDeque;
use std::ops::Range;

use super::deliveries::Deliveries;
use crate::outcome::Detached;

/// What a caller does with the state right after its command. It ends once.
pub(crate) trait Look: Send {
    /// Looks at the state machine, on the thread that executes. Nobody is told yet.
    fn look(&mut self, state: &dyn Any);

    /// Tells the caller what it has seen, or why it has seen nothing. Called without a lock, after the position of
    /// the command was published.
    fn tell(self: Box<Self>, why: Option<Detached>);
}

/// A look, and the number of the command that it follows.
pub(crate) struct DueLook {
    pub after: u64,
    pub look: Box<dyn Look>,
}

/// A lane's looks whose commands have not been executed, in the order of the commands.
#[derive(Default)]
pub(super) struct AttachedLooks(VecDeque<DueLook>);

/// Memory that a look takes, about, in bytes.
pub(super) const LOOK_BYTES: usize = 128;

impl AttachedLooks {
    /// Adds one behind the last command.
    pub fn add(&mut self, after: u64, look: Box<dyn Look>) {
        self.0.push_back(DueLook { after, look });
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Takes the looks that follow commands below number `end`.
    pub fn take_below(&mut self, end: u64, due: &mut Vec<DueLook>) {
        let count = self.0.partition_point(|look| look.after < end);
        due.extend(self.0.drain(..count));
    }

    /// Ends the looks that follow these commands.
    pub fn give_up<R>(&mut self, commands: Range<u64>, why: Detached, out: &mut Deliveries<R>) {
        let begin = self.0.partition_point(|look| look.after < commands.start);
        let end = self.0.partition_point(|look| look.after < commands.end);
        self.0.drain(begin..end).for_each(|due| out.tell(due.look, Some(why)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::outcome::Unknown;
    use crate::sync::Mutex;

    type Told = Arc<Mutex<Vec<(u64, Option<Detached>)>>>;

    struct Telling(u64, Told);

    impl Look for Telling {
        fn look(&mut self, _: &dyn Any) {}

        fn tell(self: Box<Self>, why: Option<Detached>) {
            self.1.lock().push((self.0, why));
        }
    }

    #[test]
    fn each_look_is_due_or_given_up_once() {
        let told = Told::default();
        let mut looks = AttachedLooks::default();
        for after in [1, 2, 4, 5, 9] {
            looks.add(after, Box::new(Telling(after, Arc::clone(&told))));
        }
        let mut due = Vec::new();
        looks.take_below(3, &mut due);
        assert_eq!(due.iter().map(|due| due.after).collect::<Vec<_>>(), [1, 2]);
        let (mut out, why) = (Deliveries::<()>::default(), Detached::Unknown(Unknown::Deadline));
        looks.give_up(5..7, why, &mut out);
        assert!(told.lock().is_empty(), "nobody is told under the lane's lock");
        out.deliver();
        assert_eq!(*told.lock(), [(5, Some(why))]);
        looks.take_below(10, &mut due);
        assert_eq!(due.iter().map(|due| due.after).collect::<Vec<_>>(), [1, 2, 4, 9]);
        assert_eq!(looks.count(), 0);
    }
}
