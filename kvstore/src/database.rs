//! Databases: keys of different ones have nothing to do with each other.
//!
//! The keys of a database are in a *space* of the map. SWAPDB exchanges the spaces of two databases, however many keys they
//! hold. Which space is whose is a server's own matter: logs, digests and snapshots name databases.

/// A database, by its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Database(u8);

impl Database {
    /// How many there are.
    pub const COUNT: usize = 16;

    /// The one of clients that do not name any.
    pub const FIRST: Database = Database(0);

    /// The database with this number, if there is one.
    pub fn new(number: u64) -> Option<Database> {
        u8::try_from(number).ok().filter(|number| usize::from(*number) < Database::COUNT).map(Database)
    }

    /// Its number.
    pub fn number(self) -> u8 {
        self.0
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Database> {
        (0..Database::COUNT as u8).map(Database)
    }
}

/// Where the keys of a database are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Space(pub(crate) u8);

/// The space of each database: four bits for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spaces(pub(crate) u64);

impl Default for Spaces {
    /// Each database is in the space with its number.
    fn default() -> Spaces {
        Spaces(0xfedc_ba98_7654_3210)
    }
}

impl Spaces {
    pub(crate) fn of(self, database: Database) -> Space {
        Space((self.0 >> (4 * database.0)) as u8 & 0xf)
    }

    /// The database that is in a space.
    pub(crate) fn database(self, space: Space) -> Database {
        Database::all().find(|database| self.of(*database) == space).expect("each space is a database's")
    }

    /// Exchanges the spaces of two databases.
    pub(crate) fn swap(&mut self, one: Database, other: Database) {
        let differing = u64::from(self.of(one).0 ^ self.of(other).0);
        self.0 ^= if one == other { 0 } else { differing << (4 * one.0) | differing << (4 * other.0) };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn there_are_sixteen() {
        assert_eq!(Database::new(15).map(Database::number), Some(15));
        assert_eq!((Database::new(16), Database::new(256)), (None, None));
        assert!(Database::all().all(|each| Spaces::default().of(each) == Space(each.number())));
    }

    proptest! {
        #[test]
        fn swaps_exchange_two_and_move_no_other(swaps in prop::collection::vec((0u64..16, 0u64..16), 0..30)) {
            let mut spaces = Spaces::default();
            let mut model: Vec<u8> = (0..16).collect();
            for (one, other) in swaps {
                spaces.swap(Database::new(one).unwrap(), Database::new(other).unwrap());
                model.swap(one as usize, other as usize);
                for database in Database::all() {
                    prop_assert_eq!(spaces.of(database), Space(model[usize::from(database.number())]));
                    prop_assert_eq!(spaces.database(spaces.of(database)), database);
                }
            }
        }
    }
}
