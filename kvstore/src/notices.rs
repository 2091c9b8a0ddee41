//! Notices: messages that tell subscribers what has happened to keys, as keyspace notifications of Redis do.
//!
//! Which ones are sent is a setting of the state, changed by an ordered command, so all servers send the same ones, each to its
//! own subscribers, in the order of the global log.

use crate::Database;

/// What a notice is about. The letter names it in CONFIG SET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// Commands on keys of any type.
    Key = b'g' as isize,
    /// Commands on strings.
    String = b'$' as isize,
    /// Keys that have expired.
    Expired = b'x' as isize,
    /// Keys that were evicted.
    Evicted = b'e' as isize,
    /// Keys that are new.
    New = b'n' as isize,
}

/// All letters, in the order in which CONFIG GET shows them; the place of each is its bit. Those up to `d` are what `A` stands for.
const LETTERS: &[u8; 13] = b"g$lshzxetdnKE";
const ALL: u16 = 0b11_1111_1111;

/// Which notices are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notices(u16);

/// Why letters name no notices.
pub(crate) const NO_NOTICES: &str = "Invalid event class character. Use 'Ag$lshzxeKEtdn'; 'm' does not exist here, since reads are \
     not in the log.";

impl Notices {
    /// Those that letters name.
    pub(crate) fn parse(letters: &[u8]) -> Option<Notices> {
        let bit = |letter: &u8| match letter {
            b'A' => Some(ALL),
            _ => LETTERS.iter().position(|known| known == letter).map(|at| 1 << at),
        };
        letters.iter().map(bit).try_fold(0, |all, bit| Some(all | bit?)).map(Notices)
    }

    /// Those of a number that `bits` has returned.
    pub(crate) fn of_bits(bits: u64) -> Option<Notices> {
        u16::try_from(bits).ok().filter(|bits| *bits < 1 << LETTERS.len()).map(Notices)
    }

    pub(crate) fn bits(self) -> u64 {
        self.0.into()
    }

    /// Their letters.
    pub(crate) fn letters(self) -> String {
        let has_all = self.0 & ALL == ALL;
        let shown = if has_all { self.0 & !ALL } else { self.0 };
        let letters = LETTERS.iter().enumerate().filter(|(at, _)| shown & 1 << at != 0);
        has_all.then_some('A').into_iter().chain(letters.map(|(_, letter)| char::from(*letter))).collect()
    }

    fn has(self, letter: u8) -> bool {
        LETTERS.iter().position(|known| *known == letter).is_some_and(|at| self.0 & 1 << at != 0)
    }

    /// Whether any is sent that is about this.
    pub(crate) fn tell(self, about: About) -> bool {
        self.0 != 0 && self.has(about as u8)
    }

    /// The channel and message of each notice of an event.
    pub(crate) fn of(
        self,
        database: Database,
        event: &str,
        key: &[u8],
    ) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
        let channel = |kind: &str, name: &[u8]| {
            [format!("__{kind}@{}__:", database.number()).as_bytes(), name].concat()
        };
        let by_key = self.has(b'K').then(|| (channel("keyspace", key), event.as_bytes().to_vec()));
        let by_event = self.has(b'E').then(|| (channel("keyevent", event.as_bytes()), key.to_vec()));
        by_key.into_iter().chain(by_event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_come_back_in_one_order() {
        for (given, shown) in [
            ("", ""),
            ("gKE", "gKE"),
            ("EK$g", "g$KE"),
            ("$lshzxeKE", "$lshzxeKE"),
            ("KA", "AK"),
            ("g$lshzxetdE", "AE"),
            ("AnE", "AnE"),
            ("En", "nE"),
        ] {
            let notices = Notices::parse(given.as_bytes()).unwrap();
            assert_eq!(notices.letters(), shown);
            assert_eq!(Notices::of_bits(notices.bits()), Some(notices));
        }
        assert_eq!(Notices::parse(b"KEm"), None);
        assert_eq!(Notices::of_bits(1 << 13), None);
    }

    #[test]
    fn a_notice_names_database_key_and_event() {
        let both = Notices::parse(b"KEx").unwrap();
        let third = Database::new(3).unwrap();
        let sent: Vec<_> = both.of(third, "expired", b"k\xff").collect();
        assert_eq!(sent[0], (b"__keyspace@3__:k\xff".to_vec(), b"expired".to_vec()));
        assert_eq!(sent[1], (b"__keyevent@3__:expired".to_vec(), b"k\xff".to_vec()));
        assert!(both.tell(About::Expired) && !both.tell(About::Key));
        assert!(!Notices::default().tell(About::Key));
    }
}
